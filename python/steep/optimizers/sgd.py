"""Gradient descent, plain and with a velocity: momentum and Nesterov's look-ahead."""

import re
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ..checks.numbers import FRACTION, NOT_NEGATIVE, Ranges
from ..schedules.base import Number
from .base import Optimizer
from .clock import Clock, Value
from .velocity import check_nesterov, check_rate_place, velocity, with_velocity

__all__ = [
    "SGD",
]


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """w = w - lr*g (Robbins & Monro 1951); v = momentum*v - lr*g, w = w + v (Polyak 1964).

    With `nesterov` g is the gradient at w + momentum*v (Nesterov 1983, Sutskever 2013); weights
    are always exported as w. PyTorch, Keras and Optax (`like`) instead take it at w and step on to
    momentum*v again; their weights are the look-ahead point of the same iteration.

    Parameters
    ----------
    lr
        Learning rate, >= 0.
    momentum
        Part of the velocity that is kept, in [0, 1).
    nesterov
        Look ahead along the velocity.
    lr_in_velocity
        False: v = momentum*v - g, w = w + lr*v, as in PyTorch and Optax. It differs where lr
        changes.
    dampening
        v = momentum*v - (1-dampening)*g after the first step, in [0, 1); PyTorch has it.
    """

    lr: Number = 0.01
    momentum: Number = 0.0
    nesterov: bool = False
    lr_in_velocity: bool | None = field(default=None, kw_only=True)
    dampening: Number = field(default=0.0, kw_only=True)

    ranges: ClassVar[Ranges] = {"lr": NOT_NEGATIVE, "momentum": FRACTION, "dampening": FRACTION}
    flags: ClassVar[tuple[str, ...]] = ("nesterov",)

    def __post_init__(self) -> None:
        """Check the arguments; settle where the rate stands."""
        super().__post_init__()
        self._resolve("lr_in_velocity", True, torch=False, keras=True, optax=False)
        check_nesterov(self)
        check_rate_place(self)
        if self.dampening != 0.0 and (self.momentum == 0.0 or self.nesterov):
            raise ValueError(
                "SGD: dampening needs a momentum above 0 and no nesterov; leave it out"
            )

    @property
    def rule(self) -> str:
        """Native rule: plain, with velocity, looking ahead, or looking back."""
        if self.momentum == 0.0:
            return "sgd"
        if not self.nesterov:
            return "momentum"
        return "nesterov" if self.like is None else "nesterov_lookback"

    def _columns(self, clock: Clock) -> dict[str, Value]:
        if self.rule == "sgd":
            return super()._columns(clock)
        columns = velocity(self, clock, look=self.rule == "nesterov")
        if self.rule == "nesterov_lookback":
            columns["rate_direct"] = self._sign * self._at("lr", clock)
        if self.dampening != 0.0:
            kept = 1.0 - self._at("dampening", clock)
            columns["rate_in"] = columns["rate_in"] * np.where(clock.steps == 0, 1.0, kept)
        return columns

    def _lines(self) -> list[str]:
        if self.rule == "sgd":
            return super()._lines()
        lines = with_velocity(self, super()._lines(), look=self.rule == "nesterov")
        if self.dampening != 0.0:
            lines[0] = re.sub(r"g$", "(1-dampening)*g, undamped at first", lines[0])
        return lines
