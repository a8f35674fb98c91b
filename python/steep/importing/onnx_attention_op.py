"""The row of Attention, an operator since opset 23: heads, masks, what was computed before."""

import math
from typing import Any

import numpy as np

from .. import ops
from .builder import Builder
from .onnx_attention import HIDDEN, MOST_SEEN, Product, attention, hidden
from .onnx_node import Node, constant, tensor
from .views import View, reshaped, transposed
from .weights import Array, Weight

RAW, CAPPED, BIASED, SOFT = range(4)  # which scores the fourth output has


def read(  # noqa: PLR0917 - as ONNX has them
    b: Builder, node: Node, q: Any, k: Any, v: Any, mask: Any = None, before: Any = None,
    values_before: Any = None, counts: Any = None,
) -> list[View | None]:  # fmt: skip
    """Read Attention."""
    if counts is not None:
        raise ValueError("counts keys of each sample (nonpad_kv_seqlen), which steep does not")
    flat = len(tensor(q).axes) == 2
    query = _heads(b, tensor(q), node.get("q_num_heads", 0))
    keys = _joined(b, before, _heads(b, tensor(k), node.get("kv_num_heads", 0)))
    values = _joined(b, values_before, _heads(b, tensor(v), node.get("kv_num_heads", 0)))
    present, past = (keys, values), keys.shape[1] - (tensor(k).shape[-2])
    keys, values = (_grouped(b, x, query.shape[0]) for x in (keys, values))
    seen = _seen(node, query.shape[1], keys.shape[1], past)
    if isinstance(mask, Weight) and constant(mask, "its mask").value.dtype == np.bool_:
        given = mask.value.reshape((1,) * (2 - mask.value.ndim) + mask.value.shape)
        allowed = _plain(given, (query.shape[1], keys.shape[1]))
        seen, mask = allowed if seen is None else seen & allowed, None
    if seen is not None and not seen.any(axis=1).all():
        raise ValueError("hides all keys of a query")
    scale = float(node.get("scale", 0.0)) or 1.0 / math.sqrt(query.shape[-1])
    found = Product(query, transposed(keys, (0, 2, 1)), scale, seen)
    simple = mask is None and not node.get("softcap", 0.0) and not any(node.outputs[3:])
    y, scores = attention(b, found, values) if simple else None, None
    if y is None:
        scores, soft = _scores(b, node, found, mask)
        y = Product(soft, values).made(b)
    if flat:
        turned = transposed(y, (1, 0, 2))
        y = reshaped(turned, (turned.shape[0], math.prod(turned.shape[1:])), b.moves)
    return [y, *present, scores][: len(node.outputs)]


def _heads(b: Builder, x: View, heads: int) -> View:
    """Return (heads, positions, size) of that or of (positions, heads * size)."""
    if len(x.axes) == 3:
        return x
    if len(x.axes) != 2 or heads < 1 or x.shape[1] % heads:
        raise ValueError(f"has {heads} heads of {x.shape}")
    return transposed(reshaped(x, (x.shape[0], heads, x.shape[1] // heads), b.moves), (1, 0, 2))


def _joined(b: Builder, before: Any, x: View) -> View:
    return x if before is None else b.concat([tensor(before, "what came before"), x], 1)


def _grouped(b: Builder, x: View, heads: int) -> View:
    """Return keys or values of fewer heads once for each query's."""
    own, *rest = x.shape
    if heads % own:
        raise ValueError(f"has {heads} heads of queries and {own} of keys")
    if own == heads:
        return x
    wide = View(x.x, x.order, (x.axes[0], (), *x.axes[1:]))
    return reshaped(b.expanded(wide, (own, heads // own, *rest)), (heads, *rest), b.moves)


def _seen(node: Node, queries: int, keys: int, past: int) -> Array | None:
    """Return which keys a query sees by its place; None for all."""
    left, right = node.get("left_window_size", -1), node.get("right_window_size", -1)
    right = 0 if node.get("is_causal", 0) else right
    if left < 0 and right < 0:
        return None
    if queries * keys > MOST_SEEN:
        raise ValueError(f"has a mask of {queries} by {keys}; at most {MOST_SEEN:,} numbers")
    place, key = (past + np.arange(queries))[:, None], np.arange(keys)
    seen = key >= place - left if left >= 0 else np.full((queries, keys), True)
    return np.asarray(seen & (key <= place + right) if right >= 0 else seen)


def _plain(mask: Array, size: tuple[int, ...]) -> Array:
    """Return a mask of (queries, keys) that all samples and heads share."""
    if any(n != 1 for n in mask.shape[:-2]) or np.broadcast_shapes(mask.shape[-2:], size) != size:
        raise ValueError(f"has a mask of shape {mask.shape} for samples of {size}")
    if math.prod(size) > MOST_SEEN:
        raise ValueError(f"has a mask of {size}; at most {MOST_SEEN:,} numbers")
    return np.broadcast_to(mask.reshape(mask.shape[-2:]), size)


def _scores(b: Builder, node: Node, found: Product, mask: Any) -> tuple[View, View]:
    """Return scores as they are asked for, and their softmax."""
    seen, cap = found.seen, float(node.get("softcap", 0.0))
    scores = [Product(found.a, found.b, found.factor).made(b)]
    scores.append(scores[0])
    if cap:
        tanh = b.activation(b.affine(scores[0], scale=1.0 / cap), "tanh")
        scores[CAPPED] = b.affine(tanh, scale=cap)
    biased = scores[CAPPED]
    if isinstance(mask, View):
        biased = b.binary(ops.add, biased, b.expanded(mask, biased.shape))
    elif mask is not None:
        value = constant(mask, "its mask").value.astype(np.float64)
        biased = b.add(biased, Weight(np.where(value < HIDDEN, HIDDEN, value)), node.hint)
    scores.append(biased)
    soft = b.softmax(biased if seen is None else hidden(b, biased, seen), 2)
    mode = node.get("qk_matmul_output_mode", RAW)
    if any(node.outputs[3:]) and mode == BIASED and seen is not None:
        raise ValueError("gives scores that are hidden by -inf")
    return (soft if mode == SOFT else scores[mode]), soft
