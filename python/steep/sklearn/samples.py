"""Samples between scikit-learn and steep: checked, weighted, merged. Labels are in `kinds`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.utils.validation import _check_sample_weight, validate_data

from ..checks.arrays import LAZY, Array, is_lazy
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
    with _columns_named(X):
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
    with _columns_named(X):
        X, y = validate_data(
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
    return dense(estimator, X), y


@contextmanager
def _columns_named(X: Any) -> Iterator[None]:
    """Have errors say which column of a table is no numbers, or lacks some."""
    try:
        yield
    except (TypeError, ValueError) as error:
        fault = _first_fault(X)
        if fault is None:
            raise
        raise type(error)(f"{fault}. {error}") from error


def _first_fault(X: Any) -> str | None:
    if is_lazy(X):
        return f"X: {LAZY}"
    for name in getattr(X, "columns", ()):
        values = np.asarray(X[name])
        if values.dtype.kind in "mM":
            return f"X: column {name!r} holds times; make them numbers, days since a first one"
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError):
            return f"X: column {name!r} is not all numbers; encode it, as OneHotEncoder does"
        if np.isnan(values).any():
            return f"X: column {name!r} has missing cells; fill them, as SimpleImputer does"
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
