"""Times training steps with and without other processes at full load; see bench/README.md."""

import argparse
import contextlib
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pool import Pool, processors
from run import prepare
from worker import load_cases

NAMES = ("steep", "torch")
SPIN = "import os; first = os.getppid()\nwhile os.getppid() == first: pass"  # ends with this one


@contextlib.contextmanager
def others(count):
    """Have so many processes compute without end."""
    busy = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def measured(pool, ready):
    """Return seconds a step of each implementation, and what others used of the machine."""
    times = {name: pool.measure(worker) for name, worker in ready.items()}
    return times, pool.load()


def run_case(pool, case, options):
    """Print a line for each implementation."""
    ready = {
        name: prepare(pool, case, name, options.threads, min_time=options.min_time)[0]
        for name in NAMES
    }
    quiet, busy, loads = [], [], []
    for turn in range(options.rounds):
        order = dict(sorted(ready.items(), reverse=bool(turn % 2)))
        times, load = measured(pool, order)
        quiet.append(times)
        with others(options.others):
            more, _ = measured(pool, order)
        busy.append(more)
        loads.append(load)
    before = statistics.median(loads)
    for name in ready:
        ratios = [b[name] / a[name] for a, b in zip(quiet, busy, strict=True)]
        a, b = (statistics.median(t[name] for t in times) for times in (quiet, busy))
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        print(
            f"| {case.name} | {options.threads} | {name} | {1e3 * a:.3g} | {1e3 * b:.3g} | "
            f"{statistics.median(ratios):.2f} | {low:.2f} to {high:.2f} | {before:.0%} |",
            flush=True,
        )
    for worker in ready.values():
        worker.ask("free", 60)


def main():
    """Print a table."""
    parser = argparse.ArgumentParser("bench/busy.py", description=__doc__)
    parser.add_argument("--case", action="append")
    parser.add_argument("--threads", type=int, default=len(processors()))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--min-time", type=float, default=0.5)
    parser.add_argument("--others", type=int, default=2)
    options = parser.parse_args()
    bench = load_cases()
    pool = Pool(processors())
    print("| case | threads | | alone, ms | busy, ms | times | quartiles | before |")
    print("|---|---|---|---:|---:|---:|---|---:|")
    try:
        for name in options.case or ["gpt_tiny", "mlp_mnist"]:
            run_case(pool, bench.find(name), options)
    finally:
        pool.stop()


if __name__ == "__main__":
    main()
