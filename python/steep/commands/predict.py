"""`steep predict`: what a run makes of the rows of another table."""

import argparse
import csv
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

from ..files import atomic
from . import options as shared
from .trained import Trained, labels

_OTHERS = frozenset({".xls", ".xlsx", ".parquet", ".feather", ".arrow", ".json", ".jsonl"})
EXAMPLES = """examples:
  steep predict runs/a new.csv -o predicted.csv
  steep predict runs/a new.csv --copy Id -o submission.csv
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command and its options to the program's."""
    parser = commands.add_parser(
        "predict",
        help="predict the target of new rows with a run",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add = shared.adder(parser)
    add("folder", metavar="RUN", help="run folder of `steep train`")
    add("file", metavar="FILE", help="table with the columns that the run was trained on")
    add("-o", "--out", metavar="OUT", help="CSV file to write (standard output)")
    add("--copy", metavar="COLUMN", action="append", help="column to copy from FILE (repeatable)")
    add("--json", action="store_true", help="say what was done as JSON")
    shared.add_device(add, "predict on this device, wherever RUN was trained")
    shared.add_reading(parser)


def run(options: argparse.Namespace) -> int:
    """Predict as the options say."""
    given = vars(options)
    trained = Trained.load(given["folder"], shared.device(given.get("device", "cpu")))
    out = given.get("out")
    if out is not None:
        if Path(out).suffix.lower() in _OTHERS:
            raise ValueError(f"-o {out}: predictions are written as CSV; name a file that says so.")
        atomic.check_writable(Path(out))
    frame = trained.table.open(given["file"], **shared.reading(given))
    predicted = trained.predict(trained.table.encode(frame))
    goal = trained.table.goal
    assert goal
    columns: dict[str, list[Any]] = {}
    made = [goal.name, *(f"{goal.name}={name}" for name in goal.classes or ())]
    for name in given.get("copy", []):
        if name in made:
            raise ValueError(f"--copy: {name!r} is a column of predictions; rename it in FILE.")
        column = frame.find(name)
        if column is None:
            raise ValueError(f"{given['file']}: no column {name!r} to copy.")
        column = frame.used(column)
        columns[name] = [_cell(v) for v in column.values.tolist()]
        if column.kind == "text":
            columns[name] = [column.texts[code] for code in column.values.tolist()]
    columns[goal.name] = labels(trained, predicted)
    for k, name in enumerate(made[1:]):
        columns[name] = [f"{p:.6g}" for p in predicted[:, k]]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    if out is None:
        sys.stdout.write(text.getvalue())
        return 0
    atomic.replace(Path(out), text.getvalue().encode("utf-8", "surrogatepass"))
    if given.get("json"):
        print(json.dumps({"out": out, "rows": len(predicted), "columns": list(columns)}))
    else:
        print(f"{out}: {len(predicted)} predictions of {goal.name!r}")
    return 0


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return int(value) if value.is_integer() else value
    return "" if value is None else value
