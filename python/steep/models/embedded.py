"""What comes before the first product of a network for rows of a table: embedded features."""

from collections.abc import Sequence
from itertools import pairwise

from ..checks.numbers import whole
from ..initializers import Normal
from ..layers import Branches, Dense, Layer, PeriodicEmbedding
from ..network.layer import Op
from ..network.model import Sequential

Span = tuple[int, int]  # of features: from, and up to
EMBEDDED = 8  # numbers that a category becomes


def embedded(
    who: str,
    features: int,
    numbers: Sequence[Span] | None,
    categories: Sequence[Span],
    ways: Sequence[Layer] = (),
) -> list[Layer]:
    """Return layers that embed numbers, categories as vectors, and pass on the others.

    Parameters
    ----------
    who
        Whose arguments these are, for errors.
    features
        Numbers of a row.
    numbers
        Which of them are numbers, in runs; None: all that are no categories.
    categories
        One-hot columns of each category.
    ways
        What embeds the numbers, each all of them; none: as waves.

    Raises
    ------
    TypeError, ValueError
        If spans overlap or lie outside.
    """
    vectors = _spans(who, "categories", categories, features)
    others = _between(vectors, features)
    plain = others if numbers is None else _spans(who, "numbers", numbers, features)
    if any(a[1] > b[0] for a, b in pairwise(sorted((*plain, *vectors)))):
        raise ValueError(f"{who}: spans overlap: numbers {plain}, categories {vectors}")
    parts: list[Layer] = []
    if plain:
        each = list(ways) or [PeriodicEmbedding(name="embedding")]
        join = each[0] if len(each) == 1 else Branches(*each)
        parts.append(Sequential(*_taken(plain, features), join))
    for k, span in enumerate(vectors):
        table = Dense(EMBEDDED, use_bias=False, init=Normal(1.0), name=f"category{k}")
        parts.append(Sequential(*_taken([span], features), table))
    passing = _between(sorted((*plain, *vectors)), features)
    if passing and parts:
        parts.append(Sequential(*_taken(passing, features)))
    return parts if len(parts) < 2 else [Branches(*parts)]


def _taken(spans: list[Span], features: int) -> list[Layer]:
    """Return layers that take some features; none where those are all."""
    if spans == [(0, features)]:
        return []
    parts: list[Layer] = [Op("slice", {"axis": 0, "first": a, "last": b}) for a, b in spans]
    return parts if len(parts) == 1 else [Branches(*parts)]


def _spans(who: str, name: str, given: Sequence[Span], features: int) -> list[Span]:
    found = sorted((whole(who, name, a, 0), whole(who, name, b)) for a, b in given)
    if any(not a < b <= features for a, b in found):
        raise ValueError(f"{who}: {name} must lie in 0 to {features}, got {found}")
    return found


def _between(spans: Sequence[Span], features: int) -> list[Span]:
    """Return the features that no span has."""
    ends = [0, *(b for _, b in spans)]
    starts = [*(a for a, _ in spans), features]
    return [(a, b) for a, b in zip(ends, starts, strict=True) if a < b]
