"""Products of two tensors, and attention out of the nodes that exporters make of it.

A product is kept back, with the factors and masks behind it, until somebody reads it otherwise than
attention does. Then it is made as it stands, and masks are refused.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import layers, ops
from ..network import Tensor
from ..network.layer import Op
from .builder import Builder
from .onnx_node import FLOATS, Node, constant, dropped, tensor
from .views import Atom, View, grouped, shaped
from .weights import Array, Weight

MOST_SEEN = 1 << 22  # queries times keys of a mask
HIDDEN = -1e30  # scores below it are those of what is not seen


@dataclass(frozen=True, eq=False)
class Behind:
    """Which of so many places come before a sample's length."""

    lengths: View
    count: int


@dataclass(frozen=True, eq=False)
class Product:
    """The product of (..., n, k) and (..., k, m), or the softmax of its rows, not made yet."""

    a: View
    b: View
    factor: float = 1.0
    seen: Array | None = None  # (n, m): which scores are not hidden
    lengths: View | None = None
    soft: bool = False
    dropout: float = 0.0  # while training

    @property
    def shape(self) -> tuple[int, ...]:
        """As others see it."""
        return (*self.a.shape[:-1], self.b.shape[-1])

    def made(self, b: Builder) -> View:
        """Return it, as steep multiplies.

        Raises
        ------
        ValueError
            If what is hidden depends on a sample's length, which steep does in attention alone.
        """
        if self.lengths is not None or (self.seen is not None and not self.soft):
            raise ValueError("hides scores by -inf, which steep does between softmax(Q K) V alone")
        v, w = self.a, self.b
        lead = [max(pair) for pair in zip(v.shape[:-2], w.shape[:-2], strict=True)]
        v, w = (b.expanded(one, (*lead, *one.shape[-2:])) for one in (v, w))
        swapped = [_lies(one) for one in (v, w)]
        x, y = (
            grouped(one, [*one.axes[:-2], *(one.axes[:-3:-1] if turn else one.axes[-2:])], b.moves)
            for one, turn in zip((v, w), swapped, strict=True)
        )
        made = ops.batch_matmul(x, y, *swapped)
        ends = [(Atom(n),) if n > 1 else () for n in made.shape[-2:]]
        order = (*sum(v.axes[:-2], ()), *ends[0], *ends[1])
        found = b.affine(View(made, order, (*v.axes[:-2], *ends)), scale=self.factor)
        found = found if self.seen is None else hidden(b, found, self.seen)
        if not self.soft:
            return found
        found = b.softmax(found, len(found.axes) - 1)
        return found.of(layers.Dropout(self.dropout)(found.x)) if self.dropout else found


def hidden(b: Builder, scores: View, seen: Array) -> View:
    """Return scores of which those that are not seen have no part in a softmax."""
    return b.add(scores, Weight(np.where(seen, 0.0, HIDDEN)), "")


def _lies(v: View) -> bool:
    """Say whether the last axis lies before the last but one."""
    first, last = v.axes[-2:]
    return bool(first and last) and v.order.index(last[0]) < v.order.index(first[0])


def product(node: Node, x: View, y: View) -> Product:
    """Read MatMul of two tensors.

    Raises
    ------
    ValueError
        If it is none of matrices that every sample has.
    """
    shapes = x.shape, y.shape
    if len(x.axes) < 2 or len(x.axes) != len(y.axes) or x.shape[-1] != y.shape[-2]:
        raise ValueError(f"multiplies {shapes[0]} by {shapes[1]}; steep: matrices of each sample")
    if any(n != m and 1 not in (n, m) for n, m in zip(*(s[:-2] for s in shapes), strict=True)):
        raise ValueError(f"{shapes[0]} and {shapes[1]} do not fit")
    return Product(x, y)


def less(b: Builder, node: Node, x: Any, y: Any) -> Behind:
    """Read Less: 0, 1, 2 ... of a constant with the lengths of samples."""
    v, places = tensor(y, "what it compares with"), constant(x, "what it compares").value
    if v.order or not np.array_equal(places.reshape(-1), np.arange(places.size)):
        raise ValueError("compares tensors; steep knows 0, 1, 2 ... and the length of a sample")
    return Behind(v, places.size)


def where(b: Builder, node: Node, *given: Any) -> Any:
    """Read Where: by a constant that is the same everywhere; `followed` has masks of attention."""
    mask, *both = given
    chosen = both[not mask.value.all()] if isinstance(mask, Weight) and uniform(mask) else None
    if not isinstance(chosen, View) or np.ndim(mask.value) > len(chosen.axes) + 1:
        raise ValueError("chooses by a tensor or a mask, which steep does in attention alone")
    return chosen


def uniform(mask: Weight) -> bool:
    """Say whether a mask has one value."""
    return bool(mask.value.size) and bool(mask.value.all() or not mask.value.any())


def followed(b: Builder, node: Node, given: Sequence[Any]) -> Any:
    """Return what becomes of products by a node of attention; None where it is none."""
    first = next(value for value in given if isinstance(value, Product))
    if (passed := _passed(node, first, given)) is not None:
        return passed
    if node.op == "MatMul" and first.soft and given[0] is first and isinstance(given[1], View):
        return attention(b, first, given[1])
    if first.soft:
        return None
    if node.op == "Softmax" and node.opset >= 13:
        last = node.get("axis", -1) in (-1, len(first.shape))
        return replace(first, soft=True) if last else None
    return _scaled(node, first, given) or _hidden(node, first, given)


def _passed(node: Node, first: Product, given: Sequence[Any]) -> Product | None:
    """Return a product behind what changes nothing of it in predictions."""
    if node.op == "Identity" or (node.op == "Cast" and node.get("to", 1) in FLOATS):
        return first
    if node.op == "Dropout" and first.soft and not first.dropout:
        return replace(first, dropout=dropped(node, *given[1:]))
    if node.op == "Where" and isinstance(given[0], Weight) and uniform(given[0]):
        chosen = given[1 if given[0].value.all() else 2]
        return first if chosen is first and given[0].value.ndim <= len(first.shape) + 1 else None
    return None


def _scaled(node: Node, first: Product, given: Sequence[Any]) -> Product | None:
    """Multiply by a number, or divide."""
    other = given[-1] if given[0] is first else given[0]
    if node.op not in ("Mul", "Div") or not isinstance(other, Weight) or other.value.size != 1:
        return None
    number = float(constant(other, "its factor").value.reshape(()))
    if node.op == "Mul":
        return replace(first, factor=first.factor * number)
    return replace(first, factor=first.factor / number) if given[0] is first and number else None


def _hidden(node: Node, first: Product, given: Sequence[Any]) -> Product | None:
    """Hide scores by -inf, where a mask says so or one is added."""
    if node.op == "Add":
        other = given[1] if given[0] is first else given[0]
        known = isinstance(other, Weight) and ((other.value == 0) | _low(other)).all()
        return _seen(first, other.value == 0) if known else None
    return _chosen(first, *given) if node.op == "Where" and len(given) == 3 else None


def _chosen(first: Product, mask: Any, yes: Any, no: Any) -> Product | None:
    """Hide scores where a mask has the number in their place."""
    other = no if yes is first else yes
    if not isinstance(other, Weight) or other.value.size != 1 or not _low(other).all():
        return None
    if isinstance(mask, Weight):
        return _seen(first, np.asarray(mask.value, np.bool_) == (yes is first))
    if isinstance(mask, Behind) and yes is first and mask.count == first.shape[-1]:
        return replace(first, lengths=mask.lengths) if first.lengths is None else None
    return None


def _low(weight: Weight) -> Array:
    value = constant(weight, "its mask").value.astype(np.float64)
    return np.asarray(value <= HIDDEN)


def _seen(first: Product, seen: Array) -> Product | None:
    """Return a product of which a constant says what is seen; None where samples differ.

    Raises
    ------
    ValueError
        If nothing is left of a row.
    """
    size = first.shape[-2:]
    if any(n != 1 for n in seen.shape[:-2]) or np.broadcast_shapes(seen.shape[-2:], size) != size:
        return None
    if seen.all():
        return first
    if math.prod(size) > MOST_SEEN:
        raise ValueError(f"has a mask of {size}; at most {MOST_SEEN:,} numbers")
    mask = np.broadcast_to(seen.reshape(seen.shape[-2:]), size)
    mask = mask if first.seen is None else mask & first.seen
    if not mask.any(axis=1).all():
        raise ValueError("hides all keys of a query")
    return replace(first, seen=mask)


# -- attention -------------------------------------------------------------------------------------


def attention(b: Builder, scores: Product, v: View) -> View | None:
    """Return softmax(Q K^T/sqrt(head)) V; None where heads or masks are others than steep's."""
    q, k, factor = scores.a, scores.b, scores.factor
    lead, (queries, size) = q.shape[:-2], q.shape[-2:]
    if len(lead) > 1 or k.shape[:-2] != lead or v.shape != (*lead, k.shape[-1], size):
        return None
    lengths, seen = scores.lengths, scores.seen
    if seen is not None and not np.array_equal(seen, np.tri(seen.shape[0], seen.shape[1])):
        return None
    (q, first), (k, second) = _unscaled(q), _unscaled(k)
    by = factor * first * second * math.sqrt(size)  # which attention divides by itself
    q = q if abs(by - 1.0) < 1e-5 else b.affine(q, scale=by)
    around, rows = (sum(view.axes[:-2], ()) for view in (q, k))
    given = [
        grouped(q, [q.axes[-2], (*around, *q.axes[-1])], b.moves),
        grouped(k, [k.axes[-1], (*rows, *k.axes[-2])], b.moves),
        grouped(v, [v.axes[-2], (*sum(v.axes[:-2], ()), *v.axes[-1])], b.moves),
    ]
    causal, counts = seen is not None, None if lengths is None else shaped(lengths.x, (1,))
    heads, rate = math.prod(lead), scores.dropout
    packed = _packed(given)
    if packed is None:
        y = ops.attention(given[0], given[1], given[2], heads, causal, counts, rate)
    else:
        y = ops.packed_attention(*packed, heads, causal=causal, lengths=counts, dropout=rate)
    apart = [(Atom(n),) if n > 1 else () for n in (queries, heads, size)]
    axes = (apart[1], apart[0], apart[2]) if lead else (apart[0], apart[2])
    return View(y, sum(apart, ()), axes)


def _unscaled(v: View) -> tuple[View, float]:
    """Return a view before it was multiplied by a number, and that."""
    layer, given = v.x._source or (None, ())
    if isinstance(layer, Op) and layer.kind == "affine" and layer.attributes.get("shift", 0) == 0:
        return v.of(given[0]), float(layer.attributes["scale"])
    return v, 1.0


def _packed(given: Sequence[Tensor]) -> tuple[Tensor, Tensor | None] | None:
    """Return tensors that queries, keys and values are thirds or, of two, halves of."""
    width = given[0].shape[-1]
    for count in (3, 2):
        parts = given[-count:]
        wholes = [_part(x, k * width, (k + 1) * width) for k, x in enumerate(parts)]
        whole, shape = wholes[0], (parts[0].shape[0], count * width)
        if whole is not None and whole.shape == shape and all(x is whole for x in wholes):
            return (whole, None) if count == 3 else (given[0], whole)
    return None


def _part(x: Tensor, first: int, last: int) -> Tensor | None:
    """Return what a tensor is these columns of."""
    layer, given = x._source or (None, ())
    if not isinstance(layer, Op) or layer.kind != "slice" or len(x.shape) != 2:
        return None
    at = layer.attributes
    return given[0] if (at["axis"], at["first"], at["last"]) == (1, first, last) else None
