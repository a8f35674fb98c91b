"""The losses that are made of ops, compiled like layers; and those of a user's own."""

import inspect
import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks.described import settle
from ..checks.numbers import (
    CLOSED_FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    Range,
    Ranges,
    whole,
)
from .base import Loss, mean_rows, pair_of, vector
from .base import applied as _apply

__all__ = [
    "CosineSimilarity",
    "Custom",
    "Dice",
    "Focal",
    "Hinge",
    "KLDivergence",
    "KLNormal",
    "Mean",
    "Poisson",
    "SquaredHinge",
]


@dataclass(frozen=True)
class OfOps(Loss):
    """A loss that is made of ops on the output and its targets, compiled like a layer."""

    @property
    def _of_ops(self) -> bool:
        """Whether it is made of ops, as all of these."""
        return True

    @abstractmethod
    def _build(self, y: Any, t: Any) -> Any:
        """Return the tensor whose mean over a sample is its loss."""


@dataclass(frozen=True)
class Hinge(OfOps):
    """max(0, 1 - s*z), s the class as -1 or 1, the mean over a sample's outputs.

    Targets are 0 and 1, or -1 and 1 (Cortes & Vapnik 1995).
    """

    name: ClassVar[str] = "hinge"
    judged: ClassVar[bool] = True
    allowed: ClassVar[Range | None] = Range(-1.0, 1.0, high_open=False)

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = pair_of(z, target)
        return mean_rows(np.maximum(0.0, 1.0 - np.clip(4.0 * t - 1.0, -1.0, 1.0) * output))

    def _build(self, y: Any, t: Any) -> Any:
        side = _apply("hard_tanh", 4.0 * t - 1.0)
        return _apply("relu", 1.0 - side * y)


@dataclass(frozen=True)
class SquaredHinge(OfOps):
    """max(0, 1 - s*z)^2, s the class as -1 or 1, the mean over a sample's outputs.

    Targets are 0 and 1, or -1 and 1.
    """

    name: ClassVar[str] = "squared_hinge"
    judged: ClassVar[bool] = True
    allowed: ClassVar[Range | None] = Hinge.allowed

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = pair_of(z, target)
        return mean_rows(np.maximum(0.0, 1.0 - np.clip(4.0 * t - 1.0, -1.0, 1.0) * output) ** 2)

    def _build(self, y: Any, t: Any) -> Any:
        return _apply("square", Hinge()._build(y, t))


@dataclass(frozen=True)
class Poisson(OfOps):
    """e^z - y*z, the mean over a sample's outputs: counts y of the rate e^z, up to a constant.

    PyTorch's with ``log_input=True``; Keras' takes the rate itself.

    Parameters
    ----------
    log_input
        False: z is the rate, and the loss is z - y*log(z + 1e-8).
    """

    log_input: bool = True

    name: ClassVar[str] = "poisson"
    flags: ClassVar[tuple[str, ...]] = ("log_input",)
    allowed: ClassVar[Range | None] = NOT_NEGATIVE

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = pair_of(z, target)
        if self.log_input:
            return mean_rows(np.exp(output) - t * output)
        return mean_rows(output - t * np.log(output + 1e-8))

    def _build(self, y: Any, t: Any) -> Any:
        if self.log_input:
            return _apply("exp", y) - t * y
        return y - t * _apply("log", y + 1e-8)


@dataclass(frozen=True)
class KLDivergence(OfOps):
    """sum_c y_c*(log y_c - z_c) from log probabilities z, as PyTorch has it.

    The divergence of Kullback & Leibler (1951), the sum over a sample's outputs.
    From logits the cross entropy has the same gradient, and is smaller by the targets' entropy.
    """

    name: ClassVar[str] = "kl_divergence"
    allowed: ClassVar[Range | None] = CLOSED_FRACTION

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = pair_of(z, target)
        values = t * (np.log(np.where(t > 0.0, t, 1.0)) - output)
        return vector(values.reshape(len(values), -1).sum(axis=1))

    def _build(self, y: Any, t: Any) -> Any:
        # 1e-30 is lost beside every target but 0, whose logarithm it makes finite.
        return float(math.prod(y.shape)) * (t * (_apply("log", t + 1e-30) - y))


@dataclass(frozen=True)
class CosineSimilarity(OfOps):
    """1 - z.y/(|z| |y|), of all outputs of a sample."""

    name: ClassVar[str] = "cosine_similarity"

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = (a.reshape(len(a), -1) for a in pair_of(z, target))
        lengths = np.sqrt(((output**2).sum(axis=1) + 1e-16) * ((t**2).sum(axis=1) + 1e-16))
        return vector(1.0 - (output * t).sum(axis=1) / lengths)

    def _build(self, y: Any, t: Any) -> Any:
        squares = (_sum(y * y) + 1e-16) * (_sum(t * t) + 1e-16)
        return 1.0 - _sum(y * t) / _apply("sqrt", squares)


@dataclass(frozen=True)
class Dice(OfOps):
    """1 - (2 sum(p*y) + smooth)/(sum p + sum y + smooth), p = sigmoid(z) (Milletari et al. 2016).

    Over all outputs of a sample: for masks whose ink is little.

    Parameters
    ----------
    smooth
        Keeps empty masks from 0/0, > 0.
    """

    smooth: float = 1.0

    name: ClassVar[str] = "dice"
    judged: ClassVar[bool] = True
    ranges: ClassVar[Ranges] = {"smooth": POSITIVE}
    allowed: ClassVar[Range | None] = CLOSED_FRACTION

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = (a.reshape(len(a), -1) for a in pair_of(z, target))
        p = 1.0 / (1.0 + np.exp(-output))
        over = p.sum(axis=1) + t.sum(axis=1) + self.smooth
        return vector(1.0 - (2.0 * (p * t).sum(axis=1) + self.smooth) / over)

    def _build(self, y: Any, t: Any) -> Any:
        p = _apply("sigmoid", y)
        return 1.0 - (2.0 * _sum(p * t) + self.smooth) / (_sum(p) + _sum(t) + self.smooth)


@dataclass(frozen=True)
class Focal(OfOps):
    """Binary cross entropy times (1 - q)^gamma, q the probability of the truth (Lin et al. 2017).

    From logits, the mean over a sample's outputs: what is right already counts less.

    Parameters
    ----------
    gamma
        >= 0; 0 is binary cross entropy.
    alpha
        Weight of the class 1 in (0, 1), that of the class 0 is 1 - alpha; None: 1 of both.
    """

    gamma: float = 2.0
    alpha: float | None = None

    name: ClassVar[str] = "focal"
    judged: ClassVar[bool] = True
    ranges: ClassVar[Ranges] = {"gamma": NOT_NEGATIVE}
    allowed: ClassVar[Range | None] = CLOSED_FRACTION

    def __post_init__(self) -> None:
        """Check both numbers."""
        super().__post_init__()
        if self.alpha is not None:
            settle(self, alpha=self._number("alpha", self.alpha, Range(0.0, 1.0, low_open=True)))

    @property
    def _sides(self) -> tuple[float, float]:
        return (1.0, 1.0) if self.alpha is None else (self.alpha, 1.0 - self.alpha)

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = pair_of(z, target)
        one, nought = np.logaddexp(0.0, -output), np.logaddexp(0.0, output)
        a, b = self._sides
        values = a * t * np.exp(-self.gamma * nought) * one
        return mean_rows(values + b * (1.0 - t) * np.exp(-self.gamma * one) * nought)

    def _build(self, y: Any, t: Any) -> Any:
        one, nought = _apply("softplus", -y), _apply("softplus", y)  # -log of p and of 1 - p
        a, b = self._sides
        of_one = t * (_apply("exp", -self.gamma * nought) * one)
        return a * of_one + b * ((1.0 - t) * (_apply("exp", -self.gamma * one) * nought))


@dataclass(frozen=True)
class KLNormal(OfOps):
    """(z^2 + e^v - v - 1)/2, from N(z, e^v) to N(0, 1), the *sum* over a sample's outputs.

    What a variational autoencoder adds (Kingma & Welling 2014). On symbolic tensors it is the
    tensor to add: ``self.add_loss(losses.KLNormal()(mean, log_variance), name="kl")``.
    """

    name: ClassVar[str] = "kl_normal"

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, means and log variances of one shape (N, ...)."""
        mean, v = pair_of(z, target)
        values = 0.5 * (mean**2 + np.exp(v) - v - 1.0)
        return vector(values.reshape(len(values), -1).sum(axis=1))

    def __call__(self, z: Any, target: Any, reduction: str = "mean") -> Any:
        """Return the mean, or the sum, of `rows`; of symbolic tensors the tensor to add."""
        if hasattr(z, "_scope"):
            return 0.5 * (z * z + (_apply("exp", target) - target)) - 0.5
        return super().__call__(z, target, reduction)

    def _build(self, y: Any, t: Any) -> Any:
        return float(math.prod(y.shape)) * self(y, t)


@dataclass(frozen=True)
class Mean(OfOps):
    """z itself, the mean over a sample's outputs; without targets.

    What a critic says (Arjovsky et al. 2017), an energy, anything that a network computes. Where it
    is to be made large its weight is negative: ``loss_weights={"critic": -1.0}``.
    """

    name: ClassVar[str] = "mean"
    targeted: ClassVar[bool] = False

    def rows(self, z: ArrayLike, target: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the mean of each sample's outputs z (N, ...)."""
        return mean_rows(vector(z))

    def __call__(
        self, z: ArrayLike, target: ArrayLike | None = None, reduction: str = "mean"
    ) -> float:
        """Return the mean, or the sum, of `rows` over the samples."""
        return super().__call__(z, z, reduction)

    def _build(self, y: Any, target: Any) -> Any:
        """Return the tensor whose mean over a sample is its loss."""
        return y


@dataclass(frozen=True)
class Custom(OfOps):
    """A loss of your own, written with `steep.ops` on the prediction and the target.

    ``Custom(lambda y, t: (y - t) * (y - t))`` is the squared error. The function runs once, while
    the network is compiled; training then costs what its ops cost. The mean over the elements of
    the tensor it returns is the loss of a sample.

    Parameters
    ----------
    function
        Of the output and the target, symbolic tensors; of the output alone where the loss has no
        targets.
    target
        Shape of a target without the batch axis; None: that of the output.
    label
        Its name in histories and checkpoints; None: that of the function. To load a checkpoint give
        the function again: ``Trainer.load(path, custom_objects={label: function})``.

    Raises
    ------
    TypeError
        If `function` is no function of one or two arguments.
    """

    function: Callable[..., Any]
    target: tuple[int, ...] | int | None = None
    label: str | None = None

    name: ClassVar[str] = "custom"

    def __post_init__(self) -> None:
        """Check the function, and take its name."""
        super().__post_init__()
        if not callable(self.function):
            raise TypeError(f"Custom: expects a function of tensors, got {self.function!r}")
        found = getattr(self.function, "__name__", type(self.function).__name__)
        settle(self, label=self.label or ("custom" if found == "<lambda>" else found))
        if self.target is not None:
            shape = self.target if isinstance(self.target, (tuple, list)) else (self.target,)
            settle(self, target=tuple(whole("Custom", "target", n) for n in shape))
        self._arguments()

    @property
    def targeted(self) -> bool:  # type: ignore[override]
        """Whether the function takes a target."""
        return self._arguments() == 2

    def _arguments(self) -> int:
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):
            return 2
        positional = [
            p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        needed = sum(p.default is p.empty for p in positional)
        if any(p.kind is p.VAR_POSITIONAL for p in parameters):
            return 2
        if needed > 2 or not positional:
            raise TypeError(
                f"Custom: expects a function of an output and a target, {self.label} takes "
                f"{needed} arguments"
            )
        return max(1, needed)

    def _build(self, y: Any, target: Any) -> Any:
        """Return the tensor whose mean over a sample is its loss."""
        return self.function(y, target) if self.targeted else self.function(y)

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Refuse: a function of symbolic tensors computes no numbers."""
        raise NotImplementedError(
            f"{self.label}: is made of symbolic tensors; Trainer.evaluate gives its numbers"
        )

    def get_config(self) -> dict[str, Any]:
        """Return its name and the shape of targets; the function itself cannot be saved."""
        shape = None if self.target is None else list(self.target)  # type: ignore[arg-type]
        return {"loss": self.name, "label": self.label, "target": shape}


def _sum(x: Any) -> Any:
    """Return the sum over a sample's elements, (1,)."""
    return x._scope.emit("sum", (_flat(x),), {"axis": 0, "axes": 1, "scale": 1.0})


def _flat(x: Any) -> Any:
    if len(x.shape) == 1:
        return x
    return x._scope.emit("reshape", (x,), {"shape": (math.prod(x.shape),)})


# Of ops, no native losses.
COMPOSED: dict[str, type[Loss]] = {
    kind.name: kind
    for kind in (
        Mean, Hinge, SquaredHinge, Poisson, KLDivergence, CosineSimilarity, Dice, Focal, KLNormal,
    )
}  # fmt: skip
