"""What every loss is, and the float64 arithmetic that their formulas share. No loss lives here."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks.described import Described
from ..checks.names import choose
from ..checks.numbers import (
    Range,
    number,
)

REDUCTIONS: dict[str, Callable[[Any], Any]] = {"mean": np.mean, "sum": np.sum}


@dataclass(frozen=True)
class Loss(Described, ABC):
    """What training makes small: a number for each sample, from the network's output z."""

    name: ClassVar[str]  # of the native loss
    classification: ClassVar[bool] = False  # whether the targets are classes
    targeted: ClassVar[bool] = True  # whether there are targets
    judged: ClassVar[bool] = False  # whether outputs above 0 say that the target is above a half
    by_position: ClassVar[bool] = False  # whether it takes the last axis, position by position
    allowed: ClassVar[Range | None] = None  # where they must be
    kind: ClassVar[str] = "loss"

    @property
    def option(self) -> float:
        """The native loss's one number: Huber's delta, the label smoothing, or 0."""
        return next((float(getattr(self, name)) for name in self.ranges), 0.0)

    @property
    def _of_ops(self) -> bool:
        """Whether it is made of ops, by `_build`, in place of a kernel of its name."""
        return False

    def _build(self, y: Any, t: Any) -> Any:
        """Return the tensor whose mean over a sample is its loss."""
        raise NotImplementedError

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


def applied(kind: str, x: Any) -> Any:
    """Return an activation of a symbolic tensor; this room knows tensors by what they can do."""
    return x._scope.emit("activation", (x,), {"kind": kind, "alpha": 0.0})


def pair_of(z: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as float64 of one shape; targets (N,) also fit outputs (N, 1)."""
    output, wanted = vector(z), vector(target)
    if output.shape == (*wanted.shape, 1):
        wanted = wanted.reshape(output.shape)
    if output.shape != wanted.shape or output.ndim == 0:
        raise ValueError(f"loss: outputs have shape {output.shape}, targets {wanted.shape}")
    return output, wanted


def error_of(z: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Return z - target, as `pair_of` has them."""
    output, wanted = pair_of(z, target)
    return vector(output - wanted)


def mean_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the outputs of each sample, (N, ...) -> (N,)."""
    return vector(values.reshape(values.shape[0], -1).mean(axis=1))


def vector(values: Any) -> NDArray[np.float64]:
    """Return an array of float64."""
    return np.asarray(values, dtype=np.float64)
