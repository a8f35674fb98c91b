"""Checks of what users pass in: X, y, sample weights, counts. Everything bad is refused here.

Arrays the core can read as they are (float32, float64, uint8, any strides) pass without a copy.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core
from .graph import Shape, label
from .losses import Loss

if TYPE_CHECKING:
    from .model import Network

Array: TypeAlias = NDArray[Any]
_NATIVE = tuple(np.dtype(kind) for kind in ("float32", "float64", "uint8"))


def array(name: str, value: Any) -> Array:
    """Return numbers as a NumPy array of their own dtype.

    Raises
    ------
    TypeError
        If they are no numbers: text, objects, complex numbers, dates.
    ValueError
        If the rows of a list have different lengths.
    """
    if isinstance(value, (str, bytes, dict, set)) or value is None:
        raise TypeError(f"{name}: expects an array, got {type(value).__name__}")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name}: masked entries cannot be trained on; fill or drop them")
    try:
        got = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: rows of different lengths make no array ({error})") from None
    if got.dtype.kind == "O":
        hint = "call .toarray() first" if hasattr(value, "toarray") else "convert it to floats"
        raise TypeError(f"{name}: is an object array ({type(value).__name__}); {hint}")
    if got.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expects real numbers, got dtype {got.dtype}")
    return got


def features(X: Any, net: "Network", precision: str | None = None) -> list[Array]:
    """Return the inputs of a network, one array each, checked against its shapes where known.

    Parameters
    ----------
    X
        What the user gave.
    net
        Whose inputs they are.
    precision
        In which numbers are computed with; None: the network's own, or float32.

    Raises
    ------
    TypeError, ValueError
        If something is no array of finite numbers of the right shape.
    """
    count = len(net.input_shapes) if net.input_shapes is not None else 1
    if count == 1:
        given = [array("X", X)]
    else:
        if not isinstance(X, (list, tuple)) or len(X) != count:
            raise ValueError(f"X: expects a list of {count} arrays, one for each input")
        given = [array(f"X[{k}]", x) for k, x in enumerate(X)]
    names = ["X"] if count == 1 else [f"X[{k}]" for k in range(count)]
    arrays = [_readable(a) for a in given]
    for name, a in zip(names, arrays, strict=True):
        _samples_by_features(name, a, net)
    fit_shapes(arrays, net)
    same_length(zip(names, arrays, strict=True))
    if precision is None:
        precision = net.native.precision if net.built else "float32"
    for name, a in zip(names, arrays, strict=True):
        finite(name, a, precision)
    return arrays


def fit_shapes(arrays: Sequence[Array], net: "Network") -> None:
    """Refuse inputs of other shapes than the network's."""
    if net.input_shapes is None:
        return
    for a, shape, who in zip(arrays, net.input_shapes, net.input_labels, strict=True):
        if a.shape[1:] == shape:
            continue
        wanted = f"{shape[0]} inputs" if len(shape) == 1 else f"inputs of shape {shape}"
        hint = ""
        if len(shape) == 1 and a.ndim > 2 and int(np.prod(a.shape[1:])) == shape[0]:
            hint = ". Put Flatten() before it."
        elif a.shape == shape:
            hint = ". One sample is X[None]."
        raise ValueError(f"{who}: expects {wanted}, got {a.shape}{hint}")


def targets(y: Any, samples: int, loss: Loss, shape: Shape, precision: str = "float32") -> Array:
    """Return targets as the loss takes them: int32 labels (N,) or values (N, ...).

    Parameters
    ----------
    y
        What the user gave.
    samples
        How many the inputs have.
    loss
        Decides between labels and values.
    shape
        Of the network's output, without the batch.
    precision
        In which values are computed with.

    Raises
    ------
    TypeError, ValueError
        If they fit neither the loss nor the output.
    """
    given = array_of_targets(y, loss)
    if given.ndim == 0:
        raise ValueError(f"y: expects one target for each sample, got the number {given}")
    same_length([("X", samples), ("y", given)])
    if loss.name == "cross_entropy":
        _classes(shape)
        if given.ndim == 1 or (given.ndim == 2 and given.shape[1] == 1):
            return labels(given.reshape(-1), shape[0])
    values = _readable(given)
    if values.dtype == np.uint8:  # of targets, the core takes integers for labels
        values = values.astype(np.float32)
    if values.shape[1:] != shape:
        if values.ndim != 1 or shape != (1,):
            kinds = "labels (N,) or " if loss.name == "cross_entropy" else ""
            raise ValueError(f"y: expects {kinds}shape {(samples, *shape)}, got {values.shape}")
        values = values.reshape(-1, 1)
    finite("y", values, precision)
    if loss.classification:
        _probabilities(values, loss)
    return values


def array_of_targets(y: Any, loss: Loss) -> Array:
    """Return y as an array; text labels get advice of their own."""
    if loss.classification:
        kind = np.asarray(y).dtype.kind if isinstance(y, (list, tuple, np.ndarray)) else ""
        if kind in ("U", "S"):
            raise TypeError(
                "y: labels must be whole numbers from 0, got text; "
                "names, y = np.unique(y, return_inverse=True) numbers them"
            )
    return array("y", y)


def labels(given: Array, classes: int) -> Array:
    """Return class labels as int32; whole floats are welcome.

    Raises
    ------
    ValueError
        If one is no whole number or outside 0..classes-1; says which.
    """
    if given.dtype.kind == "f":
        finite("y", given)
        broken = np.flatnonzero(given != np.rint(given))
        if broken.size:
            raise ValueError(
                f"y: labels must be whole numbers, got {given[broken[0]]} at row {broken[0]}"
            )
    outside = np.flatnonzero((given < 0) | (given >= classes)) if given.size else given
    if outside.size:
        raise ValueError(
            f"y: label {given[outside[0]]:.0f} at row {outside[0]} is out of range: the network "
            f"has {classes} outputs, so labels are 0 to {classes - 1}"
        )
    return np.ascontiguousarray(given, dtype=np.int32)


def sample_weights(weights: Any, samples: int, precision: str = "float32") -> Array | None:
    """Return sample weights (N,) as float64, which `precision` holds, or None.

    Raises
    ------
    TypeError, ValueError
        If they are not N finite numbers >= 0, or all are 0.
    """
    if weights is None:
        return None
    given = np.ascontiguousarray(array("sample_weight", weights), dtype=np.float64)
    if given.shape != (samples,):
        raise ValueError(f"sample_weight: expects shape ({samples},), got {given.shape}")
    finite("sample_weight", given, precision)
    if (given < 0).any():
        row = int(np.flatnonzero(given < 0)[0])
        raise ValueError(f"sample_weight: must be at least 0, got {given[row]} at row {row}")
    if not given.any():
        raise ValueError("sample_weight: all weights are 0, so nothing would be learned")
    return given


def finite(name: str, a: Array, precision: str = "float64") -> None:
    """Refuse NaN, infinity and what `precision` cannot hold; says where the first one is."""
    limit = float(np.finfo(precision).max)
    if a.dtype.kind != "f" or _core.all_finite(a, limit):
        return
    for first in range(0, len(a), 4096):
        bad = np.argwhere(~(np.abs(a[first : first + 4096]) <= limit))
        if len(bad):
            row, *rest = (int(k) for k in bad[0])
            value = a[(first + row, *rest)]
            where = f"row {first + row}"
            if rest:
                where += f", column {rest[0]}" if len(rest) == 1 else f", element {tuple(rest)}"
            cure = "clean the data first"
            if np.isfinite(value):
                cure = f'{precision} ends at {limit:.3g}; scale the data, or take "float64"'
            raise ValueError(f"{name}: holds {value} at {where}; {cure}")


def same_length(given: Any) -> None:
    """Refuse arrays (or numbers of samples) by name that do not have equal lengths."""
    sizes = [(name, a if isinstance(a, int) else len(a)) for name, a in given]
    for name, size in sizes[1:]:
        if size != sizes[0][1]:
            raise ValueError(f"{sizes[0][0]} has {sizes[0][1]} samples, but {name} has {size}")


def count(name: str, value: Any) -> int:
    """Return a positive int.

    Raises
    ------
    TypeError, ValueError
        If it is no int, or below 1.
    """
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if int(value) < 1:
        raise ValueError(f"{name} must be at least 1, got {int(value)}")
    return int(value)


def seed(value: Any) -> int:
    """Return a seed: an int in [0, 2^64).

    Raises
    ------
    TypeError, ValueError
        If it is no int, or outside.
    """
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"seed must be an int, got {value!r}")
    if not 0 <= int(value) < 2**64:
        raise ValueError(f"seed must be in [0, 2^64), got {int(value)}")
    return int(value)


def _readable(a: Array) -> Array:
    """Return an array in a dtype the core reads; others are converted once."""
    if a.dtype in _NATIVE and a.dtype.isnative:
        return a
    wide = a.dtype.kind == "f" and a.dtype.itemsize >= 8
    return a.astype(np.float64 if wide else np.float32)


def _samples_by_features(name: str, a: Array, net: "Network") -> None:
    if a.ndim < 2:
        hint = ". One feature is X[:, None], one sample X[None]." if a.ndim else ""
        raise ValueError(f"{name}: expects (samples, features), got shape {a.shape}{hint}")
    if a.shape[0] == 0:
        raise ValueError(f"{name}: has no samples, shape {a.shape}")
    if 0 in a.shape:
        raise ValueError(f"{name}: has no features, shape {a.shape}; {label(net)} needs some")


def _classes(shape: Shape) -> None:
    if len(shape) != 1:
        raise ValueError(f"cross_entropy: expects an output of one axis (classes,), got {shape}")
    if shape[0] < 2:
        raise ValueError(
            "cross_entropy: needs an output for each class, at least 2, got 1; "
            'for one output take loss="binary_cross_entropy"'
        )


def _probabilities(values: Array, loss: Loss) -> None:
    low, high = values.min(), values.max()
    if low < 0 or high > 1:
        row = int(np.argwhere((values < 0) | (values > 1))[0][0])
        raise ValueError(
            f"y: {loss.name} takes probabilities from 0 to 1, got {values[row]} at row {row}"
        )
    if loss.name == "cross_entropy":
        total = values.sum(axis=1, dtype=np.float64)
        off = np.flatnonzero(np.abs(total - 1) > 1e-3)
        if off.size:
            raise ValueError(
                f"y: probabilities of a sample must add up to 1, row {off[0]} gives "
                f"{total[off[0]]:.6g}"
            )
