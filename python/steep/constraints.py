"""Constraints: what weights are brought back to after every update; layers have `constraint=`.

Names, as in Keras: ``"non_negative"`` or ``"non_neg"``, ``"max_norm"``, ``"unit_norm"``. First
values are left as they are drawn until the first update.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from .checks.described import Described, described
from .checks.names import choose
from .checks.numbers import POSITIVE, Range, Ranges, number

__all__ = ["Clip", "Constraint", "MaxNorm", "NonNegative", "UnitNorm"]


@dataclass(frozen=True)
class Constraint(Described):
    """What a weight is brought back to after every update; a layer takes one as `constraint`.

    Optimizers' own numbers, such as velocities, stay what they are.
    """

    kind: ClassVar[str] = "constraint"
    native: ClassVar[str] = ""

    @property
    def number(self) -> float:
        """The native constraint's number, 0 where it has none."""
        return 0.0

    def _number(self, name: str, value: object, allowed: Range) -> Any:
        return number(type(self).__name__, name, value, allowed, single=True)


@dataclass(frozen=True)
class Clip(Constraint):
    """w = max(-limit, min(w, limit)), as of the critic of a Wasserstein GAN (Arjovsky et al. 2017).

    Parameters
    ----------
    limit
        Of every weight's size, above 0.
    """

    limit: float

    native: ClassVar[str] = "clip"
    ranges: ClassVar[Ranges] = {"limit": POSITIVE}

    @property
    def number(self) -> float:
        """The limit."""
        return self.limit


@dataclass(frozen=True)
class NonNegative(Constraint):
    """w = max(w, 0)."""

    native: ClassVar[str] = "non_negative"


@dataclass(frozen=True)
class MaxNorm(Constraint):
    """w = w * min(1, limit/|w|) for each column w of a weight (Srebro et al. 2005; Hinton 2012).

    A column is what belongs to one place of the last axis: the weights of a unit or a filter. A
    vector is one column.

    Parameters
    ----------
    limit
        Of every column's length, above 0; with dropout 3 to 4.
    """

    limit: float = 2.0

    native: ClassVar[str] = "max_norm"
    ranges: ClassVar[Ranges] = {"limit": POSITIVE}

    @property
    def number(self) -> float:
        """The limit."""
        return self.limit


@dataclass(frozen=True)
class UnitNorm(Constraint):
    """w = w/|w| for each column w of a weight; a column of zeros stays.

    A column is what belongs to one place of the last axis: the weights of a unit or a filter. A
    vector is one column.
    """

    native: ClassVar[str] = "unit_norm"


TABLE: dict[str, type[Constraint]] = {
    made.__name__: made for made in (Clip, NonNegative, MaxNorm, UnitNorm)
}
NAMED: dict[str, Constraint] = {
    "non_negative": NonNegative(),
    "non_neg": NonNegative(),
    "max_norm": MaxNorm(),
    "unit_norm": UnitNorm(),
}


ConstraintLike: TypeAlias = Constraint | str | None


def constraint_of(where: str, given: object) -> Constraint:
    """Return a constraint given as such or by name.

    Raises
    ------
    TypeError, ValueError
        If it is none of these.
    """
    if isinstance(given, str):
        return choose(f"{where} constraint", given, NAMED)
    if isinstance(given, Constraint):
        return given
    if isinstance(given, type) and issubclass(given, Constraint):
        raise TypeError(f"{where}: constraint is the class {given.__name__}; write its parentheses")
    raise TypeError(
        f"{where}: constraint must be one of steep.constraints or a name, got {given!r}"
    )


def from_config(config: Mapping[str, Any]) -> Constraint:
    """Return what ``get_config()`` of a constraint described.

    Raises
    ------
    ValueError
        If it names no known one or its arguments do not fit.
    """
    return described("constraint", TABLE, config)
