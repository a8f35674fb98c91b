"""Splits sample indices into training, validation and test parts, the same way for ever."""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..checks.numbers import ANY, number, whole

Indices: TypeAlias = NDArray[np.int64]


def shuffled(count: int, seed: int) -> Indices:
    """Give a permutation that depends on `count` and `seed` alone, not on any library's version.

    Parameters
    ----------
    count : int
        Number of samples.
    seed : int
        Any integer.

    Returns
    -------
    ndarray
        int64 (count,): the indices sorted by the SplitMix64 hash of (seed, index).

    Raises
    ------
    TypeError, ValueError
        If `count` or `seed` is no int, or `count` below 0.

    Notes
    -----
    Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators" (2014).
    """
    count = whole("shuffled", "count", count, 0)
    seed = whole("shuffled", "seed", seed, -math.inf, math.inf)
    with np.errstate(over="ignore"):
        golden = np.uint64(0x9E3779B97F4A7C15)
        start = _mix(np.array([seed % 2**64], np.uint64) + golden)
        keys = _mix(start + np.arange(1, count + 1, dtype=np.uint64) * golden)
    return np.argsort(keys, kind="stable")


def split(
    count: int,
    *,
    test: float = 0.2,
    validation: float = 0.1,
    seed: int = 0,
    classes: NDArray[Any] | None = None,
) -> tuple[Indices, Indices, Indices]:
    """Split `count` samples at random; with `classes`, each part has each class in proportion.

    Parameters
    ----------
    count : int
        Number of samples.
    test, validation : float
        Shares of all samples, in [0, 1), together below 1; 0 leaves the part empty.
    seed : int
        Chooses the split.
    classes : ndarray, optional
        (count,) class of each sample.

    Returns
    -------
    tuple of ndarray
        Ascending indices of the training, validation and test parts.

    Raises
    ------
    TypeError, ValueError
        Shares or counts out of range, or a part that was asked for would be empty.
    """
    count = whole("split", "count", count, 0)
    test = number("split", "test", test, ANY)
    validation = number("split", "validation", validation, ANY)
    if not (0 <= test < 1 and 0 <= validation < 1 and test + validation < 1):
        raise ValueError(
            f"split: test={test} and validation={validation} must be in [0, 1), together below 1."
        )
    order = shuffled(count, seed)
    if classes is not None:
        if len(np.asarray(classes)) != count:
            raise ValueError(f"split: classes must have {count} entries, got {len(classes)}")
        order = _spread(order, np.asarray(classes)[order])
    tests, validations = round(test * count), round(validation * count)
    if count - tests - validations < 1 or (test and not tests) or (validation and not validations):
        raise ValueError(
            f"split: {count} samples are too few for a test part of {test:g} and a validation "
            f"part of {validation:g} of them. Give more samples or a share of 0."
        )
    parts = order[tests + validations :], order[tests : tests + validations], order[:tests]
    return tuple(np.sort(part) for part in parts)  # type: ignore[return-value]


def folds(
    count: int, parts: int, *, seed: int = 0, classes: NDArray[Any] | None = None
) -> list[Indices]:
    """Cut `count` samples into equal parts at random; with `classes`, each has them in proportion.

    Raises
    ------
    TypeError, ValueError
        There are fewer than two parts, or more than samples.
    """
    parts = whole("folds", "parts", parts, 2, max(count, 2))
    order = shuffled(count, seed)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    return [np.sort(order[part::parts]) for part in range(parts)]


def _spread(order: Indices, classes: NDArray[Any]) -> Indices:
    """Order so that every stretch has each class in proportion: sort by rank within the class."""
    position = np.empty(len(order))
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(position, kind="stable")]


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
