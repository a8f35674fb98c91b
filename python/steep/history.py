"""The record of a training: one entry an epoch and one a step. It only holds numbers."""

import math
from collections.abc import Mapping


class History:
    """What `fit` returns; it grows with every call of `fit` on the same trainer.

    Attributes
    ----------
    history : dict of str to list of float
        One entry an epoch: loss and accuracy of the training samples as they were met, val_loss and
        val_accuracy after the epoch, lr of its last step, seconds spent training. Losses are means
        over samples, penalties left out. An epoch in which a quantity was not measured has NaN.
    steps : dict of str to list of float
        ``steps["loss"]``: the loss of every step's batch, its mean or, with ``reduction="sum"``,
        its sum.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.steps: dict[str, list[float]] = {"loss": []}

    def __len__(self) -> int:
        """Return the number of epochs."""
        return max((len(values) for values in self.history.values()), default=0)

    def __repr__(self) -> str:
        last = ", ".join(f"{k}={v[-1]:.4g}" for k, v in self.history.items() if v)
        return f"History({len(self)} epochs{': ' if last else ''}{last})"

    def append(self, logs: Mapping[str, float]) -> None:
        """Add the numbers of one epoch."""
        epochs = len(self)
        for name in logs:
            self.history.setdefault(name, [math.nan] * epochs)
        for name, values in self.history.items():
            values.append(float(logs.get(name, math.nan)))

    def pop(self) -> None:
        """Take the last epoch's numbers back."""
        for values in self.history.values():
            values.pop()
