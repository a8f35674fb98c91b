"""Averages that follow the weights while they are trained: EMA, SWA, Lookahead. No arithmetic."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from . import schedules
from .checks.described import Described, described, settle
from .checks.names import choose
from .checks.numbers import FRACTION, Range, Ranges, number, whole
from .schedules.base import Number, Schedule, Times

__all__ = ["EMA", "SWA", "Average", "Lookahead", "from_config", "get"]

_UNITS = {"step": "step", "epoch": "epoch"}


class Rates(NamedTuple):
    """What an average does at some steps, one value each."""

    start: Times  # 1: before the step it is set to the weights
    rate: Times  # the part of the way to the weights that it goes after the step
    pull: Times  # 1: the weights are set to it then


@dataclass(frozen=True)
class Average(Described, ABC):
    """An average of the weights, kept beside them; a description, without state.

    It is moved every so many steps or epochs, after their last update.

    Parameters
    ----------
    every
        Steps, or epochs, from one move to the next, >= 1.
    start
        Steps, or epochs, before the first one counts, >= 0.
    unit
        What `every` and `start` count: ``"step"`` or ``"epoch"``.
    """

    every: int = field(default=1, kw_only=True)
    start: int = field(default=0, kw_only=True)
    unit: str = field(default="step", kw_only=True)

    kind: ClassVar[str] = "average"

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        where = type(self).__name__
        settle(self, every=whole(where, "every", self.every))
        settle(self, start=whole(where, "start", self.start, 0))
        settle(self, unit=choose(f"{where} unit", self.unit, _UNITS))

    def rates(self, steps: Times, epochs: Times, epochs_next: Times) -> Rates:
        """Return what is done at some steps, a pure function of their numbers.

        Parameters
        ----------
        steps, epochs : (n,)
            Updates done before each step, and its epoch.
        epochs_next : (n,)
            The epoch of the step after each: another one where an epoch ends.
        """
        if self.unit == "step":
            done, ends = steps + 1.0, np.full(steps.shape, True)
        else:
            done, ends = np.floor(epochs) + 1.0, np.floor(epochs_next) > np.floor(epochs)
        before = np.floor((done - self.start) / self.every)  # moves, this one included
        due = ends & (done > self.start) & ((done - self.start) % self.every == 0)
        moves = np.where(due, before - 1.0, 0.0)
        rate = np.where(due, self._rate(moves, steps, epochs), 0.0)
        return Rates(self._first(steps), rate, self._pulls(due))

    def begun(self, steps: int, epochs: int) -> bool:
        """Say whether there is an average after so many steps and epochs."""
        done = steps if self.unit == "step" else epochs
        return done >= self.start + self.every

    @abstractmethod
    def _rate(self, moves: Times, steps: Times, epochs: Times) -> Times:
        """Return the part of the way of a move, after `moves` others."""

    def _first(self, steps: Times) -> Times:
        return np.zeros(steps.shape)

    def _pulls(self, due: Any) -> Times:
        return np.zeros(due.shape)


@dataclass(frozen=True)
class EMA(Average):
    """An exponential moving average: a = decay*a + (1-decay)*w (Polyak; Tarvainen & Valpola 2017).

    The first move sets a = w, as in ``torch.optim.swa_utils``; ``like="keras"`` begins with the
    weights before the first update.

    Parameters
    ----------
    decay
        Part that is kept, in [0, 1): a number or a schedule.
    warmup
        At most (1 + t)/(10 + t) is kept at move t, so that the first weights are soon forgotten.
    like
        ``"torch"`` or ``"keras"``.
    """

    decay: Number = 0.999
    warmup: bool = field(default=False, kw_only=True)
    like: str | None = field(default=None, kw_only=True)

    ranges: ClassVar[Ranges] = {"decay": FRACTION}
    flags: ClassVar[tuple[str, ...]] = ("warmup",)

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        if self.like is not None:
            likes = {"torch": "torch", "keras": "keras"}
            settle(self, like=choose("EMA like", self.like, likes))
        if self.like == "keras" and self.start:
            raise ValueError('EMA: like="keras" begins with the first weights; leave out start')

    def _number(self, name: str, value: object, allowed: Range) -> float | Schedule:
        return schedules.base.of("EMA", name, value, allowed)

    def _rate(self, moves: Times, steps: Times, epochs: Times) -> Times:
        assert isinstance(self.decay, (float, Schedule))
        kept = np.broadcast_to(schedules.base.evaluate(self.decay, steps, epochs), moves.shape)
        if ((kept < 0) | (kept >= 1)).any():
            raise ValueError(f"EMA: decay must be in [0, 1), its schedule gives {kept.max():g}")
        if self.warmup:
            kept = np.minimum(kept, (1.0 + moves) / (10.0 + moves))
        first = (moves == 0) & (self.like != "keras")
        rate: Times = np.where(first, 1.0, 1.0 - kept)
        return rate

    def _first(self, steps: Times) -> Times:
        return np.where(steps == 0, float(self.like == "keras"), 0.0)


@dataclass(frozen=True)
class SWA(Average):
    """Stochastic weight averaging: the mean of the weights of all moves (Izmailov et al. 2018).

    ``SWA(start=15, unit="epoch")`` is the mean of the weights at the end of epochs 16, 17, ...; the
    rate should be high and constant, or cyclic, by then. Statistics of batch normalisation
    are those of the network that is trained.
    """

    def _rate(self, moves: Times, steps: Times, epochs: Times) -> Times:
        rate: Times = 1.0 / (moves + 1.0)
        return rate


@dataclass(frozen=True)
class Lookahead(Average):
    """Slow weights a that fast ones lead and come back to (Zhang et al. 2019).

    Every k steps a = a + pull*(w - a), w = a; a are the weights before the first step at first.

    Parameters
    ----------
    pull
        The part of the way, in (0, 1]: alpha in the paper.
    every
        Steps of the fast weights between, k in the paper.
    """

    pull: float = 0.5
    every: int = field(default=5, kw_only=True)

    def __post_init__(self) -> None:
        """Check the numbers; it begins with the first step."""
        super().__post_init__()
        settle(self, pull=number("Lookahead", "pull", self.pull, _SHARE))
        if self.start:
            raise ValueError("Lookahead: begins with the first step; leave out start")

    def _rate(self, moves: Times, steps: Times, epochs: Times) -> Times:
        return np.full(moves.shape, self.pull)

    def _first(self, steps: Times) -> Times:
        return np.where(steps == 0, 1.0, 0.0)

    def _pulls(self, due: Any) -> Times:
        return np.where(due, 1.0, 0.0)


_SHARE = Range(0.0, 1.0, low_open=True, high_open=False)
TABLE: dict[str, type[Average]] = {"EMA": EMA, "SWA": SWA, "Lookahead": Lookahead}


def get(average: object) -> Average | None:
    """Return an average from its name (``"ema"``), or the given one; None stands for none.

    Raises
    ------
    TypeError, ValueError
        If it is none of these.
    """
    if average is None or isinstance(average, Average):
        return average
    if isinstance(average, str):
        return choose("average", average, {name.lower(): made for name, made in TABLE.items()})()
    raise TypeError(f"average: expects one of steep.averages or its name, got {average!r}")


def from_config(config: Mapping[str, Any] | None) -> Average | None:
    """Return the average that `get_config` described."""
    return None if config is None else described("average", TABLE, config, schedules.from_config)
