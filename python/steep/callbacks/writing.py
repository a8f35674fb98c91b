"""Callbacks that write while a training goes on: checkpoints, tables, TensorBoard's files."""

import csv
import importlib
import io
import os
import re
import string
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks.names import choose
from ..checks.numbers import whole
from ..files import atomic
from ..training import resume

if TYPE_CHECKING:
    from ..training.trainer import Trainer

Logs = Mapping[str, float]


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


def _cells(logs: Logs, names: Sequence[str]) -> list[str]:
    return [repr(float(logs[name])) if name in logs else "" for name in names]


def _csv(lines: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
