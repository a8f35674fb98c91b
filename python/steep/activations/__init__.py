"""Activations as layers, and how a name or a layer becomes one. Their arithmetic is native."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from .. import ops
from ..network import Layer
from .elementwise import (
    CELU,
    ELU,
    GELU,
    SELU,
    Activation,
    HardShrink,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LeakyReLU,
    LogSigmoid,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    SoftShrink,
    Softsign,
    Tanh,
)
from .units import GEGLU, GLU, Maxout, ParametricActivation, PReLU, ReGLU, RReLU, Softmax, SwiGLU

__all__ = [
    "CELU",
    "ELU",
    "GEGLU",
    "GELU",
    "GLU",
    "SELU",
    "Activation",
    "ActivationLike",
    "HardShrink",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "LeakyReLU",
    "LogSigmoid",
    "Maxout",
    "Mish",
    "PReLU",
    "ParametricActivation",
    "RReLU",
    "ReGLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "SoftShrink",
    "Softmax",
    "Softsign",
    "SwiGLU",
    "Tanh",
    "activation_layer",
]

ActivationLike: TypeAlias = str | Layer | None

_NAMED: Mapping[str, Callable[[], Layer]] = {
    "softmax": Softmax,
    "rrelu": RReLU,
    "glu": GLU,
    "swiglu": SwiGLU,
    "geglu": GEGLU,
    "reglu": ReGLU,
}


def activation_layer(activation: ActivationLike) -> Layer | None:
    """Return an activation given as a name, a layer or None as a layer or None.

    Raises
    ------
    TypeError, ValueError
        If it is something else, or a name nobody knows.
    """
    if activation is None or activation == "linear":
        return None
    if isinstance(activation, Layer):
        return activation
    if isinstance(activation, type) and issubclass(activation, Layer):
        raise TypeError(f"activation: got the class {activation.__name__}; write its parentheses")
    if not isinstance(activation, str):
        raise TypeError(f"activation: expects a name or a layer, got {activation!r}")
    kind = ops.activation_kind(activation, _NAMED)
    return _NAMED[kind]() if kind in _NAMED else Activation(kind)
