"""Adafactor, whose second moments of a matrix are those of its rows and of its columns."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from ..checks.described import settle
from ..checks.numbers import NOT_NEGATIVE, POSITIVE, Range, Ranges, whole
from ..schedules.base import Number
from .base import Optimizer, Shape
from .clock import Clock, Value

__all__ = ["Adafactor"]

_OPTAX_FACTORS_FROM = 128


@dataclass(frozen=True, repr=False)
class Adafactor(Optimizer):
    """Adam's rates from a number a row and one a column (Shazeer & Stern 2018, algorithms 4, 5).

        beta2 = 1 - t^beta2_decay
        r = beta2*r + (1-beta2)*(mean g^2 of a row + eps1)
        c = beta2*c + (1-beta2)*(mean g^2 of a column + eps1)
        u = g / sqrt(r*c/mean(r))
        a = min(lr, 1/sqrt(t)) * max(eps2, RMS(w))
        w = w - a*u/max(1, RMS(u)/clip)

    A convolution is the matrix (height*width*inputs, outputs). A vector keeps all of its second
    moments: v = beta2*v + (1-beta2)*(g^2 + eps1), u = g/sqrt(v). There is no first moment.

    ``like="torch"`` leaves eps1 out of r, c and v, and takes max(mean(r), eps1) and
    max(sqrt(v), eps1); ``"keras"`` has the paper's form; ``"optax"`` has lr for min(lr, 1/sqrt(t)),
    and decay that is not multiplied by lr. They all factor other axes of a convolution, which is
    refused: PyTorch and Keras the last two, Optax the two largest.

    Parameters
    ----------
    lr
        Largest rate relative to the size of a parameter, >= 0.
    beta2_decay
        Power of the time, <= 0: how fast means become long.
    eps1
        Keeps the root away from 0, >= 0; a number.
    eps2
        Least size of a parameter that its steps are measured by, >= 0.
    clip
        Root of the mean square that a step has at most, before it is multiplied by its rate.
    relative_step
        Whether the rate falls like 1/sqrt(t). None: unless ``like="optax"``.
    scale_parameter
        Whether rates are relative to the size of a parameter.
    factored
        Whether matrices are factored; else they keep all of their second moments, as vectors do.
    factors_from
        Matrices with fewer rows or columns are not factored. None: 1, and 128 as Optax has it.
    """

    lr: Number = 0.01
    beta2_decay: Number = -0.8
    eps1: Number = 1e-30
    eps2: Number = 1e-3
    clip: Number = 1.0
    relative_step: bool | None = field(default=None, kw_only=True)
    scale_parameter: bool = field(default=True, kw_only=True)
    factored: bool = field(default=True, kw_only=True)
    factors_from: int | None = field(default=None, kw_only=True)

    ranges: ClassVar[Ranges] = {
        "lr": NOT_NEGATIVE,
        "beta2_decay": Range(-math.inf, 0.0, low_open=True, high_open=False),
        "eps1": NOT_NEGATIVE,
        "eps2": NOT_NEGATIVE,
        "clip": POSITIVE,
    }
    flags: ClassVar[tuple[str, ...]] = ("scale_parameter", "factored")

    def __post_init__(self) -> None:
        """Check the arguments: what eps1 adds in all steps must be known."""
        super().__post_init__()
        self._refuse_schedules("eps1")
        self._resolve("relative_step", True, optax=False)
        least = _OPTAX_FACTORS_FROM if self.like == "optax" else 1
        given = least if self.factors_from is None else self.factors_from
        settle(self, factors_from=whole("Adafactor", "factors_from", given))

    @property
    def rule(self) -> str:
        """The native rule: that of matrices, or that of what keeps all second moments."""
        return "adafactor" if self.factored else "adafactor_vector"

    def parts(
        self, shapes: Mapping[str, Shape], network: Mapping[str, Shape] | None = None
    ) -> list[tuple[Optimizer, list[str]]]:
        """Return the matrices that it factors, and the same without factors for the others.

        Raises
        ------
        ValueError
            If a library's form is asked for that factors other axes of a convolution.
        """
        mine = [name for name, shape in shapes.items() if self._factors(name, shape)]
        others = [name for name in shapes if name not in mine]
        full: Optimizer = replace(self, factored=False)
        found = [(each, names) for each, names in ((self, mine), (full, others)) if names]
        return found or [(self, mine)]

    def _factors(self, name: str, shape: Shape) -> bool:
        if not self.factored or len(shape) < 2:
            return False
        if self.like is None or len(shape) == 2:
            return min(math.prod(shape[:-1]), shape[-1]) >= (self.factors_from or 1)
        if self.like == "optax" and sorted(shape)[-2] < (self.factors_from or 1):
            return False
        raise ValueError(
            f"Adafactor: like={self.like!r} factors other axes of {name} {tuple(shape)} than its "
            "matrix; leave like out, or give factored=False or another optimizer to its group"
        )

    def _columns(self, clock: Clock) -> dict[str, Value]:
        rate, t = self._at("lr", clock), clock.steps + 1.0
        if self.relative_step:
            rate = np.minimum(rate, 1.0 / np.sqrt(t))
        fresh = t ** self._at("beta2_decay", clock)
        eps1, torch = self._at("eps1", clock), self.like == "torch"
        columns: dict[str, Value] = {
            "lr": self._sign * rate,
            "beta2": 1.0 - fresh,
            "one_minus_beta2": fresh,
            "eps_in": 0.0 if torch else eps1,
            "least": eps1 * eps1 if torch else 0.0,
            "eps2": self._at("eps2", clock),
            "scaled": float(self.scale_parameter),
            "clip": self._at("clip", clock),
        }
        return columns | ({"least_mean": eps1 if torch else 0.0} if self.factored else {})

    def _decay(self, clock: Clock) -> Value:
        if self.like == "optax":
            return self._at("weight_decay", clock)
        return super()._decay(clock)

    @property
    def _decay_line(self) -> str:
        line = super()._decay_line
        return line.replace("lr*", "") if self.like == "optax" else line

    def _lines(self) -> list[str]:
        beta2, r, c, u, a, w = super()._lines()
        moments = [r, c]
        if not self.factored:
            moments, u = ["v = beta2*v + (1-beta2)*(g^2 + eps1)"], "u = g / sqrt(v)"
        if self.like == "torch":
            moments = [line.replace(" + eps1)", ")") for line in moments]
            u = u.replace("mean(r)", "max(mean(r), eps1)")
            u = f"u = g / max({u.removeprefix('u = g / ')}, eps1)"
        if not self.relative_step:
            a = a.replace("min(lr, 1/sqrt(t))", "lr")
        if not self.scale_parameter:
            a = a.replace(" * max(eps2, RMS(w))", "")
        return ["t = number of the step, from 1", beta2, *moments, u, a, w]
