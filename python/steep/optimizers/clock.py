"""The steps of a knob table, and the values of hyper-parameters at them. No optimizer is here."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .. import schedules
from ..schedules.base import Schedule, Times

Value: TypeAlias = float | Times  # of a hyper-parameter: a float where all steps share it


@dataclass(frozen=True)
class Clock:
    """The steps of one knob table: updates done before each, and the epoch each belongs to."""

    steps: Times
    epochs: Times | None
    epochs_next: Times | None = None

    def next(self) -> "Clock":
        """Return the same steps, one later."""
        return Clock(self.steps + 1.0, self.epochs_next)

    def evaluate(self, value: float | Schedule) -> Value:
        """Return a hyper-parameter at these steps."""
        if self.epochs is None:
            if isinstance(value, Schedule) and value.unit == "epoch":
                raise ValueError(
                    "knobs: a look-ahead rule with a schedule by epoch needs epochs_next"
                )
            return schedules.base.evaluate(value, self.steps, self.steps)
        return schedules.base.evaluate(value, self.steps, self.epochs)

    def count(self, bias_time: str) -> Times:
        """Return Adam's t, counted from 1, in steps or in epochs."""
        if bias_time == "step" or self.epochs is None:
            return self.steps + 1.0
        return np.floor(self.epochs) + 1.0


def times(values: ArrayLike) -> Times:
    """Return step or epoch numbers as a contiguous float64 vector."""
    times = np.asarray(values, dtype=np.float64)
    if times.ndim != 1:
        raise ValueError(f"knobs: steps and epochs must be vectors, got shape {times.shape}")
    return np.ascontiguousarray(times)
