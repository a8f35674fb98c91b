"""What is shared by steep and its rivals: random data, timing, and the form of a result."""

import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .cases import Case, Gemm, NewtonSchulz, Rule, Step
from .images import Convolution, ImageStep, products

FloatArray: TypeAlias = NDArray[np.float32]
ImageData: TypeAlias = tuple[FloatArray, NDArray[np.int64], list[FloatArray]]

LEARNING_RATE = 1e-3
IMAGE_LEARNING_RATE = 0.01  # of the image cases, with momentum 0.9
CHECK_STEPS = 20  # steps of the common loss check, from the same weights over the same batches


def _generator(case: Case) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(case.name.encode()))


def step_data(
    case: Step,
) -> tuple[FloatArray, NDArray[np.int64], list[tuple[FloatArray, FloatArray]]]:
    """Return X (samples, inputs), labels (samples,) and the first weights [(in, out), (out,)]."""
    random = _generator(case)
    samples = case.batch * case.batches
    x = random.standard_normal((samples, case.units[0]), dtype=np.float32)
    y = random.integers(0, case.units[-1], samples)
    weights = [
        (
            random.standard_normal((i, o), dtype=np.float32) * np.float32((2 / i) ** 0.5),
            np.zeros(o, np.float32),
        )
        for i, o in pairwise(case.units)
    ]
    return x, y, weights


def image_data(case: ImageStep) -> ImageData:
    """Return X (samples, H, W, C), labels (samples,) and the first weights in order.

    After each weight comes its bias, or scale, shift, running mean and running variance.
    """
    random = _generator(case)
    samples = case.batch * case.batches
    x = random.standard_normal((samples, *case.shape), dtype=np.float32)
    classes, weights = 0, []
    for one in products(case.net, case.shape):
        spread, classes = (2 / prod(one.weight[:-1])) ** 0.5, one.weight[-1]
        weights.append(random.standard_normal(one.weight, dtype=np.float32) * np.float32(spread))
        for value in (1, 0, 0, 1) if one.norm else (0,):
            weights.append(np.full(classes, value, np.float32))
    return x, random.integers(0, classes, samples), weights


def convolution_data(case: Convolution) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return images, weights and the gradient of the result, all random normal."""
    random = _generator(case)
    x, w, dy = (random.standard_normal(s, dtype=np.float32) for s in (case.x, case.w, case.y))
    return x, w, dy


def gemm_data(case: Gemm) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a, b as they lie in memory (see `Gemm`) and the output c (m, n)."""
    random = _generator(case)
    a = (case.k, case.m) if case.layout == "tn" else (case.m, case.k)
    b = (case.n, case.k) if case.layout == "nt" else (case.k, case.n)
    return (
        random.standard_normal(a, dtype=np.float32),
        random.standard_normal(b, dtype=np.float32),
        np.zeros((case.m, case.n), np.float32),
    )


def matrix_data(case: NewtonSchulz) -> list[FloatArray]:
    """Return the matrices (rows, columns), all random normal."""
    random = _generator(case)
    shape = (case.rows, case.columns)
    return [random.standard_normal(shape, dtype=np.float32) for _ in range(case.count)]


def rule_data(case: Rule) -> tuple[FloatArray, FloatArray]:
    """Return the weights (size,) and the gradient (size,), both random normal."""
    random = _generator(case)
    w = random.standard_normal(case.size, dtype=np.float32)
    return w, random.standard_normal(case.size, dtype=np.float32)


@dataclass
class Work:
    """A prepared case: `run()` does `units` of it; `wait()` returns when all of it is done."""

    run: Callable[[], object]
    units: int = 1
    wait: Callable[[], object] | None = None
    check: float | None = None  # the number every implementation must agree on, see bench/README.md
    note: str = ""
    many: Callable[[int], object] | None = None  # does that many calls of `run` in one
    calls: int = 0  # calls of `run` in one measured block, found by `calibrate`
    clock: Callable[[], float] = time.perf_counter  # or processor time, on a busy machine

    def seconds(self, calls: int) -> float:
        """Return the time of this many calls."""
        start = self.clock()
        if self.many is not None:
            self.many(calls)
        else:
            for _ in repeat(None, calls):
                self.run()
        if self.wait is not None:
            self.wait()
        return self.clock() - start

    def calibrate(self, min_time: float) -> None:
        """Find how many calls last at least `min_time` seconds."""
        calls, seconds = 1, self.seconds(1)
        while seconds < min_time:
            grow = 10.0 if seconds <= 0 else min(10.0, 1.1 * min_time / seconds)
            calls = max(calls + 1, int(calls * grow))
            seconds = self.seconds(calls)
        self.calls = calls

    def measure(self) -> float:
        """Return seconds per unit over one block."""
        return self.seconds(self.calls) / (self.calls * self.units)


def row(
    case: str, impl: str, *, threads: int, times: Sequence[float], version: str, note: str
) -> dict[str, Any]:
    """Return one entry of the JSON list; `times` are seconds per unit."""
    return {
        "case": case,
        "impl": impl,
        "threads": threads,
        "median_s": statistics.median(times),
        "min_s": min(times),
        "runs": len(times),
        "version": version,
        "note": note,
    }


def duration(seconds: float, digits: int = 4) -> str:
    """Write seconds with so many digits and a fitting unit."""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.{digits}g} {unit}"
    return f"{seconds * 1e6:.{digits}g} us"
