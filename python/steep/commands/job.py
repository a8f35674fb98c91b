"""One run of `steep train`: its recipe, data, trainer and folder, and what it writes there."""

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import Trainer, __version__, callbacks, plots
from ..data import Dataset
from ..files import atomic
from . import measures, readme, run_folder, tabular
from .makers import Maker
from .recipe import Recipe, build_augment, build_network, build_optimizer


def make_trainer(recipe: Recipe, data: Dataset) -> Trainer:
    """Build the network and the trainer that a complete recipe describes."""
    if recipe.model == "realmlp":
        return tabular.trainer(
            build_network(recipe, data),
            data.train[0],
            recipe.epochs or 1,
            data.classes is not None,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            l1=recipe.l1,
            l2=recipe.l2 or 0.0,
            clip_norm=recipe.clip_norm,
            seed=recipe.seed,
            device=recipe.device,
        )
    return Trainer(
        build_network(recipe, data),
        loss="cross_entropy" if data.classes is not None else "mse",
        optimizer=build_optimizer(recipe, len(data.train[0])),
        l1=recipe.l1,
        l2=recipe.l2 or 0.0,
        clip_norm=recipe.clip_norm,
        seed=recipe.seed,
        device=recipe.device,
    )


def _stopping(recipe: Recipe, data: Dataset) -> callbacks.EarlyStopping:
    if recipe.patience is None:
        return tabular.Stopping(data.classes is not None)
    patience = recipe.patience
    if recipe.model == "realmlp" and data.classes is not None:
        return callbacks.EarlyStopping("val_accuracy", patience, ties="last")
    return callbacks.EarlyStopping(patience=patience)


class Job:
    """A recipe with its data, trainer and folder."""

    def __init__(
        self,
        recipe: Recipe,
        data: Dataset,
        trainer: Trainer,
        folder: Path | None,  # None: nothing is kept
        maker: Maker | None = None,  # of images; None: a classifier, or a regression
    ) -> None:
        self.recipe, self.data, self.trainer = recipe, data, trainer
        self.folder = folder or Path()
        self.maker = maker
        self.stopping = None
        if recipe.early_stopping and data.validation is not None:
            self.stopping = _stopping(recipe, data)
        self.keeps = folder is not None  # whether checkpoints are written
        self.longer = False  # whether a finished run shall go on
        self.folds: dict[str, Any] = {}  # what cross-validation found
        self.result: dict[str, Any] = {}  # what metrics.json has

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
                "path": str(Path(self.recipe.dataset).expanduser().absolute()),
                "fingerprint": fingerprint(data),
            },
            "optimizer": self.trainer.optimizer.get_config(),
            "parameters": self.trainer.net.num_parameters,
        }
        if data.table is not None:
            data.table.save(self.folder / run_folder.TABLE)
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
        if data.table is not None:
            print(f"\n{data.table}\n")
        parameters = self.trainer.net.num_parameters
        changed = (
            "" if recipe.augment in (None, "none") else f", images changed by {recipe.augment}"
        )
        where = "" if recipe.device == "cpu" else f", on {recipe.device}"
        print(f"{_title(recipe)}, {recipe.epochs} epochs, {parameters} parameters{changed}{where}")

    def train(self, progress: bool) -> None:
        """Train to the end of the recipe, from wherever the trainer stands."""
        assert self.recipe.epochs
        assert self.recipe.batch_size
        left = self.recipe.epochs
        if self.trainer.epoch and self.trainer.finished:
            left -= self.trainer.epoch
            if left <= 0 or not self.longer:
                return  # resumed, but nothing is left to do
        each_epoch: list[Any] = [_Keep(self)] if self.keeps else []
        if self.stopping is not None:
            each_epoch.append(self.stopping)
        options: dict[str, Any] = {
            "epochs": left,
            "batch_size": self.recipe.batch_size,
            "callbacks": each_epoch,
            "progress": progress,
        }
        if self.maker is not None:
            self.maker.fit(**options)
            return
        # As its authors have it: batches of one size, each epoch without some rows that are drawn.
        enough = len(self.data.train[0]) >= self.recipe.batch_size
        options["drop_last"] = enough and self.recipe.model == "realmlp"
        options["shuffle"] = not self.recipe.stateful
        options["augment"] = build_augment(self.recipe, self.data)
        held, members = self.data.validation, self.recipe.members
        if held is not None:
            options["validation"] = tabular.repeated(held, members)
        self.trainer.fit(*tabular.repeated(self.data.train, members), **options)

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
        if interrupted and self.stopping is not None and self._kept.exists():
            self.write_history()
        else:
            self.checkpoint()
        self.trainer.net.save_weights(self.folder / run_folder.WEIGHTS)

    @property
    def _kept(self) -> Path:
        return self.folder / run_folder.CHECKPOINT

    def test(self) -> dict[str, float]:
        """Measure on the test part, in the units of the data."""
        y = self.data.test[1]
        metrics = self.maker.measure() if self.maker is not None else self.measure(self.data.test)
        result: dict[str, Any] = {"samples": len(y), "test": metrics}
        if self.maker is None:
            if self.data.validation is not None:
                result["validation"] = self.measure(self.data.validation)
            name, value = measures.of_guessing(
                self.data.task, self._plain(self.data.train[1]), self._plain(y)
            )
            result["guessing"] = {"metric": name, "value": value}
        result["epochs"] = self.trainer.epoch
        if self.stopping is not None and self.stopping.best_epoch >= 0:
            result["best_epoch"] = self.stopping.best_epoch + 1
        if self.folds:
            result["cv"] = self.folds
        run_folder.write_json(self.folder / run_folder.METRICS, result)
        self.result = result
        return metrics

    def measure(self, part: tuple[Any, Any]) -> dict[str, float]:
        """Measure on a part of the data, in its units."""
        X, y = part
        if self.data.classes is None:
            outputs = tabular.together(self.trainer.net.predict(X), False)
            goal = self.data.table.goal if self.data.table else None
            clamp = tabular.clamps(self.recipe.model)
            values = goal.values(outputs, clamp) if goal else self._plain(outputs)
            return measures.regression(values, self._plain(y))
        if self.data.table is not None:
            p = tabular.together(self.trainer.net.predict(X), True)
            return measures.classification(p, y)
        return {name: float(v) for name, v in self.trainer.evaluate(X, y).items()}

    def _plain(self, y: Any) -> Any:
        """Return targets in their units."""
        if self.data.classes is not None:
            return y
        mean, deviation = self.data.target_scale
        return y.astype(np.float64).reshape(-1) * deviation + mean

    def write_readme(self) -> None:
        """Write the page that explains the folder."""
        page = readme.text(self.folder, self.recipe, self.data, self.result)
        atomic.replace(self.folder / run_folder.README, page.encode("utf-8", "surrogatepass"))

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
        self.job, self.due, self.warned = job, 0.0, False

    def on_epoch_end(self) -> None:
        """Save, unless the last time was just now."""
        if time.monotonic() < self.due:
            return
        try:
            self.job.checkpoint()
        except OSError as error:  # a full disk must not cost what is trained so far
            if not self.warned:
                print(f"no checkpoint: {error}; training goes on", file=sys.stderr)
            self.warned = True
        self.due = time.monotonic() + self.pause


def fingerprint(data: Dataset) -> str:
    """Return a digest of all samples in their order: equal data, equal parts."""
    digest = hashlib.blake2b(repr(data.classes).encode("utf-8", "replace"), digest_size=16)
    digest.update(repr(data.preprocessing.get("columns")).encode("utf-8", "replace"))
    for part in (data.train, data.validation, data.test):
        for array in part or ():
            digest.update(repr((array.shape, str(array.dtype))).encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _title(recipe: Recipe) -> str:
    hidden = "-".join(map(str, recipe.units or ()))
    if recipe.model == "tabm":
        hidden = f"{recipe.members} members of {hidden}"
    elif recipe.model != "mlp":
        hidden = str(recipe.model)
    return f"{Path(recipe.dataset).name}: {hidden}, {recipe.optimizer}, batch {recipe.batch_size}"
