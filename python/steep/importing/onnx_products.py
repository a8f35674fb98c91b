"""Rows of ONNX operators with windows and products: convolutions, pools, matrices."""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from .builder import Builder
from .matrices import multiplied
from .onnx_attention import Product, product
from .onnx_node import TURNED, Node, Row, constant, tensor
from .views import View, transposed
from .weights import Weight
from .windows import explicit_pads, pool_pads

MOST_TAPS = 64  # places of a window that are taken apart


def _optional(value: Any, what: str) -> Weight | None:
    return None if value is None else constant(value, what)


def gemm(b: Builder, node: Node, x: Any, weight: Any, bias: Any = None) -> View:
    """Read Gemm."""
    if len(tensor(x).axes) != 1:
        raise ValueError("multiplies samples by each other")
    return full(b, node, x, weight, bias)


def full(b: Builder, node: Node, x: Any, weight: Any, bias: Any = None) -> View:
    """Do what Gemm says to the last axis, whatever axes there are besides."""
    v, w, c = tensor(x), constant(weight, "its weight"), _optional(bias, "its bias")
    alpha, beta = float(node.get("alpha", 1.0)), float(node.get("beta", 1.0))
    if node.get("transA", 0) or w.value.ndim != 2:
        raise ValueError("multiplies samples by each other")
    out_first = bool(node.get("transB", 0))
    if alpha != 1.0:
        w = Weight((w.value * alpha).astype(w.value.dtype))
    outputs = w.value.shape[0] if out_first else w.value.shape[1]
    if c is not None and (beta != 1.0 or c.value.size != outputs):
        return b.add(
            b.dense(v, w, None, node.hint, out_first=out_first),
            Weight((c.value * beta).astype(c.value.dtype)), node.hint,
        )  # fmt: skip
    return b.dense(v, w, c, node.hint, out_first=out_first)


def matmul(b: Builder, node: Node, x: Any, weight: Any) -> View | Product:
    """Read MatMul."""
    if isinstance(x, Weight):
        return _from_the_left(b, node, x, tensor(weight))
    if isinstance(x, View) and isinstance(weight, View):
        return product(node, x, weight)
    v, w = tensor(x), constant(weight, "its second operand")
    while w.value.ndim > 2 and w.value.shape[0] == 1:
        w = Weight(w.value[0], w.name)
    if w.value.ndim != 2 or not v.axes:
        raise ValueError(f"multiplies by a constant of shape {w.value.shape}; steep wants two axes")
    return b.dense(v, w, None, node.hint, out_first=bool(node.get(TURNED, 0)))


def _from_the_left(b: Builder, node: Node, w: Weight, v: View) -> View:
    """Multiply by a constant from the left: along the last axis but one."""
    matrix = constant(w, "its first operand")
    if matrix.value.ndim != 2 or len(v.axes) < 2:
        raise ValueError("multiplies by a constant from the left that is no matrix of a sample")
    if not matrix.name:  # a constant: it is not to be trained
        return multiplied(v, matrix.value, b.moves)
    turn = [*range(len(v.axes) - 2), len(v.axes) - 1, len(v.axes) - 2]
    y = b.dense(transposed(v, turn), matrix, None, node.hint, out_first=True)
    return transposed(y, turn)


def dense(b: Builder, node: Node, x: Any, weight: Any, bias: Any) -> View:
    """MatMul and Add, which `onnx_patterns` has put together."""
    given = constant(weight, "its weight"), constant(bias, "its bias")
    return b.dense(tensor(x), *given, node.hint, out_first=bool(node.get(TURNED, 0)))


def _spatial(v: View) -> int:
    count = len(v.axes) - 1
    if count not in (1, 2):
        raise ValueError(f"has windows along {count} axes; steep has them along 1 and 2")
    return count


def conv(b: Builder, node: Node, x: Any, weight: Any, bias: Any = None) -> View:
    """Read Conv."""
    v, w = tensor(x), constant(weight, "its weight")
    count = _spatial(v)
    kernel = w.value.shape[2:]
    if len(kernel) != count:
        raise ValueError(f"has weights of shape {w.value.shape} for {count} axes")
    dilation = node.get("dilations", [1] * count)
    stride = node.get("strides", [1] * count)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = explicit_pads(node, v.shape[1:], reach, stride)
    return b.conv(
        v, w, _optional(bias, "its bias"), node.hint, stride=stride, pads=pads, dilation=dilation,
        groups=node.get("group", 1),
    )  # fmt: skip


def conv_transpose(b: Builder, node: Node, x: Any, weight: Any, bias: Any = None) -> View:
    """Read ConvTranspose."""
    v, w = tensor(x), constant(weight, "its weight")
    count = _spatial(v)
    kernel, sizes = w.value.shape[2:], v.shape[1:]
    stride, dilation = node.get("strides", [1] * count), node.get("dilations", [1] * count)
    more = list(node.get("output_padding", [0] * count))
    pads = list(node.get("pads", [0] * 2 * count))
    auto, wanted = node.get("auto_pad", "NOTSET"), node.get("output_shape", None)
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(sizes, stride, strict=True)]
    if wanted is not None:
        for k, size in enumerate(wanted[-count:]):
            whole = stride[k] * (sizes[k] - 1) + more[k] + (kernel[k] - 1) * dilation[k] + 1
            total = whole - size
            small, large = total // 2, total - total // 2
            before, after = (small, large) if auto == "SAME_UPPER" else (large, small)
            if total < 0:
                before, after, more[k] = 0, 0, more[k] - total
            pads[k], pads[k + count] = before, after
    return b.conv_transpose(
        v, w, _optional(bias, "its bias"), node.hint, stride=stride, pads=pads, dilation=dilation,
        groups=node.get("group", 1), more=more,
    )  # fmt: skip


def pool(kind: str) -> Row:
    """Return the row of AveragePool or one like it."""

    def row(b: Builder, node: Node, x: Any) -> Any:
        v = tensor(x)
        count = _spatial(v)
        if len(node.outputs) > 1 and node.outputs[1]:
            raise ValueError("gives the places of the largest, which steep does not have")
        kernel = node.get("kernel_shape", [])
        stride = node.get("strides", [1] * count)
        if any(d != 1 for d in node.get("dilations", [1])):
            return _spread(b, node, v, kind, kernel, stride)
        counted = kind == "avg" and bool(node.get("count_include_pad", 0))
        pads = pool_pads(node, v.shape[1:], kernel, stride, counted=counted)
        return b.pool(v, kind, kernel, stride, pads, counted)

    return row


def _spread(  # noqa: PLR0917 - as a window slides
    b: Builder, node: Node, v: View, kind: str, kernel: Sequence[int], stride: Sequence[int]
) -> View:
    """Pool by windows with gaps: each place of a window is a part of the image."""
    gaps, count = node.get("dilations", []), math.prod(kernel)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, gaps, strict=True)]
    if any(explicit_pads(node, v.shape[1:], reach, stride)) or count > MOST_TAPS:
        raise ValueError("has windows with gaps (dilations) beside padding, or very large ones")
    outs = [(n - r) / s for n, r, s in zip(v.shape[1:], reach, stride, strict=True)]
    if min(outs) < 0 or (node.get("ceil_mode", 0) and any(n != int(n) for n in outs)):
        raise ValueError(f"has windows of {reach} in {v.shape}")
    parts = []
    for place in itertools.product(*map(range, kernel)):
        part = v
        for axis, (k, d, s, n) in enumerate(zip(place, gaps, stride, outs, strict=True)):
            part = b.cut(part, axis + 1, k * d, k * d + int(n) * s + 1, s)
        parts.append(part)
    op = ops.maximum if kind == "max" else ops.add
    total = functools.reduce(lambda one, other: b.binary(op, one, other), parts)
    return total if kind == "max" else b.affine(total, scale=1.0 / count)


def lp_pool(b: Builder, node: Node, x: Any) -> View:
    """Read LpPool: the p-th root of the sum of |x|^p."""
    v, p, kernel = tensor(x), node.get("p", 2), node.get("kernel_shape", [])
    count = _spatial(v)
    if any(d != 1 for d in node.get("dilations", [1])) or p < 1:
        raise ValueError("has windows with gaps (dilations), which pools of steep do not have")
    stride = node.get("strides", [1] * count)
    pads = pool_pads(node, v.shape[1:], kernel, stride, counted=True)
    powers = b.activation(v, "abs" if p % 2 else "linear")
    mean = b.pool(powers.of(ops.power(powers.x, p)), "avg", kernel, stride, pads, True)
    total = b.affine(mean, scale=math.prod(kernel))
    return total.of(ops.power(total.x, 1.0 / p))


def whole(kind: str) -> Row:
    """Return the row of GlobalAveragePool or one like it."""

    def row(b: Builder, node: Node, x: Any) -> View:
        v = tensor(x)
        if len(v.axes) < 2:
            return v
        return b.reduced(v, range(1, len(v.axes)), True, kind)

    return row


def batch_norm(  # noqa: PLR0917 - as ONNX has them
    b: Builder, node: Node, x: Any, scale: Any, bias: Any, mean: Any, variance: Any
) -> View:
    """Read BatchNormalization."""
    if node.get("training_mode", 0):
        raise ValueError("is in training mode; make the file of a network in evaluation mode")
    words = ("scale", "bias", "mean", "variance")
    given = [constant(p, w) for w, p in zip(words, (scale, bias, mean, variance), strict=True)]
    return b.batch_norm(
        tensor(x), given, node.hint, eps=float(node.get("epsilon", 1e-5)),
        momentum=float(node.get("momentum", 0.9)), unbiased=False,
    )  # fmt: skip
