"""Layers that go through a sequence step by step: plain, LSTM, GRU. Both ways at once: `steps`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks.names import choose
from ..checks.numbers import ANY, FRACTION, flag, number, whole
from ..network import Layer, Shape, Tensor, emit, label
from ..network.recurrent_ops import KEPT_ROWS, keep, kept, recurrent
from ..network.tensor import title_of


class Recurrent(Layer):
    """What `SimpleRNN`, `LSTM` and `GRU` share; not used by itself.

    Called as ``layer(x)``, ``layer(x, lengths)``, ``layer(x, *states)`` or ``layer(x, lengths,
    *states)``. x is (steps, features). `lengths`, of ``Input(())``, are whole numbers from 1 to the
    steps of x: what lies behind a sample's length changes nothing and costs nothing. States to
    begin with, h and of an LSTM c, are (units,) each; else they are 0.

    Parameters
    ----------
    units
        Numbers in h.
    return_sequences
        Whether the output is h of every step, (steps, units), or the last one, (units,).
    return_state
        Whether a call returns a tuple: the output, then the last h, and c of an LSTM, (units,).
    reverse
        Whether it goes from a sample's last step to its first. Outputs keep the input's order.
    stateful
        Whether a row of a batch goes on where that row ended in the batch before: backpropagation
        through time, cut between batches (Werbos 1990). Epochs begin with zeros, so do predictions,
        and ``fit`` must not shuffle. An int is how many rows are kept; True: 256.
    dropout, recurrent_dropout
        Rates, in [0, 1), of x and of the h that is multiplied: one mask for all steps of a sample
        (Gal & Ghahramani 2016).
    use_bias
        Whether there are biases; they begin at 0.
    init, recurrent_init
        Of `weight` (features, gates*units) and `recurrent` (units, gates*units), as `Dense` takes
        it; None: "xavier".
    name
        Begins the names of the weights.
    hold
        What sequences have behind a sample's length: the last h, else 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or the input is no sequence.
    """

    gates = 1  # blocks of units columns that both weights have
    memory = 1  # states: h, and c

    def __init__(
        self,
        units: int,
        name: str | None,
        *,
        return_sequences: bool,
        return_state: bool,
        reverse: bool,
        stateful: bool | int,
        dropout: float,
        recurrent_dropout: float,
        use_bias: bool,
        init: object,
        recurrent_init: object,
        hold: bool,
    ) -> None:
        super().__init__(name)
        where = label(self)
        self.units = whole(where, "units", units)
        self.return_sequences = flag(where, "return_sequences", return_sequences)
        self.return_state = flag(where, "return_state", return_state)
        self.reverse = flag(where, "reverse", reverse)
        if isinstance(stateful, bool):
            self.stateful = KEPT_ROWS * stateful
        else:
            self.stateful = whole(where, "stateful", stateful)
        self.dropout = number(where, "dropout", dropout, FRACTION, single=True)
        self.recurrent_dropout = number(
            where, "recurrent_dropout", recurrent_dropout, FRACTION, single=True
        )
        self.use_bias = flag(where, "use_bias", use_bias)
        self.init = "xavier" if init is None else init
        self.recurrent_init = "xavier" if recurrent_init is None else recurrent_init
        self.hold = flag(where, "hold", hold)

    def __call__(self, *inputs: Tensor) -> Any:
        """Put the layer behind its inputs and return its output, or a tuple with the states."""
        y = super().__call__(*inputs)
        return tuple(self._parts(y)) if self.return_state else y

    def call(self, x: Tensor, *start: Tensor) -> Tensor:
        """Go through the steps; where states are returned, they are rows behind the output."""
        where = title_of(x, label(self))
        if len(x.shape) != 2:
            raise ValueError(
                f"{where}: expects a sequence (steps, features), got {x.shape}. "
                "Put Reshape((steps, features)) before it."
            )
        lengths, states = self._start(where, start)
        stored: list[Tensor] = []
        if self.stateful:
            if states:
                raise ValueError(f"{where}: is stateful, and begins with states of its own alone")
            for name in ("h", "c")[: self.memory]:
                state, parameter = kept(self, x, name, self.units, self.stateful)
                states.append(state)
                stored.append(parameter)
        if self.dropout > 0.0:
            x = emit("step_dropout", x, rate=self.dropout)
        more = self.return_state or bool(self.stateful)
        y = recurrent(
            x,
            self._weights(x.shape[1]),
            lengths=lengths,
            states=states,
            cell=self._cell(),
            sequences=self.return_sequences,
            returned=more,
            hold=self.hold,
            reverse=self.reverse,
            dropout=self.recurrent_dropout,
        )
        if not more:
            return y
        out, *last = self._parts(y)
        for state, parameter in zip(last, stored, strict=False):
            keep(state, parameter)
        return y if self.return_state else out

    def _parts(self, y: Tensor) -> list[Tensor]:
        """Return the output and the states that stand in rows."""
        rows, units = y.shape
        first = rows - self.memory
        at = [(0, first), *((first + k, first + k + 1) for k in range(self.memory))]
        parts = [emit("slice", y, axis=0, first=lo, last=hi) for lo, hi in at]
        shapes: list[Shape] = [(units,)] * len(parts)
        if self.return_sequences:
            shapes[0] = (first, units)
        return [emit("reshape", x, shape=shape) for x, shape in zip(parts, shapes, strict=True)]

    def _start(self, where: str, start: Sequence[Tensor]) -> tuple[Tensor | None, list[Tensor]]:
        """Return lengths and states out of what stands behind x."""
        given = list(start)  # of one unit, a single one is lengths
        counted = len(given) in {1, 1 + self.memory} and given[0].shape == (1,)
        lengths = given.pop(0) if counted else None
        if len(given) not in (0, self.memory) or any(s.shape != (self.units,) for s in given):
            wanted = "h" if self.memory == 1 else "h and c"
            raise ValueError(
                f"{where}: takes a sequence, then lengths (1,) and {wanted} ({self.units},) to "
                f"begin with, or one of both, got {', '.join(str(s.shape) for s in start)}"
            )
        return lengths, given

    def _cell(self) -> str:
        """Return what the native op calls the cell: each kind of layer says its own."""
        raise NotImplementedError

    def _weights(self, features: int) -> list[Tensor]:
        """Return weight, recurrent and bias."""
        columns = self.gates * self.units
        weights = [
            self.parameter("weight", (features, columns), self.init),
            self.parameter("recurrent", (self.units, columns), self.recurrent_init),
        ]
        if self.use_bias:
            weights.append(self.parameter("bias", (columns,), init=self._bias()))
        return weights

    def _bias(self) -> object:
        return None


class SimpleRNN(Recurrent):
    """h = f(x W + h U + b), step by step (Elman 1990): (steps, features) gives (units,).

    Parameters and ways to call it as `Recurrent` has them, and one of its own.

    Parameters
    ----------
    activation
        f: ``"tanh"`` or ``"relu"``.
    """

    def __init__(  # noqa: PLR0917 - the order of other libraries, too
        self,
        units: int,
        activation: str = "tanh",
        return_sequences: bool = False,
        return_state: bool = False,
        reverse: bool = False,
        stateful: bool | int = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        use_bias: bool = True,
        init: object = None,
        recurrent_init: object = "orthogonal",
        name: str | None = None,
        *,
        hold: bool = False,
    ) -> None:
        super().__init__(
            units,
            name,
            return_sequences=return_sequences,
            return_state=return_state,
            reverse=reverse,
            stateful=stateful,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            use_bias=use_bias,
            init=init,
            recurrent_init=recurrent_init,
            hold=hold,
        )
        known = {"tanh": "tanh", "relu": "relu"}
        self.activation = choose(f"{label(self)}: activation", activation, known)

    def _cell(self) -> str:
        return self.activation


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    Step by step, i, f, g, o being the four blocks of x W + h U + b::

        c = sigmoid(f) c + sigmoid(i) tanh(g)
        h = sigmoid(o) tanh(c)

    (steps, features) gives (units,). PyTorch has the same order of gates, and two biases, which
    are added here. Parameters and ways to call it as `Recurrent` has them, and one of its own.

    Parameters
    ----------
    forget_bias
        What the biases of f begin at: 1, so that c lasts (Jozefowicz et al. 2015).
    """

    gates, memory = 4, 2

    def __init__(  # noqa: PLR0917 - the order of other libraries, too
        self,
        units: int,
        return_sequences: bool = False,
        return_state: bool = False,
        reverse: bool = False,
        stateful: bool | int = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        use_bias: bool = True,
        forget_bias: float = 1.0,
        init: object = None,
        recurrent_init: object = "orthogonal",
        name: str | None = None,
        *,
        hold: bool = False,
    ) -> None:
        super().__init__(
            units,
            name,
            return_sequences=return_sequences,
            return_state=return_state,
            reverse=reverse,
            stateful=stateful,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            use_bias=use_bias,
            init=init,
            recurrent_init=recurrent_init,
            hold=hold,
        )
        self.forget_bias = number(label(self), "forget_bias", forget_bias, ANY, single=True)

    def _cell(self) -> str:
        return "lstm"

    def _bias(self) -> object:
        bias = np.zeros(4 * self.units)
        bias[self.units : 2 * self.units] = self.forget_bias
        return bias


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014).

    Step by step, r, z, n being the three blocks of a product::

        r, z = sigmoid(x W + h U + b)
        n = tanh(x W + b + r (h U + b'))
        h = (1 - z) n + z h

    (steps, features) gives (units,). b' is the third of `recurrent_bias`, (3*units,), which r and z
    get as well: so PyTorch has it, and Keras, whose gates are in the order z, r, n. Parameters and
    ways to call it as `Recurrent` has them, and one of its own.

    Parameters
    ----------
    reset_after
        False: as published, n is tanh(x W + (r h) U + b), and there is one bias.
    """

    gates = 3

    def __init__(  # noqa: PLR0917 - the order of other libraries, too
        self,
        units: int,
        return_sequences: bool = False,
        return_state: bool = False,
        reverse: bool = False,
        stateful: bool | int = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        use_bias: bool = True,
        reset_after: bool = True,
        init: object = None,
        recurrent_init: object = "orthogonal",
        name: str | None = None,
        *,
        hold: bool = False,
    ) -> None:
        super().__init__(
            units,
            name,
            return_sequences=return_sequences,
            return_state=return_state,
            reverse=reverse,
            stateful=stateful,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            use_bias=use_bias,
            init=init,
            recurrent_init=recurrent_init,
            hold=hold,
        )
        self.reset_after = flag(label(self), "reset_after", reset_after)

    def _cell(self) -> str:
        return "gru" if self.reset_after else "gru_before"

    def _weights(self, features: int) -> list[Tensor]:
        weights = super()._weights(features)
        if self.use_bias and self.reset_after:
            weights.append(self.parameter("recurrent_bias", (3 * self.units,)))
        return weights
