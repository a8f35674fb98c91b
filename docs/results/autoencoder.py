"""Autoencoders of the digits: a linear one beside PCA, a tied one, and one that takes noise away.

python docs/results/autoencoder.py
"""

from typing import Any

import numpy as np
import steep
from steep import data, layers, optimizers, schedules


def digits() -> tuple[Any, Any]:
    """Return all 1797 digits (N, 64) from 0 to 1 without their mean, and the mean."""
    X = np.concatenate([part[0] for part in data.load("digits")]).reshape(-1, 64) / 16.0
    return (X - X.mean(axis=0)).astype(np.float32), X.mean(axis=0).astype(np.float32)


def pca(X: Any, k: int) -> float:
    """Return the mean squared error of a pixel when k components are kept: no k can do better."""
    return float((np.linalg.svd(X.astype(np.float64), compute_uv=False)[k:] ** 2).sum() / X.size)


def trained(net: steep.Sequential, X: Any, Y: Any, epochs: int) -> float:
    """Return the mean squared error of Y from X after training."""
    rate = schedules.Cosine(1e-2, epochs * -(-len(X) // 64))
    trainer = steep.Trainer(net, "mse", optimizers.Adam(rate), seed=0)
    trainer.fit(X, Y, epochs=epochs, batch_size=64, progress=False)
    return float(trainer.evaluate(X, Y)["loss"])


def linear(X: Any, k: int, epochs: int = 200) -> float:
    """Return the error of two layers without activation and bias."""
    net = steep.Sequential(layers.Dense(k, use_bias=False), layers.Dense(64, use_bias=False))
    return trained(net, X, X, epochs)


def tied(X: Any, k: int, epochs: int = 200) -> float:
    """Return that of the same where the second layer takes the weights of the first."""
    encoder = layers.Dense(k, use_bias=False)
    return trained(
        steep.Sequential(encoder, layers.TiedDense(encoder, 64, use_bias=False)), X, X, epochs
    )


def denoised(X: Any, std: float = 0.25, epochs: int = 200) -> dict[str, float]:
    """Return errors of test digits with noise: as they are, by PCA's best, by an autoencoder."""
    held, shown = X[:300], X[300:]
    noise = std * np.random.default_rng(0).standard_normal(held.shape)
    net = steep.Sequential(
        layers.GaussianNoise(std), layers.Dense(256, "relu"), layers.Dense(64, "relu"),
        layers.Dense(256, "relu"), layers.Dense(64),
    )  # fmt: skip
    trained(net, shown, shown, epochs)
    given = (held + noise).astype(np.float32)
    axes = np.linalg.svd(shown, full_matrices=False)[2]
    best = min(((given @ a.T @ a - held) ** 2).mean() for a in (axes[:k] for k in range(1, 64)))
    return {
        "noise": float(((given - held) ** 2).mean()),
        "pca": float(best),
        "autoencoder": float(((net.predict(given) - held) ** 2).mean()),
    }


def main() -> None:
    """Train and print."""
    X, _ = digits()
    for k in (2, 8, 16):
        print(f"{k}: PCA {pca(X, k):.8f}, linear {linear(X, k):.8f}, tied {tied(X, k):.8f}")
    print({name: round(value, 5) for name, value in denoised(X).items()})


if __name__ == "__main__":
    main()
