"""Draws the pictures of docs/lab.md, and prints the numbers that it tells.

python docs/lab.py [--to FOLDER] [--only NAME]

Sphinx runs it when the site is built, into docs/generated; nothing that it makes is kept elsewhere.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import steep
from steep import callbacks, data, lab, layers
from steep.lab import surfaces
from steep.optimizers import SGD, Adam, RMSProp

FOLDER = Path(__file__).parent / "generated"


def digits() -> tuple[Any, Any, Any, Any]:
    """Return the bundled digits, 0 to 1, as rows: to learn from, and held out."""
    (X, y), (Xv, yv) = data.load("digits")
    return _rows(X), y, _rows(Xv), yv


def _rows(X: Any) -> Any:
    return X.reshape(len(X), -1).astype(np.float32) / 16


def classifier(lr: float = 0.01, units: int = 32, seed: int = 0) -> steep.Trainer:
    """Return a trainer for the digits."""
    net = steep.Sequential(layers.Dense(units, "relu"), layers.Dense(10))
    return steep.Trainer(net, "cross_entropy", Adam(lr), seed=seed)


def paths(to: Path) -> None:
    """Draw four rules on Rosenbrock's valley, with a film."""
    rules: dict[str, Any] = {"SGD": SGD(1e-3), "momentum": SGD(1e-3, momentum=0.9)}
    rules |= {"RMSProp": RMSProp(0.01), "Adam": Adam(0.05)}
    lab.plot_paths(
        surfaces.rosenbrock, rules, steps=150, path=to / "rosenbrock.png",
        animation=to / "rosenbrock.gif", frames=40,
    )  # fmt: skip


def flow(to: Path) -> None:
    """Draw the gradients of ten sigmoid layers before training, and say what they do."""
    X, y, _, _ = digits()
    body = (layers.Dense(32, "sigmoid", init="xavier") for _ in range(10))
    net = steep.Sequential(*body, layers.Dense(10)).build((64,), seed=0)
    found = lab.gradient_flow(net, X[:256], y[:256], "cross_entropy")
    found.plot(to / "flow.png")
    print(found.report())


def inside(to: Path) -> None:
    """Record ten sigmoid layers while they train, and say what becomes of them."""
    X, y, _, _ = digits()
    body = (layers.Dense(32, "sigmoid", init="xavier", name=f"layer{k}") for k in range(1, 11))
    net = steep.Sequential(*body, layers.Dense(10, name="output"))
    recorder = callbacks.Recorder(every=5)
    trainer = steep.Trainer(net, "cross_entropy", SGD(0.5), seed=0)
    trainer.fit(X, y, epochs=8, batch_size=64, progress=False, record=recorder)
    recorder.plot(to / "inside.png")
    print(recorder.report())


def tuning(to: Path) -> None:
    """Look for a rate, then sweep rates, widths and seeds."""
    X, y, Xv, yv = digits()
    trainer = classifier()
    found = lab.find_lr(trainer, X, y)
    found.plot(to / "find_lr.png")
    print(found)
    space = {"lr": [float(f"{r:.2g}") for r in np.geomspace(1e-4, 0.3, 8)], "units": (8, 32, 128)}
    swept = lab.sweep(classifier, space | {"seed": range(2)}, X, y, validation=(Xv, yv), epochs=6)
    swept.plot(to / "sweep.png")
    print(swept)


def valley(to: Path) -> None:
    """Draw the loss around trained weights, along random directions and along the training."""
    X, y, _, _ = digits()
    trainer, walked = classifier(), lab.Trajectory(every=20)
    trainer.fit(X, y, epochs=6, callbacks=[walked], progress=False)
    lab.landscape(trainer, X, y).plot(to / "landscape_random.png")
    seen = lab.landscape(trainer, X, y, directions="pca", trajectory=walked)
    seen.plot(to / "landscape_pca.png")
    print("principal components:", ", ".join(f"{100 * share:.0f} %" for share in seen.explained))


EVERY = (paths, flow, inside, tuning, valley)
PICTURES = {made.__name__: made for made in EVERY}


def main(arguments: list[str]) -> int:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=FOLDER)
    parser.add_argument("--only", choices=PICTURES, help="one of them")
    options = parser.parse_args(arguments)
    options.to.mkdir(parents=True, exist_ok=True)
    for name, made in PICTURES.items():
        if options.only in (None, name):
            made(options.to)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
