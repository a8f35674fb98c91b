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

import contextlib
import csv
import importlib
import io
import math
import os
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checks.names import choose
from .checks.numbers import NOT_NEGATIVE, SMALLEST, Range, flag, number, whole
from .files import atomic
from .training import resume

if TYPE_CHECKING:
    from .training.trainer import Trainer

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
        self.patience = whole("EarlyStopping", "patience", patience)
        self.min_delta = number("EarlyStopping", "min_delta", min_delta, NOT_NEGATIVE)
        self.restore_best = flag("EarlyStopping", "restore_best", restore_best)
        self.mode = _mode(mode, monitor)
        self._active = False  # between begin and end of a training
        self._reset()

    def _reset(self) -> None:
        self.best = -math.inf if self.mode == "max" else math.inf
        self.best_epoch, self.wait = -1, 0
        self._weights: dict[str, Any] | None = None

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Refuse a quantity that nothing measures; forget an earlier training."""
        _refuse_unmeasured("EarlyStopping", self.monitor, trainer)
        self._reset()
        self._active = True

    def on_epoch_end(self, trainer: "Trainer", epoch: int, logs: Logs) -> str | None:
        """Keep the weights of a better epoch; stop after `patience` others."""
        value = logs[self.monitor]
        gain = value - self.best if self.mode == "max" else self.best - value
        if gain > self.min_delta:
            weights = dict(trainer.net.state_dict()) if self.restore_best else None
            self.best, self.best_epoch, self.wait, self._weights = value, epoch, 0, weights
            return None
        self.wait += 1
        return "stop" if self.wait >= self.patience else None

    def on_train_end(self, trainer: "Trainer") -> None:
        """Bring the best weights back, once."""
        active, self._active = self._active, False
        if active and self._weights is not None:
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
        """Go on where a checkpoint was written; ValueError where that is no state of this."""
        with _of_checkpoint("EarlyStopping"):
            best, best_epoch = float(state["best"]), int(state["best_epoch"])
            wait, weights = int(state["wait"]), state["weights"]
            weights = None if weights is None else dict(weights.items())
        self.best, self.best_epoch, self.wait, self._weights = best, best_epoch, wait, weights


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
        *,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str = "auto",
    ) -> None:
        self.monitor = monitor
        self.factor = number("ReduceOnPlateau", "factor", factor, _REDUCING)
        self.patience = whole("ReduceOnPlateau", "patience", patience)
        self.min_delta = number("ReduceOnPlateau", "min_delta", min_delta, NOT_NEGATIVE)
        self.cooldown = whole("ReduceOnPlateau", "cooldown", cooldown, 0)
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
        lowered = max(self.factor * trainer.lr, self.min_lr)
        # A rate that float32 would make 0 is no rate.
        if self.wait >= self.patience and SMALLEST <= lowered < trainer.lr:
            trainer.lr = lowered
            self.wait, self.cooling = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the best value and the counts."""
        return {"best": self.best, "wait": self.wait, "cooling": self.cooling}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was written; ValueError where that is no state of this."""
        with _of_checkpoint("ReduceOnPlateau"):
            best, wait, cooling = float(state["best"]), int(state["wait"]), int(state["cooling"])
        self.best, self.wait, self.cooling = best, wait, cooling


class Checkpoint:
    """Saves the trainer while it trains, and once more when training ends.

    A script that begins with ``Trainer.load(path)`` where the file exists, and then calls the same
    ``fit``, may be killed at any time and started again: it ends with the same weights.

    Parameters
    ----------
    path
        Of the file; ``{epoch}`` and ``{step}`` in it become the epochs and steps done,
        ``{epoch:03d}`` with zeros in front; braces that stand for themselves are doubled.
    every
        ``"epoch"``, or a number of steps.
    """

    last = True  # runs after the others, to save what they have decided

    def __init__(self, path: str | PathLike[str], every: str | int = "epoch") -> None:
        self.path = str(Path(path))
        _check_template(self.path)
        by_epoch = isinstance(every, str)
        if by_epoch:
            choose("Checkpoint every", str(every), {"epoch": 0})
        self.every = 0 if by_epoch else whole("Checkpoint", "every", every)
        self._active = False  # between begin and end of a training

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Refuse what could not be saved, before the first step."""
        self._active = False
        atomic.check_writable(self._target(trainer))
        resume.describe(trainer._run.settings)
        self._active = True

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
        active, self._active = self._active, False
        if active and trainer.finished:
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
        Of the file; the first epoch's end begins it anew, with what the trainer's history holds.
        It has whole lines only, also where the disk is full.

    Raises
    ------
    OSError
        If it cannot be written, when training begins or when an epoch ends; names the path.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._begun = False  # whether this training's table is in the file

    def on_train_begin(self) -> None:
        """Refuse a path that cannot be written; the file stays as it is."""
        self._begun = False
        atomic.check_writable(self.path)

    def on_epoch_end(self, trainer: "Trainer", epoch: int, logs: Logs) -> None:
        """Add a line; the first one goes with the epochs so far."""
        line = _csv([[str(epoch), *_cells(logs, trainer.logged)]]).encode()
        if not (self._begun and _appended(self.path, line)):
            atomic.replace(self.path, _table(trainer, epoch) + line)
            self._begun = True

    def on_train_end(self) -> None:
        """Forget this training: the next one begins the file anew."""
        self._begun = False


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
    OSError
        When training begins, if the folder cannot be written or made.
    """

    def __init__(self, dir: str | PathLike[str]) -> None:
        self.dir = Path(dir)
        self._writer: Any = None

    def on_train_begin(self) -> None:
        """Refuse what could not be written; no file is made before the first epoch's end."""
        self.on_train_end()
        _summary_writer()
        place = next(p for p in (self.dir, *self.dir.absolute().parents) if p.exists())
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            why = "it cannot be written" if place.is_dir() else "it is no folder"
            raise OSError(f"TensorBoard: {self.dir} cannot hold event files: {place}: {why}")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Write the numbers of the epoch."""
        if self._writer is None:
            self._writer = _summary_writer()(str(self.dir))
        for name, value in logs.items():
            self._writer.add_scalar(name, value, epoch)

    def on_train_end(self) -> None:
        """Close the event file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


@contextlib.contextmanager
def _of_checkpoint(callback: str) -> Iterator[None]:
    """Say what is wrong with a state that a checkpoint kept for a callback."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{callback}: the checkpoint's state of it is damaged: {reason}") from None


def _check_template(path: str) -> None:
    """Refuse fields of a path other than the documented ones: format would evaluate attributes."""
    try:
        fields = [parts[1:] for parts in string.Formatter().parse(path) if parts[1] is not None]
    except ValueError:  # a brace alone
        fields = [("", "", None)]
    for name, spec, conversion in fields:
        width = re.fullmatch(r"0?([0-9]{0,2})d?", spec or "")
        plain = width is not None and int(width[1] or 0) <= 20
        if name not in ("epoch", "step") or conversion is not None or not plain:
            raise ValueError(
                "Checkpoint: path may contain {epoch} and {step}, with up to 20 digits as in "
                f"{{epoch:03d}}, and no other braces, got {path!r}"
            )


def _summary_writer() -> Any:
    try:  # an extra: neither its types nor the package need be there
        return importlib.import_module("tensorboardX").SummaryWriter
    except ImportError:
        raise ImportError(
            "callbacks.TensorBoard needs tensorboardX: pip install 'steep[tensorboard]'"
        ) from None


def _table(trainer: "Trainer", epochs: int) -> bytes:
    """Return the header and the lines of the first epochs of a trainer's history."""
    table = trainer.history.history
    lines = [["epoch", *trainer.logged]]
    for epoch in range(min(epochs, len(trainer.history))):
        lines.append([str(epoch), *_cells({n: table[n][epoch] for n in table}, trainer.logged)])
    return _csv(lines).encode()


def _appended(path: Path, line: bytes) -> bool:
    """Add a line to a file, whole or not at all; say whether there was a file."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_APPEND), "ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            try:
                left = memoryview(line)
                while left:  # a full disk takes a part, and refuses the next one
                    left = left[file.write(left) :]
            except BaseException:
                os.ftruncate(file.fileno(), before)
                raise
    except FileNotFoundError:
        return False
    except OSError as error:
        raise OSError(error.errno, f"cannot write here: {error.strerror}", str(path)) from None
    return True


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
