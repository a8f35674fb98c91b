"""Weights of others: how they become steep's and go back. Whose layers have them: `builder`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .views import Axis, View

Array: TypeAlias = NDArray[Any]
LARGEST = 1 << 24  # numbers that a constant is repeated to


@dataclass(frozen=True)
class Layout:
    """How a weight of others becomes one of steep: axes split, turned, joined."""

    name: str  # theirs
    inner: tuple[int, ...]  # their shape, axes split
    perm: tuple[int, ...]
    theirs: tuple[int, ...]
    ours: tuple[int, ...]

    def take(self, value: Array) -> Array:
        """Return a weight of theirs as steep has it."""
        return value.reshape(self.inner).transpose(self.perm).reshape(self.ours)

    def give(self, value: Array) -> Array:
        """Return a weight of steep as they have it."""
        back = np.argsort(self.perm)
        inner = [self.inner[k] for k in self.perm]
        return value.reshape(inner).transpose(back).reshape(self.theirs)


@dataclass
class Weight:
    """A weight of others: its name, where it has one, and its values."""

    value: Array
    name: str = ""


def turned(weight: Weight, perm: Sequence[int]) -> Layout:
    """Return the layout of a weight whose axes are in another order."""
    shape = weight.value.shape
    return Layout(weight.name, shape, tuple(perm), shape, tuple(shape[k] for k in perm))


def straight(weight: Weight) -> Layout:
    """Return the layout of a vector, whatever axes of size 1 it has."""
    n = (weight.value.size,)
    return Layout(weight.name, n, (0,), weight.value.shape, n)


def row(weight: Weight, atoms: Axis, lying: Axis) -> Layout:
    """Return the layout of numbers for the places of an axis whose atoms lie in another order."""
    n = weight.value.size
    if len(atoms) < 2 or atoms == lying:
        return straight(weight)
    sizes = tuple(atom.size for atom in atoms)
    places = tuple(atoms.index(atom) for atom in lying)
    return Layout(weight.name, sizes, places, weight.value.shape, (n,))


def vector(v: View, weight: Weight) -> tuple[Array, int | None]:
    """Return a constant beside a view as numbers along one axis, and which; None: of every number.

    Raises
    ------
    ValueError
        If it differs from sample to sample, does not fit, or would become too large.
    """
    value, shape = weight.value, (1, *v.shape)
    if value.ndim > len(shape):
        raise ValueError(f"a constant of shape {value.shape} does not fit {v.shape}")
    wide = value.reshape((1,) * (len(shape) - value.ndim) + value.shape)
    if any(n not in (1, m) for n, m in zip(wide.shape, shape, strict=True)):
        raise ValueError(f"a constant of shape {value.shape} does not fit (batch, *{v.shape})")
    axes = [k for k, n in enumerate(wide.shape[1:]) if n > 1]
    if len(axes) == 1:
        return value.reshape(-1), axes[0]
    if value.size == 1:
        return value.reshape(-1), None
    if math.prod(shape) > LARGEST:
        raise ValueError(f"a constant of shape {value.shape} would be repeated to {v.shape}")
    return np.broadcast_to(wide, shape), None
