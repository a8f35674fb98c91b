"""Tensors whose samples lie elsewhere than along the first axis: along another, or joined with one.

PyTorch's attention puts time first and makes one axis of samples and heads. All axes stay apart
here, and it is remembered which of them others see as one; operators are those of `onnx_rows`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .builder import Builder
from .folding import Batch
from .onnx_node import DENSE, Node
from .onnx_products import full
from .views import View, reshaped
from .weights import Weight

# Operators of single elements, and those that join and cut an axis: the others are of no matter.
ELEMENTS = frozenset({
    "Abs", "Add", "Cast", "CastLike", "Celu", "Clip", "Concat", "Cos", "Div", "Dropout", "Elu",
    "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mish", "Mul", "Neg",
    "Relu", "Selu", "Sigmoid", "Sin", "Softplus", "Softsign", "Split", "Sub", "Swish", "Tanh",
    "Where",
})  # fmt: skip
# Those of the last axes, and of how many.
LAST = {DENSE: 1, "Gemm": 1, "LayerNormalization": 1, "MatMul": 2, "RMSNormalization": 1,
        "Softmax": 1}  # fmt: skip
AXIS = {"Concat": 0, "LayerNormalization": -1, "RMSNormalization": -1, "Softmax": -1, "Split": 0}


@dataclass(frozen=True, eq=False)
class Joined:
    """A tensor, or a product not made yet, of which others see the batch in one axis with others.

    `v` has all axes apart and the batch before them; others see `before` axes, the batch and
    `after` axes as one, at `place` of the axes that are left.
    """

    v: Any
    place: int
    before: int
    after: int

    @property
    def batch(self) -> int:
        """Where the batch is among the axes of v."""
        return self.place + self.before

    @property
    def sizes(self) -> list[Any]:
        """As others see it."""
        shape, last = self.v.shape, self.batch + self.after
        size = math.prod(shape[self.place : last])
        return [*shape[: self.place], Batch(size), *shape[last:]]

    def alike(self, other: "Joined") -> bool:
        """Say whether both have equal axes in one with the batch, at one place."""
        same = (self.place, self.before, self.after) == (other.place, other.before, other.after)
        joined = slice(self.place, self.batch + self.after)
        return same and self.v.shape[joined] == other.v.shape[joined]


def apart(value: View) -> Joined:
    """Return a tensor with the batch before its other axes, and where it was."""
    return Joined(replace(value, batch=0), value.batch, 0, 0)


def together(value: Joined) -> Any:
    """Return a tensor under the axes that others see; a view where the batch is alone."""
    if isinstance(value.v, View) and not value.before + value.after:
        return replace(value.v, batch=value.place)
    return value


# -- reshaping -------------------------------------------------------------------------------------


def reshape(b: Builder, value: Joined, told: Sequence[Any], *, zeros: bool) -> Any:
    """Return a tensor under another shape, in which samples stay apart.

    Raises
    ------
    ValueError
        If the shape mixes them.
    """
    v, old = value.v, value.sizes
    given = [old[k] if n == 0 and zeros and k < len(old) else n for k, n in enumerate(told)]
    sides = math.prod(v.shape[: value.batch]), math.prod(v.shape[value.batch :])
    found = [_dealt(given, place, sides, b.samples) for place in range(len(given))]
    ways = [way for way in found if way is not None]
    if not ways:
        raise ValueError(f"makes {[*told]} of {old}: samples must stay apart")
    first, outer, inner, last = min(ways, key=_likely)
    joined = [n for n in (outer, inner) if n > 1]
    made = reshaped(v, [*first, *joined, *last], b.moves)
    return together(Joined(made, len(first), int(outer > 1), int(inner > 1)))


def _likely(way: tuple[Any, ...]) -> tuple[bool, ...]:
    """Sort what a file of one sample leaves open: a batch alone, features by themselves."""
    _, outer, inner, last = way
    return outer * inner > 1, not last, outer > 1


def _dealt(
    told: Sequence[Any], place: int, sides: tuple[int, int], samples: int
) -> tuple[list[int], int, int, list[int]] | None:
    """Return the sizes before an axis with the batch, its own around it, and those behind it.

    `sides` are the numbers of elements before and behind the batch, `samples` those of the file, 0
    where they are open. None where the batch cannot be in the axis at `place`.
    """
    here, first, last = told[place], [*told[:place]], [*told[place + 1 :]]
    if any(isinstance(n, Batch) or n == 0 or n < -1 for n in (*first, *last)):
        return None
    if not isinstance(here, Batch) and here != -1:
        if not samples or here % samples:
            return None
        here = Batch(here // samples)
    known = [math.prod(n for n in side if n != -1) for side in (first, last)]
    unknown = [side.count(-1) for side in (first, last)]
    if sum(unknown) + (here == -1) > 1 or any(n % m for n, m in zip(sides, known, strict=True)):
        return None
    outer, inner = (n // m for n, m in zip(sides, known, strict=True))
    if sum(unknown):
        total = outer * inner
        if total % here.times:
            return None
        size = total // here.times  # of the axis that is -1
        outer, inner = (outer // size, inner) if unknown[0] else (outer, inner // size)
        first, last = ([size if n == -1 else n for n in side] for side in (first, last))
    fits = math.prod(first) * outer == sides[0] and math.prod(last) * inner == sides[1]
    fits = fits and (here == -1 or here.times == outer * inner)
    return ([*map(int, first)], outer, inner, [*map(int, last)]) if fits else None


def _transpose(value: Joined, node: Node) -> Any:
    """Turn axes, that of the batch in one piece."""
    count, v = len(value.sizes), value.v
    perm = node.get("perm", [*range(count - 1, -1, -1)])
    if sorted(perm) != [*range(count)]:
        raise ValueError(f"has a transposition {list(perm)} of {count} axes")
    width = value.before + value.after
    axes: list[tuple[Any, ...]] = []
    for k in perm:
        first = k if k <= value.place else k - 1 + width
        axes += v.axes[first : first + (width if k == value.place else 1)]
    place = perm.index(value.place)
    return together(replace(value, v=replace(v, axes=tuple(axes)), place=place))


# -- all other operators ---------------------------------------------------------------------------


def beside(b: Builder, node: Node, given: Sequence[Any], compute: Callable[..., Any]) -> Any:
    """Read a node of a tensor whose samples lie elsewhere than along its first axis.

    `compute` reads one where they lie there.

    Raises
    ------
    ValueError
        If it is about the axis in which samples lie, or not known to leave that alone.
    """
    found = [apart(x) if isinstance(x, View) else x for x in given]
    joined = [x for x in found if isinstance(x, Joined)]
    one = joined[0]
    if node.op == "Reshape" and len(given) > 1 and isinstance(given[1], Weight):
        told = given[1].value.reshape(-1).tolist()
        whole = replace(one, v=b.alone(one.v))
        return reshape(b, whole, told, zeros=not node.get("allowzero", 0))
    if node.op == "Transpose":
        return _transpose(replace(one, v=b.alone(one.v)), node)
    if node.op not in ELEMENTS and node.op not in LAST:
        raise ValueError(f"its samples lie along {_where(one)}")
    if not all(one.alike(x) for x in joined):
        raise ValueError("reads tensors whose samples lie along other axes of each")
    node = _along(node, one, by_weight=isinstance(found[-1], Weight))
    parts = [_constant(x, one, node) if isinstance(x, Weight) else x for x in found]
    parts = [x.v if isinstance(x, Joined) else x for x in parts]
    made = full(b, node, *parts) if node.op == "Gemm" else compute(b, node, parts)
    several = made if isinstance(made, list) else [made]
    several = [None if x is None else together(replace(one, v=x)) for x in several]
    return several if isinstance(made, list) else several[0]


def _where(value: Joined) -> str:
    """Say where samples lie."""
    width = value.v.shape[value.place : value.batch + value.after]
    if not width:
        return f"axis {value.place}, where steep has the first"
    return f"axis {value.place} of {value.sizes}, in one with others, which steep keeps apart"


def _along(node: Node, value: Joined, *, by_weight: bool) -> Node:
    """Return the node with the axis it is told as it is where all axes are apart.

    Raises
    ------
    ValueError
        If it is about the axis in which samples lie.
    """
    count, place = len(value.sizes), value.place
    first = count - (1 if by_weight else LAST.get(node.op, 0))  # of the axes it is about
    if node.op in AXIS:
        default = 1 if node.op == "Softmax" and node.opset < 13 else AXIS[node.op]
        axis = node.get("axis", default)
        axis += count if axis < 0 else 0
        lone = node.op not in LAST or (node.op == "Softmax" and node.opset >= 13)
        first = count if lone and 0 <= axis < count and axis != place else axis
        wide = axis + (value.before + value.after if axis > place else 1)
        node = replace(node, attributes={**node.attributes, "axis": wide})
    if first <= place:
        raise ValueError(f"works along {_where(value)}")
    return node


def _constant(weight: Weight, value: Joined, node: Node) -> Weight:
    """Return a constant beside a tensor, which has to be the same for all samples."""
    shape, place = weight.value.shape, value.place
    if node.op == "Concat":  # one that there is for every sample has them along the same axis
        if weight.batch not in (None, place) or shape[place : place + 1] != (1,):
            raise ValueError("joins a constant whose samples lie along another axis")
        given = weight.value if not place else np.moveaxis(weight.value, place, 0)
        return replace(weight, value=given, batch=None if weight.batch is None else 0)
    if node.op not in ELEMENTS or node.op == "Split" or weight.value.size == 1:
        return weight
    lead = max(len(shape) - (len(value.sizes) - 1 - place), 0)
    if any(n != 1 for n in shape[:lead]):
        raise ValueError(f"has a constant of shape {shape} and samples along {_where(value)}")
    return replace(weight, value=weight.value.reshape(shape[lead:])) if lead else weight
