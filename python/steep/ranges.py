"""Checks of plain numbers: finite and inside a stated range. Nothing else lives here."""

import math
from dataclasses import dataclass
from typing import SupportsFloat

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


def number(where: str, name: str, value: object, allowed: Range) -> float:
    """Return `value` as a float.

    Parameters
    ----------
    where, name
        Who asks and for which argument: ``"Adam"``, ``"lr"``.
    value
        A Python or NumPy number.
    allowed
        The range it must lie in; NaN and infinity lie in none.

    Raises
    ------
    TypeError
        If `value` is no number (booleans are none).
    ValueError
        If it is outside `allowed`.
    """
    single = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "fiu"
    plain = isinstance(value, (int, float, np.integer, np.floating))
    if isinstance(value, bool) or not (single or plain):
        raise TypeError(f"{where}: {name} must be a number, got {type(value).__name__} {value!r}")
    assert isinstance(value, SupportsFloat)
    result = float(value)
    if result not in allowed:
        raise ValueError(f"{where}: {name} must be in {allowed}, got {result!r}")
    return result


def flag(where: str, name: str, value: object) -> bool:
    """Return `value` where it is a boolean; raise TypeError where it is not."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{where}: {name} must be True or False, got {value!r}")
    return bool(value)
