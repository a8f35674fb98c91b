"""Schedules: hyper-parameters as pure functions of the step or the epoch, in float64.

A schedule holds no counter and knows no optimizer: it maps times to values, whole arrays at once,
and gives the same bits however the times are split into arrays.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks.described import Described, described, plain, settle
from .checks.names import choose
from .checks.numbers import ANY, NOT_NEGATIVE, POSITIVE, Range, Ranges, is_list, number, numbers

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "Function",
    "InversePower",
    "Linear",
    "OneCycle",
    "Piecewise",
    "Polynomial",
    "Schedule",
    "Step",
    "Values",
    "Warmup",
]

Times: TypeAlias = NDArray[np.float64]
# What a user may write for a hyper-parameter, and what becomes of it in `of`.
Number: TypeAlias = "float | Schedule | Callable[[int], float] | Sequence[float] | Times"

UNITS = {"step": "step", "epoch": "epoch"}


@dataclass(frozen=True)
class Schedule(Described, ABC):
    """A value that depends on time: t = updates done before, or epochs done before.

    Parameters
    ----------
    unit
        ``"step"``, or ``"epoch"``: then t is the epoch and may have a fraction within it.
    """

    unit: str = field(default="step", kw_only=True)

    kind: ClassVar[str] = "schedule"

    def __post_init__(self) -> None:
        """Check every number once, so that `__call__` need not."""
        settle(self, unit=choose("schedule unit", self.unit, UNITS))
        super().__post_init__()

    @abstractmethod
    def at(self, t: Times) -> Times:
        """Return the values at the times `t`, a float64 vector."""

    def __call__(self, t: ArrayLike) -> Any:
        """Return the value at `t`: a float for a number, a float64 array for an array."""
        times = np.asarray(t, dtype=np.float64)
        # Numbers go through the same vector code: NumPy's scalar functions may differ by a bit.
        values = self.at(np.ascontiguousarray(times.reshape(-1))).reshape(times.shape)
        return float(values) if times.ndim == 0 else values


@dataclass(frozen=True)
class Constant(Schedule):
    """value(t) = value."""

    value: float

    ranges: ClassVar[Ranges] = {"value": ANY}

    def at(self, t: Times) -> Times:
        """Return the constant for every t."""
        return np.full(t.shape, self.value)


@dataclass(frozen=True)
class Piecewise(Schedule):
    """value(t) = values[i] for boundaries[i] <= t < boundaries[i+1].

    The intervals are half-open: at a boundary the new value already holds. The first boundary is 0
    and may be left out; the last value holds for ever, so a boundary that ends it changes nothing.

    Parameters
    ----------
    boundaries
        Rising times.
    values
        One value for each interval.
    """

    boundaries: Sequence[float]
    values: Sequence[float]

    def __post_init__(self) -> None:
        """Bring the three ways of writing the boundaries to one: a start for each value."""
        super().__post_init__()
        starts = numbers("Piecewise", "boundaries", self.boundaries, ANY)
        values = numbers("Piecewise", "values", self.values, ANY)
        if len(starts) == len(values) - 1:
            starts = (0.0, *starts)
        elif len(starts) == len(values) + 1:
            starts = starts[:-1]
        if len(starts) != len(values):
            raise ValueError(
                f"Piecewise: expects one boundary for each value (where it begins), got "
                f"{len(self.boundaries)} boundaries and {len(values)} values"
            )
        if starts[0] != 0.0:
            raise ValueError(f"Piecewise: the first boundary must be 0, got {starts[0]:g}")
        if any(b <= a for a, b in pairwise(starts)):
            raise ValueError(f"Piecewise: boundaries must rise, got {list(self.boundaries)}")
        settle(self, boundaries=starts, values=values)

    def at(self, t: Times) -> Times:
        """Return the value of the interval that holds t."""
        index = np.searchsorted(np.asarray(self.boundaries), t, side="right") - 1
        return np.asarray(self.values)[np.maximum(index, 0)]


@dataclass(frozen=True)
class Values(Schedule):
    """value(t) = values[floor(t)], the explicit list rho_1, rho_2, ...; the last value holds on."""

    values: Sequence[float]

    def __post_init__(self) -> None:
        """Keep the list as a tuple of floats."""
        super().__post_init__()
        settle(self, values=numbers("Values", "values", self.values, ANY))

    def at(self, t: Times) -> Times:
        """Return the value of each whole step or epoch."""
        index = np.clip(t, 0, len(self.values) - 1).astype(np.int64)
        return np.asarray(self.values)[index]


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


@dataclass(frozen=True)
class Function(Schedule):
    """value(t) = function(t), any callable; t is an int for steps and a float for epochs.

    Such a schedule cannot be saved: code is not data. Use one of the named ones for checkpoints.
    """

    function: Callable[[Any], float]

    def at(self, t: Times) -> Times:
        """Call the function for one time after another.

        Raises
        ------
        TypeError
            If it does not return numbers.
        """
        times = t.astype(np.int64).tolist() if self.unit == "step" else t.tolist()
        values = [self.function(time) for time in times]
        try:
            if any(isinstance(value, (str, bytes)) for value in values):
                raise TypeError("text is no number")  # though NumPy would read one in it
            return np.array(values, dtype=np.float64).reshape(t.shape)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"schedule function: must return one number for each {self.unit}, got {values[0]!r}"
            ) from error

    def get_config(self) -> dict[str, Any]:
        """Refuse: there is no safe way to save a function."""
        name = getattr(self.function, "__qualname__", repr(self.function))
        raise ValueError(
            f"the schedule is the Python function {name}, which cannot be saved; use a schedule of "
            "steep.schedules (Values takes a list of numbers, one for each step)"
        )


TABLE: dict[str, type[Schedule]] = {
    made.__name__: made
    for made in (
        Constant, Piecewise, Values, Exponential, InversePower, Polynomial, Step, Cosine, Linear,
        Warmup, OneCycle,
    )
}  # fmt: skip


def of(where: str, name: str, value: object, allowed: Range) -> float | Schedule:
    """Return a hyper-parameter in one of its two forms: a checked float, or a schedule.

    Parameters
    ----------
    where, name
        Whose argument it is, for errors: ``"SGD"``, ``"momentum"``.
    value
        A number, a `Schedule`, a list or vector of values (one for each step), or a callable that
        takes the step.
    allowed
        The range a plain number must lie in; that of a schedule is checked when it is evaluated.

    Raises
    ------
    TypeError, ValueError
        If `value` is none of these or outside the range.
    """
    if isinstance(value, Schedule):
        return value
    if is_list(value):
        return Values(numbers(where, name, value, allowed))
    if callable(value) and not isinstance(value, type):
        return Function(value)
    return number(where, name, value, allowed)


def evaluate(value: float | Schedule, steps: Times, epochs: Times) -> float | Times:
    """Return a hyper-parameter at some steps: a float where it never changes.

    Parameters
    ----------
    value
        What `of` returned.
    steps, epochs
        Updates done before each step, and the epoch each step belongs to, as float64 vectors.
    """
    if not isinstance(value, Schedule):
        return value
    if isinstance(value, Constant):
        return value.value
    return value.at(steps if value.unit == "step" else epochs)


def get_config(value: float | Schedule) -> Any:
    """Return a hyper-parameter as JSON can hold it; `from_config` turns it back."""
    return plain(value)


def from_config(config: Any) -> Any:
    """Return the number or schedule that a config holds.

    Raises
    ------
    ValueError
        If it names no known schedule or its arguments do not fit.
    """
    if not isinstance(config, dict):
        return config
    return described("schedule", TABLE, config, from_config)


def _cosine(start: float, end: float, done: Times) -> Times:
    return end + (start - end) * (1.0 + np.cos(np.pi * done)) / 2.0
