"""Initialisers of whole matrices and kernels: orthogonal ones, identities, constants."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..checks.numbers import ANY, Ranges
from .base import Initializer, Place, Values


def orthonormal(drawn: Values, rows: int, columns: int) -> Values:
    """Return a random matrix (rows, columns) whose shorter side is orthonormal (Stewart 1980).

    A product of reflections, each of which takes a normal vector to an axis: distributed as the Q
    of a QR decomposition of normal numbers whose R has a positive diagonal. Its sums are NumPy's,
    in an order of their own: those of a LAPACK differ from machine to machine.

    Parameters
    ----------
    drawn
        rows*columns normal numbers.
    """
    if rows < columns:
        return orthonormal(drawn, columns, rows).T
    q, vectors = np.eye(rows, columns), drawn.reshape(columns, rows)
    for k in reversed(range(columns)):
        v, block = vectors[k, : rows - k].copy(), q[k:, k:]
        norm, sign = math.sqrt((v * v).sum()), -1.0 if v[0] < 0.0 else 1.0
        if norm > 0.0:
            v[0] += sign * norm
            block[0, 0] = -sign  # so that the first column becomes the normal vector, at length 1
            block -= v[:, None] * ((v[:, None] * block).sum(axis=0) / (norm * abs(v[0])))
    return q


def _kernel(name: str, place: Place) -> tuple[int, int]:
    """Return inputs and outputs of a convolution's kernel; refuse others."""
    if len(place.shape) not in (3, 4):
        raise ValueError(
            f"{name}: is for the kernel (height, width, in/groups, out) or (length, in/groups, "
            f"out) of a convolution, got shape {place.shape}"
        )
    return place.shape[-2], place.shape[-1]


def _parts(values: Values, groups: int) -> Iterator[Values]:
    """Return, of the tap in the middle, the matrix (in/groups, out/groups) of each group.

    The middle is the tap on the pixel itself where padding is "same": of an even size, the one
    before.
    """
    middle = values[tuple((n - 1) // 2 for n in values.shape[:-2])]
    return iter(np.split(middle, groups, axis=1))


@dataclass(frozen=True)
class _WithGain(Initializer):
    """A matrix times a number."""

    gain: float = 1.0

    ranges: ClassVar[Ranges] = {"gain": ANY}


@dataclass(frozen=True)
class Constant(Initializer):
    """w = value.

    Parameters
    ----------
    value
        Of every weight.
    """

    value: float

    ranges: ClassVar[Ranges] = {"value": ANY}

    def values(self, place: Place) -> Values:
        """Return the value everywhere."""
        return np.full(place.shape, self.value)


@dataclass(frozen=True)
class Orthogonal(_WithGain):
    """W^T W = gain^2 I, or W W^T where there are more units than inputs (Saxe et al. 2014).

    A kernel is the matrix (height*width*in/groups, out). Uniform among all such matrices. It takes
    some in*out*min(in, out) operations: about a second for a thousand inputs and units.

    Parameters
    ----------
    gain
        Length of the orthogonal vectors; see `steep.initializers.gain`.
    """

    def values(self, place: Place) -> Values:
        """Return an orthogonal matrix; refuse a vector."""
        if len(place.shape) < 2:
            raise ValueError(f"Orthogonal: needs two axes or more, got shape {place.shape}")
        rows, columns = math.prod(place.shape[:-1]), place.shape[-1]
        matrix = orthonormal(place.normal(rows * columns), rows, columns)
        return self.gain * matrix.reshape(place.shape)


@dataclass(frozen=True)
class DeltaOrthogonal(_WithGain):
    """A kernel that is 0 but for its middle tap, a matrix with W W^T = gain^2 I (Xiao et al. 2018).

    A convolution with "same" padding and stride 1 then keeps the length of every image; of groups
    each has a matrix of its own. No more inputs than outputs.

    Parameters
    ----------
    gain
        Length of the orthogonal rows; see `steep.initializers.gain`.
    """

    def values(self, place: Place) -> Values:
        """Return the kernel; refuse what is none, and one with more inputs than outputs."""
        inputs, outputs = _kernel("DeltaOrthogonal", place)
        units = outputs // place.groups
        if inputs > units:
            each = "" if place.groups == 1 else f" of each of {place.groups} groups"
            raise ValueError(
                f"DeltaOrthogonal: needs at least as many outputs as inputs, got {inputs} inputs "
                f'and {units} outputs{each}; take "orthogonal"'
            )
        values = np.zeros(place.shape)
        drawn = place.normal(inputs * outputs).reshape(place.groups, -1)
        for part, numbers in zip(_parts(values, place.groups), drawn, strict=True):
            part[:] = self.gain * orthonormal(numbers, inputs, units)
        return values


@dataclass(frozen=True)
class Dirac(_WithGain):
    """A kernel that hands channels on: its middle tap is gain*I, all else 0.

    Outputs beyond the inputs, of each group, begin as 0. PyTorch's dirac_, but for kernels of even
    size: there it takes the tap behind the middle, here the one on the pixel itself.

    Parameters
    ----------
    gain
        What the channels are multiplied with.
    """

    def values(self, place: Place) -> Values:
        """Return the kernel; refuse what is none."""
        _kernel("Dirac", place)
        values = np.zeros(place.shape)
        for part in _parts(values, place.groups):
            part[:] = self.gain * np.eye(*part.shape)
        return values


@dataclass(frozen=True)
class Identity(_WithGain):
    """W = gain*I; where a matrix is not square, the first inputs go to the first units.

    Parameters
    ----------
    gain
        What the inputs are multiplied with.
    """

    def values(self, place: Place) -> Values:
        """Return the matrix; refuse a kernel or a vector."""
        if len(place.shape) != 2:
            hint = '; for a kernel take "dirac"' if len(place.shape) > 2 else ""
            raise ValueError(f"Identity: is for a matrix, got shape {place.shape}{hint}")
        return self.gain * np.eye(*place.shape)
