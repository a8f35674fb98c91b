"""`steep export`: the trained network of a run folder as an ONNX file."""

import argparse
from pathlib import Path
from typing import Any

from .. import Trainer, exporting
from ..network.recorded import recorded
from . import run_folder, tabular
from .trained import Trained

# Models of two networks, and where they are.
PAIRS = {
    "vae": "the encoder and decoder of its steep.VAE",
    "dcgan": "the generator and discriminator of its steep.GAN",
}


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the program's."""
    parser = commands.add_parser(
        "export", help="write the trained network of a run folder as an ONNX file"
    )
    parser.add_argument("run_folder", metavar="RUN", help="what `steep train` wrote")
    parser.add_argument("file", metavar="FILE.onnx", help="what to write")
    parser.add_argument(
        "--with-table",
        action="store_true",
        help="columns come in and values of the target go out: what is done to the table, too",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the file and say what goes in and comes out."""
    folder, path = Path(options.run_folder), Path(options.file)
    config = run_folder.read_config(folder)
    about, model = config.get("data", {}), config["recipe"].get("model")
    checkpoint = folder / run_folder.CHECKPOINT
    if not checkpoint.is_file():
        raise ValueError(f"{folder}: has no trained network ({run_folder.CHECKPOINT} is missing).")
    if model in PAIRS:
        raise ValueError(
            f"{folder}: a {model} is two networks; in Python, {PAIRS[model]} have to_onnx."
        )
    if options.with_table:
        return _with_table(folder, path)
    net = Trainer.load(checkpoint, device="cpu").net
    net.load_weights(folder / run_folder.WEIGHTS)
    net.to_onnx(path)
    shapes = (
        ", ".join(map(str, ("batch", *s))) for s in (*(net.input_shapes or ()), *net.output_shapes)
    )
    print(f"{path}: from ({') to ('.join(shapes)})")
    for what, how in about.get("preprocessing", {}).items():
        print(f"{what}: {how}")
    if about.get("classes"):
        print(f"outputs are logits of the classes {', '.join(map(str, about['classes']))}")
    elif about.get("target", {}).get("deviation", 1) != 1:
        target = about["target"]
        print(f"outputs are standardised: value = {target['mean']} + {target['deviation']} * y")
    return 0


def _with_table(folder: Path, path: Path) -> int:
    """Write the network with what is done to the columns and to its outputs."""
    made = Trained.load(folder)
    exporting.write(recorded(made.net), path, made.table, clamp=tabular.clamps(made.recipe.model))
    names = [column.name for column in made.table.columns if column.features]
    assert made.table.goal
    print(f"{path}: from the columns {', '.join(names)} to {made.table.goal.name}")
    return 0
