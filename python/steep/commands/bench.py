"""`steep bench`: steep alone on the standard cases; rivals need the checkout's bench/."""

import argparse
from collections.abc import Sequence
from typing import Any


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the program's; its options are those of `steep.benchmarks`."""
    commands.add_parser("bench", help="measure steep on the standard cases", add_help=False)


def run(arguments: Sequence[str]) -> int:
    """Measure, with the options of ``steep.benchmarks.main``."""
    from .. import benchmarks  # noqa: PLC0415  (the other commands do not pay for it)

    return int(benchmarks.main(list(arguments)) or 0)
