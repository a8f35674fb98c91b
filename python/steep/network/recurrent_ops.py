"""The native op of recurrent layers as a function of tensors: what it starts with, what it leaves.

The layers are in `steep.layers`. What native code counts on and cannot see, lengths and rows that
are kept from batch to batch, is noted in the scope, for the checks of data.
"""

from collections.abc import Sequence
from typing import Any

from .layer import Layer
from .scope import Scope
from .tensor import Shape, Tensor, emit

KEPT_ROWS = 256  # of a stateful layer that does not say how many


def recurrent(
    x: Tensor,
    weights: Sequence[Tensor],
    *,
    lengths: Tensor | None = None,
    states: Sequence[Tensor] = (),
    **options: Any,
) -> Tensor:
    """Return h of all steps, or what else the options say, in rows of one layer's units.

    Parameters
    ----------
    x
        (steps, features).
    weights
        Parameters: (features, gates*units), (units, gates*units), and biases.
    lengths
        (1,): how many steps of a sample count.
    states
        h, and c of an LSTM, to begin with, (units,) each.
    **options
        Those of the native op: cell, sequences, returned, hold, reverse, dropout.
    """
    start = [*([] if lengths is None else [lengths]), *states]
    if lengths is not None:
        scope = x._scope
        assert isinstance(scope, Scope)
        scope.note_lengths(lengths, x.shape[0])
    first = x if not start else start[0] if len(start) == 1 else emit("concat", *start)
    return emit(
        "recurrent",
        x,
        first,
        *weights,
        lengths=lengths is not None,
        states=bool(states),
        **options,
    )


def kept(layer: Layer, x: Tensor, name: str, width: int, rows: int) -> tuple[Tensor, Tensor]:
    """Return what the rows of the last batch left, and the parameter where that is.

    Zeros where an epoch begins, and in predictions.
    """
    scope = x._scope
    assert isinstance(scope, Scope)
    scope.note_kept(rows)
    states = layer.parameter(name, (rows * width,), init=0.0, decay=False, trained=False)
    return emit("kept_rows", x, states, width=width, restarts=True), states


def keep(x: Tensor, states: Tensor) -> None:
    """Leave the rows of x for the next batch."""
    emit("keep_rows", x, states)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return tensors as one vector, each after the one before it."""
    flat = [x if len(x.shape) == 1 else emit("reshape", x, shape=(_size(x.shape),)) for x in parts]
    return flat[0] if len(flat) == 1 else emit("concat", *flat)


def parted(x: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    """Return the tensors of these shapes that `joined` made one of."""
    found, first = [], 0
    for shape in shapes:
        last = first + _size(shape)
        part = emit("slice", x, axis=0, first=first, last=last)
        found.append(part if len(shape) == 1 else emit("reshape", part, shape=shape))
        first = last
    return found


def _size(shape: Shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size
