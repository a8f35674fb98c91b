"""Writes results for people: the table, the summary, and the dated record. Measures nothing."""

import datetime
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
from pathlib import Path

from worker import load_cases

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
        return f"{units}, batch {case.batch}, Adam; time of a step"
    if isinstance(case, bench.ImageStep):
        size = "x".join(map(str, case.shape))
        return f"{size} images, batch {case.batch}, SGD with momentum; time of a step"
    if isinstance(case, bench.Convolution):
        return "time of a pass"
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
            mean = math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))
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
