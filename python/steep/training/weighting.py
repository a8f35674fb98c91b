"""Class weights: they become one for each sample. Sample weights are in `network.inputs`."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..losses import Loss
from ..network.graph import Shape
from ..network.inputs import sample_weights

Array: TypeAlias = NDArray[Any]


def of_classes(
    given: Any, loss: Loss, shape: Shape, targets: Array, weights: Array | None
) -> Array | None:
    """Return sample weights times the weight of each sample's class.

    Parameters
    ----------
    given
        ``{class: weight}``, an array (classes,), or ``"balanced"``.
    loss, shape
        Of the network's output, without the batch.
    targets
        As `inputs.targets` returned them.
    weights
        (N,) or None.

    Raises
    ------
    TypeError, ValueError
        If the targets are no classes, or a weight is none or of no class.
    """
    classes, labels = _labels(loss, shape, targets)
    each = np.ones(classes)
    if isinstance(given, str):
        if given != "balanced":
            raise ValueError(f'class_weight: the one word it takes is "balanced", got {given!r}')
        counts = np.bincount(labels, minlength=classes)
        each[counts > 0] = len(labels) / (np.count_nonzero(counts) * counts[counts > 0])
    elif isinstance(given, Mapping):
        for key, value in given.items():
            each[_class(key, classes)] = _weight(key, value)
    else:
        values = np.asarray(given)
        if values.shape != (classes,):
            raise ValueError(
                f'class_weight: expects a dict, "balanced" or one weight for each of the '
                f"{classes} classes, got shape {values.shape}"
            )
        each = np.array([_weight(k, value) for k, value in enumerate(values.tolist())])
    return sample_weights(each[labels] if weights is None else weights * each[labels], len(labels))


def _labels(loss: Loss, shape: Shape, targets: Array) -> tuple[int, NDArray[np.int64]]:
    """Return how many classes there are, and the class of each sample."""
    if targets.ndim == 1 and targets.dtype.kind == "i":
        return shape[0], targets.astype(np.int64)
    if loss.name == "binary_cross_entropy" and targets.size == len(targets):
        values = targets.reshape(-1)
        labels = values.astype(np.int64)
        if (labels == values).all():
            return 2, labels
    raise ValueError(
        "class_weight: needs a class for each sample: labels (N,) of cross_entropy, or 0 and 1 of "
        "binary_cross_entropy with one output. For other targets use sample_weight"
    )


def _class(key: object, classes: int) -> int:
    whole = isinstance(key, (int, np.integer)) and not isinstance(key, bool)
    if not whole or not 0 <= int(key) < classes:  # type: ignore[call-overload]
        raise ValueError(f"class_weight: classes are 0 to {classes - 1}, got {key!r}")
    return int(key)  # type: ignore[call-overload,no-any-return]


def _weight(key: object, value: object) -> float:
    plain = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not plain or not 0 <= float(value) < np.inf:  # type: ignore[arg-type]
        raise ValueError(
            f"class_weight: must be a finite number of at least 0, got {value!r} for class {key!r}"
        )
    return float(value)  # type: ignore[arg-type]
