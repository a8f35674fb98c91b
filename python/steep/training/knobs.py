"""The table of hyper-parameters that a native call reads, a row a step: schedules and optimizer.

What a knob means is in the rules of the core; what may stand for one, in `settings`.
"""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core, schedules
from ..schedules.base import Schedule
from .settings import Settings

Array: TypeAlias = NDArray[Any]
ROWS = 4096  # steps of one table


class Knobs:
    """Hyper-parameters by step, evaluated ahead for up to `ROWS` steps at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._table = np.empty((0, 0))
        self._rates: Array = np.empty(0)
        self._first = 0
        self._changes = -1  # of the settings when the table was made

    def forget(self) -> None:
        """Do without the table where Python functions are in it: what they look at may change."""
        given = (*vars(self._settings.optimizer).values(), *self._settings.common.values())
        if any(_calls_python(v) for v in given):
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
            self._changes = settings.changes
            ahead = np.arange(max(1, min(ROWS, left)) + 1)
            epochs = (epoch + (batch + ahead) // batches).astype(np.float64)
            steps = step + ahead[:-1].astype(np.float64)
            self._table = table(settings, steps, epochs)
            rate = schedules.base.evaluate(settings.get("lr"), steps, epochs[:-1])
            self._rates = np.broadcast_to(rate, steps.shape)
            self._first, offset = step, 0
        return self._table[offset:]

    def rate(self, step: int) -> float | None:
        """Return the learning rate of a step of the last table."""
        offset = step - self._first
        return float(self._rates[offset]) if 0 <= offset < len(self._rates) else None


def table(settings: Settings, steps: Array, epochs: Array) -> Array:
    """Return the rows of `steps`; `epochs` holds one more, that of the step after them.

    Raises
    ------
    ValueError
        If a schedule gives a value that is not finite or below its range.
    """
    now, optimizer = epochs[:-1], settings.optimizer
    rule = optimizer.knobs(steps, now, epochs[1:])
    common = len(_core.COMMON_KNOBS)
    found = np.empty((len(steps), common + rule.shape[1]))
    limits = np.zeros(found.shape, bool)  # entries that stand for no limit
    for column, name in enumerate(_core.COMMON_KNOBS):
        if name == "decay":
            found[:, column] = optimizer.decay(steps, now)
            continue
        value = settings.common[name]
        if value is None:
            found[:, column], limits[:, column] = math.inf, True
            continue
        found[:, column] = schedules.base.evaluate(value, steps, now)
        if isinstance(value, Schedule) and not (found[:, column] >= 0).all():
            row = int(np.flatnonzero(~(found[:, column] >= 0))[0])
            raise ValueError(
                f"Trainer: {name} must be at least 0, but its schedule gives "
                f"{found[row, column]} at step {steps[row]:g}"
            )
        if name in ("l1", "l2") and optimizer.maximize:
            found[:, column] *= -1.0  # the loss is climbed, the weights decay all the same
    found[:, common:] = rule
    wrong = ~(np.isfinite(found) | limits)
    if wrong.any():
        row, column = (int(k) for k in np.argwhere(wrong)[0])
        names = [*_core.COMMON_KNOBS, *_core.rules()[optimizer.rule]["knobs"]]
        raise ValueError(
            f"{type(optimizer).__name__}: {names[column]} is {found[row, column]} at "
            f"step {steps[row]:g}; a schedule must stay finite"
        )
    return found


def penalties(settings: Settings, step: int, epoch: int) -> tuple[float, float]:
    """Return l1 and l2 as an objective that is to fall has them."""
    now = np.array([float(step)]), np.array([float(epoch)])
    sign = -1.0 if settings.optimizer.maximize else 1.0
    l1, l2 = (schedules.base.evaluate(settings.common[name], *now) for name in ("l1", "l2"))
    return sign * np.asarray(l1).item(), sign * np.asarray(l2).item()


def _calls_python(value: Any) -> bool:
    """Say whether a schedule is a function of the user's, or made of one."""
    if not isinstance(value, Schedule):
        return False
    return isinstance(value, schedules.Function) or any(map(_calls_python, vars(value).values()))
