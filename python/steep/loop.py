"""The training loop: native calls over a table of hyper-parameters, one epoch after another.

Python runs between the native calls only. What can be wrong with the input was refused before.
"""

import math
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core, schedules
from .hooks import Callbacks
from .interrupt import Interrupt
from .progress import Progress
from .schedules import Schedule

if TYPE_CHECKING:
    from .data.augment import Settings
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


class Knobs:
    """Hyper-parameters by step, evaluated ahead for up to `ROWS` steps at a time."""

    def __init__(self, trainer: "Trainer") -> None:
        self._optimizer, self._common = trainer.optimizer, trainer.common
        self._table = np.empty((0, 0))
        self._first = 0

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
        if not 0 <= offset < len(self._table):
            count = max(1, min(ROWS, left))
            ahead = np.arange(count + 1)
            epochs = (epoch + (batch + ahead) // batches).astype(np.float64)
            self._table = self.table(np.arange(step, step + count, dtype=np.float64), epochs)
            self._first, offset = step, 0
        return self._table[offset:]

    def table(self, steps: Array, epochs: Array) -> Array:
        """Return the rows of `steps`; `epochs` holds one more, that of the step after them.

        Raises
        ------
        ValueError
            If a schedule gives a value that is not finite or below its range.
        """
        now = epochs[:-1]
        rule = self._optimizer.knobs(steps, now, epochs[1:])
        common = len(_core.COMMON_KNOBS)
        table = np.empty((len(steps), common + rule.shape[1]))
        for column, name in enumerate(_core.COMMON_KNOBS):
            if name == "decay":
                table[:, column] = self._optimizer.decay(steps, now)
                continue
            value = self._common[name]
            table[:, column] = schedules.evaluate(value, steps, now)
            if isinstance(value, Schedule) and not (table[:, column] >= 0).all():
                row = int(np.flatnonzero(~(table[:, column] >= 0))[0])
                raise ValueError(
                    f"Trainer: {name} must be at least 0, but its schedule gives "
                    f"{table[row, column]} at step {steps[row]:g}"
                )
        table[:, common:] = rule
        if not np.isfinite(table).all():
            row, column = (int(k) for k in np.argwhere(~np.isfinite(table))[0])
            names = [*_core.COMMON_KNOBS, *_core.rules()[self._optimizer.rule]["knobs"]]
            raise ValueError(
                f"{type(self._optimizer).__name__}: {names[column]} is {table[row, column]} at "
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
        assert self.place.layout is not None
        self.samples, self.batch_size, self.shuffle = self.place.layout
        self.batches = math.ceil(self.samples / self.batch_size)
        self.knobs = Knobs(trainer)
        self.losses, self.correct = np.empty(ROWS), np.empty(ROWS)
        self.progress = Progress(progress, self.samples, self.place.epoch, last)
        self.interrupt = Interrupt()
        self._right = 0.0  # right predictions of the last step
        self._ended: tuple[list[float], float, float] = ([], 0.0, 0.0)  # sums of the last epoch

    def run(self, states: list[Any]) -> None:
        """Train; `states` are those of callbacks in the checkpoint this goes on from."""
        place = self.place
        assert place.call is not None
        logs: dict[str, float] = {}
        with self.interrupt:
            self.callbacks.restore(states)
            try:
                while place.epoch < self.last and not place.call.stopped:
                    self._steps()
                    logs = self._epoch_logs()
                    self.interrupt.check()
                    self._epoch_end(logs)
                    self.interrupt.check()
                place.call = None
            finally:
                self.progress.close()
                # After a fault, too: the best weights are better than the last ones.
                self.callbacks.call("on_train_end", place.epoch, logs)

    def _steps(self) -> None:
        """Do what is left of the epoch in progress."""
        place, session = self.place, self.session
        while place.batch < self.batches:
            if self.trainer.bound is not self:
                session.set_data(*self.data, self.batch_size, self.shuffle, self.augment)
                self.trainer.bound = self
            ahead = self.batches - place.batch
            left = ahead + (self.last - place.epoch - 1) * self.batches
            table = self.knobs.rows(place.steps, place.epoch, place.batch, self.batches, left)
            due = self.callbacks.steps_until(place.steps)
            count = min(ahead, len(table), ahead if due is None else due)
            start = time.perf_counter()
            done = session.run(
                place.epoch,
                place.batch,
                place.steps,
                table[:count],
                self.losses[:count],
                self.correct[:count],
                BUDGET,
            )
            self._count(done, time.perf_counter() - start)
            if done < count:
                self._undo()
                self.trainer.refuse_fault()
            if due is not None and done == due and self._step_end():
                assert place.call is not None
                place.call.stopped = True
            self.interrupt.check()
            if self.progress.due:
                shown = place.batch * self.batch_size
                self.progress.update(place.epoch, min(shown, self.samples), self._running())

    def _count(self, done: int, seconds: float) -> None:
        place, losses = self.place, self.losses[:done].tolist()
        place.batch += done
        place.steps += done
        place.losses += losses
        place.correct += float(self.correct[:done].sum())
        place.seconds += seconds
        if done:
            self._right = float(self.correct[done - 1])
        self.trainer.history.steps["loss"] += losses

    def _undo(self) -> None:
        """Take back the update of an earlier call that the session took back."""
        fault, place, history = self.session.fault, self.place, self.trainer.history
        if fault is None or not fault["undone"]:
            return
        if place.batch == 0:
            place.epoch -= 1
            place.batch = self.batches
            place.losses, place.correct, place.seconds = self._ended
            history.pop()
        place.batch -= 1
        place.steps -= 1
        place.losses.pop()
        place.correct -= self._right
        history.steps["loss"].pop()

    def _step_end(self) -> bool:
        return self.callbacks.call("on_step_end", self.place.steps, self._running())

    def _running(self) -> dict[str, float]:
        """Return loss and accuracy of the epoch in progress."""
        place = self.place
        seen = min(place.batch * self.batch_size, self.samples)
        losses = np.array(place.losses)
        if self.trainer.reduction == "mean":
            losses *= self.batch_size
            if place.batch == self.batches:
                tail = self.samples - (self.batches - 1) * self.batch_size
                losses[-1] *= tail / self.batch_size
        logs = {"loss": float(losses.sum()) / seen}
        if self.trainer.metrics:
            logs["accuracy"] = place.correct / seen
        return logs

    def _epoch_logs(self) -> dict[str, float]:
        """Return the numbers of the epoch, validation included; changes nothing."""
        place, trainer = self.place, self.trainer
        logs = self._running()
        if self.validation is not None:
            measured = trainer.measure(*self.validation, check=self.interrupt.check)
            logs |= {f"val_{name}": value for name, value in measured.items()}
        logs["lr"] = trainer.optimizer.value("lr", max(place.steps - 1, 0), place.epoch)
        logs["seconds"] = place.seconds
        return logs

    def _epoch_end(self, logs: dict[str, float]) -> None:
        place = self.place
        epoch = place.epoch
        self.trainer.history.append(logs)
        self._ended = (place.losses, place.correct, place.seconds)
        place.epoch += 1
        place.begin_epoch()
        self.progress.epoch_end(epoch, logs)
        assert place.call is not None
        if self.callbacks.call("on_epoch_end", epoch, logs):
            place.call.stopped = True
