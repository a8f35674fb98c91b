"""What an initialiser is, and the place its values are for. The initialisers stand beside."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..checks.described import Described
from ..checks.numbers import Range, number

Values = NDArray[np.float64]


class Place(NamedTuple):
    """The parameter that values are for, and its random numbers.

    Attributes
    ----------
    shape
        (n,), (in, out), or (height, width, in/groups, out) of a convolution, (length, in/groups,
        out) of one along a sequence.
    fan_in, fan_out
        Inputs of one unit, and units that read one input.
    groups
        Of the convolution, 1 elsewhere.
    seed, stream
        The network's seed and the parameter's own number.
    """

    shape: tuple[int, ...]
    fan_in: int
    fan_out: int
    groups: int = 1
    seed: int = 0
    stream: int = 0

    def uniform(self, count: int, first: int = 0) -> Values:
        """Return numbers `first` to first + count - 1 of the parameter, in [0, 1)."""
        return np.asarray(_core.uniform(self.seed, self.stream, first + count)[first:])

    def normal(self, count: int) -> Values:
        """Return normal numbers, made of the first count (or count + 1, if odd) uniform ones."""
        return np.asarray(_core.normal(self.seed, self.stream, count))


@dataclass(frozen=True)
class Initializer(Described, ABC):
    """First values of a parameter as a function of its place; a layer takes one as `init`.

    A class of your own defines `values` and may be used everywhere, but not saved.
    """

    kind: ClassVar[str] = "initializer"

    @abstractmethod
    def values(self, place: Place) -> Values:
        """Return the values, float64 of the place's shape.

        Raises
        ------
        ValueError
            If such a parameter cannot begin so.
        """

    def _number(self, name: str, value: object, allowed: Range) -> Any:
        return number(type(self).__name__, name, value, allowed, single=True)
