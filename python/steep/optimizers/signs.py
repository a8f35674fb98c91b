"""Steps that take the sign of the gradient, not its size: Lion, Signum, Rprop."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..checks.numbers import FRACTION, NOT_NEGATIVE, POSITIVE, Range, Ranges
from ..schedules.base import Number
from .base import Optimizer
from .clock import Clock, Value

__all__ = [
    "Lion",
    "Rprop",
    "Signum",
]


@dataclass(frozen=True, repr=False)
class Lion(Optimizer):
    """The sign of a mean of g and its running mean (Chen et al. 2023).

        c = beta1*m + (1-beta1)*g
        w = w - lr*sign(c)
        m = beta2*m + (1-beta2)*g

    Parameters
    ----------
    lr
        Learning rate, >= 0: the size of every step.
    beta1, beta2
        Parts of m that are kept in c and in m, in [0, 1).
    """

    lr: Number = 1e-4
    beta1: Number = 0.9
    beta2: Number = 0.99

    rule = "lion"
    ranges: ClassVar[Ranges] = {
        "lr": NOT_NEGATIVE,
        "beta1": FRACTION,
        "beta2": FRACTION,
    }


@dataclass(frozen=True, repr=False)
class Signum(Optimizer):
    """m = beta*m + (1-beta)*g, w = w - lr*sign(m) (Bernstein et al. 2018).

    ``beta=0`` is SignSGD: the sign of the gradient itself.

    Parameters
    ----------
    lr
        Learning rate, >= 0: the size of every step.
    beta
        Part of the running mean that is kept, in [0, 1).
    """

    lr: Number = 1e-3
    beta: Number = 0.9

    rule = "signum"
    ranges: ClassVar[Ranges] = {"lr": NOT_NEGATIVE, "beta": FRACTION}


@dataclass(frozen=True, repr=False)
class Rprop(Optimizer):
    """A step size of its own for every weight, by the signs of its gradients; for whole batches.

        turn = sign(g)*sign(g_before)
        eta = min(eta*eta_plus, step_max) where turn > 0, max(eta*eta_minus, step_min) where < 0
        g = 0 where turn < 0
        w = w - eta*sign(g)

    (Riedmiller & Braun 1993, without going back where the sign turned: Igel & Hüsken 2000.) eta is
    lr at first. ``like="optax"`` does at each step what was due at the one before, if the sign has
    not turned since, and nothing at the first.

    Parameters
    ----------
    lr
        The first step size, >= 0; of a schedule, what it gives at step 0. It is brought within the
        two limits, but for Optax's form.
    eta_minus, eta_plus
        Factors of the step size, in (0, 1) and above 1.
    step_min, step_max
        Its limits, > 0.

    Raises
    ------
    ValueError
        If `step_min` is above `step_max`.
    """

    lr: Number = 0.01
    eta_minus: Number = 0.5
    eta_plus: Number = 1.2
    step_min: Number = 1e-6
    step_max: Number = 50.0

    rule = "rprop"
    ranges: ClassVar[Ranges] = {
        "lr": NOT_NEGATIVE,
        "eta_minus": Range(0.0, 1.0, low_open=True),
        "eta_plus": Range(1.0, math.inf, low_open=True),
        "step_min": POSITIVE,
        "step_max": POSITIVE,
    }

    def __post_init__(self) -> None:
        """Check the arguments, and that the limits leave room."""
        super().__post_init__()
        low, high = self.step_min, self.step_max
        if isinstance(low, float) and isinstance(high, float) and low > high:
            raise ValueError(f"Rprop: step_min must not be above step_max, got {low} and {high}")

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock)
        least, most = self._at("step_min", clock), self._at("step_max", clock)
        first = self.value("lr", 0)
        late = self.like == "optax"
        return columns | {
            "lr": first if late else np.clip(first, least, most),
            "least": least,
            "most": most,
            "now": 0.0 if late else self._sign,
            "late": self._sign if late else 0.0,
        }

    def _lines(self) -> list[str]:
        lines = super()._lines()
        if self.like == "optax":
            lines[-1] = "w = w - eta_before*sign(g_before) unless turn < 0"
        return lines
