"""Networks of dense layers."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..activations import ActivationLike
from ..checks.numbers import whole
from ..layers import Dense, Dropout, Flatten, Layer
from ..network.model import Sequential


def mlp(
    units: Sequence[int],
    classes: int = 10,
    *,
    activation: ActivationLike = "relu",
    dropout: float = 0.0,
) -> Sequential:
    """Return a dense network: flatten, hidden layers, `classes` logits.

    Parameters
    ----------
    units
        Of the hidden layers: ``(256, 128)``.
    classes
        Number of outputs.
    activation
        Of the hidden layers.
    dropout
        Rate after each hidden layer, in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """
    single = not isinstance(units, Iterable) or getattr(units, "ndim", 1) == 0
    sizes: Any = (units,) if single else units
    parts: list[Layer] = [Flatten()]
    for size in sizes:
        parts.append(Dense(size, activation))
        if dropout:
            parts.append(Dropout(dropout))
    return Sequential(*parts, Dense(whole("mlp", "classes", classes)))
