"""Trains graph networks on the karate club and on Cora; prints the tables of docs/graphs.md.

python docs/graphs.py [--seeds N] [--cora FILE]

FILE is Planetoid's Cora as an archive of NumPy: x (nodes, words), y (nodes,), edges (2, E) and test
(1000,), numbers of nodes.
"""

import argparse
import sys
import time
from typing import Any

import numpy as np
import steep
from numpy.typing import NDArray
from steep import data, losses, models, optimizers

# Zachary (1977): who met whom outside of the club, and who left with the officer (node 33).
CLUB = """0 1,2,3,4,5,6,7,8,10,11,12,13,17,19,21,31 1 2,3,7,13,17,19,21,30 2 3,7,8,9,13,27,28,32
3 7,12,13 4 6,10 5 6,10,16 6 16 8 30,32,33 9 33 13 33 14 32,33 15 32,33 18 32,33 19 33 20 32,33
22 32,33 23 25,27,29,32,33 24 25,27,31 25 31 26 29,33 27 33 28 31,33 29 32,33 30 32,33 31 32,33
32 33"""
OFFICERS = (9, 14, 15, 18, 20, *range(22, 34))
STEPS, RATE, DECAY = 200, 0.01, 5e-4


def club() -> tuple[data.Graph, NDArray[Any]]:
    """Return the graph of 34 members, and which side each took, 0 or 1."""
    words = CLUB.split()
    edges = [
        (int(a), int(b))
        for a, others in zip(words[::2], words[1::2], strict=True)
        for b in others.split(",")
    ]
    sides = np.zeros(34, int)
    sides[list(OFFICERS)] = 1
    return data.Graph(edges, 34), sides


def karate(seed: int) -> int:
    """Return how many of 34 members are right when the sides of two of them are known."""
    graph, sides = club()
    net = models.gcn(graph, 2, 16, dropout=0.0, features=data.Sparse(np.eye(34)))
    known = np.full(34, -1)
    known[[0, 33]] = sides[[0, 33]]
    X = np.ones((1, 34, 1))
    trainer = steep.Trainer(net, losses.CrossEntropy(ignore=-1), optimizers.Adam(RATE), seed=seed)
    trainer.fit(X, known[None], epochs=STEPS, progress=False)
    return int((net.predict(X)[0].argmax(1) == sides).sum())


def read_cora(path: str) -> dict[str, Any]:
    """Return the graph, the features, rows of sum 1, labels, and which nodes are for what."""
    with np.load(path) as archive:
        x, y, edges, test = (archive[name] for name in ("x", "y", "edges", "test"))
    x = x / np.maximum(x.sum(axis=1, keepdims=True), 1)
    known = np.where(np.arange(len(y)) < 140, y, -1)
    return {"graph": data.Graph(edges, len(y)), "x": x, "y": y, "known": known, "test": test}


def cora(given: dict[str, Any], seed: int, hops: bool = True) -> float:
    """Return the accuracy on the test nodes; without hops of a dense network of each node alone."""
    features, y = data.Sparse(given["x"]), given["known"]
    graph = given["graph"] if hops else data.Graph([], len(y))
    net = models.gcn(graph, 7, 16, features=features)
    X = np.ones((1, len(y), 1))
    trainer = steep.Trainer(
        net,
        losses.CrossEntropy(ignore=-1),
        optimizers.Adam(RATE),
        groups={"graph_conv.*": {"l2": DECAY}},
        seed=seed,
    )
    trainer.fit(X, y[None], epochs=STEPS, progress=False)
    right = net.predict(X)[0].argmax(1) == given["y"]
    return float(right[given["test"]].mean())


def main(arguments: list[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser("docs/graphs.py", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cora", metavar="FILE")
    options = parser.parse_args(arguments)
    seeds = range(options.seeds)
    print("karate club, right of 34:", *(karate(seed) for seed in seeds))
    if options.cora:
        given = read_cora(options.cora)
        for name, hops in (("GCN", True), ("without edges", False)):
            start = time.perf_counter()
            found = [cora(given, seed, hops) for seed in seeds]
            each = " ".join(f"{a:.3f}" for a in found)
            seconds = (time.perf_counter() - start) / len(found)
            print(f"Cora, {name}: mean {np.mean(found):.4f} ({each}), {seconds:.2f} s a training")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
