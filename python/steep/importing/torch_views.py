"""Functions of PyTorch that move, cut, join or pad: a row for each in `VIEWS`.

Those that compute are in `torch_functions`. A row is called with the call and the function's
arguments.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .folding import Batch
from .onnx_node import Missing, axis_of, tensor
from .onnx_shapes import sample_shape
from .torch_call import Call, Row, pair
from .views import View, reshaped, transposed
from .weights import Weight

PADS = {"replicate": "edge", "circular": "wrap"}  # PyTorch's words and ONNX's


def _renamed(x: Any, index: Any) -> Weight:
    """Return a weight with axes of size 1 put in, or taken out, by an index."""
    value = np.asarray(x.value[index])
    if value.size != x.value.size:
        raise ValueError("takes a part of a weight")
    return Weight(value, x.name, x.learned, fixed=x.fixed)


def flatten(call: Call, x: Any, start_dim: int = 0, end_dim: int = -1) -> View:
    """Join axes."""
    v = tensor(x)
    first, last = axis_of(v, start_dim), axis_of(v, end_dim)
    shape = v.shape
    joined = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
    return reshaped(v, joined, call.builder.moves)


def unflatten(call: Call, x: Any, dim: int, sizes: Any) -> View:
    """Split an axis."""
    v = tensor(x)
    axis = axis_of(v, dim)
    told = [Batch(1), *v.shape[:axis], *sizes, *v.shape[axis + 1 :]]
    return reshaped(v, sample_shape(v, told, zeros=False), call.builder.moves)


def _reshape(call: Call, x: Any, *shape: Any) -> Any:
    told = [*shape[0]] if shape and isinstance(shape[0], (tuple, list)) else [*shape]
    if isinstance(x, Weight):
        return replace(x, value=x.value.reshape([int(n) for n in told]))
    v = tensor(x)
    return reshaped(v, sample_shape(v, told, zeros=False), call.builder.moves)


def _permute(call: Call, x: Any, *dims: Any) -> View:
    v = tensor(x)
    told = [*dims[0]] if isinstance(dims[0], (tuple, list)) else [*dims]
    count = len(v.axes) + 1
    return call.onnx("Transpose", v, perm=[k % count for k in told])  # type: ignore[no-any-return]


def _transpose(call: Call, x: Any, a: int, b: int) -> View:
    v = tensor(x)
    perm = [*range(len(v.axes))]
    p, q = axis_of(v, a), axis_of(v, b)
    perm[p], perm[q] = q, p
    return transposed(v, perm)


def _cat(call: Call, tensors: Sequence[Any], dim: int = 0, axis: int | None = None) -> Any:
    return call.onnx("Concat", *tensors, axis=dim if axis is None else axis)


def _chunk(call: Call, x: Any, chunks: int, dim: int = 0) -> Any:
    v = tensor(x)
    size = -(-v.shape[axis_of(v, dim)] // chunks)
    return _split(call, v, size, dim)


def _split(call: Call, x: Any, size: Any, dim: int = 0) -> Any:
    v = tensor(x)
    whole = v.shape[axis_of(v, dim)]
    if isinstance(size, int):
        size = [min(size, whole - k) for k in range(0, whole, size)]
    return call.onnx("Split", v, Weight(np.array(size)), outputs=len(size), axis=dim)


def _expand(call: Call, x: Any, *sizes: Any) -> Any:
    told = [*sizes[0]] if isinstance(sizes[0], (tuple, list)) else [*sizes]
    shape = [Batch(1), *tensor(x).shape]
    if len(told) != len(shape):
        raise ValueError(f"puts axes before the batch: {told}")
    kept = [n if m == -1 else m for n, m in zip(shape, told, strict=True)]
    return call.onnx("Expand", x, Weight(np.array(kept, object)))


def _repeat(call: Call, x: Any, *times: Any) -> Any:
    told = [*times[0]] if isinstance(times[0], (tuple, list)) else [*times]
    return call.onnx("Tile", x, Weight(np.array(told)))


def _stack(call: Call, tensors: Sequence[Any], dim: int = 0) -> Any:
    place = dim if dim >= 0 else dim + len(tensor(tensors[0]).axes) + 2
    return call.onnx("Concat", *(_unsqueeze(call, x, place) for x in tensors), axis=place)


def _flip(call: Call, x: Any, *dims: Any) -> Any:
    v = tensor(x)
    for dim in [*dims[0]] if isinstance(dims[0], (tuple, list)) else dims:
        axis = axis_of(v, dim)
        v = call.builder.taken(v, axis, range(v.shape[axis] - 1, -1, -1))
    return v


def _roll(call: Call, x: Any, shifts: Any, dims: Any = None) -> Any:
    v = tensor(x)
    if dims is None:
        raise ValueError("rolls all axes as one, the batch too")
    for shift, dim in zip(pair(shifts, 1), pair(dims, 1), strict=True):
        axis = axis_of(v, dim)
        size = v.shape[axis]
        v = call.builder.taken(v, axis, [(k - shift) % size for k in range(size)])
    return v


def _narrow(call: Call, x: Any, dim: int, start: int, length: int) -> View:
    v = tensor(x)
    return call.builder.cut(v, axis_of(v, dim), start, start + length)


def _select(call: Call, x: Any, dim: int, index: int) -> Any:
    return call.onnx("Gather", x, Weight(np.array(index)), axis=dim)


def channel_shuffle(call: Call, x: Any, groups: int) -> View:
    """Deal channels out to groups: channel (g, k) becomes (k, g)."""
    v, moves = tensor(x), call.builder.moves
    n, *sizes = v.shape
    dealt = reshaped(v, (groups, n // groups, *sizes), moves)
    return reshaped(transposed(dealt, [1, 0, *range(2, len(v.shape) + 1)]), v.shape, moves)


def _squeeze(call: Call, x: Any, dim: Any = None) -> Any:
    if isinstance(x, Weight):
        return replace(x, value=np.squeeze(x.value, None if dim is None else tuple(pair(dim, 1))))
    return call.onnx("Squeeze", x, None if dim is None else Weight(np.array(pair(dim, 1))))


def _unsqueeze(call: Call, x: Any, dim: int) -> Any:
    if isinstance(x, Weight):
        return replace(x, value=np.expand_dims(x.value, dim))
    return call.onnx("Unsqueeze", x, Weight(np.array([dim])))


def _size(call: Call, x: Any, dim: int | None = None) -> Any:
    shape = (Batch(1), *tensor(x).shape)
    return shape if dim is None else shape[dim]


def _getattr(call: Call, x: Any, name: str) -> Any:
    if name == "shape":
        return _size(call, x)
    if name in ("dtype", "device"):
        return None
    if name == "values" and isinstance(x, tuple):
        return x[0]
    raise ValueError(f"asks for {name}")


def getitem(call: Call, x: Any, index: Any) -> Any:
    """Take parts of a tensor, or one of several."""
    if isinstance(x, (tuple, list)):
        if isinstance(x[index], Missing):
            raise ValueError("asks for the places of the largest, which steep does not have")
        return x[index]
    if isinstance(x, Weight):
        return _renamed(x, index)
    v, b = tensor(x), call.builder
    told = [*index] if isinstance(index, tuple) else [index]
    if Ellipsis in told:
        k = told.index(Ellipsis)
        told[k : k + 1] = [slice(None)] * (len(v.axes) + 1 - sum(n is not None for n in told) + 1)
    if not told or told[0] != slice(None):
        raise ValueError("takes some samples of a batch")
    axis = 0
    for item in told[1:]:
        if item is None:
            v = View(v.x, v.order, (*v.axes[:axis], (), *v.axes[axis:]))
            axis += 1
        elif isinstance(item, slice):
            first, last, step = item.indices(v.shape[axis])
            if step < 1 or first >= last:
                raise ValueError(f"takes {item} of {v.shape}")
            v = b.cut(v, axis, first, last, step)
            axis += 1
        elif isinstance(item, list) and all(type(k) is int for k in item):
            v = b.taken(v, axis, [range(v.shape[axis])[k] for k in item])
            axis += 1
        elif isinstance(item, int):
            place = range(v.shape[axis])[item]
            v = b.cut(v, axis, place, place + 1)
            v = View(v.x, v.order, (*v.axes[:axis], *v.axes[axis + 1 :]))
        else:
            raise ValueError(f"takes parts by {item!r}")
    return v


def pad(call: Call, x: Any, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Any:
    """Put zeros, another number, or numbers that are there, around."""
    v = tensor(x)
    count = len(v.axes) + 1
    before, after = [0] * count, [0] * count
    for k in range(len(pad) // 2):
        before[count - 1 - k], after[count - 1 - k] = pad[2 * k], pad[2 * k + 1]
    given = Weight(np.array([*before, *after])), Weight(np.asarray(float(value or 0.0)))
    return call.onnx("Pad", v, *given, mode=PADS.get(mode, mode))


def interpolate(  # noqa: PLR0917 - as PyTorch has them
    call: Call, x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: Any = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Any:  # fmt: skip
    """Enlarge by the nearest pixel, or between pixels."""
    v = tensor(x)
    count = len(v.axes) - 1
    if mode not in ("nearest", "linear", "bilinear") or antialias:
        raise ValueError(f"enlarges by mode {mode!r}{', antialias' if antialias else ''}")
    if size is None and recompute_scale_factor:
        size = [int(n * f) for n, f in zip(v.shape[1:], pair(scale_factor, count), strict=True)]
    way = "align_corners" if align_corners else "half_pixel"
    if size is not None:
        given = [None, Weight(np.array([1, v.shape[0], *pair(size, count)]))]
    else:
        given = [Weight(np.array([1.0, 1.0, *map(float, pair(scale_factor, count))]))]
    if mode != "nearest":
        return call.onnx(
            "Resize", v, None, *given, mode="linear", coordinate_transformation_mode=way
        )
    return call.onnx(
        "Resize", v, None, *given, mode=mode, coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )  # fmt: skip


def _pixel_shuffle(call: Call, x: Any, upscale_factor: int) -> Any:
    return call.onnx("DepthToSpace", x, blocksize=upscale_factor, mode="CRD")


def _pixel_unshuffle(call: Call, x: Any, downscale_factor: int) -> Any:
    return call.onnx("SpaceToDepth", x, blocksize=downscale_factor, mode="CRD")


VIEWS: Mapping[str, Row] = {
    "cat": _cat,
    "channel_shuffle": channel_shuffle,
    "chunk": _chunk,
    "concat": _cat,
    "expand": _expand,
    "expand_as": lambda call, x, like: _expand(call, x, [-1, *tensor(like).shape]),
    "flatten": flatten,
    "flip": _flip,
    "getattr": _getattr,
    "getitem": getitem,
    "interpolate": interpolate,
    "narrow": _narrow,
    "pad": pad,
    "permute": _permute,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "repeat": _repeat,
    "reshape": _reshape,
    "roll": _roll,
    "select": _select,
    "size": _size,
    "split": _split,
    "stack": _stack,
    "squeeze": _squeeze,
    "swapaxes": _transpose,
    "transpose": _transpose,
    "unflatten": unflatten,
    "unsqueeze": _unsqueeze,
    "view": _reshape,
}
