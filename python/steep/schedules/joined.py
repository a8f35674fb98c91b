"""Schedules made of others: one after the other, multiplied, behind a warm-up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, TypeAlias

import numpy as np

from ..checks.described import settle
from ..checks.numbers import ANY, POSITIVE, Ranges, is_list, numbers
from .base import Schedule, Times, evaluate, of

Part: TypeAlias = "float | Schedule | Callable[[int], float]"


def _settle_unit(owner: Schedule, parts: Sequence[float | Schedule]) -> None:
    """Take the unit of the parts where none is given.

    Raises
    ------
    ValueError
        If they count in other units than each other, or than was said.
    """
    name = type(owner).__name__
    found = sorted({part.unit for part in parts if isinstance(part, Schedule)})
    if len(found) > 1:
        raise ValueError(f"{name}: some schedules count steps, some epochs; give all one unit")
    if found and found[0] != owner.unit:
        if owner.unit != "step":
            raise ValueError(f"{name}: unit is {owner.unit!r} but inside it is {found[0]!r}")
        settle(owner, unit=found[0])


def _parts(owner: Schedule, items: object) -> tuple[float | Schedule, ...]:
    """Return the schedules of a list, and its numbers."""
    name = type(owner).__name__
    if not is_list(items):
        raise TypeError(f"{name}: schedules must be a list of schedules or numbers, got {items!r}")
    assert isinstance(items, Sequence | np.ndarray)
    return tuple(of(name, f"schedules[{k}]", item, ANY) for k, item in enumerate(items))


@dataclass(frozen=True)
class Warmup(Schedule):
    """value(t) = start + (then(0) - start)*t/over for t < over, then(t - over) from there on.

    The inverse root of Vaswani et al. (2017) is ``Warmup(InversePower(peak, 1/n, 0.5), n)``: up to
    `peak` in n steps, then peak*sqrt(n/t).

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

    then: Part
    over: float
    start: float = 0.0

    ranges: ClassVar[Ranges] = {"over": POSITIVE, "start": ANY}

    def __post_init__(self) -> None:
        """Take the unit of `then` where none is given."""
        then = of("Warmup", "then", self.then, ANY)
        _settle_unit(self, [then])
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
class Join(Schedule):
    """value(t) = schedules[k](t - boundaries[k-1]) for boundaries[k-1] <= t < boundaries[k].

    One schedule after the other, each counting from its own beginning; the first begins at 0, the
    last never ends. Optax's join_schedules, PyTorch's SequentialLR. Warm-up, plateau and decay
    (WSD, Hu et al. 2024): ``Join([Linear(0, 0.1, 100), 0.1, Linear(0.1, 0, 200)], [100, 800])``.

    Parameters
    ----------
    schedules
        At least two, of one unit; numbers are constants.
    boundaries
        Rising times, where the second begins, the third, ...
    """

    schedules: Sequence[Part]
    boundaries: Sequence[float]

    def __post_init__(self) -> None:
        """Bring both lists to tuples of what they hold."""
        parts = _parts(self, self.schedules)
        _settle_unit(self, parts)
        boundaries = numbers("Join", "boundaries", self.boundaries, POSITIVE)
        if len(boundaries) != len(parts) - 1:
            raise ValueError(
                f"Join: expects one boundary between two schedules, got {len(parts)} schedules and "
                f"{len(boundaries)} boundaries"
            )
        if any(b <= a for a, b in pairwise(boundaries)):
            raise ValueError(f"Join: boundaries must rise, got {list(boundaries)}")
        settle(self, schedules=parts, boundaries=boundaries)
        super().__post_init__()

    def at(self, t: Times) -> Times:
        """Return the value of whichever schedule t is in."""
        values = np.empty(t.shape)
        which = np.searchsorted(np.asarray(self.boundaries), t, side="right")
        for k, part in enumerate(self.schedules):
            assert isinstance(part, (float, Schedule))
            here = which == k
            when = t[here] - (self.boundaries[k - 1] if k else 0.0)
            values[here] = evaluate(part, when, when)
        return values


@dataclass(frozen=True)
class Product(Schedule):
    """value(t) = schedules[0](t) * schedules[1](t) * ...

    PyTorch's ChainedScheduler, whose members multiply the rate by a factor of their own.

    Parameters
    ----------
    schedules
        At least one, of one unit; numbers are factors.
    """

    schedules: Sequence[Part]

    def __post_init__(self) -> None:
        """Bring the list to a tuple of what it holds."""
        parts = _parts(self, self.schedules)
        if not parts:
            raise ValueError("Product: schedules must not be empty")
        _settle_unit(self, parts)
        settle(self, schedules=parts)
        super().__post_init__()

    def at(self, t: Times) -> Times:
        """Return the products."""
        values = np.ones(t.shape)
        for part in self.schedules:
            assert isinstance(part, (float, Schedule))
            values = values * evaluate(part, t, t)
        return values
