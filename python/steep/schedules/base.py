"""What a schedule is, those with their values as given, and what becomes of users' arguments."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks.described import Described, settle
from ..checks.names import choose
from ..checks.numbers import ANY, Range, Ranges, is_list, number, numbers

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


class OfStep(NamedTuple):
    """A schedule that losses or ops go by, where its values must lie, and what they are."""

    schedule: Schedule
    allowed: Range
    what: str


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


def calls_python(value: object) -> bool:
    """Say whether a schedule is a function of the user's, or made of one."""
    if isinstance(value, tuple):
        return any(map(calls_python, value))
    if not isinstance(value, Schedule):
        return False
    return isinstance(value, Function) or any(map(calls_python, vars(value).values()))
