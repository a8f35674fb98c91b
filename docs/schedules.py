"""Draws docs/pictures/schedules.png: every schedule, and the plateau. What they are: steep itself.

python docs/schedules.py [--picture FILE]

The picture keeps the descriptions it was drawn from; a test compares them with what stands here.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from steep import Sequential, Trainer, callbacks, layers, optimizers
from steep import schedules as s

PICTURE = Path(__file__).parent / "pictures" / "schedules.png"
STEPS, COLUMNS = 100, 6
# Okabe & Ito (2008): these differ for every kind of colour vision, and so do the lines.
STYLES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", ":"))
ONE = s.OneCycle(1.0, STEPS, start=0.1, end=0.0)

# Title of a panel: what is drawn in it, by the words beside its line.
PANELS: dict[str, dict[str, s.Schedule]] = {
    "Constant": {"": s.Constant(1.0)},
    "Piecewise": {"": s.Piecewise([0, 50, 75], [1.0, 0.3, 0.1])},
    "Values": {"": s.Values([*np.linspace(0.2, 1, 15), 0.9, 0.5, 0.7, 0.3])},
    "Step": {"": s.Step(1.0, 20, 0.6)},
    "Exponential": {"": s.Exponential(1.0, 0.03)},
    "InversePower": {"alpha 0.5": s.InversePower(1.0, 0.1), "1": s.InversePower(1.0, 0.1, 1.0)},
    "InverseTime": {
        "": s.InverseTime(1.0, 1.0, 20), "staircase": s.InverseTime(1.0, 1.0, 20, staircase=True),
    },
    "Linear": {"": s.Linear(0.1, 1.0, 60)},
    "SigmoidRamp": {"": s.SigmoidRamp(1.0, 60), "gamma 4": s.SigmoidRamp(1.0, 60, 4.0)},
    "Polynomial": {
        "power 2": s.Polynomial(1.0, 0.05, 40, 2.0),
        "cycle": s.Polynomial(1.0, 0.05, 40, cycle=True),
    },
    "Cosine": {"": s.Cosine(1.0, STEPS)},
    "CosineRestarts": {
        "multiply 2": s.CosineRestarts(1.0, 14, 2),
        "decay 0.7": s.CosineRestarts(1.0, 25, decay=0.7),
    },
    "CosLog": {"": s.CosLog(1.0, STEPS)},
    "Cyclic": {
        "triangular": s.Cyclic(0.1, 1.0, 12, 21),
        "triangular2": s.Cyclic(0.1, 1.0, 12, 21, "triangular2"),
        "exp_range": s.Cyclic(0.1, 1.0, 12, 21, "exp_range", 0.97),
    },
    "OneCycle": {
        "": ONE,
        "three phases, linear": s.OneCycle(
            1.0, STEPS, start=0.1, end=0.0, three_phase=True, anneal="linear"
        ),
    },
    "OneCycle.momentum": {"": ONE.momentum()},
    "Warmup": {
        "Cosine": s.Warmup(s.Cosine(1.0, 80), 20),
        "InversePower": s.Warmup(s.InversePower(1.0, 1 / 20), 20),
    },
    "Join": {
        "warm-up, plateau, decay": s.Join(
            [s.Linear(0.0, 1.0, 15), 1.0, s.Linear(1.0, 0.0, 25)], [15, 75]
        )
    },
    "Product": {"Linear, Cyclic": s.Product([s.Linear(1.0, 0.1, STEPS), s.Cyclic(0.4, 1, 8)])},
}  # fmt: skip
PLATEAU = "callbacks.ReduceOnPlateau"


def plateau() -> tuple[Any, Any]:
    """Return a loss that falls, rests and falls again, and the rate that follows from it."""
    t = np.arange(STEPS)
    loss = 0.15 + 0.8 * np.exp(-np.minimum(t, 30) / 12) * np.where(t < 65, 1.0, 0.6)
    watch, rates = callbacks.ReduceOnPlateau(factor=0.5, patience=12), []
    trainer = Trainer(Sequential(layers.Dense(1)), "mse", optimizers.SGD(1.0))
    for value in loss.tolist():
        rates.append(trainer.lr)
        watch.on_epoch_end(trainer, {"val_loss": value})
    return loss, np.array(rates)


def described() -> dict[str, Any]:
    """Return all that decides the lines."""
    return {
        title: {words: line.get_config() for words, line in lines.items()}
        for title, lines in PANELS.items()
    }


def draw(path: Path) -> None:
    """Draw one panel for each schedule, and one for the plateau."""
    rows = -(-(len(PANELS) + 1) // COLUMNS)
    figure = Figure(figsize=(13, 2.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    t = np.linspace(0, STEPS, 2001)
    panels = figure.subplots(rows, COLUMNS, sharex=True)
    for axes, (title, lines) in zip(panels.flat, PANELS.items(), strict=False):
        for (words, line), style in zip(lines.items(), STYLES, strict=False):
            plot(axes, t, line(t), words, style)
        finish(axes, title)
    loss, rates = plateau()
    last = panels.flat[len(PANELS)]
    plot(last, np.arange(STEPS), rates, "rate", STYLES[0])
    plot(last, np.arange(STEPS), loss, "loss", STYLES[1])
    finish(last, PLATEAU)
    for axes in panels.flat[len(PANELS) + 1 :]:
        axes.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("t")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, metadata={"Description": json.dumps(described())})


def plot(axes: Axes, t: Any, values: Any, words: str, style: tuple[str, str]) -> None:
    """Draw one line; jumps are no steep ways, so nothing is drawn where there is one."""
    gaps = np.abs(np.diff(values)) > 0.04
    shown = np.where(np.append(gaps, False), np.nan, values) if len(t) > STEPS else values
    axes.plot(t, shown, style[1], color=style[0], linewidth=1.6, label=words or None)


def finish(axes: Axes, title: str) -> None:
    """Write what the panel shows."""
    axes.set_title(title, fontsize=8, family="monospace")
    axes.set_ylim(-0.05, 1.6)  # room for words
    axes.set_yticks([0.0, 0.5, 1.0])
    axes.tick_params(labelsize=7)
    axes.grid(True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=7, loc="upper right", borderaxespad=0.1)


def main(arguments: list[str]) -> int:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, default=PICTURE)
    draw(parser.parse_args(arguments).picture)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
