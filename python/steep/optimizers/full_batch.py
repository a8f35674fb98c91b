"""Methods for full batches: a step is an iteration on all samples, along a line that is searched.

They are for small networks and small data; their algorithms are native, in `minimize/` of the core.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from ..checks.described import settle
from ..checks.numbers import NOT_NEGATIVE, POSITIVE, Range, Ranges, whole
from ..schedules.base import Number
from .base import Optimizer
from .clock import Clock, Value

__all__ = [
    "LBFGS",
]

_WOLFE = Range(0.0, 1.0, low_open=True)


@dataclass(frozen=True, repr=False)
class FullBatch(Optimizer):
    """A method that takes one iteration on all samples for a step, and an epoch.

    ``fit`` ends where nothing is left to gain. The objective is smooth: the penalty l2 is part of
    it; l1 and clipping are refused.

    Parameters
    ----------
    tol
        Settled where no element of the gradient is larger.
    change
        Settled after an iteration that lowered the objective f by no more than change*max(|f|, 1).
    """

    tol: Number = field(default=1e-5, kw_only=True)
    change: Number = field(default=2.220446049250313e-09, kw_only=True)

    ranges: ClassVar[Ranges] = {"tol": NOT_NEGATIVE, "change": NOT_NEGATIVE}
    full_batch = True

    def __post_init__(self) -> None:
        """Check the numbers; refuse a decay beside the step, which no line has."""
        super().__post_init__()
        if self.weight_decay != 0.0:
            raise ValueError(
                f"{type(self).__name__}: weight_decay={self.weight_decay!r} is not part of an "
                "objective; take the penalty l2 of the Trainer"
            )

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock) | {"sign": self._sign}
        if "lr" in self.ranges:
            columns["lr"] = self._at("lr", clock)  # never negative: the objective is turned over
        return columns


@dataclass(frozen=True, repr=False)
class Searching(FullBatch):
    """A method that searches each line for a step that fulfils Wolfe's strong conditions.

    The search is by More and Thuente (1994): f(w + a*d) <= f(w) + c1*a*g.d, |g(w + a*d).d| <=
    c2*|g.d|.

    Parameters
    ----------
    lr
        The step a that is tried first, > 0.
    c1, c2
        Of the conditions, in (0, 1), c1 < c2.
    """

    lr: Number = 1.0
    c1: Number = field(default=1e-3, kw_only=True)
    c2: Number = field(default=0.9, kw_only=True)

    ranges: ClassVar[Ranges] = {"lr": POSITIVE, "c1": _WOLFE, "c2": _WOLFE}

    def __post_init__(self) -> None:
        """Check the numbers, and that a step can fulfil both conditions."""
        super().__post_init__()
        if isinstance(self.c1, float) and isinstance(self.c2, float) and self.c1 >= self.c2:
            raise ValueError(
                f"{type(self).__name__}: c1 must be less than c2, got {self.c1} and {self.c2}"
            )


@dataclass(frozen=True, repr=False)
class LBFGS(Searching):
    """w = w - a*H g, H from the last pairs of steps and changes of g (Liu & Nocedal 1989).

    For k from the last pair to the first, then back: two loops over s = w - w_before,
    y = g - g_before (Nocedal 1980); between them g is multiplied by s.y / y.y of the last pair.

    Parameters
    ----------
    lr
        The step a that is tried first, > 0; of the very first direction, lr / |g|.
    history
        How many pairs are kept, at least 1.
    """

    history: int = 10

    rule = "lbfgs"

    @property
    def _kept(self) -> int:
        return self.history

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        settle(self, history=whole("LBFGS", "history", self.history))
