"""Samples between scikit-learn and steep: checked, weighted, merged. Labels are in `kinds`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.utils.validation import _check_sample_weight, validate_data

from ..checks.arrays import LAZY, Array, is_lazy, odd_column
from ..threads import threads

SMALL = 1e7  # multiply-adds: a few tenths of a millisecond
TOO_LARGE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


class Samples(NamedTuple):
    """What is trained on: inputs, targets as the loss takes them, weights or None for ones."""

    X: Array
    y: Array
    weights: Array | None

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return float(len(self.X)) if self.weights is None else float(self.weights.sum())


def inputs(estimator: Any, X: Any, *, reset: bool = False, images: bool = False) -> Array:
    """Return X as scikit-learn checks it: dense, float64 or float32.

    Raises
    ------
    TypeError, ValueError
        As scikit-learn's own estimators; also for what is beyond the precision computed in.
    """
    with _columns_named(estimator, X):
        found = validate_data(
            estimator,
            X,
            accept_sparse=["csr", "csc"],
            dtype=(np.float64, np.float32),
            allow_nd=images,
            reset=reset,
        )
        return dense(estimator, found)


def pair(estimator: Any, X: Any, y: Any, *, reset: bool, numeric: bool, images: bool) -> Any:
    """Return X as `inputs` has it, and y checked against it."""
    with _columns_named(estimator, X):
        found, y = validate_data(
            estimator,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=numeric,
            dtype=(np.float64, np.float32),
            allow_nd=images,
            reset=reset,
        )
        return dense(estimator, found), y


@contextmanager
def _columns_named(estimator: Any, X: Any) -> Iterator[None]:
    """Have errors say which column of a table is no numbers, or lacks some.

    Raises
    ------
    TypeError, ValueError
        For a query of polars, and a column of times or complex numbers, which scikit-learn takes
        for others.
    """
    if is_lazy(X):
        raise TypeError(f"X: {LAZY}")
    if (odd := odd_column(X)) is not None:
        _, name, kind = odd
        if kind.startswith("complex"):
            raise ValueError(f"X: column {name!r} is complex. Complex data not supported")
        raise TypeError(
            f"X: column {name!r} holds times; make them numbers, days since a first one"
        )
    try:
        yield
    except (TypeError, ValueError) as error:
        most = np.finfo(np.float32 if estimator.precision == "float32" else np.float64).max
        fault = _first_fault(X, float(most))
        if fault is None:
            raise
        raise type(error)(f"{fault}. {error}") from error


def _first_fault(X: Any, most: float) -> str | None:
    for name in getattr(X, "columns", ()):
        if (fault := _fault(np.asarray(X[name]), most)) is not None:
            return f"X: column {name!r} {fault}"
    for name in getattr(X, "columns", ()):  # which pandas makes no sparse matrix of
        if getattr(getattr(X[name], "dtype", None), "fill_value", 0) != 0:
            return f"X: column {name!r} is sparse with a fill value that is not 0; make it dense"
    return None


def _fault(values: Array, most: float) -> str | None:
    """Say what is wrong with the values of a column, where something is."""
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError):
        return "is not all numbers; encode it, as OneHotEncoder does"
    if np.isnan(values).any():
        return "has missing cells; fill them, as SimpleImputer does"
    if np.abs(values).max(initial=0.0) > most:
        return "holds infinity, or numbers too large; clip or scale it"
    return None


def dense(estimator: Any, X: Any) -> Array:
    """Return X as an array of numbers that float32 holds, where that is what is computed in."""
    found: Array = X.toarray() if hasattr(X, "toarray") else X
    if estimator.precision == "float32" and found.dtype == np.float64 and found.size:
        limit = float(np.finfo(np.float32).max)
        if not -limit <= found.min() <= found.max() <= limit:
            raise ValueError(f"{TOO_LARGE} X holds numbers beyond float32.")
    return found


def weighted(X: Array, y: Array, sample_weight: Any) -> Samples:
    """Return samples with weights; those that weigh nothing are left out.

    Raises
    ------
    ValueError
        If the weights are not one a sample, at least 0, some above.
    """
    if sample_weight is None:
        return Samples(X, y, None)
    weights: Array = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
    weights = weights.astype(np.float64, copy=False)
    kept = weights > 0
    if kept.all():
        return Samples(X, y, weights)
    if not kept.any():
        raise ValueError("sample_weight: all weights are zero, nothing would be learned")
    return Samples(X[kept], y[kept], weights[kept])


def merged(samples: Samples) -> Samples:
    """Return samples in an order of their own, equal ones once with the sum of their weights.

    Where all of them make one batch that is the same sum, and weights and repetitions give the same
    bytes.
    """
    X, y, weights = samples
    flat = [X.reshape(len(X), -1), y.reshape(len(y), -1)]
    rows = np.ascontiguousarray(np.concatenate(flat, axis=1, dtype=np.float64))
    rows += 0.0  # -0 becomes 0
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).reshape(-1)
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    total = np.bincount(which, weights=weights, minlength=len(first))
    return Samples(X[first], y[first], None if (total == 1.0).all() else total)


@contextmanager
def few_threads(work: float = SMALL) -> Iterator[None]:
    """Use what threads steep is allowed; one where joblib runs several of us, or for little work.

    `work` is in multiply-adds at a time: small steps gain little by a second thread, and lose a lot
    by it where other programs keep the processors busy.
    """
    backend, _ = joblib.parallel.get_active_backend()
    if work < SMALL or (backend.nesting_level or 0) > 0:
        with threads(1):
            yield
    else:
        yield
