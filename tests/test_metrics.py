"""Metrics of labels: golden numbers, scikit-learn's, what does not count, what is refused."""

import numpy as np
import pytest
from steep import metrics

TRUTH = np.array([[1, 1, 0], [0, 1, 2]])
GUESS = np.array([[1, 0, 0], [0, 1, 2]])


def test_golden_numbers():
    np.testing.assert_allclose(metrics.iou(TRUTH, GUESS), [2 / 3, 2 / 3, 1], rtol=1e-15)
    assert metrics.mean_iou(TRUTH, GUESS) == pytest.approx(0.7777777778, abs=1e-10)
    np.testing.assert_allclose(metrics.dice(TRUTH, GUESS), [0.8, 0.8, 1], rtol=1e-15)
    assert metrics.accuracy(TRUTH, GUESS) == pytest.approx(5 / 6)


def test_confusion_counts_pairs():
    assert metrics.confusion(TRUTH, GUESS).tolist() == [[2, 0, 0], [1, 2, 0], [0, 0, 1]]
    assert metrics.confusion(TRUTH, GUESS, 4).shape == (4, 4)
    assert metrics.confusion(np.zeros(0, int), np.zeros(0, int), 2).sum() == 0


def test_positions_that_do_not_count():
    truth = np.where(TRUTH == 2, 255, TRUTH).astype(np.uint8)
    assert metrics.confusion(truth, GUESS, 3, ignore=255).tolist() == [
        [2, 0, 0], [1, 2, 0], [0, 0, 0],
    ]  # fmt: skip
    np.testing.assert_array_equal(metrics.iou(truth, GUESS, 3, ignore=255), [2 / 3, 2 / 3, np.nan])
    assert metrics.mean_iou(truth, GUESS, 3, ignore=255) == pytest.approx(2 / 3)


def test_against_scikit_learn():
    truth = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    y, guess = random.integers(0, 5, (2, 700))
    y[:400] = guess[:400]
    want = truth.jaccard_score(y, guess, average=None)
    np.testing.assert_allclose(metrics.iou(y, guess), want, rtol=1e-14)
    want = truth.f1_score(y, guess, average=None)
    np.testing.assert_allclose(metrics.dice(y, guess), want, rtol=1e-14)
    np.testing.assert_array_equal(metrics.confusion(y, guess), truth.confusion_matrix(y, guess))


@pytest.mark.parametrize(
    ("y", "guess", "options", "error", "message"),
    [
        ([0, 1], [0, 1, 1], {}, ValueError, r"y has shape \(2,\), predicted \(3,\)"),
        ([0, 2], [0, 1], {"classes": 2}, ValueError, "y: labels are 0 to 1, got 0 to 2"),
        ([0, 1], [0, -1], {}, ValueError, "predicted: labels are 0 to 1, got -1 to 0"),
        ([0, 1], [0.0, 1.0], {}, TypeError, "predicted: labels must be whole numbers"),
        ([0, 1], [0, 1], {"classes": 0}, ValueError, "classes"),
    ],
)
def test_refusals(y, guess, options, error, message):
    with pytest.raises(error, match=message):
        metrics.confusion(y, guess, **options)
