"""Starts the worker processes, each held to the same processors, and watches who else computes."""

import contextlib
import json
import os
import select
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from rivals import IMPLEMENTATIONS

# Every variable by which a library here takes its number of threads.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "STEEP_NUM_THREADS",
)

# glibc otherwise maps results above 32 MiB anew in every call: whoever allocates its results would
# be timed with the page faults.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 33),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
}


class WorkerError(RuntimeError):
    """A worker answered with an error, died, or took too long."""

    def __init__(self, message, unsupported=False):
        super().__init__(message)
        self.unsupported = unsupported


def missing(name):
    """Return what is missing for an implementation, or None."""
    if name == "steep":
        return (
            None
            if find_spec("steep")
            else f"steep: not installed ({IMPLEMENTATIONS[name].install})"
        )
    for needed in IMPLEMENTATIONS[name].distributions:
        try:
            distribution(needed)
        except PackageNotFoundError:
            return f"{name}: {needed} not installed ({IMPLEMENTATIONS[name].install})"
    return None


def processors():
    """Return the processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class Worker:
    """One implementation in its own process, with a number of threads and, given, a PYTHONPATH."""

    def __init__(self, name, threads, allowed, path=None):
        environment = dict(os.environ)
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        environment.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
        environment.update(KEEP_MEMORY)
        environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
        environment["JAX_PLATFORMS"] = "cpu"
        self.name, self.threads = name, threads
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("worker.py")),
                name,
                str(threads),
                json.dumps(allowed[-threads:]),  # interrupts are mostly served by the first
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        try:
            self.version = self.ask("hello", 300)["version"]
        except WorkerError:
            self.stop()
            raise

    def ask(self, order, limit, **arguments):
        """Send an order and wait for its answer, at most `limit` seconds."""
        pipe = self.process
        try:
            pipe.stdin.write(json.dumps({"order": order, **arguments}) + "\n")
            pipe.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(f"ended with code {pipe.wait()}") from None
        if not select.select([pipe.stdout], [], [], limit)[0]:
            self.stop()
            raise WorkerError(f"{order}: no answer in {limit} s")
        line = pipe.stdout.readline()
        if not line:
            raise WorkerError(f"{order}: ended with code {pipe.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"], answer["unsupported"])
        return answer

    def stop(self):
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # an order it never read
                pipe.close()

    def processor_seconds(self):
        """Return the processor time the worker has used, or 0 where the system does not say."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Pool:
    """All workers of a run, started when first needed."""

    def __init__(self, allowed):
        self.allowed = allowed
        self.workers = {}
        self.busy = self.wall = 0.0  # processor and wall seconds of others while one was timed

    def worker(self, name, threads):
        """Return the worker of this implementation and number of threads."""
        key = name, threads
        if key not in self.workers or self.workers[key].process.poll() is not None:
            self.workers[key] = Worker(name, threads, self.allowed)
        return self.workers[key]

    def measure(self, worker):
        """Return seconds per unit of one block, and account for what others did meanwhile."""
        all_before, own_before = machine_seconds(), worker.processor_seconds()
        seconds = worker.ask("measure", 600)["seconds"]
        own = worker.processor_seconds() - own_before
        busy, wall = (
            now - before for now, before in zip(machine_seconds(), all_before, strict=True)
        )
        self.busy += max(0.0, busy - own)
        self.wall += wall
        return seconds

    def load(self):
        """Return how much of the machine others used while something was timed, then forget it."""
        load = self.busy / self.wall if self.wall else 0.0
        self.busy = self.wall = 0.0
        return load

    def stop(self):
        """End all workers."""
        for worker in self.workers.values():
            worker.stop()
        self.workers = {}


def machine_seconds():
    """Return busy (stolen included) and all processor seconds of the machine since it started."""
    try:
        line = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0.0, 0.0
    ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in line]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
