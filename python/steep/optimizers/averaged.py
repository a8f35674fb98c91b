"""Descent that averages its weights on the way: ASGD, and the schedule-free rules.

Averages beside any other rule are the trainer's.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np

from ..checks.numbers import FRACTION, NOT_NEGATIVE, Ranges
from ..schedules.base import Number, Schedule, Times, calls_python
from .base import BETAS, Moments, Optimizer
from .clock import Clock, Value

__all__ = [
    "ASGD",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
]


@dataclass(frozen=True, repr=False)
class ASGD(Optimizer):
    """Descent with falling rates whose weights are averaged beside it (Polyak & Juditsky 1992).

        eta = lr / (1 + lambd*lr*k)^alpha
        w = w - lambd*eta*w (weights, not biases)
        w = w - eta*g
        average = average + (w - average)/max(1, k - t0)

    k counts the steps from 0; at step 0 the average is w. `Trainer.averaged` has it (slot `ax`);
    the weights are w. As in PyTorch, after Bottou's; Shamir & Zhang 2013 discuss which to take.

    Parameters
    ----------
    lr
        Learning rate, >= 0.
    lambd
        Decay of the rate and of weights, >= 0.
    alpha
        Power of the rate's decay, >= 0.
    t0
        Step from which on the average is one of all weights, >= 0; before, it is w.
    """

    lr: Number = 0.01
    lambd: Number = 1e-4
    alpha: Number = 0.75
    t0: Number = 1e6

    rule = "asgd"
    ranges: ClassVar[Ranges] = {
        "lr": NOT_NEGATIVE,
        "lambd": NOT_NEGATIVE,
        "alpha": NOT_NEGATIVE,
        "t0": NOT_NEGATIVE,
    }

    def _eta(self, clock: Clock) -> Value:
        lr, lambd = self._at("lr", clock), self._at("lambd", clock)
        return lr / (1.0 + lambd * lr * clock.steps) ** self._at("alpha", clock)

    def _columns(self, clock: Clock) -> dict[str, Value]:
        mu = 1.0 / np.maximum(1.0, clock.steps - self._at("t0", clock))
        return {"rate": self._sign * self._eta(clock), "mu": mu, "one_minus_mu": 1.0 - mu}

    def _decay(self, clock: Clock) -> Value:
        return super()._decay(clock) + self._at("lambd", clock) * self._eta(clock)


@dataclass(frozen=True, repr=False)
class _ScheduleFree(Optimizer):
    """What both schedule-free rules share: rates, and the weight of each z in the average x."""

    lr: Number = 1.0
    warmup_steps: float = field(default=0.0, kw_only=True)
    r: float = field(default=0.0, kw_only=True)
    weight_lr_power: float = field(default=2.0, kw_only=True)

    ranges: ClassVar[Ranges] = {
        "lr": NOT_NEGATIVE,
        "warmup_steps": NOT_NEGATIVE,
        "r": NOT_NEGATIVE,
        "weight_lr_power": NOT_NEGATIVE,
    }
    _part: ClassVar[str]  # hyper-parameter that is the part of x in y

    def __post_init__(self) -> None:
        """Check the arguments: what the weights of past steps depend on must be known."""
        super().__post_init__()
        self._refuse_schedules("warmup_steps", "r", "weight_lr_power")
        if self.warmup_steps % 1.0:
            raise ValueError(
                f"{type(self).__name__}: warmup_steps must be whole, got {self.warmup_steps}"
            )
        by_epoch = isinstance(self.lr, Schedule) and self.lr.unit == "epoch"
        if by_epoch or calls_python(self.lr):
            what = "is one by epoch" if by_epoch else "calls Python"
            raise ValueError(
                f"{type(self).__name__}: the average needs the rates of all steps before, but the "
                f"schedule of lr {what}; give a number or one of steep.schedules by step"
            )

    def _columns(self, clock: Clock) -> dict[str, Value]:
        share = self._share(clock)
        return super()._columns(clock) | {
            "look": 1.0 - self._at(self._part, clock),
            "look_next": 1.0 - self._at(self._part, clock.next()),
            "lr": self._sign * self._rate(clock),
            "share": share,
            "one_minus_share": 1.0 - share,
        }

    def _rate(self, clock: Clock) -> Value:
        rate = self._at("lr", clock)
        if self.warmup_steps == 0.0:
            return rate
        return rate * np.minimum((clock.steps + 1.0) / self.warmup_steps, 1.0)

    def _share(self, clock: Clock) -> Times:
        """Return the part that z has in x after each step: its weight, over the sum of all."""
        steps = clock.steps.astype(np.int64)
        last = int(steps.max(initial=0))
        if isinstance(self.lr, float) and self.r == 0.0:  # after the warm-up all weigh the same
            last = min(last, int(self.warmup_steps))
        weights, sums = _weights(self, 1 << last.bit_length())
        known = np.minimum(steps, last)
        total = sums[known] + (steps - known) * weights[last]
        return np.where(total > 0.0, weights[known] / np.where(total > 0.0, total, 1.0), 0.0)

    def _decay(self, clock: Clock) -> Value:
        return self._rate(clock) * self._at("weight_decay", clock)

    @property
    def _decay_line(self) -> str:
        """Return nothing: the decay is that of y, in the step."""
        return ""

    def _lines(self) -> list[str]:
        lines = super()._lines()
        if self.weight_decay != 0.0:
            return lines
        return [re.sub(r"\((.+) \+ weight_decay\*y\)$", r"\1", line) for line in lines]


@dataclass(frozen=True, repr=False)
class ScheduleFreeSGD(_ScheduleFree):
    """Descent of z, its gradient taken between z and the average x of all z (Defazio et al. 2024).

        y = w + (1-momentum)*v, where g is taken
        e = v - lr*(g + weight_decay*y)
        w = w + c*e
        v = (1-c)*e

    The weights w are x, and v is z - x; c is the weight of the newest z over the sum of all.
    Neither a schedule nor the number of steps is asked for. Decay is that of weights, at y.

    Parameters
    ----------
    lr
        Learning rate, >= 0; a number or a schedule by step.
    momentum
        Part of x in y, in [0, 1); the rest is z.
    warmup_steps
        Steps in which the rate rises to lr: a whole number, >= 0.
    r, weight_lr_power
        Powers, >= 0, of the step and of the largest rate so far: z of step k has the weight
        (k+1)^r * max_lr^weight_lr_power.

    Raises
    ------
    ValueError
        If the rate is a schedule by epoch or a function: the average needs the rates of all steps
        before.
    """

    momentum: Number = 0.9

    rule = "schedule_free_sgd"
    ranges: ClassVar[Ranges] = {"momentum": FRACTION}
    _part: ClassVar[str] = "momentum"


@dataclass(frozen=True, repr=False)
class ScheduleFreeAdamW(_ScheduleFree, Moments):
    """The same with g over the root of its mean square (Defazio et al. 2024).

        y = w + (1-beta1)*v, where g is taken
        r = beta2*r + (1-beta2)*g^2
        e = v - lr*(g / (sqrt(r/(1-beta2^t)) + eps) + weight_decay*y)
        w = w + c*e
        v = (1-c)*e

    Parameters
    ----------
    lr, warmup_steps, r, weight_lr_power
        As in `ScheduleFreeSGD`.
    beta1
        Part of x in y, in [0, 1); the rest is z.
    beta2, eps
        As in `Adam`.
    """

    lr: Number = 2.5e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-8

    rule = "schedule_free_adam"
    ranges: ClassVar[Ranges] = BETAS
    _part: ClassVar[str] = "beta1"
    _by_rows: ClassVar[bool] = False

    def _columns(self, clock: Clock) -> dict[str, Value]:
        return super()._columns(clock) | {"r_scale": 1.0 / self._grown("beta2", clock)}


@lru_cache(maxsize=8)
def _weights(rule: _ScheduleFree, count: int) -> tuple[Times, Times]:
    """Return the weights of z of the first steps, and their running sums."""
    k = np.arange(float(count))
    rates = np.broadcast_to(rule._rate(Clock(k, k)), k.shape)
    weights = (k + 1.0) ** rule.r * np.maximum.accumulate(rates) ** rule.weight_lr_power
    return weights, np.cumsum(weights)
