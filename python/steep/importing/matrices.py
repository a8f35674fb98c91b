"""Axes multiplied by constant matrices, as sparse products. Products by weights: `builder`."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..data import Sparse
from .views import Atom, Moves, View, grouped, single


def multiplied(v: View, matrix: NDArray[Any], moves: Moves) -> View:
    """Multiply the last axis but one by a constant matrix from the left."""
    k = len(v.axes) - 2
    v = single(v, k, moves)
    if v.shape[k] != matrix.shape[1]:
        raise ValueError(f"{matrix.shape} and {v.shape} do not fit")
    rest = tuple(atom for atom in v.order if atom not in v.axes[k])
    x = grouped(v, [v.axes[k], rest], moves)
    y = ops.sparse_product(x, Sparse(matrix.astype(np.float64)))
    atom, axes = (Atom(len(matrix)),) if len(matrix) > 1 else (), [*v.axes]
    axes[k] = atom
    return View(y, (*atom, *rest), tuple(axes))


def mixed(v: View, matrices: Mapping[int, NDArray[Any]], most: int, moves: Moves) -> View:
    """Multiply axes by constant matrices, all of them at once.

    Raises
    ------
    ValueError
        If the product of the matrices has too many numbers.
    """
    ours = [k for k in range(len(v.axes)) if k in matrices]
    for k in ours:
        v = single(v, k, moves)
    lying = sorted(ours, key=lambda k: v.order.index(v.axes[k][0]) if v.axes[k] else -1)
    found = [np.argwhere(matrices[k]) for k in lying]
    if math.prod(len(at) for at in found) > most:
        raise ValueError(f"mixes pixels by {math.prod(map(len, found)):,} numbers")
    row, column, value = np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1)
    for k, at in zip(lying, found, strict=True):
        rows, columns = matrices[k].shape
        row = (row[:, None] * rows + at[:, 0]).reshape(-1)
        column = (column[:, None] * columns + at[:, 1]).reshape(-1)
        value = (value[:, None] * matrices[k][at[:, 0], at[:, 1]]).reshape(-1)
    shape = tuple(math.prod(matrices[k].shape[j] for k in lying) for j in (0, 1))
    inside = sum((v.axes[k] for k in lying), ())
    rest = tuple(atom for atom in v.order if atom not in inside)
    x = grouped(v, [inside, rest], moves)
    begin = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=shape[0]))])
    order = np.lexsort((column, row))
    y = ops.sparse_product(
        x, Sparse.from_rows((shape[0], shape[1]), begin, column[order], value[order])
    )
    axes = [*v.axes]
    for k in lying:
        axes[k] = (Atom(len(matrices[k])),) if len(matrices[k]) > 1 else ()
    return View(y, (*sum((axes[k] for k in lying), ()), *rest), tuple(axes))
