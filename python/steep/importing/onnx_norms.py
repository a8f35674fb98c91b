"""Rows of ONNX operators that normalise, over channels or axes, or take the softmax."""

import math
from typing import Any

from .. import layers, ops
from .builder import Builder
from .onnx_node import Node, axis_of, constant, tensor
from .views import View, channels_last, reshaped
from .weightless import channels_first
from .weights import Weight


def lrn(b: Builder, node: Node, x: Any) -> View:
    """Read LRN."""
    v, size = tensor(x), node.get("size", 1)
    if len(v.axes) != 3 or size % 2 == 0:
        raise ValueError(f"normalises {size} channels of {v.shape}; steep: odd numbers, of images")
    alpha, beta, bias = (node.get(*p) for p in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    y = layers.LocalResponseNorm(size, alpha / size, beta, bias)(channels_last(v, 0, b.moves))
    return channels_first(y)


def _scaled(b: Builder, node: Node, v: View, scale: Any, bias: Any) -> View:
    if scale is not None:
        v = b.multiply(v, constant(scale, "its scale"), f"{node.hint}.scale")
    return v if bias is None else b.add(v, constant(bias, "its bias"), f"{node.hint}.bias")


def layer_norm(b: Builder, node: Node, x: Any, scale: Any = None, bias: Any = None) -> list[View]:
    """Read LayerNormalization."""
    v = tensor(x)
    over = range(axis_of(v, node.get("axis", -1)), len(v.axes))
    eps, alone = float(node.get("epsilon", 1e-5)), not any(node.outputs[1:])
    if alone and len(over) == 1 and _learned(v, scale) and (bias is None or _learned(v, bias)):
        return [b.layer_norm(v, scale, bias, node.hint, eps=eps)]
    v, mean, root = b.normalised(v, over, eps)
    return [_scaled(b, node, v, scale, bias), mean, root]


def _learned(v: View, weight: Any) -> bool:
    """Say whether something is a weight of the last axis."""
    return isinstance(weight, Weight) and bool(weight.name) and weight.value.shape == v.shape[-1:]


def rms_norm(b: Builder, node: Node, x: Any, scale: Any = None) -> View:
    """Read RMSNormalization."""
    v = tensor(x)
    over = range(axis_of(v, node.get("axis", -1)), len(v.axes))
    mean = b.reduced(b.activation(v, "square"), over, True, "mean")
    root = b.affine(mean, shift=float(node.get("epsilon", 1e-5)))
    v = b.binary(ops.multiply, v, root.of(ops.power(root.x, -0.5)))
    return _scaled(b, node, v, scale, None)


def lp_norm(b: Builder, node: Node, x: Any) -> View:
    """Read LpNormalization: what is 0 everywhere stays 0."""
    v, p = tensor(x), node.get("p", 2)
    if p not in (1, 2):
        raise ValueError(f"divides by a norm of power {p}; ONNX has 1 and 2")
    over = [axis_of(v, node.get("axis", -1))]
    total = b.reduced(b.activation(v, "abs" if p == 1 else "square"), over, True, "sum")
    size = total if p == 1 else b.activation(total, "sqrt")
    return b.binary(ops.divide, v, size.of(ops.clip(size.x, 1e-30)))


def _by_channel(v: View, weight: Any, what: str) -> Weight:
    """Return a weight of the channels with axes of size 1 behind it."""
    given = constant(weight, what)
    return Weight(given.value.reshape(-1, *[1] * (len(v.axes) - 1)), given.name)


def instance_norm(b: Builder, node: Node, x: Any, scale: Any, bias: Any) -> View:
    """Read InstanceNormalization."""
    v = tensor(x)
    v, _, _ = b.normalised(v, range(1, len(v.axes)), float(node.get("epsilon", 1e-5)))
    by = [_by_channel(v, p, w) for p, w in ((scale, "its scale"), (bias, "its bias"))]
    return _scaled(b, node, v, *by)


def group_norm(b: Builder, node: Node, x: Any, scale: Any, bias: Any) -> View:
    """Read GroupNormalization."""
    v, groups = tensor(x), node.get("num_groups", 1)
    shape = v.shape
    wide = reshaped(v, (groups, shape[0] // groups, *shape[1:]), b.moves)
    wide, _, _ = b.normalised(wide, range(1, len(wide.axes)), float(node.get("epsilon", 1e-5)))
    v = reshaped(wide, shape, b.moves)
    by = [_by_channel(v, p, w) for p, w in ((scale, "its scale"), (bias, "its bias"))]
    return _scaled(b, node, v, *by)


def softmax(b: Builder, node: Node, x: Any) -> View:
    """Read Softmax."""
    v = tensor(x)
    if node.opset >= 13:
        return b.softmax(v, axis_of(v, node.get("axis", -1)))
    over = axis_of(v, node.get("axis", 1))  # all axes from there on, as one
    flat = reshaped(v, (*v.shape[:over], math.prod(v.shape[over:])), b.moves)
    return reshaped(b.softmax(flat, over), v.shape, b.moves)


def log_softmax(b: Builder, node: Node, x: Any) -> View:
    """Read LogSoftmax."""
    v = tensor(x)
    axis = axis_of(v, node.get("axis", -1 if node.opset >= 13 else 1))
    if node.opset < 13 and axis != len(v.axes) - 1:
        raise ValueError("is taken over several axes")
    top = b.reduced(v, [axis], True, "max")
    low = b.binary(ops.subtract, v, top.of(ops.stop_gradient(top.x)))
    total = b.reduced(b.activation(low, "exp"), [axis], True, "sum")
    return b.binary(ops.subtract, low, b.activation(total, "log"))
