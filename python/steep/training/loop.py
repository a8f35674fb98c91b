"""The training loop: native calls over a table of hyper-parameters, one epoch after another.

Python runs between the native calls only. What can be wrong with the input was refused before.
"""

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core, schedules
from ..schedules import Schedule
from .hooks import Callbacks
from .interrupt import Interrupt
from .progress import Progress

if TYPE_CHECKING:
    from ..data.augment import Settings
    from .trainer import Trainer

Array: TypeAlias = NDArray[Any]
BUDGET = 0.05  # seconds a native call may take: Ctrl-C and progress wait that long
ROWS = 4096  # steps of one table


class NonFiniteError(FloatingPointError):
    """A loss or an update was not finite; the network keeps the weights from before that step.

    Attributes
    ----------
    step : int
        The update that was not done, counted from 1.
    epoch : int
        Its epoch, counted from 1.
    what : str
        ``"loss"`` or ``"gradient"``.
    where : str
        Layer or parameter in which it was met first.
    """

    def __init__(self, step: int, epoch: int, what: str, where: str) -> None:
        super().__init__(
            f"step {step} (epoch {epoch}): the {what} is not finite, first in {where}. The weights "
            "are those from before this step. Try a smaller learning rate, clip_norm=1 or inputs "
            "scaled to about [-1, 1]."
        )
        self.step, self.epoch, self.what, self.where = step, epoch, what, where

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments, as processes hand exceptions over."""
        return type(self), (self.step, self.epoch, self.what, self.where)


class Knobs:
    """Hyper-parameters by step, evaluated ahead for up to `ROWS` steps at a time."""

    def __init__(self, trainer: "Trainer") -> None:
        self._trainer = trainer
        self._table = np.empty((0, 0))
        self._rates: Array = np.empty(0)
        self._first = 0
        self._changes = -1  # of the trainer when the table was made

    def forget(self) -> None:
        """Do without the table where Python functions are in it: what they look at may change."""
        given = (*vars(self._trainer.optimizer).values(), *self._trainer.common.values())
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
        offset = step - self._first
        if self._changes != self._trainer.changes or not 0 <= offset < len(self._table):
            self._changes = self._trainer.changes
            ahead = np.arange(max(1, min(ROWS, left)) + 1)
            epochs = (epoch + (batch + ahead) // batches).astype(np.float64)
            steps = step + ahead[:-1].astype(np.float64)
            self._table = self.table(steps, epochs)
            rate = schedules.evaluate(self._trainer.lr, steps, epochs[:-1])
            self._rates = np.broadcast_to(rate, steps.shape)
            self._first, offset = step, 0
        return self._table[offset:]

    def rate(self, step: int) -> float | None:
        """Return the learning rate of a step of the last table."""
        offset = step - self._first
        return float(self._rates[offset]) if 0 <= offset < len(self._rates) else None

    def table(self, steps: Array, epochs: Array) -> Array:
        """Return the rows of `steps`; `epochs` holds one more, that of the step after them.

        Raises
        ------
        ValueError
            If a schedule gives a value that is not finite or below its range.
        """
        now, optimizer = epochs[:-1], self._trainer.optimizer
        rule = optimizer.knobs(steps, now, epochs[1:])
        common = len(_core.COMMON_KNOBS)
        table = np.empty((len(steps), common + rule.shape[1]))
        limits = np.zeros(table.shape, bool)  # entries that stand for no limit
        for column, name in enumerate(_core.COMMON_KNOBS):
            if name == "decay":
                table[:, column] = optimizer.decay(steps, now)
                continue
            value = self._trainer.common[name]
            if value is None:
                table[:, column], limits[:, column] = math.inf, True
                continue
            table[:, column] = schedules.evaluate(value, steps, now)
            if isinstance(value, Schedule) and not (table[:, column] >= 0).all():
                row = int(np.flatnonzero(~(table[:, column] >= 0))[0])
                raise ValueError(
                    f"Trainer: {name} must be at least 0, but its schedule gives "
                    f"{table[row, column]} at step {steps[row]:g}"
                )
            if name in ("l1", "l2") and optimizer.maximize:
                table[:, column] *= -1.0  # the loss is climbed, the weights decay all the same
        table[:, common:] = rule
        wrong = ~(np.isfinite(table) | limits)
        if wrong.any():
            row, column = (int(k) for k in np.argwhere(wrong)[0])
            names = [*_core.COMMON_KNOBS, *_core.rules()[optimizer.rule]["knobs"]]
            raise ValueError(
                f"{type(optimizer).__name__}: {names[column]} is {table[row, column]} at "
                f"step {steps[row]:g}; a schedule must stay finite"
            )
        return table


class Loop:
    """One `fit`: epochs from where the trainer stands until `last`."""

    def __init__(
        self,
        trainer: "Trainer",
        data: tuple[list[Array], Array, Array | None],
        validation: tuple[list[Array], Array, Array | None] | None,
        callbacks: Callbacks,
        *,
        last: int,
        progress: bool,
        augment: "Settings | None" = None,
    ) -> None:
        self.trainer, self.place, self.session = trainer, trainer.place, trainer.session()
        self.data, self.validation, self.callbacks, self.last = data, validation, callbacks, last
        self.augment = augment
        assert self.place.layout is not None and self.place.call is not None
        samples, self.batch_size, self.shuffle, self.drop_last = self.place.layout
        self.call = self.place.call
        self.batches = (
            samples // self.batch_size if self.drop_last else math.ceil(samples / self.batch_size)
        )
        self.samples = min(samples, self.batches * self.batch_size)  # of an epoch
        self.knobs = Knobs(trainer)
        self.progress = Progress(progress, self.samples, trainer.epoch, last)
        self.interrupt = Interrupt()
        self._data_set = -1  # which the session had when it was given ours

    def run(self, states: list[Any]) -> None:
        """Train; `states` are those of callbacks in the checkpoint this goes on from."""
        trainer, call = self.trainer, self.call
        logs: dict[str, float] = {}
        with self.interrupt:
            try:
                self.callbacks.restore(states)
                while trainer.epoch < self.last and not call.stopped:
                    if not self._steps():
                        break
                    logs = self._epoch_logs()
                    self.interrupt.check()
                    self._epoch_end(logs)
                    self.interrupt.check()
                trainer.verify()
                call.done = True
            finally:
                self.progress.close()
                # After a fault, too: the best weights are better than the last ones.
                self.callbacks.end(trainer.epoch, logs)
            self.place.call = None

    def _steps(self) -> bool:
        """Do what is left of the epoch in progress; False where a callback stopped it."""
        session, trainer = self.session, self.trainer
        while (at := session.progress)["batch"] < self.batches:
            if session.data_set != self._data_set:
                session.set_data(
                    *self.data, self.batch_size, self.shuffle, self.drop_last, self.augment
                )
                self._data_set = session.data_set
                self.interrupt.check()  # that took its time
            ahead = self.batches - at["batch"]
            left = ahead + (self.last - at["epoch"] - 1) * self.batches
            table = self.knobs.rows(at["steps"], at["epoch"], at["batch"], self.batches, left)
            due = self.callbacks.steps_until(at["steps"])
            count = min(ahead, len(table), ahead if due is None else due)
            known = min(len(trainer.recorded.steps["loss"]), at["steps"])
            done = session.run(table[:count], known, BUDGET)
            if done > 0:
                self.place.rate = self.knobs.rate(at["steps"] + done - 1)
            trainer.record()
            if 0 <= done < count:
                trainer.refuse_fault()
            if due is not None and done == due and self._step_end():
                self.call.stopped = True
                return False
            self.interrupt.check()
            if self.progress.due:
                at = session.progress
                shown = min(at["batch"] * self.batch_size, self.samples)
                self.progress.update(at["epoch"], shown, self._running())
        return True

    def _step_end(self) -> bool:
        with self.interrupt.at_once():  # nothing is between two states
            stop = self.callbacks.call("on_step_end", self.trainer.steps, self._running())
        self.knobs.forget()
        return stop

    def _running(self) -> dict[str, float]:
        """Return loss and accuracy of the epoch in progress."""
        at = self.session.progress
        seen = min(at["batch"] * self.batch_size, self.samples)
        logs = {"loss": at["loss"] / seen if seen else math.nan}
        if self.trainer.metrics:
            logs["accuracy"] = at["right"] / at["weight"] if at["weight"] > 0 else math.nan
        return logs

    def _epoch_logs(self) -> dict[str, float]:
        """Return the numbers of the epoch, validation included; changes nothing."""
        trainer = self.trainer
        logs = self._running()
        at = self.session.progress
        if self.validation is not None:
            with self.interrupt.at_once():  # nothing moves meanwhile
                measured = trainer.measure(*self.validation)
            logs |= {f"val_{name}": value for name, value in measured.items()}
        rate = self.place.rate  # of the last step; settings may have changed since
        if rate is None:
            rate = trainer.optimizer.value("lr", max(at["steps"] - 1, 0), at["epoch"])
        logs["lr"] = rate
        logs["seconds"] = at["seconds"]
        return logs

    def _epoch_end(self, logs: dict[str, float]) -> None:
        trainer, epoch = self.trainer, self.trainer.epoch
        trainer.verify(always=self.callbacks.present)
        trainer.end_epoch(logs)
        self.progress.epoch_end(epoch, logs)
        with self.interrupt.at_once():
            if self.callbacks.call("on_epoch_end", epoch, logs):
                self.call.stopped = True
        self.knobs.forget()


def _calls_python(value: Any) -> bool:
    """Say whether a schedule is a function of the user's, or made of one."""
    if not isinstance(value, Schedule):
        return False
    return isinstance(value, schedules.Function) or any(map(_calls_python, vars(value).values()))
