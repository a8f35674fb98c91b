"""An ensemble of dense networks that share their products, for rows of a table."""

from collections.abc import Sequence
from typing import Any

from ..checks.numbers import whole
from ..initializers import Normal
from ..layers import (
    Conv1D,
    Dense,
    Dropout,
    Layer,
    PeriodicEmbedding,
    PiecewiseEmbedding,
    ReLU,
    RepeatVector,
    Reshape,
)
from ..network.model import Sequential
from .embedded import Span, embedded

BINS, UNITS = 32, 4  # of each number


def tabm(
    features: int,
    units: Sequence[int] = (128, 128),
    classes: int = 2,
    *,
    members: int = 16,
    dropout: float = 0.1,
    numbers: Sequence[Span] = (),
    edges: Any = None,
) -> Sequential:
    """Return a network of many members in one (Gorishniy, Kotelnikov, Babenko 2024, "TabM").

    Every member has scales and shifts of its own around products that all share (Wen et al. 2020,
    "BatchEnsemble"), and a last layer of its own. Each is trained by itself: targets are repeated,
    ``np.repeat(y[:, None], members, axis=1)``. A prediction is the mean of theirs, of classes that
    of their probabilities.

    Parameters
    ----------
    features
        Numbers of a row.
    units
        Of the hidden layers.
    classes
        Number of outputs of a member.
    members
        How many there are: the output has the shape (members, classes).
    dropout
        Rate after each hidden layer, in [0, 1).
    numbers
        Which features pass through one `PiecewiseEmbedding` and one `PeriodicEmbedding` for all
        members, in runs (from, up to): what is learned may then turn at the edges of their bins,
        and quickly between them. Numbers of about deviation 1.
    edges
        Of these bins, a row for each of those features, as `data.quantile_edges` makes them; None:
        bins of one width.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or spans of features overlap.

    Notes
    -----
    The first scales are drawn from N(0, 1), so that members see different rows, the others begin
    at about 1.
    """
    k, inputs = whole("tabm", "members", members), whole("tabm", "features", features)
    waves = PeriodicEmbedding(passes=False, name="waves")
    pieces = PiecewiseEmbedding(UNITS, BINS, edges, name="pieces")
    parts = embedded("tabm", inputs, numbers, (), (pieces, waves))
    inputs += (pieces.units + waves.units) * sum(b - a for a, b in numbers)
    parts += [RepeatVector(k), *_scaled(k, inputs, Normal(1.0), shift=False)]
    for size in units:
        parts += [Dense(size, use_bias=False), *_scaled(k, size, Normal(0.01, mean=1.0)), ReLU()]
        parts += [Dropout(dropout)] if dropout else []
        inputs = size
    outputs = whole("tabm", "classes", classes)
    last = Conv1D(k * outputs, 1, groups=k)  # a product for each member
    return Sequential(*parts, Reshape((1, k * inputs)), last, Reshape((k, outputs)))


def _scaled(members: int, size: int, init: Normal, shift: bool = True) -> list[Layer]:
    """Return layers that scale and shift every number of every member by its own."""
    n = members * size
    return [
        Reshape((1, n)),
        Conv1D(n, 1, groups=n, use_bias=shift, init=init),
        Reshape((members, size)),
    ]
