"""A DCGAN of Fashion-MNIST: distances of its images from the test set, epoch by epoch.

python docs/results/dcgan.py [--epochs 2] [--seed 0] [--root DIR]

The distance is Frechet's (Heusel et al. 2017) between 64 features of a small classifier that is
trained here, in place of those of Inception: it says which is nearer, and compares with no paper.
"""

import argparse
import time
from typing import Any

import numpy as np
import steep
from numpy.typing import NDArray
from steep import data, layers, models, optimizers

Moments = tuple[NDArray[np.float64], NDArray[np.float64]]


class Judge:
    """A classifier of the real images, by whose features and classes others are judged."""

    def __init__(self, X: Any, y: Any, seed: int = 0, epochs: int = 3) -> None:
        body = [layers.Conv2D(n, 5, 2, padding=2, activation="relu") for n in (16, 32)]
        self.features = steep.Sequential(*body, layers.Flatten(), layers.Dense(64, "relu"))
        self.net = steep.Sequential(self.features, layers.Dense(10))
        trainer = steep.Trainer(self.net, "cross_entropy", optimizers.Adam(2e-3), seed=seed)
        trainer.fit(X, y, epochs=epochs, batch_size=128, progress=False)

    def moments(self, images: Any) -> Moments:
        """Return mean and covariance of the features of images (N, 28, 28, 1)."""
        found = self.features.predict(images).astype(np.float64)
        return found.mean(axis=0), np.cov(found.T)

    def shares(self, images: Any) -> NDArray[np.float64]:
        """Return the mean probability of each class."""
        z = self.net.predict(images).astype(np.float64)
        p = np.exp(z - z.max(axis=1, keepdims=True))
        mean: NDArray[np.float64] = (p / p.sum(axis=1, keepdims=True)).mean(axis=0)
        return mean


def distance(a: Moments, b: Moments) -> float:
    """Return |m - n|^2 + tr(S + T - 2 (S T)^(1/2)) of two Gaussians."""
    (m, S), (n, T) = a, b
    values, vectors = np.linalg.eigh(S)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ T @ root), 0.0)).sum()
    return float(((m - n) ** 2).sum() + np.trace(S) + np.trace(T) - 2.0 * cross)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root")
    options = parser.parse_args()
    (X, y), (Xt, yt) = data.load("fashion-mnist", root=options.root)
    X, Xt = (np.asarray(x, np.float32)[..., None] / 127.5 - 1 for x in (X, Xt))
    judge = Judge(X, y)
    test = judge.moments(Xt)
    accuracy = (judge.net.predict(Xt).argmax(axis=1) == yt).mean()
    train = distance(judge.moments(X[:10_000]), test)
    print(f"judge: accuracy {accuracy:.4f}; distance of 10,000 training images {train:.3f}")
    game = steep.GAN(*models.dcgan(), latent=100, seed=options.seed)
    for _ in range(options.epochs):
        began = time.process_time()
        game.fit(X, epochs=1, batch_size=64, progress=False)
        seconds = time.process_time() - began
        made = game.sample(10_000)
        far, least = distance(judge.moments(made), test), judge.shares(made).min()
        print(
            f"step {game.trainer.steps}: distance {far:.2f}, smallest share of a class "
            f"{least:.3f}, {seconds:.0f} s of processor time",
            flush=True,
        )


if __name__ == "__main__":
    main()
