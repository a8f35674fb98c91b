"""What of a network has a counterpart elsewhere: its weights in order, not their names there."""

from collections.abc import Iterator
from typing import Any

from ..layers import GRU, LSTM, Bidirectional, SimpleRNN
from ..network.description import Weight
from ..network.network import Network

RECURRENT = (SimpleRNN, LSTM, GRU)


def weights_of(net: Network) -> Iterator[Weight]:
    """Yield the weights in the order of their layers, without rows kept between batches."""
    for weight in net._described().weights.values():
        kept = weight.name.rpartition(".")[2] in {"h", "c"}
        if not (kept and isinstance(weight.layer, RECURRENT)):
            yield weight


def one_way(where: str, layer: Any) -> None:
    """Refuse a `Bidirectional` whose first half goes back: others have it the other way round."""
    if isinstance(layer, Bidirectional) and layer.forward.reverse:
        raise ValueError(
            f"{where}: {layer} goes back first; give Bidirectional a layer with reverse=False"
        )
