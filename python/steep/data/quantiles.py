"""Where the numbers of samples lie: bins that hold about as many samples each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import array, finite
from ..checks.numbers import whole

NEAR = 1e-6  # of the range of a number: edges nearer than that are one


def quantile_edges(X: Any, bins: int = 32) -> NDArray[np.float64]:
    """Return the edges of bins of each feature, for `layers.PiecewiseEmbedding`.

    A feature of at most `bins` + 1 different values has an edge at each of them. A value that more
    samples have than a bin would hold is an edge, and the other edges are found without these
    samples: many zeros leave bins for what is no zero. What is left of the edges is the last one,
    again and again: bins of no width.

    Parameters
    ----------
    X : array-like
        (samples, features) numbers.
    bins : int
        Bins of a feature.

    Returns
    -------
    ndarray
        (features, bins + 1) edges, ascending; all are values of the feature.

    Raises
    ------
    TypeError, ValueError
        If X is no table of finite numbers with at least one row, or `bins` no count.
    """
    count = whole("quantile_edges", "bins", bins)
    X = array("quantile_edges: X", X)
    if X.ndim != 2 or not len(X):
        raise ValueError(f"quantile_edges: X must have shape (samples, features), got {X.shape}")
    finite("quantile_edges: X", X)
    edges = np.empty((X.shape[1], count + 1))
    for row, column in zip(edges, X.T, strict=True):
        values, counts = np.unique(column.astype(np.float64), return_counts=True)
        if len(values) > count + 1:
            often = counts > len(X) / count
            places = np.linspace(0.0, 1.0, count + 1 - np.count_nonzero(often))
            others = np.cumsum(np.where(often, 0, counts))
            at = np.searchsorted(others, np.maximum(places * others[-1], 1.0))
            values = np.union1d(values[at], values[often])
        apart = np.diff(values, prepend=-np.inf) > NEAR * (values[-1] - values[0])
        values = values[apart]
        row[: len(values)], row[len(values) :] = values, values[-1]
    return edges
