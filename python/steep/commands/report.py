"""`steep report`: one HTML page of a run that needs nothing beside it. Its pictures: panels.py."""

import argparse
import csv
import html
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import Trainer
from ..data import Dataset
from ..files import atomic
from . import makers, panels, run_folder, tabular, texts, train
from .recipe import Recipe

REPORT = "report.html"
WORST = 15  # samples that are shown
FLOW_SAMPLES = 256

STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:64rem;margin:2rem auto;
padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.1rem;border-bottom:1px solid #ccc;margin-top:2rem}
table{border-collapse:collapse}td,th{padding:.15rem .8rem .15rem 0;text-align:left;
vertical-align:top}th{font-weight:600}img{max-width:100%}
.worst{display:flex;flex-wrap:wrap;gap:1rem}.worst figure{margin:0;font-size:.85rem}
.worst img{width:6.5rem;height:6.5rem;object-fit:contain;image-rendering:pixelated;display:block}"""


class Tested(NamedTuple):
    """What a trained network says to the test part, and how wrong each answer is."""

    X: Any
    y: Any
    said: Any  # classes, or values in the units of the data
    loss: Any
    sure: Any  # the probability it gave to the right class; None of a regression


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command and its options to the program's."""
    parser = commands.add_parser(
        "report", help="write one HTML page of a run: settings, curves, gradients, mistakes"
    )
    parser.set_defaults(run=run)
    parser.add_argument("folder", metavar="RUN_DIR", help="what steep train --out wrote")
    parser.add_argument("--out", metavar="FILE", help=f"where to (RUN_DIR/{REPORT})")
    parser.add_argument("--root", metavar="DIR", help="folder of fashion-mnist's four IDX files")


def run(options: argparse.Namespace) -> int:
    """Write the report."""
    folder = Path(options.folder)
    target = Path(options.out) if options.out else folder / REPORT
    atomic.replace(target, page(folder, options.root).encode())
    print(f"report: {target}")
    return 0


def page(folder: Path, root: str | None = None) -> str:
    """Return the page of a run.

    Raises
    ------
    ValueError
        If there is no run, or it has no epoch yet.
    ImportError
        If matplotlib is missing.
    """
    config = run_folder.read_config(folder)
    recipe = Recipe.from_json(
        config["recipe"] | {"device": "cpu"} | ({} if root is None else {"root": root})
    )
    history = _history(folder)
    parts = [
        _section("Settings", _settings(config)),
        _section("Learning curves", panels.curves(history)),
    ]
    data = train.opened(recipe)
    if recipe.model in texts.MODELS:
        parts[1:1] = [_section("Result", _metrics(folder))]
    elif makers.make(recipe, data) is None:
        parts[1:1] = [_section("Result", _metrics(folder))]
        parts += _network(folder, data, recipe.members)
    else:
        parts += [_section("Images", _pictures(folder))]
    title = f"{data.name}: {recipe.model}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )


def _network(folder: Path, data: Dataset, members: int | None) -> list[str]:
    """Return the sections on what was trained: gradients, and answers to the test part."""
    trainer = Trainer.load(folder / run_folder.CHECKPOINT, device="cpu")
    weights = folder / run_folder.WEIGHTS  # the best ones, where training stopped early
    if weights.exists():
        trainer.net.load_weights(weights)
    X, y = data.train
    X, y = tabular.repeated((X[:FLOW_SAMPLES], y[:FLOW_SAMPLES]), members)
    from .. import lab  # noqa: PLC0415 - only this command needs it

    flow = lab.gradient_flow(trainer.net, X, y, trainer.loss)
    tested = _tested(trainer, data)
    about = (
        f"Norm of the gradient of each matrix and filter on {len(X)} training samples, from the "
        "first layer to the last, after training."
    )
    words = html.escape(flow.report()).replace("\n", "<br>")
    picture = f"<p>{about}</p><p>{words}</p>{panels.flow(flow)}"
    found = [_section("Gradient flow", picture)]
    if data.classes is not None:
        words = "Rows are true classes of the test part, columns what they were taken for."
        matrix = panels.confusion(tested.y, tested.said, list(map(str, data.classes)))
        found.append(_section("Confusion matrix", f"<p>{words}</p>{matrix}"))
    else:
        picture = panels.scatter(_unscaled(data, tested.y), tested.said)
        found.append(_section("Predictions", picture))
    return [*found, _section("Worst-predicted samples", _worst(data, tested))]


def _tested(trainer: Trainer, data: Dataset) -> Tested:
    X, y = data.test
    found = tabular.together(trainer.net.predict(X), data.classes is not None)
    if data.classes is None:
        said = _unscaled(data, found.reshape(y.shape))
        return Tested(X, y, said, np.abs(said - _unscaled(data, y)).ravel(), None)
    right = found[np.arange(len(y)), y]
    return Tested(X, y, found.argmax(1), 1 - right, right)


def _unscaled(data: Dataset, y: Any) -> Any:
    mean, deviation = data.target_scale
    return mean + deviation * np.asarray(y, np.float64)


def _worst(data: Dataset, tested: Tested) -> str:
    """Return the samples with the largest losses, as images where they are some."""
    order = np.argsort(-tested.loss, kind="stable")[:WORST]
    if data.classes is None or tested.X.ndim not in (3, 4):
        return _worst_rows(data, tested, order)
    figures = []
    for k in order:
        true, said = data.classes[tested.y[k]], data.classes[tested.said[k]]
        words = f"sample {k}: true {true}, predicted {said}, p(true) {tested.sure[k]:.2g}"
        figures.append(
            f"<figure>{panels.image(tested.X[k], words)}"
            f"<figcaption>{html.escape(words)}</figcaption></figure>"
        )
    return f'<div class="worst">{"".join(figures)}</div>'


def _worst_rows(data: Dataset, tested: Tested, order: Any) -> str:
    lines = []
    for k in order:
        if data.classes is None:
            true, said = (
                f"{float(np.ravel(v)[0]):.5g}"
                for v in (_unscaled(data, tested.y[k]), tested.said[k])
            )
            lines.append((k, true, said, f"{tested.loss[k]:.3g}"))
        else:
            names = data.classes[tested.y[k]], data.classes[tested.said[k]]
            lines.append((k, *names, f"{tested.sure[k]:.2g}"))
    last = "absolute error" if data.classes is None else "probability of the true class"
    return _table([("sample", "true", "predicted", last), *lines], head=True)


def _settings(config: dict[str, Any]) -> str:
    recipe = {n: v for n, v in config["recipe"].items() if v not in (None, False, [], ())}
    about = {"steep": config.get("steep"), "time": config.get("time")}
    data = config.get("data", {})
    about["samples"] = ", ".join(f"{v} {n}" for n, v in data.get("samples", {}).items())
    about["parameters"] = config.get("parameters")
    optimizer = json.dumps(config.get("optimizer"), default=str)
    return _table([*recipe.items(), ("optimizer in full", optimizer), *about.items()])


def _metrics(folder: Path) -> str:
    path = folder / run_folder.METRICS
    if not path.is_file():
        return "<p>The run is not over: nothing was measured on the test part.</p>"
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [(f"test {name}", f"{value:.6g}") for name, value in found["test"].items()]
    return _table([*rows, ("test samples", found["samples"])])


def _history(folder: Path) -> dict[str, list[float]]:
    """Return the columns of history.csv."""
    path = folder / run_folder.HISTORY
    if not path.is_file():
        raise ValueError(f"{folder}: has no {run_folder.HISTORY}; train at least one epoch.")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else ()) if name != "epoch"]
    return {n: [float(row[n]) if row[n] else float("nan") for row in rows] for n in names}


def _pictures(folder: Path) -> str:
    found = sorted(p for p in folder.glob("*.png") if p.name != run_folder.CURVE)
    if not found:
        return "<p>The run is not over: no images were made.</p>"
    return "".join(panels.embedded(path.read_bytes(), path.stem) for path in found)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _table(rows: Any, *, head: bool = False) -> str:
    """Return a table: with names in its first row, or in its first column."""
    lines = []
    for k, row in enumerate(rows):
        tags = ["th" if (k if head else j) == 0 else "td" for j in range(len(row))]
        cells = (f"<{t}>{html.escape(str(c))}</{t}>" for t, c in zip(tags, row, strict=True))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"
