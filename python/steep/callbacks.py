"""What happens between epochs: early stopping, checkpoints, logs, and how callbacks are called.

A callback is any object with some of these methods::

    on_train_begin(trainer, logs)          # before the first step
    on_epoch_end(trainer, epoch, logs)     # epoch counts from 0; logs: loss, val_loss, ...
    on_step_end(trainer, step, logs)       # after every `every` steps, an attribute (1 if missing)
    on_train_end(trainer, logs)            # also after Ctrl-C and after a non-finite loss

A method may leave out arguments it does not want, by name: ``on_epoch_end(self, epoch, logs)``
works as in Keras. ``return "stop"`` ends the training. With ``state_dict()`` and
``load_state_dict(state)`` a callback's own state goes into checkpoints.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import checkpoint, resume
from .inputs import count
from .names import choose
from .ranges import NOT_NEGATIVE, Range, flag, number

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["CSVLog", "Checkpoint", "EarlyStopping", "ReduceOnPlateau", "TensorBoard"]

Logs = Mapping[str, float]
_REDUCING = Range(0.0, 1.0, low_open=True)


class EarlyStopping:
    """Stops when a quantity no longer improves, and brings the best weights back.

    The best weights come back however training ends: by this, by the number of epochs, by Ctrl-C.

    Parameters
    ----------
    monitor
        ``"val_loss"``, ``"val_accuracy"``, ``"loss"``, ``"accuracy"``.
    patience
        Epochs without improvement that are borne.
    min_delta
        Smallest change that counts as an improvement.
    restore_best
        Whether the network ends with the weights of its best epoch.
    mode
        ``"min"``, ``"max"``, or ``"auto"``: max for an accuracy.

    Attributes
    ----------
    best : float
        The best value so far.
    best_epoch : int
        Its epoch, from 0; -1 before the first.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str = "auto",
    ) -> None:
        self.monitor = monitor
        self.patience = count("EarlyStopping: patience", patience)
        self.min_delta = number("EarlyStopping", "min_delta", min_delta, NOT_NEGATIVE)
        self.restore_best = flag("EarlyStopping", "restore_best", restore_best)
        self.mode = _mode(mode, monitor)
        self._reset()

    def _reset(self) -> None:
        self.best = -math.inf if self.mode == "max" else math.inf
        self.best_epoch, self.wait = -1, 0
        self._weights: dict[str, Any] | None = None

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Refuse a quantity that nothing measures; forget an earlier training."""
        _refuse_unmeasured("EarlyStopping", self.monitor, trainer)
        self._reset()

    def on_epoch_end(self, trainer: "Trainer", epoch: int, logs: Logs) -> str | None:
        """Keep the weights of a better epoch; stop after `patience` others."""
        value = logs[self.monitor]
        gain = value - self.best if self.mode == "max" else self.best - value
        if gain > self.min_delta:
            self.best, self.best_epoch, self.wait = value, epoch, 0
            if self.restore_best:
                self._weights = dict(trainer.net.state_dict())
            return None
        self.wait += 1
        return "stop" if self.wait >= self.patience else None

    def on_train_end(self, trainer: "Trainer") -> None:
        """Bring the best weights back."""
        if self._weights is not None:
            trainer.net.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the best value, its weights, how long ago."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "wait": self.wait,
            "weights": self._weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was written."""
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
        self.wait, self._weights = int(state["wait"]), state["weights"]


class ReduceOnPlateau:
    """Multiplies the learning rate by a factor when a quantity no longer improves.

    lr = max(factor*lr, min_lr) after `patience` epochs without improvement; for `cooldown` epochs
    after that none is counted. The trainer's `lr` must be a number, not a schedule. Checkpoints
    keep the rate and the counts.

    Parameters
    ----------
    monitor
        ``"val_loss"``, ``"val_accuracy"``, ``"loss"``, ``"accuracy"``.
    factor
        In (0, 1).
    patience
        Epochs without improvement that are borne.
    min_delta
        Smallest change that counts as an improvement.
    cooldown
        Epochs, >= 0.
    min_lr
        Lowest rate, >= 0.
    mode
        ``"min"``, ``"max"``, or ``"auto"``: max for an accuracy.

    Attributes
    ----------
    best : float
        The best value so far.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str = "auto",
    ) -> None:
        self.monitor = monitor
        self.factor = number("ReduceOnPlateau", "factor", factor, _REDUCING)
        self.patience = count("ReduceOnPlateau: patience", patience)
        self.min_delta = number("ReduceOnPlateau", "min_delta", min_delta, NOT_NEGATIVE)
        self.cooldown = 0 if cooldown == 0 else count("ReduceOnPlateau: cooldown", cooldown)
        self.min_lr = number("ReduceOnPlateau", "min_lr", min_lr, NOT_NEGATIVE)
        self.mode = _mode(mode, monitor)
        self._reset()

    def _reset(self) -> None:
        self.best = -math.inf if self.mode == "max" else math.inf
        self.wait = self.cooling = 0

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Refuse a quantity that nothing measures, and a rate that follows a schedule."""
        _refuse_unmeasured("ReduceOnPlateau", self.monitor, trainer)
        if not isinstance(trainer.lr, float):
            raise ValueError(
                f"ReduceOnPlateau: the learning rate follows {trainer.lr!r}; give the optimizer a "
                "number, or leave this callback out"
            )
        self._reset()

    def on_epoch_end(self, trainer: "Trainer", logs: Logs) -> None:
        """Count an epoch, and lower the rate when there were enough without improvement."""
        value = logs[self.monitor]
        gain = value - self.best if self.mode == "max" else self.best - value
        if self.cooling:
            self.cooling -= 1
            self.wait = 0
        if gain > self.min_delta:
            self.best, self.wait = value, 0
            return
        if self.cooling:
            return
        self.wait += 1
        if self.wait >= self.patience and trainer.lr > self.min_lr:
            trainer.lr = max(self.factor * trainer.lr, self.min_lr)
            self.wait, self.cooling = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the best value and the counts."""
        return {"best": self.best, "wait": self.wait, "cooling": self.cooling}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was written."""
        self.best = float(state["best"])
        self.wait, self.cooling = int(state["wait"]), int(state["cooling"])


class Checkpoint:
    """Saves the trainer while it trains, and once more when training ends.

    A script that begins with ``Trainer.load(path)`` where the file exists, and then calls the same
    ``fit``, may be killed at any time and started again: it ends with the same weights.

    Parameters
    ----------
    path
        Of the file; ``{epoch}`` and ``{step}`` in it become the epochs and steps done.
    every
        ``"epoch"``, or a number of steps.
    """

    last = True  # runs after the others, to save what they have decided

    def __init__(self, path: str | PathLike[str], every: str | int = "epoch") -> None:
        self.path = str(Path(path))
        try:
            self.path.format(epoch=0, step=0)
        except (KeyError, IndexError, ValueError):
            raise ValueError(
                f"Checkpoint: path may contain {{epoch}} and {{step}}, got {self.path!r}"
            ) from None
        by_epoch = isinstance(every, str)
        if by_epoch:
            choose("Checkpoint every", str(every), {"epoch": 0})
        self.every = 0 if by_epoch else count("Checkpoint: every", every)

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Refuse what could not be saved, before the first step."""
        checkpoint.check_writable(self._target(trainer))
        resume.describe(trainer)

    def on_step_end(self, trainer: "Trainer") -> None:
        """Save after every so many steps."""
        if self.every:
            self._save(trainer)

    def on_epoch_end(self, trainer: "Trainer") -> None:
        """Save after every epoch."""
        if not self.every:
            self._save(trainer)

    def on_train_end(self, trainer: "Trainer") -> None:
        """Save the end; an interrupted training keeps the last regular file."""
        if trainer.finished:
            self._save(trainer)

    def _save(self, trainer: "Trainer") -> None:
        trainer.save(self._target(trainer))

    def _target(self, trainer: "Trainer") -> str:
        return self.path.format(epoch=trainer.epoch, step=trainer.steps)


class CSVLog:
    """Writes a table with a line for each epoch; a resumed training continues it.

    Parameters
    ----------
    path
        Of the file; it is begun anew, with what the trainer's history already holds.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Write the epochs so far."""
        table = trainer.history.history
        lines = [["epoch", *trainer.logged]]
        for epoch in range(len(trainer.history)):
            lines.append([str(epoch), *_cells({n: table[n][epoch] for n in table}, trainer.logged)])
        checkpoint.replace(self.path, _csv(lines).encode())

    def on_epoch_end(self, trainer: "Trainer", epoch: int, logs: Logs) -> None:
        """Add a line."""
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            file.write(_csv([[str(epoch), *_cells(logs, trainer.logged)]]))


class TensorBoard:
    """Writes every logged number for TensorBoard, by epoch.

    Parameters
    ----------
    dir
        Folder of the event files.

    Raises
    ------
    ImportError
        When training begins, if tensorboardX is not installed.
    """

    def __init__(self, dir: str | PathLike[str]) -> None:
        self.dir = Path(dir)
        self._writer: Any = None

    def on_train_begin(self) -> None:
        """Open the event file."""
        try:  # an extra: neither its types nor the package need be there
            from tensorboardX import (  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415
                SummaryWriter,
            )
        except ImportError:
            raise ImportError(
                "callbacks.TensorBoard needs tensorboardX: pip install 'steep[tensorboard]'"
            ) from None
        self._writer = SummaryWriter(str(self.dir))

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Write the numbers of the epoch."""
        for name, value in logs.items():
            self._writer.add_scalar(name, value, epoch)

    def on_train_end(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _mode(mode: str, monitor: str) -> str:
    """Return which way is better."""
    auto = "max" if "accuracy" in str(monitor) else "min"
    return choose("mode", mode, {"auto": auto, "min": "min", "max": "max"})


def _refuse_unmeasured(who: str, monitor: str, trainer: "Trainer") -> None:
    if monitor not in trainer.logged:
        hint = " Give fit validation=(Xv, yv)." if str(monitor).startswith("val_") else ""
        raise ValueError(
            f'{who}: nothing measures "{monitor}"; measured are {", ".join(trainer.logged)}.{hint}'
        )


def _cells(logs: Logs, names: Sequence[str]) -> list[str]:
    return [repr(float(logs[name])) if name in logs else "" for name in names]


def _csv(lines: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
