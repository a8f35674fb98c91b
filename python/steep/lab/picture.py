"""Draws a comparison of optimizers: paths and losses on a surface, losses of a network."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plots import blank, tidy
from .compared import OnNetwork, OnSurface, rate
from .surfaces import Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008), without yellow: they differ for every kind of colour vision; then lines do.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINES = ("-", "--", ":", "-.")
GRID = 121  # heights along each side of the surface
LEVELS = 16
UPLAND = 0.4  # of the height: where half of a surface lies above, its levels are equally far apart
FAR = 1e4  # times the picture: lines to points beyond are not drawn
COLUMNS = 4  # of the legend


def draw(
    surface: Mapping[str, OnSurface], network: Mapping[str, OnNetwork], ground: Surface | None
) -> "Figure":
    """Return a panel for the paths, one for their losses and one for the network, and a legend."""
    count = 2 * bool(surface) + bool(network)
    names = list(dict.fromkeys([*surface, *network]))
    rows = 1 - -len(names) // min(COLUMNS, 2 * count)
    figure = blank(4.4 * count + 0.4, 4.0 + 0.22 * rows)
    panels = list(figure.subplots(1, count, squeeze=False)[0])
    styles = {name: style_of(k) for k, name in enumerate(names)}
    if ground is not None and surface:
        contours(panels[0], ground)
        for name, end in surface.items():
            _path(panels[0], end, styles[name])
        _losses(panels[1], surface, styles, "loss on the surface", "step")
    if network:
        _losses(panels[-1], network, styles, "loss of the network", "epoch")
    shown = [where for where in (surface, network) if where]
    labels = [_label(name, [where.get(name) for where in shown]) for name in names]
    handles = [panels[-1].plot([], [], **styles[name])[0] for name in names]
    both = "name: rate on the surface | on the network" if count == 3 else "name: rate"
    figure.legend(
        handles, labels, title=both, loc="outside lower center", ncols=min(COLUMNS, 2 * count),
        frameon=False, fontsize=8, title_fontsize=8,
    )  # fmt: skip
    return figure


def style_of(index: int) -> dict[str, Any]:
    """Return colour and line of one optimizer, the same in every panel."""
    line = LINES[index // len(COLOURS) % len(LINES)]
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": line, "linewidth": 1.5}


def _label(name: str, ends: Sequence[OnSurface | OnNetwork | None]) -> str:
    """Return a name with its rates, and where it diverged."""
    said = ["-" if end is None else rate(end.optimizer) + _fate(end) for end in ends]
    return f"{name}: {' | '.join(said)}"


def _fate(end: OnSurface | OnNetwork) -> str:
    return "" if end.diverged is None else f", diverged at step {end.diverged}"


def contours(axes: "Axes", ground: Surface) -> None:
    """Draw heights, bright where they are low; their levels lie closer near the lowest."""
    (left, right), (bottom, top) = ground.limits
    x, y = np.linspace(left, right, GRID), np.linspace(bottom, top, GRID)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        heights = np.array([[float(ground.value(np.array([a, b]))) for a in x] for b in y])
    heights[~np.isfinite(heights)] = np.nan
    # Equal steps of the logarithm over the lowest point show both the walls and the floor.
    low, high = np.nanmin(heights), np.nanmax(heights)
    shown = (heights - low) / ((high - low) or 1.0)
    if np.nanmedian(shown) < UPLAND:  # else there is no floor to show
        shown = np.log1p(200 * shown)
    axes.contourf(x, y, shown, LEVELS, cmap="Greys", alpha=0.75)
    axes.contour(x, y, shown, LEVELS, colors="white", linewidths=0.4)
    axes.plot(*ground.start, "o", color="black", markersize=5)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_title(ground.name)
    axes.set_xlabel("x")
    axes.set_ylabel("y")


def _losses(axes: "Axes", ends: Any, styles: Any, title: str, unit: str) -> None:
    """Draw losses over steps or epochs, on a logarithmic axis where none is negative.

    What climbs far above the start goes on along the upper edge, what falls without end along the
    lower one.
    """
    losses = np.concatenate([end.loss for end in ends.values()])
    start, low, high = losses[0], lowest(ends.values()), losses.max()
    log = losses.min() >= 0.0 and high > 0.0
    if log:
        axes.set_yscale("log")
        high = min(high, 10 * (start or high))
        low = max(losses[losses > 0.0].min(), high * 1e-12)
        axes.set_ylim(low / 1.5, high * 1.5)
    else:
        high = min(high, start + 2 * (start - low) or high)
        margin = 0.05 * (high - low or 1.0)
        axes.set_ylim(low - margin, high + margin)
    bottom, top = axes.get_ylim()
    bottom = 0.0 if log else bottom
    for name, end in ends.items():
        axes.plot(np.clip(end.loss, bottom, top), **styles[name])
        last = np.clip(end.loss[-1], bottom, top)
        _end(axes, len(end.loss) - 1, last, styles[name], end.diverged)
    axes.set_title(title)
    axes.set_xlabel(unit)
    tidy(axes)


def lowest(ends: Iterable[OnSurface | OnNetwork]) -> float:
    """Return the lowest loss of those that did not diverge, which may do so downward."""
    every = list(ends)
    return float(min(end.loss.min() for end in [e for e in every if e.diverged is None] or every))


def _path(axes: "Axes", end: OnSurface, style: dict[str, Any]) -> None:
    """Draw the part of a path that is not far beyond the picture; its end is the last one in it."""
    (left, right), (bottom, top) = np.sort(axes.get_xlim()), np.sort(axes.get_ylim())
    x, y = np.where(np.abs(end.path) < FAR * max(right - left, top - bottom), end.path, np.nan).T
    axes.plot(x, y, **style)
    seen = np.flatnonzero((left <= x) & (x <= right) & (bottom <= y) & (y <= top))
    if end.diverged is None or seen.size:
        last = -1 if end.diverged is None else seen[-1]
        _end(axes, x[last], y[last], style, end.diverged)


def _end(axes: "Axes", x: Any, y: Any, style: dict[str, Any], diverged: int | None) -> None:
    """Mark where an optimizer ends: with a cross where it diverged, else with a point."""
    shape: dict[str, Any] = {"marker": "o", "markersize": 4}
    if diverged is not None:
        shape = {"marker": "X", "markersize": 8, "clip_on": False}
    axes.plot(x, y, color=style["color"], **shape)
