"""The record of a training: one entry an epoch and one a step. It holds numbers, and shows them."""

import math
from collections.abc import Mapping
from os import PathLike
from typing import Any

from .. import plots
from .hooks import Recorder

SHOWN = 10  # last epochs in a notebook


class History:
    """What `fit` returns; it grows with every call of `fit` on the same trainer.

    Attributes
    ----------
    history : dict of str to list of float
        One entry an epoch: loss and accuracy of the training samples as they were met, val_loss and
        val_accuracy after the epoch, lr of its last step, seconds spent training. Losses are means
        over samples, penalties left out. An epoch in which a quantity was not measured has NaN.
    steps : dict of str to list of float
        ``steps["loss"]``: the loss of every step's batch, its mean (over the sum of weights with
        ``reduction="weighted_mean"``, as above) or, with ``reduction="sum"``, its sum.
    recorder : Recorder or None
        The last one that recorded steps of it.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.steps: dict[str, list[float]] = {"loss": []}
        self.recorder: Recorder | None = None

    def __len__(self) -> int:
        """Return the number of epochs."""
        return max(map(len, list(self.history.values())), default=0)  # another thread may add one

    @property
    def skipped(self) -> int:
        """Steps that were left out as not finite, see `fit`'s `nonfinite`: their losses are nan."""
        return sum(math.isnan(loss) for loss in self.steps["loss"])

    def __repr__(self) -> str:
        last = ", ".join(f"{k}={v[-1]:.4g}" for k, v in self.history.items() if v)
        return f"History({len(self)} epochs{': ' if last else ''}{last})"

    def _repr_html_(self) -> str:
        """Show the last epochs as a table, in notebooks."""
        epochs, columns = len(self), list(self.history.items())
        head = "".join(f"<th>{name}</th>" for name, _ in columns)
        rows = "".join(
            f"<tr><th>{k + 1}</th>{''.join(f'<td>{v[k]:.4g}</td>' for _, v in columns)}</tr>"
            for k in range(max(0, epochs - SHOWN), epochs)
        )
        return f"<table><tr><th>epoch</th>{head}</tr>{rows}</table>"

    def to_frame(self) -> Any:
        """Return the epochs as a table of pandas, a row each, numbered from 1.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        try:
            import pandas as pd  # noqa: PLC0415  (an extra)
        except ImportError:
            raise ImportError("to_frame: pandas is not installed: `pip install pandas`") from None
        return pd.DataFrame(self.history, index=pd.RangeIndex(1, len(self) + 1, name="epoch"))

    def plot(self, path: str | PathLike[str] | None = None, *, title: str | None = None) -> Any:
        """Draw loss and accuracy over the epochs, for training and validation.

        Parameters
        ----------
        path
            Where to save the picture, too; its ending chooses the format.
        title
            Written above.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If there is no epoch to draw.
        """
        figure = plots.curves(self, title)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure


def put(record: History, epoch: int, logs: Mapping[str, float]) -> None:
    """Set the numbers of an epoch, after those of all epochs before it; later ones go."""
    extend(record, epoch, {name: [float(value)] for name, value in logs.items()}, 1)


def extend(record: History, first: int, columns: Mapping[str, list[float]], count: int) -> None:
    """Set the numbers of so many epochs from `first` on; later ones go."""
    cut(record, first)
    for name in columns:
        record.history.setdefault(name, [])
    missing = [math.nan] * count
    for name, values in record.history.items():
        values.extend([math.nan] * (first - len(values)))
        values.extend(columns.get(name, missing))


def cut(record: History, epochs: int) -> None:
    """Take back all but the first epochs; before any there are no columns, either."""
    if epochs == 0:
        record.history.clear()
    for values in record.history.values():
        del values[epochs:]


def until(record: History, progress: Mapping[str, Any]) -> History:
    """Return a copy up to where a session stood."""
    copy = History()
    copy.history = {k: v[: progress["epoch"]] for k, v in list(record.history.items())}
    copy.steps["loss"] = record.steps["loss"][: progress["steps"]]
    return copy
