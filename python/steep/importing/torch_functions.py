"""Functions of PyTorch that steep has: a row for each in `FUNCTIONS`. Modules: `torch_rows`.

Most are told as the ONNX operator they are: see `onnx_rows`. A row is called with the call and the
function's arguments.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import ops
from .onnx_node import Missing, axis_of, tensor
from .torch_call import Call, Row, pair
from .torch_views import VIEWS
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
from .views import View
from .weights import Weight

NO_MATTER = 15.0  # from here on log(1 + e^x) is x to 3e-7


def _of(op: str) -> Row:
    """Return the row of a function of two operands."""

    def row(call: Call, a: Any, b: Any, *, alpha: float = 1) -> View:
        if alpha != 1:
            raise ValueError(f"has alpha={alpha}")
        if not isinstance(a, View) and not isinstance(b, View):
            raise ValueError("computes with weights alone; steep has a tensor beside each")
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
    if threshold < NO_MATTER:
        raise ValueError(f"is x itself from {threshold} on; steep's softplus is smooth")
    v = call.builder.activation(call.builder.affine(tensor(x), scale=float(beta)), "softplus")
    return call.builder.affine(v, scale=1.0 / float(beta))


def _gelu(call: Call, x: Any, approximate: str = "none") -> Any:
    return call.onnx("Gelu", x, approximate=approximate)


def _softmax(op: str) -> Row:
    def row(call: Call, x: Any, dim: int | None = None, *args: Any, **named: Any) -> Any:
        count = len(tensor(x).axes) + 1
        implied = 0 if count in {1, 3} else 1  # as PyTorch has it, with a warning
        return call.onnx(op, x, axis=implied if dim is None else dim)

    return row


def _softmin(call: Call, x: Any, dim: int | None = None, *args: Any, **named: Any) -> Any:
    return _softmax("Softmax")(call, call.onnx("Neg", x), dim)


def _glu(call: Call, x: Any, dim: int = -1) -> Any:
    v = tensor(x)
    half = v.shape[axis_of(v, dim)] // 2
    a, b = call.onnx("Split", v, Weight(np.array([half, half])), outputs=2, axis=dim)
    return call.onnx("Mul", a, call.builder.activation(b, "sigmoid"))


def _dropout(
    call: Call, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Any:
    if training is False:  # said so; `self.training`, traced, is another 0
        return x
    return call.onnx("Dropout", x, ratio=float(p))


def feature_dropout(
    call: Call, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Any:
    """Drop whole channels."""
    return _masked(call, x, p, training, first=1)


def _stochastic_depth(call: Call, x: Any, p: float, mode: str, training: bool = True) -> Any:
    if mode != "row":
        raise ValueError(f"drops by mode {mode!r}; steep drops samples apart")
    return _masked(call, x, p, training, first=0)


def _masked(call: Call, x: Any, p: float, training: bool, *, first: int) -> Any:
    """Drop what is alike along all axes from one on, in one piece."""
    if training is False or not p:
        return x
    v, b = tensor(x), call.builder
    ones = b.affine(b.reduced(v, range(first, len(v.axes)), True, "mean"), scale=0.0, shift=1.0)
    return b.binary(ops.multiply, v, call.onnx("Dropout", ones, ratio=float(p)))


def _reduce(op: str) -> Row:
    def row(call: Call, x: Any, dim: Any = None, keepdim: bool = False, **named: Any) -> Any:
        axes = None if dim is None else Weight(np.array(pair(dim, 1)))
        return call.onnx(op, x, axes, keepdims=int(keepdim))

    return row


def _largest(op: str) -> Row:
    """Return the row of max or min: along an axis, with places that nobody may read, or of two."""

    def row(call: Call, x: Any, dim: Any = None, keepdim: bool = False, **named: Any) -> Any:
        if isinstance(dim, View):
            return call.onnx(op, x, dim)
        axes = None if dim is None else Weight(np.array(pair(dim, 1)))
        found = call.onnx(f"Reduce{op}", x, axes, keepdims=int(keepdim))
        return found if dim is None else (found, Missing())

    return row


def _matmul(call: Call, a: Any, b: Any) -> Any:
    if isinstance(a, View) and isinstance(b, Weight):
        return call.onnx("MatMul", a, b)
    raise ValueError("multiplies tensors by each other, or a weight by one")


def _tanhshrink(call: Call, x: Any) -> Any:
    return call.onnx("Sub", x, call.onnx("Tanh", x))


def threshold(call: Call, x: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """Pass what is above a number on."""
    if value != 0 or threshold < 0:
        raise ValueError(f"has {value} up to {threshold}; steep has 0 up to a number from 0 on")
    return call.onnx("ThresholdedRelu", x, alpha=float(threshold))


FUNCTIONS: Mapping[str, Row] = {
    **VIEWS,
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
    "celu": _named("celu", "alpha", 1.0),
    "clamp": clamp,
    "clip": clamp,
    "clone": _same,
    "contiguous": _same,
    "conv1d": conv,
    "conv2d": conv,
    "conv_transpose1d": conv_transpose,
    "conv_transpose2d": conv_transpose,
    "cos": lambda call, x: call.onnx("Cos", x),
    "detach": lambda call, x: x.of(ops.stop_gradient(x.x)),
    "div": _of("Div"),
    "dropout": _dropout,
    "dropout1d": feature_dropout,
    "dropout2d": feature_dropout,
    "elu": _named("elu", "alpha", 1.0),
    "exp": _named("exp"),
    "feature_dropout": feature_dropout,
    "float": _same,
    "gelu": _gelu,
    "glu": _glu,
    "group_norm": group_norm,
    "hardshrink": _named("hard_shrink", "lambd", 0.5),
    "hardsigmoid": _named("hard_sigmoid"),
    "hardswish": _named("hard_swish"),
    "hardtanh": _hardtanh,
    "iadd": _of("Add"),
    "imul": _of("Mul"),
    "layer_norm": layer_norm,
    "leaky_relu": _named("leaky_relu", "negative_slope", 0.01),
    "linear": linear,
    "local_response_norm": local_norm,
    "log": _named("log"),
    "log_softmax": _softmax("LogSoftmax"),
    "logsigmoid": _named("log_sigmoid"),
    "logsumexp": _reduce("ReduceLogSumExp"),
    "matmul": _matmul,
    "max": _largest("Max"),
    "max_pool1d": max_pool,
    "max_pool2d": max_pool,
    "boolean_dispatch": max_pool,  # how PyTorch calls its pools that may give places
    "maximum": _of("Max"),
    "mean": _reduce("ReduceMean"),
    "min": _largest("Min"),
    "minimum": _of("Min"),
    "mish": _named("mish"),
    "mul": _of("Mul"),
    "multiply": _of("Mul"),
    "neg": lambda call, x: call.onnx("Neg", x),
    "pow": _of("Pow"),
    "reciprocal": lambda call, x: call.onnx("Reciprocal", x),
    "relu": _named("relu"),
    "relu6": _named("relu6"),
    "rsub": _turned("Sub"),
    "rsqrt": lambda call, x: call.onnx("Pow", x, -0.5),
    "selu": _named("selu"),
    "sigmoid": _named("sigmoid"),
    "silu": _named("silu"),
    "sin": lambda call, x: call.onnx("Sin", x),
    "softmax": _softmax("Softmax"),
    "softmin": _softmin,
    "softplus": _softplus,
    "softshrink": _named("soft_shrink", "lambd", 0.5),
    "softsign": _named("softsign"),
    "sqrt": _named("sqrt"),
    "square": _named("square"),
    "stochastic_depth": _stochastic_depth,
    "sub": _of("Sub"),
    "sum": _reduce("ReduceSum"),
    "tanh": _named("tanh"),
    "tanhshrink": _tanhshrink,
    "threshold": threshold,
    "_threshold": threshold,  # how PyTorch calls it
    "to": _same,
    "truediv": _of("Div"),
}
FUNCTIONS = {**FUNCTIONS, **{f"{k}_": row for k, row in FUNCTIONS.items()}}  # in place
