"""Schedules by formula, from a first value to a last one; what goes up and down is in `cycles`."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..checks.numbers import ANY, NOT_NEGATIVE, POSITIVE, Ranges
from .base import Schedule, Times


@dataclass(frozen=True)
class Exponential(Schedule):
    """value(t) = start * exp(-rate*t). PyTorch's gamma is exp(-rate).

    Keras's decay_rate^(t/decay_steps) has the rate -log(decay_rate)/decay_steps.
    """

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
class InverseTime(Schedule):
    """value(t) = start / (1 + rate*t/over), Keras's InverseTimeDecay.

    Parameters
    ----------
    start
        The value at t = 0.
    rate
        What is added to the divisor in a time of `over`.
    over
        In steps or epochs.
    staircase
        Take floor(t/over): the value stays for a time of `over`, then falls at once.
    """

    start: float
    rate: float
    over: float = 1.0
    staircase: bool = False

    ranges: ClassVar[Ranges] = {"start": ANY, "rate": NOT_NEGATIVE, "over": POSITIVE}
    flags: ClassVar[tuple[str, ...]] = ("staircase",)

    def at(self, t: Times) -> Times:
        """Return the decayed values."""
        past = t / self.over
        return self.start / (1.0 + self.rate * (np.floor(past) if self.staircase else past))


@dataclass(frozen=True)
class Polynomial(Schedule):
    """value(t) = end + (start - end) * (1 - min(t, over)/over)^power.

    Parameters
    ----------
    start, end
        First and last value.
    over
        Length of the way, in steps or epochs.
    power
        1 is a straight line.
    cycle
        Where t goes beyond, `over` becomes the next multiple of itself, as in TensorFlow and Keras:
        the value jumps up to (1 - 1/2)^power of the way, then (1 - 2/3)^power, and falls to `end`
        again.
    """

    start: float
    end: float
    over: float
    power: float = 1.0
    cycle: bool = False

    ranges: ClassVar[Ranges] = {"start": ANY, "end": ANY, "over": POSITIVE, "power": POSITIVE}
    flags: ClassVar[tuple[str, ...]] = ("cycle",)

    def at(self, t: Times) -> Times:
        """Return the values on the way from start to end."""
        done = np.minimum(t, self.over) / self.over
        if self.cycle:
            done = np.minimum(t / (self.over * np.maximum(np.ceil(t / self.over), 1.0)), 1.0)
        left = 1.0 - done
        return self.end + (self.start - self.end) * np.power(left, self.power)


@dataclass(frozen=True)
class Step(Schedule):
    """value(t) = start * factor^floor(t/every); Keras's ExponentialDecay with its staircase."""

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
        return cosine(self.start, self.end, np.minimum(t, self.over) / self.over)


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
        return line(self.start, self.end, np.minimum(t, self.over) / self.over)


@dataclass(frozen=True)
class SigmoidRamp(Schedule):
    """value(t) = end * (2/(1 + exp(-gamma*min(t, over)/over)) - 1) (Ganin & Lempitsky 2015).

    From 0, fast at first: the strength of a reversed gradient in domain adaptation.

    Parameters
    ----------
    end
        What it comes to: at `over` a factor of 2/(1 + exp(-gamma)) - 1 is left, .9999 for 10.
    over
        Length of the way, in steps or epochs.
    gamma
        How fast it rises.
    """

    end: float
    over: float
    gamma: float = 10.0

    ranges: ClassVar[Ranges] = {"end": ANY, "over": POSITIVE, "gamma": POSITIVE}

    def at(self, t: Times) -> Times:
        """Return the values of the ramp."""
        done = np.minimum(t, self.over) / self.over
        return self.end * (2.0 / (1.0 + np.exp(-self.gamma * done)) - 1.0)


def line(start: float, end: float, done: Times) -> Times:
    """Return the values of a straight line from start to end, `done` in [0, 1]."""
    return start * (1.0 - done) + end * done


def cosine(start: float | Times, end: float, done: Times) -> Times:
    """Return the values of half a cosine wave from start to end, `done` in [0, 1]."""
    return end + (start - end) * (1.0 + np.cos(np.pi * done)) / 2.0
