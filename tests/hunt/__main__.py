"""``python -m tests.hunt --seeds A:B``: tries laws on random networks and shrinks what fails.

The hunt ends with one line; its exit code is 1 where a law was broken. See `laws.table`.
"""

import argparse
import sys
import threading
import time
from collections import Counter
from pathlib import Path

TESTS = str(Path(__file__).resolve().parent.parent)
if TESTS not in sys.path:
    sys.path.insert(0, TESTS)

import random_networks  # noqa: E402
import shrink  # noqa: E402
from hunt.crew import Worker  # noqa: E402
from laws.table import LAWS  # noqa: E402 - the path comes first


def say(text):
    """Print at once, also into a file."""
    print(text, flush=True)


class Hunt:
    """Seeds shared by workers; what they found."""

    def __init__(self, seeds, laws, *, minutes=None, shrink=30.0, report=say):
        self.seeds, self.laws, self.report = iter(seeds), laws, report
        self.limit = None if minutes is None else time.monotonic() + 60 * minutes
        self.shrink_seconds = shrink
        self.lock = threading.Lock()
        self.counts = Counter()  # of (law, kind)
        self.seconds = Counter()  # by law
        self.skipped = Counter()  # by law and reason
        self.found = {}  # first failure of each key: (seed, result)
        self.seeds_of = {}  # all seeds of each key
        self.cases = self.last = 0
        self.error = None

    def run(self, workers):
        """Hunt with some workers until the seeds, or the minutes, are over."""
        threads = [threading.Thread(target=self._work, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.error is not None:  # of the hunt itself: it must not look like a good end
            raise self.error
        return self

    @property
    def failures(self):
        return sum(n for (_, kind), n in self.counts.items() if kind == "failed")

    def _next(self):
        with self.lock:
            if self.limit is not None and time.monotonic() > self.limit:
                return None
            seed = next(self.seeds, None)
            if seed is not None:
                self.cases, self.last = self.cases + 1, seed
            return seed

    def _work(self, worker):
        try:
            self._hunt(worker)
        except Exception as error:
            self.error = error

    def _hunt(self, worker):
        while (seed := self._next()) is not None:
            left = [name for name in self.laws if LAWS[name].tries(seed)]
            while left:
                results = worker.run({"seed": seed, "laws": left})
                for result in results:
                    self._count(seed, result, worker)
                # After a crash the laws behind the one that crashed are tried by a new process.
                left = left[left.index(results[-1].law) + 1 :]

    def _count(self, seed, result, worker):
        with self.lock:
            self.counts[result.law, result.kind] += 1
            self.seconds[result.law] += result.seconds
            if result.kind == "skipped":
                self.skipped[f"{result.law}: {result.message}"] += 1
            if not result.failed:
                return
            self.seeds_of.setdefault(result.key, []).append(seed)
            if result.key in self.found:
                return
            self.found[result.key] = seed, result
        case, last = smallest(seed, result, worker, self.shrink_seconds)
        with self.lock:
            self.report(f"\n== seed {seed}, law {result.law} ({result.where})\n{result.message}")
            self.report(f"-- smallest case found, {last.message.splitlines()[0]}\n{case.program()}")


def smallest(seed, result, worker, seconds):
    """Return the smallest case found that breaks the law in the same way, and how it does."""
    case, end = random_networks.case(seed), time.monotonic() + seconds
    going = True
    while going and time.monotonic() < end:
        going = False
        for candidate in shrink.candidates(case):
            if time.monotonic() > end:
                break
            if shrink.size(candidate) >= shrink.size(case):
                continue
            again = worker.run({"case": candidate, "laws": [result.law]})[-1]
            if again.failed and again.key == result.key:
                case, result, going = candidate, again, True
                break
    return case, result


def main(arguments=None):
    known = list(LAWS)
    parser = argparse.ArgumentParser(prog="python -m tests.hunt", description=__doc__)
    parser.add_argument("--seeds", default="0:200", help="A:B, from A to below B")
    parser.add_argument("--laws", default=",".join(known), help=f"of {', '.join(known)}")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, help="stop after so many")
    parser.add_argument("--shrink", type=float, default=30.0, help="seconds to shrink one failure")
    given = parser.parse_args(arguments)
    first, _, last = given.seeds.partition(":")
    chosen = given.laws.split(",")
    if unknown := set(chosen) - set(known):
        parser.error(f"no law is called {', '.join(sorted(unknown))}; laws are {', '.join(known)}")
    start = time.monotonic()
    hunt = Hunt(range(int(first), int(last or int(first) + 1)), chosen, minutes=given.minutes,
                shrink=given.shrink)  # fmt: skip
    workers = [Worker() for _ in range(given.jobs)]
    try:
        hunt.run(workers)
    finally:
        for worker in workers:
            worker.stop()
    print("\nlaw                 held skipped failed      ms")
    for name in chosen:
        held, skipped, failed = (hunt.counts[name, kind] for kind in ("held", "skipped", "failed"))
        mean = 1e3 * hunt.seconds[name] / max(1, held + skipped + failed)
        print(f"{name:18} {held:6} {skipped:7} {failed:6} {mean:7.1f}")
    print("skipped:", ", ".join(f"{n} {why}" for why, n in hunt.skipped.most_common()))
    for key, seeds in sorted(hunt.seeds_of.items(), key=lambda item: -len(item[1])):
        print(f"{len(seeds):5} x {' | '.join(key)}: seeds {', '.join(map(str, seeds[:8]))}")
    print(
        f"hunt: seeds {given.seeds}, {hunt.cases} cases, {hunt.failures} failures, "
        f"{time.monotonic() - start:.0f} s"
    )
    return int(hunt.failures > 0)


if __name__ == "__main__":
    sys.exit(main())
