"""Rows of ONNX operators that join, cut, repeat and pick parts of axes."""

from typing import Any

import numpy as np

from .builder import Builder
from .folding import Batch, axes_of, slices_of
from .onnx_node import Node, axis_of, constant, numbers, tensor
from .views import View, reshaped
from .weights import Weight


def concat(b: Builder, node: Node, *given: Any) -> View:
    """Read Concat."""
    views = [tensor(x, "one of what it joins") for x in given]
    if len({len(v.axes) for v in views}) != 1:
        raise ValueError("joins tensors of other numbers of axes")
    return b.concat(views, axis_of(views[0], node.get("axis", 1)))


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
    parts = tuple(None if p is None else constant(p, "where it cuts").value for p in given)
    for axis, start, end, step in slices_of(node, len(v.axes) + 1, parts):
        if axis == 0:
            if (start, step) != (0, 1) or end < LARGEST_END:
                raise ValueError("cuts the batch")
            continue
        if step < 1:
            raise ValueError(f"goes backwards along axis {axis}")
        first, last, _ = slice(start, end, step).indices(v.shape[axis - 1])
        if first >= last:
            raise ValueError(f"leaves nothing of axis {axis} of {v.shape}")
        v = b.cut(v, axis - 1, first, last, step)
    return v


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
    return reshaped(found, shape, b.moves)


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
    v = tensor(x)
    if node.get("mode", "constant") != "constant":
        raise ValueError(f"pads by mode {node.get('mode', '')!r}; steep pads by a number")
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
    for k, (low, high) in enumerate(zip(before[1:], after[1:], strict=True)):
        if low < 0 or high < 0:
            v = b.cut(v, k, max(-low, 0), v.shape[k] - max(-high, 0))
    zeros = [[max(n, 0) for n in side[1:]] for side in (before, after)]
    return b.padded(v, zeros[0], zeros[1], float(number)) if any(map(any, zeros)) else v


def resize(b: Builder, node: Node, x: Any, *given: Any) -> View:
    """Read Resize or Upsample."""
    v = tensor(x)
    if node.get("mode", "nearest") != "nearest":
        raise ValueError(f"enlarges by mode {node.get('mode', '')!r}; steep has the nearest pixel")
    if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("keeps an aspect ratio")
    parts = [None if p is None else constant(p, "its size").value.reshape(-1) for p in given]
    told = [p for p in parts[-2:] if p is not None and len(p)]  # scales or sizes come last
    scales = told[-1] if told else node.get("scales", None)
    if scales is None or (node.opset >= 11 and len(parts) < 2 and node.op != "Upsample"):
        raise ValueError("does not say how far it enlarges")
    by_size = node.op == "Resize" and len(parts) > 2 and parts[2] is not None and len(parts[2]) > 0
    axes = [k % (len(v.axes) + 1) for k in node.get("axes", range(len(v.axes) + 1))]
    by = dict(zip(axes, [float(n) for n in scales], strict=True))
    old = (1, *v.shape)
    factors = [
        by.get(k, 1.0) / n if by_size and k in by else by.get(k, 1.0) for k, n in enumerate(old)
    ]
    if not by_size and factors[0] != 1.0:
        raise ValueError("repeats samples")
    if any(
        not 0.0 < f <= MOST_TIMES or n * f > MOST_PLACES for n, f in zip(old, factors, strict=True)
    ):
        raise ValueError(f"enlarges by {factors[1:]}")
    sizes = [
        round(by[k]) if by_size and k in by else int(n * f)
        for k, (n, f) in enumerate(zip(old, factors, strict=True))
    ]
    places = [nearest(node, *about) for about in zip(old[1:], sizes[1:], factors[1:], strict=True)]
    return b.repicked(v, places)


MOST_TIMES = 1024.0  # that an axis is enlarged
MOST_PLACES = 1 << 16  # that it has then


def nearest(node: Node, old: int, new: int, scale: float) -> list[int]:
    """Return which place of an axis each place of the new one takes."""
    at = np.arange(new, dtype=np.float64)
    way = node.get("coordinate_transformation_mode", "half_pixel")
    if node.op == "Upsample" or node.opset < 11:
        way, near = "asymmetric", "floor"
    else:
        near = node.get("nearest_mode", "round_prefer_floor")
    if way == "asymmetric":
        at = at / scale
    elif way == "align_corners":
        at = at * (old - 1) / max(new - 1, 1)
    elif way == "half_pixel_symmetric":
        whole = old * scale
        at = old / 2 * (1 - new / whole) + (at + 0.5) / scale - 0.5
    elif way == "half_pixel" or (way == "pytorch_half_pixel" and new > 1):
        at = (at + 0.5) / scale - 0.5
    elif way == "pytorch_half_pixel":
        at = at * 0
    else:
        raise ValueError(f"has coordinates by {way!r}, which are not known here")
    rounded = {
        "floor": np.floor(at),
        "ceil": np.ceil(at),
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
    }[near]
    return [int(k) for k in np.clip(rounded, 0, old - 1)]
