"""Operators on constants, in NumPy: the chains by which exporters compute shapes. No networks.

A batch's size is not known: it stands in shapes as a `Batch`, which some arithmetic leaves a shape.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MOST_AXES = 16  # that a shape has: where a batch may stand
MOST = 1 << 20  # elements that a constant may grow to
_WHOLE = {6: np.int32, 7: np.int64, 1: np.float32, 11: np.float64, 9: np.bool_, 10: np.float16}


class Batch:
    """So many times the number of samples."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __mul__(self, other: Any) -> "Batch":
        return Batch(self.times * int(other))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> "Batch":
        if self.times % int(other):
            raise ValueError("a batch is divided")
        return Batch(self.times // int(other))

    __truediv__ = __floordiv__

    def __int__(self) -> int:
        raise ValueError("depends on the number of samples")

    def __lt__(self, other: Any) -> bool:
        raise ValueError("compares the number of samples")

    __le__ = __gt__ = __ge__ = __lt__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Batch) and other.times == self.times

    def __hash__(self) -> int:
        return hash(("batch", self.times))

    def __repr__(self) -> str:
        return f"{self.times} * batch"


def _grown(size: int) -> None:
    if size > MOST:
        raise ValueError(f"a constant of {size:,} elements; at most {MOST:,}")


def _ints(values: Array) -> list[int]:
    return [int(n) for n in np.asarray(values).reshape(-1)]


def axes_of(node: Any, given: Any, count: int) -> list[int] | None:
    """Return the axes an operator is told, by an attribute or an input; None for none."""
    axes = node.get("axes", None) if given is None else _ints(given)
    if axes is None:
        return None
    if any(not -count <= k < count for k in axes):
        raise ValueError(f"axes {axes} of {count}")
    return [k % count for k in axes]


def _cast(node: Any, x: Array) -> Array:
    if any(isinstance(n, Batch) for n in x.reshape(-1)[:MOST_AXES].tolist()):
        return x
    kind = _WHOLE.get(node.get("to", 0))
    if kind is None:
        raise ValueError(f"casts to a kind that is not known here, {node.get('to', 0)}")
    with np.errstate(all="ignore"):
        return x.astype(kind)


def _constant(node: Any) -> Array:
    for key in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if node.get(key, None) is not None:
            kind = np.float32 if "float" in key else np.int64 if "int" in key else None
            return np.asarray(node.get(key, None), kind)
    raise ValueError("is a constant of a kind that is not known here")


def _constant_of_shape(node: Any, shape: Array) -> Array:
    sizes = _ints(shape)
    _grown(math.prod(sizes))
    value = node.get("value", np.zeros(1, np.float32))
    return np.full(sizes, value.reshape(-1)[0])


def _expand(node: Any, x: Array, shape: Array) -> Array:
    sizes = np.broadcast_shapes(x.shape, tuple(_ints(shape)))
    _grown(math.prod(sizes))
    return np.broadcast_to(x, sizes)


def _flatten(node: Any, x: Array) -> Array:
    axis = node.get("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _gather(node: Any, x: Array, index: Array) -> Array:
    index, axis = np.asarray(index, np.int64), node.get("axis", 0)
    size = index.size * (x.size // max(1, x.shape[axis]))
    _grown(size if size > x.size else 0)  # what changes places does not grow
    return np.asarray(np.take(x, index, axis), x.dtype)


def _range(node: Any, start: Array, limit: Array, step: Array) -> Array:
    first, last, by = (float(n.reshape(())) for n in (start, limit, step))
    _grown(int(min(abs((last - first) / by), 1e18)) if by else MOST + 1)
    return np.arange(first, last, by).astype(start.dtype)


def _reshape(node: Any, x: Array, shape: Any = None) -> Array:
    sizes = node.get("shape", None) if shape is None else _ints(shape)
    if not node.get("allowzero", 0):
        sizes = [x.shape[k] if n == 0 else n for k, n in enumerate(sizes)]
    return x.reshape(sizes)


def slices_of(node: Any, count: int, given: tuple[Any, ...]) -> list[tuple[int, int, int, int]]:
    """Return what is cut: (axis, start, end, step), ends as they were told."""
    if len(given) < 2:  # before opset 10
        starts, ends = node.get("starts", []), node.get("ends", [])
        axes, steps = node.get("axes", None), None
    else:
        starts, ends = _ints(given[0]), _ints(given[1])
        axes = _ints(given[2]) if len(given) > 2 and given[2] is not None else None
        steps = _ints(given[3]) if len(given) > 3 and given[3] is not None else None
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if any(not -count <= k < count for k in axes):
        raise ValueError(f"cuts axes {[*axes]} of {count}")
    rows = zip((k % count for k in axes), starts, ends, steps, strict=True)
    return [*rows]


def _slice(node: Any, x: Array, *given: Any) -> Array:
    where = [slice(None)] * x.ndim
    for axis, start, end, step in slices_of(node, x.ndim, given):
        where[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return x[tuple(where)]


def _split(node: Any, x: Array, sizes: Any = None) -> list[Array]:
    axis = node.get("axis", 0)
    given = node.get("split", None) if sizes is None else _ints(sizes)
    if given is None:
        return np.array_split(x, len(node.outputs), axis)
    return np.split(x, np.cumsum(given)[:-1], axis)


def _squeeze(node: Any, x: Array, axes: Any = None) -> Array:
    gone = axes_of(node, axes, x.ndim)
    return np.squeeze(x, None if gone is None else tuple(gone))


def _tile(node: Any, x: Array, repeats: Array) -> Array:
    _grown(x.size * math.prod(_ints(repeats)))
    return np.tile(x, _ints(repeats))


def _trilu(node: Any, x: Array, k: Any = None) -> Array:
    cut = np.triu if node.get("upper", 1) else np.tril
    return np.asarray(cut(x, 0 if k is None else int(k.reshape(()))))


def _unsqueeze(node: Any, x: Array, axes: Any = None) -> Array:
    count = x.ndim + len(node.get("axes", []) if axes is None else _ints(axes))
    return np.expand_dims(x, tuple(axes_of(node, axes, count) or ()))


def _arithmetic(f: Callable[..., Any]) -> Callable[..., Array]:
    def folded(node: Any, *given: Array) -> Array:
        _grown(math.prod(np.broadcast_shapes(*(x.shape for x in given))))
        with np.errstate(all="ignore"):
            return np.asarray(f(*given))

    return folded


def _divide(a: Array, b: Array) -> Array:
    whole = all(x.dtype.kind in "iu" or x.dtype == object for x in (a, b))
    if whole and np.any(b == 0):
        raise ValueError("divides by 0")
    if whole and object not in (a.dtype, b.dtype):
        return (a - np.fmod(a, b)) // b  # towards 0
    return a // b if whole else a / b


def _equal(node: Any, a: Array, b: Array) -> Array:
    """Compare; a batch may be any number from 1 on, and is no other one."""
    for one, other in ((a, b), (b, a)):
        if one.dtype == object and any(isinstance(n, Batch) for n in one.reshape(-1).tolist()):
            known = [n for n in other.reshape(-1).tolist() if not isinstance(n, Batch)]
            if any(n > 0 for n in known):
                raise ValueError("compares the number of samples")
    return _arithmetic(np.equal)(node, a, b)


def _mod(node: Any, a: Array, b: Array) -> Array:
    if np.any(b == 0):
        raise ValueError("divides by 0")
    _grown(math.prod(np.broadcast_shapes(a.shape, b.shape)))
    return np.asarray(np.fmod(a, b) if node.get("fmod", 0) else np.mod(a, b))


def _concat(node: Any, *given: Array) -> Array:
    _grown(sum(x.size for x in given))
    return np.concatenate(given, node.get("axis", 0))


def _reduced(f: Callable[..., Any]) -> Callable[..., Array]:
    def folded(node: Any, x: Array, axes: Any = None) -> Array:
        over = axes_of(node, axes, x.ndim)
        if not over and node.get("noop_with_empty_axes", 0):
            return x
        keep = bool(node.get("keepdims", 1))
        with np.errstate(all="ignore"):
            return np.asarray(f(x, tuple(over) if over else None, keepdims=keep), x.dtype)

    return folded


# Operators of single elements, that do to one sample's constant what they do to all.
ALONE = frozenset({
    "Add", "Cast", "Div", "Equal", "Exp", "Greater", "Identity", "Less", "Mul", "Neg", "Not", "Pow",
    "Sqrt", "Sub", "Where",
})  # fmt: skip


def for_samples(node: Any, given: Sequence[Any]) -> Any:
    """Return a constant that there is for every sample, of which one stands for all.

    None where a node makes no such thing.

    Raises
    ------
    ValueError
        If it does anything else with one.
    """
    if not any(value is not None and value.batch is not None for value in given):
        return _spread(node, given)
    first = next(value for value in given if value is not None and value.batch is not None)
    if node.op == "Slice" and first is given[0]:
        beside: list[Any] = []
    elif node.op in ALONE:
        beside = [value for value in given if value is not None]
    else:
        raise ValueError("depends on the number of samples")
    behind = max((value.value.ndim for value in beside), default=first.value.ndim)
    place = first.batch + behind - first.value.ndim  # axes are counted from the last
    for value in beside:
        axis = value.value.ndim - (behind - place)
        if value.batch not in (None, axis) or (axis >= 0 and value.value.shape[axis] != 1):
            raise ValueError("has other numbers for each sample")
    made = FOLDS[node.op](node, *(value and value.value for value in given))
    return replace(first, value=made, name="", sources=(), batch=place)


def _spread(node: Any, given: Sequence[Any]) -> Any:
    """Return what is repeated for every sample: along an axis that has size 1 before."""
    if node.op not in ("ConstantOfShape", "Expand", "Tile") or not given or given[-1] is None:
        return None
    told = given[-1].value.reshape(-1)
    places = [k for k, n in enumerate(told) if n == Batch(1)]
    if len(places) != 1:
        return None
    shape = np.array([1 if k == places[0] else n for k, n in enumerate(told)], object)
    made = FOLDS[node.op](node, *(value.value for value in given[:-1]), shape)
    if made.ndim != len(shape) or made.shape[places[0]] != 1:
        raise ValueError("repeats numbers of single samples")
    same = len(given) > 1 and made.shape == given[0].value.shape
    name = given[0].name if same else ""
    return replace(given[-1], value=made, name=name, sources=(), batch=places[0])


FOLDS: Mapping[str, Callable[..., Any]] = {
    "Add": _arithmetic(np.add),
    "And": _arithmetic(np.logical_and),
    "Cast": _cast,
    "CastLike": lambda node, x, like: x.astype(like.dtype),
    "Ceil": _arithmetic(np.ceil),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Div": _arithmetic(_divide),
    "Equal": _equal,
    "Cos": _arithmetic(np.cos),
    "Exp": _arithmetic(np.exp),
    "Sin": _arithmetic(np.sin),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _arithmetic(np.floor),
    "Gather": _gather,
    "Greater": _arithmetic(np.greater),
    "GreaterOrEqual": _arithmetic(np.greater_equal),
    "Identity": lambda node, x: x,
    "Less": _arithmetic(np.less),
    "LessOrEqual": _arithmetic(np.less_equal),
    "Max": _arithmetic(lambda *x: np.maximum.reduce(np.broadcast_arrays(*x))),
    "Min": _arithmetic(lambda *x: np.minimum.reduce(np.broadcast_arrays(*x))),
    "Mul": _arithmetic(np.multiply),
    "Mod": _mod,
    "Neg": _arithmetic(np.negative),
    "Not": _arithmetic(np.logical_not),
    "Or": _arithmetic(np.logical_or),
    "Pow": _arithmetic(np.power),
    "Range": _range,
    "Reciprocal": _arithmetic(np.reciprocal),
    "ReduceMax": _reduced(np.max),
    "ReduceMean": _reduced(np.mean),
    "ReduceMin": _reduced(np.min),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "Reshape": _reshape,
    "Shape": lambda node, x: np.array(x.shape, np.int64)[
        node.get("start", 0) : node.get("end", None)
    ],
    "Size": lambda node, x: np.array(x.size, np.int64),
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _arithmetic(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _arithmetic(np.subtract),
    "Tile": _tile,
    "Transpose": lambda node, x: np.transpose(x, node.get("perm", None)),
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
    "Where": _arithmetic(np.where),
}
