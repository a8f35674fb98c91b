"""scikit-learn's side of the step cases: MLPClassifier."""

import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from rivals import UnsupportedError

VERSION = sklearn.__version__


def prepare(case, variant, threads, bench):
    """Return the prepared work of one case, or raise UnsupportedError."""
    del variant, threads  # threads are those of NumPy's BLAS, set by the environment
    if not isinstance(case, bench.Step) or case.rule != "adam":
        raise UnsupportedError(f"scikit-learn has no {case.name}")
    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y, weights = bench.step_data(case)
    net = MLPClassifier(
        case.units[1:-1],
        batch_size=case.batch,
        learning_rate_init=bench.LEARNING_RATE,
        alpha=0.0,
        shuffle=False,
        max_iter=case.epochs,
        n_iter_no_change=10**9,
        tol=0.0,
        warm_start=True,
    )
    classes = np.arange(case.units[-1])
    few = bench.CHECK_STEPS * case.batch
    net.partial_fit(x[:few], y[:few], classes=classes)
    check, note = None, "one logistic output for two classes, so no common loss"
    if len(classes) > 2:
        net.coefs_ = [w.copy() for w, _ in weights]
        net.intercepts_ = [b.copy() for _, b in weights]
        del net._optimizer  # a new Adam for the new weights
        net.partial_fit(x[:few], y[:few])
        likelihood = net.predict_proba(x[: case.batch])[np.arange(case.batch), y[: case.batch]]
        check, note = float(-np.log(likelihood).mean()), ""
    return bench.Work(lambda: net.fit(x, y), case.batches * case.epochs, check=check, note=note)
