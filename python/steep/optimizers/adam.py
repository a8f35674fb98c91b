"""Adam and its family: AdamW, AMSGrad, Adamax, NAdam."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ..checks.numbers import FRACTION, NOT_NEGATIVE, Range
from ..schedules import Number, Times
from .base import Clock, Moments, Value, moving

_BETAS: dict[str, Range] = {
    "lr": NOT_NEGATIVE,
    "beta1": FRACTION,
    "beta2": FRACTION,
    "eps": NOT_NEGATIVE,
}


@dataclass(frozen=True, repr=False)
class Adam(Moments):
    """w = w - lr * m/(1-beta1^t) / (sqrt(r/(1-beta2^t)) + eps) (Kingma & Ba 2015, algorithm 1).

    m = beta1*m + (1-beta1)*g and r = beta2*r + (1-beta2)*g^2 are running means. ``like="keras"``
    is the paper's shorter form, in which eps is not corrected along with r:
    w = w - lr*sqrt(1-beta2^t)/(1-beta1^t) * m/(sqrt(r) + eps).

    Parameters
    ----------
    lr
        Learning rate, >= 0; 1 gives the form without a rate.
    beta1, beta2
        Parts of the two means that are kept, in [0, 1). Where one is a schedule, 1 - beta^t
        takes its value of the step.
    eps
        Keeps the root from zero, >= 0.
    amsgrad
        Divide by the largest r so far, as `AMSGrad` does.
    """

    lr: Number = 1e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-8
    amsgrad: bool = field(default=False, kw_only=True)

    ranges: ClassVar[Mapping[str, Range]] = _BETAS
    flags: ClassVar[tuple[str, ...]] = ("amsgrad", "maximize", "bias_correction")

    @property
    def rule(self) -> str:
        """Native rule: with the running mean of squares, or with its maximum."""
        return "amsgrad" if self.amsgrad else "adam"

    def _columns(self, clock: Clock) -> dict[str, Value]:
        beta1, beta2 = self._at("beta1", clock), self._at("beta2", clock)
        rate: Value = self._sign * self._at("lr", clock)
        r_scale: Value = 1.0
        if self.bias_correction:
            t = clock.count(self.bias_time)
            first, second = 1.0 - beta1**t, 1.0 - beta2**t
            if self.like == "keras":
                rate = rate * np.sqrt(second) / first
            else:
                rate, r_scale = rate / first, 1.0 / second
        return self._eps(clock) | {
            "rate": rate,
            "beta1": beta1,
            "one_minus_beta1": moving(beta1),
            "beta2": beta2,
            "one_minus_beta2": moving(beta2),
            "r_scale": r_scale,
        }

    def _lines(self) -> list[str]:
        lines = [*self._time_line(), "m = beta1*m + (1-beta1)*g", "r = beta2*r + (1-beta2)*g^2"]
        r = "r"
        if self.amsgrad:
            lines.append("r_max = max(r_max, r)")
            r = "r_max"
        if not self.bias_correction:
            return [*lines, f"w = w - lr*m / {self._root(r)}"]
        if self.like == "keras":
            return [*lines, f"w = w - lr*sqrt(1-beta2^t)/(1-beta1^t) * m / {self._root(r)}"]
        return [*lines, f"w = w - lr * m/(1-beta1^t) / {self._root(f'{r}/(1-beta2^t)')}"]


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """w = w - lr*weight_decay*w, then Adam's step (Loshchilov & Hutter 2019).

    Parameters
    ----------
    lr, beta1, beta2, eps, amsgrad
        As in `Adam`.
    weight_decay
        Decoupled decay of weights, not of biases, >= 0; it is multiplied by the rate.
    """

    weight_decay: Number = 0.01

    ranges: ClassVar[Mapping[str, Range]] = _BETAS | {"weight_decay": NOT_NEGATIVE}

    def decay(self, steps: Any, epochs: Any) -> Value:
        """Return lr*weight_decay at each step."""
        clock = Clock(np.asarray(steps, np.float64), np.asarray(epochs, np.float64))
        return self._at("lr", clock) * self._at("weight_decay", clock)

    def _lines(self) -> list[str]:
        return ["w = w - lr*weight_decay*w (weights, not biases)", *super()._lines()]


@dataclass(frozen=True, repr=False)
class AMSGrad(Adam):
    """Adam divided by the largest r so far: r_max = max(r_max, r) (Reddi, Kale & Kumar 2018).

    The running means are corrected as in Adam, which the paper leaves out: its form is
    ``bias_correction=False``.
    """

    amsgrad: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        if not self.amsgrad:
            raise ValueError("AMSGrad: amsgrad=False is Adam; use Adam")


@dataclass(frozen=True, repr=False)
class Adamax(Moments):
    """u = max(beta2*u, |g| + eps), w = w - lr/(1-beta1^t) * m/u (Kingma & Ba 2015, section 7.1).

    m = beta1*m + (1-beta1)*g. The paper has no eps; here it stands as in PyTorch. ``like="keras"``
    puts it into the division: u = max(beta2*u, |g|), w = w - lr/(1-beta1^t) * m/(u + eps). Where
    every gradient so far was 0, u stays 0 and the weight as it is.

    Parameters
    ----------
    lr, beta1, beta2
        As in `Adam`.
    eps
        Keeps u from zero, >= 0.
    """

    lr: Number = 2e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-8

    ranges: ClassVar[Mapping[str, Range]] = _BETAS

    def __post_init__(self) -> None:
        """Check the arguments; there is no root for eps to stand in."""
        super().__post_init__()
        if self.eps_inside:
            raise ValueError("Adamax: has no root for eps to stand in; leave out eps_inside")

    @property
    def rule(self) -> str:
        """Native rule."""
        return "adamax"

    def _columns(self, clock: Clock) -> dict[str, Value]:
        beta1 = self._at("beta1", clock)
        rate: Value = self._sign * self._at("lr", clock)
        if self.bias_correction:
            rate = rate / (1.0 - beta1 ** clock.count(self.bias_time))
        eps, outside = self._at("eps", clock), self.like == "keras"
        return {
            "rate": rate,
            "beta1": beta1,
            "one_minus_beta1": moving(beta1),
            "beta2": self._at("beta2", clock),
            "eps_in": 0.0 if outside else eps,
            "eps_out": eps if outside else 0.0,
        }

    def _lines(self) -> list[str]:
        rate = "lr/(1-beta1^t)" if self.bias_correction else "lr"
        size, below = ("|g|", "(u + eps)") if self.like == "keras" else ("|g| + eps", "u")
        means = ["m = beta1*m + (1-beta1)*g", f"u = max(beta2*u, {size})"]
        return [*self._time_line(), *means, f"w = w - {rate} * m/{below}"]


@dataclass(frozen=True, repr=False)
class NAdam(Moments):
    """Adam with Nesterov momentum (Dozat 2016).

    mu_t = beta1*(1 - 0.96^(t*momentum_decay)/2),
    w = w - lr*((1-mu_t)/(1-prod mu_1..mu_t)*g + mu_t+1/(1-prod mu_1..mu_t+1)*m)
    / (sqrt(r/(1-beta2^t)) + eps).

    Parameters
    ----------
    lr, beta1, beta2, eps
        As in `Adam`.
    momentum_decay
        Speed at which mu grows from beta1/2 to beta1, >= 0; 0.004 in the paper, 1 in Keras.
    """

    lr: Number = 2e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-8
    momentum_decay: float = 0.004

    ranges: ClassVar[Mapping[str, Range]] = _BETAS | {"momentum_decay": NOT_NEGATIVE}
    _counts_time: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        if not isinstance(self.momentum_decay, float):
            raise TypeError("NAdam: momentum_decay must be a number, not a schedule")

    @property
    def rule(self) -> str:
        """Native rule."""
        return "nadam"

    def _columns(self, clock: Clock) -> dict[str, Value]:
        beta1, beta2 = self._at("beta1", clock), self._at("beta2", clock)
        t = clock.count(self.bias_time)
        grown = 1.0 - 0.5 * 0.96 ** (t * self.momentum_decay)
        mu = beta1 * grown
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1.0) * self.momentum_decay))
        rate = self._sign * self._at("lr", clock)
        rate_g, rate_m, r_scale = rate * (1.0 - mu), rate * mu_next, np.ones_like(t)
        if self.bias_correction:
            product = beta1**t * _product(t, self.momentum_decay)
            rate_g = rate_g / (1.0 - product)
            rate_m = rate_m / (1.0 - product * mu_next)
            r_scale = 1.0 / (1.0 - beta2**t)
        return self._eps(clock) | {
            "rate_g": rate_g,
            "rate_m": rate_m,
            "beta1": beta1,
            "one_minus_beta1": moving(beta1),
            "beta2": beta2,
            "one_minus_beta2": moving(beta2),
            "r_scale": r_scale,
        }

    def _lines(self) -> list[str]:
        fixed = self.bias_correction
        g, m = "/(1-prod mu_1..mu_t)" * fixed, "/(1-prod mu_1..mu_t+1)" * fixed
        root = self._root("r/(1-beta2^t)" if fixed else "r")
        return [
            f"t = number of the {self.bias_time}, from 1",
            "mu_t = beta1*(1 - 0.96^(t*momentum_decay)/2)",
            "m = beta1*m + (1-beta1)*g",
            "r = beta2*r + (1-beta2)*g^2",
            f"w = w - lr*((1-mu_t){g}*g + mu_t+1{m}*m) / {root}",
        ]


@lru_cache(maxsize=16)
def _growth(decay: float) -> Times:
    """Return the products over i <= t of 1 - 0.96^(i*decay)/2 until they no longer matter."""
    products = [1.0]
    factor = 0.0
    while products[-1] > 1e-20 and factor < 1.0:
        factor = 1.0 - 0.5 * 0.96 ** (len(products) * decay)
        products.append(products[-1] * factor)
    return np.array(products)


def _product(t: Times, decay: float) -> Times:
    table = _growth(decay)
    return table[np.minimum(t, len(table) - 1).astype(np.int64)]
