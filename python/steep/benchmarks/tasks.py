"""The cases of more than one loss, or of noise or a graph: names, sizes, arithmetic, data."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Task:
    """One training step, forward to update, with Adam.

    Parameters
    ----------
    name : str
        ``two_heads``: 64-128-128 with ReLU, a head of 10 classes (cross entropy) and one of 4
        values (Huber, weight 2). ``vae_mnist``: 784-400-20-400-784, cross entropy of pixels summed,
        and the divergence. ``dcgan28``: a discriminator's step on real and fake images and a
        generator's, 28x28, of Radford et al. (2015). ``gcn_cora``: 1433-16-7 over a graph of the
        size of Cora, binary features of which 1.3 % are 1, dropout 0.5 before the second layer.
        ``lstm_rows``: an LSTM of 128 units over the 28 rows of 28 pixels, its last h to 10 classes.
        ``gru_long``: a GRU of 64 units over 100 steps of 8 numbers, its last h to one value.
        ``char_lstm``: an LSTM of 256 units over 64 tokens of 65, a table of 64 numbers before it,
        each h to the next token.
        ``gpt_tiny``: a causal Transformer of 4 layers, 4 heads, 128 units, 64 tokens of 65, whose
        table makes the logits.
    batch : int
        Samples in a step.
    batches : int
        Steps in an epoch of the data set, which lies in memory.
    epochs : int
        Epochs in one timed call.
    parameters : int
        Number of weights.
    flops : float
        Arithmetic of a step.
    lr : float
        Of Adam, whose beta1 is 0.5 in ``dcgan28``.
    """

    name: str
    batch: int
    batches: int
    epochs: int
    parameters: int
    flops: float
    lr: float = 1e-3

    @property
    def bytes(self) -> float:
        """Memory a step must move: Adam's seven streams of the parameters."""
        return 28.0 * self.parameters

    @property
    def working_set(self) -> float:
        """Weights, gradients, two slots."""
        return 16.0 * self.parameters

    @property
    def small(self) -> bool:
        """Whether one thread may be faster than several."""
        return self.flops < 2e7


# Of recurrent cases: steps, features, units, gates, outputs.
RECURRENT = {"lstm_rows": (28, 28, 128, 4, 10), "gru_long": (100, 8, 64, 3, 1)}
CHARACTERS = (65, 64, 256, 64)  # of char_lstm: tokens, numbers of each, units, steps
NODES, FEATURES, HIDDEN, CLASSES, EDGES, LABELLED = 2708, 1433, 16, 7, 5278, 140
ENTRIES = 49_216  # of the features
TOKENS, CONTEXT, WIDTH, DEPTH = 65, 64, 128, 4

TASKS = (
    Task("two_heads", 64, 200, 5, 26_638, 2.0 * 64 * (3 * 26_368 - 64 * 128)),
    Task("vae_mnist", 128, 40, 1, 652_824, 4.2e8),
    Task("dcgan28", 64, 4, 1, 898_370, 9.44e9, lr=2e-4),
    Task("gcn_cora", 1, 1, 50, 23_063, 6e6, lr=0.01),
    Task("lstm_rows", 64, 20, 2, 81_674, 8.08e8),
    Task("gru_long", 64, 10, 2, 14_273, 5.11e8),
    Task("char_lstm", 32, 10, 1, 349_569, 4.23e9),
    Task("gpt_tiny", 16, 10, 1, 809_856, 5.29e9),
)

Arrays = dict[str, NDArray[Any]]


def task_data(case: Task) -> tuple[Arrays, list[NDArray[np.float32]]]:
    """Return the arrays of a case by name, and its first weights: (in, out), (out,), ... in order.

    Of ``dcgan28`` no weights: each begins with its own, of N(0, 0.02).
    """
    random = np.random.default_rng(zlib.crc32(case.name.encode()))
    n = case.batch * case.batches
    if case.name == "gcn_cora":
        return _graph(random), _weights(random, ((FEATURES, HIDDEN), (HIDDEN, CLASSES)))
    if case.name in ("gpt_tiny", "char_lstm"):
        tokens = random.integers(0, TOKENS, (n, CONTEXT + 1))
        weights = _transformer(random) if case.name == "gpt_tiny" else _characters(random)
        return {"x": tokens[:, :-1].copy(), "y": tokens[:, 1:].copy()}, weights
    if case.name == "dcgan28":
        return {"x": random.uniform(-1, 1, (n, 28, 28, 1)).astype(np.float32)}, []
    if case.name == "vae_mnist":
        shapes = ((784, 400), (400, 40), (20, 400), (400, 784))
        return {"x": random.random((n, 784), dtype=np.float32)}, _weights(random, shapes)
    if case.name in RECURRENT:
        return _series(random, n, case.name)
    data: Arrays = {
        "x": random.standard_normal((n, 64), dtype=np.float32),
        "label": random.integers(0, 10, n),
        "box": random.standard_normal((n, 4), dtype=np.float32),
    }
    return data, _weights(random, ((64, 128), (128, 128), (128, 10), (128, 4)))


def _weights(
    random: np.random.Generator, shapes: Sequence[tuple[int, int]]
) -> list[NDArray[np.float32]]:
    found = []
    for i, o in shapes:
        bound = (6 / (i + o)) ** 0.5
        found += [random.uniform(-bound, bound, (i, o)).astype(np.float32), np.zeros(o, np.float32)]
    return found


def _series(
    random: np.random.Generator, n: int, name: str
) -> tuple[Arrays, list[NDArray[np.float32]]]:
    """Return sequences, labels or values, and weights; of three gates there are two biases."""
    steps, features, units, gates, out = RECURRENT[name]
    columns = gates * units
    w, bias, u, second, *head = _weights(
        random, ((features, columns), (units, columns), (units, out))
    )
    y = random.random((n, 1), np.float32) if out == 1 else random.integers(0, out, n)
    x = random.random((n, steps, features), np.float32)
    return {"x": x, "y": y}, [w, u, bias, *([second] if gates == 3 else []), *head]


def _characters(random: np.random.Generator) -> list[NDArray[np.float32]]:
    """Return a table of tokens, the weights of an LSTM, and those of a layer behind it."""
    tokens, width, units, _ = CHARACTERS
    shapes = ((tokens, width), (width, 4 * units), (units, 4 * units), (units, tokens))
    table, _, w, bias, u, _, *head = _weights(random, shapes)
    return [table, w, u, bias, *head]


def _transformer(random: np.random.Generator) -> list[NDArray[np.float32]]:
    """Return tables of tokens and positions, the weights of the blocks, and those of a norm."""

    def product(inside: int, outside: int) -> list[NDArray[np.float32]]:
        w = 0.02 * random.standard_normal((inside, outside), dtype=np.float32)
        return [w, np.zeros(outside, np.float32)]

    norm = [np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)]
    found = [product(TOKENS, WIDTH)[0], product(CONTEXT, WIDTH)[0]]
    for _ in range(DEPTH):
        found += [*norm, *product(WIDTH, 3 * WIDTH), *product(WIDTH, WIDTH)]
        found += [*norm, *product(WIDTH, 4 * WIDTH), *product(4 * WIDTH, WIDTH)]
    return found + norm


def _graph(random: np.random.Generator) -> Arrays:
    """Return a graph and features of the size and the fill of Cora's, rows of sum 1."""
    edges = np.sort(random.integers(0, NODES, (2 * EDGES, 2)), axis=1)
    edges = np.unique(edges[edges[:, 0] != edges[:, 1]], axis=0)
    x = np.zeros((NODES, FEATURES), np.float32)
    x.reshape(-1)[random.choice(x.size, ENTRIES, replace=False)] = 1
    y = np.full(NODES, -1)
    y[:LABELLED] = random.integers(0, CLASSES, LABELLED)
    return {
        "edges": edges[random.permutation(len(edges))[:EDGES]],
        "x": x / np.maximum(x.sum(axis=1, keepdims=True), 1),
        "y": y,
    }
