"""The table of hyper-parameters that a native call reads, a row a step: schedules and optimizer.

What a knob means is in the rules of the core; what may stand for one, in `settings`.
"""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core, schedules
from ..optimizers.base import knob_order
from ..schedules.base import Schedule
from .groups import PENALTIES
from .settings import Settings

Array: TypeAlias = NDArray[Any]
GROUP_KNOBS = tuple(_core.GROUP_KNOBS)
ROWS = 4096  # steps of one table
APART = 32  # of one that single steps use


class Knobs:
    """Hyper-parameters by step, evaluated ahead for many steps at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._table = np.empty((0, 0))
        self._rates: float | Array = 0.0  # of its steps, or of all of them
        self._first = 0
        # What it was made for: changes of the settings, batches of an epoch, where one begins.
        self._known: tuple[int, int, int] | None = None
        self._looked_at = -1  # changes of the settings when Python functions were looked for
        self._python = False  # whether there are any

    def forget(self) -> None:
        """Do without the table where Python functions are in it: what they look at may change."""
        if self._python:
            self._known = None

    def rows(self, step: int, epoch: int, batch: int, batches: int, left: int) -> Array:
        """Return the table from `step` on, at least one row.

        Parameters
        ----------
        step
            Updates done before.
        epoch, batch, batches
            Its epoch, its place there, and how many an epoch has.
        left
            Steps that may still come.
        """
        known = self._settings.changes, batches, epoch * batches + batch - step
        if not self._holds(step, known):
            ahead = np.arange(max(1, min(ROWS, left)) + 1)
            self._make(step, epoch + (batch + ahead) // batches, known)
        return self._table[step - self._first :]

    def row(self, step: int, epoch: int) -> Array:
        """Return the table of `step` by itself; the next ones are taken to be in its epoch, too."""
        self.forget()
        known = self._settings.changes, 0, epoch
        if not self._holds(step, known):
            try:
                ahead = 1 if self.calls_python() else APART
                self._make(step, np.full(ahead + 1, epoch), known)
            except ValueError:  # of a step that may never come
                self._make(step, np.full(2, epoch), known)
        offset = step - self._first
        return self._table[offset : offset + 1]

    def _holds(self, step: int, known: tuple[int, int, int]) -> bool:
        return self._known == known and 0 <= step - self._first < len(self._table)

    def _make(self, step: int, epochs: Array, known: tuple[int, int, int]) -> None:
        """Make the table of as many steps as there are `epochs`, less one."""
        settings, self._known = self._settings, None
        self.calls_python()
        steps, epochs = step + np.arange(len(epochs) - 1, dtype=float), epochs.astype(float)
        self._table, self._first = table(settings, steps, epochs), step
        self._rates = schedules.base.evaluate(settings.rate, steps, epochs[:-1])
        self._known = known

    def calls_python(self) -> bool:
        """Say whether a Python function gives values to a setting."""
        settings = self._settings
        if self._looked_at != settings.changes:
            given: list[Any] = list(settings.terms().scalars)
            for each in settings.aims:
                given += each.common.values()
                for group in each.assigned.groups:
                    given += [*vars(group.optimizer).values(), *group.common.values()]
            calls = (schedules.base.calls_python(v) for v in given if not isinstance(v, float))
            self._python, self._looked_at = any(calls), settings.changes
        return self._python

    def rate(self, step: int) -> float | None:
        """Return the learning rate of a step of the last table."""
        offset = step - self._first
        if not 0 <= offset < len(self._table):
            return None
        return float(self._rates[offset] if isinstance(self._rates, np.ndarray) else self._rates)


def table(settings: Settings, steps: Array, epochs: Array) -> Array:
    """Return the rows of `steps`; `epochs` holds one more, that of the step after them.

    Raises
    ------
    ValueError
        If a schedule gives a value that is not finite or below its range.
    """
    columns: list[Any] = []
    rules: list[tuple[int, Array]] = []  # where the knobs of a group's rule begin, and their values
    for each in settings.aims:
        _add_objective(each, steps, epochs, columns, rules)
    columns += scalars(settings, steps, epochs[:-1])
    found = np.empty((len(steps), len(columns)))
    found[:] = [0.0 if isinstance(given, np.ndarray) else given for given in columns]
    for index, given in enumerate(columns):
        if isinstance(given, np.ndarray):
            found[:, index] = given
    for first, own in rules:
        found[:, first : first + own.shape[1]] = own
    return found


def _add_objective(
    settings: Settings,
    steps: Array,
    epochs: Array,
    columns: list[Any],
    rules: list[tuple[int, Array]],
) -> None:
    """Append the columns of an objective; those of a rule's own knobs are to be filled in."""
    now = epochs[:-1]
    follows: tuple[Any, ...] = (0.0, 0.0, 0.0)
    if settings.average is not None:
        follows = settings.average.rates(steps, now, epochs[1:])
    columns += [_common("clip_norm", settings.common["clip_norm"], steps, now), *follows]
    columns.append(_common("sam", settings.common["sam"], steps, now))
    for group in settings.assigned.groups:
        optimizer = group.optimizer
        for name in GROUP_KNOBS:
            columns.append(
                optimizer.decay(steps, now)
                if name == "decay"
                else _common(name, group.common[name], steps, now, optimizer.maximize)
            )
        own = optimizer.knobs(steps, now, epochs[1:])
        if not np.isfinite(own).all():
            row, column = (int(k) for k in np.argwhere(~np.isfinite(own))[0])
            name = knob_order(optimizer.rule)[column]
            _refuse(type(optimizer).__name__, name, own[row, column], steps[row])
        rules.append((len(columns), own))
        columns += [0.0] * own.shape[1]


def scalars(settings: Settings, steps: Array, epochs: Array) -> list[Any]:
    """Return the numbers of some steps that losses and ops go by: those that are schedules.

    Raises
    ------
    ValueError
        If one is not finite, or outside of its range.
    """
    found = []
    for schedule, allowed, what in settings.terms().scalars:
        values = np.broadcast_to(schedules.base.evaluate(schedule, steps, epochs), steps.shape)
        wrong = ~np.isfinite(values) | (values < allowed.low) | (values > allowed.high)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            _refuse("Trainer", what, values[row], steps[row], f"in {allowed}")
        found.append(values)
    return found


def scalars_now(settings: Settings, step: int, epoch: int) -> list[float]:
    """Return them at one step."""
    given = scalars(settings, np.array([float(step)]), np.array([float(epoch)]))
    return [float(values[0]) for values in given]


def _common(name: str, value: Any, steps: Array, epochs: Array, maximize: bool = False) -> Any:
    """Return a penalty or a limit at some steps; where the loss is climbed, weights still decay."""
    if value is None:
        return math.inf
    if isinstance(value, float):
        return -value if maximize and name in PENALTIES else value
    found = schedules.base.evaluate(value, steps, epochs)
    if isinstance(value, Schedule):
        found = np.broadcast_to(found, steps.shape)
        for wrong in (~np.isfinite(found), ~(found >= 0)):
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                _refuse("Trainer", name, found[row], steps[row])
    return -found if maximize and name in PENALTIES else found


def _refuse(where: str, name: str, value: float, step: float, within: str = "at least 0") -> None:
    if math.isfinite(value):
        raise ValueError(
            f"{where}: {name} must be {within}, but its schedule gives {value} at step {step:g}"
        )
    raise ValueError(f"{where}: {name} is {value} at step {step:g}; a schedule must stay finite")


def penalties(settings: Settings, step: int, epoch: int) -> tuple[list[float], list[float]]:
    """Return l1 and l2 of each group as an objective that is to fall has them."""
    now = np.array([float(step)]), np.array([float(epoch)])
    l1, l2 = (
        [
            np.asarray(_common(name, group.common[name], *now, group.optimizer.maximize)).item()
            for group in settings.assigned.groups
        ]
        for name in PENALTIES
    )
    return l1, l2
