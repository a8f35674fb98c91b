"""The README.md of a run folder: what was trained on what, how good it is, how to go on."""

import shlex
from pathlib import Path
from typing import Any

from ..data import Dataset
from . import run_folder, texts
from .recipe import Recipe

_SETTINGS = (
    "model", "context", "units", "members", "dropout", "epochs", "batch_size", "optimizer", "lr",
    "momentum", "weight_decay", "schedule", "augment", "l1", "l2", "clip_norm", "early_stopping",
    "patience", "seed", "device",
)  # fmt: skip
_FILES = {
    run_folder.WEIGHTS: "the trained weights",
    run_folder.CHECKPOINT: "everything needed to go on",
    run_folder.TABLE: "what is done to each column",
    run_folder.CONFIG: "settings and facts of the data, for programs",
    run_folder.HISTORY: "one row an epoch",
    run_folder.METRICS: "the result, for programs",
    run_folder.CURVE: "the learning curve",
}


def text(folder: Path, recipe: Recipe, data: Dataset, result: dict[str, Any]) -> str:
    """Return the page; `result` is what metrics.json has."""
    return (
        "\n\n".join(
            part
            for part in (
                f"# {data.name}",
                _data(recipe, data),
                _columns(data),
                _settings(recipe, result),
                _result(result),
                _commands(folder, recipe, data),
                _files(folder),
            )
            if part
        )
        + "\n"
    )


def _data(recipe: Recipe, data: Dataset) -> str:
    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    counts = ", ".join(f"{len(part[0]) if part else 0} {name}" for name, part in parts.items())
    aim = f", target `{recipe.target}`" if recipe.target else ""
    kind = "regression" if data.classes is None else f"{len(data.classes)} classes"
    return f"Trained by steep on `{recipe.dataset}`{aim}: {counts} samples, {kind}."


def _columns(data: Dataset) -> str:
    table = data.table
    if table is None:
        return ""
    lines = ["| column | kind | missing | what is done |", "|---|---|---|---|"]
    for column in table.columns:
        cells = (column.name, column.kind, str(column.empty or ""), column.said())
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    if table.goal:
        lines.append(f"| {_cell(table.goal.name)} | target |  | {_cell(table.goal.said())} |")
    notes = "".join(f"\n- {note}" for note in table.notes)
    return "## Columns\n\n" + "\n".join(lines) + (f"\n{notes}" if notes else "")


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")


def _settings(recipe: Recipe, result: dict[str, Any]) -> str:
    lines = []
    for name in _SETTINGS:
        value = getattr(recipe, name)
        if value not in (None, (), "none") and not (value == 0.0 and name != "seed"):
            lines.append(f"- {name}: {value}")
    best = result.get("best_epoch")
    if best:
        lines.append(f"- weights of epoch {best} of {result['epochs']} are kept")
    return "## Settings\n\n" + "\n".join(lines)


def _result(result: dict[str, Any]) -> str:
    rows = [("test", name, value) for name, value in result["test"].items()]
    rows += [("validation", name, value) for name, value in result.get("validation", {}).items()]
    lines = ["| part | metric | value |", "|---|---|---|"]
    lines += [f"| {part} | {name} | {value:.4f} |" for part, name, value in rows]
    if guess := result.get("guessing"):
        lines.append(
            f"| test, always guessing the same | {guess['metric']} | {guess['value']:.4f} |"
        )
    for name, (mean, deviation) in result.get("cv", {}).get("metrics", {}).items():
        folds = result["cv"]["folds"]
        lines.append(f"| {folds} folds | {name} | {mean:.4f} ± {deviation:.4f} |")
    return "## Result\n\n" + "\n".join(lines)


def _commands(folder: Path, recipe: Recipe, data: Dataset) -> str:
    run = shlex.quote(str(folder))
    lines = [f"{run_folder.resuming(folder)}   # go on, also after --epochs N more"]
    if recipe.model in texts.MODELS:
        lines = [f'steep generate {run} "PROMPT"', *lines]
    if data.table is not None:
        lines = [
            f"steep predict {run} NEW.csv -o PREDICTED.csv",
            f"steep evaluate {run} LATER.csv",
            *lines,
        ]
    return "## Go on\n\n```sh\n" + "\n".join(lines) + "\n```"


def _files(folder: Path) -> str:
    there = [(name, what) for name, what in _FILES.items() if (folder / name).exists()]
    return "## Files\n\n" + "\n".join(f"- `{name}`: {what}" for name, what in there)
