"""Weights of Keras' layers, as `get_weights` lists them. Keras itself is not imported."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layers import (
    GRU,
    LSTM,
    BatchNorm,
    Bidirectional,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    LayerNorm,
    SimpleRNN,
)
from ..network.layouts import plain
from ..network.network import Network
from .states import one_way, weights_of

KNOWN = (Dense, Conv1D, Conv2D, Embedding, SimpleRNN, LSTM, GRU, LayerNorm, BatchNorm)


def from_keras(weights: Iterable[Any], net: Network) -> None:
    """Load the weights of a Keras model into a built network of the same layers in the same order.

    `Dense`, `Conv1D`, `Conv2D`, `Embedding`, `SimpleRNN`, `LSTM`, `GRU`, `Bidirectional`,
    `LayerNorm` and `BatchNorm`. Axes lie as here, and so do the gates of an LSTM; a GRU's are in
    the order z, r, n there, and its two biases are rows of one array. Keras' norms have ``eps``
    1e-3: say so to the layers here.

    Parameters
    ----------
    weights
        ``model.get_weights()``: arrays, layer after layer.
    net
        A network of matching layers.

    Raises
    ------
    ValueError
        If a layer has no counterpart, names it; if a shape does not fit, or something is left.
        Nothing is loaded then.
    """
    given = [plain(value) for value in weights]
    found: dict[str, Any] = {}
    taken, second = 0, None
    for weight in weights_of(net):
        layer, part = weight.layer, weight.name.rpartition(".")[2]
        if not isinstance(layer, KNOWN):
            raise ValueError(f"from_keras: has no weights for {weight.title}, a {_kind(layer)}")
        for owner in weight.owners:
            if isinstance(owner, Bidirectional):
                one_way("from_keras", owner)
        after = isinstance(layer, GRU) and layer.reset_after
        shape = (2, *weight.shape) if after and part == "bias" else weight.shape
        if part == "recurrent_bias":
            value: Any = second
        else:
            value = _next(given, taken, weight.name, shape)
            taken += 1
        if after and part == "bias":
            value, second = value
        found[weight.name] = _gates(value) if isinstance(layer, GRU) else value
    if taken < len(given):
        raise ValueError(f"from_keras: the network takes {taken} arrays, got {len(given)}")
    net.load_state_dict(found, strict=False)


def _next(given: list[Any], k: int, name: str, shape: tuple[int, ...]) -> Any:
    if k == len(given):
        raise ValueError(f"from_keras: {name} {shape} finds no array, there are {k}")
    if given[k].shape != shape:
        raise ValueError(
            f"from_keras: {name} expects shape {shape}, got {given[k].shape} as weights[{k}]"
        )
    return given[k]


def _gates(value: NDArray[Any]) -> NDArray[Any]:
    """Return what is in blocks z, r, n in blocks r, z, n."""
    z, r, n = np.split(value, 3, axis=-1)
    return np.concatenate([r, z, n], axis=-1)


def _kind(layer: object) -> str:
    return type(layer).__name__
