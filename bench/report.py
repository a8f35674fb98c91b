"""Writes results for people: table, summary, dated record, the README's table. Measures nothing.

python bench/report.py RESULTS.json [MORE.json ...] [--note "machine, threads, date"]

replaces the table in the README by one of results of `run.py --json`; several files are joined.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from worker import load_cases

README = Path(__file__).parents[1] / "README.md"
MARKS = re.compile(r"(<!-- speed table: begin.*?-->\n).*?(<!-- speed table: end -->)", re.DOTALL)
STEPS = {
    "mlp_tiny": "30-64-2, batch 32",
    "mlp_small": "4-120-84-2, batch 32",
    "mlp_mnist": "784-128-10, batch 128",
    "mlp_wide": "784-1024-1024-10, batch 128",
    "lenet5": "LeNet-5, 28x28x1, batch 64",
    "resnet20": "ResNet-20, 32x32x3, batch 128",
}
# column -> which implementations are this rival; the fastest counts
RIVALS = {
    "PyTorch": "torch.*",
    "JAX jit": "jax",
    "JAX scan": "jax-scan",
    "scikit-learn": "sklearn",
    "OpenBLAS": "openblas",
    "oneDNN": "onednn",
}
# sentence -> what its parts are called -> (rival, cases)
SENTENCES = {
    "Matrix products, a rival's time over steep's: {} cases.": {
        name: (name, "gemm/.*") for name in ("PyTorch", "OpenBLAS", "oneDNN")
    },
    "Convolutions, PyTorch's time over steep's: {} shapes.": {
        "forward": ("PyTorch", "conv/.*/forward"),
        "gradient of the input": ("PyTorch", "conv/.*/backward_data"),
        "gradient of the weights": ("PyTorch", "conv/.*/backward_weights"),
    },
    "Newton-Schulz, PyTorch's time over steep's: {} shapes.": {
        "float32": ("PyTorch", "newton_schulz/.*")
    },
    **{
        f"Update rules on {size:,} parameters: {{}}.": {"PyTorch": ("PyTorch", f"rule/.*/{size}")}
        for size in (10_000, 1_000_000, 25_000_000)
    },
}
HEAD = f"{'median':>11}{'min':>11}{'spread':>8}{'x steep':>9}{'x floor':>9}  note"


def spread(times):
    """Return the interquartile range as a part of the median."""
    if len(times) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(times, n=4, method="inclusive")
    return (high - low) / middle


def describe(case):
    """Say in words what a case is."""
    bench = load_cases()
    if isinstance(case, bench.Step):
        units = "-".join(map(str, case.units))
        return f"{units}, batch {case.batch}, {case.rule}; time of a step"
    if isinstance(case, bench.ImageStep):
        size = "x".join(map(str, case.shape))
        return f"{size} images, batch {case.batch}, SGD with momentum; time of a step"
    if isinstance(case, bench.Convolution):
        return "time of a pass"
    if isinstance(case, bench.NewtonSchulz):
        return "five steps, time of all matrices"
    return "time of a product" if isinstance(case, bench.Gemm) else "time of an update"


def table(case, results, threads, floor, load):
    """Return the lines of one case; `results` maps implementations to their `Result`."""
    duration = load_cases().duration
    bound = "" if floor is None else f"; floor {duration(floor[0])} ({floor[1]})"
    busy = f"; others used {load:.0%} of the machine" if load >= 0.05 else ""
    width = max(14, *(len(name) + 2 for name in results)) if results else 14
    lines = [
        f"{case.name}: {describe(case)}; {threads} thread{'s' * (threads > 1)}{bound}{busy}",
        f"  {'':{width}}{HEAD}",
    ]
    steep = results.get("steep")
    for name, result in sorted(results.items(), key=lambda item: item[1].median):
        ratio = f"{result.median / steep.median:.2f}" if steep else ""
        above = f"{result.median / floor[0]:.2f}" if floor else ""
        wins = "FASTER THAN STEEP; " if steep and result.median < steep.median else ""
        lines.append(
            f"  {name:{width}}{duration(result.median):>11}{duration(min(result.times)):>11}"
            f"{spread(result.times):>8.1%}{ratio:>9}{above:>9}  {wins}{result.note}".rstrip()
        )
    return lines


def summary(runs):
    """Return geometric means of time relative to steep, and every case a rival wins.

    `runs` is a list of (case, results).
    """
    groups, losses = {}, []
    for case, results in runs:
        if "steep" not in results:
            continue
        own = results["steep"].median
        kind = case.name.split("/")[0] if "/" in case.name else "step"
        if kind == "rule":
            kind += f" of {case.size} parameters"
        for name, result in results.items():
            ratio = result.median / own
            if name != "steep":
                groups.setdefault((kind, name), []).append(ratio)
            if ratio < 1:
                losses.append(f"  {case.name}: {name} takes {ratio:.2f} of steep's time")
    lines = []
    if groups:
        lines.append("Time relative to steep, geometric mean (above 1: steep is faster)")
        for (kind, name), ratios in groups.items():
            mean = statistics.geometric_mean(ratios)
            lines.append(f"  {kind:28}{name:29}{mean:>7.2f}  over {len(ratios)}")
        lines.append("A rival wins" if losses else "No rival wins a case of this run.")
    return lines + losses


def machine():
    """Return lines about this machine: processor, memory, system, compiler, commit."""
    names = dict(re.findall(r"^(model name|flags)\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE))
    sets = [
        s for s in ("avx2", "fma", "avx512f", "amx_tile") if s in names.get("flags", "").split()
    ]
    memory = re.search(r"MemTotal:\s*(\d+) kB", _read("/proc/meminfo"))
    lines = [
        f"processor: {names.get('model name', platform.machine())} ({' '.join(sets)}), "
        f"{os.cpu_count()} processors",
        f"system: {platform.system()} {platform.release()}, Python {platform.python_version()}",
    ]
    if memory:
        lines.append(f"memory: {int(memory[1]) / 2**20:.0f} GiB")
    for label, words in (
        ("compiler: g++", ["g++", "-dumpfullversion"]),
        ("commit:", ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]),
    ):
        if shutil.which(words[0]):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            lines.append(f"{label} {done.stdout.strip() or 'unknown'}")
    return lines


def _read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def record(folder, title, command, versions, lines):
    """Write a dated record of a run and return its path."""
    now = datetime.datetime.now(datetime.UTC)
    folder.mkdir(exist_ok=True)
    path = folder / f"{now:%Y-%m-%d-%H%M}-{title}.md"
    facts = [f"- {line}" for line in [*machine(), *(f"{n} {v}" for n, v in versions.items())]]
    text = [f"# {title}, {now:%Y-%m-%d %H:%M} UTC", "", f"`{command}`", "", *facts, ""]
    path.write_text("\n".join([*text, "```text", *lines, "```"]) + "\n")
    return path


def fastest(times, rival):
    """Return the least time of a rival's implementations, None where there is none."""
    there = [time for name, time in times.items() if re.fullmatch(RIVALS[rival], name)]
    return min(there, default=None)


def step_table(cases):
    """Return the README's table of training steps; a rival that wins stands in bold."""
    duration = load_cases().duration
    columns = list(RIVALS)[:4]
    head = ["a training step", "steep", *columns]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, title in STEPS.items():
        times = cases.get(name, {})
        if "steep" not in times:
            continue
        own, cells = times["steep"], []
        for rival in columns:
            time = fastest(times, rival)
            text = "" if time is None else f"{duration(time, 3)} ({time / own:.2g}x)"
            cells.append(f"**{text}**" if text and time < own else text)
        lines.append(f"| {title} | {duration(own, 3)} | {' | '.join(cells)} |")
    return lines if len(lines) > 2 else []


def sentences(cases):
    """Return the README's lines below the table: geometric means over cases."""
    lines = []
    for sentence, parts in SENTENCES.items():
        said = []
        for title, (rival, names) in parts.items():
            pairs = [
                (fastest(times, rival), times["steep"])
                for case, times in cases.items()
                if re.fullmatch(names, case) and "steep" in times
            ]
            ratios = [time / own for time, own in pairs if time is not None]
            if ratios:
                said.append(f"{title} {statistics.geometric_mean(ratios):.2f}x over {len(ratios)}")
        if said:
            lines.append(sentence.format(", ".join(said)))
    return lines


def main(arguments):
    """Replace what stands between the marks of the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--note", default="", help="machine, threads, versions")
    options = parser.parse_args(arguments)
    cases = {}
    for file in options.files:
        for row in json.loads(file.read_text(encoding="utf-8")):
            cases.setdefault(row["case"], {})[row["impl"]] = float(row["median_s"])
    parts = ["\n".join(step_table(cases)), *sentences(cases), options.note]
    body = "\n\n".join(part for part in parts if part)
    text, count = MARKS.subn(lambda m: f"{m[1]}\n{body}\n\n{m[2]}", README.read_text("utf-8"))
    if count != 1 or not body:
        print("README: found no marks, or there is nothing to show", file=sys.stderr)
        return 1
    README.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
