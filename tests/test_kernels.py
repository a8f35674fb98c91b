"""Law 1: every kernel equals the float64 reference within a named bound, at every edge size.

Kernels are reached as users reach them, through small graphs. `test_isa.py` runs this file again
for every instruction set. Losses, rules and sums are in
`test_kernels_rows.py`.
"""

import cases
import engine
import numpy as np
import pytest
import reference
from bounds import draw, matmul, sum_bound, within
from cases import EDGES, TINY, UNIT
from steep import _core

PAIRS = [(rows, width) for rows in EDGES for width in EDGES]


@pytest.fixture(params=cases.PRECISIONS)
def precision(request):
    return request.param


@pytest.mark.parametrize("bias", [False, True])
def test_matmul(precision, bias):
    for k, (rows, n) in enumerate(PAIRS):
        m = EDGES[(k * 5) % len(EDGES)]
        x, w, b = (draw(k, *s, precision=precision) for s in ((rows, n), (n, m), (m,)))
        weights = {"w": w, "b": b} if bias else {"w": w}
        got = engine.forward(
            lambda g, x, n=n, m=m: matmul(g, x, n, m, bias), x, precision=precision, weights=weights
        )
        x, w, b = (a.astype(np.float64) for a in (x, w, b if bias else np.zeros(m)))
        within(got, x @ w + b, sum_bound(precision, n + 1, np.abs(x) @ np.abs(w) + np.abs(b)))


@pytest.mark.parametrize("transpose", [(False, False), (False, True), (True, False), (True, True)])
def test_gemm(precision, transpose):
    for k, (m, n) in enumerate(PAIRS):
        depth = EDGES[(k * 7) % len(EDGES)]
        a = draw(k, m, depth, precision=precision)
        b = draw(k + 1, depth, n, precision=precision)
        out = np.full((m, n), np.nan, precision)
        given = [
            np.ascontiguousarray(x.T) if t else x for x, t in zip((a, b), transpose, strict=True)
        ]
        _core.gemm(*given, out, *transpose)
        a, b = a.astype(np.float64), b.astype(np.float64)
        within(out, a @ b, sum_bound(precision, depth, np.abs(a) @ np.abs(b)))


def activation_inputs(row, rows, width, precision, seed=0):
    """Return values over the whole domain of f, zeros and the smallest steps around them."""
    x = draw(seed, rows, width, precision=precision, low=row.low, high=row.high)
    if row.low < 0:
        x[:, 0] = 0.0
        x[rows // 2 :] *= np.asarray(1e-3, precision)
    return x


# Where f is tried besides: as far as float32 reaches, and float64.
WIDE = {
    "exp": (-87, 88, -708, 709),
    "tanh": (-12, 12, -25, 25),
    "elu": (-20, 1, -45, 1),
    "softplus": (-87, 88, -708, 709),
    "sigmoid": (-87, 88, -708, 709),
    "log": (2.0**-126, 2.0**127, 2.0**-1022, 2.0**1023),
}


@pytest.mark.parametrize("name", WIDE)
def test_powers_and_logarithms_over_their_whole_range(precision, name):
    """Within four units in the last place; NaN, infinities and zeros as they should be."""
    row = cases.ACTIVATIONS[name]
    low, high = WIDE[name][:2] if precision == "float32" else WIDE[name][2:]
    random = np.random.default_rng(3)
    x = random.uniform(low, high, (64, 129))
    if name == "log":
        x = np.exp2(random.uniform(np.log2(low), np.log2(high), x.shape))
        x[:8] = random.uniform(0.99, 1.01, (8, 129))
    else:
        x[:8] = random.uniform(-1, 1, (8, 129)) * np.exp2(-random.uniform(0, 60, (8, 129)))
    x = x.astype(precision)
    inputs = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0]], precision)

    def f(x):
        return engine.forward(lambda g, x: g.activation(x, name, row.alpha), x, precision=precision)

    alpha = float(np.asarray(row.alpha, precision))
    truth = row.f(x.astype(np.float64), alpha)
    within(f(x), truth, 8 * UNIT[precision] * np.abs(truth) + TINY[precision])
    with np.errstate(all="ignore"):
        wanted = row.f(inputs.astype(np.float64), alpha).astype(precision)
        np.testing.assert_array_equal(f(inputs), wanted)


def f_bound(row, precision, x, truth):
    """Roundings of f. In float64 truth and kernel both round x/sqrt(2) two times, which a tail of
    e^(-x^2/2) turns into x^2 roundings each; the float32 kernel splits its exponent instead.
    """
    roundings = row.roundings + (4 * x * x if row.tail and precision == "float64" else 0.0)
    return roundings * UNIT[precision] * np.abs(truth) + TINY[precision]


@pytest.mark.parametrize("name", cases.ACTIVATIONS)
def test_activation(precision, name):
    row = cases.ACTIVATIONS[name]
    alpha = float(np.asarray(row.alpha, precision))
    for k, (rows, width) in enumerate(PAIRS):
        x = activation_inputs(row, rows, width, precision, k)
        got = engine.forward(lambda g, x: g.activation(x, name, row.alpha), x, precision=precision)
        truth = row.f(x.astype(np.float64), alpha)
        within(got, truth, f_bound(row, precision, x.astype(np.float64), truth))


@pytest.mark.parametrize("name", cases.ACTIVATIONS)
def test_activation_fused_into_a_product(precision, name):
    """f of the product, which is taken as the unfused kernel gives it."""
    row = cases.ACTIVATIONS[name]
    alpha = float(np.asarray(row.alpha, precision))
    for k, width in enumerate(EDGES):
        rows, n = EDGES[k * 5 % len(EDGES)], EDGES[k * 7 % len(EDGES)]
        low = 0.1 if row.low > 0 else -1.0
        x = draw(k, rows, n, precision=precision, low=low)
        weights = {"w": draw(k + 1, n, width, precision=precision, low=low)}
        plain, fused = (
            engine.forward(build, x, precision=precision, weights=weights)
            for build in (
                lambda g, x, n=n, m=width: matmul(g, x, n, m, False),
                lambda g, x, n=n, m=width: g.activation(matmul(g, x, n, m, False), name, row.alpha),
            )
        )
        plain = plain.astype(np.float64)
        truth = row.f(plain, alpha)
        within(fused, truth, f_bound(row, precision, plain, truth))


@pytest.mark.parametrize("name", cases.ACTIVATIONS)
def test_activation_slope(precision, name):
    """With x in a parameter its gradient is the slope times dz of mse, 2*(y - t)/width."""
    row = cases.ACTIVATIONS[name]
    alpha = float(np.asarray(row.alpha, precision))
    for k, width in enumerate(EDGES):
        x = activation_inputs(row, 1, width, precision, k)
        net = engine.network(
            lambda g, x, n=width: g.activation(
                g.add_row(x, g.parameter("p", (n,), False)), name, row.alpha
            ),
            (width,),
            precision=precision,
            weights={"p": x[0]},
        )
        nothing, target = np.zeros_like(x), np.zeros_like(x)
        _, found = engine.session(net).gradients([nothing], target, None, 0.0, 0.0)
        wide = x[0].astype(np.float64)
        slope = row.slope(wide, alpha)
        dz = 2 * row.f(wide, alpha) / width
        roundings = 2 * row.roundings + 4  # f and f' and three products
        bound = roundings * UNIT[precision] * np.abs(dz) * np.maximum(np.abs(slope), 1)
        within(found["p"], slope * dz, bound + 2 * TINY[precision])


ELEMENTWISE = {
    "add": (lambda g, a, b: g.add(a, b), lambda a, b: a + b),
    "subtract": (lambda g, a, b: g.subtract(a, b), lambda a, b: a - b),
    "multiply": (lambda g, a, b: g.multiply(a, b), lambda a, b: a * b),
    "affine": (lambda g, a, b: g.affine(a, 0.75, -0.5), lambda a, b: 0.75 * a - 0.5),
    "concat": (lambda g, a, b: g.concat([a, b, a]), lambda a, b: np.hstack([a, b, a])),
    "reshape": (
        lambda g, a, b: g.reshape(g.reshape(a, (1, g.shape(a)[0])), g.shape(a)),
        lambda a, b: a,
    ),
    "dropout": (lambda g, a, b: g.dropout(a, 0.5, False, False), lambda a, b: a),
    "dropout_classic": (lambda g, a, b: g.dropout(a, 0.25, False, True), lambda a, b: 0.75 * a),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(precision, name):
    """One rounding of the exact result; two in affine where it is not fused."""
    build, truth = ELEMENTWISE[name]
    for k, (rows, width) in enumerate(PAIRS):
        a, b = (draw(k + i, rows, width, precision=precision) for i in range(2))
        got = engine.forward(build, a, b, precision=precision)
        want = truth(a.astype(np.float64), b.astype(np.float64))
        within(got, want, UNIT[precision] * (np.abs(want) + (name == "affine")))


@pytest.mark.parametrize("kind", ["add_row", "multiply_row"])
def test_rowwise(precision, kind):
    for k, (rows, width) in enumerate(PAIRS):
        x, p = draw(k, rows, width, precision=precision), draw(k + 1, width, precision=precision)
        got = engine.forward(
            lambda g, x, n=width: getattr(g, kind)(x, g.parameter("p", (n,), False)),
            x,
            precision=precision,
            weights={"p": p},
        )
        x, p = x.astype(np.float64), p.astype(np.float64)
        want = x + p if kind == "add_row" else x * p
        within(got, want, UNIT[precision] * np.abs(want))


def test_softmax(precision):
    for k, (rows, width) in enumerate(PAIRS):
        x = draw(k, rows, width, precision=precision, low=-30, high=30)
        got = engine.forward(lambda g, x: g.softmax(x), x, precision=precision)
        wide = x.astype(np.float64)
        want = reference.softmax(wide)
        # x - max is rounded before e^: its size, then e^, the sum over 16 lanes, the division
        roundings = np.abs(wide - wide.max(axis=1, keepdims=True)) + width / 16 + 16
        within(got, want, roundings * UNIT[precision] * want + TINY[precision])
