"""Initialisers that draw every weight by itself. Matrices drawn as a whole are in `matrices`."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..checks.described import settle
from ..checks.names import choose
from ..checks.numbers import ANY, FRACTION, POSITIVE, Range, Ranges
from .base import Initializer, Place, Values

MODES = {name: name for name in ("fan_in", "fan_out", "fan_avg")}
DISTRIBUTIONS = {name: name for name in ("truncated_normal", "untruncated_normal", "uniform")}
# Standard deviation of the normal distribution cut at two: root of 1 - 4*phi(2)/(2*Phi(2) - 1).
CUT_STD = 0.87962566103423978


def truncated(place: Place, count: int, cut: float) -> Values:
    """Return normal numbers of at most `cut` in size: the first `count` there are."""
    drawn = count + 16
    while True:
        drawn += drawn // 8
        found = place.normal(drawn)
        found = found[np.abs(found) <= cut]
        if len(found) >= count:
            return found[:count]
        drawn *= 2


@dataclass(frozen=True)
class Normal(Initializer):
    """w ~ N(mean, std^2).

    Parameters
    ----------
    std
        Standard deviation; 0.05 as in Keras, whose "normal" it is.
    mean
        Of the distribution.
    """

    std: float = 0.05
    mean: float = 0.0

    ranges: ClassVar[Ranges] = {"std": POSITIVE, "mean": ANY}

    def values(self, place: Place) -> Values:
        """Return normal numbers."""
        drawn = place.normal(math.prod(place.shape))
        return (self.mean + self.std * drawn).reshape(place.shape)


@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """w ~ N(mean, std^2), drawn again where it is more than cut*std from the mean.

    Their standard deviation is smaller than std: 0.88*std for a cut of 2.

    Parameters
    ----------
    std
        Standard deviation before the cut, as in Keras and in PyTorch's trunc_normal_.
    mean
        Of the distribution.
    cut
        In standard deviations, at least 0.1.
    """

    std: float = 0.05
    mean: float = 0.0
    cut: float = 2.0

    ranges: ClassVar[Ranges] = {"std": POSITIVE, "mean": ANY, "cut": Range(0.1, math.inf)}

    def values(self, place: Place) -> Values:
        """Return normal numbers, none far from the mean."""
        drawn = truncated(place, math.prod(place.shape), self.cut)
        return (self.mean + self.std * drawn).reshape(place.shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """w ~ U(mean - bound, mean + bound).

    Parameters
    ----------
    bound
        Half the width; 0.05 as in Keras, whose "uniform" it is.
    mean
        Of the distribution.
    """

    bound: float = 0.05
    mean: float = 0.0

    ranges: ClassVar[Ranges] = {"bound": POSITIVE, "mean": ANY}

    def values(self, place: Place) -> Values:
        """Return uniform numbers."""
        drawn = place.uniform(math.prod(place.shape))
        return (self.mean + self.bound * (2.0 * drawn - 1.0)).reshape(place.shape)


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Weights of mean 0 and variance scale/n, n a fan of the parameter; as in Keras.

    He et al. (2015) have scale 2 and n = fan_in, Glorot & Bengio (2010) 1 and the mean of both
    fans, LeCun et al. (1998) 1 and fan_in. PyTorch's layers begin as ``VarianceScaling(1/3,
    distribution="uniform")``.

    Parameters
    ----------
    scale
        Variance of a sum of n products with inputs of mean square 1.
    mode
        n: ``"fan_in"``, ``"fan_out"``, or their mean ``"fan_avg"``.
    distribution
        ``"truncated_normal"``, cut at two standard deviations of what is cut, ``"uniform"`` or
        ``"untruncated_normal"``.
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"

    ranges: ClassVar[Ranges] = {"scale": POSITIVE}

    def __post_init__(self) -> None:
        """Check both names."""
        settle(self, mode=choose("mode", self.mode, MODES))
        settle(self, distribution=choose("distribution", self.distribution, DISTRIBUTIONS))
        super().__post_init__()

    def spread(self, fan_in: int, fan_out: int) -> float:
        """Return the standard deviation, or of "uniform" the half-width, for these fans."""
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
        square = 3.0 * self.scale if self.distribution == "uniform" else self.scale
        return math.sqrt(square / fans[self.mode])

    def values(self, place: Place) -> Values:
        """Return numbers of that variance."""
        count, spread = math.prod(place.shape), self.spread(place.fan_in, place.fan_out)
        if self.distribution == "uniform":
            drawn = 2.0 * place.uniform(count) - 1.0
        elif self.distribution == "untruncated_normal":
            drawn = place.normal(count)
        else:
            drawn = truncated(place, count, 2.0) / CUT_STD
        return (spread * drawn).reshape(place.shape)


@dataclass(frozen=True)
class Sparse(Initializer):
    """w ~ N(0, std^2), and 0 for a part of the units that read each input (Martens 2010).

    Of a matrix (in, out), in each row ceil(sparsity*out) are 0, as in PyTorch's sparse_.

    Parameters
    ----------
    sparsity
        In [0, 1).
    std
        Standard deviation of the others.
    """

    sparsity: float
    std: float = 0.01

    ranges: ClassVar[Ranges] = {"sparsity": FRACTION, "std": POSITIVE}

    def values(self, place: Place) -> Values:
        """Return a sparse matrix; refuse what is none."""
        if len(place.shape) != 2:
            raise ValueError(f"Sparse: is for a matrix (in, out), got shape {place.shape}")
        count = math.prod(place.shape)
        values = (self.std * place.normal(count)).reshape(place.shape)
        # Which are 0 must not depend on the values: those are made of the uniform numbers before.
        order = np.argsort(place.uniform(count, count + 1).reshape(place.shape), 1, kind="stable")
        zeros = order[:, : math.ceil(self.sparsity * place.shape[1])]
        np.put_along_axis(values, zeros, 0.0, axis=1)
        return values
