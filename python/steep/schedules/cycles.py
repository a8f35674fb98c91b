"""Schedules that go up and down: warm restarts, triangles, one cycle. Plain curves: `curves`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np

from ..checks.described import settle
from ..checks.names import choose
from ..checks.numbers import ANY, NOT_NEGATIVE, POSITIVE, Range, Ranges, number
from .base import Schedule, Times
from .curves import cosine, line

ANNEALS: dict[str, Callable[[float, float, Times], Times]] = {"cosine": cosine, "linear": line}
_SAME = {name: name for name in ANNEALS}
MODES = ("triangular", "triangular2", "exp_range")
_NEAR = 1e-9  # of a period: whoever is so near to a restart is there


@dataclass(frozen=True)
class CosLog(Schedule):
    """value(t) = peak*(1 - cos(2 pi log2(1 + (2^cycles - 1)*min(t, over)/over)))/2.

    Waves from 0 to `peak` and back to 0, each twice as long as the one before: `cycles` of them
    ("coslog4" of Holzmueller et al. 2024).

    Parameters
    ----------
    peak
        The highest value.
    over
        When the last wave ends, in steps or epochs.
    cycles
        How many waves, above 0.
    """

    peak: float
    over: float
    cycles: float = 4.0

    ranges: ClassVar[Ranges] = {"peak": ANY, "over": POSITIVE, "cycles": Range(0.0, 32.0, True)}

    def at(self, t: Times) -> Times:
        """Return the values of the waves."""
        done = np.minimum(t, self.over) / self.over
        waves = np.log2(1.0 + (2.0**self.cycles - 1.0) * done)
        return cosine(0.0, self.peak, 2.0 * waves)


@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Half cosines from start to end, one after the other: SGDR (Loshchilov & Hutter 2017).

    In period i, which begins at t_i and is over*multiply^i long::

        value(t) = end + (start - end) * decay^i * (1 + cos(pi*(t - t_i)/(over*multiply^i)))/2

    At t_i the new period has begun. PyTorch's CosineAnnealingWarmRestarts has decay 1, Keras's
    CosineDecayRestarts multiply 2. Periods of any other lengths and warm-ups: `Join`.

    Parameters
    ----------
    start
        The highest value of the first period.
    over
        Length of the first period, in steps or epochs.
    multiply
        How many times as long each period is as the one before, at least 1.
    decay
        What the way from `end` up to the highest value is multiplied with from period to period.
    end
        The lowest value.
    """

    start: float
    over: float
    multiply: float = 1.0
    decay: float = 1.0
    end: float = 0.0

    ranges: ClassVar[Ranges] = {
        "start": ANY,
        "over": POSITIVE,
        "multiply": Range(1.0, np.inf),
        "decay": NOT_NEGATIVE,
        "end": ANY,
    }

    def at(self, t: Times) -> Times:
        """Return the values of the waves."""
        past, growth = t / self.over, self.multiply - 1.0  # in first periods
        if growth == 0.0:
            count = np.floor(past + _NEAR)
            done = past - count
        else:  # the periods before number i took (multiply^i - 1)/growth
            rate = np.log1p(growth)
            count = np.floor(np.log1p(growth * past) / rate + _NEAR)
            done = (past - np.expm1(count * rate) / growth) / np.power(self.multiply, count)
        high = self.end + (self.start - self.end) * np.power(self.decay, count)
        return cosine(high, self.end, np.clip(done, 0.0, 1.0))


@dataclass(frozen=True)
class Cyclic(Schedule):
    """Straight up from start to peak and down again, over and over (Smith 2017).

    value(t) = start + (peak - start) * height(t) * scale, height between 0 and 1, scale 1 for
    "triangular", 2^-k in cycle k = 0, 1, .. for "triangular2", gamma^t for "exp_range". It is
    PyTorch's CyclicLR; the momentum that falls meanwhile is ``Cyclic(0.9, 0.8, up, down)``.

    Parameters
    ----------
    start, peak
        The value at the ends of a cycle, and at its top where scale is 1.
    up, down
        Length of the way up and of that down, in steps or epochs; `down` is `up` where left out.
    mode
        ``"triangular"``, ``"triangular2"`` or ``"exp_range"``.
    gamma
        Of "exp_range".
    """

    start: float
    peak: float
    up: float
    down: float | None = None
    mode: str = "triangular"
    gamma: float = 1.0

    ranges: ClassVar[Ranges] = {
        "start": ANY,
        "peak": ANY,
        "up": POSITIVE,
        "down": POSITIVE,
        "gamma": NOT_NEGATIVE,
    }

    def __post_init__(self) -> None:
        """Fill in the way down; refuse a gamma that would change nothing."""
        if self.down is None:
            settle(self, down=self.up)
        settle(self, mode=choose("mode", self.mode, {name: name for name in MODES}))
        super().__post_init__()
        if self.gamma != 1.0 and self.mode != "exp_range":
            raise ValueError(f'Cyclic: gamma belongs to mode="exp_range", got {self.mode!r}')

    def at(self, t: Times) -> Times:
        """Return the values of the triangles."""
        assert self.down is not None
        count = np.floor(t / (self.up + self.down))
        into = t - count * (self.up + self.down)
        height = np.where(into <= self.up, into / self.up, 1.0 - (into - self.up) / self.down)
        if self.mode == "triangular2":
            height = height * np.power(0.5, count)
        elif self.mode == "exp_range":
            height = height * np.power(self.gamma, t)
        return self.start + (self.peak - self.start) * height


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from start to peak, down to end, each way half a cosine (Smith & Topin 2018).

    PyTorch's OneCycleLR of T steps and its pct_start p, which counts the last of its steps as the
    end, is ``OneCycle(max_lr, T - 1, rise=(p*T - 1)/(T - 1))``.

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
    three_phase
        Whether the way down leads to `start` first, as long as the way up, and then to `end`;
        `rise` is below 0.5 then.
    anneal
        ``"cosine"``, or ``"linear"`` for straight ways.
    """

    peak: float
    over: float
    rise: float = 0.3
    start: float | None = None
    end: float | None = None
    three_phase: bool = False
    anneal: str = "cosine"

    ranges: ClassVar[Ranges] = {
        **dict.fromkeys(("peak", "start", "end"), ANY),
        "over": POSITIVE,
        "rise": Range(0.0, 1.0, low_open=True),
    }
    flags: ClassVar[tuple[str, ...]] = ("three_phase",)

    def __post_init__(self) -> None:
        """Fill in the two ends."""
        if self.start is None:
            settle(self, start=number("OneCycle", "peak", self.peak, ANY) / 25.0)
        if self.end is None:
            settle(self, end=number("OneCycle", "start", self.start, ANY) / 1e4)
        settle(self, anneal=choose("anneal", self.anneal, {"cos": "cosine", **_SAME}))
        super().__post_init__()
        if self.three_phase and self.rise >= 0.5:
            raise ValueError(
                f"OneCycle: with three phases rise must be below 0.5, got {self.rise}: the first "
                "way down takes as long as the way up"
            )

    def momentum(self, low: float = 0.85, high: float = 0.95) -> "OneCycle":
        """Return the momentum that goes with this rate: from high to low while it climbs, and back.

        ``SGD(rate, momentum=rate.momentum())``. With three phases it is at `high` again when the
        rate is at `start`, and stays there.

        Parameters
        ----------
        low, high
            PyTorch's base_momentum and max_momentum.
        """
        return replace(self, peak=low, start=high, end=high)

    def at(self, t: Times) -> Times:
        """Return the values of all ways."""
        assert self.start is not None
        assert self.end is not None
        top = self.rise * self.over
        points = [(0.0, self.start), (top, self.peak), (self.over, self.end)]
        if self.three_phase:
            points.insert(2, (2.0 * top, self.start))
        values, way = np.zeros(t.shape), ANNEALS[self.anneal]
        for (begin, first), (finish, last) in pairwise(points):
            done = np.clip((t - begin) / (finish - begin), 0.0, 1.0)
            values = np.where(t < begin, values, way(first, last, done))
        return values
