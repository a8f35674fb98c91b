"""Weights of others: how they become steep's and go back. Whose layers have them: `builder`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

from ..network.layouts import Layout
from .views import Axis, View

Array: TypeAlias = NDArray[Any]


@dataclass
class Weight:
    """A weight of others: its values, its name where it has one, whether it is surely learned.

    `sources` are names of weights that it was put together from, `batch` the axis, of size 1 here,
    along which there is one for every sample. What is `fixed` has a name and is not trained.
    """

    value: Array
    name: str = ""
    learned: bool = False
    sources: tuple[str, ...] = ()
    batch: int | None = None
    fixed: bool = False


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


def beside(v: View, weight: Weight) -> tuple[View, Axis]:
    """Return a view whose first axis is all that a constant has numbers for, and its atoms.

    Raises
    ------
    ValueError
        If the constant differs from sample to sample, or does not fit.
    """
    value, shape = weight.value, (1, *v.shape)
    wide = (1,) * (len(shape) - value.ndim) + value.shape
    if len(wide) != len(shape) or any(n not in (1, m) for n, m in zip(wide, shape, strict=True)):
        raise ValueError(f"a constant of shape {value.shape} does not fit (batch, *{v.shape})")
    axes = [k for k, n in enumerate(wide[1:]) if n > 1]
    atoms = tuple(atom for k in axes for atom in v.axes[k])
    rest = tuple(axis for k, axis in enumerate(v.axes) if k not in axes)
    return View(v.x, v.order, (atoms, *rest)), atoms
