"""Rules that measure a whole parameter: LAMB and LARS, whose rates are those of each layer."""

from dataclasses import dataclass, field
from typing import ClassVar

from ..checks.numbers import FRACTION, NOT_NEGATIVE, Ranges
from ..schedules.base import Number
from .base import BETAS, Moments, Optimizer
from .clock import Clock, Value

__all__ = [
    "LAMB",
    "LARS",
]


class _Measured(Optimizer):
    """An optimizer whose decay is part of the direction that is measured."""

    @property
    def _decay_line(self) -> str:
        return ""

    def _decay(self, clock: Clock) -> Value:
        return self._sign * self._at("weight_decay", clock)


@dataclass(frozen=True, repr=False)
class LAMB(_Measured, Moments):
    """Adam's direction, as long a step as the parameter is large (You et al. 2020, algorithm 2).

        m = beta1*m + (1-beta1)*g
        r = beta2*r + (1-beta2)*g^2
        d = m/(1-beta1^t) / (sqrt(r/(1-beta2^t)) + eps) + weight_decay*w
        w = w - lr*|w|/|d| * d

    Norms are those of each parameter, biases too; where one is 0 there is no ratio. Decay is of
    weights, not of biases.

    Parameters
    ----------
    lr
        Learning rate, >= 0: the part of its length that a parameter moves.
    beta1, beta2, eps
        As in `Adam`.
    """

    lr: Number = 1e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-6

    rule = "lamb"
    _by_rows: ClassVar[bool] = False
    ranges: ClassVar[Ranges] = BETAS

    def _columns(self, clock: Clock) -> dict[str, Value]:
        return super()._columns(clock) | {
            "m_scale": 1.0 / self._grown("beta1", clock),
            "r_scale": 1.0 / self._grown("beta2", clock),
        }


@dataclass(frozen=True, repr=False)
class LARS(_Measured):
    """Momentum with a rate of each layer's own (You, Gitman & Ginsburg 2017).

        rate = lr*trust*|w| / (|g| + weight_decay*|w| + eps)
        v = momentum*v + rate*(g + weight_decay*w)
        w = w - v

    Norms are those of each parameter; where |w| or |g| is 0 the rate is lr. Decay is of weights,
    not of biases. With `nesterov` w = w - momentum*v - rate*(g + weight_decay*w).
    ``like="optax"`` divides by |g + weight_decay*w| + eps.

    Parameters
    ----------
    lr
        Learning rate, >= 0.
    momentum
        Part of the velocity that is kept, in [0, 1).
    trust
        The part of a parameter's length that a step of rate 1 may have, >= 0.
    eps
        Keeps the quotient finite, >= 0.
    nesterov
        Step on along the velocity, as `SGD` does with ``like="torch"``.
    """

    lr: Number = 1.0
    momentum: Number = 0.9
    trust: Number = 1e-3
    eps: Number = 0.0
    nesterov: bool = field(default=False, kw_only=True)

    rule = "lars"
    ranges: ClassVar[Ranges] = {
        "lr": NOT_NEGATIVE,
        "momentum": FRACTION,
        "trust": NOT_NEGATIVE,
        "eps": NOT_NEGATIVE,
    }
    flags: ClassVar[tuple[str, ...]] = ("nesterov",)

    def _columns(self, clock: Clock) -> dict[str, Value]:
        momentum = self._at("momentum", clock)
        return super()._columns(clock) | {
            "mu": momentum,
            "along": momentum if self.nesterov else 1.0,
            "direct": 1.0 if self.nesterov else 0.0,
            "joint": 1.0 if self.like == "optax" else 0.0,
        }

    def _lines(self) -> list[str]:
        rate, *lines = super()._lines()
        if self.like == "optax":
            rate = rate.replace("(|g| + weight_decay*|w| + eps)", "(|g + weight_decay*w| + eps)")
        if self.nesterov:
            lines[-1] = "w = w - momentum*v - rate*(g + weight_decay*w)"
        return [rate, *lines]
