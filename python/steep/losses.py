"""The losses: small descriptions with their formulas; the training arithmetic is native.

Called on arrays they compute the same in float64 NumPy, for teaching and for checks.
"""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks.described import Described, described, settle
from .checks.names import choose
from .checks.numbers import (
    CLOSED_FRACTION,
    FRACTION,
    LARGEST,
    NOT_NEGATIVE,
    POSITIVE,
    Range,
    Ranges,
    number,
    whole,
)

Array: TypeAlias = NDArray[Any]

__all__ = [
    "BinaryCrossEntropy",
    "CosineSimilarity",
    "CrossEntropy",
    "Custom",
    "Dice",
    "Focal",
    "Hinge",
    "Huber",
    "KLDivergence",
    "KLNormal",
    "LogCosh",
    "Loss",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Poisson",
    "SquaredHinge",
    "from_config",
    "get",
]


@dataclass(frozen=True)
class Loss(Described, ABC):
    """What training makes small: a number for each sample, from the network's output z."""

    name: ClassVar[str]  # of the native loss
    classification: ClassVar[bool] = False  # whether the targets are classes
    targeted: ClassVar[bool] = True  # whether there are targets
    by_position: ClassVar[bool] = False  # whether it takes the last axis, position by position
    allowed: ClassVar[Range | None] = None  # where they must be
    kind: ClassVar[str] = "loss"

    @property
    def option(self) -> float:
        """The native loss's one number: Huber's delta, the label smoothing, or 0."""
        return next((float(getattr(self, name)) for name in self.ranges), 0.0)

    @property
    def _ignored(self) -> int | None:
        """The label of samples or positions that do not count; None where all do."""
        return None

    @abstractmethod
    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample.

        Parameters
        ----------
        z : (N, ...)
            Outputs of the network.
        target : (N, ...)
            What they should be.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """

    def __call__(self, z: ArrayLike, target: ArrayLike, reduction: str = "mean") -> float:
        """Return the mean, or the sum, of `rows` over the samples."""
        reduce: Callable[[Any], Any] = choose("reduction", reduction, REDUCTIONS)
        return float(reduce(self.rows(z, target)))

    def _number(self, name: str, value: object, allowed: Range) -> float:
        return number(type(self).__name__, name, value, allowed, single=True)

    def _name(self) -> str:
        return self.name


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """(z - y)^2, the mean over a sample's outputs."""

    name: ClassVar[str] = "mse"

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the squared error of each sample, z and target of one shape (N, ...)."""
        return _mean_rows(_error(z, target) ** 2)


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """|z - y|, the mean over a sample's outputs; its derivative at 0 is taken as 0."""

    name: ClassVar[str] = "mae"

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the absolute error of each sample, z and target of one shape (N, ...)."""
        return _mean_rows(np.abs(_error(z, target)))


@dataclass(frozen=True)
class Huber(Loss):
    """e^2/2 where |e| <= delta, else delta*(|e| - delta/2), e = z - y (Huber 1964).

    The mean over a sample's outputs.

    Parameters
    ----------
    delta
        Where the parabola becomes a line, > 0.
    """

    delta: float = 1.0

    name: ClassVar[str] = "huber"
    ranges: ClassVar[Ranges] = {"delta": POSITIVE}

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        size = np.abs(_error(z, target))
        line = self.delta * (size - 0.5 * self.delta)
        return _mean_rows(np.where(size <= self.delta, 0.5 * size**2, line))


@dataclass(frozen=True)
class LogCosh(Loss):
    """log(cosh(e)), e = z - y, the mean over a sample's outputs.

    Near e^2/2 for small errors, |e| - log 2 for large ones; its derivative is tanh(e).
    """

    name: ClassVar[str] = "log_cosh"

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        size = np.abs(_error(z, target))
        near = np.log1p(2.0 * np.sinh(0.5 * np.minimum(size, 1.0)) ** 2)  # cosh(e) - 1 = 2 sinh^2
        far = size - np.log(2.0) + np.log1p(np.exp(-2.0 * size))
        return _mean_rows(np.where(size < 1.0, near, far))


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """-sum_c y_c log softmax(z)_c, from logits z.

    Of outputs (..., classes), such as those of each pixel or step of time, every position has its
    own; the mean is over all positions of the batch that count.

    Parameters
    ----------
    label_smoothing
        s in [0, 1): the target becomes (1-s)*y + s/classes (Szegedy 2016).
    ignore
        A label of samples or positions that do not count, such as -1 or 255; None: all do.
    class_weight
        A factor for each class, of at least 0, as ``fit(class_weight=...)`` takes them; None for
        ones. With ``reduction="weighted_mean"`` of the trainer the mean is PyTorch's.
    """

    label_smoothing: float = 0.0
    ignore: int | None = None
    class_weight: tuple[float, ...] | None = None

    name: ClassVar[str] = "cross_entropy"
    classification: ClassVar[bool] = True
    by_position: ClassVar[bool] = True
    ranges: ClassVar[Ranges] = {"label_smoothing": FRACTION}

    def __post_init__(self) -> None:
        """Check the label that does not count, and the weights."""
        super().__post_init__()
        if self.ignore is not None:
            settle(self, ignore=whole("CrossEntropy", "ignore", self.ignore, low=-LARGEST))
        if self.class_weight is not None:
            given = self.class_weight
            if not isinstance(given, (tuple, list, np.ndarray)) or len(given) < 2:
                raise TypeError(
                    f"CrossEntropy: class_weight expects a number for each class, got {given!r}"
                )
            each = tuple(self._number("class_weight", x, NOT_NEGATIVE) for x in given)
            settle(self, class_weight=each)

    @property
    def _ignored(self) -> int | None:
        """The label of samples or positions that do not count; None where all do."""
        return self.ignore

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, or position.

        Parameters
        ----------
        z : (N, ..., classes)
            Logits.
        target : (N, ...) integers or (N, ..., classes)
            The class of each sample or position, or the probability of each class.

        Returns
        -------
        losses : (N, ...)
            0 where a label is ignored; class weights are in it.

        Raises
        ------
        ValueError
            If the shapes do not fit or a label is no class.
        """
        logits = np.asarray(z, dtype=np.float64)
        if logits.ndim < 2:
            raise ValueError(f"CrossEntropy: z must be (N, classes), got shape {logits.shape}")
        probabilities, weights = self._targets(logits, np.asarray(target))
        smooth = self.label_smoothing
        probabilities = (1.0 - smooth) * probabilities + smooth / logits.shape[-1]
        shifted = logits - logits.max(axis=-1, keepdims=True)
        others = np.exp(shifted)  # all but the largest, which is 1: the sum may be tiny beside it
        np.put_along_axis(others, shifted.argmax(axis=-1, keepdims=True), 0.0, axis=-1)
        log_p = shifted - np.log1p(others.sum(axis=-1, keepdims=True))
        values = -(probabilities * log_p).sum(axis=-1)
        return _vector(values if weights is None else np.where(weights > 0, values * weights, 0.0))

    def __call__(self, z: ArrayLike, target: ArrayLike, reduction: str = "mean") -> float:
        """Return the mean of `rows` over what counts, or the sum."""
        if self.ignore is None or choose("reduction", reduction, REDUCTIONS) is np.sum:
            return super().__call__(z, target, reduction)
        counts = np.count_nonzero(np.asarray(target) != self.ignore)
        return float(self.rows(z, target).sum() / counts) if counts else 0.0

    def _targets(self, logits: Array, given: Array) -> tuple[Array, Array | None]:
        """Return probabilities, and the weight of each position where there are such."""
        classes = logits.shape[-1]
        if given.shape != logits.shape[:-1] or given.dtype.kind not in "iu":
            return _pair(logits, given)[1], None
        counts = np.ones(given.shape, bool) if self.ignore is None else given != self.ignore
        labels = given[counts]
        if labels.size and not (labels.min() >= 0 and labels.max() < classes):
            raise ValueError(
                f"CrossEntropy: labels must be 0..{classes - 1}, got {labels.min()}..{labels.max()}"
            )
        known = np.where(counts, given, 0)
        if self.ignore is None and self.class_weight is None:
            return np.eye(classes)[known], None
        each = np.ones(classes) if self.class_weight is None else np.asarray(self.class_weight)
        return np.eye(classes)[known], np.where(counts, each[known], 0.0)


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """-y log p - (1-y) log(1-p), p = sigmoid(z), from logits z; the mean over a sample's outputs.

    Targets are 0, 1 or probabilities between. Computed as max(z,0) - z*y + log(1+e^-|z|), the
    first two in one term: z*(1-y) or -z*y.
    """

    name: ClassVar[str] = "binary_cross_entropy"
    classification: ClassVar[bool] = True

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        logits, y = _pair(z, target)
        away = np.where(logits > 0.0, logits * (1.0 - y), -logits * y)
        return _mean_rows(away + np.log1p(np.exp(-np.abs(logits))))


@dataclass(frozen=True)
class OfOps(Loss):
    """A loss that is made of ops on the output and its targets, compiled like a layer."""

    @abstractmethod
    def _build(self, y: Any, t: Any) -> Any:
        """Return the tensor whose mean over a sample is its loss."""


@dataclass(frozen=True)
class Hinge(OfOps):
    """max(0, 1 - s*z), s the class as -1 or 1, the mean over a sample's outputs.

    Targets are 0 and 1, or -1 and 1 (Cortes & Vapnik 1995).
    """

    name: ClassVar[str] = "hinge"
    allowed: ClassVar[Range | None] = Range(-1.0, 1.0, high_open=False)

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = _pair(z, target)
        return _mean_rows(np.maximum(0.0, 1.0 - np.clip(4.0 * t - 1.0, -1.0, 1.0) * output))

    def _build(self, y: Any, t: Any) -> Any:
        side = _apply("hard_tanh", 4.0 * t - 1.0)
        return _apply("relu", 1.0 - side * y)


@dataclass(frozen=True)
class SquaredHinge(OfOps):
    """max(0, 1 - s*z)^2, s the class as -1 or 1, the mean over a sample's outputs.

    Targets are 0 and 1, or -1 and 1.
    """

    name: ClassVar[str] = "squared_hinge"
    allowed: ClassVar[Range | None] = Hinge.allowed

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = _pair(z, target)
        return _mean_rows(np.maximum(0.0, 1.0 - np.clip(4.0 * t - 1.0, -1.0, 1.0) * output) ** 2)

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
        output, t = _pair(z, target)
        if self.log_input:
            return _mean_rows(np.exp(output) - t * output)
        return _mean_rows(output - t * np.log(output + 1e-8))

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
        output, t = _pair(z, target)
        values = t * (np.log(np.where(t > 0.0, t, 1.0)) - output)
        return _vector(values.reshape(len(values), -1).sum(axis=1))

    def _build(self, y: Any, t: Any) -> Any:
        # 1e-30 is lost beside every target but 0, whose logarithm it makes finite.
        return float(math.prod(y.shape)) * (t * (_apply("log", t + 1e-30) - y))


@dataclass(frozen=True)
class CosineSimilarity(OfOps):
    """1 - z.y/(|z| |y|), of all outputs of a sample."""

    name: ClassVar[str] = "cosine_similarity"

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = (a.reshape(len(a), -1) for a in _pair(z, target))
        lengths = np.sqrt(((output**2).sum(axis=1) + 1e-16) * ((t**2).sum(axis=1) + 1e-16))
        return _vector(1.0 - (output * t).sum(axis=1) / lengths)

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
    ranges: ClassVar[Ranges] = {"smooth": POSITIVE}
    allowed: ClassVar[Range | None] = CLOSED_FRACTION

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        output, t = (a.reshape(len(a), -1) for a in _pair(z, target))
        p = 1.0 / (1.0 + np.exp(-output))
        over = p.sum(axis=1) + t.sum(axis=1) + self.smooth
        return _vector(1.0 - (2.0 * (p * t).sum(axis=1) + self.smooth) / over)

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
        output, t = _pair(z, target)
        one, nought = np.logaddexp(0.0, -output), np.logaddexp(0.0, output)
        a, b = self._sides
        values = a * t * np.exp(-self.gamma * nought) * one
        return _mean_rows(values + b * (1.0 - t) * np.exp(-self.gamma * one) * nought)

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
        mean, v = _pair(z, target)
        values = 0.5 * (mean**2 + np.exp(v) - v - 1.0)
        return _vector(values.reshape(len(values), -1).sum(axis=1))

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
        return _mean_rows(_vector(z))

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


REDUCTIONS: dict[str, Callable[[Any], Any]] = {"mean": np.mean, "sum": np.sum}

TABLE: dict[str, type[Loss]] = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
}
# Of ops, no native losses.
COMPOSED: dict[str, type[Loss]] = {
    kind.name: kind
    for kind in (
        Mean, Hinge, SquaredHinge, Poisson, KLDivergence, CosineSimilarity, Dice, Focal, KLNormal,
    )
}  # fmt: skip


def get(loss: object) -> Loss:
    """Return a loss from its name (``"cross_entropy"``), its class, or the given one.

    Raises
    ------
    ValueError
        If the name is not known; names the nearest one.
    TypeError
        If it is none of these.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        return loss()
    if inspect.isroutine(loss):
        return Custom(loss)
    if not isinstance(loss, str):
        raise TypeError(f"loss: expects a name or one of steep.losses, got {loss!r}")
    return choose("loss", loss, TABLE | COMPOSED)()


def from_config(
    config: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None
) -> Loss:
    """Return the loss that `Loss.get_config` described; `functions` are those of `Custom` by name.

    Raises
    ------
    ValueError
        If it names no known loss or its arguments do not fit, or a function is missing.
    """
    if config.get("loss") != Custom.name:
        return described("loss", TABLE | COMPOSED, config)
    label, target = str(config["label"]), config["target"]
    if functions is None or label not in functions:
        raise ValueError(
            f"its loss {label!r} is a function, which no file holds: pass "
            f"custom_objects={{{label!r}: function}}"
        )
    return Custom(functions[label], None if target is None else tuple(target), label)


def _pair(z: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as float64 of one shape; targets (N,) also fit outputs (N, 1)."""
    output, wanted = _vector(z), _vector(target)
    if output.shape == (*wanted.shape, 1):
        wanted = wanted.reshape(output.shape)
    if output.shape != wanted.shape or output.ndim == 0:
        raise ValueError(f"loss: outputs have shape {output.shape}, targets {wanted.shape}")
    return output, wanted


def _error(z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    output, wanted = _pair(z, target)
    return _vector(output - wanted)


def _mean_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the outputs of each sample, (N, ...) -> (N,)."""
    return _vector(values.reshape(values.shape[0], -1).mean(axis=1))


def _vector(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _apply(kind: str, x: Any) -> Any:
    """Return an activation of a symbolic tensor; this room knows tensors by what they can do."""
    return x._scope.emit("activation", (x,), {"kind": kind, "alpha": 0.0})


def _sum(x: Any) -> Any:
    """Return the sum over a sample's elements, (1,)."""
    return x._scope.emit("sum", (_flat(x),), {"axis": 0, "axes": 1, "scale": 1.0})


def _flat(x: Any) -> Any:
    if len(x.shape) == 1:
        return x
    return x._scope.emit("reshape", (x,), {"shape": (math.prod(x.shape),)})
