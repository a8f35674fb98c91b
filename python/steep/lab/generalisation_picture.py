"""Draws scores by the number of samples, and errors, bias and variance by capacity."""

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..plots import STYLES, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]
# Okabe & Ito (2008), beside the colours of training and validation.
PARTS: dict[str, dict[str, Any]] = {
    "squared bias": {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    "variance": {"color": "#CC79A7", "linestyle": ":", "marker": "D"},
}


def draw_learning(sizes: Any, train: Vector, held: Vector, score: str) -> "Figure":
    """Return training, validation and their gap."""
    figure = blank(6.0, 4.0)
    axes = figure.add_subplot()
    means = {"training": train, "validation": held}
    for name, values in means.items():
        _band(axes, np.asarray(sizes, np.float64), values, name, STYLES[name])
    axes.fill_between(
        sizes, train.mean(1), held.mean(1), color="#999999", alpha=0.2, linewidth=0, label="gap"
    )
    if max(sizes) >= 10 * min(sizes):
        axes.set_xscale("log")
    _finish(axes, "training samples", score)
    return figure


def draw_capacity(
    widths: Sequence[Any], train: Vector, held: Vector, parts: tuple[Vector, Vector]
) -> "Figure":
    """Return errors, squared bias and variance."""
    figure = blank(6.0, 4.0)
    axes = figure.add_subplot()
    numbers = all(isinstance(w, Real) and not isinstance(w, bool) and float(w) > 0 for w in widths)
    place = np.asarray(widths if numbers else range(len(widths)), np.float64)
    for name, values in (("training", train), ("validation", held)):
        _band(axes, place, values, f"{name} error", STYLES[name])
    for (name, style), values in zip(PARTS.items(), parts, strict=True):
        axes.plot(place, values, label=name, linewidth=1.8, markersize=4, **style)
    if numbers and place.max() >= 10 * place.min():
        axes.set_xscale("log")
    if not numbers:
        axes.set_xticks(place, list(map(str, widths)))
    if min(train.mean(1).min(), *(p.min() for p in parts)) > 0.0:
        axes.set_yscale("log")
    _finish(axes, "capacity", "mean squared error")
    return figure


def _band(axes: "Axes", place: Vector, values: Vector, name: str, style: dict[str, Any]) -> None:
    """Draw the mean over the repeats, and from the least to the largest as a band."""
    axes.plot(place, values.mean(1), label=name, linewidth=1.8, markersize=4, **style)
    axes.fill_between(
        place, values.min(1), values.max(1), color=style["color"], alpha=0.12, linewidth=0
    )


def _finish(axes: "Axes", x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
