"""`steep train`: its options, and how a run begins, goes on and ends. The run is in job.py."""

import argparse
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from .. import NonFiniteError, Trainer, set_num_threads
from ..data import Dataset, open_dataset
from ..optimizers import TABLE
from . import INTERRUPTED, makers, run_folder
from .job import Job, make_trainer
from .recipe import SCHEDULES, Recipe, build_augment, complete, names

# What may be said anew when a run goes on; everything else is in its config.json.
FREE = {"out", "resume", "threads", "quiet", "root", "dataset"}

EXAMPLES = """examples:
  steep train                                  bundled digits
  steep train fashion-mnist                    apt-get install dataset-fashion-mnist
  steep train fashion-mnist --model lenet5     a convolutional network; resnet20 and others
  steep train fashion-mnist --model vae        images: vae, dcgan, autoencoder, unet (denoises)
  steep train flowers --model resnet18 --size 64,64   a folder of class folders of pictures
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
    add = partial(parser.add_argument, default=argparse.SUPPRESS)
    add(
        "dataset",
        nargs="?",
        metavar="DATASET",
        help="digits (default), fashion-mnist, FILE.csv, FILE.npz, a folder of IDX files, or a "
        "folder of class folders of pictures",
    )
    add("--root", metavar="DIR", help="folder of fashion-mnist's four IDX files")
    add("--target", metavar="COLUMN", help="column of a CSV file to learn: a name or a position")
    add("--drop", metavar="COLUMN", action="append", help="column to leave out (repeatable)")
    add(
        "--task",
        choices=("classification", "regression"),
        help="by default text and few whole numbers are classes, all else is regression",
    )
    add("--size", type=_size, metavar="H,W", help="scale the pictures of class folders to this")
    add("--validation", type=float, metavar="F", help="share held out for validation (0.1)")
    add("--model", metavar="NAME", help=f"{', '.join(names())} (mlp)")
    add("--units", type=_units, metavar="N,N", help="hidden units of the mlp, e.g. 256,128")
    add("--dropout", type=float, metavar="F", help="part dropped after each hidden layer")
    add("--epochs", type=_count, metavar="N")
    add("--batch-size", type=_count, metavar="N")
    add("--optimizer", metavar="NAME", help=f"{', '.join(TABLE)}")
    add("--lr", type=float, metavar="F", help="learning rate")
    add("--momentum", type=float, metavar="F")
    add("--weight-decay", type=float, metavar="F", help="decoupled: w = w - lr*weight_decay*w")
    add("--schedule", metavar="NAME", help=f"of the learning rate: {', '.join(SCHEDULES)}")
    add(
        "--augment",
        metavar="A,A",
        help="change images at random while training: flip, shift=PIXELS, cutout=PIXELS, "
        "fill=VALUE; or none",
    )
    add("--l1", type=float, metavar="F", help="penalty l1*sum|w| on weights")
    add("--l2", type=float, metavar="F", help="penalty l2/2*sum w^2 on weights")
    add("--clip-norm", type=float, metavar="F", help="largest norm of the whole gradient")
    add(
        "--early-stopping",
        action="store_true",
        help="stop when the validation loss no longer falls; keep the best weights",
    )
    add("--patience", type=_count, metavar="N", help="epochs early stopping waits (10)")
    add("--seed", type=int, metavar="N", help="of the split, weights, shuffles, dropout (0)")
    add("--threads", type=_count, metavar="N", help="default: every core")
    add("--out", metavar="DIR", help="run folder (runs/DATASET-TIME)")
    add("--resume", action="store_true", help="go on with the run in --out")
    add("--quiet", action="store_true", help="print the result only")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value


def _units(text: str) -> tuple[int, ...]:
    return tuple(_count(part) for part in text.split(","))


def _size(text: str) -> tuple[int, int]:
    sizes = _units(text)
    if len(sizes) != 2:
        raise argparse.ArgumentTypeError(f"expected HEIGHT,WIDTH, got {text}")
    return sizes


def run(options: argparse.Namespace) -> int:
    """Train as the options say."""
    given = {key: v for key, v in vars(options).items() if key not in {"command", "run"}}
    quiet = given.get("quiet", False)
    if "threads" in given:
        set_num_threads(given["threads"])
    job = _resumed(given) if given.get("resume") else _begun(given)
    if not quiet:
        job.describe()
    try:
        job.train(progress=not quiet)
    except KeyboardInterrupt:
        job.save(interrupted=True)
        print(
            f"interrupted: the weights so far are in {job.folder}. "
            f"Go on with: steep train --out {job.folder} --resume"
        )
        return INTERRUPTED
    except NonFiniteError as error:
        job.save(interrupted=True)
        raise ValueError(f"{error} Saved in {job.folder}.") from None
    job.save()
    metrics = job.test()
    print(", ".join(f"test {name} {value:.4f}" for name, value in metrics.items()))
    notes = job.draw()
    print(f"run folder: {job.folder}{notes}")
    return 0


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
        size=recipe.size,
        validation=recipe.validation,
        seed=recipe.seed,
    )


def _begun(given: Mapping[str, Any]) -> Job:
    recipe = _recipe(given)
    data = _open(recipe)
    samples = len(data.train[0])
    recipe = complete(recipe, samples)
    if recipe.early_stopping and data.validation is None:
        raise ValueError("--early-stopping: needs a validation part; leave out --validation 0.")
    maker = makers.make(recipe, data)
    trainer = make_trainer(recipe, data) if maker is None else maker.trainer
    build_augment(recipe, data)  # refuses before anything is written
    folder = run_folder.create(given.get("out"), data.name)
    job = Job(recipe, data, trainer, folder, maker)
    job.write_config()
    return job


def _resumed(given: Mapping[str, Any]) -> Job:
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
    data, checkpoint = _open(recipe), folder / run_folder.CHECKPOINT
    # Stopped before its first checkpoint, it begins again.
    maker = makers.make(recipe, data)
    if maker is not None:
        if checkpoint.exists():
            maker.load(checkpoint)
        return Job(recipe, data, maker.trainer, folder, maker)
    trainer = Trainer.load(checkpoint) if checkpoint.exists() else make_trainer(recipe, data)
    return Job(recipe, data, trainer, folder)
