"""`steep train`: its options, and how a run begins, goes on and ends. The run is in job.py."""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from .. import NonFiniteError, Trainer, set_num_threads
from ..data import Dataset, open_dataset
from ..optimizers import TABLE
from . import INTERRUPTED, folds, makers, run_folder, texts
from . import options as shared
from .job import Job, fingerprint, make_trainer
from .options import READING
from .recipe import SCHEDULES, Recipe, build_augment, build_optimizer, complete, frozen, names

# What may be said anew when a run goes on; everything else is in its config.json.
FREE = {"out", "resume", "threads", "device", "quiet", "root", "dataset", "json"}

# What makes no sense of a text.
OF_TABLES = ("target", "task", "drop", "size", "root", "keep", "categorical", "missing", *READING)

EXAMPLES = """examples:
  steep train                                  bundled digits
  steep train fashion-mnist                    apt-get install dataset-fashion-mnist
  steep train fashion-mnist --model lenet5     a convolutional network; resnet20 and others
  steep train fashion-mnist --model vae        images: vae, dcgan, autoencoder, unet (denoises)
  steep train flowers --model resnet18 --size 64,64   a folder of class folders of pictures
  steep train table.csv --target price         your own table, or arrays X and y of an .npz file
  steep train table.xlsx --target kind --cv 5  with a mean and deviation over five parts
  steep train text.txt --model gpt             a text, character by character; or lstm
  steep train fashion-mnist --device cuda      on an NVIDIA GPU, with a build that has CUDA
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
    add = shared.adder(parser)  # only what the user says is set; Recipe has the defaults
    add(
        "dataset",
        nargs="?",
        metavar="DATASET",
        help="digits (default), fashion-mnist, a table (.csv, .parquet, .feather, .xlsx), "
        "FILE.npz, a folder of IDX files, a folder of class folders of pictures, or a text",
    )
    add("--root", metavar="DIR", help="folder of fashion-mnist's four IDX files")
    _add_table(parser)
    add(
        "--size",
        type=shared.size,
        metavar="H,W",
        help="scale the pictures of class folders to this",
    )
    add("--validation", type=shared.number, metavar="F", help="share held out for validation (0.1)")
    _add_training(parser)
    add("--seed", type=int, metavar="N", help="of the split, weights, shuffles, dropout (0)")
    add("--threads", type=shared.count, metavar="N", help="default: every core")
    shared.add_device(add, "train on the CPU or an NVIDIA GPU; of --resume: go on there")
    add(
        "--cv",
        type=shared.count,
        metavar="K",
        help="train on K parts of the table first, each tested",
    )
    add("--out", metavar="DIR", help="run folder (runs/DATASET-TIME)")
    add("--resume", action="store_true", help="go on with the run in --out")
    add("--quiet", action="store_true", help="print the result only")
    add("--json", action="store_true", help="print the result as JSON")


def _add_table(parser: argparse.ArgumentParser) -> None:
    add = shared.adder(parser.add_argument_group("tables"))
    add("--target", metavar="COLUMN", help="column to learn: a name or a position")
    for name, what in (
        ("--drop", "column to leave out (repeatable)"),
        ("--keep", "column to keep though it seems to name the rows (repeatable)"),
        ("--categorical", "column whose numbers are categories (repeatable)"),
    ):
        add(name, metavar="COLUMN", action="append", help=what)
    add(
        "--missing",
        metavar="WORD",
        action="append",
        help="word that counts as missing (repeatable)",
    )
    add(
        "--task",
        choices=("classification", "regression"),
        help="by default text and few whole numbers are classes, all else is regression",
    )
    shared.add_reading(parser)


def _add_training(parser: argparse.ArgumentParser) -> None:
    add = shared.adder(parser.add_argument_group("network and training"))
    add("--model", metavar="NAME", help=f"{', '.join(names())} (mlp; tables: tabm)")
    add(
        "--units", type=shared.units, metavar="N,N", help="units of each hidden layer, e.g. 256,128"
    )
    add("--context", type=shared.count, metavar="N", help="characters read at once, of a text (64)")
    add(
        "--stateful",
        action="store_true",
        help="of --model lstm: read the text in order, states kept from batch to batch",
    )
    add("--members", type=shared.count, metavar="N", help="networks in one, of tabm (8)")
    add("--dropout", type=shared.number, metavar="F", help="part dropped after each hidden layer")
    add("--epochs", type=shared.count, metavar="N")
    add("--batch-size", type=shared.count, metavar="N")
    add("--optimizer", metavar="NAME", help=f"{', '.join(TABLE)}")
    add("--lr", type=shared.number, metavar="F", help="learning rate")
    add("--momentum", type=shared.number, metavar="F")
    add(
        "--weight-decay",
        type=shared.number,
        metavar="F",
        help="decoupled: w = w - lr*weight_decay*w",
    )
    add("--schedule", metavar="NAME", help=f"of the learning rate: {', '.join(SCHEDULES)}")
    add(
        "--augment",
        metavar="A,A",
        help="change images at random while training: flip, shift=PIXELS, cutout=PIXELS, "
        "fill=VALUE; or none",
    )
    add("--l1", type=shared.number, metavar="F", help="penalty l1*sum|w| on weights")
    add("--l2", type=shared.number, metavar="F", help="penalty l2/2*sum w^2 on weights")
    add("--clip-norm", type=shared.number, metavar="F", help="largest norm of the whole gradient")
    add(
        "--early-stopping",
        action=argparse.BooleanOptionalAction,
        help="stop when the validation loss no longer falls; keep the best weights (tables: yes)",
    )
    add(
        "--patience",
        type=shared.count,
        metavar="N",
        help="epochs early stopping waits (10; tabm: 6 to 20)",
    )


def run(options: argparse.Namespace) -> int:
    """Train as the options say."""
    given = {key: v for key, v in vars(options).items() if key not in {"command", "run"}}
    as_json = given.get("json", False)
    quiet = given.get("quiet", False) or as_json
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
            f"Go on with: {run_folder.resuming(job.folder)}",
            file=sys.stderr if as_json else sys.stdout,
        )
        return INTERRUPTED
    except NonFiniteError as error:
        job.save(interrupted=True)
        raise ValueError(f"{error} Saved in {job.folder}.") from None
    job.save()
    metrics = job.test()
    notes = job.draw()
    job.write_readme()
    if as_json:
        print(json.dumps({"folder": str(job.folder), **job.result}))
        return 0
    print(", ".join(f"test {name} {value:.4f}" for name, value in metrics.items()))
    if guess := job.result.get("guessing"):
        print(f"always guessing the same: test {guess['metric']} {guess['value']:.4f}")
    print(f"run folder: {job.folder}{notes}")
    return 0


def _recipe(given: Mapping[str, Any]) -> Recipe:
    names = {item.name for item in fields(Recipe)}
    values = {name: value for name, value in given.items() if name in names}
    return Recipe(**frozen(values))


def opened(recipe: Recipe) -> Dataset:
    """Return the data of a recipe."""
    model = (recipe.model or "").lower()
    if model in texts.MODELS:
        if told := [name for name in OF_TABLES if getattr(recipe, name) not in {None, ()}]:
            options = ", ".join(f"--{name}" for name in told)
            raise ValueError(f"--model {model}: takes a text; leave out {options}.")
        rows = recipe.rows if model == "lstm" else 0
        return texts.opened(recipe.dataset, model, recipe.context, recipe.validation, rows)
    return open_dataset(
        recipe.dataset,
        root=recipe.root,
        target=recipe.target,
        task=recipe.task,
        drop=recipe.drop,
        size=recipe.size,
        validation=recipe.validation,
        seed=recipe.seed,
        **recipe.table_options(),
    )


def _begun(given: Mapping[str, Any]) -> Job:
    recipe = _recipe(given)
    shared.device(recipe.device)
    data = opened(recipe)
    recipe = complete(recipe, len(data.train[0]), data.train[0].shape[-1])
    if recipe.early_stopping and data.validation is None:
        raise ValueError("--early-stopping: needs a validation part; leave out --validation 0.")
    maker = makers.make(recipe, data)
    trainer = make_trainer(recipe, data) if maker is None else maker.trainer
    build_augment(recipe, data)  # refuses before anything is written
    if "cv" in given and recipe.target is None:
        raise ValueError("--cv: takes a table; name its column to learn with --target.")
    folder = run_folder.create(given.get("out"), data.name)
    job = Job(recipe, data, trainer, folder, maker)
    job.write_config()
    if "cv" in given:
        shown = not (given.get("quiet", False) or given.get("json", False))
        job.folds = folds.run(recipe, given["cv"], shown)
    return job


def _resumed(given: Mapping[str, Any]) -> Job:
    if "out" not in given:
        raise ValueError("--resume: name the run folder with --out.")
    folder = Path(given["out"])
    extra = sorted(set(given) - FREE)
    longer = extra == ["epochs"]
    if extra and not longer:
        _refuse(extra)
    config = run_folder.read_config(folder)
    before = Recipe.from_json(config["recipe"])
    recipe = _moved(folder, before, config, given)
    shared.device(recipe.device)
    data, checkpoint = opened(recipe), folder / run_folder.CHECKPOINT
    known = config.get("data", {}).get("fingerprint")
    if known is not None and fingerprint(data) != known:
        raise ValueError(_changed(recipe, data, config["data"]))
    # Stopped before its first checkpoint, it begins again.
    maker = makers.make(recipe, data)
    if maker is not None and checkpoint.exists():
        maker.load(checkpoint)
    if maker is not None:
        trainer = maker.trainer
    else:
        trainer = (
            Trainer.load(checkpoint, device=recipe.device)
            if checkpoint.exists()
            else make_trainer(recipe, data)
        )
    if longer:
        if recipe.model == "realmlp":
            raise ValueError(
                "--resume: the rates of a realmlp end with its epochs; begin a new run."
            )
        if not (trainer.epoch and trainer.finished and trainer.epoch < given["epochs"]):
            _refuse(extra)
        recipe = replace(recipe, epochs=given["epochs"])
        # As if it had been meant to be so long from the beginning.
        trainer.lr = build_optimizer(recipe, len(data.train[0])).lr  # type: ignore[attr-defined]
    job = Job(recipe, data, trainer, folder, maker)
    job.longer = longer
    if longer or recipe.device != before.device:
        job.write_config()
    return job


def _refuse(extra: list[str]) -> None:
    options = ", ".join("--" + name.replace("_", "-") for name in extra)
    raise ValueError(
        f"--resume: goes on with the settings of the run; leave out {options}. A finished run goes "
        "on with more --epochs than it had."
    )


def _moved(
    folder: Path, recipe: Recipe, config: Mapping[str, Any], given: Mapping[str, Any]
) -> Recipe:
    """Return the recipe with the places where its data are now, and where it goes on."""
    recipe = replace(recipe, device=given.get("device", recipe.device))
    if "root" in given:
        recipe = replace(recipe, root=given["root"])
    named, before = given.get("dataset"), recipe.dataset
    if named is not None and named != before and not Path(named).exists():
        raise ValueError(f"{folder}: is a run on {before}, not {named}.")
    if named is not None:
        return replace(recipe, dataset=named)
    kept = config.get("data", {}).get("path")
    if recipe.target is not None and not Path(before).expanduser().exists() and kept:
        return replace(recipe, dataset=kept)
    return recipe


def _changed(recipe: Recipe, data: Dataset, before: Mapping[str, Any]) -> str:
    """Say how the data differ from those that a run began with."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    now = {name: len(part[0]) if part else 0 for name, part in parts.items()}
    then = before.get("samples", {})
    what = "the samples are others"
    if now != then:
        what = f"{sum(then.values())} samples were there, {sum(now.values())} are now"
    return (
        f"{recipe.dataset}: has changed since the run began ({what}). Bring it back, or begin a "
        "new run; steep evaluate measures this one on new rows."
    )
