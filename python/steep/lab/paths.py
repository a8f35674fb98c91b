"""`plot_paths`: optimizers on one surface, as a picture and as a film. Walking: descend.py."""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks.numbers import whole
from ..optimizers import compare
from ..plots import blank, tidy
from .comparison import Comparison
from .picture import contours, lowest, style_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECONDS = 6.0  # of a film
HOW_TO_GET = "plot_paths: Pillow writes films: `pip install 'steep[images]'`"


def plot_paths(
    surface: Any,
    optimizers: Mapping[str, Any] | Iterable[Any],
    *,
    steps: int = 100,
    start: ArrayLike | None = None,
    limits: ArrayLike | None = None,
    path: str | os.PathLike[str] | None = None,
    animation: str | os.PathLike[str] | None = None,
    frames: int = 60,
) -> "Figure":
    """Draw the paths of optimizers on a surface, bright where it is low, and their losses by step.

    ``plot_paths(lab.surfaces.rosenbrock, {"SGD": SGD(1e-3), "Adam": Adam(0.1)})``. What diverges is
    drawn as far as it went, with a cross; the legend says at which step.
    `steep.optimizers.compare` gives the numbers.

    Parameters
    ----------
    surface
        One of ``lab.surfaces``, its name, or a pair of functions ``(value, gradient)`` that take a
        point (2,).
    optimizers
        By the names they have in the legend, or a list. Those given by name or class get the rate
        with which they end lowest.
    steps
        Updates; each counts as an epoch.
    start : (2,)
        Where the paths begin; a surface of ``lab.surfaces`` has a start of its own.
    limits
        ((left, right), (bottom, top)) of the picture.
    path
        Where to save the picture, too; its ending chooses the format.
    animation
        Where to save a GIF of six seconds in which the paths grow step by step, too.
    frames
        Of the animation, at most one for each step.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is missing, or Pillow for an animation.
    TypeError, ValueError
        If an argument does not fit, or no optimizer steps by gradients alone.
    """
    frames = whole("plot_paths", "frames", frames)
    found: Comparison = compare(
        optimizers, surface=surface, start=start, limits=limits, steps=steps, epochs=0
    )
    if path is not None:
        found.save(path)
    if animation is not None:
        _film(found, animation, frames)
    return found.figure


def _film(found: Comparison, path: str | os.PathLike[str], frames: int) -> None:
    """Write a GIF: what the picture shows, up to one step after the other."""
    try:
        from PIL import Image  # noqa: PLC0415  (an extra)
    except ImportError:
        raise ImportError(HOW_TO_GET) from None
    longest = max(len(end.path) for end in found.surface.values())
    shown = np.unique(np.linspace(1, longest, min(frames, longest)).round().astype(int))
    figure, lines = _stage(found)
    canvas: Any = figure.canvas
    canvas.draw()  # once: what does not move is by far the most of it
    still, images = canvas.copy_from_bbox(figure.bbox), []
    for upto in shown:
        canvas.restore_region(still)
        for line, points, since in lines:
            line.set_data(*points[:upto][since:].T)
            line.axes.draw_artist(line)
        title = figure.text(0.5, 0.985, f"step {upto - 1}", ha="center", va="top")
        figure.draw_artist(title)
        title.remove()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        images.append(Image.fromarray(pixels.copy()).quantize(64, Image.Quantize.FASTOCTREE))
    pause = int(1000 * SECONDS / len(images))
    images[0].save(
        path, "GIF", save_all=True, append_images=images[1:], loop=0,
        duration=[pause] * (len(images) - 1) + [1500],
    )  # fmt: skip


def _stage(found: Comparison) -> tuple["Figure", list[Any]]:
    """Return a figure with empty lines: each with its points, and the first that is drawn."""
    assert found.ground is not None
    figure = blank(8.4, 4.0)
    left, right = figure.subplots(1, 2)
    contours(left, found.ground)
    right.set_title(" ")  # room for the step
    (low, high), x = _span(found), max(len(end.loss) for end in found.surface.values())
    right.set_xlim(0, max(x - 1, 1))
    log = all(end.loss.min() >= 0 for end in found.surface.values())
    right.set_yscale("log" if log else "linear")
    right.set_ylim(low / 1.5 if log else low, high * 1.5 if log else high)
    right.set_xlabel("step")
    right.set_ylabel("loss on the surface")
    lines = []
    for k, (name, end) in enumerate(found.surface.items()):
        style, losses = style_of(k), np.maximum(end.loss, low)
        lines.append((left.plot([], [], **style)[0], end.path, 0))
        head = left.plot([], [], "o", color=style["color"], markersize=5)[0]
        lines.append((head, end.path, -1))
        steps = np.arange(len(losses))
        line = right.plot([], [], label=name, **style)[0]
        lines.append((line, np.column_stack([steps, losses]), 0))
    right.legend(frameon=False, fontsize=8)
    tidy(right)
    return figure, lines


def _span(found: Comparison) -> tuple[float, float]:
    """Return the lowest loss that is shown and the highest, not far above the start."""
    losses = np.concatenate([end.loss for end in found.surface.values()])
    first, low, high = float(losses[0]), lowest(found.surface.values()), float(losses.max())
    if losses.min() < 0:
        return low, min(high, first + 2 * (first - low))
    high = min(high, 10 * first) or 1.0
    return max(low, high * 1e-12), high
