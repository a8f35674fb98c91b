"""Activations that treat every number by itself, as layers. Those of several are in `units`."""

from typing import ClassVar

from .. import ops
from ..checks.numbers import NOT_NEGATIVE, POSITIVE, number
from ..network import Layer, Tensor


class Activation(Layer):
    """y = f(x) element by element, f by name; ``"softmax"`` and ``"linear"`` are names too.

    Parameters
    ----------
    kind
        ``"relu"``, ``"tanh"``, ``"sigmoid"``, ...
    alpha
        The number f has, where it has one: slope of "leaky_relu" (0.01), depth of "elu" (1, at
        least 0) and "celu" (1, above 0), threshold of "soft_shrink" and "hard_shrink" (0.5, at
        least 0).
    name
        Shown in summaries.
    """

    def __init__(self, kind: str, alpha: float | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.kind = kind if kind in ("softmax", "linear") else ops.activation_kind(kind)
        given = ops.DEFAULTS.get(self.kind, 0.0) if alpha is None else alpha
        self.alpha = ops.activation_number("Activation", self.kind, given)

    def call(self, x: Tensor) -> Tensor:
        """Apply f."""
        if self.kind == "linear":
            return x
        if self.kind == "softmax":
            return ops.softmax(x)
        return ops.activation(x, self.kind, self.alpha)


class _Plain(Activation):
    """An activation without a number."""

    _f: ClassVar[str]  # by name

    def __init__(self, name: str | None = None) -> None:
        super().__init__(self._f, name=name)


class ReLU(_Plain):
    """y = max(0, x); its derivative at 0 is 0."""

    _f = "relu"


class ReLU6(_Plain):
    """y = min(max(0, x), 6) (Krizhevsky 2010); its derivative at 0 and 6 is 0."""

    _f = "relu6"


class Tanh(_Plain):
    """y = tanh(x)."""

    _f = "tanh"


class HardTanh(_Plain):
    """y = min(max(-1, x), 1) (Collobert 2004); its derivative at -1 and 1 is 0."""

    _f = "hard_tanh"


class Softsign(_Plain):
    """y = x/(1 + |x|) (Turian et al. 2009)."""

    _f = "softsign"


class Sigmoid(_Plain):
    """y = 1/(1 + exp(-x))."""

    _f = "sigmoid"


class HardSigmoid(_Plain):
    """y = min(max(0, x + 3), 6)/6 (Howard et al. 2019); its derivative at -3 and 3 is 0."""

    _f = "hard_sigmoid"


class LogSigmoid(_Plain):
    """y = -log(1 + exp(-x)), the log of the sigmoid."""

    _f = "log_sigmoid"


class GELU(_Plain):
    """y = x*Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016)."""

    _f = "gelu"


class SiLU(_Plain):
    """y = x/(1 + exp(-x)), also called swish (Elfwing et al. 2018)."""

    _f = "silu"


class HardSwish(_Plain):
    """y = x*min(max(0, x + 3), 6)/6 (Howard et al. 2019), also called hard SiLU."""

    _f = "hard_swish"


class Mish(_Plain):
    """y = x*tanh(log(1 + exp(x))) (Misra 2019)."""

    _f = "mish"


class SELU(_Plain):
    """y = s*x for x > 0, s*a*(exp(x) - 1) else (Klambauer et al. 2017).

    s = 1.0507009873554805 and a = 1.6732632423543772 keep mean 0 and variance 1 from layer to
    layer, where weights begin with variance 1/n; its dropout is `AlphaDropout`.
    """

    _f = "selu"


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


class CELU(Activation):
    """y = x for x > 0, alpha*(exp(x/alpha) - 1) else (Barron 2017); its derivative is continuous.

    Parameters
    ----------
    alpha
        Positive.
    name
        Shown in summaries.
    """

    def __init__(self, alpha: float = 1.0, name: str | None = None) -> None:
        super().__init__("celu", number("CELU", "alpha", alpha, POSITIVE, single=True), name)


class SoftShrink(Activation):
    """y = sign(x)*max(|x| - threshold, 0) (Donoho 1995).

    Parameters
    ----------
    threshold
        At least 0.
    name
        Shown in summaries.
    """

    def __init__(self, threshold: float = 0.5, name: str | None = None) -> None:
        given = number("SoftShrink", "threshold", threshold, NOT_NEGATIVE, single=True)
        super().__init__("soft_shrink", given, name)


class HardShrink(Activation):
    """y = x for |x| > threshold, 0 else (Donoho & Johnstone 1994).

    Parameters
    ----------
    threshold
        At least 0.
    name
        Shown in summaries.
    """

    def __init__(self, threshold: float = 0.5, name: str | None = None) -> None:
        given = number("HardShrink", "threshold", threshold, NOT_NEGATIVE, single=True)
        super().__init__("hard_shrink", given, name)
