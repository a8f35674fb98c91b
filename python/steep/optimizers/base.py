"""What every optimizer has in common: checked numbers, switches, knob tables, configuration.

The algorithms themselves are in the files beside, their arithmetic in the native rules.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core, schedules
from ..checks.described import Described, settle
from ..checks.names import choose
from ..checks.numbers import FRACTION, NOT_NEGATIVE, Range, flag, keeps_kind
from ..schedules.base import Number, Schedule
from .clock import Clock, Value, times
from .formulas import written

LIKE = {"torch": "torch", "keras": "keras", "optax": "optax"}
BIAS_TIMES = {"step": "step", "epoch": "epoch"}
Shape: TypeAlias = tuple[int, ...]
BETAS = {"lr": NOT_NEGATIVE, "beta1": FRACTION, "beta2": FRACTION, "eps": NOT_NEGATIVE}
DECAY = {"weight_decay": NOT_NEGATIVE}  # of every rule
_ROOT = r"\(sqrt\((\S+)\) \+ eps\)|sqrt\((\S+) \+ eps\)"  # in a formula, eps outside or inside


@dataclass(frozen=True, repr=False)
class Optimizer(Described, ABC):
    """An update rule with its hyper-parameters; a description, without state.

    A subclass names its own hyper-parameters in `ranges` and its own switches in `flags`. Weights
    may decay beside the step of any rule: w = w - lr*weight_decay*w (Loshchilov & Hutter 2019).

    Parameters
    ----------
    weight_decay
        Decoupled decay of weights, not of biases, >= 0; it is multiplied by the rate. What PyTorch
        adds to the gradient under this name is `l2` of `Trainer`.
    like
        ``"torch"``, ``"keras"`` or ``"optax"``: write the update as that library does, where it
        differs. It chooses the form only, never a number.
    maximize
        Climb instead of descend.

    Raises
    ------
    TypeError, ValueError
        If an argument is no number, schedule or switch, or lies outside its range.
    """

    weight_decay: Number = field(default=0.0, kw_only=True)
    like: str | None = field(default=None, kw_only=True)
    maximize: bool = field(default=False, kw_only=True)

    kind: ClassVar[str] = "optimizer"
    flags: ClassVar[tuple[str, ...]] = ("maximize",)
    full_batch: ClassVar[bool] = False  # whether a step is an iteration on all samples
    others: ClassVar[tuple[str, ...]] = ()  # arguments that are optimizers themselves

    def __init_subclass__(cls) -> None:
        """Put what a class names beside what its bases do."""
        super().__init_subclass__()
        kinds = [vars(kind) for kind in reversed(cls.__mro__)]
        ranges = {k: v for kind in kinds for k, v in kind.get("ranges", {}).items()}
        cls.ranges = {k: v for k, v in ranges.items() if k not in DECAY} | DECAY
        cls.flags = tuple(dict.fromkeys(name for kind in kinds for name in kind.get("flags", ())))

    def __post_init__(self) -> None:
        """Check every argument and give numbers their one form: a float or a schedule."""
        super().__post_init__()
        if self.like is not None:
            settle(self, like=choose(f"{type(self).__name__} like", self.like, LIKE))

    def _refuse_schedules(self, *names: str) -> None:
        """Refuse all but numbers for hyper-parameters whose past values count at every step."""
        for name in names:
            if not isinstance(getattr(self, name), float):
                raise TypeError(f"{type(self).__name__}: {name} must be a number, not a schedule")

    def _number(self, name: str, value: object, allowed: Range) -> float | Schedule:
        return schedules.base.of(type(self).__name__, name, value, allowed)

    @property
    @abstractmethod
    def rule(self) -> str:
        """Name of the native rule that does this update."""

    def _columns(self, clock: Clock) -> dict[str, Value]:
        """Return the value of every knob of the rule, by name.

        Here of those that are hyper-parameters: x, or 1 - x as `one_minus_x`, which comes after.
        """
        columns: dict[str, Value] = {}
        for name, plain in _plain_knobs(self.rule):
            if name in self.ranges:
                value = self._at(name, clock)
                columns[name] = self._sign * value if name == "lr" else value
            elif plain in self.ranges:
                kept = columns[plain] if plain in columns else self._at(plain, clock)
                columns[name] = 1.0 - kept  # once, in float64; float32 loses digits
        return columns

    @property
    def _vectors(self) -> int:
        """How many vectors of each kind a method for full batches keeps."""
        return 0

    def _check_fits(self, loss: str, weights: int) -> None:
        """Refuse a loss, by its name, or a number of weights that this is not for."""

    def _lines(self) -> list[str]:
        """Return the update, one assignment a line: as written, where no switch changes it."""
        return written(type(self))

    def knobs(
        self, steps: ArrayLike, epochs: ArrayLike, epochs_next: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the knob table of some steps, a pure function of their numbers.

        Parameters
        ----------
        steps : (n,)
            Updates done before each step.
        epochs : (n,)
            The epoch of each step, from 0; it may have a fraction.
        epochs_next : (n,), optional
            The epoch of the step after each. Only rules that look ahead with a schedule by epoch
            ask for it.

        Returns
        -------
        (n, knobs) float64, columns in the order of ``_core.rules()[rule]["knobs"]``.

        Raises
        ------
        ValueError
            If a schedule leaves the range of its hyper-parameter; says where.
        """
        after = None if epochs_next is None else times(epochs_next)
        clock = Clock(times(steps), times(epochs), after)
        columns, order = self._columns(clock), knob_order(self.rule)
        if columns.keys() != knob_names(self.rule):
            missing, unknown = sorted({*order} - {*columns}), sorted({*columns} - {*order})
            raise RuntimeError(
                f"{type(self).__name__}: of the knobs of rule {self.rule}, {', '.join(order)}, "
                f"{missing} are missing; {unknown} are none of them"
            )
        table = np.empty((clock.steps.size, len(order)))
        for index, name in enumerate(order):
            table[:, index] = columns[name]
        return table

    def decay(self, steps: ArrayLike, epochs: ArrayLike) -> Value:
        """Return the decoupled weight decay of each step, lr*weight_decay; 0.0 where there is none.

        Parameters and errors are those of `knobs`.
        """
        if self.weight_decay == 0.0 and type(self)._decay is Optimizer._decay:
            return 0.0
        return self._decay(Clock(times(steps), times(epochs)))

    def _decay(self, clock: Clock) -> Value:
        if self.weight_decay == 0.0:
            return 0.0
        return self._at("lr", clock) * self._at("weight_decay", clock)

    def parts(
        self, shapes: Mapping[str, Shape], network: Mapping[str, Shape] | None = None
    ) -> list[tuple["Optimizer", list[str]]]:
        """Return who moves which of some parameters, named with their shapes: it moves all.

        `network` has all of them, where these are a part. Optimizers made for matrices leave others
        to another one, and stand first.
        """
        return [(self, list(shapes))]

    def value(self, name: str, step: int, epoch: float = 0.0) -> float:
        """Return a hyper-parameter at one step, as ``value("lr", 100)``."""
        if name not in self.ranges:
            choose(f"{type(self).__name__} hyper-parameter", name, dict(self.ranges))
        return float(np.asarray(self._at(name, Clock(times([step]), times([epoch])))).reshape(()))

    def _check_precision(self, precision: str) -> None:
        """Refuse numbers that are others in a precision: a momentum of 1 - 1e-9 is 1 in float32.

        Schedules may end in numbers too small to matter; they are not looked at.

        Parameters
        ----------
        precision
            That of a trainer; weights are float32 in all but ``"float64"``.

        Raises
        ------
        ValueError
            If one would be 0, infinite or at a limit of its range; names it.
        """
        if precision == "float64":
            return
        for name, allowed in self.ranges.items():
            value = getattr(self, name)
            if isinstance(value, float):
                keeps_kind(type(self).__name__, name, value, allowed)

    def formula(self, show: bool = True) -> str:
        """Print the exact update with its switches, and return the text.

        Parameters
        ----------
        show
            Whether to print it; False only returns the text.
        """
        g = "g = -dL/dw" if self.maximize else "g = dL/dw"
        decays = self._decay_line and (self.weight_decay or type(self).weight_decay)
        decay = [self._decay_line] if decays else []
        text = "\n".join([repr(self), *("  " + line for line in [g, *decay, *self._lines()])])
        if show:
            print(text)
        return text

    def __repr__(self) -> str:
        """Name every hyper-parameter, and what is optional where it is not at its default.

        Optional are switches, and numbers by keyword that are 0 where they are left out.
        """
        plain, by_keyword = type(self)(), {n.name: bool(n.kw_only) for n in fields(self)}
        numbers = sorted(self.ranges, key=by_keyword.__getitem__)
        switches = [n for n in by_keyword if n not in self.ranges]
        optional = {n for n in numbers if by_keyword[n] and getattr(plain, n) == 0.0} | {*switches}
        same = {n for n in optional if getattr(self, n) == getattr(plain, n)}
        shown = [f"{n}={getattr(self, n)!r}" for n in [*numbers, *switches] if n not in same]
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def _decay_line(self) -> str:
        """How weights decay beside the step; empty where the formula of the step says it."""
        return "w = w - lr*weight_decay*w (weights, not biases)"

    @property
    def _sign(self) -> float:
        """Sign of every rate: ascent is descent with a negative rate."""
        return -1.0 if self.maximize else 1.0

    def _at(self, name: str, clock: Clock) -> Value:
        """Return a hyper-parameter at some steps; a schedule must stay in its range there."""
        given: float | Schedule = getattr(self, name)
        if isinstance(given, float):
            return given
        value = clock.evaluate(given)
        if np.size(value):
            allowed = self.ranges[name]
            if not (float(np.min(value)) in allowed and float(np.max(value)) in allowed):
                self._refuse(name, clock, value, allowed)
        return value

    def _refuse(self, name: str, clock: Clock, value: Value, allowed: Range) -> None:
        every = np.broadcast_to(value, clock.steps.shape)
        step, bad = next(
            (step, v)
            for step, v in zip(clock.steps.tolist(), every.tolist(), strict=True)
            if v not in allowed
        )
        raise ValueError(
            f"{type(self).__name__}: {name} must be in {allowed}, "
            f"but its schedule gives {bad!r} at step {step:g}"
        )

    def _resolve(self, name: str, default: bool, **by_like: bool) -> None:
        """Settle a switch left at None: as `like` says, else the default."""
        given = getattr(self, name)
        meant = by_like.get(self.like or "", default)
        if given is None:
            settle(self, **{name: meant})
            return
        given = flag(type(self).__name__, name, given)
        if self.like in by_like and given != meant:
            raise ValueError(
                f"{type(self).__name__}: like={self.like!r} means {name}={meant}, "
                f"got {name}={given}; leave one of them out"
            )
        settle(self, **{name: given})


@dataclass(frozen=True, repr=False)
class Damped(Optimizer):
    """An optimizer that divides by a root kept away from zero by eps.

    Parameters
    ----------
    eps_inside
        Where eps stands: sqrt(r + eps) if True, sqrt(r) + eps if False.
    """

    eps_inside: bool | None = field(default=None, kw_only=True)

    def _columns(self, clock: Clock) -> dict[str, Value]:
        eps, inside = self._at("eps", clock), self.eps_inside
        places: dict[str, Value] = {
            "eps_in": eps if inside else 0.0,
            "eps_out": 0.0 if inside else eps,
        }
        return super()._columns(clock) | places

    def _lines(self) -> list[str]:
        root = r"sqrt(\1\2 + eps)" if self.eps_inside else r"(sqrt(\1\2) + eps)"
        return [re.sub(_ROOT, root, line) for line in super()._lines()]


@dataclass(frozen=True, repr=False)
class Moments(Damped):
    """An optimizer with running means that start at zero and may be corrected for that.

    Parameters
    ----------
    bias_correction
        Divide the running means by 1 - beta^t.
    bias_time
        What t counts: ``"step"``, as in the paper, or ``"epoch"``.
    sparse
        Rows of a matrix whose gradient is 0 at a step are left alone by it, with their moments and
        their decay, as PyTorch's SparseAdam and the lazy Adam of others do: for inputs of which
        few are not 0. SparseAdam's eps is that of ``like="keras"``. t counts all steps.
    """

    bias_correction: bool = field(default=True, kw_only=True)
    bias_time: str = field(default="step", kw_only=True)
    sparse: bool = field(default=False, kw_only=True)

    flags: ClassVar[tuple[str, ...]] = ("bias_correction", "sparse")
    _by_rows: ClassVar[bool] = True  # may some rows move and others not?
    _counts_time: ClassVar[bool] = False  # is t used without the correction, too?

    def __post_init__(self) -> None:
        """Check the switches."""
        super().__post_init__()
        self._resolve("eps_inside", False)
        where = f"{type(self).__name__} bias_time"
        settle(self, bias_time=choose(where, self.bias_time, BIAS_TIMES))
        if self.sparse and not self._by_rows:
            raise ValueError(
                f"{type(self).__name__}: all rows of a matrix move together; leave out sparse"
            )
        if not self.bias_correction and self.bias_time != "step" and not self._counts_time:
            raise ValueError(
                f'{type(self).__name__}: bias_time="{self.bias_time}" counts for the correction, '
                "which bias_correction=False leaves out; leave one of them out"
            )

    def _grown(self, beta: str, clock: Clock) -> Value:
        """Return the part of a running mean that is there yet: 1 - beta^t, or 1 uncorrected."""
        if not self.bias_correction:
            return 1.0
        return 1.0 - self._at(beta, clock) ** clock.count(self.bias_time)

    def _lines(self) -> list[str]:
        lines = super()._lines()
        if not self.bias_correction:  # every division by a "(1-..)" that counts
            lines = [re.sub(r"/\(1-(\w+\^t|prod [^)]+)\)", "", line) for line in lines]
        counts = self.bias_correction or self._counts_time
        return [f"t = number of the {self.bias_time}, from 1"] * counts + lines


@cache
def knob_order(rule: str) -> tuple[str, ...]:
    """Return the names of a native rule's knobs, in the order of its table's columns."""
    return tuple(_native(rule)["knobs"])


def _native(rule: str) -> dict[str, list[str]]:
    """Return what the core says of a rule, or of a method for full batches."""
    return _core.rules().get(rule) or _core.methods()[rule]


@cache
def knob_names(rule: str) -> frozenset[str]:
    """Return the same names, to be compared with."""
    return frozenset(knob_order(rule))


@cache
def _plain_knobs(rule: str) -> tuple[tuple[str, str], ...]:
    """Return the names again, each with that of the hyper-parameter it may be 1 less."""
    return tuple((name, name.removeprefix("one_minus_")) for name in knob_order(rule))
