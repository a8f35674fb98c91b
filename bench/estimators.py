"""`steep.sklearn` beside scikit-learn's MLP on ten classic tables: seconds of a fit, and scores.

The same parameters, the same first weights, the same parts held out; rounds are interleaved.
scikit-learn has the better of one and of all threads of its BLAS. With --cpu both have one thread,
and processor time is counted, which other programs hardly change. See README.md.
"""

import argparse
import contextlib
import statistics
import time
import warnings

import numpy as np
import sklearn
import sklearn.neural_network
import steep
import threadpoolctl
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from steep import sklearn as ours

TABLES = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
    "linnerud": datasets.load_linnerud,
    "moons": lambda return_X_y: datasets.make_moons(1000, noise=0.2, random_state=0),
    "hastie": lambda return_X_y: datasets.make_hastie_10_2(4000, random_state=0),
    "friedman": lambda return_X_y: datasets.make_friedman1(1000, noise=1.0, random_state=0),
    "gaussian": lambda return_X_y: datasets.make_gaussian_quantiles(
        n_samples=2000, n_features=10, n_classes=4, random_state=0
    ),
}


def load(name, seed):
    """Return samples and targets to fit and to test, standardised by the former."""
    X, y = TABLES[name](return_X_y=True)
    values = (y.dtype.kind == "f" and len(np.unique(y)) > 20) or y.ndim > 1
    parts = train_test_split(X, y, test_size=0.3, random_state=seed)
    scale = StandardScaler().fit(parts[0])
    parts[:2] = scale.transform(parts[0]), scale.transform(parts[1])
    if values:
        scale = StandardScaler().fit(parts[2].reshape(len(parts[2]), -1))
        parts[2:] = [scale.transform(y.reshape(len(y), -1)).reshape(y.shape) for y in parts[2:]]
    return parts, "MLPRegressor" if values else "MLPClassifier"


def fit(kind, parts, settings, *, threads, given):
    """Return the fitted estimator and the seconds it took, the least of some."""
    X, _, y, _ = parts
    clock, best = time.process_time if given.cpu else time.perf_counter, float("inf")
    with contextlib.ExitStack() as limits, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if threads:
            limits.enter_context(threadpoolctl.threadpool_limits(threads))
            limits.enter_context(steep.threads(threads))
        for _ in range(given.repeats):
            time.sleep(0.2)  # the other's threads spin for a while before they sleep
            made = kind(**settings)
            begun = clock()
            made.fit(X, y)
            best = min(best, clock() - begun)
    return made, best


def row(name, given):
    """Return what one table gives: seconds and scores of both, and the native share of ours."""
    found = {key: [] for key in ("theirs", "ours", "their score", "our score", "native")}
    for seed in range(given.seeds):
        parts, kind = load(name, seed)
        settings = {"random_state": seed, "solver": given.solver, "max_iter": given.epochs}
        settings |= {"early_stopping": given.early_stopping}
        times = dict.fromkeys((1,) if given.cpu else (1, None))
        for threads in times:
            theirs = getattr(sklearn.neural_network, kind)
            a, times[threads] = fit(theirs, parts, settings, threads=threads, given=given)
        mine = getattr(ours, kind)
        b, seconds = fit(mine, parts, settings, threads=1 if given.cpu else None, given=given)
        found["theirs"].append(min(times.values()))
        found["ours"].append(seconds)
        for key, each in (("their score", a), ("our score", b)):
            found[key].append(each.score(parts[1], parts[3]))
        if given.solver != "lbfgs" and not given.cpu:
            inside = sum(b._optimizer.trainer.history.history["seconds"])
            found["native"].append(inside / seconds)
    return found, len(parts[0]), parts[0].shape[1], a.n_iter_, b.n_iter_


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--solver", default="adam", choices=("adam", "sgd", "lbfgs"))
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--early-stopping", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--cpu", action="store_true")
    given = parser.parse_args()
    print(f"steep {steep.__version__}, scikit-learn {sklearn.__version__}, {given.solver}")
    print(f"{'table':<14}{'N x n':>10}{'epochs':>9}{'theirs ms':>11}{'ours ms':>9}", end="")
    print(f"{'ratio':>7}{'native':>8}{'their score':>16}{'our score':>16}")
    ratios = []
    for name in given.tables.split(","):
        found, samples, features, their_epochs, epochs = row(name, given)
        mid = {key: statistics.median(v) for key, v in found.items() if v}
        ratios.append(mid["theirs"] / mid["ours"])
        native = f"{mid['native']:.0%}" if "native" in mid else "-"
        scores = found["their score"], found["our score"]
        spread = [f"{np.mean(each):.4f} +-{np.std(each):.4f}" for each in scores]
        print(
            f"{name:<14}{f'{samples} x {features}':>10}{f'{their_epochs}/{epochs}':>9}"
            f"{mid['theirs'] * 1e3:>11.1f}{mid['ours'] * 1e3:>9.1f}{ratios[-1]:>7.1f}"
            f"{native:>8}{spread[0]:>18}{spread[1]:>18}",
            flush=True,
        )
    print(f"median of {len(ratios)} ratios: {statistics.median(ratios):.1f}")


if __name__ == "__main__":
    main()
