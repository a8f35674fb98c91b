"""Activations as layers, and how a name or a layer becomes one. Their arithmetic is native."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from . import ops
from .checks.numbers import NOT_NEGATIVE, number
from .network import Layer, Tensor

ActivationLike: TypeAlias = str | Layer | None


class Activation(Layer):
    """y = f(x) element by element, f by name; ``"softmax"`` and ``"linear"`` are names too.

    Parameters
    ----------
    kind
        ``"relu"``, ``"tanh"``, ``"sigmoid"``, ...
    alpha
        The number f has, where it has one: slope of "leaky_relu" (0.01), depth of "elu" (1), which
        is at least 0.
    name
        Shown in summaries.
    """

    def __init__(self, kind: str, alpha: float | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.kind = kind if kind in ("softmax", "linear") else ops.activation_kind(kind)
        default = {"leaky_relu": 0.01, "elu": 1.0}.get(self.kind, 0.0)
        given = default if alpha is None else alpha
        self.alpha = ops.activation_number("Activation", self.kind, given)

    def call(self, x: Tensor) -> Tensor:
        """Apply f."""
        if self.kind == "linear":
            return x
        if self.kind == "softmax":
            return ops.softmax(x)
        return ops.activation(x, self.kind, self.alpha)


class ReLU(Activation):
    """y = max(0, x); its derivative at 0 is 0."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("relu", name=name)


class LeakyReLU(Activation):
    """y = x for x > 0, slope*x else (Maas et al. 2013).

    Parameters
    ----------
    slope
        At least 0.
    name
        Shown in summaries.
    """

    def __init__(self, slope: float = 0.01, name: str | None = None) -> None:
        super().__init__(
            "leaky_relu", number("LeakyReLU", "slope", slope, NOT_NEGATIVE, single=True), name
        )


class ELU(Activation):
    """y = x for x > 0, alpha*(exp(x) - 1) else (Clevert et al. 2016).

    Parameters
    ----------
    alpha
        At least 0.
    name
        Shown in summaries.
    """

    def __init__(self, alpha: float = 1.0, name: str | None = None) -> None:
        super().__init__("elu", number("ELU", "alpha", alpha, NOT_NEGATIVE, single=True), name)


class Tanh(Activation):
    """y = tanh(x)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("tanh", name=name)


class Sigmoid(Activation):
    """y = 1/(1 + exp(-x))."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("sigmoid", name=name)


class GELU(Activation):
    """y = x*Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("gelu", name=name)


class SiLU(Activation):
    """y = x/(1 + exp(-x)), also called swish (Elfwing et al. 2018)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("silu", name=name)


class Softmax(Layer):
    """y_i = exp(x_i)/sum_j exp(x_j) over the one axis; not before cross entropy, which has it."""

    def call(self, x: Tensor) -> Tensor:
        """Apply softmax."""
        return ops.softmax(x)


_NAMED: Mapping[str, Callable[[], Layer]] = {"softmax": Softmax}


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
    return _NAMED[activation]() if activation in _NAMED else Activation(activation)
