"""Functions of symbolic tensors along axes: sums, repetition, parts, joining. Re-exported by `ops`.

Axes are those of a sample, without the batch; negative ones count from the last.
"""

import math
from collections.abc import Sequence
from typing import Any

from ..checks.numbers import flag, is_list, whole
from .naming import shape_of
from .tensor import Shape, Tensor, emit, repeated, title_of


def sum(x: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Return the sum of x over axes: (h, w, c) over (0, 1) gives (c,).

    Parameters
    ----------
    x
        Any shape.
    axis
        One axis or several; None: all, which gives (1,).
    keepdims
        Whether axes that were summed stay, with size 1.

    Raises
    ------
    TypeError, ValueError
        If there is no such axis.
    """
    return _reduced("sum", x, axis, keepdims, mean=False)


def mean(x: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Return the mean of x over axes: (h, w, c) over (0, 1) gives (c,).

    Parameters
    ----------
    x
        Any shape.
    axis
        One axis or several; None: all, which gives (1,).
    keepdims
        Whether axes that were averaged stay, with size 1.

    Raises
    ------
    TypeError, ValueError
        If there is no such axis.
    """
    return _reduced("mean", x, axis, keepdims, mean=True)


def repeat(x: Tensor, times: int, axis: int = 0) -> Tensor:
    """Return x so many times along a new axis: (c,) gives (times, c).

    Parameters
    ----------
    x
        Any shape.
    times
        At least 1.
    axis
        Where the new axis stands in the result.

    Raises
    ------
    TypeError, ValueError
        If there is no such place, or the number is below 1.
    """
    times = whole("repeat", "times", times)
    return emit("repeat", x, axis=_axis("repeat", axis, len(x.shape) + 1), times=times)


def broadcast_to(x: Tensor, shape: Shape | int) -> Tensor:
    """Return x repeated to a shape: along its axes of size 1 and along leading axes that it lacks.

    Parameters
    ----------
    x
        A shape that fits: (c,) and (h, w, 1) fit (h, w, c).
    shape
        Without the batch axis.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit.
    """
    wanted = shape_of("broadcast_to", (shape,) if isinstance(shape, int) else tuple(shape))
    return repeated("broadcast_to", x, wanted)


def slice(x: Tensor, start: int, stop: int, axis: int = -1) -> Tensor:
    """Return x from place `start` of an axis up to, without it, place `stop`.

    Parameters
    ----------
    x
        Any shape.
    start, stop
        0 <= start < stop <= size of the axis.
    axis
        Which one.

    Raises
    ------
    TypeError, ValueError
        If there is no such axis, or no such part of it.
    """
    axis = _axis("slice", axis, len(x.shape))
    size = x.shape[axis]
    start, stop = whole("slice", "start", start, 0), whole("slice", "stop", stop)
    if not start < stop <= size:
        raise ValueError(
            f"{title_of(x, 'slice')}: axis {axis} of {x.shape} has no part from {start} to {stop}"
        )
    return emit("slice", x, axis=axis, first=start, last=stop)


def split(x: Tensor, parts: int | Sequence[int], axis: int = -1) -> list[Tensor]:
    """Return the parts of x along an axis.

    Parameters
    ----------
    x
        Any shape.
    parts
        How many, of equal size; or the size of each, adding up to that of the axis.
    axis
        Which one.

    Raises
    ------
    TypeError, ValueError
        If the parts do not make up the axis.
    """
    axis = _axis("split", axis, len(x.shape))
    size = x.shape[axis]
    given: Any = parts
    if is_list(parts):
        sizes = [whole("split", "a part", n) for n in given]
    else:
        count = whole("split", "parts", parts)
        sizes = [size // count] * count
    if not sizes or _total(sizes) != size or 0 in sizes:
        raise ValueError(
            f"{title_of(x, 'split')}: parts {parts} do not make up axis {axis} of {x.shape}"
        )
    found, start = [], 0
    for n in sizes:
        found.append(x if n == size else slice(x, start, start + n, axis))
        start += n
    return found


def concat(tensors: Sequence[Tensor], axis: int = -1) -> Tensor:
    """Return tensors joined along an axis: (h, w, c1), (h, w, c2) as (h, w, c1 + c2).

    Parameters
    ----------
    tensors
        At least one.
    axis
        Which one; None else may differ.

    Raises
    ------
    TypeError, ValueError
        If there is none, or the other axes differ.
    """
    if not tensors:
        raise ValueError("concat: expects at least one tensor")
    shapes = [x.shape for x in tensors if isinstance(x, Tensor)]
    if shapes:
        axis = _axis("concat", axis, len(shapes[0]))
        last = axis == len(shapes[0]) - 1
        others = {(*shape[:axis], -1, *shape[axis + 1 :]) for shape in shapes}
        if len(others) > 1:
            raise ValueError(
                f"{title_of(tensors[0], 'network')}: concat expects equal shapes but for the "
                f"{'last axis' if last else f'axis {axis}'}, got {', '.join(map(str, shapes))}"
            )
        if not last:
            return emit("concat", *tensors, axis=axis)
    return emit("concat", *tensors)


def _total(sizes: Sequence[int]) -> int:
    total = 0  # the builtin's name means something else here
    for n in sizes:
        total += n
    return total


def _axis(where: str, axis: int, axes: int) -> int:
    """Return an axis counted from the first."""
    found = whole(where, "axis", axis, -axes, axes - 1)
    return found + axes if found < 0 else found


def _reduced(
    where: str, x: Tensor, axis: int | Sequence[int] | None, keepdims: bool, *, mean: bool
) -> Tensor:
    """Return sums or means over axes, those beside each other at once."""
    shape = x.shape
    given: Any = range(len(shape)) if axis is None else axis if is_list(axis) else [axis]
    axes = sorted({_axis(where, n, len(shape)) for n in given})
    if not axes:
        raise ValueError(f"{title_of(x, where)}: expects at least one axis")
    left = tuple(1 if n in axes else size for n, size in enumerate(shape))
    end = len(axes)
    while end > 0:  # from the last one, so that the others keep their places
        start = end - 1
        while start > 0 and axes[start - 1] == axes[start] - 1:
            start -= 1
        count = end - start
        size = math.prod(shape[n] for n in axes[start:end])
        scale = 1.0 / size if mean else 1.0
        x = emit("sum", x, axis=axes[start], axes=count, scale=scale)
        end = start
    if flag(where, "keepdims", keepdims) and x.shape != left:
        return emit("reshape", x, shape=left)
    return x
