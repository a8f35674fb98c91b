"""Draws a landscape: heights on a plane, bright where they are low, and the path of a training."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..plots import blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]
LEVELS = 18


def draw(x: Vector, y: Vector, loss: Vector, path: Vector, explained: Vector) -> "Figure":
    """Return the picture."""
    figure = blank(6.0, 4.8)
    axes = figure.add_subplot()
    shown = np.where(np.isfinite(loss), loss, np.nan)
    levels, log = levels_of(shown)
    options: dict[str, Any] = {"levels": levels}
    if log:
        from matplotlib.colors import LogNorm  # noqa: PLC0415  (an extra)

        options["norm"] = LogNorm(levels[0], levels[-1])
    filled = axes.contourf(x, y, shown, cmap="Greys", alpha=0.8, **options)
    lines = axes.contour(x, y, shown, colors="white", linewidths=0.5, **options)
    axes.clabel(lines, levels[:: LEVELS // 5], fontsize=7, fmt="%.3g", colors="black")
    figure.colorbar(filled, ax=axes, label="loss", format="%.3g")
    if len(path):
        axes.plot(*path.T, "-o", color="#0072B2", linewidth=1.4, markersize=3, label="training")
        axes.plot(*path[0], "s", color="#E69F00", markersize=7, label="start")
    axes.plot(0, 0, "*", color="#D55E00", markersize=13, label="trained")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    axes.set_xlabel(_words("first", explained[0]))
    axes.set_ylabel(_words("second", explained[1]))
    axes.legend(frameon=True, fontsize=8, loc="upper right")
    return figure


def _words(which: str, share: float) -> str:
    if np.isnan(share):
        return f"{which} random direction"
    return f"{which} principal component, {100 * share:.0f} % of the variance"


def levels_of(loss: Vector) -> tuple[Vector, bool]:
    """Return heights of contours, and whether they are equally far apart by their logarithm."""
    low, high = float(np.nanmin(loss)), float(np.nanmax(loss))
    if low > 0.0 and high > 10 * low:
        return np.geomspace(low, high, LEVELS), True
    return np.linspace(low, high if high > low else low + 1.0, LEVELS), False
