"""Figures of predicted classes and boxes against true ones, from arrays; networks are not asked."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks.numbers import whole

__all__ = ["accuracy", "box_giou", "box_iou", "confusion", "dice", "iou", "mean_iou"]


def confusion(
    y: ArrayLike, predicted: ArrayLike, classes: int | None = None, ignore: int | None = None
) -> NDArray[np.int64]:
    """Return how often class i was taken for class j, as (classes, classes).

    Parameters
    ----------
    y, predicted
        True and predicted labels, whole numbers from 0 in arrays of one shape, such as (N,) or
        (N, height, width); ``net.predict(X).argmax(-1)`` gives those of logits.
    classes
        How many there are; None: one more than the largest label met.
    ignore
        Positions where `y` is this do not count.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, or something is no label of a class.
    """
    truth, guess = _labels("y", y), _labels("predicted", predicted)
    if truth.shape != guess.shape:
        raise ValueError(f"confusion: y has shape {truth.shape}, predicted {guess.shape}")
    if ignore is not None:
        counts = truth != ignore
        truth, guess = truth[counts], guess[counts]
    truth, guess = truth.reshape(-1), guess.reshape(-1)
    most = 1 + max(int(truth.max(initial=-1)), int(guess.max(initial=-1)))
    size = max(most, 1) if classes is None else whole("confusion", "classes", classes)
    for name, labels in (("y", truth), ("predicted", guess)):
        if labels.size and not (labels.min() >= 0 and labels.max() < size):
            raise ValueError(
                f"{name}: labels are 0 to {size - 1}, got {labels.min()} to {labels.max()}"
            )
    pairs = np.bincount(size * truth + guess, minlength=size * size)
    return pairs.reshape(size, size).astype(np.int64)


def iou(
    y: ArrayLike, predicted: ArrayLike, classes: int | None = None, ignore: int | None = None
) -> NDArray[np.float64]:
    """Return intersection over union of each class (Jaccard 1912), arguments as of `confusion`.

    Positions that are of the class in both, over those that are in one; NaN where there is none.
    """
    both, either, _ = _overlap(y, predicted, classes, ignore)
    return _shares(both, either)


def mean_iou(
    y: ArrayLike, predicted: ArrayLike, classes: int | None = None, ignore: int | None = None
) -> float:
    """Return the mean of `iou` over the classes that are met, arguments as of `confusion`."""
    return float(np.nanmean(iou(y, predicted, classes, ignore)))


def dice(
    y: ArrayLike, predicted: ArrayLike, classes: int | None = None, ignore: int | None = None
) -> NDArray[np.float64]:
    """Return 2 |A and B| / (|A| + |B|) of each class (Dice 1945), arguments as of `confusion`.

    NaN where neither has the class. For two classes that of class 1 is the F1 score.
    """
    both, _, sizes = _overlap(y, predicted, classes, ignore)
    return _shares(2 * both, sizes)


def accuracy(y: ArrayLike, predicted: ArrayLike, ignore: int | None = None) -> float:
    """Return the share of positions whose class is right, arguments as of `confusion`."""
    counts = confusion(y, predicted, None, ignore)
    return float(np.trace(counts) / counts.sum()) if counts.any() else float("nan")


def box_iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return intersection over union of every box of a with every box of b, as (n, m).

    Parameters
    ----------
    a, b
        (n, 4) and (m, 4): left, top, right, bottom.

    Raises
    ------
    TypeError, ValueError
        If these are no boxes, or one ends before it begins.
    """
    both, union, _ = _areas(a, b)
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def box_giou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return IoU - (hull - union)/hull of every box of a with every box of b, as (n, m).

    The hull is the smallest box around both (Rezatofighi et al. 2019); arguments as of `box_iou`.
    """
    _, union, hull = _areas(a, b)
    rest = np.divide(hull - union, hull, out=np.zeros_like(hull), where=hull > 0)
    return np.asarray(box_iou(a, b) - rest)


def _areas(
    a: ArrayLike, b: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the areas of intersection, union and hull, (n, m) each."""
    left, right = _boxes("a", a)[:, None], _boxes("b", b)[None]
    first, last = (left[..., :2], right[..., :2]), (left[..., 2:], right[..., 2:])

    def area(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.prod(np.maximum(high - low, 0.0), axis=-1))

    both = area(np.maximum(*first), np.minimum(*last))
    union = area(first[0], last[0]) + area(first[1], last[1]) - both
    return both, union, area(np.minimum(*first), np.maximum(*last))


def _boxes(name: str, given: ArrayLike) -> NDArray[np.float64]:
    boxes = np.asarray(given)
    if boxes.dtype.kind not in "fiu":
        raise TypeError(f"{name}: boxes must be numbers, got dtype {boxes.dtype}")
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name}: expects boxes (n, 4), got shape {boxes.shape}")
    wrong = np.flatnonzero(~(boxes[:, :2] <= boxes[:, 2:]).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"{name}: box {wrong[0]} is {boxes[wrong[0]].tolist()}; left <= right, top <= bottom"
        )
    return boxes.astype(np.float64)


def _overlap(
    y: ArrayLike, predicted: ArrayLike, classes: int | None, ignore: int | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    counts = confusion(y, predicted, classes, ignore)
    both, sizes = np.diagonal(counts), counts.sum(0) + counts.sum(1)
    return both, sizes - both, sizes


def _shares(part: NDArray[Any], of: NDArray[Any]) -> NDArray[np.float64]:
    out = np.full(len(of), np.nan)
    np.divide(part, of, out=out, where=of > 0)
    return out


def _labels(name: str, given: ArrayLike) -> NDArray[np.int64]:
    labels = np.asarray(given)
    if labels.dtype.kind not in "iub":
        raise TypeError(f"{name}: labels must be whole numbers, got dtype {labels.dtype}")
    return labels.astype(np.int64)
