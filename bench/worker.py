"""One implementation in a process of its own: prepares and times cases on order from bench/run.py.

Orders and answers are lines of JSON on standard input and output. Between orders the process is
blocked, and it answers only when its threads have gone to sleep, so it never disturbs the others.
"""

import ctypes
import gc
import importlib
import importlib.util
import json
import os
import sys
import time
import warnings
from pathlib import Path

import calls


def load_cases(native=False):
    """Import the cases: as part of steep where steep is to be timed, else without loading steep."""
    if native:
        return importlib.import_module("steep.benchmarks")
    if "steep_cases" not in sys.modules:
        package = Path(__file__).parents[1] / "python" / "steep" / "benchmarks"
        spec = importlib.util.spec_from_file_location(
            "steep_cases", package / "__init__.py", submodule_search_locations=[str(package)]
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules["steep_cases"] = module
        spec.loader.exec_module(module)
    return sys.modules["steep_cases"]


class Worker:
    """The state behind the orders: the implementation and the case it has prepared."""

    def __init__(self, name, threads):
        from rivals import IMPLEMENTATIONS

        self.name, self.threads = name, threads
        self.work, self.where = None, ""
        if IMPLEMENTATIONS[name].module == "steep":
            self.bench = load_cases(native=True)
            native = importlib.import_module("steep.benchmarks.native")
            self.prepare_case = lambda case: native.prepare(case, threads)
            steep = importlib.import_module("steep")
            self.version, self.where = steep.__version__, str(Path(steep.__file__).parents[1])
        else:
            self.bench = load_cases()
            module = importlib.import_module(f"rivals.{IMPLEMENTATIONS[name].module}")
            self.prepare_case = lambda case: module.prepare(case, name, threads, self.bench)
            self.version = module.VERSION

    def hello(self):
        """Say which version this is, and steep where it lies."""
        return {"version": self.version, "where": self.where}

    def prepare(self, case, min_time, cpu=False):
        """Prepare and warm up a case; the first call's time includes compiling."""
        start = time.perf_counter()
        if case in calls.CALLS:
            self.work = calls.prepare(case, self.threads)
        else:
            self.work = self.prepare_case(self.bench.find(case))
        self.work.run()
        if self.work.wait is not None:
            self.work.wait()
        first = time.perf_counter() - start
        if cpu:
            self.work.clock = time.process_time
        self.work.calibrate(min_time)
        probe = min(self.work.measure() for _ in range(2))
        return {
            "first": first,
            "probe": probe,
            "check": self.work.check,
            "note": self.work.note,
        }

    def measure(self):
        """Time one block."""
        return {"seconds": self.work.measure()}

    def free(self):
        """Drop the case and give its memory back."""
        self.work = None
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
        return {}


def settle(longest=1.0):
    """Wait until no thread of this process runs any more, as after a spinning barrier."""
    end = time.monotonic() + longest
    while time.monotonic() < end:
        before = time.process_time()
        time.sleep(0.01)
        if time.process_time() - before < 0.001:
            return


def main():
    """Serve orders until standard input closes."""
    name, threads, processors = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors)  # before any library counts processors
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    warnings.simplefilter("ignore")
    worker = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if worker is None:
                worker = Worker(name, threads)
            answer = getattr(worker, order.pop("order"))(**order)
        except Exception as error:
            kind = type(error).__name__
            text = str(error).strip().splitlines() or [""]
            answer = {"error": text[0] if kind == "UnsupportedError" else f"{kind}: {text[0]}"}
            answer["unsupported"] = kind == "UnsupportedError"
        settle()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
