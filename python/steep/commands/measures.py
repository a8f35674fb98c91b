"""How good predictions are: metrics, their intervals by bootstrap, what guessing would reach."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics

Values = NDArray[Any]
Metrics = dict[str, float]
LEVEL = 0.95
RESAMPLES, WORK = 1000, 3e7  # at most so many, and so many samples drawn
LEAST = 1e-7  # probability: that of float32


def classification(p: Values, y: Values) -> Metrics:
    """Return accuracy, balanced accuracy, log loss and, of two classes, the area under the curve.

    Parameters
    ----------
    p
        (N, classes) probabilities.
    y
        (N,) classes.
    """
    right = p.argmax(axis=1) == y
    found = {
        "accuracy": float(right.mean()),
        "balanced_accuracy": _balanced(right, y, p.shape[1]),
        "log_loss": float(_log_losses(p, y).mean()),
    }
    return found | ({"auc": _auc(p[:, 1], y)} if p.shape[1] == 2 and 0 < y.sum() < len(y) else {})


def regression(values: Values, y: Values) -> Metrics:
    """Return root mean square and mean absolute error, and R^2 where y varies; in y's units."""
    error = values - y
    square, spread = float(np.mean(error**2)), float(np.var(y))
    found = {"rmse": math.sqrt(square), "mae": float(np.mean(np.abs(error)))}
    return found | ({"r2": 1.0 - square / spread} if spread else {})


def intervals(
    measure: Callable[[Values, Values], Metrics], predicted: Values, y: Values, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return the middle 95 % of each metric over samples drawn again with replacement (Efron 1979).

    Parameters
    ----------
    measure
        `classification` or `regression`.
    predicted, y
        What it takes.
    seed
        Of the draws.
    """
    rng = np.random.default_rng(seed)
    times = int(min(RESAMPLES, max(100.0, WORK / len(y))))
    drawn: dict[str, list[float]] = {}
    for _ in range(times):
        rows = rng.integers(len(y), size=len(y))
        for name, value in measure(predicted[rows], y[rows]).items():
            drawn.setdefault(name, []).append(value)
    ends = (50 * (1 - LEVEL), 50 * (1 + LEVEL))
    return {name: tuple(np.percentile(v, ends).tolist()) for name, v in drawn.items()}


def of_guessing(task: str, y_train: Values, y: Values) -> tuple[str, float]:
    """Return a metric and its value of the best constant: the most frequent class, or the mean."""
    if task == "classification":
        usual = np.bincount(y_train.ravel()).argmax()
        return "accuracy", float(np.mean(y == usual))
    return "rmse", math.sqrt(float(np.mean((y - y_train.mean()) ** 2)))


def confusion_table(p: Values, y: Values, classes: tuple[Any, ...], most: int = 20) -> list[str]:
    """Return the confusion matrix as lines of text: rows are true, columns predicted classes."""
    if len(classes) > most:
        return [f"(no confusion matrix: {len(classes)} classes)"]
    counts = metrics.confusion(y, p.argmax(axis=1), len(classes))
    names = [str(name)[:12] for name in classes]
    first = max(len("true"), *map(len, names))
    widths = [max(len(name), len(str(int(counts[:, k].max())))) for k, name in enumerate(names)]
    heads = "  ".join(f"{name:>{w}}" for name, w in zip(names, widths, strict=True))
    lines = [f"{'true':<{first}}  {heads}  recall"]
    for k, name in enumerate(names):
        cells = "  ".join(f"{int(c):>{w}}" for c, w in zip(counts[k], widths, strict=True))
        total = counts[k].sum()
        recall = f"{counts[k, k] / total:.3f}" if total else "-"
        lines.append(f"{name:<{first}}  {cells}  {recall:>6}")
    return lines


def _log_losses(p: Values, y: Values) -> Values:
    losses: Values = -np.log(np.maximum(p[np.arange(len(y)), y], LEAST))
    return losses


def _balanced(right: Values, y: Values, classes: int) -> float:
    counts = np.bincount(y, minlength=classes)
    hits = np.bincount(y, weights=right, minlength=classes)
    return float(np.mean(hits[counts > 0] / counts[counts > 0]))


def _auc(score: Values, y: Values) -> float:
    """Return the share of pairs that the score orders rightly, ties half (Mann, Whitney 1947)."""
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place.reshape(-1)]
    ones = int(y.sum())
    zeros = len(y) - ones
    return float((ranks[y == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))
