"""The pictures of a report, each as an image within the page. What they show is in report.py."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics, plots
from ..files import png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..lab import GradientFlow

MOST_COUNTS = 20  # classes up to which the matrix has its numbers


def embedded(picture: bytes, words: str) -> str:
    """Return a PNG as an image of the page; the words are for those who do not see it."""
    text = base64.b64encode(picture).decode()
    return f'<img alt="{html.escape(words, quote=True)}" src="data:image/png;base64,{text}">'


def drawn(figure: "Figure", words: str) -> str:
    """Return a figure as an image of the page."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return embedded(file.getvalue(), words)


def curves(history: Mapping[str, Sequence[float]]) -> str:
    """Return loss and accuracy over the epochs, for training and validation."""
    return drawn(plots.curves(history), "loss and accuracy by epoch, training and validation")


def flow(found: "GradientFlow") -> str:
    """Return the norms of gradients by depth."""
    return drawn(found.plot(), "norm of each weight's gradient by depth")


def confusion(y: Any, said: Any, classes: Sequence[str]) -> str:
    """Return how often each class was taken for each."""
    counts = metrics.confusion(y, said, len(classes))
    return drawn(confusion_figure(counts, classes), "confusion matrix of the test part")


def confusion_figure(counts: NDArray[np.int64], classes: Sequence[str]) -> "Figure":
    """Return the picture of a matrix: shares of each row as colours, counts as numbers."""
    size = min(3.2 + 0.42 * len(classes), 12.0)
    figure = plots.blank(size + 0.8, size)
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    if len(classes) <= MOST_COUNTS:
        for (i, j), count in np.ndenumerate(counts):
            colour = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, str(count), ha="center", va="center", color=colour, fontsize=8)
    turned = 90 if max(map(len, classes)) > 3 else 0
    axes.set_xticks(range(len(classes)), classes, rotation=turned)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure


def scatter(y: Any, said: Any) -> str:
    """Return predictions over true values."""
    figure = plots.blank(4.8, 4.4)
    axes = figure.add_subplot()
    y, said = np.ravel(y), np.ravel(said)
    ends = [min(y.min(), said.min()), max(y.max(), said.max())]
    axes.plot(ends, ends, color="#999999", linewidth=1.0, label="exact")
    axes.plot(y, said, "o", color="#0072B2", alpha=0.5, markersize=3.5, label="test samples")
    axes.set_xlabel("true value")
    axes.set_ylabel("predicted value")
    axes.grid(True, color="#dddddd", linewidth=0.8)
    axes.legend(frameon=False)
    return drawn(figure, "predictions over true values")


def image(sample: Any, words: str) -> str:
    """Return a sample (H, W) or (H, W, C) as an image, from its least value to its largest."""
    values = np.asarray(sample, np.float32)
    values = values[..., 0] if values.ndim == 3 and values.shape[-1] != 3 else values
    low, high = float(values.min()), float(values.max())
    bright = np.round(255 * (values - low) / ((high - low) or 1.0)).astype(np.uint8)
    return embedded(png.encoded(bright), words)
