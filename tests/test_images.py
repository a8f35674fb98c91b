"""Laws 1 to 3 for ops on images: equal the float64 reference, right gradients, equal bytes.

Images are reached through small graphs. Gradients of the input are those of a parameter that is
added to it, so they are sums over the samples. `test_isa.py` runs this file again for every
instruction set.
"""

import cases
import engine
import numpy as np
import pytest
import reference
import steep
from bounds import draw, within
from cases import TINY, UNIT
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from steep.optimizers import SGD

ONES = (1, 1)

every_precision = pytest.mark.parametrize("precision", cases.PRECISIONS)
generated = settings(max_examples=60, deadline=None, derandomize=True)


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


def paddings(high):
    return st.tuples(*[st.integers(0, high)] * 4)


def images(seed, precision, shape, samples=3):
    """Three samples: a batch that no block of samples divides."""
    return draw(seed, samples, *shape, precision=precision)


def learned(build, shape, precision, weights=None):
    """Return the network of build(graph, image + p), p of the image's size and 0."""
    size = int(np.prod(shape))

    def whole(graph, x):
        moved = graph.add_row(x, graph.parameter("p", (size,), False))
        return flat(graph, build(graph, graph.reshape(moved, shape)))

    weights = {"p": np.zeros(size), **(weights or {})}
    return engine.network(whole, (size,), precision=precision, weights=weights)


def flat(graph, y):
    return graph.reshape(y, (int(np.prod(graph.shape(y))),))


def gradients(net, x, target):
    """Return (loss, gradients) of sum over samples of mean (y - target)^2."""
    rows = x.reshape(len(x), -1)
    goal = np.ascontiguousarray(target.reshape(len(x), -1), net.precision)
    return engine.session(net, mean=False).gradients([rows], goal, None, 0.0, 0.0)


def slope(y, target):
    return 2 * (y - target) / y[0].size


def wide(*arrays):
    return [np.asarray(a, np.float64) for a in arrays]


def rounded(precision, roundings, size):
    return roundings * UNIT[precision] * size + 4 * TINY[precision]


def largest(*arrays):
    """Return the largest product of magnitudes."""
    return np.prod([np.abs(a).max() for a in arrays], dtype=np.float64)


def fits(size, kernel, padding, dilation):
    """Say whether the image, padded, holds a whole window."""
    around = padding[:2], padding[2:]
    return all(
        n + sum(p) > (k - 1) * d for n, k, p, d in zip(size, kernel, around, dilation, strict=True)
    )


# ---- Convolution. `size` stands for the same formula over magnitudes, which bounds every rounding
# of a sum of products by its number of terms (Higham 2002, section 3.1). ----


def conv(
    precision, *, shape, kernel, stride, padding, dilation, groups, filters, bias, seed,
    tiles=False, samples=3,
):  # fmt: skip
    """Compare one convolution with the reference.

    tiles: a result may carry the rounding of pixels beside its window, as Winograd's do; the bound
    is that of a window of the largest pixels and weights, and (8/3)^2/9 (C + 10)/C < 4/3 times it.
    """
    x = images(seed, precision, shape, samples)
    w = draw(seed + 1, *kernel, shape[2] // groups, filters, precision=precision)
    b = draw(seed + 2, filters, precision=precision) * bias
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def build(graph, image):
        weight = graph.parameter("w", w.shape, True)
        row = graph.parameter("b", b.shape, False) if bias else -1
        return graph.conv2d(image, weight, row, **options)

    weights = {"w": w, "b": b} if bias else {"w": w}
    got = engine.forward(build, x, precision=precision, weights=weights)
    X, W, B = wide(x, w, b)
    want = reference.conv2d(X, W, B, **options)
    size = reference.conv2d(np.abs(X), np.abs(W), np.abs(B), **options)
    terms = w[..., 0].size + 2
    if tiles:
        terms, size = 4 / 3 * terms, np.full_like(size, w[..., 0].size * largest(x, w))
    within(got, want, rounded(precision, terms, size))

    target = draw(seed + 3, *want.shape, precision=precision)
    _, found = gradients(learned(build, shape, precision, weights), x, target)
    dx, dw, db = reference.conv2d_grad(X, W, slope(want, target), **options)
    above = 2 * (size + np.abs(target)) / want[0].size
    sizes = reference.conv2d_grad(np.abs(X), np.abs(W), above, **options)
    if tiles:
        to_x, to_w = w[:, :, 0].size * largest(w, above), want[..., 0].size * largest(x, above)
        sizes = np.full_like(sizes[0], to_x), np.full_like(sizes[1], to_w), sizes[2]
    # of dy, then of a sum over taps and filters, or over samples and pixels
    to_input = rounded(precision, terms + w[:, :, 0].size + 5 + samples, sizes[0].sum(axis=0))
    to_weight = rounded(precision, terms + want[..., 0].size + 8, sizes[1])
    within(found["p"].reshape(shape), dx.sum(axis=0), to_input)
    within(found["w"], dw, to_weight)
    if bias:
        within(found["b"], db, rounded(precision, terms + want[..., 0].size + 8, sizes[2]))


@every_precision
@generated
@given(
    size=pairs(1, 13),
    kernel=pairs(1, 7),
    stride=pairs(1, 3),
    padding=paddings(3),
    dilation=pairs(1, 2),
    per_group=pairs(1, 40),
    groups=st.sampled_from([1, 1, 2, 3]),
    bias=st.booleans(),
    seed=st.integers(0, 999),
)
def test_convolution(precision, size, per_group, groups, **options):
    assume(fits(size, options["kernel"], options["padding"], options["dilation"]))
    channels, filters = (n if groups == 1 else n // groups * groups or groups for n in per_group)
    conv(precision, shape=(*size, channels), filters=filters, groups=groups, **options)


@every_precision
@generated
@given(
    size=pairs(1, 17),
    kernel=pairs(1, 7),
    stride=pairs(1, 3),
    padding=paddings(3),
    dilation=pairs(1, 2),
    channels=st.integers(2, 40) | st.sampled_from([48, 64, 65, 100]),
    bias=st.booleans(),
    seed=st.integers(0, 999),
)
def test_depthwise_convolution(precision, size, channels, **options):
    assume(fits(size, options["kernel"], options["padding"], options["dilation"]))
    shape = (*size, channels)
    conv(precision, shape=shape, filters=channels, groups=channels, **options)


@every_precision
@pytest.mark.parametrize("samples", [1, 3, 63, 64, 65, 130])
@pytest.mark.parametrize("channels", [2, 15, 16, 17, 33, 63, 64, 65, 130])
def test_depthwise_convolution_of_one_pixel(precision, samples, channels):
    shape = (1, 1, channels)
    conv(
        precision,
        shape=shape,
        kernel=ONES,
        stride=ONES,
        padding=(0, 0, 0, 0),
        dilation=ONES,
        groups=channels,
        filters=channels,
        bias=True,
        seed=samples,
        samples=samples,
    )


@every_precision
@pytest.mark.parametrize("padding", [(1, 0, 1, 0), (0, 1, 0, 1)])
def test_depthwise_convolution_that_meets_the_padding_beside_one_pixel(precision, padding):
    options = {"kernel": ONES, "stride": (2, 2), "dilation": ONES, "bias": True, "seed": 5}
    conv(precision, shape=(1, 1, 7), padding=padding, groups=7, filters=7, **options)


@every_precision
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("channels", [(1, 6), (3, 16), (6, 16), (16, 32), (40, 8)])
def test_convolution_of_published_shapes(precision, kernel, channels):
    pad = (kernel // 2,) * 4
    for stride in (1, 2):
        conv(
            precision,
            shape=(15, 14, channels[0]),
            kernel=(kernel, kernel),
            stride=(stride, stride),
            padding=pad,
            dilation=ONES,
            groups=1,
            filters=channels[1],
            bias=True,
            seed=kernel,
        )


# ---- Pools. ----

POOLS = {
    "size": pairs(1, 19),
    "kernel": pairs(1, 7),
    "stride": pairs(1, 3),
    "padding": paddings(3),
    "channels": st.integers(1, 40) | st.sampled_from([64, 96, 100]),
    "seed": st.integers(0, 999),
}


def pool_of(kernel, size, padding):
    """Padding stays below the window, so that every window meets the image."""
    top, bottom, left, right = padding
    padding = (*(min(p, kernel[0] - 1) for p in (top, bottom)),
               *(min(p, kernel[1] - 1) for p in (left, right)))  # fmt: skip
    assume(fits(size, kernel, padding, ONES))
    return padding


@every_precision
@generated
@given(**POOLS, ties=st.booleans())
def test_max_pool(precision, *, size, kernel, stride, padding, channels, seed, ties):
    padding = pool_of(kernel, size, padding)
    x = images(seed, precision, (*size, channels))
    x = np.round(2 * x).astype(precision) if ties else x

    def build(graph, image):
        return graph.max_pool(image, kernel, stride, padding)

    want = reference.max_pool(*wide(x), kernel, stride, padding)
    np.testing.assert_array_equal(engine.forward(build, x, precision=precision), want)
    target = draw(seed + 1, *want.shape, precision=precision)
    _, found = gradients(learned(build, x.shape[1:], precision), x, target)
    dy = slope(want, target)
    dx = reference.max_pool_grad(*wide(x), dy, kernel, stride, padding)
    above = reference.max_pool_grad(*wide(x), np.abs(dy), kernel, stride, padding).sum(axis=0)
    # y - target may cancel: its rounding is one of the result, so only products and sums count
    within(found["p"].reshape(above.shape), dx.sum(axis=0), rounded(precision, 60, above))


@every_precision
def test_max_pool_lets_nan_win_and_infinity_pass(precision):
    x = images(0, precision, (9, 8, 21))
    random = np.random.default_rng(1)
    x[random.random(x.shape) < 0.05] = np.nan
    x[random.random(x.shape) < 0.05] = np.inf
    x[random.random(x.shape) < 0.5] = -np.inf
    for stride in (1, 2, 3):
        options = (3, 3), (stride, stride), (1, 1, 1, 1)
        got = engine.forward(lambda g, x, o=options: g.max_pool(x, *o), x, precision=precision)
        np.testing.assert_array_equal(got, reference.max_pool(*wide(x), *options))


@every_precision
@generated
@given(**POOLS, count_padding=st.booleans())
def test_avg_pool(precision, *, size, kernel, stride, padding, channels, seed, count_padding):
    padding = pool_of(kernel, size, padding)
    options = {"padding": padding, "count_padding": count_padding}
    x = images(seed, precision, (*size, channels))

    def build(graph, image):
        return graph.avg_pool(image, kernel, stride, padding, count_padding)

    want = reference.avg_pool(*wide(x), kernel, stride, **options)
    most = reference.avg_pool(np.abs(*wide(x)), kernel, stride, **options)
    terms = sum(kernel) + 4  # summed row by row, then the share
    got = engine.forward(build, x, precision=precision)
    within(got, want, rounded(precision, terms, most))
    target = draw(seed + 1, *want.shape, precision=precision)
    _, found = gradients(learned(build, x.shape[1:], precision), x, target)
    dx = reference.avg_pool_grad(*wide(x), slope(want, target), kernel, stride, **options)
    above = 2 * (most + np.abs(target)) / want[0].size
    above = reference.avg_pool_grad(*wide(x), above, kernel, stride, **options).sum(axis=0)
    roundings = terms + kernel[0] * kernel[1] + 8
    within(found["p"].reshape(above.shape), dx.sum(axis=0), rounded(precision, roundings, above))


@every_precision
@pytest.mark.parametrize("shape", [(1, 1, 5), (7, 7, 33), (8, 8, 64), (64, 3, 6)])
def test_global_avg_pool(precision, shape):
    x = images(0, precision, shape)
    got = engine.forward(
        lambda g, x: g.reshape(g.avg_pool(x, shape[:2], ONES, (0,) * 4, False), shape[2:]),
        x,
        precision=precision,
    )
    want, most = (a.mean(axis=(1, 2)) for a in (*wide(x), np.abs(*wide(x))))
    within(got, want, rounded(precision, sum(shape[:2]) + 4, most))


# ---- Normalisation. ----

NORMED = [(1, 1, 1), (3, 5, 6), (4, 4, 16), (7, 6, 24), (16, 16, 3), (5, 5, 40), (9, 7, 65), (19,)]
EPS = 1e-5


def normed(shape, precision, seed, momentum=0.9):
    """Return (build, its parameters): running statistics away from those of any batch."""
    c = shape[-1]
    values = {
        "gain": draw(seed, c, precision=precision, low=0.5, high=1.5),
        "shift": draw(seed + 1, c, precision=precision),
        "mean": draw(seed + 2, c, precision=precision),
        "var": draw(seed + 3, c, precision=precision, low=0.5, high=2.0),
    }

    def build(graph, x):
        gain, shift = (graph.parameter(n, (c,), False) for n in ("gain", "shift"))
        mean, var = (graph.parameter(n, (c,), False, False) for n in ("mean", "var"))
        return graph.batch_norm(x, gain, shift, mean, var, momentum, EPS)

    return build, values


@every_precision
@pytest.mark.parametrize("shape", NORMED)
def test_batch_norm_predicts_with_running_statistics(precision, shape):
    build, values = normed(shape, precision, 3)
    x = images(0, precision, shape)
    got = engine.forward(build, x, precision=precision, weights=values)
    X, gain, shift, mean, var = wide(x, *values.values())
    factor = gain / np.sqrt(var + EPS)
    want = (X - mean) * factor + shift
    within(got, want, rounded(precision, 12, np.abs(X - mean) * factor + np.abs(shift) + 1))


@every_precision
@pytest.mark.parametrize("shape", NORMED)
def test_batch_norm_trains_with_those_of_the_batch(precision, shape):
    build, values = normed(shape, precision, 5)
    x = images(1, precision, shape)
    X, gain, shift = wide(x, values["gain"], values["shift"])
    target = draw(2, *x.shape, precision=precision)
    net = learned(build, shape, precision, values)
    loss, found = gradients(net, x, target)

    y = reference.batch_norm(X, gain, shift, EPS)
    assert set(found) == {"p", "gain", "shift"}
    count = x.size // shape[-1]
    unit = (count + 32) * UNIT[precision]  # sums over the batch, twice, and what is made of them
    assert loss == pytest.approx(
        ((y - target) ** 2).reshape(3, -1).mean(axis=1).sum(), rel=8 * unit
    )
    dx, dgain, dshift = reference.batch_norm_grad(X, gain, slope(y, target), EPS)
    axes = tuple(range(x.ndim - 1))
    mean, variance = reference.moments(X)
    root = np.sqrt(variance + EPS)
    z = np.abs((X - mean) / root) + np.abs(X).max() / root  # what the rounding of a mean moves
    dy = 2 * (z * gain + np.abs(shift) + np.abs(target)) / y[0].size
    moved = gain / root * (dy + dy.mean(axis=axes) + z * (dy * z).mean(axis=axes))
    within(found["p"].reshape(shape), dx.sum(axis=0), 4 * unit * moved.sum(axis=0))
    within(found["gain"], dgain, 4 * unit * (dy * z).sum(axis=axes))
    within(found["shift"], dshift, 4 * unit * dy.sum(axis=axes))


@every_precision
@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_running_statistics_follow_the_batches(precision, momentum):
    """The variance is the unbiased one, and no rule touches either."""
    shape = (5, 4, 19)
    build, values = normed(shape, precision, 7, momentum)
    x = images(1, precision, shape)
    net = engine.network(
        lambda g, x: flat(g, build(g, x)), shape, precision=precision, weights=values
    )
    running = engine.session(net)
    running.set_data([x], np.zeros((3, x[0].size), precision), None, 3, False)
    engine.train(running, engine.table(SGD(0.1), 2), 1)
    mean, variance = reference.moments(*wide(x))
    count = x.size // shape[-1]
    want = {"mean": mean, "var": variance * count / (count - 1)}
    for name, batch in want.items():
        value = values[name].astype(np.float64)
        for _ in range(2):  # steps
            value = reference.running(value, batch, momentum)
        within(net.get(name), value, rounded(precision, count + 16, 2.0))


def test_local_response_norm_of_an_even_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="expects an odd size"):
        engine.network(lambda graph, x: graph.lrn(x, 4, 1e-4, 0.75, 2.0), (3, 2, 16))


@every_precision
@pytest.mark.parametrize("size", [1, 3, 5, 9, 99])
@pytest.mark.parametrize("channels", [1, 3, 16, 40, 96, 300])
def test_local_response_norm(precision, size, channels):
    shape, (alpha, beta, bias) = (3, 2, channels), (0.25, 0.75, 2.0)
    options = {"size": size, "alpha": alpha, "beta": beta, "bias": bias}
    x = draw(size, 3, *shape, precision=precision, low=-3, high=3)

    def build(graph, image):
        return graph.lrn(image, size, alpha, beta, bias)

    X = x.astype(np.float64)
    want = reference.lrn(X, **options)
    roundings = min(size, channels) + 24  # the sum of squares, log and exp
    got = engine.forward(build, x, precision=precision)
    within(got, want, rounded(precision, roundings, np.abs(want)))
    target = draw(size + 1, *want.shape, precision=precision)
    _, found = gradients(learned(build, shape, precision), x, target)
    dx = reference.lrn_grad(X, slope(want, target), **options)
    base = bias + alpha * reference.neighbours(X * X, size)
    dy = 2 * (np.abs(want) + np.abs(target)) / want[0].size
    around = reference.neighbours(dy * np.abs(X) * base ** (-beta - 1), size)
    above = dy * base**-beta + 2 * alpha * beta * np.abs(X) * around
    within(
        found["p"].reshape(shape), dx.sum(axis=0), rounded(precision, 3 * roundings, above.sum(0))
    )


# ---- Padding and joining: copies, so no rounding. ----


@every_precision
def test_zero_pad_and_concat_copy(precision):
    x = images(0, precision, (4, 5, 7))
    around = ((1, 2), (0, 3), (2, 15))
    got = engine.forward(lambda g, x: g.zero_pad(x, *around), x, precision=precision)
    np.testing.assert_array_equal(got, np.pad(x, ((0, 0), *around)))
    got = engine.forward(
        lambda g, x: g.concat([x, g.affine(x, 2.0, 0.0), x]), x, precision=precision
    )
    np.testing.assert_array_equal(got, np.concatenate([x, 2 * x, x], axis=3))


# ---- Law 2: whole networks against central differences. ----


def filters(graph, x, name, kernel, *, count, groups=1):
    shape = (*kernel, graph.shape(x)[2] // groups, count)
    return graph.parameter(name, shape, True)


def small(graph, x):
    """Return a network with every op on images, and fan-out where gradients must accumulate."""
    x = graph.conv2d(x, filters(graph, x, "w", (3, 3), count=6), -1, ONES, (1, 1, 1, 1))
    build, _ = normed(graph.shape(x), "float64", 0)
    x = graph.activation(build(graph, x), "tanh")
    y = graph.conv2d(
        x, filters(graph, x, "d", (3, 2), count=6, groups=6), -1, ONES, (1, 1, 1, 0), ONES, 6
    )
    x = graph.concat([graph.add(graph.lrn(x, 3, 0.5, 0.75, 1.0), y), x])
    x = graph.add(
        graph.max_pool(x, (3, 3), (2, 2), (1, 1, 1, 1)),
        graph.avg_pool(x, (2, 2), (2, 2), (0, 1, 0, 1), False),
    )
    x = graph.zero_pad(x, (0, 1), (1, 0), (0, 2))
    x = graph.conv2d(x, filters(graph, x, "v", (2, 2), count=5), graph.parameter("b", (5,), False))
    return graph.reshape(graph.avg_pool(x, graph.shape(x)[:2], ONES, (0,) * 4, False), (5,))


def test_gradients_of_a_network_equal_central_differences():
    net = engine.network(small, (5, 5, 2), precision="float64")
    random = np.random.default_rng(1)
    for name, shape in net.parameters():
        net.set(name, random.uniform(0.5, 1.5, shape) if name == "gain" else
                random.standard_normal(shape) * 0.5 + (name == "var"))  # fmt: skip
    x, y = random.standard_normal((4, 5, 5, 2)), random.standard_normal((4, 5))
    session = engine.session(net)
    assert all(g.any() for g in session.gradients([x], y, None, 0.0, 0.0)[1].values())
    assert engine.differences(net, session, ([x], y)) < 1e-7


# ---- Law 3: equal bytes, whatever the number of threads. ----


def trained(threads, channels):
    def build(graph, x):
        x = graph.conv2d(x, filters(graph, x, "w", (3, 3), count=24), -1, ONES, (1, 1, 1, 1))
        x = graph.activation(normed(graph.shape(x), "float32", 0)[0](graph, x), "relu")
        x = graph.max_pool(x, (2, 2), (2, 2), (0,) * 4)
        deep = filters(graph, x, "d", (3, 3), count=24, groups=24)
        x = graph.conv2d(x, deep, -1, ONES, (1, 1, 1, 1), ONES, 24)
        x = graph.avg_pool(x, (3, 3), (2, 2), (1, 1, 1, 1), False)
        x = flat(graph, x)
        return graph.matmul(x, graph.parameter("v", (graph.shape(x)[0], 10), True))

    net = engine.network(build, (15, 14, channels))
    random = np.random.default_rng(2)
    for name, shape in net.parameters():
        value = 0.1 * random.standard_normal(shape) + (len(shape) == 1)  # variances near 1
        net.set(name, value.astype(np.float32))
    x = random.standard_normal((70, 15, 14, channels)).astype(np.float32)
    with steep.threads(threads):
        running = engine.session(net, "cross_entropy")
        running.set_data([x], random.integers(0, 10, 70), None, 32, True)
        _, losses = engine.train(running, engine.table(SGD(0.1), 9), 3)
        outputs = net.predict([x], 32)[0]
    assert np.isfinite(losses).all()
    return engine.weights(net), losses.tobytes(), outputs.tobytes()


@pytest.mark.parametrize("channels", [1, 3, 16, 24])
def test_threads_change_no_bit_of_images(channels):
    alone = trained(1, channels)
    for threads in (2, 3, 8):
        assert trained(threads, channels) == alone, f"{threads} threads"
