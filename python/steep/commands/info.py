"""`steep info`: what this installation can do on this machine."""

import argparse
import importlib.metadata
from typing import Any

from .. import info

EXTRAS = {
    "matplotlib": "learning-curve pictures",
    "Pillow": "folders of picture files",
    "pandas": "CSV files faster",
    "pyarrow": "CSV files fastest, Parquet, Arrow and Feather files",
    "openpyxl": "Excel files",
    "onnx": "ONNX files",
    "tensorboardX": "TensorBoard event files",
}


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the program's."""
    parser = commands.add_parser("info", help="version, instruction set, threads, CUDA, extras")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a table of two columns."""
    del options
    rows = [(str(name), _text(value)) for name, value in info().items()]
    rows += [(name, _version(name) or f"not installed ({use})") for name, use in EXTRAS.items()]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    return 0


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
