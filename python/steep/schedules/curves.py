"""Schedules by formula, from a first value to a last one. What a schedule is: `base`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..checks.described import settle
from ..checks.numbers import ANY, NOT_NEGATIVE, POSITIVE, Range, Ranges, number
from .base import Schedule, Times, evaluate, of


@dataclass(frozen=True)
class Exponential(Schedule):
    """value(t) = start * exp(-rate*t). PyTorch's gamma is exp(-rate)."""

    start: float
    rate: float

    ranges: ClassVar[Ranges] = {"start": ANY, "rate": ANY}

    def at(self, t: Times) -> Times:
        """Return the decayed values."""
        return self.start * np.exp(-self.rate * t)


@dataclass(frozen=True)
class InversePower(Schedule):
    """value(t) = start * (beta*t + 1)^-alpha, what some lectures call polynomial decay."""

    start: float
    beta: float = 1.0
    alpha: float = 0.5

    ranges: ClassVar[Ranges] = {"start": ANY, "beta": NOT_NEGATIVE, "alpha": ANY}

    def at(self, t: Times) -> Times:
        """Return the decayed values."""
        return self.start * np.power(self.beta * t + 1.0, -self.alpha)


@dataclass(frozen=True)
class Polynomial(Schedule):
    """value(t) = end + (start - end) * (1 - min(t, over)/over)^power."""

    start: float
    end: float
    over: float
    power: float = 1.0

    ranges: ClassVar[Ranges] = {"start": ANY, "end": ANY, "over": POSITIVE, "power": POSITIVE}

    def at(self, t: Times) -> Times:
        """Return the values on the way from start to end."""
        left = 1.0 - np.minimum(t, self.over) / self.over
        return self.end + (self.start - self.end) * np.power(left, self.power)


@dataclass(frozen=True)
class Step(Schedule):
    """value(t) = start * factor^floor(t/every)."""

    start: float
    every: float
    factor: float = 0.1

    ranges: ClassVar[Ranges] = {"start": ANY, "every": POSITIVE, "factor": NOT_NEGATIVE}

    def at(self, t: Times) -> Times:
        """Return the values of the stairs."""
        return self.start * np.power(self.factor, np.floor(t / self.every))


@dataclass(frozen=True)
class Cosine(Schedule):
    """value(t) = end + (start - end) * (1 + cos(pi*min(t, over)/over))/2 (Loshchilov 2017)."""

    start: float
    over: float
    end: float = 0.0

    ranges: ClassVar[Ranges] = {"start": ANY, "over": POSITIVE, "end": ANY}

    def at(self, t: Times) -> Times:
        """Return the values of half a cosine wave."""
        return _cosine(self.start, self.end, np.minimum(t, self.over) / self.over)


@dataclass(frozen=True)
class Linear(Schedule):
    """value(t) = start + (end - start) * min(t, over)/over.

    ``SGD(momentum=Linear(0.5, 0.9, 10, unit="epoch"))`` is the momentum ramp of the lectures.
    """

    start: float
    end: float
    over: float

    ranges: ClassVar[Ranges] = {"start": ANY, "end": ANY, "over": POSITIVE}

    def at(self, t: Times) -> Times:
        """Return the values of the ramp; exactly start and end at its ends."""
        done = np.minimum(t, self.over) / self.over
        return self.start * (1.0 - done) + self.end * done


@dataclass(frozen=True)
class Warmup(Schedule):
    """value(t) = start + (then(0) - start)*t/over for t < over, then(t - over) from there on.

    Parameters
    ----------
    then
        A number, or the schedule that begins when the warm-up is over; it counts in its own unit,
        which must be this one's.
    over
        Length of the warm-up, in steps or epochs.
    start
        The value at t = 0.
    """

    then: "float | Schedule | Callable[[int], float]"
    over: float
    start: float = 0.0

    ranges: ClassVar[Ranges] = {"over": POSITIVE, "start": ANY}

    def __post_init__(self) -> None:
        """Take the unit of `then` where none is given."""
        then = of("Warmup", "then", self.then, ANY)
        if isinstance(then, Schedule) and then.unit != self.unit:
            if self.unit != "step":
                raise ValueError(f"Warmup: unit is {self.unit!r} but that of `then` {then.unit!r}")
            settle(self, unit=then.unit)
        settle(self, then=then)
        super().__post_init__()

    def at(self, t: Times) -> Times:
        """Return the ramp, then the schedule that follows it."""
        assert isinstance(self.then, (float, Schedule))
        after, zero = np.maximum(t - self.over, 0.0), np.zeros(1)
        values, first = (evaluate(self.then, when, when) for when in (after, zero))
        ramp = self.start + (first - self.start) * (t / self.over)
        return np.where(t < self.over, ramp, values)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Half a cosine up from start to peak, half a cosine down to end (Smith & Topin 2018).

    Parameters
    ----------
    peak
        The highest value.
    over
        Length of the cycle; from there on the value is `end`.
    rise
        Part of the cycle spent rising.
    start, end
        First and last value; peak/25 and start/1e4 where left out.
    """

    peak: float
    over: float
    rise: float = 0.3
    start: float | None = None
    end: float | None = None

    ranges: ClassVar[Ranges] = {
        **dict.fromkeys(("peak", "start", "end"), ANY),
        "over": POSITIVE,
        "rise": Range(0.0, 1.0, low_open=True),
    }

    def __post_init__(self) -> None:
        """Fill in the two ends."""
        if self.start is None:
            settle(self, start=number("OneCycle", "peak", self.peak, ANY) / 25.0)
        if self.end is None:
            settle(self, end=number("OneCycle", "start", self.start, ANY) / 1e4)
        super().__post_init__()

    def at(self, t: Times) -> Times:
        """Return the values of both halves."""
        assert self.start is not None
        assert self.end is not None
        top = self.rise * self.over
        up = _cosine(self.start, self.peak, np.minimum(t, top) / top)
        down = np.clip((t - top) / (self.over - top), 0.0, 1.0)
        return np.where(t < top, up, _cosine(self.peak, self.end, down))


def _cosine(start: float, end: float, done: Times) -> Times:
    return end + (start - end) * (1.0 + np.cos(np.pi * done)) / 2.0
