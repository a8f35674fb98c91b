"""`steep train`: from data to a run folder. Settings are in recipe.py, files in run_folder.py."""

import argparse
import math
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, callbacks, plots, set_num_threads
from ..data import Dataset, open_dataset
from ..optimizers import TABLE
from ..trainer import Trainer
from . import run_folder
from .recipe import MODELS, SCHEDULES, Recipe, build_network, build_optimizer, complete

INTERRUPTED = 130
# What may be said anew when a run goes on; everything else is in its config.json.
FREE = {"out", "resume", "threads", "quiet", "root", "dataset"}

EXAMPLES = """examples:
  steep train                                  bundled digits
  steep train fashion-mnist                    apt-get install dataset-fashion-mnist
  steep train table.csv --target price         your own table, or arrays X and y of an .npz file
  steep train --out runs/a --resume            go on with an interrupted run
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command and its options to the program's."""
    parser = commands.add_parser(
        "train",
        help="train a network and write a run folder",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    # Only what the user says is set; Recipe has the defaults.
    add = _Group(parser)
    add(
        "dataset",
        nargs="?",
        metavar="DATASET",
        help="digits (default), fashion-mnist, FILE.csv, FILE.npz, or a folder of IDX files",
    )
    add("--root", metavar="DIR", help="folder of fashion-mnist's four IDX files")
    add("--target", metavar="COLUMN", help="column of a CSV file to learn: a name or a position")
    add("--drop", metavar="COLUMN", action="append", help="column to leave out (repeatable)")
    add(
        "--task",
        choices=("classification", "regression"),
        help="by default text and few whole numbers are classes, all else is regression",
    )
    add("--validation", type=float, metavar="F", help="share held out for validation (0.1)")
    add("--model", metavar="NAME", help=f"{', '.join(MODELS)} (mlp)")
    add("--units", type=_units, metavar="N,N", help="hidden units of the mlp, e.g. 256,128")
    add("--dropout", type=float, metavar="F", help="part dropped after each hidden layer")
    add("--epochs", type=_positive, metavar="N")
    add("--batch-size", type=_positive, metavar="N")
    add("--optimizer", metavar="NAME", help=f"{', '.join(TABLE)} (adam)")
    add("--lr", type=float, metavar="F", help="learning rate")
    add("--momentum", type=float, metavar="F")
    add("--schedule", metavar="NAME", help=f"of the learning rate: {', '.join(SCHEDULES)}")
    add("--l1", type=float, metavar="F", help="penalty l1*sum|w| on weights")
    add("--l2", type=float, metavar="F", help="penalty l2/2*sum w^2 on weights")
    add("--clip-norm", type=float, metavar="F", help="largest norm of the whole gradient")
    add(
        "--early-stopping",
        action="store_true",
        help="stop when the validation loss no longer falls; keep the best weights",
    )
    add("--patience", type=_positive, metavar="N", help="epochs early stopping waits (10)")
    add("--seed", type=int, metavar="N", help="of the split, weights, shuffles, dropout (0)")
    add("--threads", type=_positive, metavar="N", help="default: every core")
    add("--out", metavar="DIR", help="run folder (runs/DATASET-TIME)")
    add("--resume", action="store_true", help="go on with the run in --out")
    add("--quiet", action="store_true", help="print the result only")


class _Group:
    def __init__(self, parser: argparse.ArgumentParser):
        self.parser = parser

    def __call__(self, name: str, **how: Any) -> None:
        self.parser.add_argument(name, default=argparse.SUPPRESS, **how)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value


def _units(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in text.split(","))


def run(options: argparse.Namespace) -> int:
    """Train as the options say."""
    given = {key: v for key, v in vars(options).items() if key not in {"command", "run"}}
    quiet = given.get("quiet", False)
    if "threads" in given:
        set_num_threads(given["threads"])
    work = _resumed(given) if given.get("resume") else _begun(given)
    if not quiet:
        _describe(work)
    try:
        work.train(progress=not quiet)
    except KeyboardInterrupt:
        work.save()
        print(
            f"interrupted: the weights and the place reached are in {work.folder}. "
            f"Go on with: steep train --out {work.folder} --resume"
        )
        return INTERRUPTED
    work.save()
    metrics = work.test()
    print(", ".join(f"test {name} {value:.4f}" for name, value in metrics.items()))
    notes = work.draw()
    print(f"run folder: {work.folder}{notes}")
    return 0


class _Work:
    """A recipe with its data, trainer and folder."""

    def __init__(self, recipe: Recipe, data: Dataset, trainer: Trainer, folder: Path):
        self.recipe, self.data, self.trainer, self.folder = recipe, data, trainer, folder

    def train(self, progress: bool) -> None:
        assert self.recipe.epochs
        assert self.recipe.batch_size
        each_epoch: list[Any] = [
            callbacks.Checkpoint(self.folder / run_folder.CHECKPOINT, every="epoch")
        ]
        if self.recipe.early_stopping:
            each_epoch.append(callbacks.EarlyStopping(patience=self.recipe.patience))
        self.trainer.fit(
            *self.data.train,
            epochs=self.recipe.epochs,
            batch_size=self.recipe.batch_size,
            validation=self.data.validation,
            callbacks=each_epoch,
            progress=progress,
        )

    def save(self) -> None:
        """Write what is trained."""
        self.trainer.save(self.folder / run_folder.CHECKPOINT)
        self.trainer.net.save_weights(self.folder / run_folder.WEIGHTS)
        run_folder.write_history(self.folder / run_folder.HISTORY, self.trainer.history.history)

    def test(self) -> dict[str, float]:
        """Measure on the test part, in the units of the data."""
        X, y = self.data.test
        if self.data.classes is not None:
            metrics = {name: float(v) for name, v in self.trainer.evaluate(X, y).items()}
        else:
            metrics = regression_metrics(self.trainer.net.predict(X), y, self.data.target_scale[1])
        run_folder.write_json(
            self.folder / run_folder.METRICS, {"samples": len(y), "test": metrics}
        )
        return metrics

    def draw(self) -> str:
        """Draw the learning curve, or say why there is none."""
        try:
            plots.learning_curve(
                self.trainer.history, self.folder / run_folder.CURVE, title=_title(self.recipe)
            )
        except ImportError as error:
            return f"\nno {run_folder.CURVE}: {error}"
        return ""


def regression_metrics(predicted: Any, y: Any, deviation: float) -> dict[str, float]:
    """Root mean square error, mean absolute error (in the data's units) and R^2.

    Parameters
    ----------
    predicted, y : ndarray
        (N, 1), standardised.
    deviation : float
        Unit of both, in the units of the data.

    Returns
    -------
    dict of str to float
        ``rmse``, ``mae``, ``r2``; r2 is NaN where y does not vary.
    """
    error = predicted.astype(np.float64) - y
    spread = float(np.var(y.astype(np.float64)))
    return {
        "rmse": deviation * math.sqrt(float(np.mean(error**2))),
        "mae": deviation * float(np.mean(np.abs(error))),
        "r2": 1.0 - float(np.mean(error**2)) / spread if spread else math.nan,
    }


def _recipe(given: Mapping[str, Any]) -> Recipe:
    names = {item.name for item in fields(Recipe)}
    values = {name: value for name, value in given.items() if name in names}
    if "drop" in values:
        values["drop"] = tuple(values["drop"])
    return Recipe(**values)


def _open(recipe: Recipe) -> Dataset:
    return open_dataset(
        recipe.dataset,
        root=recipe.root,
        target=recipe.target,
        task=recipe.task,
        drop=recipe.drop,
        validation=recipe.validation,
        seed=recipe.seed,
    )


def _begun(given: Mapping[str, Any]) -> _Work:
    recipe = _recipe(given)
    data = _open(recipe)
    samples = len(data.train[0])
    recipe = complete(recipe, samples)
    if recipe.early_stopping and data.validation is None:
        raise ValueError("--early-stopping: needs a validation part; leave out --validation 0.")
    net = build_network(recipe, data)
    trainer = Trainer(
        net,
        loss="cross_entropy" if data.classes is not None else "mse",
        optimizer=build_optimizer(recipe, samples),
        l1=recipe.l1,
        l2=recipe.l2,
        clip_norm=recipe.clip_norm,
        seed=recipe.seed,
    )
    folder = run_folder.create(given.get("out"), data.name)
    work = _Work(recipe, data, trainer, folder)
    run_folder.write_json(folder / run_folder.CONFIG, _config(work))
    return work


def _resumed(given: Mapping[str, Any]) -> _Work:
    if "out" not in given:
        raise ValueError("--resume: name the run folder with --out.")
    extra = sorted(set(given) - FREE)
    if extra:
        options = ", ".join("--" + name.replace("_", "-") for name in extra)
        raise ValueError(f"--resume: goes on with the settings of the run; leave out {options}.")
    folder = Path(given["out"])
    values = dict(run_folder.read_config(folder)["recipe"])
    if "dataset" in given and given["dataset"] != values.get("dataset"):
        raise ValueError(f"{folder}: is a run on {values.get('dataset')}, not {given['dataset']}.")
    values["root"] = given.get("root", values.get("root"))
    recipe = Recipe.from_json(values)
    return _Work(recipe, _open(recipe), Trainer.load(folder / run_folder.CHECKPOINT), folder)


def _config(work: _Work) -> dict[str, Any]:
    data, recipe = work.data, work.recipe
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    return {
        "steep": __version__,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "recipe": recipe.to_json(),
        "data": {
            "name": data.name,
            "task": data.task,
            "classes": data.classes,
            "samples": {name: len(part[0]) if part else 0 for name, part in parts.items()},
            "sample_shape": data.train[0].shape[1:],
            "preprocessing": data.preprocessing,
            "target": {"mean": data.target_scale[0], "deviation": data.target_scale[1]},
        },
        "optimizer": work.trainer.optimizer.get_config(),
        "parameters": work.trainer.net.num_parameters,
    }


def _title(recipe: Recipe) -> str:
    hidden = "-".join(map(str, recipe.units or ())) if recipe.model == "mlp" else recipe.model
    return f"{Path(recipe.dataset).name}: {hidden}, {recipe.optimizer}, batch {recipe.batch_size}"


def _describe(work: _Work) -> None:
    data, recipe = work.data, work.recipe
    held = len(data.validation[0]) if data.validation else 0
    shape = "x".join(map(str, data.train[0].shape[1:]))
    kind = f"{len(data.classes)} classes" if data.classes is not None else "regression"
    print(
        f"{data.name}: {len(data.train[0])} training, {held} validation, {len(data.test[0])} test "
        f"samples of {shape}, {kind}"
    )
    print(f"{_title(recipe)}, {recipe.epochs} epochs, {work.trainer.net.num_parameters} parameters")
