"""Checks of labels and weights of positions: pixels, steps of time. Of whole samples: `inputs`."""

from typing import Any

import numpy as np

from .. import _core
from ..checks.arrays import Array, Given, finite, place
from .tensor import Shape

_KINDS = tuple(np.dtype(kind) for kind in ("uint8", "int32", "int64"))


def fits(given: Given, lead: Shape) -> bool:
    """Say whether targets have the shape of one label for each position, (N, *lead)."""
    shape = given.shape[1:]
    return shape == lead or (len(shape) > 0 and shape == (*lead, 1))


def of_positions(
    given: Array, lead: Shape, classes: int, ignored: int | None, owner: Any = None
) -> Array:
    """Return labels (N, *lead) as the core reads them where they lie; whole floats are copied.

    Raises
    ------
    ValueError
        If one is no whole number or no class, and which; or if all of them are ignored.
    """
    labels = given.reshape(len(given), *lead)
    if labels.dtype.kind == "f":
        finite("y", labels, owner)
        whole = labels.astype(np.int64)
        broken = np.argwhere(whole != labels)
        if len(broken):
            at = tuple(int(k) for k in broken[0])
            raise ValueError(
                f"y: labels must be whole numbers, got {labels[at]} at {place(at, owner)}"
            )
        labels = whole
    if labels.dtype not in _KINDS or not labels.dtype.isnative:
        labels = labels.astype(np.int64)
    counted, sample, position = _core.count_positions(labels, classes, ignored)
    if sample >= 0:
        at = (sample, *(int(k) for k in np.unravel_index(position, lead or (1,))[: len(lead)]))
        besides = "" if ignored is None else f", or {ignored} for what does not count"
        raise ValueError(
            f"y: label {labels[at]} at {place(at, owner)} is out of range: the network has "
            f"{classes} outputs, so labels are 0 to {classes - 1}{besides}"
        )
    if not counted and labels.size:
        raise ValueError(f"y: all labels are {ignored}, which is ignored: nothing would be learned")
    return labels


def count(labels: Array, classes: int, ignored: int | None) -> int:
    """Return how many labels, checked before, count."""
    return int(_core.count_positions(labels, classes, ignored)[0])


def given_weights(given: Array, samples: int, lead: Shape) -> bool:
    """Say whether sample weights are of positions; refuse what fits neither.

    Raises
    ------
    ValueError
        If the shape is neither (N,) nor (N, *lead).
    """
    if given.shape == (samples,):
        return False
    if lead and given.shape == (samples, *lead):
        return True
    positions = f" or ({samples}, {', '.join(map(str, lead))})" if lead else ""
    raise ValueError(f"sample_weight: expects shape ({samples},){positions}, got {given.shape}")
