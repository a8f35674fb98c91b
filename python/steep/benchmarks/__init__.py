"""`steep bench`, and the cases it shares with bench/ of the source tree, where the rivals are."""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .cases import CASES, Case, Gemm, NewtonSchulz, Rule, Step, find, select
from .images import Conv2D, Convolution, Dense, ImageStep, Pool2D, Residual, branch, products
from .tasks import Task, task_data
from .work import (
    CHECK_STEPS,
    IMAGE_LEARNING_RATE,
    LEARNING_RATE,
    Work,
    convolution_data,
    duration,
    gemm_data,
    image_data,
    matrix_data,
    row,
    rule_data,
    step_data,
)

__all__ = [
    "CASES",
    "CHECK_STEPS",
    "IMAGE_LEARNING_RATE",
    "LEARNING_RATE",
    "Case",
    "Conv2D",
    "Convolution",
    "Dense",
    "Gemm",
    "ImageStep",
    "NewtonSchulz",
    "Pool2D",
    "Residual",
    "Rule",
    "Step",
    "Task",
    "Work",
    "add_options",
    "branch",
    "convolution_data",
    "duration",
    "find",
    "gemm_data",
    "image_data",
    "matrix_data",
    "products",
    "row",
    "rule_data",
    "run",
    "select",
    "step_data",
    "task_data",
]


def run(
    names: Iterable[str] = (), threads: int | None = None, repeats: int = 5, min_time: float = 0.1
) -> Iterator[dict[str, Any]]:
    """Time steep alone on the cases whose names begin with `names`, and yield a row for each.

    Parameters
    ----------
    names : iterable of str
        Prefixes of case names; all cases when empty.
    threads : int, optional
        Threads steep may use; the current setting when left out.
    repeats : int
        Measured blocks a case.
    min_time : float
        Seconds a block lasts at least.

    Raises
    ------
    ValueError
        When a prefix fits no case.
    """
    from .. import _core  # noqa: PLC0415  (bench/ reads the cases on a machine without steep)
    from .native import prepare  # noqa: PLC0415  (as above)

    count = _core.get_num_threads() if threads is None else threads
    for case in select(names):
        work = prepare(case, count)
        work.calibrate(min_time)
        times = [work.measure() for _ in range(repeats)]
        yield row(
            case.name,
            "steep",
            threads=count,
            times=times,
            version=_core.__version__,
            note=work.note,
        )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options `steep bench` and bench/run.py share."""
    parser.add_argument(
        "--case", action="append", default=[], metavar="NAME", help="a case or a prefix; repeatable"
    )
    parser.add_argument("--threads", type=_count, help="processors and threads every one may use")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--repeats", type=_count, default=7, help="rounds (default %(default)s)")
    parser.add_argument(
        "--min-time", type=float, default=0.2, help="seconds of a round (default %(default)s)"
    )


def _count(text: str) -> int:
    """Return an int of at least 1; no room of steep is asked: bench/ reads this folder without."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value


def main(arguments: Sequence[str]) -> int:
    """Run `steep bench`: steep alone; rivals need bench/run.py of the source tree."""
    parser = argparse.ArgumentParser("steep bench", description="Measures steep on its own cases.")
    add_options(parser)
    options = parser.parse_args(list(arguments))
    rows = []
    try:
        select(options.case)
    except ValueError as error:
        parser.error(str(error))
    print(f"{'case':48} {'median':>10} {'min':>10}")
    for one in run(options.case, options.threads, options.repeats, options.min_time):
        rows.append(one)
        median, least = duration(one["median_s"]), duration(one["min_s"])
        print(f"{one['case']:48} {median:>10} {least:>10}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 0
