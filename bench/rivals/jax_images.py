"""JAX's side of the cases over images, (N, H, W, C): jitted and scanned steps, single passes."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax import lax

from rivals import UnsupportedError

ORDER = ("NHWC", "HWIO", "NHWC")
KEEP, EPS = 0.9, 1e-5  # of batch normalisation
ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "": lambda x: x}


def pool(x, kind, size):
    """Pool square windows side by side."""
    window = (1, size, size, 1)
    if kind == "max":
        return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
    return lax.reduce_window(x, 0.0, lax.add, window, window, "VALID") / size**2


class Forward:
    """One forward pass, which takes parameters and running statistics in order."""

    def __init__(self, trained, running, training, bench):
        self.trained, self.running = iter(trained), iter(running)
        self.training, self.bench = training, bench
        self.new = []  # running statistics after the pass

    def net(self, layers, x):
        """Return what the layers make of x."""
        for layer in layers:
            x = self.layer(layer, x)
        return x

    def layer(self, layer, x):
        """Return what one layer makes of x."""
        if isinstance(layer, self.bench.Residual):
            y = self.net(self.bench.branch(layer), x)
            x = x[:, :: layer.stride, :: layer.stride]
            more = y.shape[-1] - x.shape[-1]
            return jax.nn.relu(y + jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, more))))
        if isinstance(layer, self.bench.Pool2D):
            return pool(x, layer.kind, layer.size)
        if isinstance(layer, self.bench.Conv2D):
            edge = [(layer.padding, layer.padding)] * 2
            strides, weight = (layer.stride, layer.stride), next(self.trained)
            x = lax.conv_general_dilated(x, weight, strides, edge, dimension_numbers=ORDER)
            x = self.normalise(x) if layer.norm else x + next(self.trained)
        elif isinstance(layer, self.bench.Dense):
            x = x.reshape(x.shape[0], -1) @ next(self.trained) + next(self.trained)
        else:
            return x.mean((1, 2))
        return ACTIVATIONS[layer.activation](x)

    def normalise(self, x):
        """Normalise over samples and pixels."""
        scale, shift = next(self.trained), next(self.trained)
        mean, variance = next(self.running), next(self.running)
        if self.training:
            count = x.size // x.shape[-1]
            batch = x.mean((0, 1, 2))
            spread = jnp.square(x - batch).mean((0, 1, 2))
            self.new.append(KEEP * mean + (1 - KEEP) * batch)
            self.new.append(KEEP * variance + (1 - KEEP) * spread * (count / (count - 1)))
            mean, variance = batch, spread
        return (x - mean) * lax.rsqrt(variance + EPS) * scale + shift


def split(case, weights, bench):
    """Return the trained parameters, and the running means and variances."""
    arrays, trained, running = map(jnp.asarray, weights), [], []
    for one in bench.products(case.net, case.shape):
        trained += [next(arrays) for _ in range(2 + one.norm)]
        running += [next(arrays) for _ in range(2 * one.norm)]
    return trained, running


def step(case, variant, bench):
    """Prepare a training step; weights, statistics and slots are donated."""
    if variant == "jax-scan" and case.flops > 1e9:
        raise UnsupportedError(f"{case.name}: convolutions inside of a scan take minutes")
    x, y, weights = bench.image_data(case)
    xs = jnp.asarray(x.reshape(case.batches, case.batch, *case.shape))
    ys = jnp.asarray(y.reshape(case.batches, case.batch), jnp.int32)
    update = optax.sgd(bench.IMAGE_LEARNING_RATE, momentum=0.9)
    trained, running = split(case, weights, bench)
    state = [trained, running, update.init(trained)]

    def loss(trained, running, x, y, training=True):
        forward = Forward(trained, running, training, bench)
        logits = forward.net(case.net, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), forward.new

    def body(trained, running, slots, x, y):
        gradients, running = jax.grad(loss, has_aux=True)(trained, running, x, y)
        changes, slots = update.update(gradients, slots)
        return optax.apply_updates(trained, changes), running, slots

    one = jax.jit(body, donate_argnums=(0, 1, 2))
    batches = [(xs[i], ys[i]) for i in range(case.batches)]

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def epoch(trained, running, slots, xs, ys):
        def inner(carry, batch):
            return body(*carry, *batch), None

        return lax.scan(inner, (trained, running, slots), (xs, ys))[0]

    def steps(count):
        if variant == "jax-scan":
            state[:] = epoch(*state, xs[:count], ys[:count])
            return
        for x, y in batches[:count]:
            state[:] = one(*state, x, y)

    def run():
        for _ in range(case.epochs):
            steps(case.batches)

    few = min(bench.CHECK_STEPS, case.batches)
    for _ in range(bench.CHECK_STEPS // few):
        steps(few)
    check = float(jax.jit(partial(loss, training=False))(*state[:2], *batches[0])[0])
    units = case.batches * case.epochs
    return bench.Work(run, units, lambda: jax.block_until_ready(state), check)


def convolution(case, bench):
    """Prepare one pass alone, jitted; the gradients are those of JAX."""
    x, w, dy = (jnp.asarray(array) for array in bench.convolution_data(case))

    def conv(x, w):
        return lax.conv_general_dilated(
            x,
            w,
            (case.stride, case.stride),
            [(case.padding, case.padding)] * 2,
            dimension_numbers=ORDER,
            feature_group_count=case.groups,
        )

    call, given = {
        "forward": (conv, (x, w)),
        "backward_data": (lambda w, dy: jax.vjp(lambda x: conv(x, w), x)[1](dy)[0], (w, dy)),
        "backward_weights": (lambda x, dy: jax.vjp(lambda w: conv(x, w), w)[1](dy)[0], (x, dy)),
    }[case.direction]
    compiled = jax.jit(call)
    last = [compiled(*given)]

    def run():
        last[0] = compiled(*given)

    check = float(jnp.square(last[0]).mean())
    return bench.Work(run, wait=lambda: jax.block_until_ready(last), check=check)
