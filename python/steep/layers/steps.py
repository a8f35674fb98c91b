"""Layers around layers of sequences: both ways at once, and any layer at every step."""

from typing import Any

from .. import ops
from ..checks.names import choose
from ..network import Layer, Shape, Tensor, emit, label, title_of
from ..network.recurrent_ops import joined, parted
from .dense import Dense
from .recurrent import Recurrent

MERGES = {n: n for n in ("concat", "add", "multiply", "average")}


class Bidirectional(Layer):
    """A recurrent layer and another one from the last step to the first (Schuster & Paliwal 1997).

    (steps, features) gives (2*units,), or (steps, 2*units), the second half being the way back, in
    the input's order. Called as the layer, with the states of both, those of the way back last.

    Parameters
    ----------
    layer
        `SimpleRNN`, `LSTM` or `GRU`: the way forward is a layer like it.
    backward
        One like the way back; None: as `layer`, reversed.
    merge
        How outputs become one: ``"concat"``, ``"add"``, ``"multiply"`` or ``"average"``.
    name
        Begins the names of the weights, ``name.forward.weight`` and so on.

    Raises
    ------
    TypeError, ValueError
        If one is no recurrent layer, both go the same way, or they return different things.
    """

    names_inside = True

    def __init__(
        self,
        layer: Layer,
        backward: Layer | None = None,
        merge: str = "concat",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        where = label(self)
        for given in (layer,) if backward is None else (layer, backward):
            if not isinstance(given, Recurrent):
                raise TypeError(f"{where}: expects SimpleRNN, LSTM or GRU, got {given!r}")
        assert isinstance(layer, Recurrent)
        back = {"reverse": not layer.reverse} if backward is None else {}
        self.forward = _like(layer, name="forward")
        self.backward = _like(backward or layer, name="backward", **back)
        self.merge = choose(f"merge of {where}", merge, MERGES)
        one, other = self.forward, self.backward
        if one.reverse == other.reverse:
            raise ValueError(f"{where}: both layers go the same way; one needs reverse=True")
        if (one.return_sequences, one.return_state) != (other.return_sequences, other.return_state):
            raise ValueError(f"{where}: both layers must return sequences, and states, or neither")
        if merge != "concat" and one.units != other.units:
            raise ValueError(
                f"{where}: {merge} needs as many units both ways, got {one.units} and {other.units}"
            )

    def __call__(self, *inputs: Tensor) -> Any:
        """Put the layer behind its inputs and return its output, or a tuple with the states."""
        y = super().__call__(*inputs)
        if not self.forward.return_state:
            return y
        one, other = self.forward, self.backward
        width = one.units + (other.units if self.merge == "concat" else 0)
        first = (inputs[0].shape[0], width) if one.return_sequences else (width,)
        states: list[Shape] = [(one.units,)] * one.memory + [(other.units,)] * other.memory
        return tuple(parted(y, [first, *states]))

    def call(self, x: Tensor, *start: Tensor) -> Tensor:
        """Go both ways."""
        one, other = self.forward, self.backward
        count = len(start) - len(start) % (one.memory + other.memory)
        lengths, states = start[: len(start) - count], start[len(start) - count :]
        found = one(x, *lengths, *states[: one.memory * bool(states)])
        back = other(x, *lengths, *states[one.memory :])
        if not one.return_state:
            return self._merged(found, back)
        return joined([self._merged(found[0], back[0]), *found[1:], *back[1:]])

    def _merged(self, a: Tensor, b: Tensor) -> Tensor:
        if self.merge == "concat":
            return ops.concat([a, b])
        if self.merge == "multiply":
            return a * b
        return a + b if self.merge == "add" else (a + b) * 0.5


class TimeDistributed(Layer):
    """A layer at every step of a sequence, with the same weights: (steps, ...) gives (steps, ...).

    What acts on the last axis needs it not: `Dense`, activations and `LayerNorm` have positions.

    Parameters
    ----------
    layer
        Any layer of one input.
    name
        Prefix of the names inside.

    Raises
    ------
    TypeError, ValueError
        If it is no layer, or the input has one axis.
    """

    def __init__(self, layer: Layer, name: str | None = None) -> None:
        super().__init__(name)
        if not isinstance(layer, Layer):
            raise TypeError(f"{label(self)}: expects a layer, got {layer!r}")
        self.layer = layer

    def call(self, x: Tensor) -> Tensor:
        """Call the layer on every step."""
        if len(x.shape) < 2:
            raise ValueError(
                f"{title_of(x, label(self))}: expects a sequence (steps, ...), got {x.shape}"
            )
        if isinstance(self.layer, Dense):
            return self.layer(x)
        found = []
        for t in range(x.shape[0]):
            step = emit("reshape", ops.slice(x, t, t + 1, 0), shape=x.shape[1:])
            y = self.layer(step)
            found.append(emit("reshape", y, shape=(1, *y.shape)))
        return ops.concat(found, axis=0)


def _like(layer: Any, **changed: Any) -> Any:
    """Return a layer made like another one, but for these arguments."""
    return type(layer).from_config({**layer.config(), **changed})
