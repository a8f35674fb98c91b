"""Checks of plain numbers: of the right kind and inside a stated range. Nothing else lives here.

All take who asks, for which argument, and the value: ``"Adam"``, ``"lr"``, 0.1. `where` may be
empty. A wrong kind is a TypeError, a wrong value a ValueError.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from typing import Any, TypeAlias

import numpy as np


@dataclass(frozen=True)
class Range:
    """An interval of the real line; ``str()`` gives it as the field writes it, ``[0, 1)``."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = True

    def __contains__(self, value: object) -> bool:
        """Say whether `value` is a finite number inside."""
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


ANY = Range(-math.inf, math.inf, low_open=True)
NOT_NEGATIVE = Range(0.0, math.inf)
POSITIVE = Range(0.0, math.inf, low_open=True)
FRACTION = Range(0.0, 1.0)  # decays and momenta
CLOSED_FRACTION = Range(0.0, 1.0, high_open=False)
Ranges: TypeAlias = Mapping[str, Range]  # of arguments, by name
LIMIT = 2.0**128 - 2.0**103  # from here on a number rounds to infinity in float32
SMALLEST = float(np.finfo(np.float32).tiny)  # below, the core takes numbers for 0
TINY = math.nextafter(SMALLEST - 2.0**-150, 0)  # the largest that float32 rounds to one below it
LARGEST = 2**31 - 1  # of sizes and counts: products of two fit into 64 bits


def number(where: str, name: str, value: object, allowed: Range, *, single: bool = False) -> float:
    """Return `value`, a number of Python or NumPy but no boolean, as a float in `allowed`.

    NaN and infinity lie in no range. With `single` it is computed with in float32, and must be what
    it is there too: see `keeps_kind`.

    Raises
    ------
    TypeError, ValueError
        If it is no number, or outside.
    """
    scalar = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "fiu"
    plain = isinstance(value, (int, float, np.integer, np.floating))
    title = _title(where, name)
    if isinstance(value, bool) or not (scalar or plain):
        raise TypeError(f"{title} must be a number, got {type(value).__name__} {value!r}")
    try:
        result = float(value)  # type: ignore[arg-type]  # a number, as seen above
    except OverflowError:  # of an int beyond all floats
        raise ValueError(f"{title} must be in {allowed}, got an int too large") from None
    if result not in allowed:
        raise ValueError(f"{title} must be in {allowed}, got {result!r}")
    if single:
        keeps_kind(where, name, result, allowed)
    return result


def keeps_kind(where: str, name: str, value: float, allowed: Range) -> None:
    """Refuse a number in `allowed` that float32 would make another kind of number.

    The core takes numbers below 1.2e-38 for 0, those beyond 3.4e38 for infinity, and rounds others:
    a rate of 1 - 2^-33 to 1, which is outside of [0, 1).

    Raises
    ------
    ValueError
        If in float32 it is 0 without being 0, infinite, outside `allowed`, or at a limit of it.
    """
    size = abs(value)
    if TINY < size < LIMIT:  # NumPy would warn of others
        rounded = float(np.float32(value))
    else:
        rounded = 0.0 if size <= TINY else math.copysign(math.inf, value)
    moved = rounded in (0.0, allowed.low, allowed.high) and rounded != value
    if moved or rounded not in allowed:
        raise ValueError(
            f"{_title(where, name)} must be in {allowed} in float32 too, but {value!r} becomes "
            f"{rounded:g} there; sizes from 1.2e-38 to 3.4e38 keep 7 digits"
        )


def is_list(value: object) -> bool:
    """Say whether a value is several: a list, a tuple or an array with an axis."""
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def numbers(
    where: str, name: str, value: Any, allowed: Range, *, single: bool = False
) -> tuple[float, ...]:
    """Return a list of at least one number as a tuple, each as `number` has it.

    Raises
    ------
    TypeError, ValueError
        If it is no list, empty, or one of them is refused.
    """
    if not is_list(value):
        raise TypeError(f"{_title(where, name)} must be a list of numbers, got {value!r}")
    if len(value) == 0:
        raise ValueError(f"{_title(where, name)} must not be empty")
    return tuple(number(where, name, item, allowed, single=single) for item in value)


def whole(where: str, name: str, value: object, low: float = 1, high: float = LARGEST) -> int:
    """Return `value`, an int of Python or NumPy but no boolean, as an int in [low, high].

    Raises
    ------
    TypeError, ValueError
        If it is no int, or out of range.
    """
    if type(value) is int and low <= value <= high:
        return value
    title = _title(where, name)
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        result = index(value)  # type: ignore[arg-type]  # its TypeError is what is asked for
    except TypeError:
        raise TypeError(f"{title} must be an int, got {value!r}") from None
    if result < low:
        raise ValueError(f"{title} must be at least {low}, got {result}")
    if result > high:
        raise ValueError(f"{title} must be at most {high}, got {result}")
    return result


def seed(value: object) -> int:
    """Return a seed, an int in [0, 2^64); raise TypeError or ValueError where it is none."""
    result = whole("", "seed", value, -math.inf, math.inf)
    if not 0 <= result < 2**64:
        raise ValueError(f"seed must be in [0, 2^64), got {result}")
    return result


def pair(where: str, name: str, value: object, low: int = 1) -> tuple[int, int]:
    """Return (rows, columns), each at least `low`, given as such or as one int for both.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or one is out of range.
    """
    both = value if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2:
        raise ValueError(
            f"{_title(where, name)} must be an int or a pair (rows, columns), got {value}"
        )
    return whole(where, name, both[0], low), whole(where, name, both[1], low)


def flag(where: str, name: str, value: object) -> bool:
    """Return `value` where it is a boolean; raise TypeError where it is not."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{_title(where, name)} must be True or False, got {value!r}")
    return bool(value)


def _title(where: str, name: str) -> str:
    return f"{where}: {name}" if where else name
