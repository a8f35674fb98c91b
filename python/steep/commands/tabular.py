"""What `steep train` does with tables where the user leaves it open; networks made for tables."""

from typing import Any

from .. import layers

# Settings of the networks made for tables, beside those of every table.
MODELS: dict[str, dict[str, Any]] = {"resnet-tabular": {"dropout": 0.25, "lr": 1e-3}}
WIDTH, HIDDEN, BLOCKS = 128, 256, 2


def settings(model: str, held_out: bool) -> dict[str, Any]:
    """Return what suits a table; `held_out` says whether there is a validation part."""
    return {"early_stopping": held_out, "lr": 2e-2 if model == "linear" else 1e-3}


def build(name: str, shape: tuple[int, ...], outputs: int, dropout: float) -> list[layers.Layer]:
    """Return a residual network of dense layers for rows of numbers (Gorishniy et al. 2021).

    Raises
    ------
    ValueError
        The samples are no rows of numbers.
    """
    if len(shape) != 1:
        raise ValueError(f"--model {name}: needs rows of a table, the samples have shape {shape}.")
    return [
        layers.Dense(WIDTH),
        *(_block(dropout) for _ in range(BLOCKS)),
        layers.BatchNorm(),
        layers.ReLU(),
        layers.Dense(outputs),
    ]


def _block(dropout: float) -> layers.Layer:
    dropped = [layers.Dropout(dropout)] if dropout else []
    inner = [layers.BatchNorm(), layers.Dense(HIDDEN, "relu"), *dropped, layers.Dense(WIDTH)]
    return layers.Residual(*inner)
