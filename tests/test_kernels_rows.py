"""Law 1 for what works along samples: losses, sums over the batch, dropout masks, rules, checks.

Products and functions of elements are in `test_kernels.py`.
"""

import cases
import engine
import numpy as np
import pytest
import reference
from bounds import draw, matmul, sum_bound, within
from cases import EDGES, UNIT
from steep import _core


@pytest.fixture(params=cases.PRECISIONS)
def precision(request):
    return request.param


def truth_of_loss(row, z, y, weights):
    name, option = row[0].name, row[0].option
    target = reference.one_hot(y, z.shape[1]) if y.ndim == 1 else y.astype(np.float64)
    values, dz = reference.LOSSES[name](z, target, option)
    return values * weights, dz * weights[:, None]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("name", cases.LOSSES)
def test_loss(precision, name, mean, weighted):
    """Values by the objective; dz as the gradient of a matrix of which each sample takes a row."""
    row = cases.LOSSES[name]
    for k, columns in enumerate(EDGES):
        if columns < row[2]:
            continue
        rows = EDGES[k * 5 % len(EDGES)]
        random = np.random.default_rng(k)
        z = (4 * random.standard_normal((rows, columns))).astype(precision)
        y = row[1](random, rows, columns)
        y = y if y.ndim == 1 else y.astype(precision)
        weights = random.uniform(0, 2, rows).astype(np.float32).astype(np.float64)
        net = engine.network(
            lambda g, x, n=rows, m=columns: matmul(g, x, n, m, False),
            (rows,),
            precision=precision,
            weights={"w": z},
        )
        session = engine.session(net, row[0].name, row[0].option, mean=mean)
        objective, found = session.gradients(
            [np.eye(rows, dtype=np.float32)], y, weights if weighted else None, 0.0, 0.0
        )
        weights = weights if weighted else np.ones(rows)
        values, dz = truth_of_loss(row, z.astype(np.float64), y, weights)
        share = 1 / rows if mean else 1.0
        # Terms go up to the range of z (16 here, and its square for mse): rounded a dozen times,
        # then added up in 16 lanes.
        roundings = (columns / 16 + 24) * UNIT[precision]
        size = np.abs(values) + weights * 32
        within(objective, values.sum() * share, roundings * size.sum() * share)
        # dz are differences of numbers up to 16 (mse, over the columns) or 1 (probabilities)
        unit = 32 / columns if row.by_column else 1.0
        within(found["w"], dz * share, roundings * (np.abs(dz) + weights[:, None] * unit) * share)


@pytest.mark.parametrize("name", [n for n, row in cases.LOSSES.items() if row.draw is cases.values])
def test_loss_relative_to_itself(precision, name):
    """Of errors from 1e-15, whose square float32 still holds, to 600, whose e^x it does not."""
    loss = cases.LOSSES[name].loss
    for e in np.geomspace(1e-15, 600, 91):
        z, y = np.array([[e]], precision), np.zeros((1, 1), precision)
        net = engine.network(
            lambda g, x: matmul(g, x, 1, 1, False), (1,), precision=precision, weights={"w": z}
        )
        session = engine.session(net, loss.name, loss.option)
        one = np.ones((1, 1), precision)
        value, found = session.gradients([one], y, None, 0.0, 0.0)
        values, dz = reference.LOSSES[loss.name](z.astype(np.float64), y, loss.option)
        within(value, values.sum(), 12 * UNIT[precision] * values.sum())  # a dozen roundings
        within(found["w"], dz, 12 * UNIT[precision] * np.abs(dz))


def test_losses_count_right_predictions(precision):
    random = np.random.default_rng(3)
    for columns in (2, 16, 17, 33):
        z = random.standard_normal((65, columns)).astype(precision)
        y = random.integers(0, columns, 65)
        net = engine.network(
            lambda g, x, m=columns: matmul(g, x, 65, m, False),
            (65,),
            precision=precision,
            weights={"w": z},
        )
        eye = np.eye(65, dtype=np.float32)
        for target in (y, reference.one_hot(y, columns)):
            sums = engine.session(net, "cross_entropy").evaluate([eye], target, None, 7)
            assert sums[1:] == (np.sum(np.argmax(z, axis=1) == y), 65)
        bits = (random.random((65, columns)) < 0.5).astype(np.float64)
        sums = engine.session(net, "binary_cross_entropy").evaluate([eye], bits, None, 7)
        assert sums[1] == pytest.approx(((z > 0) == (bits > 0.5)).mean(axis=1).sum(), rel=1e-6)


def test_sums_over_samples(precision):
    """The gradients of a bias and of a row's factor: sums over the batch, one after the other."""
    for rows in (*EDGES, 255, 256, 257, 600):
        for width in (1, 16, 33):
            z, t, p = (draw(rows + i, rows, width, precision=precision) for i in range(3))
            net = engine.network(
                lambda g, x, n=width: g.add_row(
                    g.multiply_row(x, g.parameter("p", (n,), False)), g.parameter("q", (n,), False)
                ),
                (width,),
                precision=precision,
                weights={"p": p[0], "q": p[-1]},
            )
            _, found = engine.session(net, mean=False).gradients([z], t, None, 0.0, 0.0)
            z, t, p = (a.astype(np.float64) for a in (z, t, p))
            dz = 2 * (z * p[0] + p[-1] - t) / width
            # each dz is a difference of three products of at most 3, rounded three times
            size = np.full(width, rows * 2 * 3 / width)
            within(found["q"], dz.sum(axis=0), sum_bound(precision, rows + 3, size))
            within(found["p"], (dz * z).sum(axis=0), sum_bound(precision, rows + 4, size))


@pytest.mark.parametrize("stream", [0, 1])
def test_dropout_masks_are_philox(stream):
    """Bit for bit the counter-based masks of the reference; the gradient shows what was kept."""
    seed, rate, step, scale = 77, 0.3, 5, 1 / 0.7
    for rows, width in ((1, 1), (7, 17), (33, 64), (16, 129)):
        net = engine.network(
            lambda g, x, n=rows, m=width: g.dropout(
                g.dropout(matmul(g, x, n, m, False), rate * stream, False, False),
                rate * (1 - stream),
                False,
                False,
            ),
            (rows,),
            weights={"w": np.ones((rows, width), np.float32)},
        )
        eye, target = np.eye(rows, dtype=np.float32), -np.ones((rows, width), np.float32)
        session = engine.session(net, seed=seed, mean=False)
        session.set_progress(0, 0, step, [(0.0,) * 5])
        _, found = session.gradients([eye], target, None, 0.0, 0.0)
        word = reference.drawn(seed, step, 1 - stream, rows, width)
        kept = word >= round(rate * 2**32)
        assert np.array_equal(found["w"] != 0, kept)
        want = 2 * (scale + 1) / width * scale
        np.testing.assert_allclose(found["w"][kept], want, rtol=8 * UNIT["float32"])


def test_all_finite_sees_every_place(precision):
    for width in (*EDGES, 1000):
        x = draw(width, width, precision=precision)
        assert _core.all_finite(x)
        for at in {0, width // 2, width - 1}:
            for bad in (np.nan, np.inf, -np.inf):
                spoiled = x.copy()
                spoiled[at] = bad
                assert not _core.all_finite(spoiled)
                assert not _core.all_finite(np.tile(spoiled, (3, 1))[:, ::-1])
                assert _core.all_finite(np.stack([x, spoiled])[:1])


def swept(rule, start, gradients, knobs, precision):
    """Return w after steps with given gradients, which do not depend on w: no error grows."""
    sweep = _core.Sweep(rule.rule, start.astype(precision))
    path = [sweep.w]
    for g, row in zip(gradients, knobs, strict=True):
        assert sweep.step(g.astype(precision), row, 1.0, 0.0)
        path.append(sweep.w)
    return np.array(path)


@pytest.mark.parametrize("name", cases.RULES)
def test_rule_at_every_size(name):
    rule, steps = cases.RULES[name].optimizer.parts({"w": (129,)})[0][0], 12
    knobs = engine.table(rule, steps)[:, engine.COMMON :]
    g = draw(1, steps, 129).astype(np.float32)
    start = draw(2, 129)
    single = swept(rule, start, g, knobs, "float32")
    double = swept(rule, start.astype(np.float64), g, knobs, "float64")
    # Each step moves w by a product of up to 16 rounded factors, then rounds w itself; a running
    # mean rounds once more each step.
    moved = np.abs(np.diff(double, axis=0)).sum(axis=0)
    roundings = (16 + steps) * moved + steps * np.abs(double).max(axis=0)
    within(single, double, 2 * UNIT["float32"] * roundings)
    for n in () if cases.RULES[name].whole else EDGES:
        for whole, precision in ((single, "float32"), (double, "float64")):
            part = swept(rule, start[:n], g[:, :n], knobs, precision)
            assert part.tobytes() == np.ascontiguousarray(whole[:, :n]).tobytes()
