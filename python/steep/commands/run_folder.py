"""The folder of one run: which files it holds, and when it may be written. Training is train.py."""

import csv
import io
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import atomic

WEIGHTS = "weights.safetensors"
CHECKPOINT = "trainer.safetensors"
HISTORY = "history.csv"
CURVE = "curve.png"
CONFIG = "config.json"
METRICS = "metrics.json"
TABLE = "table.json"
README = "README.md"


def create(out: str | None, dataset: str) -> Path:
    """Make a new folder, by default ``runs/<dataset>-<time>``, and see that it can be written.

    Raises
    ------
    ValueError
        It is not empty, or cannot be written.
    """
    try:
        folder = Path(out) if out is not None else _fresh(dataset)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ValueError(
                f"{folder}: is not empty. Name a new folder with --out, "
                "or go on with the run in it with --resume."
            )
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"{out or 'runs'}: cannot be written ({error.strerror}). Name another folder with "
            "--out."
        ) from None
    return folder


def resuming(folder: Path) -> str:
    """Return the command that goes on with a run."""
    return f"steep train --out {shlex.quote(str(folder))} --resume"


def _fresh(dataset: str) -> Path:
    """Make a folder that nobody else has: several runs may begin in one second."""
    base = Path("runs") / f"{dataset}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder, number = base, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
            folder = base.with_name(f"{base.name}-{number}")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write atomically."""
    atomic.replace(path, (json.dumps(values, indent=2, default=str) + "\n").encode())


def read_config(folder: Path) -> dict[str, Any]:
    """Read a run's config.json.

    Raises
    ------
    ValueError
        There is none, or it is damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder}: no run is here ({CONFIG} is missing).")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({error}).") from None
    if not isinstance(values, dict) or not isinstance(values.get("recipe"), dict):
        raise ValueError(f"{path}: not the settings of a run.")
    return values


def write_history(path: Path, history: Mapping[str, Sequence[float]]) -> None:
    """Write one row an epoch; a column that has no value everywhere stays empty there."""
    names = [name for name, values in history.items() if len(values)]
    rows = max((len(history[name]) for name in names), default=0)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["epoch", *names])
    for row in range(rows):
        cells = (history[name] for name in names)
        writer.writerow([row + 1, *(v[row] if row < len(v) else "" for v in cells)])
    atomic.replace(path, text.getvalue().encode())
