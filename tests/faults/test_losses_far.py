"""Losses and their gradients over the whole range of logits, relative to themselves; NaN logits."""

import engine
import numpy as np
import pytest
import steep
from bounds import matmul, within
from cases import PRECISIONS, TINY, UNIT
from steep import layers, losses

every_precision = pytest.mark.parametrize("precision", PRECISIONS)


def session_of(z, precision, loss, option=0.0):
    """Return a session whose logits are the rows of z: sample i is row i of the identity."""
    rows, columns = z.shape
    net = engine.network(
        lambda g, x: matmul(g, x, rows, columns, False),
        (rows,),
        precision=precision,
        weights={"w": z},
    )
    return engine.session(net, loss, option, mean=False)


def found(z, y, precision, loss, option=0.0):
    """Return the loss of each row and the gradient of each."""
    eye = np.eye(len(z), dtype=np.float32)
    session = session_of(z, precision, loss, option)
    _, gradients = session.gradients([eye], y, None, 0.0, 0.0)
    values = [session.evaluate([eye[i : i + 1]], y[i : i + 1], None, 1)[0] for i in range(len(z))]
    return np.array(values), gradients["w"].astype(np.float64)


def spans(precision):
    """Logits from one end of e^-|z| to the other, small ones among them."""
    far = 87.0 if precision == "float32" else 700.0
    z = np.concatenate([np.linspace(-far, far, 141), [12, 14, 16, 1e-3, -1e-3, 1e-20, 0.0]])
    return z.astype(precision).astype(np.float64)


@every_precision
@pytest.mark.parametrize("target", [0.0, 1.0, 0.25, 0.9375, 2.0**-20, 1 - 2.0**-20])
def test_f11_binary_cross_entropy_is_exact_far_from_0(precision, target):
    """Relative to itself: t*log(1+e^-z) + (1-t)*log(1+e^z), terms of one sign, a dozen roundings.

    The gradient s(z) - t is relative to itself where t is 0 or 1, else to its terms.
    """
    z = spans(precision)
    values, gradients = found(
        z[:, None], np.full((len(z), 1), target), precision, "binary_cross_entropy"
    )
    want = target * np.logaddexp(0, -z) + (1 - target) * np.logaddexp(0, z)
    within(values, want, 12 * UNIT[precision] * want + TINY[precision])
    tail = np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))
    slope = np.where(z > 0, (1 - target) - tail, tail - target)
    size = np.abs(slope) if target in (0.0, 1.0) else np.maximum(tail, np.abs(slope) + tail)
    within(gradients[:, 0], slope, 12 * UNIT[precision] * size + TINY[precision])


def test_f11_golden_values_of_binary_cross_entropy():
    z = np.array([[12.0], [14.0], [16.0], [20.0], [40.0]])
    values, _ = found(z, np.ones((5, 1)), "float32", "binary_cross_entropy")
    golden = [6.144193e-6, 8.315284e-7, 1.125352e-7, 2.061154e-9, 4.248354e-18]
    np.testing.assert_allclose(values, golden, rtol=1e-6)


def test_f11_descriptions_say_the_same():
    """What `losses` computes in NumPy, far from 0."""
    z = np.array([[-30.0], [20.0], [40.0], [300.0]])
    rows = losses.BinaryCrossEntropy().rows(z, np.array([[0.0], [1.0], [1.0], [1.0]]))
    np.testing.assert_allclose(rows, np.log1p(np.exp(-np.abs(z[:, 0]))), rtol=1e-14)
    z, labels = confident(7, "float64", seed=0)
    right = np.argmax(z, axis=1) == labels
    rows = losses.CrossEntropy().rows(z, labels)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    e[np.arange(len(z)), np.argmax(z, axis=1)] = 0
    np.testing.assert_allclose(rows[right], np.log1p(e.sum(axis=1))[right], rtol=1e-14)


def confident(columns, precision, seed):
    """Rows whose largest logit leads the others by 0 to 80; one right, one wrong label for each."""
    random = np.random.default_rng(seed)
    lead = np.linspace(0, 80, 41)
    z = random.uniform(-1, 1, (len(lead), columns))
    best = random.integers(0, columns, len(lead))
    z[np.arange(len(lead)), best] = 1 + lead
    z = np.concatenate([z, z]).astype(precision).astype(np.float64)
    return z, np.concatenate([best, (best + 1) % columns])


@every_precision
@pytest.mark.parametrize("smoothing", [0.0, 0.125])
@pytest.mark.parametrize("kind", ["labels", "probabilities"])
@pytest.mark.parametrize("columns", [2, 3, 10, 16, 17, 33])
def test_f11_cross_entropy_is_exact_near_0(precision, columns, kind, smoothing):
    """Relative to itself: all its terms have one sign. e^d carries |d| roundings, d = z - max z.

    So does the gradient at the largest logit, -sum of the others' p, where it is the label's.
    """
    z, labels = confident(columns, precision, seed=columns)
    y = labels if kind == "labels" else np.eye(columns)[labels]
    values, gradients = found(z, y, precision, "cross_entropy", smoothing)
    target = (1 - smoothing) * np.eye(columns)[labels] + smoothing / columns
    row = np.arange(len(z))
    top = np.argmax(z, axis=1)
    d = z - z[row, top][:, None]
    e = np.exp(d)
    e[row, top] = 0
    others = e.sum(axis=1)
    want = np.log1p(others) - (target * d).sum(axis=1)
    roundings = (np.abs(d).max() + columns + 16) * UNIT[precision]
    within(values, want, roundings * want + TINY[precision])
    e[row, top] = 1
    p = e / (1 + others)[:, None]
    slope = p - target
    away = target.copy()
    away[row, top] = 0
    slope[row, top] = away.sum(axis=1) - others / (1 + others)
    size = p + target  # of a difference, but at the largest logit:
    size[row, top] = away.sum(axis=1) + others / (1 + others)
    within(gradients, slope, roundings * size + TINY[precision])


@every_precision
@pytest.mark.parametrize("columns", [2, 10, 16, 17, 40])
def test_f15_logits_that_are_nan_are_never_right(precision, columns):
    for at in range(columns):
        z = np.zeros((columns, columns))
        z[np.arange(columns), np.arange(columns)] = 5
        z[:, at] = np.nan
        labels = np.arange(columns)
        eye = np.eye(columns, dtype=np.float32)
        for y in (labels, np.eye(columns)[labels]):
            session = session_of(z, precision, "cross_entropy")
            loss, right, _ = session.evaluate([eye], y, None, columns)
            assert np.isnan(loss)
            assert right == 0


@every_precision
def test_f15_logits_that_are_nan_are_not_right_for_bits_either(precision):
    z = np.array([[np.nan, -1.0], [np.nan, 1.0], [np.nan, -1.0], [np.nan, 1.0]])
    session = session_of(z, precision, "binary_cross_entropy")
    _, right, _ = session.evaluate([np.eye(4, dtype=np.float32)], np.zeros((4, 2)), None, 4)
    assert right == 0.5 + 0 + 0.5 + 0


def test_f15_a_network_that_gives_nan_is_right_of_nothing():
    net = steep.Sequential(layers.Dense(5, "sqrt"), layers.Dense(4)).build(3)
    X = np.full((6, 3), -1.0, np.float32)
    net.load_state_dict({k: np.ones_like(v) for k, v in net.state_dict().items()})
    trainer = steep.Trainer(net, "cross_entropy", "sgd")
    assert trainer.evaluate(X, np.zeros(6, int))["accuracy"] == 0
