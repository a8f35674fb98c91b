"""What `steep train` does with tables where the user leaves it open; networks made for tables."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import Trainer, callbacks, lab, layers, models
from ..data import Table, quantile_edges
from ..models.realmlp import flat_cosine
from ..models.tabm import BINS
from ..network.network import Network

MODELS = ("tabm", "resnet-tabular", "realmlp")
WIDTH, HIDDEN, BLOCKS = 128, 256, 2  # of the residual network
EMBEDDED = 10  # one-hot columns from which on RealMLP embeds a category
BEGUN_ON = 4096  # samples that its first weights are scaled by
EMBEDDED_NUMBERS = 256  # of an ensemble; more would make its first layer the longest by far
WIDE = 1000  # features from which on members of an ensemble cost more than they bring
MEMBERS = 8
# Epochs without improvement that an ensemble bears: some, and a part of those up to the best one.
FEWEST, PART, MOST = 6, 4, 20
SAME_CLASSES, SAME_VALUES = 1e-4, 1e-5  # smaller changes of its validation loss are none


def usual(samples: int, features: int | None) -> str:
    """Return the model for a table where the user names none."""
    del samples
    return "mlp" if (features or 0) > WIDE else "tabm"


def settings(model: str, samples: int, held_out: bool) -> dict[str, Any]:
    """Return what suits a table; `held_out` says whether there is a validation part."""
    batch = next(size for size, rows in ((32, 1000), (64, 4000), (128, 1e99)) if samples < rows)
    found: dict[str, Any] = {"early_stopping": held_out, "lr": 1e-3}
    if model == "linear":
        found |= {"lr": 2e-2}
    if model == "resnet-tabular":
        found |= {"units": (), "dropout": 0.25}
    if model == "realmlp":
        found |= {
            "units": (256, 256, 256),
            "dropout": 0.15,
            "epochs": 256,
            "batch_size": 256,
            "optimizer": "adam",
            "weight_decay": 0.02,
            "lr": None,  # of classes another than of values
            "schedule": "coslog",
            "patience": 256,
        }
    if model == "tabm":
        found |= {
            "units": (128, 128),
            "members": MEMBERS,
            "dropout": 0.1,
            "batch_size": batch,
            "optimizer": "adamw",
            "weight_decay": 1e-2,
            "lr": 2e-3,
            "schedule": "cosine",
            "patience": None,  # it depends on when the best epoch was
        }
    return found


def build(
    name: str,
    shape: tuple[int, ...],
    outputs: int,
    *,
    dropout: float,
    units: tuple[int, ...],
    members: int,
    epochs: int,
    table: Table | None,
    X: NDArray[Any] | None = None,
) -> list[layers.Layer]:
    """Return a network for rows of numbers: an ensemble, or residual (Gorishniy et al. 2021).

    The table says which features are numbers, and of which categories; of training rows X an
    ensemble takes the bins of its numbers, without them they are there to be loaded.

    Raises
    ------
    ValueError
        The samples are no rows of numbers.
    """
    if len(shape) != 1:
        raise ValueError(f"--model {name}: needs rows of a table, the samples have shape {shape}.")
    if name == "tabm":
        given = {"members": members, "dropout": dropout, **_binned(shape[0], table, X)}
        return [models.tabm(shape[0], units, outputs, **given)]
    if name == "realmlp":
        return [_realmlp(shape[0], outputs, units, flat_cosine(dropout, epochs), table)]
    return [
        layers.Dense(WIDTH),
        *(_block(dropout) for _ in range(BLOCKS)),
        layers.BatchNorm(),
        layers.ReLU(),
        layers.Dense(outputs),
    ]


def _numbers(features: int, table: Table | None) -> list[tuple[int, int]]:
    """Return the features that are numbers, in runs."""
    spans = table.spans if table is not None else (("number", 0, features),)
    return [(a, b) for kind, a, b in spans if kind in ("number", "date")]


def _binned(features: int, table: Table | None, X: NDArray[Any] | None) -> dict[str, Any]:
    """Return the numbers that an ensemble embeds, all where they are few enough, and their bins."""
    found = _numbers(features, table)
    if not 0 < sum(b - a for a, b in found) <= EMBEDDED_NUMBERS:
        return {}
    edges = None
    if X is not None:
        columns = np.concatenate([X[:, a:b] for a, b in found], axis=1)
        edges = quantile_edges(columns, BINS)
    return {"numbers": found, "edges": edges}


def _realmlp(
    features: int, outputs: int, units: tuple[int, ...], dropout: Any, table: Table | None
) -> layers.Layer:
    spans = table.spans if table is not None else ()
    return models.realmlp(
        features,
        outputs,
        units,
        numbers=_numbers(features, table),
        categories=[(a, b) for kind, a, b in spans if kind == "category" and b - a >= EMBEDDED],
        activation="selu" if outputs > 1 else "mish",
        dropout=dropout,
    )


def trainer(net: Network, X: NDArray[Any], epochs: int, classes: bool, **given: Any) -> Trainer:
    """Return the trainer of a RealMLP, its weights begun by what they give on some samples."""
    rates = {name: given.pop(name) for name in ("lr", "weight_decay")}
    rates = {name: value for name, value in rates.items() if value is not None}
    lab.unit_outputs(net, X[:: -(-len(X) // BEGUN_ON)], names="dense*", seed=given["seed"])
    return Trainer(net, **models.realmlp_settings(net, epochs, classes, **rates), **given)


def _block(dropout: float) -> layers.Layer:
    dropped = [layers.Dropout(dropout)] if dropout else []
    inner = [layers.BatchNorm(), layers.Dense(HIDDEN, "relu"), *dropped, layers.Dense(WIDTH)]
    return layers.Residual(*inner)


class Stopping(callbacks.EarlyStopping):
    """Early stopping of an ensemble: the later its best epoch came, the longer it waits."""

    def __init__(self, classes: bool) -> None:
        super().__init__(patience=MOST, min_delta=SAME_CLASSES if classes else SAME_VALUES)

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> str | None:
        """Keep the weights of a better epoch; stop after enough others."""
        stop = super().on_epoch_end(trainer, epoch, logs)
        enough = FEWEST + (self.best_epoch + 1) // PART
        return "stop" if stop or self.wait >= enough else None


def clamps(model: str | None) -> bool:
    """Say whether predictions stay among the values that were learned from, as the paper has it."""
    return model == "realmlp"


def repeated(part: tuple[Any, Any], members: int | None) -> tuple[Any, Any]:
    """Return samples with their targets once for each member of an ensemble."""
    X, y = part
    return (X, np.repeat(y[:, None], members, axis=1)) if members else (X, y)


def together(outputs: NDArray[Any], classes: bool) -> NDArray[Any]:
    """Return probabilities (N, classes) or values (N,) of a network, of all members together."""
    z = outputs.astype(np.float64)
    if classes:
        p = np.exp(z - z.max(axis=-1, keepdims=True))
        z = p / p.sum(axis=-1, keepdims=True)
    if z.ndim == 3:
        z = z.mean(axis=1)
    return z if classes else z.reshape(-1)
