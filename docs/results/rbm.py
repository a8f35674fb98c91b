"""A Boltzmann machine as features: logistic regression on them and on raw pixels.

python docs/results/rbm.py [--persistent]

The digits and four copies of them, moved by a pixel to each side; 100 hidden units, as in an
example of scikit-learn.
"""

import argparse
from typing import Any

import numpy as np
import steep
from steep import data, layers, optimizers


def nudged() -> tuple[Any, Any, Any, Any]:
    """Return digits and their moved copies from 0 to 1, four fifths to train on: X, y, Xt, yt."""
    parts = data.load("digits")
    X, y = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    wide = np.pad(X, ((0, 0), (1, 1), (1, 1)))
    places = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    X = np.concatenate([wide[:, r : r + 8, c : c + 8] for r, c in places]).reshape(-1, 64) / 16
    X, y = X.astype(np.float32), np.tile(y, 5)
    order = np.random.default_rng(0).permutation(len(X))
    cut = len(X) // 5
    return X[order[cut:]], y[order[cut:]], X[order[:cut]], y[order[:cut]]


def logistic(X: Any, y: Any, Xt: Any, yt: Any, c: float) -> float:
    """Return the test accuracy of logistic regression with the penalty |w|^2/(2 c N)."""
    trainer = steep.Trainer(
        steep.Sequential(layers.Dense(10, init="zeros")), "cross_entropy", optimizers.LBFGS(),
        l2=1.0 / (c * len(X)),
    )  # fmt: skip
    trainer.fit(X, y, epochs=300, batch_size=len(X), progress=False)
    return float(trainer.evaluate(Xt, yt)["accuracy"])


def compare(epochs: int = 10, *, persistent: bool = False) -> dict[str, float]:
    """Return accuracies from raw pixels and from features, and the error of reconstructions."""
    X, y, Xt, yt = nudged()
    made = steep.RBM(100, persistent=persistent, momentum=0.0, l2=0.0, lr=0.06, seed=0)
    made.fit(X, epochs=epochs, batch_size=10, progress=False)
    return {
        "raw": logistic(X, y, Xt, yt, 100.0),
        "features": logistic(made.transform(X), y, made.transform(Xt), yt, 6000.0),
        "reconstruction": float(((made.reconstruct(Xt) - Xt) ** 2).mean()),
        "mean image": float(((X.mean(axis=0) - Xt) ** 2).mean()),
        "pseudo-likelihood": float(made.pseudo_likelihood(Xt).mean()),
    }


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persistent", action="store_true")
    found = compare(persistent=parser.parse_args().persistent)
    print({name: round(value, 4) for name, value in found.items()})


if __name__ == "__main__":
    main()
