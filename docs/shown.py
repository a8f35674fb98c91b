"""What the examples of the gallery look like, and which of their figures the site shows.

The examples themselves are docs/gallery/*/plot_*.py; conf.py names the functions.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

# Okabe & Ito (2008): these differ for every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": plt.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "grid.color": "#dddddd",
    "image.cmap": "cividis",
    "legend.frameon": False,
    "savefig.dpi": 110,
}


def style(conf: dict[str, Any], name: str) -> None:
    """Give each example the same beginning."""
    plt.close("all")
    plt.rcdefaults()
    plt.rcParams.update(STYLE)


def figures(block: Any, variables: dict[str, Any], conf: dict[str, Any]) -> str:
    """Save the figures that a block has left in the example's names, each once."""
    seen, paths = variables.setdefault("shown", []), []
    for value in list(variables["example_globals"].values()):
        if isinstance(value, Figure) and not any(value is one for one in seen):
            seen.append(value)
            paths.append(Path(next(variables["image_path_iterator"])))
            value.savefig(paths[-1], dpi=STYLE["savefig.dpi"])
    return figure_rst([str(path) for path in paths], conf["src_dir"]) if paths else ""
