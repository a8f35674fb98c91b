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


class Knobs:
    """Hyper-parameters by step, evaluated ahead for up to `ROWS` steps at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._table = np.empty((0, 0))
        self._rates: Array = np.empty(0)
        self._first = 0
        self._changes = -1  # of the settings when the table was made
        self._calls_python = False  # to make it

    def forget(self) -> None:
        """Do without the table where Python functions are in it: what they look at may change."""
        if self._calls_python:
            self._changes = -1

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
        settings, offset = self._settings, step - self._first
        if self._changes != settings.changes or not 0 <= offset < len(self._table):
            self._changes, self._calls_python = settings.changes, _calls_python(settings)
            ahead = np.arange(max(1, min(ROWS, left)) + 1)
            epochs = (epoch + (batch + ahead) // batches).astype(np.float64)
            steps = step + ahead[:-1].astype(np.float64)
            self._table = table(settings, steps, epochs)
            rate = schedules.base.evaluate(settings.rate, steps, epochs[:-1])
            self._rates = np.broadcast_to(rate, steps.shape)
            self._first, offset = step, 0
        return self._table[offset:]

    def rate(self, step: int) -> float | None:
        """Return the learning rate of a step of the last table."""
        offset = step - self._first
        return float(self._rates[offset]) if 0 <= offset < len(self._rates) else None


def _calls_python(settings: Settings) -> bool:
    """Say whether a Python function gives values to a setting."""
    given: list[Any] = list(settings.terms().scalars)
    for each in settings.aims:
        given += each.common.values()
        for group in each.assigned.groups:
            given += [*vars(group.optimizer).values(), *group.common.values()]
    return any(schedules.base.calls_python(value) for value in given)


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
    """Return the numbers of some steps that losses go by: the weights that are schedules.

    Raises
    ------
    ValueError
        If one is not finite.
    """
    found = []
    for schedule in settings.terms().scalars:
        values = np.broadcast_to(schedules.base.evaluate(schedule, steps, epochs), steps.shape)
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            _refuse("Trainer", "the weight of a loss", values[row], steps[row])
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


def _refuse(where: str, name: str, value: float, step: float) -> None:
    if math.isfinite(value):
        raise ValueError(
            f"{where}: {name} must be at least 0, but its schedule gives {value} at step {step:g}"
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
