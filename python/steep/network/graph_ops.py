"""Functions of symbolic tensors over the nodes of one graph. Re-exported by `ops`."""

from ..data.sparse import Sparse
from .tensor import Tensor, emit


def sparse_product(x: Tensor, matrix: Sparse) -> Tensor:
    """Return A x for a constant A: (nodes, ...) gives (rows, ...).

    Parameters
    ----------
    x
        (nodes, channels), or more axes behind the first.
    matrix
        A, (rows, nodes): a `data.Graph`, or any other `data.Sparse`.

    Raises
    ------
    TypeError, ValueError
        If `matrix` is no such matrix, or the numbers of nodes differ.
    """
    return emit("sparse_product", x, matrix=_matrix("sparse_product", matrix))


def sparse_matmul(x: Tensor, matrix: Sparse, weight: Tensor) -> Tensor:
    """Return x * (S W) for constant features S: (nodes, 1) gives (nodes, units).

    Only the entries of S that are not 0 are multiplied, and none of it goes through the network's
    inputs.

    Parameters
    ----------
    x
        (nodes, 1): a factor for each node's features, such as 1.
    matrix
        S, (nodes, features).
    weight
        A parameter (features, units).

    Raises
    ------
    TypeError, ValueError
        If `matrix` is no such matrix, or shapes do not fit.
    """
    return emit("sparse_matmul", x, weight, matrix=_matrix("sparse_matmul", matrix))


def _matrix(where: str, matrix: object) -> Sparse:
    if not isinstance(matrix, Sparse):
        raise TypeError(f"{where}: expects a data.Graph or data.Sparse, got {matrix!r}")
    return matrix
