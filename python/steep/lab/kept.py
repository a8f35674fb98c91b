"""The folder of a sweep: rows that are done, members on their way. Training is not here."""

import json
import threading
import zlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic
from ..training.trainer import Trainer
from .strategies import Choice

ROWS = "sweep.json"


class Kept:
    """Rows by member and epochs in one file, a checkpoint of each member beside it.

    Parameters
    ----------
    folder
        Made where it is missing; None keeps nothing.
    about
        What the sweep is; a folder that holds another one is refused.
    """

    def __init__(self, folder: str | PathLike[str] | None, about: Mapping[str, Any]) -> None:
        self.folder = None if folder is None else Path(folder)
        self._rows: dict[str, dict[str, Any]] = {}
        self._about, self._lock = json.loads(json.dumps(about)), threading.Lock()
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / ROWS).exists():
            self._read(self.folder / ROWS)
        else:
            self._write()  # refuses before anything is trained

    def row(self, choice: Choice, epochs: int) -> dict[str, Any] | None:
        """Return what a member measured after so many epochs, if that is known."""
        return self._rows.get(_name(choice, epochs))

    def note(self, choice: Choice, epochs: int, row: dict[str, Any]) -> None:
        """Keep what a member measured."""
        if self.folder is not None:
            with self._lock:
                self._rows[_name(choice, epochs)] = row
                self._write()

    def save(self, choice: Choice, trainer: Trainer) -> None:
        """Keep where a member stands; one that no file can hold begins anew when it is resumed."""
        if (path := self._path(choice)) is not None:
            try:
                trainer.save(path)
            except ValueError:  # a schedule is a Python function
                path.unlink(missing_ok=True)

    def load(self, choice: Choice) -> Trainer | None:
        """Return a member where it stood; None where it has to begin."""
        path = self._path(choice)
        if path is None or not path.exists():
            return None
        try:
            return Trainer.load(path)
        except ValueError:  # layers or losses of the user's own, or damaged: equal bytes, later
            return None

    def _path(self, choice: Choice) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / f"member-{'-'.join(map(str, choice))}.safetensors"

    def _read(self, path: Path) -> None:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            about, self._rows = found["about"], dict(found["rows"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"sweep: path: {path} is damaged ({error}); name another") from None
        other = [name for name in self._about if about.get(name) != self._about[name]]
        if other:
            raise ValueError(
                f"sweep: path: {path} holds a sweep with another {', '.join(other)}; name a new "
                "folder, or give the same arguments to go on"
            )

    def _write(self) -> None:
        assert self.folder is not None
        text = json.dumps({"about": self._about, "rows": self._rows}, indent=1)
        atomic.replace(self.folder / ROWS, text.encode())


def _name(choice: Choice, epochs: int) -> str:
    return f"{'-'.join(map(str, choice))} after {epochs}"


def seen(value: Any) -> Any:
    """Return what tells one argument from another, as JSON holds it: arrays by a sum of bytes."""
    if isinstance(value, (list, tuple)):
        return [seen(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): seen(each) for name, each in value.items()}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [str(value.dtype), list(value.shape), zlib.crc32(value.tobytes())]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return type(value).__name__  # the words of an object may have its address
