"""Every activation as ONNX nodes: a row for each. Ops of other kinds are in `rows`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .writer import Writer

# Of the writer, the name of x and the activation's number: the name of f(x).
Nodes: TypeAlias = "Callable[[Writer, str, float], str]"

SELU = {"alpha": 1.6732632423543772848, "gamma": 1.0507009873554804934}


def _node(op: str, **attributes: Any) -> Nodes:
    return lambda w, x, alpha: w.node(op, [x], **attributes)


def _with_alpha(op: str) -> Nodes:
    return lambda w, x, alpha: w.node(op, [x], alpha=alpha)


def _times(w: Writer, x: str, number: float) -> str:
    return w.node("Mul", [x, w.number(number)])


def _clip(low: float, high: float) -> Nodes:
    return lambda w, x, alpha: w.node("Clip", [x, w.number(low), w.number(high)])


def _shrink(w: Writer, x: str, alpha: float, bias: float) -> str:
    return w.node("Shrink", [x], lambd=alpha, bias=bias)


def _gelu(w: Writer, x: str, alpha: float) -> str:
    """x*(1 + erf(x/sqrt(2)))/2."""
    bell = w.node("Erf", [_times(w, x, math.sqrt(0.5))])
    return _times(w, w.node("Mul", [x, w.node("Add", [bell, w.number(1.0)])]), 0.5)


def _gelu_tanh(w: Writer, x: str, alpha: float) -> str:
    """x*sigmoid(2u), u = sqrt(2/pi)*(x + 0.044715*x^3)."""
    square = _times(w, w.node("Mul", [x, x]), 0.044715)
    inside = w.node("Mul", [x, w.node("Add", [square, w.number(1.0)])])
    return _gated(w, x, _times(w, inside, 2.0 * math.sqrt(2.0 / math.pi)))


def _silu(w: Writer, x: str, alpha: float) -> str:
    return _gated(w, x, x)


def _gated(w: Writer, x: str, z: str) -> str:
    """x*sigmoid(z) as x/(1 + e^-z): at -17 Sigmoid of onnxruntime is off by 280%."""
    return w.node("Div", [x, w.node("Add", [w.node("Exp", [w.node("Neg", [z])]), w.number(1.0)])])


def _mish(w: Writer, x: str, alpha: float) -> str:
    return w.node("Mul", [x, w.node("Tanh", [w.node("Softplus", [x])])])


def _log_sigmoid(w: Writer, x: str, alpha: float) -> str:
    return w.node("Neg", [w.node("Softplus", [w.node("Neg", [x])])])


ACTIVATIONS: Mapping[str, Nodes] = {
    "abs": _node("Abs"),
    "celu": _with_alpha("Celu"),
    "cos": _node("Cos"),
    "elu": _with_alpha("Elu"),
    "exp": _node("Exp"),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "hard_shrink": lambda w, x, alpha: _shrink(w, x, alpha, 0.0),
    "hard_sigmoid": _node("HardSigmoid", alpha=1.0 / 6.0, beta=0.5),
    "hard_swish": _node("HardSwish"),
    "hard_tanh": _clip(-1.0, 1.0),
    "leaky_relu": _with_alpha("LeakyRelu"),
    "linear": lambda w, x, alpha: x,
    "log": _node("Log"),
    "log_sigmoid": _log_sigmoid,
    "mish": _mish,
    "relu": _node("Relu"),
    "relu6": _clip(0.0, 6.0),
    "selu": _node("Selu", **SELU),
    "sigmoid": _node("Sigmoid"),
    "silu": _silu,
    "sin": _node("Sin"),
    "soft_shrink": lambda w, x, alpha: _shrink(w, x, alpha, alpha),
    "softplus": _node("Softplus"),
    "softsign": _node("Softsign"),
    "sqrt": _node("Sqrt"),
    "square": lambda w, x, alpha: w.node("Mul", [x, x]),
    "tanh": _node("Tanh"),
}
