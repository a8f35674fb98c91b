"""Writes the README's speed table from results of bench/run.py --json; several files are joined.

python docs/speed_table.py RESULTS.json [MORE.json ...] [--note "machine, threads, date"]
"""

import argparse
import json
import math
import re
import statistics
import sys
from pathlib import Path
from typing import Any

README = Path(__file__).parent.parent / "README.md"
MARKS = re.compile(r"(<!-- speed table: begin.*?-->\n).*?(<!-- speed table: end -->)", re.DOTALL)
STEPS = {
    "mlp_tiny": "30-64-2, batch 32",
    "mlp_small": "4-120-84-2, batch 32",
    "mlp_mnist": "784-128-10, batch 128",
    "mlp_wide": "784-1024-1024-10, batch 128",
    "lenet5": "LeNet-5, 28x28x1, batch 64",
    "resnet20": "ResNet-20, 32x32x3, batch 128",
}
# column -> implementations of which the fastest counts
COLUMNS = {
    "PyTorch": (
        "torch",
        "torch-foreach",
        "torch-fused",
        "torch-compile",
        "torch-channels-last",
        "torch-compile-channels-last",
    ),
    "JAX jit": ("jax",),
    "JAX scan": ("jax-scan",),
    "scikit-learn": ("sklearn",),
}
Times = dict[str, dict[str, float]]  # case -> implementation -> median seconds


def duration(seconds: float) -> str:
    """Return a time with three digits and its unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def best(times: dict[str, float], names: tuple[str, ...]) -> tuple[str, float] | None:
    """Return the fastest of some implementations."""
    there = [(times[name], name) for name in names if name in times]
    return (min(there)[1], min(there)[0]) if there else None


def cell(own: float, rival: tuple[str, float] | None) -> str:
    """Return a rival's time and how many times steep's it is; bold where it wins."""
    if rival is None:
        return ""
    text = f"{duration(rival[1])} ({rival[1] / own:.2g}x)"
    return f"**{text}**" if rival[1] < own else text


def step_table(cases: Times) -> list[str]:
    """Return the table of the training steps."""
    head = ["a training step", "steep", *COLUMNS]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, title in STEPS.items():
        times = cases.get(name, {})
        if "steep" in times:
            own = times["steep"]
            cells = [cell(own, best(times, names)) for names in COLUMNS.values()]
            lines.append(f"| {title} | {duration(own)} | {' | '.join(cells)} |")
    return lines if len(lines) > 2 else []


def mean_ratio(cases: Times, prefix: str, suffix: str, names: tuple[str, ...]) -> str | None:
    """Return the geometric mean, over cases, of a rival's time over steep's."""
    ratios = []
    for case, times in cases.items():
        rival = best(times, names)
        if case.startswith(prefix) and case.endswith(suffix) and "steep" in times and rival:
            ratios.append(math.log(rival[1] / times["steep"]))
    return f"{math.exp(statistics.fmean(ratios)):.2f}x over {len(ratios)}" if ratios else None


def summaries(cases: Times) -> list[str]:
    """Return one line each for products and convolutions, and for the rules of each size."""
    lines = []
    rivals = {"PyTorch": COLUMNS["PyTorch"], "OpenBLAS": ("openblas",), "oneDNN": ("onednn",)}
    found = {title: mean_ratio(cases, "gemm/", "", names) for title, names in rivals.items()}
    parts = [f"{title} {text}" for title, text in found.items() if text]
    if parts:
        lines.append(f"Matrix products, a rival's time over steep's: {', '.join(parts)} cases.")
    passes = {
        title: mean_ratio(cases, "conv/", f"/{name}", COLUMNS["PyTorch"])
        for title, name in (
            ("forward", "forward"),
            ("gradient of the input", "backward_data"),
            ("gradient of the weights", "backward_weights"),
        )
    }
    parts = [f"{title} {text}" for title, text in passes.items() if text]
    if parts:
        lines.append(f"Convolutions, PyTorch's time over steep's: {', '.join(parts)} shapes.")
    for size in ("10000", "1000000", "25000000"):
        text = mean_ratio(cases, "rule/", f"/{size}", COLUMNS["PyTorch"])
        if text:
            lines.append(f"Update rules on {int(size):,} parameters: PyTorch {text}.")
    return lines


def main(arguments: list[str]) -> int:
    """Replace what stands between the marks of the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--note", default="", help="machine, threads, versions")
    options = parser.parse_args(arguments)
    cases: Times = {}
    for file in options.files:
        rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        for row in rows:
            cases.setdefault(row["case"], {})[row["impl"]] = float(row["median_s"])
    parts = ["\n".join(step_table(cases)), *summaries(cases), options.note]
    body = "\n\n".join(part for part in parts if part)
    text, count = MARKS.subn(lambda m: f"{m[1]}\n{body}\n\n{m[2]}", README.read_text("utf-8"))
    if count != 1 or not body:
        print("README: found no marks, or there is nothing to show", file=sys.stderr)
        return 1
    README.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
