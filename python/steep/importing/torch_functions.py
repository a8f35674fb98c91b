"""Functions of PyTorch that steep has: a row for each in `FUNCTIONS`. Modules: `torch_rows`.

Most are told as the ONNX operator they are: see `onnx_rows`. A row is called with the call and the
function's arguments.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops
from .folding import Batch
from .onnx_node import axis_of, tensor
from .onnx_shapes import sample_shape
from .torch_call import Call, Row, pair
from .torch_windows import (
    adaptive,
    avg_pool,
    batch_norm,
    conv,
    conv_transpose,
    group_norm,
    layer_norm,
    linear,
    local_norm,
    max_pool,
)
from .views import View, reshaped, transposed
from .weights import Weight


def _of(op: str) -> Row:
    """Return the row of a function of two operands."""

    def row(call: Call, a: Any, b: Any, *, alpha: float = 1) -> View:
        if alpha != 1:
            raise ValueError(f"has alpha={alpha}")
        return call.onnx(op, a, b)  # type: ignore[no-any-return]

    return row


def _turned(op: str) -> Row:
    return lambda call, a, b: call.onnx(op, b, a)


def _named(kind: str, alpha: str = "", default: float | None = None) -> Row:
    """Return the row of an activation of steep; `alpha` is PyTorch's name of its number."""

    def row(call: Call, x: Any, *args: Any, inplace: bool = False, **named: Any) -> View:
        number = named.pop(alpha, args[0] if args else default) if alpha else None
        if named or (args and not alpha):
            raise ValueError(f"has arguments that are not known here: {args} {named}")
        return call.builder.activation(tensor(x), kind, None if number is None else float(number))

    return row


def _same(call: Call, x: Any, *args: Any, **named: Any) -> Any:
    return x


def _hardtanh(
    call: Call, x: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Any:
    return clamp(call, x, min_val, max_val)


def clamp(call: Call, x: Any, min: float | None = None, max: float | None = None) -> Any:
    """Bound a tensor by two numbers."""
    ends = [None if n is None else Weight(np.asarray(float(n))) for n in (min, max)]
    return call.onnx("Clip", x, *ends)


def _softplus(call: Call, x: Any, beta: float = 1.0, threshold: float = 20.0) -> View:
    v = call.builder.activation(call.builder.affine(tensor(x), scale=float(beta)), "softplus")
    return call.builder.affine(v, scale=1.0 / float(beta))


def _gelu(call: Call, x: Any, approximate: str = "none") -> Any:
    return call.onnx("Gelu", x, approximate=approximate)


def _softmax(op: str) -> Row:
    def row(call: Call, x: Any, dim: int | None = None, *args: Any, **named: Any) -> Any:
        return call.onnx(op, x, axis=1 if dim is None else dim)

    return row


def _glu(call: Call, x: Any, dim: int = -1) -> Any:
    v = tensor(x)
    half = v.shape[axis_of(v, dim)] // 2
    a, b = call.onnx("Split", v, Weight(np.array([half, half])), outputs=2, axis=dim)
    return call.onnx("Mul", a, call.builder.activation(b, "sigmoid"))


def _dropout(
    call: Call, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Any:
    return call.onnx("Dropout", x, ratio=float(p)) if training else x


def flatten(call: Call, x: Any, start_dim: int = 0, end_dim: int = -1) -> View:
    """Join axes."""
    v = tensor(x)
    first, last = axis_of(v, start_dim), axis_of(v, end_dim)
    shape = v.shape
    joined = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
    return reshaped(v, joined, call.builder.moves)


def unflatten(call: Call, x: Any, dim: int, sizes: Any) -> View:
    """Split an axis."""
    v = tensor(x)
    axis = axis_of(v, dim)
    told = [Batch(1), *v.shape[:axis], *sizes, *v.shape[axis + 1 :]]
    return reshaped(v, sample_shape(v, told, zeros=False), call.builder.moves)


def _reshape(call: Call, x: Any, *shape: Any) -> View:
    v = tensor(x)
    told = [*shape[0]] if shape and isinstance(shape[0], (tuple, list)) else [*shape]
    return reshaped(v, sample_shape(v, told, zeros=False), call.builder.moves)


def _permute(call: Call, x: Any, *dims: Any) -> View:
    v = tensor(x)
    told = [*dims[0]] if isinstance(dims[0], (tuple, list)) else [*dims]
    count = len(v.axes) + 1
    return call.onnx("Transpose", v, perm=[k % count for k in told])  # type: ignore[no-any-return]


def _transpose(call: Call, x: Any, a: int, b: int) -> View:
    v = tensor(x)
    perm = [*range(len(v.axes))]
    p, q = axis_of(v, a), axis_of(v, b)
    perm[p], perm[q] = q, p
    return transposed(v, perm)


def _cat(call: Call, tensors: Sequence[Any], dim: int = 0, axis: int | None = None) -> Any:
    return call.onnx("Concat", *tensors, axis=dim if axis is None else axis)


def _chunk(call: Call, x: Any, chunks: int, dim: int = 0) -> Any:
    v = tensor(x)
    size = -(-v.shape[axis_of(v, dim)] // chunks)
    return _split(call, v, size, dim)


def _split(call: Call, x: Any, size: Any, dim: int = 0) -> Any:
    v = tensor(x)
    whole = v.shape[axis_of(v, dim)]
    if isinstance(size, int):
        size = [min(size, whole - k) for k in range(0, whole, size)]
    return call.onnx("Split", v, Weight(np.array(size)), outputs=len(size), axis=dim)


def _reduce(op: str) -> Row:
    def row(call: Call, x: Any, dim: Any = None, keepdim: bool = False, **named: Any) -> Any:
        axes = None if dim is None else Weight(np.array(pair(dim, 1)))
        return call.onnx(op, x, axes, keepdims=int(keepdim))

    return row


def _squeeze(call: Call, x: Any, dim: Any = None) -> Any:
    return call.onnx("Squeeze", x, None if dim is None else Weight(np.array(pair(dim, 1))))


def _unsqueeze(call: Call, x: Any, dim: int) -> Any:
    return call.onnx("Unsqueeze", x, Weight(np.array([dim])))


def _size(call: Call, x: Any, dim: int | None = None) -> Any:
    shape = (Batch(1), *tensor(x).shape)
    return shape if dim is None else shape[dim]


def _getattr(call: Call, x: Any, name: str) -> Any:
    if name == "shape":
        return _size(call, x)
    if name in ("dtype", "device"):
        return None
    raise ValueError(f"asks for {name}")


def getitem(call: Call, x: Any, index: Any) -> Any:
    """Take parts of a tensor, or one of several."""
    if isinstance(x, (tuple, list)):
        return x[index]
    v, b = tensor(x), call.builder
    told = [*index] if isinstance(index, tuple) else [index]
    if Ellipsis in told:
        k = told.index(Ellipsis)
        told[k : k + 1] = [slice(None)] * (len(v.axes) + 1 - sum(n is not None for n in told) + 1)
    if not told or told[0] != slice(None):
        raise ValueError("takes some samples of a batch")
    axis = 0
    for item in told[1:]:
        if item is None:
            v = View(v.x, v.order, (*v.axes[:axis], (), *v.axes[axis:]))
            axis += 1
        elif isinstance(item, slice):
            first, last, step = item.indices(v.shape[axis])
            if step < 1 or first >= last:
                raise ValueError(f"takes {item} of {v.shape}")
            v = b.cut(v, axis, first, last, step)
            axis += 1
        elif isinstance(item, int):
            place = range(v.shape[axis])[item]
            v = b.cut(v, axis, place, place + 1)
            v = View(v.x, v.order, (*v.axes[:axis], *v.axes[axis + 1 :]))
        else:
            raise ValueError(f"takes parts by {item!r}")
    return v


def pad(call: Call, x: Any, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Any:
    """Put zeros, or another number, around."""
    v = tensor(x)
    count = len(v.axes) + 1
    before, after = [0] * count, [0] * count
    for k in range(len(pad) // 2):
        before[count - 1 - k], after[count - 1 - k] = pad[2 * k], pad[2 * k + 1]
    given = Weight(np.array([*before, *after])), Weight(np.asarray(float(value or 0.0)))
    return call.onnx("Pad", v, *given, mode=mode)


def interpolate(  # noqa: PLR0917 - as PyTorch has them
    call: Call, x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: Any = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Any:  # fmt: skip
    """Enlarge by the nearest pixel."""
    v = tensor(x)
    count = len(v.axes) - 1
    if size is not None:
        given = [None, Weight(np.array([1, v.shape[0], *pair(size, count)]))]
    else:
        given = [Weight(np.array([1.0, 1.0, *map(float, pair(scale_factor, count))]))]
    return call.onnx(
        "Resize", v, None, *given, mode=mode, coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )  # fmt: skip


def _pixel_shuffle(call: Call, x: Any, upscale_factor: int) -> Any:
    return call.onnx("DepthToSpace", x, blocksize=upscale_factor, mode="CRD")


def _pixel_unshuffle(call: Call, x: Any, downscale_factor: int) -> Any:
    return call.onnx("SpaceToDepth", x, blocksize=downscale_factor, mode="CRD")


FUNCTIONS: Mapping[str, Row] = {
    "abs": _named("abs"),
    "adaptive_avg_pool1d": adaptive("avg"),
    "adaptive_avg_pool2d": adaptive("avg"),
    "adaptive_max_pool1d": adaptive("max"),
    "adaptive_max_pool2d": adaptive("max"),
    "add": _of("Add"),
    "alpha_dropout": lambda call, x, p=0.5, training=False, inplace=False: x,
    "amax": _reduce("ReduceMax"),
    "amin": _reduce("ReduceMin"),
    "avg_pool1d": avg_pool,
    "avg_pool2d": avg_pool,
    "batch_norm": batch_norm,
    "cat": _cat,
    "celu": _named("celu", "alpha", 1.0),
    "chunk": _chunk,
    "clamp": clamp,
    "clip": clamp,
    "clone": _same,
    "concat": _cat,
    "contiguous": _same,
    "conv1d": conv,
    "conv2d": conv,
    "conv_transpose1d": conv_transpose,
    "conv_transpose2d": conv_transpose,
    "detach": lambda call, x: x.of(ops.stop_gradient(x.x)),
    "div": _of("Div"),
    "dropout": _dropout,
    "dropout2d": _dropout,
    "elu": _named("elu", "alpha", 1.0),
    "exp": _named("exp"),
    "feature_dropout": _dropout,
    "flatten": flatten,
    "float": _same,
    "gelu": _gelu,
    "getattr": _getattr,
    "getitem": getitem,
    "glu": _glu,
    "group_norm": group_norm,
    "hardshrink": _named("hard_shrink", "lambd", 0.5),
    "hardsigmoid": _named("hard_sigmoid"),
    "hardswish": _named("hard_swish"),
    "hardtanh": _hardtanh,
    "iadd": _of("Add"),
    "imul": _of("Mul"),
    "interpolate": interpolate,
    "layer_norm": layer_norm,
    "leaky_relu": _named("leaky_relu", "negative_slope", 0.01),
    "linear": linear,
    "local_response_norm": local_norm,
    "log": _named("log"),
    "log_softmax": _softmax("LogSoftmax"),
    "logsigmoid": _named("log_sigmoid"),
    "logsumexp": _reduce("ReduceLogSumExp"),
    "max_pool1d": max_pool,
    "max_pool2d": max_pool,
    "boolean_dispatch": max_pool,  # how PyTorch calls its pools that may give places
    "maximum": _of("Max"),
    "mean": _reduce("ReduceMean"),
    "minimum": _of("Min"),
    "mish": _named("mish"),
    "mul": _of("Mul"),
    "multiply": _of("Mul"),
    "neg": lambda call, x: call.onnx("Neg", x),
    "pad": pad,
    "permute": _permute,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "pow": _of("Pow"),
    "reciprocal": lambda call, x: call.onnx("Reciprocal", x),
    "relu": _named("relu"),
    "relu6": _named("relu6"),
    "reshape": _reshape,
    "rsub": _turned("Sub"),
    "rsqrt": lambda call, x: call.onnx("Pow", x, -0.5),
    "selu": _named("selu"),
    "sigmoid": _named("sigmoid"),
    "silu": _named("silu"),
    "size": _size,
    "softmax": _softmax("Softmax"),
    "softplus": _softplus,
    "softshrink": _named("soft_shrink", "lambd", 0.5),
    "softsign": _named("softsign"),
    "split": _split,
    "sqrt": _named("sqrt"),
    "square": _named("square"),
    "squeeze": _squeeze,
    "sub": _of("Sub"),
    "sum": _reduce("ReduceSum"),
    "swapaxes": _transpose,
    "tanh": _named("tanh"),
    "to": _same,
    "transpose": _transpose,
    "truediv": _of("Div"),
    "unflatten": unflatten,
    "unsqueeze": _unsqueeze,
    "view": _reshape,
}
FUNCTIONS = {**FUNCTIONS, **{f"{k}_": row for k, row in FUNCTIONS.items()}}  # in place
