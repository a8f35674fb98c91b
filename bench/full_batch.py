"""L-BFGS beside scikit-learn's on its small data sets, from the same first weights; see README.md.

Both minimise the mean loss + alpha/(2n)*sum w^2 of a network of one hidden layer and stop alike.
scikit-learn has the better of one and of all threads of its BLAS. Times are interleaved, the least
of some rounds each.
"""

import argparse
import contextlib
import statistics
import time
import warnings

import numpy as np
import sklearn
import steep
import threadpoolctl
from sklearn import datasets
from sklearn.neural_network import MLPClassifier, MLPRegressor, _multilayer_perceptron
from steep import layers, optimizers

SETS = ("iris", "wine", "breast_cancer", "digits", "diabetes")
ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "logistic": "sigmoid"}


def load(name):
    """Return standardised samples and targets."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    X = (X - X.mean(0)) / (X.std(0) + 1e-9)
    return X, (y - y.mean()) / y.std() if name == "diabetes" else y


class Theirs:
    """scikit-learn's side; remembers the weights that its last fit began with."""

    def __init__(self, X, y, given, threads):
        self.X, self.y, self.threads, self.start = X, y, threads, None
        kind = MLPClassifier if y.dtype.kind == "i" else MLPRegressor
        self.net = kind(
            hidden_layer_sizes=(given.hidden,), activation=given.activation, solver="lbfgs",
            alpha=given.alpha, max_iter=given.iterations, max_fun=10**9, tol=given.tol,
            random_state=0,
        )  # fmt: skip

    def run(self):
        """Fit and return the seconds."""
        minimize = _multilayer_perceptron.scipy.optimize.minimize

        def watched(f, start, **rest):
            self.start = start.copy()
            return minimize(f, start, **rest)

        _multilayer_perceptron.scipy.optimize.minimize = watched
        try:
            with threadpoolctl.threadpool_limits(self.threads):
                begun = time.perf_counter()
                self.net.fit(self.X, self.y)
                return time.perf_counter() - begun
        finally:
            _multilayer_perceptron.scipy.optimize.minimize = minimize

    @property
    def end(self):
        """Objective and iterations."""
        return self.net.loss_, self.net.n_iter_


class Ours:
    """steep's side, from the weights given."""

    def __init__(self, X, y, given, precision, start):
        self.X = X.astype(precision)
        squares, binary = y.dtype.kind == "f", y.max() == 1 and y.dtype.kind == "i"
        outputs = 1 if squares or binary else int(y.max()) + 1
        self.y = y.astype(float) if squares or binary else y
        self.scale = 2.0 if squares else 1.0  # scikit-learn halves the squares
        self.start = parts(start, (X.shape[1], given.hidden, outputs))
        loss = "mse" if squares else "binary_cross_entropy" if binary else "cross_entropy"
        net = steep.Sequential(
            layers.Dense(given.hidden, ACTIVATIONS[given.activation]), layers.Dense(outputs)
        )
        net.build(X.shape[1:])
        method = optimizers.LBFGS(tol=self.scale * given.tol)
        penalty = self.scale * given.alpha / len(X)
        self.made = net, loss, method, {"l2": penalty, "precision": precision}
        self.epochs, self.precision = given.iterations, precision

    def run(self):
        """Fit and return the seconds."""
        net, loss, method, options = self.made
        self.trainer = steep.Trainer(net, loss, method, **options)
        self.trainer.gradients(self.X, self.y)  # brings the network into its precision
        names = net.state_dict()
        weights = [w.astype(self.precision) for w in self.start]
        net.load_state_dict(dict(zip(names, weights, strict=True)))
        begun = time.perf_counter()
        self.trainer.fit(self.X, self.y, epochs=self.epochs, progress=False)
        return time.perf_counter() - begun

    @property
    def end(self):
        """Objective and iterations."""
        return self.trainer.gradients(self.X, self.y)[0] / self.scale, self.trainer.epoch


def parts(flat, widths):
    """Return weights and biases in steep's order, from scikit-learn's one vector."""
    inputs, hidden, outputs = widths
    shapes = [(inputs, hidden), (hidden, outputs), (hidden,), (outputs,)]
    first, second, bias, last = (
        part.reshape(shape)
        for part, shape in zip(
            np.split(flat, np.cumsum([np.prod(s) for s in shapes])[:-1]), shapes, strict=True
        )
    )
    return first, bias, second, last


def compare(name, given):
    """Print one line a precision."""
    X, y = load(name)
    theirs = [Theirs(X, y, given, threads) for threads in (1, None)]
    theirs[0].run()
    start = theirs[0].start
    ours = [Ours(X, y, given, precision, start) for precision in ("float64", "float32")]
    times = {id(side): [] for side in (*theirs, *ours)}
    for _ in range(given.rounds):
        for side in (*theirs, *ours):
            times[id(side)].append(side.run())
    rival = min(min(times[id(side)]) for side in theirs)
    value, iterations = theirs[0].end
    for side in ours:
        least, (found, steps) = min(times[id(side)]), side.end
        spread = statistics.median(times[id(side)]) / least
        print(
            f"{name:14s}{given.activation:9s}{side.precision:8s} {steps:5d} of {iterations:5d} "
            f"iterations, {1e3 * least:8.2f} ms (median {spread:.2f}x), scikit-learn "
            f"{1e3 * rival:8.2f} ms: {rival / least:5.1f} x; objective {found / value - 1:+.1e}",
            flush=True,
        )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--activation", default="tanh", choices=list(ACTIVATIONS))
    parser.add_argument("--hidden", type=int, default=10)
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--tol", type=float, default=1e-6)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of steep")
    given = parser.parse_args(arguments)
    if given.threads:
        steep.set_num_threads(given.threads)
    print(f"steep {steep.__version__}, scikit-learn {sklearn.__version__}, {steep.info()['isa']}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of iterations that ended
        for name in given.sets.split(","):
            compare(name, given)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
