"""`steep evaluate`: how good a run is on the rows of another table whose target is known."""

import argparse
import json
from typing import Any

from .. import metrics
from . import measures
from . import options as shared
from .trained import Trained

EXAMPLES = """examples:
  steep evaluate runs/a later.csv
  steep evaluate runs/a later.csv --json > metrics.json
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command and its options to the program's."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a run on rows whose target is known",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add = shared.adder(parser)
    add("folder", metavar="RUN", help="run folder of `steep train`")
    add("file", metavar="FILE", help="table with the columns of the run and its target")
    add("--json", action="store_true", help="print the metrics as JSON")
    shared.add_device(add, "predict on this device, wherever RUN was trained")
    shared.add_reading(parser)


def run(options: argparse.Namespace) -> int:
    """Measure as the options say."""
    given = vars(options)
    trained = Trained.load(given["folder"], shared.device(given.get("device", "cpu")))
    table = trained.table
    frame = table.open(given["file"], **shared.reading(given))
    X, y = table.apply(frame)
    goal = table.goal
    assert goal
    if y is None:
        names = ", ".join(map(repr, frame.names[:20]))
        raise ValueError(f"{given['file']}: lacks the target {goal.name!r}; it has {names}.")
    if not len(y):
        raise ValueError(f"{given['file']}: no row has a value of {goal.name!r}.")
    predicted, truth = trained.measure(X, y)
    classes = table.classes
    measure = measures.regression if classes is None else measures.classification
    found = measure(predicted, truth)
    ends = measures.intervals(measure, predicted, truth)
    left = len(frame.rows) - len(y)
    if given.get("json"):
        values: dict[str, Any] = {"samples": len(y), "rows_without_target": left, "metrics": {}}
        for name, value in found.items():
            values["metrics"][name] = {"value": value, "interval": ends[name]}
        if classes is not None:
            counts = metrics.confusion(truth, predicted.argmax(axis=1), len(classes))
            values |= {"classes": classes, "confusion": counts.tolist()}
        print(json.dumps(values, default=str))
        return 0
    print(f"{given['file']}: {len(y)} rows" + (f", {left} without a target left out" * bool(left)))
    for name, value in found.items():
        low, high = ends[name]
        print(f"{name:<18} {value:.4f}  (95 %: {low:.4f} to {high:.4f})")
    if classes is not None:
        print("\n".join(measures.confusion_table(predicted, truth, classes)))
    return 0
