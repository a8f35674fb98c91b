"""Transfer learning: filters learned on the digits 0 to 4, then fifteen labels of 5 to 9.

python docs/results/transfer.py [--seeds 10] [--steps 200] [--own]

Networks begin as PyTorch's do, biases too; with `--own` as steep's.
"""

import argparse
from typing import Any

import numpy as np
import steep
from steep import data, layers, optimizers


def filters() -> steep.Sequential:
    """Return two convolutions with ReLU and a pool."""
    body = [layers.Conv2D(16, 3, activation="relu") for _ in range(2)]
    return steep.Sequential(*body, layers.MaxPool2D(2), layers.Flatten(), name="filters")


def as_pytorch(net: steep.Sequential, seed: int) -> None:
    """Give weights and biases U(-s, s), s = 1/sqrt(what a unit reads)."""
    random, bound, state = np.random.default_rng(seed), 0.0, net.state_dict()
    for name, value in state.items():
        if name.endswith("weight"):  # its bias comes next
            bound = np.prod(value.shape[:-1]) ** -0.5
        state[name] = random.uniform(-bound, bound, value.shape)
    net.load_state_dict(state)


def made(seed: int, *, own: bool) -> steep.Sequential:
    """Return a new network of five classes, built."""
    net = steep.Sequential(filters(), layers.Dense(32, "relu"), layers.Dense(5))
    net.build((8, 8, 1), seed=seed)
    if not own:
        as_pytorch(net, seed)
    return net


def fitted(
    net: steep.Sequential, X: Any, y: Any, seed: int, *, steps: int, rate: float = 1e-3
) -> None:
    """Train for so many steps of 32 samples, or of all where there are fewer."""
    batch = min(32, len(X))
    epochs = -(-steps * batch // len(X))
    trainer = steep.Trainer(net, "cross_entropy", optimizers.Adam(rate), seed=seed)
    trainer.fit(X, y, epochs=epochs, batch_size=batch, progress=False)


def compare(
    seed: int, labels: int = 15, steps: int = 200, *, own: bool = False
) -> dict[str, float]:
    """Return the accuracy on 5 to 9 of each way to learn them from so few labels."""
    parts = data.load("digits")
    X = np.concatenate([part[0] for part in parts]).astype(np.float32)[..., None] / 16
    y = np.concatenate([part[1] for part in parts])
    random = np.random.default_rng(seed)
    source = made(seed, own=own)
    fitted(source, X[y < 5], y[y < 5], seed, steps=1000)
    learned = source.state_dict()
    high = random.permutation(np.flatnonzero(y >= 5))
    few, test = high[:labels], high[200:]
    found = {}
    for way in ("scratch", "frozen", "fine-tuned", "random frozen"):
        net = made(100 + seed, own=own)
        if way in ("frozen", "fine-tuned"):
            kept = {name: w for name, w in learned.items() if name.startswith("filters.")}
            net.load_state_dict(kept, strict=False)
        if way != "scratch":
            net.freeze("filters")
        fitted(net, X[few], y[few] - 5, seed, steps=steps)
        if way == "fine-tuned":
            net.unfreeze()
            fitted(net, X[few], y[few] - 5, seed, steps=steps, rate=1e-4)
        found[way] = float((net.predict(X[test]).argmax(axis=1) + 5 == y[test]).mean())
    return found


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--own", action="store_true")
    options = parser.parse_args()
    runs = [compare(seed, steps=options.steps, own=options.own) for seed in range(options.seeds)]
    for way in runs[0]:
        each = [run[way] for run in runs]
        print(f"{way}: {np.mean(each):.3f} ({min(each):.3f} to {max(each):.3f})")


if __name__ == "__main__":
    main()
