"""A run folder as a model: its network, its table, and what they make of other rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import Table
from ..network.network import Network
from . import run_folder, tabular
from .recipe import Recipe, network_of


@dataclass
class Trained:
    """What `steep train` left in a folder, ready to predict."""

    folder: Path
    recipe: Recipe
    table: Table
    net: Network

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> "Trained":
        """Read a run folder, wherever it was trained, to predict on a device that is here.

        Raises
        ------
        ValueError
            It holds no finished run on a table.
        """
        folder = Path(folder)
        values = run_folder.read_config(folder)
        recipe = Recipe.from_json(values["recipe"])
        if not (folder / run_folder.TABLE).is_file():
            raise ValueError(
                f"{folder}: is a run on {recipe.dataset}, which is no table, so there is no recipe "
                "for new rows. Load its weights in Python: net.load_weights."
            )
        table = Table.load(folder / run_folder.TABLE)
        if table.goal is None:
            raise ValueError(f"{folder / run_folder.TABLE}: has no target. Train again.")
        if not (folder / run_folder.WEIGHTS).is_file():
            raise ValueError(
                f"{folder}: has no weights yet. Go on with: {run_folder.resuming(folder)}"
            )
        outputs = 1 if table.classes is None else len(table.classes)
        net = network_of(recipe, (len(table.features),), outputs, table=table)
        net.load_weights(folder / run_folder.WEIGHTS)
        return cls(folder, recipe, table, net.to(device))

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (N, classes), or values (N,) in the target's units."""
        assert self.table.goal
        found = tabular.together(self.net.predict(X), self.table.classes is not None)
        if self.table.classes is not None:
            return found
        return self.table.goal.values(found, tabular.clamps(self.recipe.model))

    def measure(self, X: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return predictions and truth as `measures` takes them."""
        predicted = self.predict(X)
        if self.table.classes is not None:
            return predicted, y
        assert self.table.goal
        return predicted, self.table.goal.restored(y)


def labels(trained: Trained, predicted: NDArray[Any]) -> list[Any]:
    """Return the predicted class or value of each row."""
    classes = trained.table.classes
    if classes is None:
        return [float(value) for value in predicted]
    return [classes[k] for k in np.argmax(predicted, axis=1).tolist()]
