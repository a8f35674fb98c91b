"""Draws what a `Recorder` recorded over the steps. What it is, the recorder says."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..plots import blank, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = Mapping[str, Mapping[str, NDArray[np.float64]]]
LINES = ("-", "--", "-.", ":")  # of neighbours, where colours lie close to each other
MOST_NAMES = 12  # lines up to which each has its name


def draw(steps: NDArray[np.int64], weights: Table, activations: Table) -> "Figure":
    """Return four panels over the steps: gradients, update ratios, dead units, saturation."""
    figure = blank(12.0, 6.4)
    axes = figure.subplots(2, 2)
    _panel(axes[0][0], steps, weights, "gradient_norm", "gradient norm |g|", log=True)
    _panel(axes[0][1], steps, weights, "update_ratio", "update / weight", log=True)
    _panel(axes[1][0], steps, activations, "dead", "share of dead units", log=False)
    _panel(axes[1][1], steps, activations, "saturated", "share of saturated outputs", log=False)
    return figure


def _panel(
    axes: "Axes", steps: NDArray[np.int64], table: Table, key: str, label: str, *, log: bool
) -> None:
    shown = {name: own[key] for name, own in table.items() if not np.isnan(own[key]).all()}
    colours = _colours(len(shown))
    for k, (name, values) in enumerate(shown.items()):
        axes.plot(
            steps, values, LINES[k % len(LINES)], color=colours[k], label=name, linewidth=1.4,
            marker="." if len(steps) == 1 else None,
        )  # fmt: skip
    if log and any((values > 0).any() for values in shown.values()):
        axes.set_yscale("log")
    if not log:
        axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    tidy(axes)
    if not shown:
        axes.text(
            0.5, 0.5, "no such activation", transform=axes.transAxes, ha="center", color="#666666"
        )
    elif len(shown) <= MOST_NAMES:
        axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _colours(count: int) -> list[tuple[float, ...]]:
    """Return colours from the first layer, dark, to the last, bright: legible for everybody."""
    from matplotlib import colormaps  # noqa: PLC0415  (an extra)

    return [tuple(colormaps["viridis"](0.9 * k / max(1, count - 1))) for k in range(count)]
