"""Rows of ONNX operators that sum along axes or reshape; parts of axes: `onnx_parts`."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .. import ops
from . import onnx_batch
from .builder import Builder
from .folding import Batch, axes_of
from .onnx_node import Node, Row, all_axes, axes, constant, numbers, of_axes, tensor
from .views import View, reshaped, transposed
from .weights import Weight


def reduce(how: str, before: str = "", after: str = "") -> Row:
    """Return the row of a reduction: what is done to elements before, and to the result."""

    def row(b: Builder, node: Node, x: Any, over: Any = None) -> View:
        v = tensor(x)
        if not axes_of(node, None if over is None else constant(over, "axes").value, 99) and (
            node.get("noop_with_empty_axes", 0)
        ):
            return v
        places = axes(v, node, over)
        v = b.activation(v, before) if before else v
        batch = v.batch - (0 if _keeps(node) else sum(k < v.batch for k in places))
        if how == "min":
            v = b.affine(b.reduced(b.affine(v, -1.0), places, _keeps(node), "max"), -1.0)
        else:
            v = b.reduced(v, places, _keeps(node), how)
        return replace(b.activation(v, after) if after else v, batch=batch)

    return row


def _keeps(node: Node) -> bool:
    return bool(node.get("keepdims", 1))


def log_sum_exp(b: Builder, node: Node, x: Any, over: Any = None) -> View:
    """Read ReduceLogSumExp."""
    v = tensor(x)
    places = axes(v, node, over)
    top = b.reduced(v, places, True, "max")
    low = b.activation(b.binary(ops.subtract, v, top), "exp")
    total = b.activation(b.reduced(low, places, True, "sum"), "log")
    found = b.binary(ops.add, total, top)
    if _keeps(node):
        return found
    left = tuple(axis for k, axis in enumerate(found.axes) if k not in places)
    return View(found.x, found.order, left)


def reshape(b: Builder, node: Node, x: Any, shape: Any = None) -> Any:
    """Read Reshape."""
    v = tensor(x)
    if shape is None:
        told = list(node.get("shape", []))
    elif isinstance(shape, Weight):
        told = shape.value.reshape(-1).tolist()
    else:
        raise ValueError("its shape depends on the inputs")
    zeros = not node.get("allowzero", 0)
    if v.batch:
        return onnx_batch.reshape(b, onnx_batch.apart(v), told, zeros=zeros)
    try:
        shape_of_each = sample_shape(v, told, zeros=zeros)
    except ValueError as error:
        try:  # samples in one axis with others
            return onnx_batch.reshape(b, onnx_batch.apart(v), told, zeros=zeros)
        except ValueError:
            raise error from None
    return reshaped(v, shape_of_each, b.moves)


def sample_shape(v: View, told: Sequence[Any], *, zeros: bool = True) -> list[int]:
    """Return a new shape without its batch; the first number must be the batch."""
    if not told:
        raise ValueError("takes the batch away")
    first, *rest = told
    size = math.prod(v.shape)
    inner = []
    for k, n in enumerate(rest):
        if isinstance(n, Batch):
            raise ValueError(f"makes {told} of {v.shape}: the batch is not the first axis")
        if n == 0 and zeros and k >= len(v.shape):
            raise ValueError(f"makes {told} of {v.shape}")
        inner.append(v.shape[k] if n == 0 and zeros else int(n))
    if inner.count(-1) > 1 or any(n < 1 and n != -1 for n in inner):
        raise ValueError(f"makes {told} of {v.shape}")
    known = math.prod(n for n in inner if n != -1)
    if -1 in inner and size % known == 0:
        inner[inner.index(-1)] = size // known
    whole = first == Batch(1) or first in (0, -1) or (first == 1 and -1 not in rest)
    if not whole or math.prod(inner) != size:
        whole = not isinstance(first, Batch) and first >= 1 and math.prod(inner) == size
    if not whole:
        raise ValueError(f"makes {told} of (batch, *{v.shape}): samples must stay apart")
    return inner


def flatten(b: Builder, node: Node, x: Any) -> View:
    """Read Flatten."""
    v, axis = tensor(x), node.get("axis", 1)
    count = len(v.axes) + 1
    if axis not in (1, 1 - count):
        raise ValueError(f"joins samples (axis {axis})")
    return reshaped(v, (math.prod(v.shape),), b.moves)


def squeeze(b: Builder, node: Node, x: Any, over: Any = None) -> View:
    """Read Squeeze."""
    v = tensor(x)
    told = axes_of(node, None if over is None else constant(over, "axes").value, len(v.axes) + 1)
    gone = [k for k, n in enumerate(v.shape) if n == 1] if told is None else axes(v, node, over)
    if any(v.shape[k] != 1 for k in gone):
        raise ValueError(f"takes axes away that are not 1, of {v.shape}")
    places = {k + (k >= v.batch) for k in gone}
    return of_axes(v, [axis for k, axis in enumerate(all_axes(v)) if k not in places])


def unsqueeze(b: Builder, node: Node, x: Any, over: Any = None) -> View:
    """Read Unsqueeze."""
    v = tensor(x)
    told = node.get("axes", []) if over is None else numbers(over, "axes")
    count = len(v.axes) + 1 + len(told)
    places = {k % count for k in told if -count <= k < count}
    if len(places) != len(told):
        raise ValueError(f"puts axes at {told} of {count}")
    rest = iter(all_axes(v))
    return of_axes(v, [() if k in places else next(rest) for k in range(count)])


def transpose(b: Builder, node: Node, x: Any) -> View:
    """Read Transpose."""
    v = tensor(x)
    perm = node.get("perm", [*range(len(v.axes), -1, -1)])
    if sorted(perm) != [*range(len(v.axes) + 1)]:
        raise ValueError(f"has a transposition {list(perm)} of {len(v.axes) + 1} axes")
    whole = all_axes(v)
    return of_axes(v, [whole[k] for k in perm])


def depth_to_space(b: Builder, node: Node, x: Any) -> View:
    """Read DepthToSpace."""
    v, n = tensor(x), node.get("blocksize", 1)
    c, h, w = v.shape
    if node.get("mode", "DCR") == "DCR":
        wide = reshaped(v, (n, n, c // (n * n), h, w), b.moves)
        turned = transposed(wide, [2, 3, 0, 4, 1])
    else:
        wide = reshaped(v, (c // (n * n), n, n, h, w), b.moves)
        turned = transposed(wide, [0, 3, 1, 4, 2])
    return reshaped(turned, (c // (n * n), h * n, w * n), b.moves)


def space_to_depth(b: Builder, node: Node, x: Any) -> View:
    """Read SpaceToDepth."""
    v, n = tensor(x), node.get("blocksize", 1)
    c, h, w = v.shape
    wide = reshaped(v, (c, h // n, n, w // n, n), b.moves)
    turn = [2, 4, 0, 1, 3] if node.get("mode", "DCR") == "DCR" else [0, 2, 4, 1, 3]
    return reshaped(transposed(wide, turn), (c * n * n, h // n, w // n), b.moves)
