"""JAX's side of the cases of more than one loss, or of noise or a graph: jitted steps and scans."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rivals import UnsupportedError


def prepare(case, variant, bench):
    """Prepare a training step; weights and slots are donated. Of scans, an epoch is one call."""
    arrays, weights = bench.task_data(case)
    if case.name not in MAKERS:
        raise UnsupportedError(f"no {variant} variant of {case.name}")
    batches, loss = MAKERS[case.name](case, arrays)
    update = optax.adam(case.lr)
    start = [jnp.asarray(w) for w in weights]
    state = [start, update.init(start), jax.random.PRNGKey(0)]
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *batches)

    def body(weights, slots, key, batch):
        key, use = jax.random.split(key)
        gradients = jax.grad(loss)(weights, use, batch, True)
        changes, slots = update.update(gradients, slots)
        return optax.apply_updates(weights, changes), slots, key

    one = jax.jit(body, donate_argnums=(0, 1, 2))
    rounds = case.epochs if case.batches == 1 else 1  # of a graph, whose epoch is one step

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def epoch(weights, slots, key):
        def inner(carry, batch):
            return body(*carry, batch), None

        if case.batches > 1:
            return jax.lax.scan(inner, (weights, slots, key), stacked)[0]
        start = weights, slots, key
        return jax.lax.fori_loop(0, rounds, lambda _, c: body(*c, batches[0]), start)

    for i in range(bench.CHECK_STEPS):
        state[:] = one(*state, batches[i % len(batches)])
    check = float(loss(state[0], jax.random.PRNGKey(1), batches[0], False))

    def run_scan():
        for _ in range(case.epochs // rounds):
            state[:] = epoch(*state)

    def run_steps():
        for _ in range(case.epochs):
            for batch in batches:
                state[:] = one(*state, batch)

    run = run_scan if variant == "jax-scan" else run_steps
    units = case.batches * case.epochs
    return bench.Work(run, units, lambda: jax.block_until_ready(state), check)


def split(array, size):
    """Return the batches of an array."""
    return [jnp.asarray(array[i : i + size]) for i in range(0, len(array), size)]


def two_heads(case, arrays):
    """Return the batches (x, label, box) and the loss."""
    parts = [split(arrays[name], case.batch) for name in ("x", "label", "box")]

    def loss(weights, _, batch, __):
        w1, b1, w2, b2, w3, b3, w4, b4 = weights
        x, label, box = batch
        h = jax.nn.relu(jax.nn.relu(x @ w1 + b1) @ w2 + b2)
        labels = optax.softmax_cross_entropy_with_integer_labels(h @ w3 + b3, label)
        return labels.mean() + 2 * optax.huber_loss(h @ w4 + b4, box).mean()

    return list(zip(*parts, strict=True)), loss


def vae(case, arrays):
    """Return the batches and minus the bound."""

    def loss(weights, key, x, _):
        w1, b1, w2, b2, w3, b3, w4, b4 = weights
        mean, spread = jnp.split(jax.nn.relu(x @ w1 + b1) @ w2 + b2, 2, 1)
        z = mean + jnp.exp(0.5 * spread) * jax.random.normal(key, mean.shape)
        logits = jax.nn.relu(z @ w3 + b3) @ w4 + b4
        pixels = optax.sigmoid_binary_cross_entropy(logits, x).sum()
        return (pixels - 0.5 * (1 + spread - mean * mean - jnp.exp(spread)).sum()) / x.shape[0]

    return split(arrays["x"], case.batch), loss


def gcn(_, arrays):
    """Return the one batch and its loss; features are gathered, sparse, or multiplied, dense."""
    nodes, edges = len(arrays["y"]), arrays["edges"]
    to = np.concatenate([edges[:, 0], edges[:, 1], np.arange(nodes)])
    come = np.concatenate([edges[:, 1], edges[:, 0], np.arange(nodes)])
    degree = np.bincount(to, minlength=nodes)
    order = np.argsort(to, kind="stable")
    to, come = to[order], come[order]
    value = jnp.asarray(1 / np.sqrt(degree[to] * degree[come]), jnp.float32)[:, None]
    to, come = jnp.asarray(to), jnp.asarray(come)
    known = np.flatnonzero(arrays["y"] >= 0)
    y = jnp.asarray(arrays["y"][known])
    row, column = np.nonzero(arrays["x"])
    factor = jnp.asarray(arrays["x"][row, column])[:, None]
    row, column = jnp.asarray(row), jnp.asarray(column)

    def add(x, rows):
        return jax.ops.segment_sum(x, rows, nodes, indices_are_sorted=True)

    def loss(weights, key, _, training):
        w1, b1, w2, b2 = weights
        h = add(value * add(factor * w1[column], row)[come], to)
        h = jax.nn.relu(h + b1)
        if training:
            h = jnp.where(jax.random.bernoulli(key, 0.5, h.shape), 2 * h, 0)
        z = add(value * (h @ w2)[come], to) + b2
        return optax.softmax_cross_entropy_with_integer_labels(z[known], y).mean()

    return [jnp.zeros(1)], loss


def lstm(u):
    """Return a step of an LSTM with the product of x given."""

    def step(state, a):
        h, c = state
        i, f, g, o = jnp.split(a + h @ u, 4, 1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return step


def characters(case, arrays):
    """Return the batches (x, y) and the mean over all positions."""
    parts = [split(arrays[name], case.batch) for name in ("x", "y")]

    def loss(weights, _, batch, __):
        table, w, u, bias, head, last = weights
        x, y = batch
        start = jnp.zeros((x.shape[0], u.shape[0]), jnp.float32)
        given = jnp.swapaxes(table[x] @ w + bias, 0, 1)
        _, h = jax.lax.scan(lstm(u), (start, start), given)
        z = jnp.swapaxes(h, 0, 1) @ head + last
        return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()

    return list(zip(*parts, strict=True)), loss


def series(case, arrays):
    """Return the batches (x, y) and the loss of a scan over the steps."""
    parts = [split(arrays[name], case.batch) for name in ("x", "y")]

    def gru(u, second):
        def step(state, a):
            h = state[0]
            ar, az, an = jnp.split(a, 3, 1)
            hr, hz, hn = jnp.split(h @ u + second, 3, 1)
            z = jax.nn.sigmoid(az + hz)
            n = jnp.tanh(an + jax.nn.sigmoid(ar + hr) * hn)
            return ((1 - z) * n + z * h, h), None

        return step

    def loss(weights, _, batch, __):
        w, u, bias, *second, head, last = weights
        x, y = batch
        start = jnp.zeros((x.shape[0], u.shape[0]), jnp.float32)
        step = gru(u, second[0]) if second else lstm(u)
        (h, _), _ = jax.lax.scan(step, (start, start), jnp.swapaxes(x @ w + bias, 0, 1))
        z = h @ head + last
        if z.shape[1] == 1:
            return ((z - y) ** 2).mean()
        return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()

    return list(zip(*parts, strict=True)), loss


def gpt(case, arrays):
    """Return the batches (x, y) and the mean over all positions."""
    heads, depth = 4, 4

    def norm(x, weight, bias):
        x = x - x.mean(-1, keepdims=True)
        return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight + bias

    def block(x, given):
        w1, b1, qkv, b2, out, b3, w4, b4, up, b5, down, b6 = given
        parts = jnp.split(norm(x, w1, b1) @ qkv + b2, 3, -1)
        q, k, v = (p.reshape(*x.shape[:2], heads, -1) for p in parts)
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape)
        x = x + y @ out + b3
        return x + jax.nn.gelu(norm(x, w4, b4) @ up + b5, approximate=False) @ down + b6

    def loss(weights, _, batch, __):
        x, y = batch
        tokens, positions = weights[:2]
        h = tokens[x] + positions
        for k in range(depth):
            h = block(h, weights[2 + 12 * k : 14 + 12 * k])
        logits = norm(h, *weights[-2:]) @ tokens.T
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    parts = [split(arrays[name], case.batch) for name in ("x", "y")]
    return list(zip(*parts, strict=True)), loss


MAKERS = {"two_heads": two_heads, "vae_mnist": vae, "gcn_cora": gcn, "gpt_tiny": gpt,
          "lstm_rows": series, "gru_long": series, "char_lstm": characters}  # fmt: skip
