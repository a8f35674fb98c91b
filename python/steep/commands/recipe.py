"""What one run of `steep train` consists of: its settings, their defaults, and what they build."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from .. import layers, memory, optimizers, schedules
from ..checks.names import choose
from ..data import Augment, Dataset, Table
from ..network.model import Sequential
from . import tabular, texts, zoo
from .options import READING

# (rate, updates of the whole run) -> schedule of the learning rate
SCHEDULES: dict[str, Callable[[float, int], Any]] = {
    "constant": lambda lr, total: lr,
    "cosine": schedules.Cosine,
    "linear": lambda lr, total: schedules.Linear(lr, 0.0, total),
    "exponential": lambda lr, total: schedules.Exponential(lr, math.log(100.0) / total),
    "inverse": lambda lr, total: schedules.InversePower(lr, 99.0 / total, 1.0),
    "step": lambda lr, total: schedules.Step(lr, max(1, math.ceil(total / 3)), 0.1),
    "onecycle": schedules.OneCycle,
}


@dataclass(frozen=True)
class Recipe:
    """Every setting of a run; what is None is filled in by `complete`."""

    dataset: str = "digits"
    root: str | None = None
    target: str | None = None
    task: str | None = None
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    header: bool | None = None
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    skip: int | None = None
    size: tuple[int, int] | None = None
    validation: float = 0.1
    model: str | None = None
    context: int | None = None
    stateful: bool = False
    units: tuple[int, ...] | None = None
    members: int | None = None
    dropout: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    augment: str | None = None
    l1: float = 0.0
    l2: float | None = None
    clip_norm: float | None = None
    early_stopping: bool | None = None
    patience: int | None = None
    seed: int = 0
    device: str = "cpu"

    def to_json(self) -> dict[str, Any]:
        """Give the settings as plain values."""
        return asdict(self)

    @property
    def rows(self) -> int:
        """Rows that keep their states from batch to batch, 0 for none."""
        return (self.batch_size or texts.ROWS) * self.stateful

    def table_options(self) -> dict[str, Any]:
        """Give what was said of a table's columns and of its file."""
        names = ("keep", "categorical", "missing", *READING)
        values = {name: getattr(self, name) for name in names}
        if self.model == "realmlp":
            values |= {"scale": "robust", "squash": True}
        return {name: value for name, value in values.items() if value not in (None, ())}

    @classmethod
    def from_json(cls, values: Any) -> "Recipe":
        """Rebuild what `to_json` gave; ValueError where it is no such thing."""
        try:
            return cls(**frozen(values))
        except (TypeError, AttributeError) as error:
            raise ValueError(f"config.json: not the settings of a run ({error!r}).") from None


def frozen(values: Any) -> dict[str, Any]:
    """Return settings with tuples in the place of lists."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


# Chosen on validation parts; the figures of the test parts are in the README.
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {
        "units": (256, 128),
        "dropout": 0.2,
        "epochs": 40,
        "batch_size": 32,
        "optimizer": "adam",
        "lr": 2e-3,
        "schedule": "cosine",
    },
    "fashion-mnist": {
        "units": (256, 128, 100),
        "dropout": 0.1,
        "epochs": 20,
        "batch_size": 64,
        "optimizer": "adamw",
        "weight_decay": 0.1,
        "lr": 1e-3,
        "schedule": "cosine",
    },
}
# Of models that make images (makers.py), whatever the data are.
MAKING: dict[str, dict[str, Any]] = {
    "autoencoder": {"epochs": 10, "batch_size": 128, "lr": 1e-3, "schedule": "cosine"},
    "vae": {"epochs": 10, "batch_size": 128, "lr": 1e-3, "schedule": "constant"},
    "dcgan": {"epochs": 4, "batch_size": 64, "lr": 2e-4, "schedule": "constant"},
    "unet": {"epochs": 3, "batch_size": 64, "lr": 3e-3, "schedule": "cosine"},
}
UPDATES = 8000  # of a run on a table of one's own, whatever its size
PATIENCE = 10  # epochs
EPOCHS = (5, 200)  # but never fewer or more than these


def complete(recipe: Recipe, samples: int, features: int | None = None) -> Recipe:
    """Fill in what the user left open, for a training part of `samples` rows of `features`.

    Raises
    ------
    ValueError
        No such model, or an option that it does not have.
    """
    usual = tabular.usual(samples, features) if recipe.target is not None else "mlp"
    model = choose("model", recipe.model or usual, {name: name for name in names()})
    recipe = replace(recipe, model=model)
    every = {"l2": 0.0, "augment": "none", "early_stopping": False, "patience": PATIENCE}
    defaults = {**every, **DEFAULTS.get(recipe.dataset, _of_table(recipe, model, samples))}
    if recipe.members and model != "tabm":
        raise ValueError(f"--model {model}: takes no --members; --model tabm does.")
    if model == "realmlp" and (fixed := _set(recipe, "optimizer", "schedule", "momentum")):
        raise ValueError(f"--model realmlp: has an optimizer of its own; leave out {fixed}.")
    if model in tabular.MODELS:
        if recipe.units and model == "resnet-tabular":
            raise ValueError(f"--model {model}: takes no --units; --model mlp does.")
        defaults |= tabular.settings(model, samples, recipe.validation > 0)
    elif model != "mlp" and model not in texts.MODELS:
        if recipe.units or recipe.dropout:
            raise ValueError(f"--model {model}: takes no --units or --dropout; --model mlp does.")
        defaults |= {"units": (), "dropout": 0.0}
    if model in MAKING:
        none = {"units": (), "dropout": 0.0, "optimizer": "adam"}
        defaults = {**every, **none, **MAKING[model]}
    if model in texts.MODELS:
        defaults = {**every, **texts.settings(model, samples, recipe.batch_size)}
    _refuse_of_texts(recipe, model)
    if model in zoo.ENTRIES:
        defaults = {**every, **zoo.settings(model, recipe.dataset)}
    if (recipe.optimizer or defaults["optimizer"]).lower() != defaults["optimizer"]:
        own = {"lr": None, "momentum": None, "weight_decay": None}  # of the optimizer
        defaults = {**defaults, **own, "l2": 0.0}
    open_ones = {name: value for name, value in defaults.items() if getattr(recipe, name) is None}
    return replace(recipe, **open_ones)


def _of_table(recipe: Recipe, model: str, samples: int) -> dict[str, Any]:
    """Return what suits rows of a table, or whatever has no defaults of its own."""
    found: dict[str, Any] = {
        "units": (64, 64),
        "dropout": 0.0,
        "batch_size": 32 if samples < 10_000 else 256,
        "optimizer": "adam",
        "lr": 1e-3,
        "schedule": "cosine",
    }
    if recipe.target is not None or model in tabular.MODELS:
        found |= tabular.settings(model, samples, recipe.validation > 0)
    updates = round(UPDATES * (recipe.batch_size or found["batch_size"]) / samples)
    return {"epochs": min(max(updates, EPOCHS[0]), EPOCHS[1]), **found}


def _refuse_of_texts(recipe: Recipe, model: str) -> None:
    """Refuse what is of texts where the model is not."""
    if recipe.context and model not in texts.MODELS:
        raise ValueError(f"--model {model}: takes no --context; {_either(texts.MODELS)} do.")
    if recipe.stateful and model != "lstm":
        raise ValueError(f"--model {model}: takes no --stateful; --model lstm does.")


def _set(recipe: Recipe, *names: str) -> str:
    """Return the options among some that the user gave."""
    return ", ".join(f"--{name}" for name in names if getattr(recipe, name) is not None)


def _either(words: tuple[str, ...]) -> str:
    return " and ".join(f"--model {word}" for word in words)


def build_network(recipe: Recipe, data: Dataset) -> Sequential:
    """Build the chosen model for the data: samples as stored to one output for each class."""
    outputs = 1 if data.classes is None else len(data.classes)
    X = data.train[0]
    return network_of(recipe, X.shape[1:], outputs, data.scale, data.table, X=X)


def network_of(
    recipe: Recipe,
    shape: tuple[int, ...],
    outputs: int,
    factor: float = 1.0,
    table: Table | None = None,
    *,
    X: Any = None,
) -> Sequential:
    """Build the chosen model for samples of a shape, which a factor brings to about 1.

    `table` is what made them of columns; X are those that it is going to be trained on.

    Raises
    ------
    MemoryError
        Its weights do not fit into memory.
    """
    scale = [] if factor == 1.0 else [layers.Rescale(factor)]
    model = choose("model", recipe.model or "mlp", {name: name for name in names()})
    if model in zoo.ENTRIES:
        body = zoo.build(model, shape, outputs)
    elif model in texts.MODELS:
        size = {"context": shape[0], "vocabulary": outputs, "rows": recipe.rows}
        body = [texts.build(model, recipe.units or (), recipe.dropout or 0.0, **size)]
    elif model in tabular.MODELS:
        if model in ("tabm", "realmlp"):
            _refuse_too_large((math.prod(shape), *(recipe.units or ()), outputs))
        body = tabular.build(
            model,
            shape,
            outputs,
            dropout=recipe.dropout or 0.0,
            units=recipe.units or (),
            members=recipe.members or 1,
            epochs=recipe.epochs or 1,
            table=table,
            X=X if X is None or factor == 1.0 else factor * X,
        )
    else:
        _refuse_too_large((math.prod(shape), *(recipe.units or ()), outputs))
        body = _dense(recipe, shape, outputs)
    net = Sequential(*scale, *body)
    net.build(shape, seed=recipe.seed)
    return net


def _refuse_too_large(sizes: tuple[int, ...]) -> None:
    """Refuse dense layers whose weights alone, with those of a rule that keeps two, do not fit."""
    weights = sum(a * b for a, b in pairwise(sizes))
    need, room = 24 * weights, memory.available()
    if room is not None and need > room:
        raise MemoryError(
            f"--units {','.join(map(str, sizes[1:-1]))}: {weights} weights need about "
            f"{memory.readable(need)} to train, {memory.readable(room)} are free. Take fewer units."
        )


def _dense(recipe: Recipe, shape: tuple[int, ...], outputs: int) -> list[layers.Layer]:
    body: list[layers.Layer] = [layers.Flatten()] if len(shape) > 1 else []
    for units in recipe.units or ():
        body.append(layers.Dense(units, "relu"))
        if recipe.dropout:
            body.append(layers.Dropout(recipe.dropout))
    return [*body, layers.Dense(outputs)]


def names() -> list[str]:
    """Return the models that --model takes."""
    return ["mlp", "linear", *tabular.MODELS, *texts.MODELS, *MAKING, *zoo.known()]


def build_augment(recipe: Recipe, data: Dataset) -> Augment | None:
    """Make what ``--augment flip,shift=4,cutout=8`` says; None for ``none``.

    Raises
    ------
    ValueError
        It says something else, or the samples are no images that it fits.
    """
    text = recipe.augment or "none"
    if text.strip().lower() == "none":
        return None
    arguments: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        try:
            if name == "flip" and not value:
                arguments[name] = True
            elif name in ("shift", "cutout"):
                arguments[name] = int(value)
            elif name == "fill":
                arguments[name] = float(value)
            else:
                raise ValueError(name)
        except ValueError:
            raise ValueError(
                f'--augment: "{part.strip()}" is none of flip, shift=PIXELS, cutout=PIXELS, '
                "fill=VALUE, joined by commas; or none."
            ) from None
    made = Augment(**arguments)
    made._settings([data.train[0].shape[1:]])
    return made


def build_optimizer(recipe: Recipe, samples: int) -> optimizers.Optimizer:
    """Make the optimizer; its rate follows the schedule over the whole run."""
    assert recipe.epochs
    assert recipe.batch_size
    assert recipe.optimizer
    names = ("lr", "momentum", "weight_decay")
    given = {name: getattr(recipe, name) for name in names}
    arguments: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
    try:
        made = optimizers.get(recipe.optimizer, **arguments)
    except TypeError:
        options = " or ".join(f"--{n.replace('_', '-')}" for n in names[1:] if n in arguments)
        raise ValueError(f"{options}: not an option of {recipe.optimizer}.") from None
    follow = choose("schedule", recipe.schedule or "constant", SCHEDULES)
    total = recipe.epochs * math.ceil(samples / recipe.batch_size)
    rate: Any = getattr(made, "lr", None)
    if not isinstance(rate, (int, float)):
        raise ValueError(f"--schedule: {recipe.optimizer} has no plain learning rate.")
    return optimizers.get(recipe.optimizer, **{**arguments, "lr": follow(float(rate), total)})
