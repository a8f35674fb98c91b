"""Graphs: edges between nodes as the sparse matrix that networks multiply with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import array
from ..checks.names import choose
from ..checks.numbers import flag, whole
from .sparse import Sparse, by_rows, is_sparse

MOST_NODES = 2**31 - 1
NORMALISATIONS = ("symmetric", "rows", "none")


class Graph(Sparse):
    """A graph as the matrix D^-1/2 (A + I) D^-1/2 of Kipf & Welling (2017).

    A is 1, or the weight, where an edge brings the values of one node (a column) to another (a
    row), and D holds the sums of the rows of A + I, on the right side those of its columns, which
    differ where edges have directions.

    Parameters
    ----------
    edges
        (E, 2) pairs of node numbers, or (2, E); an edge from a node to another one. Or A itself, a
        sparse matrix of scipy (nodes, nodes); `from_adjacency` takes full ones.
    nodes
        How many there are: numbers are 0 to nodes - 1.
    weights
        (E,) numbers above 0; None: 1 each.
    directed
        Whether an edge goes one way only. Else it goes both, however often it is listed; weights
        of the same edge must be equal.
    normalise
        ``"symmetric"`` as above, ``"rows"``: D^-1 (A + I), means of neighbours, or ``"none"``.
    loops
        Whether I is added, once: edges from a node to itself are left out before. False keeps them.

    Raises
    ------
    TypeError, ValueError
        If an edge leaves the nodes, or something is no such number.
    """

    def __init__(
        self,
        edges: Any,
        nodes: int,
        weights: Any = None,
        *,
        directed: bool = False,
        normalise: str | None = "symmetric",
        loops: bool = True,
    ) -> None:
        nodes = whole("Graph", "nodes", nodes, high=MOST_NODES)
        pairs, weight = _edges(edges, nodes, weights)
        if not flag("Graph", "directed", directed):
            pairs = np.sort(pairs, axis=1)
        pairs, weight = _once(pairs, weight, nodes)
        if flag("Graph", "loops", loops):
            apart = pairs[:, 0] != pairs[:, 1]
            each = np.arange(nodes)
            pairs = np.concatenate([pairs[apart], np.stack([each, each], axis=1)])
            weight = np.concatenate([weight[apart], np.ones(nodes)])
        if not directed:
            back = pairs[:, 0] != pairs[:, 1]
            pairs = np.concatenate([pairs, pairs[back][:, ::-1]])
            weight = np.concatenate([weight, weight[back]])
        source, target = pairs[:, 0], pairs[:, 1]
        how = choose("normalise", normalise or "none", {name: name for name in NORMALISATIONS})
        value = _normalised(how, target, source, weight, nodes)
        shape = (nodes, nodes)
        self._set(shape, *by_rows(shape, target, source, value))

    @classmethod
    def from_adjacency(
        cls, matrix: Any, *, normalise: str | None = "symmetric", loops: bool = True
    ) -> "Graph":
        """Return the graph of a matrix A (nodes, nodes) of numbers of at least 0.

        A[i, j] is the weight of the edge that brings the values of node j to node i. The others are
        as above.

        Raises
        ------
        TypeError, ValueError
            If it is no such matrix.
        """
        given = Sparse(matrix)
        target = np.repeat(np.arange(given.shape[0]), np.diff(given.begin))
        edges = np.stack([given.column.astype(np.int64), target], axis=1)
        if given.shape[0] != given.shape[1]:
            raise ValueError(f"Graph: expects a matrix (nodes, nodes), got shape {given.shape}")
        return cls(
            edges, given.shape[0], given.value, directed=True, normalise=normalise, loops=loops
        )

    def _set(self, shape: tuple[int, int], begin: Any, column: Any, value: Any) -> None:
        if shape[0] != shape[1]:
            raise ValueError(f"Graph: expects a matrix (nodes, nodes), got shape {shape}")
        super()._set(shape, begin, column, value)

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return self.shape[0]


def _edges(edges: Any, nodes: int, weights: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return edges (E, 2), from and to, and their weights (E,), checked."""
    if is_sparse(edges):
        if weights is not None:
            raise ValueError("Graph: a matrix has its weights in itself, weights must be None")
        given = Sparse(edges)
        if given.shape != (nodes, nodes):
            raise ValueError(
                f"Graph: expects a matrix ({nodes}, {nodes}) for {nodes} nodes, got {given.shape}"
            )
        target = np.repeat(np.arange(nodes), np.diff(given.begin))
        edges, weights = np.stack([given.column, target], axis=1), given.value
    pairs = array("Graph: edges", edges, "expects node numbers")
    if pairs.size == 0:
        pairs = np.zeros((0, 2), dtype=np.int64)
    if pairs.ndim != 2 or 2 not in pairs.shape:
        raise ValueError(f"Graph: edges must have shape (E, 2) or (2, E), got {pairs.shape}")
    if pairs.dtype.kind not in "iu":
        raise TypeError(f"Graph: edges must be ints, the numbers of nodes, got {pairs.dtype}")
    if pairs.shape[1] != 2:
        pairs = pairs.T
    outside = np.flatnonzero(((pairs < 0) | (pairs >= nodes)).any(axis=1))
    if len(outside):
        a, b = pairs[outside[0]].tolist()
        raise ValueError(
            f"Graph: edge {outside[0]} is ({a}, {b}), but the {nodes} nodes are 0 to {nodes - 1}"
        )
    pairs = pairs.astype(np.int64)
    if weights is None:
        return pairs, np.ones(len(pairs))
    weight = array("Graph: weights", weights).astype(np.float64)
    if weight.shape != (len(pairs),):
        raise ValueError(
            f"Graph: expects one weight for each of {len(pairs)} edges, got shape {weight.shape}"
        )
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight > 0)))
    if len(wrong):
        raise ValueError(
            f"Graph: weights must be above 0 and finite, edge {wrong[0]} has {weight[wrong[0]]}"
        )
    return pairs, weight


def _once(
    pairs: NDArray[np.int64], weight: NDArray[np.float64], nodes: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return every edge once; refuse one that is listed with two weights."""
    _, first, of = np.unique(pairs @ [nodes, 1], return_index=True, return_inverse=True)
    other = np.flatnonzero(weight[first][of] != weight)
    if len(other):
        a, b = pairs[other[0]].tolist()
        had = weight[first][of][other[0]]
        raise ValueError(
            f"Graph: the edge between {a} and {b} has two weights, {had} and {weight[other[0]]}"
        )
    return pairs[first], weight[first]


def _normalised(
    how: str, row: Any, column: Any, weight: NDArray[np.float64], nodes: int
) -> NDArray[np.float64]:
    """Return the weights of entries after normalisation; each is above 0."""
    if how == "none":
        return weight
    rows = np.bincount(row, weight, minlength=nodes)
    if how == "rows":
        return np.asarray(weight / rows[row])
    columns = np.bincount(column, weight, minlength=nodes)
    return np.asarray(weight / np.sqrt(rows[row] * columns[column]))
