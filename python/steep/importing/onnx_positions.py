"""Rows of ONNX operators of language models: rotary embedding, causal convolution with a state."""

from typing import Any

from .. import ops
from .builder import Builder
from .onnx_node import Node, constant, tensor
from .views import View, reshaped, transposed
from .weights import Weight


def rotary(  # noqa: PLR0917 - as ONNX has them
    b: Builder, node: Node, x: Any, cos: Any, sin: Any, ids: Any = None
) -> View:
    """Read RotaryEmbedding: pairs turned by angles of their position (Su et al. 2021)."""
    v = tensor(x)
    flat = len(v.axes) == 2
    if flat:  # (positions, heads * size)
        steps, heads = v.shape[0], max(node.get("num_heads", 0), 1)
        v = transposed(reshaped(v, (steps, heads, v.shape[1] // heads), b.moves), (1, 0, 2))
    if len(v.axes) != 3:
        raise ValueError(f"turns {v.shape}")
    size = node.get("rotary_embedding_dim", 0) or v.shape[2]
    turned, rest = b.cut(v, 2, 0, size), None
    if size < v.shape[2]:
        rest = b.cut(v, 2, size, v.shape[2])
    one, other = (_angles(b, node, table, ids) for table in (cos, sin))
    pairs = bool(node.get("interleaved", 0))
    heads, steps = v.shape[:2]
    if pairs:
        wide = reshaped(turned, (heads, steps, size // 2, 2), b.moves)
        halves = [_without(b.cut(wide, 3, k, k + 1)) for k in (0, 1)]
    else:
        halves = [b.cut(turned, 2, 0, size // 2), b.cut(turned, 2, size // 2, size)]

    def mixed(op: Any, p: View, q: View) -> View:
        return b.binary(
            op, b.binary(ops.multiply, halves[0], p), b.binary(ops.multiply, halves[1], q)
        )

    parts = [mixed(ops.subtract, one, other), mixed(ops.add, other, one)]
    if pairs:
        parts = [View(p.x, p.order, (*p.axes, ())) for p in parts]
        y = reshaped(b.concat(parts, 3), (heads, steps, size), b.moves)
    else:
        y = b.concat(parts, 2)
    y = y if rest is None else b.concat([y, rest], 2)
    if flat:
        y = reshaped(transposed(y, (1, 0, 2)), (steps, heads * v.shape[2]), b.moves)
    return y


def _angles(b: Builder, node: Node, table: Any, ids: Any) -> View:
    """Return cosines or sines (1, positions, size/2)."""
    if ids is not None:
        if not isinstance(table, Weight):
            raise ValueError("picks by positions what is no table of the file")
        v = b.embedding(tensor(ids, "its positions"), table, node.hint)
    else:
        v = tensor(table, "its table of each sample")
    return View(v.x, v.order, ((), *v.axes))


def _without(v: View) -> View:
    return View(v.x, v.order, v.axes[:-1])


def causal_conv(  # noqa: PLR0917 - as ONNX has them
    b: Builder, node: Node, x: Any, weight: Any, bias: Any = None, before: Any = None
) -> list[View | None]:
    """Read CausalConvWithState: depthwise, behind what came before or zeros."""
    v, w = tensor(x), constant(weight, "its weight")
    if len(v.axes) != 2 or w.value.ndim != 3 or w.value.shape[1] != 1:
        raise ValueError(f"has weights of shape {w.value.shape} for {v.shape}")
    behind = w.value.shape[2] - 1
    if before is not None:
        v = b.concat([tensor(before, "what came before"), v], 1)
    elif behind:
        v = b.padded(v, [0, behind], [0, 0], 0.0)
    y = b.conv(
        v, w, None if bias is None else constant(bias, "its bias"), node.hint, stride=[1],
        pads=[0, 0], dilation=[1], groups=w.value.shape[0],
    )  # fmt: skip
    if node.get("activation", "none").lower() in ("silu", "swish"):
        y = b.activation(y, "silu")
    elif node.get("activation", "none").lower() not in ("none", ""):
        raise ValueError(f"has activation {node.get('activation', '')!r}")
    if not any(node.outputs[1:]):
        return [y]
    if not behind:
        raise ValueError("gives a state of no steps")
    return [y, b.cut(v, 1, v.shape[1] - behind, v.shape[1])]
