"""Losses as descriptions: their NumPy values, names, configuration, and what they refuse."""

import json
import math

import cases
import numpy as np
import pytest
import reference
from steep import _core, losses

ROWS = [name for name, row in cases.LOSSES.items() if row.draw is not cases.labels]


def batch(name, rows, columns, seed=0):
    random = np.random.default_rng(seed)
    z = 3 * random.standard_normal((rows, columns))
    return z, cases.LOSSES[name].draw(random, rows, columns)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (16, 17)])
def test_rows_equal_the_reference(name, shape):
    loss, (z, y) = cases.LOSSES[name].loss, batch(name, *shape)
    values, _ = reference.LOSSES[loss.name](z, y, loss.option)
    np.testing.assert_allclose(loss.rows(z, y), values, rtol=1e-13, atol=1e-15)
    assert loss(z, y) == pytest.approx(values.mean(), rel=1e-13)
    assert loss(z, y, "sum") == pytest.approx(values.sum(), rel=1e-13)


@pytest.mark.parametrize("name", ROWS)
def test_reference_gradients_are_those_of_the_reference_values(name):
    z, y = batch(name, 4, 5, seed=3)
    loss = cases.LOSSES[name].loss
    formula = reference.LOSSES[loss.name]
    gradient = formula(z, y, loss.option)[1]
    for i, j in np.ndindex(z.shape):
        high, low = z.copy(), z.copy()
        high[i, j] += 1e-6
        low[i, j] -= 1e-6
        values = [formula(moved, y, loss.option)[0][i] for moved in (high, low)]
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(gradient[i, j], abs=1e-8)


def test_names_are_those_of_the_native_losses():
    assert set(losses.TABLE) == set(_core.losses())
    for name, made in losses.TABLE.items():
        assert made.name == name
        assert losses.get(name) == made() == losses.get(made) == losses.get(made())


def test_which_are_classification():
    for row in cases.LOSSES.values():
        assert row.loss.classification == (row.draw is not cases.values), row.loss


@pytest.mark.parametrize("name", cases.LOSSES)
def test_config_round_trip_through_json(name):
    loss = cases.LOSSES[name].loss
    assert losses.from_config(json.loads(json.dumps(loss.get_config()))) == loss


def test_options():
    assert losses.Huber(0.6).option == 0.6
    assert losses.CrossEntropy(label_smoothing=0.1).option == 0.1
    assert losses.MeanSquaredError().option == 0.0


def test_cross_entropy_takes_labels_as_their_one_hot_rows():
    z, _ = batch("mse", 6, 4)
    labels = np.array([0, 3, 1, 1, 2, 0])
    loss = losses.CrossEntropy()
    assert loss.rows(z, labels).tolist() == loss.rows(z, reference.one_hot(labels, 4)).tolist()


def test_log_cosh_neither_cancels_nor_overflows():
    loss = losses.LogCosh()
    for e in (1e-150, 1e-9, 1e-4):
        assert loss([e], [0.0]) == pytest.approx(e * e / 2, rel=1e-8)
    assert loss([1e300, -1e300], [0.0, 0.0]) == 1e300
    assert loss([0.0, 50.0], [0.0, 0.0], "sum") == 50 - math.log(2)


def test_losses_from_logits_do_not_overflow():
    assert losses.CrossEntropy()([[1e4, -1e4]], [1]) == 2e4
    assert losses.BinaryCrossEntropy()([[1e4], [-1e4]], [[0.0], [1.0]]) == 1e4
    assert losses.BinaryCrossEntropy()([0.0], [1.0]) == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: losses.Huber(0.0), ValueError, r"Huber: delta must be in \(0, inf\), got 0.0"),
        (lambda: losses.Huber(float("nan")), ValueError, "delta must be in"),
        (lambda: losses.CrossEntropy(1.0), ValueError, r"label_smoothing must be in \[0, 1\)"),
        (lambda: losses.CrossEntropy("a"), TypeError, "must be a number"),
        (lambda: losses.get("cross_entrpy"), ValueError, 'did you mean "cross_entropy"'),
        (lambda: losses.get(3), TypeError, "expects a name"),
        (lambda: losses.get("mse")([[1.0]], [[1.0, 2.0]]), ValueError, "outputs have shape"),
        (lambda: losses.get("mse")([1.0], [1.0], "avg"), ValueError, "unknown reduction"),
        (lambda: losses.CrossEntropy()([[0.0, 1.0]], [2]), ValueError, "labels must be 0..1"),
        (lambda: losses.from_config({"loss": "mse", "delta": 1}), ValueError, "saved loss"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()
