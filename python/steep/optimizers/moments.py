"""Later members of Adam's family: RAdam, AdaBelief, Yogi, Adan, AdEMAMix."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ..checks.numbers import FRACTION, NOT_NEGATIVE, Range, Ranges
from ..schedules.base import Number, Times
from .base import BETAS, Moments
from .clock import Clock, Value

__all__ = [
    "AdEMAMix",
    "AdaBelief",
    "Adan",
    "RAdam",
    "Yogi",
]


@dataclass(frozen=True, repr=False)
class RAdam(Moments):
    """Adam whose rate is rectified by the variance of r, and no r while that is unknown.

        rho_inf = 2/(1-beta2) - 1, rho = rho_inf - 2*t*beta2^t/(1-beta2^t)
        m = beta1*m + (1-beta1)*g
        r = beta2*r + (1-beta2)*g^2
        c = sqrt((rho-4)*(rho-2)*rho_inf / ((rho_inf-4)*(rho_inf-2)*rho)) where rho > threshold
        w = w - lr*c*m/(1-beta1^t) / (sqrt(r/(1-beta2^t)) + eps), or w - lr*m/(1-beta1^t)

    (Liu et al. 2020, algorithm 2, which has no eps.) ``like="torch"`` corrects the root apart from
    eps: w = w - lr*c*sqrt(1-beta2^t)/(1-beta1^t) * m/(sqrt(r) + eps).

    Parameters
    ----------
    lr, beta1, beta2, eps
        As in `Adam`; beta2 is a number.
    threshold
        Least rho that is trusted, >= 4; 4 in the paper, 5 in its code, PyTorch and Optax.
    """

    lr: Number = 1e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-8
    threshold: float = field(default=5.0, kw_only=True)

    rule = "radam"
    ranges: ClassVar[Ranges] = BETAS | {"threshold": Range(4.0, np.inf)}
    _counts_time: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        self._refuse_schedules("beta2", "threshold")

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock)
        rate = self._sign * self._at("lr", clock) / self._grown("beta1", clock)
        rectified = self._rectified(clock.count(self.bias_time))
        second = self._grown("beta2", clock)
        late = self.like == "torch"
        return columns | {
            "plain": np.where(rectified > 0, 0.0, rate),
            "adaptive": rate * rectified * (np.sqrt(second) if late else 1.0),
            "r_scale": 1.0 if late else 1.0 / second,
        }

    def _rectified(self, t: Times) -> Times:
        """Return the factor of the adaptive step, 0 where there is none."""
        assert isinstance(self.beta2, float)
        limit = 2.0 / (1.0 - self.beta2) - 1.0
        power = self.beta2**t
        rho = limit - 2.0 * t * power / (1.0 - power)
        known = rho > self.threshold
        rho = np.where(known, rho, limit)
        ratio = (rho - 4.0) * (rho - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * rho)
        return np.where(known, np.sqrt(np.where(known, ratio, 0.0)), 0.0)

    def _lines(self) -> list[str]:
        *lines, last = super()._lines()
        if self.like == "torch":
            last = last.replace("r/(1-beta2^t)", "r")
            last = last.replace("m/(1-beta1^t) / ", "sqrt(1-beta2^t)/(1-beta1^t) * m/", 1)
        return [*lines, last]


@dataclass(frozen=True, repr=False)
class AdaBelief(Moments):
    """Adam by how far the gradient is from its running mean, not from 0 (Zhuang et al. 2020).

        m = beta1*m + (1-beta1)*g
        r = beta2*r + (1-beta2)*(g-m)^2 + eps
        w = w - lr*m/(1-beta1^t) / (sqrt(r/(1-beta2^t)) + eps)

    Parameters
    ----------
    lr, beta1, beta2
        As in `Adam`.
    eps
        Stands in both places, >= 0. With ``eps_inside=True`` in r alone. Where beta2 or eps is a
        schedule, r has of it what its value of the step would have made.
    """

    lr: Number = 1e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-16

    rule = "adabelief"
    ranges: ClassVar[Ranges] = BETAS

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock)
        eps, beta2 = self._at("eps", clock), columns["beta2"]
        r_scale = 1.0 / self._grown("beta2", clock)
        # eps + beta2*eps + .. of t steps: r of the core is without it, so that padding stays 0.
        added = eps * (1.0 - beta2 ** clock.count("step")) / (1.0 - beta2)
        return columns | {
            "rate": self._sign * self._at("lr", clock) / self._grown("beta1", clock),
            "r_scale": r_scale,
            "eps_in": added * r_scale,
        }

    def _lines(self) -> list[str]:
        *lines, last = super()._lines()
        if self.eps_inside:
            last = last.replace(" + eps)", ")")
        return [*lines, last]


@dataclass(frozen=True, repr=False)
class Yogi(Moments):
    """Adam whose r moves by a part of g^2 up or down, never faster (Zaheer et al. 2018).

        m = beta1*m + (1-beta1)*g
        r = r - (1-beta2)*sign(r - g^2)*g^2
        w = w - lr*m/(1-beta1^t) / (sqrt(r/(1-beta2^t)) + eps)

    The means are corrected as in Adam, as Optax does and the paper does not: its form is
    ``bias_correction=False``. ``like="optax"`` has m, too, start from `initial_accumulator`. A
    weight whose every gradient was 0 stays as it is.

    Parameters
    ----------
    lr, beta1, beta2
        As in `Adam`.
    eps
        Keeps the root from zero, >= 0.
    initial_accumulator
        What r starts from, >= 0.
    """

    lr: Number = 1e-2
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-3
    initial_accumulator: float = field(default=1e-6, kw_only=True)

    rule = "yogi"
    ranges: ClassVar[Ranges] = BETAS | {"initial_accumulator": NOT_NEGATIVE}

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        self._refuse_schedules("initial_accumulator")

    def _columns(self, clock: Clock) -> dict[str, Value]:
        return super()._columns(clock) | {
            "rate": self._sign * self._at("lr", clock) / self._grown("beta1", clock),
            "r_scale": 1.0 / self._grown("beta2", clock),
            "first_m": self._sign * self.initial_accumulator if self.like == "optax" else 0.0,
            "first_r": self.initial_accumulator,
        }

    def _lines(self) -> list[str]:
        first = "m = r" if self.like == "optax" else "r"
        return [f"{first} = {self.initial_accumulator:g} at first", *super()._lines()]


@dataclass(frozen=True, repr=False)
class Adan(Moments):
    """Adam with the change of the gradient as Nesterov's look ahead (Xie et al. 2022).

        d = g - g_before, 0 at first
        m = beta1*m + (1-beta1)*g
        v = beta2*v + (1-beta2)*d
        r = beta3*r + (1-beta3)*(g + beta2*d)^2
        w = w - lr*(m/(1-beta1^t) + beta2*v/(1-beta2^t)) / (sqrt(r/(1-beta3^t)) + eps)

    As in the authors' code the betas are what is kept (the paper's are 1 less), and decay comes
    after the step and is proximal. ``like="optax"`` has 1-beta2 in place of both factors beta2, of
    d and of v, and decay before the step, as elsewhere.

    Parameters
    ----------
    lr
        Learning rate, >= 0.
    beta1, beta2, beta3
        Parts of the three means that are kept, in [0, 1).
    eps
        Keeps the root from zero, >= 0.
    """

    lr: Number = 1e-3
    beta1: Number = 0.98
    beta2: Number = 0.92
    beta3: Number = 0.99
    eps: Number = 1e-8

    rule = "adan"
    _by_rows: ClassVar[bool] = False  # the gradient before is that of all rows
    ranges: ClassVar[Ranges] = BETAS | {"beta3": FRACTION}

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock)
        rate, optax = self._sign * self._at("lr", clock), self.like == "optax"
        mix = 1.0 - columns["beta2"] if optax else columns["beta2"]
        return columns | {
            "rate_m": rate / self._grown("beta1", clock),
            "rate_v": rate * mix / self._grown("beta2", clock),
            "mix": mix,
            "known": np.where(clock.steps == 0, 0.0, 1.0),
            "r_scale": 1.0 / self._grown("beta3", clock),
            "proximal": 0.0 if optax else 1.0,
        }

    @property
    def _decay_line(self) -> str:
        """Return how weights decay."""
        if self.like == "optax":
            return super()._decay_line
        return "at the end w = w/(1 + lr*weight_decay) (weights, not biases)"

    def _lines(self) -> list[str]:
        lines = super()._lines()
        if self.like == "optax":
            lines[-2:] = [x.replace("beta2*", "(1-beta2)*") for x in lines[-2:]]
        return lines


@dataclass(frozen=True, repr=False)
class AdEMAMix(Moments):
    """Adam with a second, slower mean of g added to the first (Pagliardini et al. 2024).

        m = beta1*m + (1-beta1)*g
        slow = beta3*slow + (1-beta3)*g
        r = beta2*r + (1-beta2)*g^2
        w = w - lr*(m/(1-beta1^t) + alpha*slow) / (sqrt(r/(1-beta2^t)) + eps)

    The paper lets alpha and beta3 rise from 0 and beta1 over the run: give schedules.

    Parameters
    ----------
    lr, beta1, beta2, eps
        As in `Adam`.
    beta3
        Part of the slow mean that is kept, in [0, 1).
    alpha
        Weight of the slow mean, >= 0.
    """

    lr: Number = 1e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    beta3: Number = 0.9999
    alpha: Number = 5.0
    eps: Number = 1e-8

    rule = "ademamix"
    ranges: ClassVar[Ranges] = BETAS | {"beta3": FRACTION, "alpha": NOT_NEGATIVE}

    def _columns(self, clock: Clock) -> dict[str, Value]:
        rate = self._sign * self._at("lr", clock)
        return super()._columns(clock) | {
            "rate": rate / self._grown("beta1", clock),
            "rate_slow": rate * self._at("alpha", clock),
            "r_scale": 1.0 / self._grown("beta2", clock),
        }
