"""Muon: steps of hidden matrices made orthogonal; another optimizer moves all else."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from ..checks.described import settle
from ..checks.names import choose, matches
from ..checks.numbers import ANY, FRACTION, NOT_NEGATIVE, Ranges, is_list, number, whole
from ..schedules.base import Number
from .adam import Adam
from .base import Optimizer, Shape
from .clock import Clock, Value

__all__ = ["Muon"]

# How long the step of a matrix is: its formula, and what of it the native rule takes the root of.
_LENGTHS = {
    "original": ("lr*sqrt(max(1, outputs/inputs))", {"least": 1.0, "by_window": 1.0}),
    "match_rms_adamw": ("lr*0.2*sqrt(max(inputs, outputs))", {"by_size": 0.2**2}),
    "none": ("lr", {"least": 1.0}),
}


@dataclass(frozen=True, repr=False)
class Muon(Optimizer):
    """Momentum made orthogonal by Newton-Schulz, for hidden matrices (Jordan et al. 2024).

        m = momentum*m + (1-momentum)*g
        u = momentum*m + (1-momentum)*g
        X = u / (|u| + eps)
        X = a*X + b*(X X^T)*X + c*(X X^T)^2*X, so many steps
        w = w - lr*sqrt(max(1, outputs/inputs))*X

    |u| is the root of the sum of squares. A convolution is moved as its matrix
    (height*width*inputs, outputs); the quotient is height/width there, as its authors' code has it.
    All other parameters, vectors and the last matrix of the network, are left to `rest`.

    ``like="torch"`` divides by max(|u|, eps); ``"keras"`` has m = momentum*m + g and u =
    momentum*m + g; ``"optax"`` divides m by 1 - momentum^(t+1) and g by 1 - momentum^t (without
    `nesterov` m by the latter), and takes outputs/inputs of a convolution's matrix.

    Parameters
    ----------
    lr
        Learning rate, >= 0: about the largest singular value of a step.
    momentum
        Part of the mean that is kept, in [0, 1).
    eps
        Keeps the quotient finite, >= 0.
    nesterov
        Mix the gradient into the mean once more; without it u is m.
    steps
        Of Newton-Schulz, from 1 to 99.
    coefficients
        Its a, b and c.
    adjust
        How long a step is: ``"original"``, as above; ``"match_rms_adamw"``, 0.2*sqrt(max(inputs,
        outputs)) times lr, as long as AdamW's (Liu et al. 2025); ``"none"``, lr.
    rest
        The optimizer of all other parameters. `maximize` holds for it, too.
    matrices
        Patterns of names, as groups of `Trainer` have them: of the matrices to move, the last one
        among them or not. None moves all but the last.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these.
    """

    lr: Number = 0.02
    momentum: Number = 0.95
    eps: Number = 1e-7
    nesterov: bool = field(default=True, kw_only=True)
    steps: int = field(default=5, kw_only=True)
    coefficients: tuple[float, float, float] = field(default=(3.4445, -4.775, 2.0315), kw_only=True)
    adjust: str = field(default="original", kw_only=True)
    rest: Optimizer = field(default=Adam(3e-4, 0.9, 0.95, 1e-10), kw_only=True)
    matrices: str | tuple[str, ...] | None = field(default=None, kw_only=True)

    rule = "muon"
    ranges: ClassVar[Ranges] = {"lr": NOT_NEGATIVE, "momentum": FRACTION, "eps": NOT_NEGATIVE}
    flags: ClassVar[tuple[str, ...]] = ("nesterov",)
    others: ClassVar[tuple[str, ...]] = ("rest",)

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        settle(self, steps=whole("Muon", "steps", self.steps, 1, 99))
        given = self.coefficients
        if not is_list(given) or len(given) != 3:
            raise TypeError(f"Muon: coefficients are three numbers (a, b, c), got {given!r}")
        checked = tuple(number("Muon", "coefficients", value, ANY) for value in given)
        settle(self, coefficients=checked)
        settle(self, adjust=choose("Muon adjust", self.adjust, {name: name for name in _LENGTHS}))
        if not isinstance(self.rest, Optimizer):
            raise TypeError(f"Muon: rest is an optimizer, as AdamW(3e-4), got {self.rest!r}")
        if self.rest.maximize and not self.maximize:
            raise ValueError("Muon: maximize holds for rest, too; give it to Muon")
        if self.rest.full_batch:
            raise ValueError(f"Muon: {self.rest!r} moves all parameters at once; rest cannot be it")
        patterns = self.matrices
        if patterns is not None:
            patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
            if not patterns or not all(isinstance(each, str) and each for each in patterns):
                raise TypeError(f"Muon: matrices are patterns of names, got {self.matrices!r}")
            settle(self, matrices=patterns)

    def parts(
        self, shapes: Mapping[str, Shape], network: Mapping[str, Shape] | None = None
    ) -> list[tuple[Optimizer, list[str]]]:
        """Return the matrices that it moves, and who moves the others.

        Raises
        ------
        ValueError
            If none of its patterns fits a matrix.
        """
        matrices = [name for name, shape in shapes.items() if len(shape) > 1]
        if self.matrices is None:
            last = [name for name, shape in (network or shapes).items() if len(shape) > 1][-1:]
            mine = [name for name in matrices if name not in last]
        else:
            mine = [n for n in matrices if any(matches(n, pattern) for pattern in self.matrices)]
            if matrices and not mine:
                raise ValueError(
                    f"Muon: no matrix is called {' or '.join(self.matrices)}; "
                    f"there are {', '.join(matrices)}"
                )
        if shapes and not mine and len(shapes) == len(network or ()):
            warnings.warn(
                f"Muon: no hidden matrix among {', '.join(shapes)}; {self.rest!r} moves them all. "
                'matrices="*" gives Muon the last matrix, too',
                stacklevel=2,
            )
        rest = replace(self.rest, maximize=self.maximize)
        left = {name: shape for name, shape in shapes.items() if name not in mine}
        return [(self, mine), *rest.parts(left, network)]

    def _check_precision(self, precision: str) -> None:
        super()._check_precision(precision)
        self.rest._check_precision(precision)

    def _columns(self, clock: Clock) -> dict[str, Value]:
        kept = self._at("momentum", clock)
        along: Value = kept if self.nesterov else 1.0
        direct: Value = 1.0 - kept if self.nesterov else 0.0
        if self.like == "keras" and self.nesterov:
            direct = 1.0
        elif self.like == "optax":
            t = clock.steps + 1.0
            along = along / (1.0 - kept ** (t + 1.0 if self.nesterov else t))
            direct = direct / (1.0 - np.power(kept, t))
        torch = self.like == "torch"
        length = {"least": 0.0, "by_flat": 0.0, "by_window": 0.0, "by_size": 0.0}
        length |= _LENGTHS[self.adjust][1]
        if self.like == "optax":
            length["by_flat"], length["by_window"] = length["by_window"], 0.0
        eps = self._at("eps", clock)
        return {
            **super()._columns(clock),
            **length,
            **dict(zip("abc", self.coefficients, strict=True)),
            "mu": kept,
            "take": 1.0 if self.like == "keras" else 1.0 - kept,
            "along": along,
            "direct": direct,
            "ns_steps": float(self.steps),
            "eps": 0.0 if torch else eps,
            "least_length": eps if torch else 0.0,
        }

    def _lines(self) -> list[str]:
        m, u, first, step, w = super()._lines()
        mean, mixed = "m", "(1-momentum)*g"
        if self.like == "keras":
            m, mixed = "m = momentum*m + g", "g"
        elif self.like == "optax":
            mean = f"m/(1-momentum^{'(t+1)' if self.nesterov else 't'})"
            mixed = "(1-momentum)*g/(1-momentum^t)"
        u = f"u = momentum*{mean} + {mixed}" if self.nesterov else f"u = {mean}"
        if self.like == "torch":
            first = "X = u / max(|u|, eps)"
        step = step.replace("so many", f"{self.steps}")
        w = w.replace(_LENGTHS["original"][0], _LENGTHS[self.adjust][0])
        return [m, u, first, step, w, f"all other parameters: {self.rest!r}"]
