"""Constant matrices of which most entries are 0, as networks hold them. Graphs are in `graph`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..checks.arrays import array

Rows = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]


class Sparse:
    """A constant matrix, of which the entries that are not 0 are kept, by rows.

    Parameters
    ----------
    matrix
        (rows, columns) numbers, or a sparse matrix of scipy.

    Attributes
    ----------
    shape : tuple of int
        (rows, columns).
    begin : ndarray
        int64 (rows + 1,): the entries of row i are ``begin[i]`` to ``begin[i + 1]``.
    column : ndarray
        int32 (entries,), ascending within a row.
    value : ndarray
        float64 (entries,).

    Raises
    ------
    TypeError, ValueError
        If it is no such matrix, or float32 cannot hold an entry.
    """

    shape: tuple[int, int]
    begin: NDArray[np.int64]
    column: NDArray[np.int32]
    value: NDArray[np.float64]
    _native: _core.SparseMatrix

    def __init__(self, matrix: Any) -> None:
        where = type(self).__name__
        if is_sparse(matrix):
            shape, row, column, value = _coordinates(matrix)
        else:
            full = array(where, matrix)
            if full.ndim != 2:
                raise ValueError(f"{where}: expects (rows, columns), got shape {full.shape}")
            shape = (full.shape[0], full.shape[1])
            row, column = np.nonzero(full)
            value = full[row, column].astype(np.float64)
        self._set(shape, *by_rows(shape, row, column, value))

    @classmethod
    def from_rows(cls, shape: tuple[int, int], begin: Any, column: Any, value: Any) -> "Sparse":
        """Return the matrix of these attributes.

        Raises
        ------
        ValueError
            If rows do not begin one after the other, or columns of a row do not ascend within the
            shape.
        """
        made = cls.__new__(cls)
        rows, columns = (int(n) for n in shape)
        kinds = zip((begin, column, value), (np.int64, np.int32, np.float64), strict=True)
        made._set((rows, columns), *(np.array(a, dtype=kind) for a, kind in kinds))
        return made

    def _set(self, shape: tuple[int, int], begin: Any, column: Any, value: Any) -> None:
        self.shape, self.begin, self.column, self.value = shape, begin, column, value
        for part in (begin, column, value):
            part.flags.writeable = False
        self._native = _core.SparseMatrix(shape, begin, column, value)

    def config(self) -> dict[str, Any]:
        """Return the arguments of ``from_rows``."""
        return {
            "shape": list(self.shape),
            "begin": self.begin,
            "column": self.column,
            "value": self.value,
        }

    def dense(self) -> NDArray[np.float64]:
        """Return the whole matrix, float64 (rows, columns)."""
        full = np.zeros(self.shape)
        full[np.repeat(np.arange(self.shape[0]), np.diff(self.begin)), self.column] = self.value
        return full

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the arrays; the native matrix is made anew."""
        return _again, (type(self), self.shape, self.begin, self.column, self.value)

    def __deepcopy__(self, memo: object) -> "Sparse":
        """Be the same in a copy of a network: nothing of it changes."""
        return self

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"<{type(self).__name__} ({rows}, {columns}) of {len(self.value)} entries>"


def _again(kind: type[Sparse], *rows: Any) -> Sparse:
    return kind.from_rows(*rows)


def is_sparse(matrix: object) -> bool:
    """Return whether it is a sparse matrix of scipy, or answers as one."""
    return hasattr(matrix, "tocoo")


def _coordinates(matrix: Any) -> tuple[tuple[int, int], Any, Any, NDArray[np.float64]]:
    """Return shape, rows, columns and values of a matrix of scipy; equal places are added up."""
    entries = matrix.tocsr().copy()
    entries.sum_duplicates()
    entries = entries.tocoo()
    value = array("Sparse", entries.data).astype(np.float64)
    return (int(matrix.shape[0]), int(matrix.shape[1])), entries.row, entries.col, value


def by_rows(shape: tuple[int, int], row: Any, column: Any, value: Any) -> Rows:
    """Return begin, column and value of entries in any order, no two in one place."""
    order = np.lexsort((column, row))
    begin = np.zeros(shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(row, minlength=shape[0]), out=begin[1:])
    return begin, np.asarray(column)[order].astype(np.int32), np.asarray(value)[order]
