"""Rates scaled by past squares of the gradient: AdaGrad, RMSProp, AdaDelta, FTRL. No mean of it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..checks.described import settle
from ..checks.names import choose
from ..checks.numbers import FRACTION, NOT_NEGATIVE, POSITIVE, Range, Ranges
from ..schedules.base import Number
from .base import Damped, Optimizer
from .clock import Clock, Value
from .velocity import check_nesterov, check_rate_place, looking_back, velocity, with_velocity

__all__ = [
    "FTRL",
    "AdaDelta",
    "AdaGrad",
    "RMSProp",
]


@dataclass(frozen=True, repr=False)
class AdaGrad(Damped):
    """r = r + g^2, w = w - lr*g / (sqrt(r) + eps) (Duchi, Hazan & Singer 2011).

    Parameters
    ----------
    lr
        Learning rate, >= 0.
    eps
        Keeps the root from zero, >= 0; inside the root with ``eps_inside``, as in Keras and Optax.
    initial_accumulator
        What r starts from, >= 0; Keras and Optax take 0.1.
    """

    lr: Number = 0.01
    eps: Number = 1e-7
    initial_accumulator: float = field(default=0.0, kw_only=True)

    rule = "adagrad"
    ranges: ClassVar[Ranges] = {
        "lr": NOT_NEGATIVE,
        "eps": NOT_NEGATIVE,
        "initial_accumulator": NOT_NEGATIVE,
    }

    def __post_init__(self) -> None:
        """Check the arguments; settle where eps stands."""
        super().__post_init__()
        self._resolve("eps_inside", False, torch=False, keras=True, optax=True)
        self._refuse_schedules("initial_accumulator")

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock)
        # r only ever grows by g^2, so what it starts from may as well be added under the root.
        columns["eps_in"] = columns["eps_in"] + self.initial_accumulator
        return columns

    def _lines(self) -> list[str]:
        return [f"r = {self.initial_accumulator:g} at first", *super()._lines()]


@dataclass(frozen=True, repr=False)
class RMSProp(Damped):
    """r = rho*r + (1-rho)*g^2, w = w - lr*g / (sqrt(r) + eps) (Hinton 2012).

    With momentum the scaled gradient feeds a velocity: v = momentum*v - lr*g / (sqrt(r) + eps),
    w = w + v. With `nesterov` g, and so r, belongs to the point w + momentum*v; Optax's form
    instead takes it at w and steps on to momentum*v again. `centered` divides by the root of the
    variance, r - m^2 with m = rho*m + (1-rho)*g (Graves 2013).

    Parameters
    ----------
    lr
        Learning rate, >= 0.
    rho
        Part of the running mean of squares that is kept, in [0, 1).
    eps
        Keeps the root from zero, >= 0; inside the root with ``eps_inside``, as in Keras, and in
        Optax unless it is False.
    momentum, nesterov, lr_in_velocity
        As in `SGD`; ``like="torch"`` has the rate outside.
    centered
        Divide by the root of the variance instead of that of the mean square.
    preset
        ``"kathuria"``: rho 0.9, eps 1e-10 inside the root, as in his tutorial.
    """

    lr: Number = 1e-3
    rho: Number = 0.9
    eps: Number = 1e-8
    momentum: Number = 0.0
    nesterov: bool = False
    lr_in_velocity: bool | None = field(default=None, kw_only=True)
    centered: bool = field(default=False, kw_only=True)
    preset: str | None = field(default=None, kw_only=True)

    ranges: ClassVar[Ranges] = {
        "lr": NOT_NEGATIVE,
        "rho": FRACTION,
        "eps": NOT_NEGATIVE,
        "momentum": FRACTION,
    }
    flags: ClassVar[tuple[str, ...]] = ("nesterov", "centered")

    def __post_init__(self) -> None:
        """Check the arguments; settle the preset, and where eps and the rate stand."""
        super().__post_init__()
        if self.preset is not None:
            self._apply(choose("RMSProp preset", self.preset, PRESETS))
        self._resolve("eps_inside", self.like == "optax", torch=False, keras=True)
        self._resolve("lr_in_velocity", True, torch=False, keras=True, optax=True)
        check_nesterov(self)
        check_rate_place(self)
        if self.nesterov and self.like in ("torch", "keras"):
            raise ValueError(f"RMSProp: {self.like} has no Nesterov momentum; leave out like")

    def _apply(self, preset: Mapping[str, Any]) -> None:
        for name, value in preset.items():
            default = next(f for f in self.__dataclass_fields__.values() if f.name == name).default
            if getattr(self, name) not in (default, value):
                raise ValueError(
                    f"RMSProp: preset={self.preset!r} means {name}={value}, "
                    f"got {getattr(self, name)!r}; leave one of them out"
                )
            settle(self, **{name: value})

    @property
    def rule(self) -> str:
        """Native rule: by mean square or variance; plain, with velocity, or looking ahead."""
        plain = "rmsprop_centered" if self.centered else "rmsprop"
        if self.momentum == 0.0:
            return plain
        return f"{plain}_nesterov" if self._looks_ahead else f"{plain}_momentum"

    @property
    def _looks_ahead(self) -> bool:
        return self.nesterov and self.like is None

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock)
        if self.momentum == 0.0:
            return columns
        columns |= velocity(self, clock, look=self._looks_ahead)
        if self._looks_ahead:
            return columns
        if not self.nesterov:
            return columns | {"rate_direct": 0.0}
        return columns | looking_back(self, columns, clock)

    def _lines(self) -> list[str]:
        mean, step = super()._lines()
        if self.centered:
            step = step.replace("sqrt(r", "sqrt(r - m^2")
        lines = ["m = rho*m + (1-rho)*g"] * self.centered + [mean, step]
        return lines if self.momentum == 0.0 else with_velocity(self, lines, self._looks_ahead)


PRESETS: dict[str, dict[str, Any]] = {"kathuria": {"rho": 0.9, "eps": 1e-10, "eps_inside": True}}


@dataclass(frozen=True, repr=False)
class AdaDelta(Damped):
    """Steps as large as past steps, measured as gradients are (Zeiler 2012).

        r = rho*r + (1-rho)*g^2
        d = -sqrt(u + eps) / sqrt(r + eps) * g
        u = rho*u + (1-rho)*d^2
        w = w + lr*d

    Parameters
    ----------
    lr
        Learning rate, >= 0; the paper has none, which is 1.
    rho
        Part of both running means that is kept, in [0, 1).
    eps
        Starts the motion and keeps the root from zero, >= 0; inside both roots by default.

    Warns
    -----
    UserWarning
        If `lr` is at most 0.01: a rate of other algorithms, with which this one hardly moves.
    """

    lr: Number = 1.0
    rho: Number = 0.95
    eps: Number = 1e-6

    rule = "adadelta"
    ranges: ClassVar[Ranges] = {"lr": NOT_NEGATIVE, "rho": FRACTION, "eps": NOT_NEGATIVE}

    def __post_init__(self) -> None:
        """Check the arguments; warn of a rate meant for another algorithm."""
        super().__post_init__()
        self._resolve("eps_inside", True, torch=True, keras=True, optax=True)
        if isinstance(self.lr, float) and self.lr <= 0.01:
            warnings.warn(
                f"AdaDelta: lr={self.lr:g} hardly moves the weights; the paper's rate is 1.0",
                stacklevel=4,
            )


@dataclass(frozen=True, repr=False)
class FTRL(Optimizer):
    """Weights from the sum of all gradients, many of them exactly 0 (McMahan et al. 2013).

        n = r + g^2
        z = z + g + 2*l2_shrinkage*w - (n^lr_power - r^lr_power)/lr*w
        r = n
        w = (clip(z, -l1_strength, l1_strength) - z) / (r^lr_power/lr + beta/lr + 2*l2_strength)

    As Keras has it: a weight begins near 0 at its first gradient, whatever it was. One whose every
    gradient was 0 stays as it is, where Keras sets it to 0.

    Parameters
    ----------
    lr
        Learning rate, > 0.
    lr_power
        Power of r by which rates fall, in (0, 1]; Keras's `learning_rate_power` is its negative.
    initial_accumulator
        What r starts from, >= 0.
    l1_strength, l2_strength
        Penalties l1*|w| + l2*w^2 that the minimum in each step has, >= 0.
    l2_shrinkage
        A penalty that belongs to the gradient, >= 0.
    beta
        Slows early rates down, >= 0.
    """

    lr: Number = 1e-3
    lr_power: float = 0.5
    initial_accumulator: float = field(default=0.1, kw_only=True)
    l1_strength: Number = field(default=0.0, kw_only=True)
    l2_strength: Number = field(default=0.0, kw_only=True)
    l2_shrinkage: Number = field(default=0.0, kw_only=True)
    beta: Number = field(default=0.0, kw_only=True)

    ranges: ClassVar[Ranges] = {
        "lr": POSITIVE,
        "lr_power": Range(0.0, 1.0, low_open=True, high_open=False),
        "initial_accumulator": NOT_NEGATIVE,
        "l1_strength": NOT_NEGATIVE,
        "l2_strength": NOT_NEGATIVE,
        "l2_shrinkage": NOT_NEGATIVE,
        "beta": NOT_NEGATIVE,
    }

    def __post_init__(self) -> None:
        """Check the arguments: r is a sum of what one power and one start belong to."""
        super().__post_init__()
        self._refuse_schedules("lr_power", "initial_accumulator")

    @property
    def rule(self) -> str:
        """Native rule: of the power of the paper by roots, of others by logarithms."""
        return "ftrl_root" if self.lr_power == 0.5 else "ftrl"

    def _columns(self, clock: Clock) -> dict[str, Value]:
        lr = self._at("lr", clock)
        power = {} if self.rule == "ftrl_root" else {"power": self.lr_power}
        return power | {
            "per_lr": 1.0 / lr,
            "l1": self._at("l1_strength", clock),
            "l2": 2.0 * self._at("l2_strength", clock) + self._at("beta", clock) / lr,
            "shrinkage": 2.0 * self._at("l2_shrinkage", clock),
            "first_r": self.initial_accumulator,
            "toward": self._sign,
        }
