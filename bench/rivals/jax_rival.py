"""JAX's side of the cases: a jitted step, and all steps of an epoch in one jitted scan."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from rivals import UnsupportedError, jax_images, jax_tasks

VERSION = f"{jax.__version__}, optax {optax.__version__}"


def prepare(case, variant, threads, bench):
    """Return the prepared work of one case, or raise UnsupportedError."""
    del threads  # JAX has no setting; it sizes its pool by the processors it may run on
    if isinstance(case, bench.Step) and case.rule == "adam":
        return step(case, variant, bench)
    if isinstance(case, bench.Task):
        return jax_tasks.prepare(case, variant, bench)
    if isinstance(case, bench.ImageStep):
        return jax_images.step(case, variant, bench)
    if isinstance(case, bench.Convolution):
        return jax_images.convolution(case, bench)
    if isinstance(case, bench.Rule) and variant == "jax":
        return rule(case, bench)
    raise UnsupportedError(f"no {variant} variant of {case.name}")


def net(weights, x):
    """Return the logits of a dense ReLU network."""
    for w, b in weights[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = weights[-1]
    return x @ w + b


def loss(weights, x, y):
    """Return the mean cross entropy of a batch."""
    return optax.softmax_cross_entropy_with_integer_labels(net(weights, x), y).mean()


def step(case, variant, bench):
    """Prepare a training step; weights and slots are donated."""
    x, y, weights = bench.step_data(case)
    xs = jnp.asarray(x.reshape(case.batches, case.batch, -1))
    ys = jnp.asarray(y.reshape(case.batches, case.batch), jnp.int32)
    update = optax.adam(bench.LEARNING_RATE)
    state = [(jnp.asarray(w), jnp.asarray(b)) for w, b in weights]
    state = [state, update.init(state)]

    def body(weights, slots, x, y):
        gradients = jax.grad(loss)(weights, x, y)
        changes, slots = update.update(gradients, slots)
        return optax.apply_updates(weights, changes), slots

    one = jax.jit(body, donate_argnums=(0, 1))
    batches = [(xs[i], ys[i]) for i in range(case.batches)]

    @partial(jax.jit, donate_argnums=(0, 1))
    def epoch(weights, slots, xs, ys):
        def inner(carry, batch):
            return body(*carry, *batch), None

        return jax.lax.scan(inner, (weights, slots), (xs, ys))[0]

    def run_steps():
        weights, slots = state
        for _ in range(case.epochs):
            for x, y in batches:
                weights, slots = one(weights, slots, x, y)
        state[:] = weights, slots

    def run_scan():
        weights, slots = state
        for _ in range(case.epochs):
            weights, slots = epoch(weights, slots, xs, ys)
        state[:] = weights, slots

    count = bench.CHECK_STEPS
    if variant == "jax-scan":
        state[:] = epoch(*state, xs[:count], ys[:count])
        run = run_scan
    else:
        for x, y in batches[:count]:
            state[:] = one(*state, x, y)
        run = run_steps
    check = float(loss(state[0], *batches[0]))
    units = case.batches * case.epochs
    return bench.Work(run, units, lambda: jax.block_until_ready(state), check)


RULES = {
    "sgd": optax.sgd,
    "momentum": lambda lr: optax.sgd(lr, momentum=0.9),
    "nesterov": lambda lr: optax.sgd(lr, momentum=0.9, nesterov=True),
    "adagrad": optax.adagrad,
    "rmsprop": optax.rmsprop,
    "adam": optax.adam,
    "adamw": optax.adamw,
    "amsgrad": optax.amsgrad,
    "adamax": optax.adamax,
    "nadam": optax.nadam,
    "adadelta": lambda lr: optax.adadelta(1.0, rho=0.95),
    "radam": optax.radam,
    "adabelief": optax.adabelief,
    "yogi": optax.yogi,
    "adan": optax.adan,
    "ademamix": optax.contrib.ademamix,
    "lion": optax.lion,
    "signum": optax.signum,
    "rprop": optax.rprop,
    "schedulefreesgd": optax.contrib.schedule_free_sgd,
    "schedulefreeadamw": optax.contrib.schedule_free_adamw,
}


def rule(case, bench):
    """Prepare one optimizer update; weights and slots are donated."""
    w, g = bench.rule_data(case)
    if case.rule not in RULES:
        raise UnsupportedError(f"Optax has no {case.rule}")
    update = RULES[case.rule](bench.LEARNING_RATE)
    gradient = jnp.asarray(g)
    state = [jnp.asarray(w)]
    state.append(update.init(state[0]))

    @partial(jax.jit, donate_argnums=(0, 1))
    def one(w, slots, g):
        change, slots = update.update(g, slots, w)
        return optax.apply_updates(w, change), slots

    def run():
        state[:] = one(*state, gradient)

    return bench.Work(run, wait=lambda: jax.block_until_ready(state))
