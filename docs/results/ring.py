"""A GAN of eight Gaussians on a circle: how many it finds, and which share of its samples is near.

python docs/results/ring.py [--seeds 2]
"""

import argparse
from typing import Any

import numpy as np
import steep
from steep import initializers, layers, optimizers

RADIUS, SPREAD = 2.0, 0.02
ANGLES = np.arange(8) * np.pi / 4
PYTORCH = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")  # how its weights begin
CENTRES = RADIUS * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def drawn(n: int, seed: int) -> Any:
    """Return n points of the ring."""
    random = np.random.default_rng(seed)
    noise = SPREAD * random.standard_normal((n, 2))
    return (CENTRES[random.integers(0, 8, n)] + noise).astype(np.float32)


def train(seed: int, steps: int = 6000) -> tuple[int, float]:
    """Return how many of the eight are met within three spreads, and the share that meets one."""

    def layer(n: int, activation: Any = None) -> layers.Layer:
        return layers.Dense(n, activation, init=PYTORCH)

    relu = [layer(128, "relu") for _ in range(2)]
    leaky = [layer(128, layers.LeakyReLU(0.2)) for _ in range(2)]
    game = steep.GAN(
        steep.Sequential(*relu, layer(2)), steep.Sequential(*leaky, layer(1)),
        latent=2, optimizers=tuple(optimizers.Adam(1e-3, beta1=0.5) for _ in range(2)), seed=seed,
    )  # fmt: skip
    game.fit(drawn(256 * steps // 8, seed), epochs=8, batch_size=256, progress=False)
    far = np.linalg.norm(game.sample(2500)[:, None] - CENTRES, axis=2)
    near = far.min(axis=1) < 3 * SPREAD
    return len(set(far.argmin(axis=1)[near])), float(near.mean())


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    for seed in range(parser.parse_args().seeds):
        modes, share = train(seed)
        print(f"seed {seed}: {modes} of 8, share {share:.3f}")


if __name__ == "__main__":
    main()
