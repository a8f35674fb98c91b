"""Operators on constants, in NumPy: the chains by which exporters compute shapes. No networks.

A batch's size is not known: it stands in shapes as a `Batch`, which some arithmetic leaves a shape.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
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
    if x.dtype == object:
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
    index = np.asarray(index, np.int64)
    _grown(index.size * max(1, x.size))
    return np.asarray(np.take(x, index, node.get("axis", 0)), x.dtype)


def _range(node: Any, start: Array, limit: Array, step: Array) -> Array:
    first, last, by = (float(n.reshape(())) for n in (start, limit, step))
    _grown(int(min(abs((last - first) / by), 1e18)) if by else MOST + 1)
    return np.arange(first, last, by).astype(start.dtype)


def _reshape(node: Any, x: Array, shape: Any = None) -> Array:
    sizes = node.get("shape", None) if shape is None else _ints(shape)
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
    return a // b if whole else a / b


def _concat(node: Any, *given: Array) -> Array:
    _grown(sum(x.size for x in given))
    return np.concatenate(given, node.get("axis", 0))


def _reduce_prod(node: Any, x: Array, axes: Any = None) -> Array:
    over = axes_of(node, axes, x.ndim)
    keep = bool(node.get("keepdims", 1))
    return np.asarray(np.prod(x, None if over is None else tuple(over), keepdims=keep))


FOLDS: Mapping[str, Callable[..., Any]] = {
    "Add": _arithmetic(np.add),
    "Cast": _cast,
    "Ceil": _arithmetic(np.ceil),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Div": _arithmetic(_divide),
    "Equal": _arithmetic(np.equal),
    "Cos": _arithmetic(np.cos),
    "Exp": _arithmetic(np.exp),
    "Sin": _arithmetic(np.sin),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _arithmetic(np.floor),
    "Gather": _gather,
    "Identity": lambda node, x: x,
    "Max": _arithmetic(lambda *x: np.maximum.reduce(np.broadcast_arrays(*x))),
    "Min": _arithmetic(lambda *x: np.minimum.reduce(np.broadcast_arrays(*x))),
    "Mul": _arithmetic(np.multiply),
    "Neg": _arithmetic(np.negative),
    "Pow": _arithmetic(np.power),
    "Range": _range,
    "Reciprocal": _arithmetic(np.reciprocal),
    "ReduceProd": _reduce_prod,
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
    "Unsqueeze": _unsqueeze,
    "Where": _arithmetic(np.where),
}
