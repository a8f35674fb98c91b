"""Ops of tokens as ONNX nodes: tables, attention, products, norms of a sample by itself.

Recurrent layers are in `recurrent`, all other ops in `rows`.
"""

import math

import numpy as np

from .steps import Step
from .writer import Order, Writer

_INT64 = 7  # ONNX's number of the type


def embedding(w: Writer, step: Step) -> None:
    """Pick rows of a table by whole numbers."""
    ids, (table,) = step.tensors[0], step.parameters
    named = w.get(ids, "last")
    named = named if ids in w.ids else w.node("Cast", [named], to=_INT64)
    w.give(step.out, w.node("Gather", [w.weight(table), named], axis=0))


def add_table(w: Writer, step: Step) -> None:
    """Add a row of a table to each position."""
    x = w.get(step.tensors[0], "last")
    w.give(step.out, w.node("Add", [x, w.weight(step.parameters[0])]))


def batch_matmul(w: Writer, step: Step) -> None:
    """Multiply the matrices of two tensors."""
    axes = len(w.shapes[step.out]) + 1
    swapped = [*range(axes - 2), axes - 1, axes - 2]
    names = [w.get(x, "last") for x in step.tensors]
    turned = (step.attributes["transpose_a"], step.attributes["transpose_b"])
    names = [
        w.node("Transpose", [name], perm=swapped) if turn else name
        for name, turn in zip(names, turned, strict=True)
    ]
    w.give(step.out, w.node("MatMul", names))


# -- norms -----------------------------------------------------------------------------------------


def feature_norm(w: Writer, step: Step) -> None:
    """Normalise each position over its channels, or groups of channels over all positions."""
    x, groups, eps = step.tensors[0], step.attributes["groups"], step.attributes["eps"]
    order: Order = "first" if groups else "last"
    if groups:
        y = _grouped(w, x, groups, eps)
    elif step.attributes["centred"]:
        given = [w.weight(name) for name in step.parameters]
        given = given or [w.constant(np.ones(w.shapes[x][-1], w.dtype))]
        y = w.node("LayerNormalization", [w.get(x, "last"), *given], axis=-1, epsilon=eps)
        return w.give(step.out, y)
    else:
        y = _by_root(w, w.get(x, "last"), eps)
    for name, op in zip(step.parameters, ("Mul", "Add"), strict=False):
        y = w.node(op, [y, w.row(name, x, order)])
    return w.give(step.out, y, order)


def _grouped(w: Writer, x: int, groups: int, eps: float) -> str:
    """Return groups normalised, channels first: GroupNormalization of opset 18 scales groups."""
    *places, channels = w.shapes[x]
    size = channels // groups * math.prod(places)
    parts = w.node("Reshape", [w.get(x, "first"), w.ints(0, groups, size)])
    neutral = [w.constant(np.full(groups, value, w.dtype)) for value in (1.0, 0.0)]
    y = w.node("InstanceNormalization", [parts, *neutral], epsilon=eps)
    return w.node("Reshape", [y, w.ints(0, channels, *places)])


def _by_root(w: Writer, x: str, eps: float) -> str:
    """Return x/sqrt(mean(x^2) + eps), which has no operator before opset 23."""
    mean = w.node("ReduceMean", [w.node("Mul", [x, x]), w.ints(-1)], keepdims=1)
    return w.node("Div", [x, w.node("Sqrt", [w.node("Add", [mean, w.number(eps)])])])


# -- attention -------------------------------------------------------------------------------------


def attention(w: Writer, step: Step) -> None:
    """Write softmax(Q K^T/sqrt(head)) V of all heads, with what a query may not see at -inf."""
    heads, (queries, width) = step.attributes["heads"], w.shapes[step.out]
    keys = w.shapes[step.tensors[1]][0]

    def of_heads(x: str, positions: int, perm: list[int]) -> str:
        apart = w.node("Reshape", [x, w.ints(0, positions, heads, width // heads)])
        return w.node("Transpose", [apart], perm=perm)

    q, k, v = _three(w, step, width)
    q = w.node("Mul", [q, w.number(math.sqrt(heads / width))])
    scores = w.node("MatMul", [of_heads(q, queries, [0, 2, 1, 3]), of_heads(k, keys, [0, 2, 3, 1])])
    for seen in _seen(w, step, queries, keys):
        scores = w.node("Where", [seen, scores, w.number(-math.inf)])
    mixed = w.node(
        "MatMul", [w.node("Softmax", [scores], axis=-1), of_heads(v, keys, [0, 2, 1, 3])]
    )
    mixed = w.node("Transpose", [mixed], perm=[0, 2, 1, 3])
    w.give(step.out, w.node("Reshape", [mixed, w.ints(0, queries, width)]))


def _three(w: Writer, step: Step, width: int) -> list[str]:
    """Return queries, keys and values, which may lie side by side in one tensor or two."""
    tensors = step.attributes["tensors"]
    names = [w.get(x, "last") for x in step.tensors[:3]]
    if tensors == 3:
        return names
    places = (0, 1, 2) if tensors == 1 else (None, 0, 1)
    return [
        name if place is None else w.cut(name, 2, place * width, (place + 1) * width)
        for name, place in zip(names, places, strict=True)
    ]


def _seen(w: Writer, step: Step, queries: int, keys: int) -> list[str]:
    """Return masks of what is seen, for (samples, heads, queries, keys)."""
    masks = []
    if step.attributes["causal"]:
        masks.append(w.constant(np.tri(queries, keys, dtype=np.bool_)))
    if step.kind == "masked_attention":
        lengths = w.node("Reshape", [w.get(step.tensors[3], "last"), w.ints(0, 1, 1, 1)])
        masks.append(w.node("Less", [w.constant(np.arange(keys, dtype=w.dtype)), lengths]))
    return masks
