"""Times steep and its rivals on the same work, interleaved in one run; see bench/README.md."""

import argparse
import json
import shlex
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import report
from floor import Floor
from pool import Pool, WorkerError, missing, processors
from rivals import IMPLEMENTATIONS, UnsupportedError, choose
from worker import load_cases

# Largest relative deviation of the common check from the median of all implementations.
AGREEMENT = {
    "Step": 0.02,
    "ImageStep": 0.02,
    "Task": 0.02,
    "Gemm": 1e-4,
    "Convolution": 1e-4,
    "NewtonSchulz": 1e-4,
}


@dataclass
class Result:
    """What one implementation did on one case."""

    version: str
    note: str
    check: float | None
    times: list = field(default_factory=list)  # seconds per unit, one a round

    @property
    def median(self):
        """Median over the rounds."""
        return statistics.median(self.times)


def prepare(pool, case, name, threads, *, min_time, cpu=False):
    """Prepare a case with all threads and, where it is small, with one; keep the faster.

    Returns the worker and its answer. A rival may thus use fewer threads than it is given; steep
    decides that by itself.
    """
    counts = [threads, 1] if case.small and threads > 1 and name != "steep" else [threads]
    tried = []
    for count in counts:
        worker = pool.worker(name, count)
        tried.append(
            (worker.ask("prepare", 1200, case=case.name, min_time=min_time, cpu=cpu), worker)
        )
    tried.sort(key=lambda pair: pair[0]["probe"])
    for _, slower in tried[1:]:
        slower.ask("free", 60)
    answer, worker = tried[0]
    notes = [answer["note"]] if answer["note"] else []
    if worker.threads != threads:
        notes.append(f"best with {worker.threads} thread")
    notes.append(f"first call {answer['first']:.2g} s")
    return worker, Result(worker.version, "; ".join(notes), answer["check"])


def run_case(pool, case, names, options):
    """Run one case in every implementation, round robin; return the results by name."""
    ready, results = [], {}
    for name in names:
        try:
            worker, result = prepare(
                pool, case, name, options.threads, min_time=options.min_time, cpu=options.cpu
            )
        except WorkerError as error:
            if not error.unsupported:
                print(f"{case.name}: {name}: failed: {error}", flush=True)
            continue
        ready.append((name, worker))
        results[name] = result
    pool.load()
    for turn in range(options.repeats):
        shift = turn % max(1, len(ready))  # nobody always comes after the same neighbour
        for name, worker in ready[shift:] + ready[:shift]:
            results[name].times.append(pool.measure(worker))
    for _, worker in ready:
        worker.ask("free", 60)
    compare(case, results)
    return results


def compare(case, results):
    """Note how far each implementation's check is from the median of all."""
    checks = [result.check for result in results.values() if result.check is not None]
    if len(checks) < 2:
        return
    middle = statistics.median(checks)
    for result in results.values():
        if result.check is None:
            continue
        off = abs(result.check - middle) / abs(middle)
        if type(case).__name__.endswith(("Step", "Task")):
            result.note += f"; loss {result.check:.5f} after {load_cases().CHECK_STEPS} steps"
        if not off <= AGREEMENT[type(case).__name__]:
            result.note += f"; DIFFERENT RESULT, off by {off:.2g}"


def rows(case, results, threads, floor, load):
    """Return the JSON entries of one case."""
    made = []
    for name, result in results.items():
        notes = [result.note]
        if floor is not None:
            above = result.median / floor[0]
            notes.append(f"floor {load_cases().duration(floor[0])} ({floor[1]}), {above:.2f}x")
        if load >= 0.05:
            notes.append(f"others used {load:.0%} of the machine")
        made.append(
            load_cases().row(
                case.name,
                name,
                threads=threads,
                times=result.times,
                version=result.version,
                note="; ".join(notes),
            )
        )
    return made


def parse(arguments):
    """Return the options, the cases and the implementations that are installed."""
    bench = load_cases()
    parser = argparse.ArgumentParser("bench/run.py", description=__doc__)
    bench.add_options(parser)
    parser.add_argument("--impl", help="comma-separated; a rival's name means all its variants")
    parser.add_argument("--cpu", action="store_true", help="processor time, on a busy machine")
    parser.add_argument("--record", metavar="TITLE", help="write a dated record to bench/records/")
    options = parser.parse_args(arguments)
    allowed = processors()
    options.threads = options.threads or len(allowed)
    if options.threads > len(allowed):
        parser.error(f"--threads {options.threads}: this process may use {len(allowed)} processors")
    try:
        cases, names = bench.select(options.case), choose(options.impl)
    except ValueError as error:
        parser.error(str(error))
    return options, cases, names, allowed


def main(arguments):
    """Run the benchmark."""
    options, cases, names, allowed = parse(arguments)
    lines = []

    def say(*more):
        lines.extend(more)
        print(*more, sep="\n", flush=True)

    absent = {name: missing(name) for name in names}
    say(*filter(None, absent.values()))
    names = [name for name in names if absent[name] is None]
    try:
        limits = Floor(options.threads)
        say(f"floor: {limits}")
    except UnsupportedError as error:
        limits = None
        say(f"floor: unknown, {error}")
    if options.cpu:
        say("processor seconds, of all threads of an implementation together")
    say("")
    pool, entries, runs, versions = Pool(allowed), [], [], {}
    try:
        for case in cases:
            kind = type(case).__name__
            able = [name for name in names if kind in IMPLEMENTATIONS[name].kinds]
            results = run_case(pool, case, able, options)
            floor, load = limits and limits.seconds(case), pool.load()
            say(*report.table(case, results, options.threads, floor, load), "")
            entries += rows(case, results, options.threads, floor, load)
            versions.update({name: result.version for name, result in results.items()})
            runs.append((case, results))
            if options.json:
                Path(options.json).write_text(json.dumps(entries, indent=1) + "\n")
    except KeyboardInterrupt:
        say("interrupted")
    finally:
        pool.stop()
    say(*report.summary(runs))
    if options.record:
        folder = Path(__file__).with_name("records")
        report.record(folder, options.record, command(options), versions, lines)
    return 0


def command(options):
    """Return the command of this run without the files it wrote."""
    words = ["python", "bench/run.py"]
    for case in options.case:
        words += ["--case", case]
    if options.impl:
        words += ["--impl", options.impl]
    if options.cpu:
        words.append("--cpu")
    words += ["--threads", str(options.threads), "--repeats", str(options.repeats)]
    return shlex.join([*words, "--min-time", str(options.min_time)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
