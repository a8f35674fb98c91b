"""Adam and its nearest family: AdamW, AMSGrad, Adamax, NAdam. Later ones are in moments.py."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ..checks.numbers import NOT_NEGATIVE, Ranges
from ..schedules.base import Number, Times
from .base import BETAS, Moments
from .clock import Clock, Value

__all__ = [
    "AMSGrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
]


@dataclass(frozen=True, repr=False)
class Adam(Moments):
    """Running means of g and g^2, corrected for their start at 0 (Kingma & Ba 2015, algorithm 1).

        m = beta1*m + (1-beta1)*g
        r = beta2*r + (1-beta2)*g^2
        w = w - lr*m/(1-beta1^t) / (sqrt(r/(1-beta2^t)) + eps)

    ``like="keras"`` is the paper's shorter form, in which eps is not corrected along with r:
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
        Divide by the largest r so far, as `AMSGrad` does; ``like="optax"`` keeps the largest of the
        corrected r instead.
    """

    lr: Number = 1e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-8
    amsgrad: bool = field(default=False, kw_only=True)

    ranges: ClassVar[Ranges] = BETAS
    flags: ClassVar[tuple[str, ...]] = ("amsgrad",)

    @property
    def rule(self) -> str:
        """Native rule: with the running mean of squares, or with its maximum."""
        return "amsgrad" if self.amsgrad else "adam"

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock)
        rate: Value = self._sign * self._at("lr", clock)
        first, second = self._grown("beta1", clock), self._grown("beta2", clock)
        if self.like == "keras":
            return columns | self._kept(1.0) | {"rate": rate * np.sqrt(second) / first}
        return columns | self._kept(1.0 / second) | {"rate": rate / first}

    def _kept(self, scale: Value) -> dict[str, Value]:
        """Return the correction of r: below the root, or before the largest r is taken."""
        if not self.amsgrad:
            return {"r_scale": scale}
        early = self.like == "optax"
        return {"r_kept": scale if early else 1.0, "r_scale": 1.0 if early else scale}

    def _lines(self) -> list[str]:
        *lines, last = super()._lines()
        if self.like == "keras":
            last = last.replace("r/(1-beta2^t)", "r")
            last = last.replace("m/(1-beta1^t)", "sqrt(1-beta2^t)/(1-beta1^t) * m")
        if self.amsgrad:
            kept = "r" if self.like != "optax" or not self.bias_correction else "r/(1-beta2^t)"
            lines.append(f"r_max = max(r_max, {kept})")
            last = last.replace(f"sqrt({kept}", "sqrt(r_max")
        return [*lines, last]


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam's step after w = w - lr*weight_decay*w (Loshchilov & Hutter 2019).

    Parameters
    ----------
    lr, beta1, beta2, eps, amsgrad
        As in `Adam`.
    weight_decay
        Decoupled decay of weights, not of biases, >= 0; it is multiplied by the rate.
    """

    weight_decay: Number = field(default=0.01, kw_only=True)

    def __init__(
        self,
        lr: Number = 1e-3,
        beta1: Number = 0.9,
        beta2: Number = 0.999,
        eps: Number = 1e-8,
        weight_decay: Number = 0.01,
        **switches: Any,
    ) -> None:
        """Take the decay by place, too: fields that a base names stand where the base has them."""
        super().__init__(lr, beta1, beta2, eps, weight_decay=weight_decay, **switches)


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
    """Adam with the largest gradient, forgotten slowly, in the root's place.

        m = beta1*m + (1-beta1)*g
        u = max(beta2*u, |g| + eps)
        w = w - lr/(1-beta1^t) * m/u

    (Kingma & Ba 2015, section 7.1.) The paper has no eps; here it stands as in PyTorch.
    ``like="keras"`` puts it into the division: u = max(beta2*u, |g|), w = w - lr/(1-beta1^t) *
    m/(u + eps). Where every gradient so far was 0, u stays 0 and the weight as it is.

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

    rule = "adamax"
    ranges: ClassVar[Ranges] = BETAS

    def __post_init__(self) -> None:
        """Check the arguments; there is no root for eps to stand in."""
        super().__post_init__()
        if self.eps_inside:
            raise ValueError("Adamax: has no root for eps to stand in; leave out eps_inside")

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock)
        rate: Value = self._sign * self._at("lr", clock)
        rate = rate / self._grown("beta1", clock)
        if self.like != "keras":  # eps stands beside |g|, there is no root
            columns["eps_in"], columns["eps_out"] = columns["eps_out"], columns["eps_in"]
        return columns | {"rate": rate}

    def _lines(self) -> list[str]:
        *lines, u, w = super()._lines()
        if self.like == "keras":
            u, w = u.replace(" + eps", ""), w.replace("m/u", "m/(u + eps)")
        return [*lines, u, w]


@dataclass(frozen=True, repr=False)
class NAdam(Moments):
    """Adam with Nesterov momentum (Dozat 2016).

        mu_t = beta1*(1 - 0.96^(t*momentum_decay)/2)
        m = beta1*m + (1-beta1)*g
        r = beta2*r + (1-beta2)*g^2
        n = (1-mu_t)/(1-prod mu_1..mu_t)*g + mu_t+1/(1-prod mu_1..mu_t+1)*m
        w = w - lr*n / (sqrt(r/(1-beta2^t)) + eps)

    ``like="optax"`` has mu_t = beta1 at every step.

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

    rule = "nadam"
    ranges: ClassVar[Ranges] = BETAS | {"momentum_decay": NOT_NEGATIVE}
    _counts_time: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        self._refuse_schedules("momentum_decay")
        if self.like == "optax" and self.momentum_decay != type(self).momentum_decay:
            raise ValueError("NAdam: like='optax' has no momentum_decay; leave one of them out")

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock)
        beta1, t = columns["beta1"], clock.count(self.bias_time)
        constant = self.like == "optax"
        mu, mu_next = (
            beta1 if constant else beta1 * (1.0 - 0.5 * 0.96 ** (n * self.momentum_decay))
            for n in (t, t + 1.0)
        )
        rate = self._sign * self._at("lr", clock)
        rate_g, rate_m = rate * (1.0 - mu), rate * mu_next
        if self.bias_correction:
            product = beta1**t * (1.0 if constant else _product(t, self.momentum_decay))
            rate_g = rate_g / (1.0 - product)
            rate_m = rate_m / (1.0 - product * mu_next)
        r_scale = 1.0 / self._grown("beta2", clock)
        return columns | {"rate_g": rate_g, "rate_m": rate_m, "r_scale": r_scale}

    def _lines(self) -> list[str]:
        lines = super()._lines()
        if self.like == "optax":
            lines[1 if lines[0].startswith("t = ") else 0] = "mu_t = beta1"
        return lines


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
