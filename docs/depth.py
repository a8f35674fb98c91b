"""Trains plain and residual networks of 20 and 56 layers and draws docs/pictures/depth.png.

python docs/depth.py [--seeds 0,1,2] [--epochs N] [--results FILE] [--picture FILE] [--quick]

Prints the table of docs/depth.md, which says what is shown.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import steep
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from steep import data, lab, models, optimizers, schedules

PICTURE = Path(__file__).parent / "pictures" / "depth.png"
MOMENTUM, DECAY = 0.9, 1e-4  # He et al. 2016, section 4.2, as are the steps of the rate
FLOW_SAMPLES = 256
NETWORKS = (("plain", 20), ("plain", 56), ("residual", 20), ("residual", 56))
# Okabe & Ito (2008): the two differ for every kind of colour vision.
COLOURS = {20: "#0072B2", 56: "#D55E00"}
MARKS = {"plain": "o", "residual": "^"}
Run = dict[str, Any]  # what `train` returns


class Images(NamedTuple):
    """Inputs (N, H, W, 1) of mean 0 and deviation 1, and labels (N,)."""

    X: NDArray[np.float32]
    y: NDArray[Any]
    X_test: NDArray[np.float32]
    y_test: NDArray[Any]


def images(name: str, samples: int, tests: int, root: str | None) -> Images:
    """Return the first samples of a data set; pictures of 28x28 become 14x14 by means of 2x2."""
    (X, y), (X_test, y_test) = data.load(name, root=root) if root else data.load(name)
    X, X_test = X[:samples].astype(np.float32), X_test[:tests].astype(np.float32)
    if X.shape[1] == 28:
        X, X_test = (a.reshape(-1, 14, 2, 14, 2).mean((2, 4)) for a in (X, X_test))
    mean, deviation = X.mean(), X.std()
    X, X_test = ((a[..., None] - mean) / deviation for a in (X, X_test))
    return Images(X, y[:samples], X_test, y_test[:tests])


def train(kind: str, depth: int, seed: int, given: Images, settings: dict[str, Any]) -> Run:
    """Train one network; every network gets the same samples, schedule and seeds."""
    net = models.resnet_cifar(depth, plain=kind == "plain")
    net.build(given.X.shape[1:], seed=seed)
    flow = lab.gradient_flow(net, given.X[:FLOW_SAMPLES], given.y[:FLOW_SAMPLES], "cross_entropy")
    epochs, lr = settings["epochs"], settings["rate"]
    rate = schedules.Piecewise(
        [0, epochs / 2, epochs * 3 / 4], [lr, lr / 10, lr / 100], unit="epoch"
    )
    trainer = steep.Trainer(
        net, "cross_entropy", optimizers.SGD(rate, momentum=MOMENTUM), l2=DECAY, seed=seed
    )
    began = time.perf_counter()
    history = trainer.fit(
        given.X, given.y, epochs=epochs, batch_size=settings["batch"],
        validation=(given.X_test, given.y_test), progress=False,
    ).history  # fmt: skip
    seconds = time.perf_counter() - began
    return {
        "kind": kind,
        "depth": depth,
        "seed": seed,
        "seconds": seconds,
        "train": [1 - a for a in history["accuracy"]],
        "test": [1 - a for a in history["val_accuracy"]],
        "train_end": 1 - trainer.evaluate(given.X, given.y)["accuracy"],
        "flow": [found.norm for found in flow],
    }


def series(runs: list[Run], kind: str, depth: int, what: str) -> NDArray[np.float64]:
    """Return one row for each seed."""
    return np.array([r[what] for r in runs if (r["kind"], r["depth"]) == (kind, depth)])


def table(runs: list[Run]) -> str:
    """Return the errors in per cent after the last epoch, mean and every seed, in Markdown."""
    head = ["network", "training error, %", "test error, %", "first / last gradient", "seconds"]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for kind, depth in NETWORKS:
        train_end = series(runs, kind, depth, "train_end")
        test_end = series(runs, kind, depth, "test")[:, -1]
        flow = series(runs, kind, depth, "flow")
        # The second convolution and the one before the classes: both are 3x3 with C to C channels.
        ratio = float(np.exp(np.log(flow[:, 1] / flow[:, -2]).mean()))
        cells = [f"{kind} {depth}", spread(train_end), spread(test_end), f"{ratio:.3g}"]
        cells.append(f"{series(runs, kind, depth, 'seconds').mean():.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(errors: NDArray[np.float64]) -> str:
    """Return the mean and, of several seeds, each."""
    each = ", ".join(f"{100 * e:.1f}" for e in errors)
    return f"**{100 * errors.mean():.1f}** ({each})" if len(errors) > 1 else each


def draw(runs: list[Run], path: Path) -> None:
    """Draw the errors of the plain and of the residual networks, and the gradients by depth."""
    figure = Figure(figsize=(12, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    middle.sharey(left)
    for axes, kind in ((left, "plain"), (middle, "residual")):
        draw_errors(axes, runs, kind)
    draw_flow(right, runs)
    for axes in (left, middle, right):
        axes.grid(True, color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def draw_errors(axes: Axes, runs: list[Run], kind: str) -> None:
    """Draw means over the seeds, and from the best to the worst of them as a band."""
    for depth, colour in COLOURS.items():
        for what, line, width in (("train", "--", 1.4), ("test", "-", 2.0)):
            errors = 100 * series(runs, kind, depth, what)
            epochs = np.arange(1, errors.shape[1] + 1)
            label = f"{depth} layers, {'training' if what == 'train' else 'test'}"
            axes.plot(epochs, errors.mean(0), line, color=colour, linewidth=width, label=label)
            axes.fill_between(
                epochs, errors.min(0), errors.max(0), color=colour, alpha=0.15, linewidth=0
            )
    axes.set_title(f"{kind} networks")
    axes.set_xlabel("epoch")
    axes.set_ylabel("error, %")
    axes.set_ylim(0, 100)
    axes.legend(frameon=False)


def draw_flow(axes: Axes, runs: list[Run]) -> None:
    """Draw |g| of every weight at the start, geometric means over the seeds."""
    for kind, depth in NETWORKS:
        norms = np.exp(np.log(series(runs, kind, depth, "flow")).mean(0))
        axes.plot(
            np.arange(1, len(norms) + 1), norms, color=COLOURS[depth], marker=MARKS[kind],
            markerfacecolor=COLOURS[depth] if kind == "plain" else "white",
            markersize=4.5, linewidth=1.2, label=f"{kind} {depth}",
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_title("gradients before the first step")
    axes.set_xlabel("layer, from the input on")
    axes.set_ylabel("norm of the weight's gradient")
    axes.legend(frameon=False)


def options_of(arguments: list[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="fashion-mnist", help="or digits")
    parser.add_argument("--root", help="folder of the data set's files")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.025, help="the first, of all networks")
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--results", type=Path, help="JSON; runs that it holds are not run again")
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it works")
    options = parser.parse_args(arguments)
    if options.quick:
        options.dataset, options.seeds = "digits", "0"
        options.epochs, options.samples, options.tests = 2, 128, 64
    return options


def kept(options: argparse.Namespace) -> tuple[dict[str, Any], list[Run]]:
    """Return the settings, and the runs with these settings that `--results` holds."""
    names = ("dataset", "samples", "tests", "epochs", "batch", "rate")
    settings = {name: getattr(options, name) for name in names}
    path: Path | None = options.results
    if path is None or not path.is_file():
        return settings, []
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["settings"] != settings:
        raise SystemExit(f"{path}: holds runs with {found['settings']}. Name another file.")
    return settings, found["runs"]


def main(arguments: list[str]) -> int:
    """Train what is missing, draw, and print the table."""
    options = options_of(arguments)
    settings, runs = kept(options)
    given = images(options.dataset, options.samples, options.tests, options.root)
    done = {(r["kind"], r["depth"], r["seed"]) for r in runs}
    seeds = map(int, options.seeds.split(","))
    missing = [(*n, seed) for seed in seeds for n in NETWORKS if (*n, seed) not in done]
    with steep.threads(options.threads):
        for kind, depth, seed in missing:
            runs.append(train(kind, depth, seed, given, settings))
            if options.results is not None:
                text = json.dumps({"settings": settings, "runs": runs})
                options.results.write_text(text, encoding="utf-8")
    draw(runs, options.picture)
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
