"""`lab.sweep` beside scikit-learn: 64 networks 64-100-10 on the digits, one after another there.

A grid of 8 rates, 2 penalties and 4 seeds; Adam, 50 epochs for all, on the same samples. Each round
runs the sweep with one worker and with two, then scikit-learn's `MLPClassifier` over the grid, its
BLAS on one thread; --members takes a part of the grid. With --cpu processor time is counted, which
other programs hardly change: two workers then cost what one does. See README.md.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
import sklearn
import steep
import threadpoolctl
from sklearn.neural_network import MLPClassifier
from steep import data, lab, layers, optimizers

SPACE = {
    "lr": tuple(float(f"{lr:.3g}") for lr in np.geomspace(3e-4, 3e-2, 8)),
    "l2": (0.0, 1e-4),
    "seed": (0, 1, 2, 3),
}


def digits(dtype):
    """Return the bundled training digits, scaled to [0, 1]."""
    (X, y), _ = data.load("digits")
    return (X.reshape(len(X), -1) / 16).astype(dtype), y


def make(lr, l2, seed):
    """Return a trainer: the network, rule and penalty of `theirs`."""
    net = steep.Sequential(layers.Dense(100, "relu"), layers.Dense(10))
    return steep.Trainer(net, "cross_entropy", optimizers.Adam(lr), l2=l2, seed=seed)


def theirs(given, X, y, rows):
    """Train scikit-learn's networks one after another; return the seconds."""
    clock = clock_of(given)
    began = clock()
    with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1):
        warnings.simplefilter("ignore")
        for row in rows:
            MLPClassifier(
                (100,), learning_rate_init=row["lr"], alpha=row["l2"], random_state=row["seed"],
                batch_size=given.batch, max_iter=given.epochs, tol=0.0,
                n_iter_no_change=given.epochs,
            ).fit(X, y)  # fmt: skip
    return clock() - began


def ours(given, X, y, workers):
    """Run the sweep; return the seconds and what it found."""
    clock = clock_of(given)
    began = clock()
    found = lab.sweep(
        make, SPACE, X, y, n=given.members, workers=workers, epochs=given.epochs,
        batch_size=given.batch,
    )  # fmt: skip
    return clock() - began, found


def clock_of(given):
    return time.process_time if given.cpu else time.perf_counter


def solo(given, X, y, found):
    """Say whether every member has the bytes of its own run."""
    for row, trainer in zip(found.rows, found.trainers, strict=True):
        alone = make(row["lr"], row["l2"], row["seed"])
        alone.fit(X, y, epochs=given.epochs, batch_size=given.batch, progress=False)
        weights = trainer.net.state_dict()
        if any(w.tobytes() != weights[n].tobytes() for n, w in alone.net.state_dict().items()):
            return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--batch", type=int, default=200, help="200 is MLPClassifier's own")
    parser.add_argument("--dtype", default="float64", help="of the samples, as they are given")
    parser.add_argument("--cpu", action="store_true", help="count processor time")
    parser.add_argument("--check", action="store_true", help="compare every member with its solo")
    given = parser.parse_args()
    X, y = digits(given.dtype)
    print(f"steep {steep.__version__}, scikit-learn {sklearn.__version__}, {given.dtype}")
    times = {"scikit-learn": [], "1 worker": [], "2 workers": []}
    for _ in range(given.rounds):
        one, found = ours(given, X, y, 1)
        two, _ = ours(given, X, y, 2)
        rival = theirs(given, X, y, found.rows)
        for name, seconds in zip(times, (rival, one, two), strict=True):
            times[name].append(seconds)
        print("  ".join(f"{name} {seconds[-1]:.2f} s" for name, seconds in times.items()))
    two = times["2 workers"]
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, two, strict=True))
        print(f"{name:12}  median {statistics.median(seconds):7.2f} s  {ratio:5.2f} of 2 workers")
    losses = [row["loss"] for row in found.rows]
    print(f"losses {min(losses):.4f} to {max(losses):.4f}")
    if given.check:
        print(f"members are bit-equal to their solo runs: {solo(given, X, y, found)}")


if __name__ == "__main__":
    main()
