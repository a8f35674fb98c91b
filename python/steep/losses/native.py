"""The losses that have kernels of their own, with their formulas in NumPy."""

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks.described import settle
from ..checks.names import choose
from ..checks.numbers import (
    FRACTION,
    LARGEST,
    NOT_NEGATIVE,
    POSITIVE,
    Ranges,
    whole,
)
from .base import REDUCTIONS, Loss, applied, error_of, mean_rows, pair_of, vector

Array: TypeAlias = NDArray[Any]

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanSquaredError",
]


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """(z - y)^2, the mean over a sample's outputs."""

    name: ClassVar[str] = "mse"

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the squared error of each sample, z and target of one shape (N, ...)."""
        return mean_rows(error_of(z, target) ** 2)


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """|z - y|, the mean over a sample's outputs; its derivative at 0 is taken as 0."""

    name: ClassVar[str] = "mae"

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the absolute error of each sample, z and target of one shape (N, ...)."""
        return mean_rows(np.abs(error_of(z, target)))


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
        size = np.abs(error_of(z, target))
        line = self.delta * (size - 0.5 * self.delta)
        return mean_rows(np.where(size <= self.delta, 0.5 * size**2, line))


@dataclass(frozen=True)
class LogCosh(Loss):
    """log(cosh(e)), e = z - y, the mean over a sample's outputs.

    Near e^2/2 for small errors, |e| - log 2 for large ones; its derivative is tanh(e).
    """

    name: ClassVar[str] = "log_cosh"

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        size = np.abs(error_of(z, target))
        near = np.log1p(2.0 * np.sinh(0.5 * np.minimum(size, 1.0)) ** 2)  # cosh(e) - 1 = 2 sinh^2
        far = size - np.log(2.0) + np.log1p(np.exp(-2.0 * size))
        return mean_rows(np.where(size < 1.0, near, far))


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
        return vector(values if weights is None else np.where(weights > 0, values * weights, 0.0))

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
            return pair_of(logits, given)[1], None
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

    Parameters
    ----------
    pos_weight
        What -y log p is multiplied by, so that rare ones count more: a number, or one for each
        place of the last axis, >= 0, as PyTorch has it; None: 1. It is made of ops then.
    """

    pos_weight: float | tuple[float, ...] | None = None

    name: ClassVar[str] = "binary_cross_entropy"
    classification: ClassVar[bool] = True
    judged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the weight, or the weights."""
        super().__post_init__()
        given: Any = self.pos_weight
        if isinstance(given, np.ndarray):
            given = given.tolist()
        if isinstance(given, (tuple, list)):
            if not given:
                raise ValueError("BinaryCrossEntropy: pos_weight is empty")
            settle(self, pos_weight=tuple(self._positive(x) for x in given))
        elif given is not None:
            settle(self, pos_weight=self._positive(given))

    def _positive(self, value: object) -> float:
        return float(self._number("pos_weight", value, NOT_NEGATIVE))

    @property
    def _of_ops(self) -> bool:
        """Whether there are weights, which the kernel does not have."""
        return self.pos_weight is not None

    def _build(self, y: Any, t: Any) -> Any:
        one, nought = t * applied("softplus", -y), (1.0 - t) * applied("softplus", y)
        if not isinstance(self.pos_weight, tuple):
            return self.pos_weight * one + nought
        if len(self.pos_weight) != y.shape[-1]:
            raise ValueError(
                f"BinaryCrossEntropy: pos_weight has {len(self.pos_weight)} numbers, the last "
                f"axis of the output {y.shape} has {y.shape[-1]}"
            )
        by = {"scales": [*self.pos_weight], "shifts": [0.0] * y.shape[-1]}
        return one._scope.emit("affine_channels", (one,), by) + nought

    def rows(self, z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample, z and target of one shape (N, ...)."""
        logits, y = pair_of(z, target)
        if self.pos_weight is not None:
            one, nought = y * np.logaddexp(0.0, -logits), (1.0 - y) * np.logaddexp(0.0, logits)
            return mean_rows(np.asarray(self.pos_weight) * one + nought)
        away = np.where(logits > 0.0, logits * (1.0 - y), -logits * y)
        return mean_rows(away + np.log1p(np.exp(-np.abs(logits))))


TABLE: dict[str, type[Loss]] = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
}
