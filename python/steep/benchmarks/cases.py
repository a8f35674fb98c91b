"""The benchmark cases: names, sizes, arithmetic and bytes. Images are in images.py; no data."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from .images import CONVOLUTIONS, IMAGE_STEPS, Convolution, ImageStep, find_convolution
from .tasks import TASKS, Task


@dataclass(frozen=True)
class Step:
    """One training step of a dense ReLU network: forward, cross entropy, backward, update.

    Parameters
    ----------
    name : str
        Name of the case.
    units : tuple of int
        Inputs, hidden units, classes.
    batch : int
        Samples in a step.
    batches : int
        Steps in an epoch of the data set, which lies in memory.
    epochs : int
        Epochs in one timed call.
    rule : str
        ``"adam"``, or ``"muon"`` for the hidden matrices with Adam for the rest.
    """

    name: str
    units: tuple[int, ...]
    batch: int
    batches: int
    epochs: int = 5
    rule: str = "adam"

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(i * o + o for i, o in pairwise(self.units))

    @property
    def flops(self) -> float:
        """Arithmetic of a step: three products a layer, but of the first two; and Newton-Schulz."""
        products = [2.0 * self.batch * i * o for i, o in pairwise(self.units)]
        hidden = pairwise(self.units[:-1]) if self.rule == "muon" else ()
        return 3 * sum(products) - products[0] + sum(NewtonSchulz(*pair).flops for pair in hidden)

    @property
    def bytes(self) -> float:
        """Memory a step must move: Adam's seven streams of the parameters, and the batch."""
        return 28.0 * self.parameters + 4.0 * self.batch * self.units[0]

    @property
    def working_set(self) -> float:
        """Bytes touched by every step: weights, gradients, two slots, and the batch."""
        return 16.0 * self.parameters + 4.0 * self.batch * self.units[0]

    @property
    def small(self) -> bool:
        """Whether one thread may be faster than several."""
        return self.flops < 2e7


@dataclass(frozen=True)
class Gemm:
    """C = A B in float32, C (m, n), inner size k; a letter t says that operand lies transposed."""

    m: int
    n: int
    k: int
    layout: str  # nn, nt (B lies as (n, k)) or tn (A lies as (k, m))

    @property
    def name(self) -> str:
        """Name of the case."""
        return f"gemm/{self.m},{self.n},{self.k}/{self.layout}"

    @property
    def flops(self) -> float:
        """Multiplications and additions."""
        return 2.0 * self.m * self.n * self.k

    @property
    def bytes(self) -> float:
        """The three matrices, once each."""
        return 4.0 * (self.m * self.k + self.k * self.n + self.m * self.n)

    @property
    def working_set(self) -> float:
        """Bytes touched by every call."""
        return self.bytes

    @property
    def small(self) -> bool:
        """Whether one thread may be faster than several."""
        return self.flops < 1e6


# Streams of float32 that must be read or written; rules of two passes read some of them again.
STREAMS = {
    "sgd": 3,
    **dict.fromkeys(("momentum", "nesterov", "adagrad", "rmsprop"), 5),
    **dict.fromkeys(("adam", "adamw", "adamax", "nadam", "adadelta"), 7),
    "amsgrad": 9,
    **dict.fromkeys(("lion", "signum", "asgd", "schedulefreesgd"), 5),
    **dict.fromkeys(("radam", "adabelief", "yogi", "rprop", "ftrl", "schedulefreeadamw"), 7),
    "ademamix": 9,
    "adan": 11,
    "lamb": 10,
    "lars": 7,
    "adafactor": 8,  # of a vector
}


@dataclass(frozen=True)
class Rule:
    """One update of `size` float32 parameters in one flat vector by the optimizer `rule`."""

    rule: str
    size: int

    @property
    def name(self) -> str:
        """Name of the case."""
        return f"rule/{self.rule}/{self.size}"

    @property
    def flops(self) -> float:
        """Left out: every rule is bound by memory or by its divisions."""
        return 0.0

    @property
    def bytes(self) -> float:
        """The streams of one pass."""
        return 4.0 * STREAMS[self.rule] * self.size

    @property
    def working_set(self) -> float:
        """Weights, gradient and slots."""
        return 4.0 * ((STREAMS[self.rule] + 1) // 2) * self.size

    @property
    def small(self) -> bool:
        """Whether one thread may be faster than several."""
        return self.size <= 100_000


@dataclass(frozen=True)
class NewtonSchulz:
    """Five steps X = X (a I + b A + c A A), A = X^T X, on `count` float32 matrices: Muon's part."""

    rows: int
    columns: int
    count: int = 1

    @property
    def name(self) -> str:
        """Name of the case."""
        return f"newton_schulz/{self.rows},{self.columns},x{self.count}"

    @property
    def flops(self) -> float:
        """Arithmetic where X is multiplied twice, and of symmetric matrices one half is computed.

        Three steps and two on A alone: see docs/performance.md.
        """
        long, short = max(self.rows, self.columns), min(self.rows, self.columns)
        return 2.0 * self.count * short**2 * (3 * long + 7 * short)

    @property
    def bytes(self) -> float:
        """The matrices, read and written once."""
        return 8.0 * self.count * self.rows * self.columns

    @property
    def working_set(self) -> float:
        """Bytes touched by every call, the steps between left out."""
        return self.bytes / 2

    @property
    def small(self) -> bool:
        """Whether one thread may be faster than several."""
        return self.flops < 2e7


Case: TypeAlias = Step | ImageStep | Task | Gemm | Convolution | NewtonSchulz | Rule

_SHAPES = (
    (32, 128, 784),
    (128, 128, 784),
    (784, 128, 128),
    (128, 1024, 1024),
    (1024, 1024, 128),
    (512, 512, 512),
    (2048, 2048, 2048),
    (128, 4096, 1024),
)
_MATRICES = (
    (1024, 1024),
    (4608, 512),
    (784, 128),
    (128, 784),
    (288, 64, 20),
    (64, 32, 20),
    (128, 10),
)

CASES: tuple[Case, ...] = (
    Step("mlp_tiny", (30, 64, 2), 32, 400),
    Step("mlp_small", (4, 120, 84, 2), 32, 400),
    Step("mlp_mnist", (784, 128, 10), 128, 100),
    Step("mlp_wide", (784, 1024, 1024, 10), 128, 25),
    Step("mlp_muon", (1024, 1024, 10), 32, 4, epochs=1, rule="muon"),
    *IMAGE_STEPS,
    *TASKS,
    *(Gemm(*shape, layout) for shape in _SHAPES for layout in ("nn", "nt", "tn")),
    *CONVOLUTIONS,
    *(NewtonSchulz(*shape) for shape in _MATRICES),
    *(Rule(rule, size) for size in (10_000, 1_000_000, 25_000_000) for rule in STREAMS),
)


def find(name: str) -> Case:
    """Return the case of this exact name; all kinds but steps have one of any size.

    Raises
    ------
    ValueError
        When no case has this name.
    """
    for case in CASES:
        if case.name == name:
            return case
    if found := re.fullmatch(r"gemm/(\d+),(\d+),(\d+)/(nn|nt|tn)", name):
        m, n, k = (int(found[i]) for i in (1, 2, 3))
        if min(m, n, k) > 0:
            return Gemm(m, n, k, found[4])
    if convolution := find_convolution(name):
        return convolution
    if found := re.fullmatch(r"newton_schulz/(\d+),(\d+),x(\d+)", name):
        rows, columns, count = (int(found[i]) for i in (1, 2, 3))
        if min(rows, columns, count) > 0:
            return NewtonSchulz(rows, columns, count)
    found = re.fullmatch(r"rule/(\w+)/(\d+)", name)
    if found and found[1] in STREAMS and int(found[2]) > 0:
        return Rule(found[1], int(found[2]))
    kinds = (
        "mlp_tiny mlp_small mlp_mnist mlp_wide mlp_muon lenet5 resnet20 two_heads vae_mnist "
        "dcgan28 gcn_cora lstm_rows gru_long char_lstm gpt_tiny gemm/M,N,K/nn|nt|tn "
        "conv/CIN-COUT,KxK,HxW,bN[,sS][,pP][,gG]/forward|backward_data|backward_weights|"
        "transposed "
        "newton_schulz/ROWS,COLUMNS,xCOUNT rule/NAME/SIZE"
    )
    raise ValueError(f"no benchmark case starts with {name!r}; there are {kinds}")


def select(prefixes: Iterable[str]) -> list[Case]:
    """Return the cases whose names begin with any of the prefixes, in order; all when none given.

    Raises
    ------
    ValueError
        When a prefix fits no case.
    """
    chosen: dict[str, Case] = {}
    for prefix in prefixes:
        fitting = [case for case in CASES if case.name.startswith(prefix)]
        exact = [case for case in fitting if case.name == prefix]
        for case in exact or fitting or [find(prefix)]:
            chosen[case.name] = case
    return list(chosen.values()) or list(CASES)
