"""Draws gradients by depth. What they are is found in flow.py."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..plots import blank, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NAMES = 40  # layers up to which each has its name


def draw(names: Sequence[str], norms: Sequence[float], relative: Sequence[float]) -> "Figure":
    """Return the norms of each weight's gradient, from the first layer to the last."""
    figure = blank(8.0, 3.6)
    axes = figure.add_subplot()
    place = np.arange(1, len(names) + 1)
    axes.plot(place, norms, "-o", color="#0072B2", label="|g|")
    axes.plot(place, relative, "--s", color="#D55E00", label="|g| / |w|")
    if any(norm > 0.0 for norm in norms):
        axes.set_yscale("log")
    axes.set_xlabel("layer, from the input on")
    axes.set_ylabel("norm")
    tidy(axes)
    if len(names) <= MOST_NAMES:
        axes.set_xticks(place, names, rotation=90 if len(names) > 6 else 0, fontsize=8)
    axes.legend(frameon=False)
    return figure
