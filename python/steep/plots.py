"""Pictures of a training run, and what all pictures share.

matplotlib is imported when one is drawn, never before.
"""

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HOW_TO_GET = "matplotlib is not installed: `pip install 'steep[plot]'` or `pip install matplotlib`"

# Okabe & Ito (2008): blue and vermilion differ for every kind of colour vision; so do the lines.
STYLES: dict[str, dict[str, Any]] = {
    "training": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "validation": {"color": "#D55E00", "linestyle": "--", "marker": "s"},
}
MOST_MARKED = 30  # epochs up to which each one gets a marker


def learning_curve(
    history: Mapping[str, Sequence[float]] | Any,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
) -> None:
    """Draw loss and, where there is one, accuracy by epoch, of training, validation and their gap.

    Parameters
    ----------
    history : History or mapping
        What ``Trainer.fit`` returned, or its ``history``: ``loss``, ``val_loss``, ``accuracy``,
        ``val_accuracy``, one value an epoch; all but ``loss`` may be missing.
    path : str or path
        The picture; its ending chooses the format (``.png``, ``.svg``, ``.pdf``).
    title : str, optional
        Written above.

    Raises
    ------
    ImportError
        matplotlib is missing; the message says how to get it.
    ValueError
        There is no epoch to draw.
    """
    curves(history, title).savefig(path, dpi=150)


def curves(history: Mapping[str, Sequence[float]] | Any, title: str | None = None) -> "Figure":
    """Return the picture that `learning_curve` saves; raises as it."""
    values: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    if not len(values.get("loss", ())):
        raise ValueError("learning_curve: the history has no epochs. Train at least one.")
    names = [name for name in ("loss", "accuracy") if len(values.get(name, ()))]
    figure = blank(4.8 * len(names), 3.6)
    for i, name in enumerate(names):
        _panel(figure.add_subplot(1, len(names), i + 1), name, values)
    if title:
        figure.suptitle(title)
    return figure


def _panel(axes: "Axes", name: str, values: Mapping[str, Sequence[float]]) -> None:
    for part, key in (("training", name), ("validation", f"val_{name}")):
        series = values.get(key, ())
        if len(series) and not all(map(math.isnan, series)):
            epochs = range(1, len(series) + 1)
            mark: dict[str, Any] = {
                "markersize": 3.5,
                "markevery": 1 if len(series) <= MOST_MARKED else 0.1,
            }
            axes.plot(epochs, series, label=part, linewidth=1.8, **STYLES[part], **mark)
    shown, held = values.get(name, ()), values.get(f"val_{name}", ())
    if len(shown) and len(shown) == len(held) and not all(map(math.isnan, held)):
        epochs = range(1, len(shown) + 1)
        axes.fill_between(
            epochs, shown, held, color="#999999", alpha=0.2, linewidth=0, label="gap"
        )  # fmt: skip
    axes.set_xlabel("epoch")
    axes.set_ylabel(name)
    tidy(axes)
    axes.legend(frameon=False)


def saved(figure: "Figure", path: str | os.PathLike[str] | None) -> "Figure":
    """Return the figure, which lies in the file, too, where a path is given."""
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def blank(width: float, height: float) -> "Figure":
    """Return an empty figure, so many inches wide and high, that needs no display.

    Raises
    ------
    ImportError
        matplotlib is missing; the message says how to get it.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  (an extra)
        from matplotlib.figure import Figure  # noqa: PLC0415  (an extra)
    except ImportError:
        raise ImportError(HOW_TO_GET) from None
    # A Figure of its own: pyplot would keep state and may open a window.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: "Axes") -> None:
    """Give a panel over steps or epochs its grid; take away the lines that say nothing."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  (an extra)

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
