"""Domain adaptation: two moons, and the same rotated without labels, by a reversed gradient.

python docs/results/dann.py [--degrees 20 30 40 50] [--seeds 5]
"""

import argparse
from typing import Any

import numpy as np
import steep
from sklearn.datasets import make_moons
from steep import layers, losses, optimizers, schedules

N, STEPS = 300, 1500


def moons(n: int, seed: int) -> tuple[Any, Any]:
    """Return two half circles (n, 2) with noise, and which one each point is of."""
    points, side = make_moons(n, noise=0.05, random_state=seed)
    return points - points.mean(axis=0), side


def accuracy(degrees: float, seed: int, strength: float) -> float:
    """Return that on rotated moons, of a network that sees labels of the others only."""
    X, y = moons(N, seed)
    Xt, yt = moons(1000, seed + 1000)
    turn = np.deg2rad(degrees)
    Xt = Xt @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    point = steep.Input(2)
    features = layers.Dense(15, "sigmoid")(point)
    classes = layers.Dense(2)(features)
    ramp = schedules.SigmoidRamp(strength, STEPS)
    domain = layers.Dense(2)(layers.GradientReversal(ramp)(features))
    net = steep.Model(point, {"moon": classes, "domain": domain})
    trainer = steep.Trainer(
        net, {"moon": losses.CrossEntropy(ignore=-1), "domain": "cross_entropy"},
        optimizers.Adam(0.01), loss_weights={"domain": 1.0 if strength else 0.0}, seed=seed,
    )  # fmt: skip
    both = np.concatenate([X, Xt[:N]]).astype(np.float32)
    known = np.concatenate([y, np.full(N, -1)])  # the rotated ones have no label
    trainer.fit(
        both, {"moon": known, "domain": np.repeat([0, 1], N)}, epochs=STEPS, batch_size=2 * N,
        shuffle=False, progress=False,
    )  # fmt: skip
    return float((net.predict(Xt.astype(np.float32))["moon"].argmax(axis=1) == yt).mean())


def compare(degrees: float, seeds: int = 5) -> tuple[float, float]:
    """Return mean accuracies over seeds, without and with the reversed gradient."""
    runs = [[accuracy(degrees, seed, strength) for seed in range(seeds)] for strength in (0.0, 1.0)]
    return float(np.mean(runs[0])), float(np.mean(runs[1]))


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--degrees", type=float, nargs="+", default=[20, 30, 40, 50])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for degrees in options.degrees:
        alone, adapted = compare(degrees, options.seeds)
        print(f"{degrees:.0f} degrees: source only {alone:.3f}, adapted {adapted:.3f}", flush=True)


if __name__ == "__main__":
    main()
