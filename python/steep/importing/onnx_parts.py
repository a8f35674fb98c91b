"""Rows of ONNX operators that join, cut, repeat and pick parts of axes."""

from dataclasses import replace
from typing import Any

import numpy as np

from .. import ops
from .builder import Builder
from .folding import Batch, axes_of, slices_of
from .onnx_node import Node, axis_of, constant, numbers, tensor
from .views import View, reshaped, shaped, size_of, view
from .weights import Weight


def concat(b: Builder, node: Node, *given: Any) -> View:
    """Read Concat."""
    like = next((x for x in given if isinstance(x, View)), None)
    if like is not None:  # an exporter's place for what a file of another size would have
        given = tuple(x for x in given if not isinstance(x, Weight) or x.value.size)
    views = [
        _standing(b, like, x, node.hint) if isinstance(x, Weight) and like else tensor(x)
        for x in given
    ]
    if len({len(v.axes) for v in views}) != 1:
        raise ValueError("joins tensors of other numbers of axes")
    return b.concat(views, axis_of(views[0], node.get("axis", 1)))


def _standing(b: Builder, like: View, weight: Weight, hint: str) -> View:
    """Return a constant as a tensor of every sample: zeros of one that is there, and the rest."""
    value = weight.value
    if value.dtype == object or not value.ndim or value.shape[0] != 1 or not value.size:
        raise ValueError(f"joins a constant of shape {value.shape}; one for all samples has 1")
    if weight.batch not in (None, 0) or like.batch:
        raise ValueError("joins a constant whose samples lie along another axis")
    one = ops.slice(shaped(like.x, (size_of(like.order),)), 0, 1)
    x = ops.repeat(ops.affine(one, 0.0), value.size)
    v = view(shaped(x, value.shape[1:]))
    v = v if value.ndim > 1 else View(v.x, (), ())
    return b.add(v, weight, hint) if value.any() else v


def split(b: Builder, node: Node, x: Any, sizes: Any = None) -> list[View]:
    """Read Split."""
    v = tensor(x)
    axis, count = axis_of(v, node.get("axis", 0)), len(node.outputs)
    told = node.get("split", None) if sizes is None else numbers(sizes, "its parts")
    if told is None:
        size = -(-v.shape[axis] // count)
        told = [size] * (count - 1) + [v.shape[axis] - size * (count - 1)]
    if len(told) != count or sum(told) != v.shape[axis] or min(told) < 1:
        raise ValueError(f"cuts axis {axis + 1} of {v.shape} into {told}")
    found, start = [], 0
    for n in told:
        found.append(b.cut(v, axis, start, start + n))
        start += n
    return found


def cut(b: Builder, node: Node, x: Any, *given: Any) -> View:
    """Read Slice."""
    v = tensor(x)
    parts = tuple(None if p is None else _ends(p) for p in given)
    for axis, start, end, step in slices_of(node, len(v.axes) + 1, parts):
        if axis == v.batch:
            if (start, step) != (0, 1) or end < LARGEST_END:
                raise ValueError("cuts the batch")
            continue
        place, batch = axis_of(v, axis), v.batch
        if step < 1:
            v = replace(_backwards(b, v, place, (start, end, step)), batch=batch)
            continue
        first, last, _ = slice(start, end, step).indices(v.shape[place])
        if first >= last:
            raise ValueError(f"leaves nothing of axis {axis} of {v.shape}")
        v = replace(b.cut(v, place, first, last, step), batch=batch)
    return v


def _backwards(b: Builder, v: View, axis: int, told: tuple[int, int, int]) -> View:
    """Take places of an axis from the last on."""
    start, end, step = told
    size = v.shape[axis]
    if not step:
        raise ValueError(f"cuts axis {axis + 1} by steps of 0")
    places = range(size)[start : None if end < -size else end : step]
    if not places:
        raise ValueError(f"leaves nothing of axis {axis + 1} of {v.shape}")
    return b.taken(v, axis, places)


def _ends(value: Any) -> Any:
    """Return where an axis is cut; the number of samples is the end of the batch."""
    if isinstance(value, Weight) and value.value.dtype == object:
        whole = [LARGEST_END if n == Batch(1) else n for n in value.value.reshape(-1).tolist()]
        value = Weight(np.array(whole, object))
    return constant(value, "where it cuts").value


LARGEST_END = (1 << 31) - 1  # what exporters write for "to the end"


def gather(b: Builder, node: Node, x: Any, index: Any) -> View:
    """Read Gather: places of an axis, or rows of a table by an input."""
    if isinstance(x, Weight) and isinstance(index, View):
        if x.value.ndim != 2 or node.get("axis", 0) % 2 or not index.axes:
            raise ValueError("picks by its input what is no row of a table")
        return b.embedding(index, x, node.hint)
    v, given = tensor(x), constant(index, "its index").value
    axis = axis_of(v, node.get("axis", 0))
    size = v.shape[axis]
    places = [int(k) for k in given.reshape(-1)]
    if any(not -size <= k < size for k in places):
        raise ValueError(f"takes places beyond {size}")
    found = b.taken(v, axis, [k % size for k in places])
    shape = (*v.shape[:axis], *given.shape, *v.shape[axis + 1 :])
    batch = v.batch + (given.ndim - 1) * (axis < v.batch)
    return replace(reshaped(found, shape, b.moves), batch=batch)


def expand(b: Builder, node: Node, x: Any, shape: Any) -> View:
    """Read Expand."""
    v = tensor(x)
    if not isinstance(shape, Weight):
        raise ValueError("its shape depends on the inputs")
    told = shape.value.reshape(-1).tolist()
    if len(told) == len(v.axes) + 1:
        first, *rest = told
        if first != 1 and not isinstance(first, Batch):
            raise ValueError("repeats samples")
    elif len(told) <= len(v.axes):
        rest = [*v.shape[: len(v.axes) - len(told)], *told]
    else:
        raise ValueError("puts axes before the batch")
    return b.expanded(v, [n if m == 1 else int(m) for n, m in zip(v.shape, rest, strict=True)])


def tile(b: Builder, node: Node, x: Any, repeats: Any) -> View:
    """Read Tile."""
    v, told = tensor(x), numbers(repeats, "how often")
    if len(told) != len(v.axes) + 1 or told[0] != 1 or min(told) < 1:
        raise ValueError(f"repeats {told} times; samples must stay apart")
    for k, times in enumerate(told[1:]):
        if times > 1:
            wide = View(v.x, v.order, (*v.axes[:k], (), *v.axes[k:]))
            shape = [*v.shape[:k], times, *v.shape[k:]]
            joined = [*v.shape[:k], times * v.shape[k], *v.shape[k + 1 :]]
            v = reshaped(b.expanded(wide, shape), joined, b.moves)
    return v


def pad(  # noqa: PLR0917 - as ONNX has them
    b: Builder, node: Node, x: Any, pads: Any = None, value: Any = None, over: Any = None
) -> View:
    """Read Pad."""
    v, mode = tensor(x), node.get("mode", "constant")
    told = node.get("pads", []) if pads is None else numbers(pads, "its pads")
    number = node.get("value", 0.0)
    if value is not None and constant(value, "its value").value.size:
        number = float(constant(value, "its value").value.reshape(()))
    places = [*range(len(v.axes) + 1)]
    if over is not None:
        places = axes_of(node, constant(over, "axes").value, len(places)) or []
    if len(told) != 2 * len(places):
        raise ValueError(f"has {len(told)} pads for {len(places)} axes")
    before, after = [0] * (len(v.axes) + 1), [0] * (len(v.axes) + 1)
    for k, axis in enumerate(places):
        before[axis], after[axis] = told[k], told[k + len(places)]
    if before[0] or after[0]:
        raise ValueError("puts samples before or after the batch")
    if mode != "constant":
        return b.surrounded(v, before[1:], after[1:], mode)
    for k, (low, high) in enumerate(zip(before[1:], after[1:], strict=True)):
        if low < 0 or high < 0:
            v = b.cut(v, k, max(-low, 0), v.shape[k] - max(-high, 0))
    zeros = [[max(n, 0) for n in side[1:]] for side in (before, after)]
    return b.padded(v, zeros[0], zeros[1], float(number)) if any(map(any, zeros)) else v
