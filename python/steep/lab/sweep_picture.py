"""Draws a sweep: lines through settings and score, and each setting against the score."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plots import blank
from .spaces import cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4  # panels beside each other
MAP = "cividis"  # reads the same for every kind of colour vision (Nunez et al. 2018)
Rows = Sequence[Mapping[str, Any]]


class Axis:
    """Where the values of one setting stand: numbers on a line or its logarithm, else by place."""

    def __init__(self, values: Sequence[Any]) -> None:
        plain = all(isinstance(v, Real) and not isinstance(v, bool) for v in values)
        finite = plain and all(math.isfinite(v) for v in values)
        if finite and _decades_from_zero(values):
            values, finite = sorted(values), False
        self.names: list[str] = [] if finite else list(dict.fromkeys(map(cell, values)))
        known = [float(v) for v in values] if finite else []
        self.log = finite and min(known) > 0 and max(known) >= 20 * min(known)
        self.ends = (min(known), max(known)) if finite else (0.0, max(len(self.names) - 1.0, 1.0))

    def at(self, value: Any) -> float:
        """Return the place of a value, as drawn."""
        return float(self.names.index(cell(value))) if self.names else float(value)

    def share(self, value: float) -> float:
        """Return how far along the axis a place is, from 0 to 1."""
        low, high = map(math.log, self.ends) if self.log else self.ends
        return (
            0.5 if low == high else ((math.log(value) if self.log else value) - low) / (high - low)
        )


def _decades_from_zero(values: Sequence[Any]) -> bool:
    """Say whether 0 stands beside a few numbers of other sizes, which no scale of numbers shows."""
    above = {v for v in values if v > 0}
    return min(values) == 0 and 2 <= len(above) <= 8 and max(above) >= 5 * min(above)


def draw(rows: Rows, space: Mapping[str, Sequence[Any]], score: str, mode: str) -> "Figure":
    """Return the picture."""
    count = len(space)
    lines = -(-count // COLUMNS)
    figure = blank(10.0, 3.6 + 2.6 * lines)
    grid = figure.add_gridspec(1 + lines, min(count, COLUMNS), height_ratios=[1.3] + [1.0] * lines)
    done = [row for row in rows if _good(row, score)]
    axes = {name: Axis(values) for name, values in space.items()}
    _parallel(figure.add_subplot(grid[0, :]), done, axes, score, mode)
    for k, name in enumerate(space):
        panel = figure.add_subplot(grid[1 + k // COLUMNS, k % COLUMNS])
        _against(panel, rows, name, axes[name], score)
        if k % COLUMNS == 0:
            panel.set_ylabel(score)
        if k == 0 and len(done) < len(rows):
            panel.legend(frameon=False, fontsize=8)
    return figure


def _parallel(panel: "Axes", done: Rows, axes: Mapping[str, Axis], score: str, mode: str) -> None:
    """Draw a line for each member from setting to setting to its score, the best ones on top."""
    from matplotlib import colormaps  # noqa: PLC0415  (an extra)

    names, place = [*axes, score], Axis([row[score] for row in done] or [0.0, 1.0])
    place.log, place.names = False, []
    sign = -1.0 if mode == "min" else 1.0
    worth = [sign * row[score] for row in done]
    order = np.argsort(worth, kind="stable")
    for rank, k in enumerate(order):
        row = done[int(k)]
        heights = [axes[name].share(axes[name].at(row[name])) for name in axes]
        share = rank / max(len(done) - 1, 1)
        panel.plot(
            range(len(names)), [*heights, place.share(float(row[score]))],
            color=colormaps[MAP](share), alpha=0.35 + 0.6 * share, linewidth=0.8 + 1.4 * share,
        )  # fmt: skip
    for k, name in enumerate(axes):
        _scale(panel, k, axes[name])
    _scale(panel, len(axes), place)
    panel.set_xticks(range(len(names)), names)
    panel.set_yticks([])
    panel.set_xlim(-0.1, len(names) - 0.6)
    panel.spines[["top", "right", "left", "bottom"]].set_visible(False)
    panel.tick_params(axis="x", length=0)
    panel.set_title(f"{len(done)} members: bright lines are the best by {score}", fontsize=10)


def _scale(panel: "Axes", at: int, axis: Axis) -> None:
    """Draw an upright axis with words at its ends, or at each name."""
    panel.plot([at, at], [0, 1], color="#444444", linewidth=1.0, zorder=3)
    ticks = [(float(k), name) for k, name in enumerate(axis.names)]
    for place, word in ticks or [(end, cell(float(f"{end:.3g}"))) for end in axis.ends]:
        panel.annotate(
            word, (at, axis.share(place)), (4, 0), textcoords="offset points", fontsize=8,
            va="center", zorder=4, bbox={"color": "white", "alpha": 0.7, "pad": 0.5},
        )  # fmt: skip


def _good(row: Mapping[str, Any], score: str) -> bool:
    return "error" not in row and math.isfinite(row[score])


def _against(panel: "Axes", rows: Rows, name: str, axis: Axis, score: str) -> None:
    """Draw the score of each member over one of its settings."""
    done = [row for row in rows if _good(row, score)]
    failed = [axis.at(row[name]) for row in rows if not _good(row, score)]
    panel.plot(
        [axis.at(row[name]) for row in done], [row[score] for row in done], "o",
        color="#0072B2", alpha=0.6, markersize=4.5, markeredgewidth=0, label="members",
    )  # fmt: skip
    if failed:
        panel.plot(
            failed, [0.03] * len(failed), "x", color="#D55E00", markersize=6, label="failed",
            transform=panel.get_xaxis_transform(),
        )  # fmt: skip
    if axis.log:
        panel.set_xscale("log")
    elif not axis.names:
        panel.locator_params(axis="x", nbins=5)
    if axis.names:
        panel.set_xticks(range(len(axis.names)), axis.names)
    panel.set_xlabel(name)
    panel.grid(True, color="#dddddd", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
