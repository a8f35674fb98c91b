"""Activations that are more than a function of one number: softmax, weights, draws, gates."""

from .. import ops
from ..checks.numbers import NOT_NEGATIVE, flag, number, whole
from ..network import Layer, Tensor, label
from .elementwise import Activation


class Softmax(Layer):
    """y_i = exp(x_i)/sum_j exp(x_j) over the last axis; not before cross entropy, which has it."""

    def call(self, x: Tensor) -> Tensor:
        """Apply softmax."""
        return ops.softmax(x)


class PReLU(Layer):
    """y = x for x > 0, slope*x else, with slopes that are learned (He et al. 2015).

    The slopes do not decay, as in the paper.

    Parameters
    ----------
    init
        What the slopes begin at: a number or an array.
    shared
        Whether there is one slope, shape (1,), as PyTorch's default has it, or one for each place
        of the last axis, (channels,).
    name
        Begins the name of the slopes, ``name.slope``.
    """

    def __init__(self, init: object = 0.25, shared: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.init, self.shared = init, flag(label(self), "shared", shared)

    def call(self, x: Tensor) -> Tensor:
        """Apply the slopes."""
        slopes = (1,) if self.shared else x.shape[-1:]
        return ops.prelu(x, self.parameter("slope", slopes, init=self.init))


class ParametricActivation(Layer):
    """y = x + alpha*(f(x) - x): between the identity and f, with an alpha that is learned.

    Each place of the last axis has its own, which begins at 1, where y = f(x); it does not decay
    (Holzmueller et al. 2024, of SELU and Mish).

    Parameters
    ----------
    kind
        f: the name of an activation, with its number where it has one.
    init
        What the alphas begin at: a number or an array.
    name
        Begins the name of the alphas, ``name.alpha``.

    Raises
    ------
    ValueError
        If nobody knows f.
    """

    def __init__(self, kind: str, init: object = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.kind, self.init = ops.activation_kind(kind), init

    def call(self, x: Tensor) -> Tensor:
        """Move x towards f(x)."""
        alpha = self.parameter("alpha", x.shape[-1:], init=self.init)
        return x + (Activation(self.kind).call(x) - x) * alpha


class RReLU(Layer):
    """y = x for x > 0, slope*x else, each slope drawn anew from [lower, upper] (Xu et al. 2015).

    Every element and step has its own while training; predictions take (lower + upper)/2.

    Parameters
    ----------
    lower, upper
        At least 0, lower <= upper.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, name: str | None = None) -> None:
        super().__init__(name)
        self.lower = number(label(self), "lower", lower, NOT_NEGATIVE, single=True)
        self.upper = number(label(self), "upper", upper, NOT_NEGATIVE, single=True)
        if self.lower > self.upper:
            raise ValueError(
                f"{label(self)}: lower must be at most upper, got {lower!r} and {upper!r}"
            )

    def call(self, x: Tensor) -> Tensor:
        """Draw and apply the slopes."""
        return ops.rrelu(x, self.lower, self.upper)


class GLU(Layer):
    """y = a * f(b), a and b the halves of the last axis: gated linear unit (Dauphin et al. 2017).

    ``Dense(2 * n, GLU())`` gives n numbers.

    Parameters
    ----------
    gate
        f: the name of an activation, the sigmoid of the paper or another (Shazeer 2020).
    name
        Shown in summaries.

    Raises
    ------
    ValueError
        If nobody knows the gate; when it is called, if the last axis is odd.
    """

    def __init__(self, gate: str = "sigmoid", name: str | None = None) -> None:
        super().__init__(name)
        self.gate = ops.activation_kind(gate)

    def call(self, x: Tensor) -> Tensor:
        """Gate."""
        return ops.glu(x, self.gate)


class SwiGLU(GLU):
    """y = a * silu(b), a and b the halves of the last axis (Shazeer 2020)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("silu", name)


class GEGLU(GLU):
    """y = a * gelu(b), a and b the halves of the last axis (Shazeer 2020)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("gelu", name)


class ReGLU(GLU):
    """y = a * relu(b), a and b the halves of the last axis (Shazeer 2020)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("relu", name)


class Maxout(Layer):
    """y_j = the largest of x_(j k) .. x_(j k + k - 1), k the pieces (Goodfellow et al. 2013).

    ``Dense(k * n, Maxout(k))`` is the paper's layer of n units, each the largest of k linear
    pieces. Of equal pieces the first has the gradient.

    Parameters
    ----------
    pieces
        k: neighbours along the last axis, which it divides.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If `pieces` is no positive int; when it is called, if it does not divide the last axis.
    """

    def __init__(self, pieces: int = 2, name: str | None = None) -> None:
        super().__init__(name)
        self.pieces = whole(label(self), "pieces", pieces)

    def call(self, x: Tensor) -> Tensor:
        """Take the largest."""
        return ops.maxout(x, self.pieces)
