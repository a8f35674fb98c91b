"""One run of `steep train`: its recipe, data, trainer and folder, and what it writes there."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import Trainer, __version__, callbacks, plots
from ..data import Dataset
from . import run_folder
from .makers import Maker
from .recipe import Recipe, build_augment, build_network, build_optimizer


def make_trainer(recipe: Recipe, data: Dataset) -> Trainer:
    """Build the network and the trainer that a complete recipe describes."""
    return Trainer(
        build_network(recipe, data),
        loss="cross_entropy" if data.classes is not None else "mse",
        optimizer=build_optimizer(recipe, len(data.train[0])),
        l1=recipe.l1,
        l2=recipe.l2 or 0.0,
        clip_norm=recipe.clip_norm,
        seed=recipe.seed,
    )


class Job:
    """A recipe with its data, trainer and folder."""

    def __init__(
        self,
        recipe: Recipe,
        data: Dataset,
        trainer: Trainer,
        folder: Path,
        maker: Maker | None = None,  # of images; None: a classifier, or a regression
    ) -> None:
        self.recipe, self.data, self.trainer, self.folder = recipe, data, trainer, folder
        self.maker = maker

    def write_config(self) -> None:
        """Write everything that is needed to repeat the run."""
        data = self.data
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        values = {
            "steep": __version__,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "recipe": self.recipe.to_json(),
            "data": {
                "name": data.name,
                "task": data.task,
                "classes": data.classes,
                "samples": {name: len(part[0]) if part else 0 for name, part in parts.items()},
                "sample_shape": data.train[0].shape[1:],
                "preprocessing": data.preprocessing,
                "target": {"mean": data.target_scale[0], "deviation": data.target_scale[1]},
            },
            "optimizer": self.trainer.optimizer.get_config(),
            "parameters": self.trainer.net.num_parameters,
        }
        run_folder.write_json(self.folder / run_folder.CONFIG, values)

    def describe(self) -> None:
        """Print what is trained on what."""
        data, recipe = self.data, self.recipe
        held = len(data.validation[0]) if data.validation else 0
        shape = "x".join(map(str, data.train[0].shape[1:]))
        kind = f"{len(data.classes)} classes" if data.classes is not None else "regression"
        print(
            f"{data.name}: {len(data.train[0])} training, {held} validation, "
            f"{len(data.test[0])} test samples of {shape}, {kind}"
        )
        parameters = self.trainer.net.num_parameters
        changed = (
            "" if recipe.augment in (None, "none") else f", images changed by {recipe.augment}"
        )
        print(f"{_title(recipe)}, {recipe.epochs} epochs, {parameters} parameters{changed}")

    def train(self, progress: bool) -> None:
        """Train to the end of the recipe, from wherever the trainer stands."""
        assert self.recipe.epochs
        assert self.recipe.batch_size
        if self.trainer.epoch and self.trainer.finished:
            return  # resumed, but nothing is left to do
        each_epoch: list[Any] = [_Keep(self)]
        if self.recipe.early_stopping:
            each_epoch.append(callbacks.EarlyStopping(patience=self.recipe.patience))
        options: dict[str, Any] = {
            "epochs": self.recipe.epochs,
            "batch_size": self.recipe.batch_size,
            "callbacks": each_epoch,
            "progress": progress,
        }
        if self.maker is not None:
            self.maker.fit(**options)
            return
        augment = build_augment(self.recipe, self.data)
        self.trainer.fit(
            *self.data.train, validation=self.data.validation, augment=augment, **options
        )

    def checkpoint(self) -> None:
        """Write the place reached and the history so far."""
        self.trainer.save(self._kept)
        self.write_history()

    def write_history(self) -> None:
        """Write one row an epoch."""
        run_folder.write_history(self.folder / run_folder.HISTORY, self.trainer.history.history)

    def save(self, interrupted: bool = False) -> None:
        """Write what is trained."""
        # Early stopping has put its best weights back: going on needs those of the last epoch.
        if interrupted and self.recipe.early_stopping and self._kept.exists():
            self.write_history()
        else:
            self.checkpoint()
        self.trainer.net.save_weights(self.folder / run_folder.WEIGHTS)

    @property
    def _kept(self) -> Path:
        return self.folder / run_folder.CHECKPOINT

    def test(self) -> dict[str, float]:
        """Measure on the test part, in the units of the data."""
        X, y = self.data.test
        if self.maker is not None:
            metrics = self.maker.measure()
        elif self.data.classes is not None:
            metrics = {name: float(v) for name, v in self.trainer.evaluate(X, y).items()}
        else:
            metrics = regression_metrics(self.trainer.net.predict(X), y, self.data.target_scale[1])
        run_folder.write_json(
            self.folder / run_folder.METRICS, {"samples": len(y), "test": metrics}
        )
        return metrics

    def draw(self) -> str:
        """Draw what was made, and the learning curve, or say why there is none."""
        if self.maker is not None:
            self.maker.draw(self.folder)
        try:
            plots.learning_curve(
                self.trainer.history, self.folder / run_folder.CURVE, title=_title(self.recipe)
            )
        except ImportError as error:
            return f"\nno {run_folder.CURVE}: {error}"
        return ""


class _Keep:
    """Callback: saves the run's place after an epoch, though not more often than it is worth."""

    last = True  # after the callbacks whose state it saves
    pause = 1.0  # seconds; a checkpoint is forced to the disk, which may take a tenth

    def __init__(self, job: Job):
        self.job, self.due = job, 0.0

    def on_epoch_end(self) -> None:
        """Save, unless the last time was just now."""
        if time.monotonic() >= self.due:
            self.job.checkpoint()
            self.due = time.monotonic() + self.pause


def regression_metrics(predicted: Any, y: Any, deviation: float) -> dict[str, float]:
    """Root mean square error, mean absolute error (in the data's units) and R^2.

    Parameters
    ----------
    predicted, y : ndarray
        (N, 1), standardised.
    deviation : float
        Unit of both, in the units of the data.

    Returns
    -------
    dict of str to float
        ``rmse``, ``mae``, and ``r2`` where y varies.
    """
    error = predicted.astype(np.float64) - y
    spread = float(np.var(y.astype(np.float64)))
    square = float(np.mean(error**2))
    metrics = {
        "rmse": deviation * math.sqrt(square),
        "mae": deviation * float(np.mean(np.abs(error))),
    }
    return metrics | ({"r2": 1.0 - square / spread} if spread else {})


def _title(recipe: Recipe) -> str:
    hidden = "-".join(map(str, recipe.units or ())) if recipe.model == "mlp" else recipe.model
    return f"{Path(recipe.dataset).name}: {hidden}, {recipe.optimizer}, batch {recipe.batch_size}"
