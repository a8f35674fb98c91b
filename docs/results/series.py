"""Series: adding over fifty steps, sums digit by digit, speakers, digits as curves, sunspots.

python docs/results/series.py adding | addition | vowels FOLDER | mnist1d | sunspots FILE

FOLDER holds JapaneseVowels_TRAIN.ts and _TEST.ts, as the package aeon ships them in
aeon/datasets/data/JapaneseVowels; mnist1d wants the package of that name, which draws the curves;
FILE is sunspots.csv, years and numbers, as the package statsmodels ships it in datasets/sunspots.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import steep
from steep import data, layers, optimizers

SIGNS = "0123456789+ "
STEPS = 29  # of the longest utterance
LAGS, LARGEST, VARIANCE = 12, 191.2, 1535  # of sunspots; the variance is Weigend's et al. (1990)


def adding(n: int, steps: int, random: Any) -> tuple[Any, Any]:
    """Return sequences of numbers of which two are marked, one in each half, and their sums."""
    x = np.zeros((n, steps, 2), np.float32)
    x[:, :, 0] = random.random((n, steps))
    rows, half = np.arange(n), steps // 2
    i, j = random.integers(0, half, n), random.integers(half, steps, n)
    x[rows, i, 1] = x[rows, j, 1] = 1
    return x, (x[rows, i, 0] + x[rows, j, 0])[:, None]


def learn_adding(updates: int = 1500, seed: int = 0) -> float:
    """Return the squared error of a GRU of 128 on 1000 others; a sixth is the mean's."""
    net = steep.Sequential(layers.GRU(128), layers.Dense(1)).build((50, 2), seed=seed)
    trainer = steep.Trainer(net, "mse", optimizers.Adam(1e-3), clip_norm=1.0, seed=seed)
    x, y = adding(64 * updates, 50, np.random.default_rng(seed))
    trainer.fit(x, y, batch_size=64, progress=False)
    return trainer.evaluate(*adding(1000, 50, np.random.default_rng(99)))["loss"]


def sums(n: int = 5000, seed: int = 0) -> tuple[Any, Any]:
    """Return n distinct sums of two numbers below 100, last sign first, and their results."""
    random, seen = np.random.default_rng(seed), set()
    asked, right = [], []

    def drawn() -> int:
        return int("".join(str(random.integers(0, 10)) for _ in range(random.integers(1, 3))))

    while len(asked) < n:
        a, b = drawn(), drawn()
        if (min(a, b), max(a, b)) not in seen:
            seen.add((min(a, b), max(a, b)))
            asked.append([SIGNS.index(c) for c in f"{a}+{b}".ljust(5)[::-1]])
            right.append([SIGNS.index(c) for c in str(a + b).ljust(3)])
    return np.eye(12, dtype=np.float32)[np.array(asked)], np.array(right)


def learn_sums(epochs: int = 55, seed: int = 0) -> float:
    """Return the share of 500 sums that an LSTM that reads and one that writes get right."""
    net = steep.Sequential(
        layers.LSTM(128), layers.RepeatVector(3), layers.LSTM(128, return_sequences=True),
        layers.Dense(12),
    ).build((5, 12), seed=seed)  # fmt: skip
    trainer = steep.Trainer(net, "cross_entropy", optimizers.Adam(1e-3), seed=seed)
    x, y = sums()
    trainer.fit(x[:4500], y[:4500], epochs=epochs, batch_size=32, progress=False)
    return float((net.predict(x[4500:]).argmax(-1) == y[4500:]).all(axis=1).mean())


def utterances(path: Path) -> tuple[Any, Any, Any]:
    """Return padded utterances (N, 29, 12), their lengths and the speakers of a .ts file."""
    lines = path.read_text(encoding="utf-8").split("@data")[1].split()
    rows = [line.split(":") for line in lines]
    series = [np.array([one.split(",") for one in row[:-1]], np.float32).T for row in rows]
    x = np.zeros((len(rows), STEPS, 12), np.float32)
    for k, one in enumerate(series):
        x[k, : len(one)] = one
    return (
        x,
        np.array([len(s) for s in series]),
        np.array([int(float(row[-1])) - 1 for row in rows]),
    )


def learn_speakers(folder: Path, both: bool, seed: int, epochs: int = 40) -> float:
    """Return the share of 370 utterances of nine speakers that a layer of 64 tells right."""
    (x, lengths, y), (xt, counts, yt) = (
        utterances(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST")
    )
    there = np.arange(STEPS) < lengths[:, None]
    mean, spread = x[there].mean(axis=0), x[there].std(axis=0)
    given, steps = steep.Input((STEPS, 12)), steep.Input(())
    layer: Any = layers.LSTM(64)
    if both:
        layer = layers.Bidirectional(layer)
    net = steep.Model([given, steps], layers.Dense(9)(layer(given, steps))).build(seed=seed)
    trainer = steep.Trainer(net, "cross_entropy", optimizers.Adam(3e-3), clip_norm=1.0, seed=seed)
    trainer.fit([(x - mean) / spread, lengths], y, epochs=epochs, batch_size=16, progress=False)
    return trainer.evaluate([(xt - mean) / spread, counts], yt)["accuracy"]


def curves() -> tuple[Any, Any, Any, Any]:
    """Return MNIST-1D, curves (N, 40, 1) and digits: 4000 to learn from and 1000 others."""
    from mnist1d.data import get_dataset_args, make_dataset  # noqa: PLC0415 - only where it is asked for

    made = make_dataset(get_dataset_args())
    x, xt = (np.asarray(made[k], np.float32)[..., None] for k in ("x", "x_test"))
    return x, made["y"], xt, made["y_test"]


def learn_curves(epochs: int = 30, seed: int = 0) -> float:
    """Return the accuracy of a GRU of 32 both ways, its mean over time, on MNIST-1D."""
    x, y, xt, yt = curves()
    net = steep.Sequential(
        layers.Bidirectional(layers.GRU(32, return_sequences=True)), layers.GlobalAvgPool1D(),
        layers.Dense(10),
    ).build((40, 1), seed=seed)  # fmt: skip
    trainer = steep.Trainer(net, "cross_entropy", optimizers.Adam(5e-3), seed=seed)
    trainer.fit(x, y, epochs=epochs, batch_size=100, progress=False)
    return trainer.evaluate(xt, yt)["accuracy"]


def convolve_curves(epochs: int = 30, seed: int = 0) -> float:
    """Return the accuracy of three convolutions of 25 filters, the table's CNN, on MNIST-1D."""
    x, y, xt, yt = curves()
    net = steep.Sequential(
        layers.Conv1D(25, 5, 2, padding=1, activation="relu"),
        layers.Conv1D(25, 3, 2, padding=1, activation="relu"),
        layers.Conv1D(25, 3, 2, padding=1, activation="relu"), layers.Flatten(), layers.Dense(10),
    ).build((40, 1), seed=seed)  # fmt: skip
    trainer = steep.Trainer(net, "cross_entropy", optimizers.Adam(1e-2), seed=seed)
    trainer.fit(x, y, epochs=epochs, batch_size=100, progress=False)
    return trainer.evaluate(xt, yt)["accuracy"]


def sunspots(path: Path) -> tuple[Any, Any, Any]:
    """Return twelve years, newest first, (N, 12), the one behind them, and which one that is."""
    years, spots = np.genfromtxt(path, delimiter=",", skip_header=1, unpack=True)
    spots = (spots / LARGEST).astype(np.float32)
    X, y = data.windows(spots, LAGS)
    return X[:, ::-1], y[:, None], years[LAGS:]


def forecast(path: Path, seed: int, updates: int = 2000) -> tuple[float, float, float]:
    """Return errors over the variance: of 1712-1920, which 12-3-1 units learn, to 1955, to 1979."""
    X, y, years = sunspots(path)
    net = steep.Sequential(layers.Dense(3, "tanh"), layers.Dense(1)).build((LAGS,), seed=seed)
    known = years <= 1920
    trainer = steep.Trainer(net, "mse", optimizers.Adam(0.01), l2=1e-4, seed=seed)
    count = int(known.sum())
    trainer.fit(X[known], y[known], epochs=updates, batch_size=count, progress=False)
    wrong = (net.predict(X) - y)[:, 0] ** 2 * LARGEST**2 / VARIANCE
    spans = ((1921, 1955), (1956, 1979))
    near, far = (float(wrong[(years >= a) & (years <= b)].mean()) for a, b in spans)
    return float(wrong[known].mean()), near, far


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["adding", "addition", "vowels", "mnist1d", "sunspots"])
    parser.add_argument("path", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int)
    given = parser.parse_args()
    if given.task == "sunspots":
        errors = [forecast(given.path, seed) for seed in range(given.seeds or 10)]
        return print("relative variance, medians:", np.median(errors, axis=0).round(4))
    for seed in range(given.seeds or 2):
        if given.task == "adding":
            print(f"seed {seed}: squared error {learn_adding(seed=seed):.5f} after 1500 steps")
        elif given.task == "addition":
            print(f"seed {seed}: {learn_sums(seed=seed):.4f} of the sums right")
        elif given.task == "mnist1d":
            one, two = learn_curves(seed=seed), convolve_curves(seed=seed)
            print(f"seed {seed}: GRU {one:.4f}, convolutions {two:.4f} right")
        else:
            one, two = (learn_speakers(given.path, both, seed) for both in (False, True))
            print(f"seed {seed}: LSTM {one:.4f}, both ways {two:.4f} right")


if __name__ == "__main__":
    main()
