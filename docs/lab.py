"""Draws the pictures of docs/lab.md, and prints the numbers that it tells.

python docs/lab.py [--to FOLDER] [--only NAME]

Sphinx runs it when the site is built, into docs/generated; nothing that it makes is kept elsewhere.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import steep
from steep import callbacks, data, lab, layers, plots
from steep.lab import picture, surfaces
from steep.optimizers import SGD, AdaGrad, Adam, RMSProp

FOLDER = Path(__file__).parent / "generated"
# Okabe & Ito (2008): these differ for every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
MARKS = ("o", "s", "^", "D", "v")


def digits() -> tuple[Any, Any, Any, Any]:
    """Return the bundled digits, 0 to 1, as rows: to learn from, and held out."""
    (X, y), (Xv, yv) = data.load("digits")
    return _rows(X), y, _rows(Xv), yv


def _rows(X: Any) -> Any:
    return X.reshape(len(X), -1).astype(np.float32) / 16


def classifier(lr: float = 0.01, units: int = 32, seed: int = 0, **options: Any) -> steep.Trainer:
    """Return a trainer for the digits."""
    drop = options.pop("dropout", 0.0)
    body = [layers.Dense(units, "relu"), *([layers.Dropout(drop)] if drop else [])]
    net = steep.Sequential(*body, layers.Dense(10))
    return steep.Trainer(net, "cross_entropy", Adam(lr), seed=seed, **options)


def square(to: Path) -> None:
    """Descend on w^2: the four runs of the lectures, and what becomes of each."""
    figure = plots.blank(6.4, 4.0)
    axes = figure.add_subplot()
    runs = ((0.5, -2.0), (0.5, 2.0), (0.25, 2.0), (1.0, 2.0))
    for k, (rate, start) in enumerate(runs):
        path = lab.descend(SGD(rate), lambda w: 2 * w, start, 6)
        label = f"rate {rate:g}, from {start:g}: {lab.behaviour(path)}"
        axes.plot(path, label=label, color=COLOURS[k], marker=MARKS[k])
        print(f"w^2, {label}: {', '.join(f'{w:g}' for w in path.ravel())}")
    axes.set_xlabel("step")
    axes.set_ylabel("w")
    plots.tidy(axes)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    figure.savefig(to / "square.png", dpi=110)


def paths(to: Path) -> None:
    """Draw momentum on a ravine, four rules on Rosenbrock's valley with a film, and a saddle."""
    ravine = surfaces.quadratic(100.0)
    rules: dict[str, Any] = {"plain": SGD(0.008), "momentum .9": SGD(0.008, momentum=0.9)}
    rules["Nesterov .9"] = SGD(0.008, momentum=0.9, nesterov=True)
    lab.plot_paths(ravine, rules, start=(-2.5, 1.5), steps=60, path=to / "ravine.png")
    rules = {"SGD": SGD(1e-3), "momentum": SGD(1e-3, momentum=0.9)}
    rules |= {"RMSProp": RMSProp(0.01), "Adam": Adam(0.05)}
    lab.plot_paths(
        surfaces.rosenbrock, rules, steps=150, path=to / "rosenbrock.png",
        animation=to / "rosenbrock.gif", frames=40,
    )  # fmt: skip
    rules = {"SGD": SGD(0.02), "momentum": SGD(0.02, momentum=0.9), "RMSProp": RMSProp(0.02)}
    lab.plot_paths("monkey_saddle", rules, steps=60, path=to / "monkey_saddle.png")


def rates(to: Path) -> None:
    """Draw effective rates: the slope is 1 for 1000 steps, then .01 (row 74)."""
    slopes = np.where(np.arange(1400) < 1000, 1.0, 0.01)
    figure = plots.blank(6.0, 3.4)
    axes = figure.add_subplot()
    for k, rule in enumerate((AdaGrad(0.1), RMSProp(0.1, rho=0.9))):
        given = iter(slopes)
        path = lab.descend(rule, lambda w, given=given: next(given), 0.0, 1400).ravel()
        rate = -np.diff(path) / slopes
        axes.plot(rate, label=type(rule).__name__, color=COLOURS[k], linestyle=("-", "--")[k])
        print(f"{type(rule).__name__}: rate {rate[999]:.3g} after 1000 steps, then {rate[-1]:.3g}")
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("effective rate")
    plots.tidy(axes)
    axes.legend(frameon=False)
    figure.savefig(to / "rates.png", dpi=110)


def cliff(to: Path) -> None:
    """Draw descent at a cliff, as it is and clipped (row 34)."""
    ground = surfaces.cliff

    def clipped(w: Any) -> Any:
        g = ground.grad(w)
        return g / max(1.0, 10.0 * float(np.linalg.norm(g)))  # at most .1 long

    figure = plots.blank(9.0, 3.8)
    left, right = figure.subplots(1, 2)
    picture.contours(left, ground)
    for k, (name, grad) in enumerate({"as it is": ground.grad, "clipped": clipped}.items()):
        path = lab.descend(SGD(1.0), grad, ground.start, 60)
        loss = [ground.value(w) for w in path]
        left.plot(*path.T, color=COLOURS[k], marker=MARKS[k], markersize=3, label=name)
        right.plot(loss, color=COLOURS[k], marker=MARKS[k], markersize=3, label=name)
        longest = np.linalg.norm(np.diff(path, axis=0), axis=1).max()
        print(f"cliff, {name}: longest step {longest:.3g}, lowest loss {min(loss):.2g}")
    right.set_yscale("log")
    right.set_xlabel("step")
    right.set_ylabel("loss on the surface")
    plots.tidy(right)
    right.legend(frameon=False)
    figure.savefig(to / "cliff.png", dpi=110)


def flow(to: Path) -> None:
    """Draw the gradients of ten sigmoid layers before training, and say what they do."""
    X, y, _, _ = digits()
    body = (layers.Dense(32, "sigmoid", init="xavier") for _ in range(10))
    net = steep.Sequential(*body, layers.Dense(10)).build((64,), seed=0)
    found = lab.gradient_flow(net, X[:256], y[:256], "cross_entropy")
    found.plot(to / "flow.png")
    print(found.report())


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


def generalisation(to: Path) -> None:
    """Draw learning and capacity curves, and four ways against overfitting side by side."""
    X, y, Xv, yv = digits()
    sizes = (30, 100, 300, 1000, 1400)
    lab.learning_curve(
        lambda seed: classifier(seed=seed), X, y, sizes, validation=(Xv, yv), epochs=20
    ).plot(to / "learning_curve.png")
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (400, 1))
    noisy, places = np.sin(5 * x) + 0.2 * random.standard_normal(x.shape), np.linspace(-1, 1, 100)

    def model(width: int, seed: int) -> steep.Trainer:
        net = steep.Sequential(layers.Dense(width, "tanh"), layers.Dense(1))
        return steep.Trainer(net, "mse", "lbfgs", seed=seed)

    held = places[:, None], np.sin(5 * places)[:, None]
    found = lab.capacity_curve(
        model, x, noisy, (1, 2, 3, 5, 10, 30), validation=held, samples=30, epochs=200
    )
    found.plot(to / "capacity_curve.png")
    print("squared bias", found.bias2.round(4), "variance", found.variance.round(4))
    _regularised(to, X[:200], y[:200], (Xv, yv))


def _regularised(to: Path, X: Any, y: Any, held: tuple[Any, Any]) -> None:
    ways: dict[str, Callable[[], steep.Trainer]] = {
        "nothing": lambda: classifier(units=128),
        "dropout .5": lambda: classifier(units=128, dropout=0.5),
        "L1 1e-3": lambda: classifier(units=128, l1=1e-3),
        "L2 1e-2": lambda: classifier(units=128, l2=1e-2),
        "early stopping": lambda: classifier(units=128),
    }
    figure = plots.blank(11.0, 3.2)
    panels = figure.subplots(1, len(ways), sharey=True)
    for panel, (name, make) in zip(panels, ways.items(), strict=True):
        trainer = make()
        stop = [callbacks.EarlyStopping(patience=5)] if name == "early stopping" else []
        history = trainer.fit(
            X, y, epochs=60, validation=held, callbacks=stop, progress=False
        ).history  # fmt: skip
        epochs = np.arange(1, len(history["loss"]) + 1)
        for part, key in (("training", "loss"), ("validation", "val_loss")):
            style = {**plots.STYLES[part], "marker": ""}
            panel.plot(epochs, history[key], label=part, **style)
        panel.fill_between(epochs, history["loss"], history["val_loss"], color="#999999", alpha=0.2)
        end = trainer.evaluate(*held)
        panel.set_title(f"{name}\nvalidation loss {end['loss']:.3f}", fontsize=9)
        panel.set_yscale("log")
        plots.tidy(panel)
        panel.set_xlabel("epoch")
        print(f"{name}: validation loss {end['loss']:.4f}, accuracy {end['accuracy']:.4f}")
    panels[0].set_ylabel("loss, without penalties")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(to / "regularised.png", dpi=110)


EVERY = (square, paths, rates, cliff, flow, tuning, valley, generalisation)
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
