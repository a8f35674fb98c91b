"""Times two builds of steep on the same work, interleaved in one run; see bench/README.md."""

import argparse
import shlex
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import report
from calls import CALLS
from pool import Pool, Worker, WorkerError, processors
from worker import load_cases

LEAST_ROUNDS = 9
# A case measured again is so by at least and at most so many pairs of fresh processes, until its
# ratio is known to so much on either side.
LOOKS, MOST_LOOKS, SURE = 3, 10, 0.01


class BuildError(RuntimeError):
    """A folder holds no build, or Python found another one."""


@dataclass
class Pair:
    """The seconds of a case in both builds, one pair a round: timed one right after the other."""

    name: str
    old: list
    new: list
    again: bool = False

    @property
    def ratios(self):
        """Old over new, round by round: what slows the machine down slows both."""
        return [a / b for a, b in zip(self.old, self.new, strict=True)]

    @property
    def ratio(self):
        """The median of the rounds; above 1 the new build is faster."""
        return statistics.median(self.ratios)

    @property
    def bounds(self):
        """Between these the true median lies with 95 %: ranks by the binomial distribution."""
        ordered, n = sorted(self.ratios), len(self.old)
        rank = max(0, round((n - 1.96 * n**0.5) / 2) - 1)
        return ordered[rank], ordered[n - 1 - rank]

    @property
    def sure(self):
        """Whether more rounds would not tell more that matters."""
        low, high = self.bounds
        return high - low <= 2 * SURE

    def row(self):
        """Return the line of the table."""
        duration = load_cases().duration
        old, new = (duration(statistics.median(times)) for times in (self.old, self.new))
        low, high = self.bounds
        best = min(self.old) / min(self.new)
        return (
            f"| {self.name} | {old} | {new} | {self.ratio:.3f} | {low:.3f} to {high:.3f} "
            f"| {report.spread(self.ratios):.1%} | {best:.3f} | {'again' * self.again} |"
        )


def begin(folder, threads, allowed):
    """Return a worker on the build in a folder."""
    folder = Path(folder).resolve()
    try:
        worker = Worker("steep", threads, allowed, path=folder)
        where = worker.ask("hello", 60)["where"]
    except WorkerError as error:
        raise BuildError(f"{folder}: no steep there that can be measured: {error}") from None
    if Path(where).resolve() != folder:
        worker.stop()
        raise BuildError(f"{folder}: Python found the steep of {where}; is one installed?")
    return worker


class Duel:
    """Both builds, each in its own process on the same processors; only one works at a time."""

    def __init__(self, folders, options):
        allowed = processors()
        self.options, self.pool = options, Pool(allowed)
        self.workers = []
        try:
            for folder in folders:
                self.workers.append(begin(folder, options.threads, allowed))
        except BuildError:
            self.stop()
            raise

    def ready(self, name):
        """Prepare a case in both builds; return what hinders them, old and new, "" if nothing."""
        hindered = []
        for worker in self.workers:
            try:
                worker.ask("prepare", 600, case=name, min_time=self.options.min_time)
                hindered.append("")
            except WorkerError as error:
                hindered.append(str(error) or "failed")
        return hindered

    def measure(self, name, rounds):
        """Return the times of a prepared case: old new, new old, and so on."""
        pair = Pair(name, [], [])
        order = [(self.workers[0], pair.old), (self.workers[1], pair.new)]
        for turn in range(rounds):
            for worker, times in order if turn % 2 == 0 else order[::-1]:
                times.append(self.pool.measure(worker))
        return pair

    def free(self):
        """Give the memory of a case back."""
        for worker in self.workers:
            worker.ask("free", 60)

    def stop(self):
        """End both."""
        for worker in self.workers:
            worker.stop()


def choose(prefixes):
    """Return the names of the cases that begin with any of the prefixes, all when none is given."""
    calls = [n for n in CALLS if not prefixes or n.startswith(tuple(prefixes))]
    rest = [p for p in prefixes if not any(n.startswith(p) for n in CALLS)]
    others = load_cases().select(rest) if rest or not prefixes else []
    return [case.name for case in others] + calls


def duel(folders, names, options, say):
    """Measure cases; return the pairs, and how many cases the new build failed to run."""
    pairs, failed, both = [], 0, Duel(folders, options)
    try:
        for name in names:
            old, new = both.ready(name)
            if old or new:
                what = "; ".join(f"{side}: {e}" for side, e in (("old", old), ("new", new)) if e)
                say(f"{name}: not compared, {what}")
                failed += bool(new)
                continue
            pairs.append(both.measure(name, options.rounds))
            both.free()
            print(f"  {name}: {pairs[-1].ratio:.3f}", file=sys.stderr, flush=True)
        load = both.pool.load()
        if load >= 0.05:
            say(f"others used {load:.0%} of the machine")
    finally:
        both.stop()
    return pairs, failed


def second_look(pairs, folders, options, say):
    """Measure anew, by several pairs of fresh processes, what may be below the least ratio.

    One pair may differ, the same in every round, for reasons that are not the build's: where its
    memory lies is one. The second measurement takes the place of the first, whatever it says.
    """
    found = {p.name: Pair(p.name, [], [], again=True) for p in pairs if p.bounds[0] < options.least}
    for look in range(MOST_LOOKS):
        left = [name for name, pair in found.items() if look < LOOKS or not pair.sure]
        if not left:
            break
        for pair in duel(folders, left, options, say)[0]:
            found[pair.name].old += pair.old
            found[pair.name].new += pair.new
        found = {name: pair for name, pair in found.items() if pair.old}
    return [found.get(pair.name, pair) for pair in pairs]


def table(pairs, least):
    """Return the lines of the result, the worst first."""
    lines = [
        "| case | old | new | old/new | 95 % | spread | best/best | |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
        *(pair.row() for pair in sorted(pairs, key=lambda pair: pair.ratio)),
        "",
    ]
    if not pairs:
        return [*lines, "nothing was compared"]
    worst = min(pairs, key=lambda pair: pair.ratio)
    below = [pair for pair in pairs if pair.ratio < least]
    surely = sum(pair.bounds[1] < least for pair in below)
    undecided = sum(pair.bounds[0] < least <= pair.bounds[1] for pair in pairs)
    return [
        *lines,
        f"{len(pairs)} cases: least ratio old/new {worst.ratio:.3f}, {worst.name}; "
        f"{len(below)} below {least:g}, {surely} of them surely, {undecided} cases undecided",
    ]


def parse(arguments):
    """Return the options and the names of the cases."""
    allowed = processors()
    parser = argparse.ArgumentParser("bench/builds.py", description=__doc__)
    parser.add_argument("old", help="folder with a built package steep")
    parser.add_argument("new", help="the same of the build that must not be slower")
    parser.add_argument("--case", action="append", default=[], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help=f">= {LEAST_ROUNDS}")
    parser.add_argument("--threads", type=int, default=len(allowed), help="processors and threads")
    parser.add_argument("--min-time", type=float, default=0.1, help="seconds of a stretch")
    parser.add_argument("--least", type=float, default=0.98, help="ratio below which rc is 1")
    parser.add_argument("--record", metavar="TITLE", help="write a dated record to bench/records/")
    options = parser.parse_args(arguments)
    if options.rounds < LEAST_ROUNDS:
        parser.error(f"--rounds {options.rounds}: fewer than {LEAST_ROUNDS} say nothing")
    if not 1 <= options.threads <= len(allowed):
        parser.error(f"--threads {options.threads}: this process may use {len(allowed)} processors")
    try:
        return options, choose(options.case)
    except ValueError as error:
        parser.error(str(error))


def main(arguments):
    """Compare; return 1 where a case is slower than allowed, or the new build cannot run it."""
    options, names = parse(arguments)
    folders, lines = (options.old, options.new), []

    def say(*more):
        lines.extend(more)
        print(*more, sep="\n", flush=True)

    try:
        pairs, failed = duel(folders, names, options, say)
        pairs = second_look(pairs, folders, options, say)
    except (BuildError, WorkerError) as error:
        print(error)
        return 1
    say(*table(pairs, options.least))
    if options.record:
        command = shlex.join(["python", "bench/builds.py", *arguments])
        report.record(Path(__file__).with_name("records"), options.record, command, {}, lines)
    return int(failed > 0 or not pairs or any(pair.ratio < options.least for pair in pairs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
