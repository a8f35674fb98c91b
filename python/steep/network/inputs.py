"""Checks of what users pass in: X, y, sample weights. Everything bad is refused here.

How numbers are got out of lists and tables, and what the core can read, is in `checks.arrays`.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .. import _core
from ..checks import on_device
from ..checks.arrays import Array, Given, array, finite, is_read, place, readable
from ..checks.columns import Columns, columns_of, fitting_columns
from ..checks.numbers import Range
from ..losses import Loss
from . import labels as positions
from .description import Counts
from .tensor import Shape

_LABELS = "labels must be whole numbers from 0"
_NUMBERED = "names, y = np.unique(y, return_inverse=True) numbers them"
_HEAVIEST = 1e30  # sample weight; with gradients of 1e8 still finite, 1/it with 1e-8 not yet 0


class Takes(Protocol):
    """What is asked of a network: what its inputs are, where they are known, and who takes them."""

    @property
    def input_shapes(self) -> tuple[Shape, ...] | None: ...  # noqa: D102
    @property
    def _input_labels(self) -> list[str]: ...
    @property
    def _lengths(self) -> dict[int, Counts]: ...
    @property
    def _columns(self) -> tuple[Columns | None, ...]: ...


def features(
    X: Any,
    net: Takes,
    *,
    empty: bool = False,
    precision: str | None = None,
    device: str = "cpu",
) -> list[Any]:
    """Return the inputs of a network, one array each, checked against its shapes where known.

    There may be no samples where `empty` says so. `precision` is what they will be computed in,
    None where that is not known. For `device` "cuda" they may lie on the GPU, and stay there.

    Raises
    ------
    TypeError, ValueError
        If something is no array of finite numbers of the right shape.
    """
    shapes = net.input_shapes
    if type(X) is np.ndarray and is_read(X) and len(X) and shapes == (X.shape[1:],):
        finite("X", X, X, precision)  # what most calls bring, and small ones often
        return [X]
    sources, names = _sources(X, net)
    count = len(sources)
    arrays = [
        readable(_taken(name, x, device), samples=True)
        for name, x in zip(names, sources, strict=True)
    ]
    if any(net._columns):
        columns(X, net)
    counts = net._lengths if count > 1 else {}
    for k in counts:
        if arrays[k].ndim == 1:
            arrays[k] = arrays[k].reshape((len(arrays[k]), 1))
    for k, (name, a) in enumerate(zip(names, arrays, strict=True)):
        _samples_by_features(name, a, empty, hasattr(sources[k], "to_frame"))
        if 0 in a.shape[1:]:
            who = net._input_labels[k]
            raise ValueError(f"{name}: has no features, shape {a.shape}; {who} needs some")
    fit_shapes(arrays, net)
    same_length(zip(names, arrays, strict=True))
    for name, a, x in zip(names, arrays, sources, strict=True):
        finite(name, a, x, precision)
    for k, (who, steps) in counts.items():
        _lengths(names[k], arrays[k], who, steps)
    return arrays


def columns(
    X: Any, net: Takes, known: Sequence[Columns | None] | None = None
) -> tuple[Columns | None, ...]:
    """Return the names by which the inputs are known with these, one tuple each, or None.

    `known` are those that tables must have; None: those the network was trained on.

    Raises
    ------
    ValueError
        If a table's columns are others, or in another order.
    """
    sources, names = _sources(X, net)
    known = (net._columns if known is None else known) or [None] * len(sources)
    return tuple(map(fitting_columns, names, map(columns_of, sources), known))


def _sources(X: Any, net: Takes) -> tuple[list[Any], list[str]]:
    """Return what came for each input, and what messages call it."""
    shapes = net.input_shapes
    count = len(shapes) if shapes is not None else 1
    if count == 1:
        return [X], ["X"]
    if not isinstance(X, (list, tuple)) or len(X) != count:
        raise ValueError(f"X: expects a list of {count} arrays, one for each input")
    return list(X), [f"X[{k}]" for k in range(count)]


def _taken(name: str, value: Any, device: str, *texts: str) -> Given:
    """Return what users gave, where it lies; on the GPU only for who computes there."""
    if device == "cuda" and on_device.lies_there(value):
        return on_device.taken(name, value)
    return array(name, value, *texts)


def whole_numbers(arrays: Sequence[Given], graph: _core.Graph) -> None:
    """Refuse samples that have no whole numbers, or none of the range, where ids or lengths stand.

    Raises
    ------
    ValueError
        If one is not whole or out of range; says where, and who takes it.
    """
    stray = graph.stray(list(arrays))
    if stray is None:
        return
    k, row, at, value, low, high, what, who = stray
    name, shape = "X" if len(arrays) == 1 else f"X[{k}]", arrays[k].shape[1:]
    if what == "token":
        allowed = f"{who or 'the embedding'} has {high + 1} rows, so tokens are 0 to {high}"
    else:
        allowed = f"{who or 'the network'} takes {low} to {high}"
    said = f"{value:.0f}" if value == np.rint(value) else f"{value:.6g}"
    if value != np.rint(value):
        allowed = "it must be a whole number"
    position = f", position {at}" if len(shape) == 1 else ""
    if len(shape) > 1:
        position = f", position {tuple(int(i) for i in np.unravel_index(at, shape))}"
    raise ValueError(f"{name}: {what} {said} at row {row}{position}: {allowed}")


def fit_shapes(arrays: Sequence[Given], net: Takes) -> None:
    """Refuse inputs of other shapes than the network's."""
    if net.input_shapes is None:
        return
    for a, shape, who in zip(arrays, net.input_shapes, net._input_labels, strict=True):
        if a.shape[1:] == shape:
            continue
        wanted = f"{shape[0]} inputs" if len(shape) == 1 else f"inputs of shape {shape}"
        hint = ""
        if len(shape) == 1 and a.ndim > 2 and int(np.prod(a.shape[1:])) == shape[0]:
            hint = ". Put Flatten() before it."
        elif a.shape == shape:
            hint = ". One sample is X[None]."
        elif len(shape) == 3 and a.shape[1:] == (shape[2], *shape[:2]):
            hint = ". Channels come last here: X.transpose(0, 2, 3, 1)."
        raise ValueError(f"{who}: expects {wanted}, got {a.shape}{hint}")


def targets(
    y: Any,
    samples: int,
    loss: Loss,
    shape: Shape,
    *,
    precision: str | None = None,
    device: str = "cpu",
) -> Given:
    """Return targets as the loss takes them: int32 labels (N,) or values (N, *shape).

    Labels of positions, (N, *shape[:-1]), stay where they are. `samples` is how many the inputs
    have, `shape` that of the network's output; `precision` and `device` as in `features`.

    Raises
    ------
    TypeError, ValueError
        If they fit neither the loss nor the output.
    """
    kind = (_LABELS, _NUMBERED) if loss.classification else ()
    given = _taken("y", y, device, *kind)
    if given.ndim == 0:
        raise ValueError(f"y: expects one target for each sample, got the number {on_host(given)}")
    if len(given) != samples:
        same_length([("X", samples), ("y", given)])
    lead, kinds = shape[:-1], ""
    if loss.by_position:
        _classes(shape)
        kinds = f"labels {_text(samples, lead)} or "
        if positions.fits(given, lead):
            if not lead and loss._ignored is None:
                return labels(given.reshape((samples,)), shape[0], y)
            # The host counts those of each batch.
            return positions.of_positions(on_host(given), lead, shape[-1], loss._ignored, y)
    values = readable(given)
    if values.dtype == np.uint8:  # of targets, the core takes integers for labels
        values = values.astype(np.float32)
    if values.shape[1:] != shape and (values.ndim != 1 or shape != (1,)):
        hint = ". For one target a sample put Flatten() before its last layers" if lead else ""
        hint = hint if values.ndim == 1 else ""
        raise ValueError(f"y: expects {kinds}shape {(samples, *shape)}, got {values.shape}{hint}")
    finite("y", values, y, precision)
    values = values.reshape((samples, *shape))
    if loss.classification:
        _probabilities(values, loss)
    elif loss.allowed is not None:
        _allowed(values, loss)
    return values


def on_host(given: Given) -> Array:
    """Return numbers as NumPy has them."""
    return given.numpy() if isinstance(given, _core.DeviceArray) else given


def labels(given: Given, classes: int, owner: Any = None) -> Given:
    """Return class labels as int32; whole floats are welcome.

    Raises
    ------
    ValueError
        If one is no whole number or outside 0..classes-1; says which.
    """
    if isinstance(given, _core.DeviceArray):
        return _labels_there(given, classes, owner)
    if given.dtype.kind == "f":
        finite("y", given, owner)
        broken = np.flatnonzero(given != np.rint(given))
        if broken.size:
            where = place([int(broken[0])], owner)
            raise ValueError(f"y: labels must be whole numbers, got {given[broken[0]]} at {where}")
    wrong = (given < 0) | (given >= classes)
    if np.count_nonzero(wrong):
        outside = int(np.flatnonzero(wrong)[0])
        raise _no_class(given[outside], [outside], classes, owner)
    return np.ascontiguousarray(given, dtype=np.int32)


def _labels_there(given: _core.DeviceArray, classes: int, owner: Any) -> _core.DeviceArray:
    """Do the same on the GPU."""
    finite("y", given, owner)
    most = float(np.finfo(np.float64).max)
    if (at := on_device.first_outside(given, -most, most, whole=True)) is not None:
        value = on_device.value_at(given, at)
        raise ValueError(f"y: labels must be whole numbers, got {value} at {place(at, owner)}")
    if (at := on_device.first_outside(given, 0, classes - 1)) is not None:
        raise _no_class(on_device.value_at(given, at), at, classes, owner)
    return given.astype(np.int32)


def _no_class(label: Any, at: Sequence[int], classes: int, owner: Any) -> ValueError:
    return ValueError(
        f"y: label {label:.0f} at {place(at, owner)} is out of range: the network has {classes} "
        f"outputs, so labels are 0 to {classes - 1}"
    )


def sample_weights(
    weights: Any,
    samples: int,
    lead: Shape = (),
    precision: str = "float32",
    device: str = "cpu",
) -> Array | None:
    """Return sample weights (N,) as float64, which `precision` holds, or None.

    Those of positions, (N, *lead), stay as they are where the core reads them. From the GPU they
    are copied: the host adds up those of each batch.

    Raises
    ------
    TypeError, ValueError
        If they are not N finite numbers >= 0, all are 0, or the largest is out of all proportion.
    """
    if weights is None:
        return None
    given = on_host(_taken("sample_weight", weights, device))
    if positions.given_weights(given, samples, lead):
        known = given.dtype in (np.float32, np.float64) and given.dtype.isnative
        given = given if known else given.astype(np.float64)
    else:
        given = np.ascontiguousarray(given, dtype=np.float64)
    finite("sample_weight", given, precision)
    if given.min() < 0:
        at = tuple(int(k) for k in np.argwhere(given < 0)[0])
        raise ValueError(f"sample_weight: must be at least 0, got {given[at]} at {place(at)}")
    if not given.any():
        raise ValueError("sample_weight: all weights are 0, so nothing would be learned")
    largest = float(given.max())
    if not 1.0 / _HEAVIEST <= largest <= _HEAVIEST:
        raise ValueError(
            f"sample_weight: the largest is {largest:g}; it must be from {1.0 / _HEAVIEST:g} to "
            f"{_HEAVIEST:g}, or its products with gradients are 0 or infinite in float32. Divide "
            "all by the largest."
        )
    return given


def same_length(given: Any) -> None:
    """Refuse arrays (or numbers of samples) by name that do not have equal lengths."""
    sizes = [(name, a if isinstance(a, int) else len(a)) for name, a in given]
    for name, size in sizes[1:]:
        if size != sizes[0][1]:
            raise ValueError(f"{sizes[0][0]} has {sizes[0][1]} samples, but {name} has {size}")


def _lengths(name: str, a: Given, who: str, steps: int) -> None:
    """Refuse what is no number of steps."""
    given = on_host(a).reshape(-1)
    wrong = np.flatnonzero((given < 1) | (given > steps) | (given != np.rint(given)))
    if wrong.size:
        row = int(wrong[0])
        raise ValueError(
            f"{name}: {who} goes by lengths, whole numbers from 1 to {steps}, got "
            f"{given[row]:g} at row {row}"
        )


def _samples_by_features(name: str, a: Given, empty: bool, series: bool) -> None:
    if a.ndim < 2:
        hint = ". One feature is X[:, None], one sample X[None]." if a.ndim else ""
        hint = ". One feature is X.to_frame(), one sample X.to_frame().T." if series else hint
        raise ValueError(f"{name}: expects (samples, features), got shape {a.shape}{hint}")
    if a.shape[0] == 0 and not empty:
        raise ValueError(f"{name}: has no samples, shape {a.shape}")


def _classes(shape: Shape) -> None:
    if shape[-1] < 2:
        raise ValueError(
            "cross_entropy: needs an output for each class, at least 2, got 1; "
            'for one output take loss="binary_cross_entropy"'
        )


def _allowed(values: Given, loss: Loss) -> None:
    if isinstance(values, _core.DeviceArray):
        assert loss.allowed is not None
        if (at := on_device.first_outside(values, *_closed(loss.allowed))) is not None:
            raise _not_allowed(loss, on_device.value_at(values, at), at[0])
        return
    low, high = float(values.min()), float(values.max())
    if low not in loss.allowed or high not in loss.allowed:  # type: ignore[operator]
        wrong = low if low not in loss.allowed else high  # type: ignore[operator]
        row = int(np.argwhere(values == wrong)[0][0])
        raise _not_allowed(loss, values[row], row)


def _not_allowed(loss: Loss, value: Any, row: int) -> ValueError:
    return ValueError(f"y: {loss.name} takes targets in {loss.allowed}, got {value} at row {row}")


def _closed(of: Range) -> tuple[float, float]:
    """Return the least and the largest number of a range."""
    low = float(np.nextafter(of.low, np.inf)) if of.low_open else of.low
    return low, float(np.nextafter(of.high, -np.inf)) if of.high_open else of.high


def _probabilities(values: Given, loss: Loss) -> None:
    if isinstance(values, _core.DeviceArray):
        _probabilities_there(values, loss)
        return
    low, high = values.min(), values.max()
    if low < 0 or high > 1:
        row = int(np.argwhere((values < 0) | (values > 1))[0][0])
        raise ValueError(
            f"y: {loss.name} takes probabilities from 0 to 1, got {values[row]} at row {row}"
        )
    if loss.name == "cross_entropy":
        total = values.sum(axis=-1, dtype=np.float64)
        off = np.argwhere(np.abs(total - 1) > 1e-3)
        if len(off):
            at = tuple(int(k) for k in off[0])
            raise ValueError(
                f"y: probabilities of a sample must add up to 1, {place(at)} gives {total[at]:.6g}"
            )


def _probabilities_there(values: _core.DeviceArray, loss: Loss) -> None:
    if (at := on_device.first_outside(values, 0, 1)) is not None:
        value = on_device.value_at(values, at)
        raise ValueError(
            f"y: {loss.name} takes probabilities from 0 to 1, got {value} at row {at[0]}"
        )
    if loss.name == "cross_entropy" and (row := values.first_unwanted_sum(0.999, 1.001)) >= 0:
        at = tuple(int(k) for k in np.unravel_index(row, values.shape[:-1]))
        raise ValueError(f"y: probabilities of a sample must add up to 1, {place(at)} does not")


def _text(samples: int, lead: Shape) -> str:
    return f"({', '.join(map(str, ('N', *lead)))})" if lead else "(N,)"
