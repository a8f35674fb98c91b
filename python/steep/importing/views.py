"""Tensors as others see them, over tensors as steep has them: whose axis lies where. No layers.

Others have channels first, steep has them last. An axis here is made of atoms, and the steep tensor
holds all atoms of a sample in some order: a transposition changes axes and moves no number, and a
reshape splits and joins them. Numbers are moved only where an op wants an order that is not there.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .. import ops
from ..network import Shape, Tensor

MOST_MOVES = 1024  # slices that moving numbers may take; more are refused


@dataclass(eq=False)
class Atom:
    """A stretch of an axis that stays together."""

    size: int


Axis: TypeAlias = tuple[Atom, ...]  # outermost first; none where the size is 1


@dataclass(frozen=True, eq=False)
class View:
    """A tensor without its batch axis: its axes, and the order in which their atoms lie.

    `batch` is where others have the batch among the axes: 0 but for what recurrent operators meet.
    """

    x: Tensor
    order: Axis
    axes: tuple[Axis, ...]
    batch: int = 0

    @property
    def shape(self) -> Shape:
        """As others see it."""
        return tuple(map(size_of, self.axes))

    def of(self, x: Tensor) -> "View":
        """Return the same view of other numbers, element by element those of this one."""
        return View(x, self.order, self.axes, self.batch)


class Moves:
    """How many slices have moved numbers so far."""

    count = 0


def size_of(atoms: Sequence[Atom]) -> int:
    """Return how many numbers atoms have."""
    return math.prod(atom.size for atom in atoms)


def view(x: Tensor, places: Sequence[int] | None = None) -> View:
    """Return a tensor with its axes where they are, or at the places others have them.

    `places` gives for each axis of others the axis of x.
    """
    atoms = [(Atom(n),) if n > 1 else () for n in x.shape]
    axes = tuple(atoms[k] for k in (range(len(atoms)) if places is None else places))
    return View(x, sum(atoms, ()), axes)


def shaped(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Return a tensor under another shape; nothing is done where it has it."""
    wanted = tuple(shape) or (1,)
    return x if x.shape == wanted else ops.reshape(x, wanted)


def transposed(v: View, perm: Sequence[int]) -> View:
    """Return a view with its axes in another order."""
    return View(v.x, v.order, tuple(v.axes[k] for k in perm))


def split(v: View, changes: dict[Atom, Axis]) -> View:
    """Return a view in which atoms are replaced by what they are made of."""

    def of(atoms: Axis) -> Axis:
        return tuple(part for atom in atoms for part in changes.get(atom, (atom,)))

    return View(v.x, of(v.order), tuple(map(of, v.axes)))


def joined(v: View, atoms: Axis) -> tuple[View, Axis]:
    """Return a view in which neighbours among `atoms` that also lie so are one; and what is left.

    Their axes must be the last to know: the caller gives them new ones.
    """
    place = {atom: k for k, atom in enumerate(v.order)}
    runs: list[list[Atom]] = []
    for atom in atoms:
        if runs and place[runs[-1][-1]] + 1 == place[atom]:
            runs[-1].append(atom)
        else:
            runs.append([atom])
    single = {run[0]: run[0] if len(run) == 1 else Atom(size_of(run)) for run in runs}
    inner = {atom for run in runs for atom in run[1:]}
    order = tuple(single.get(atom, atom) for atom in v.order if atom not in inner)
    return View(v.x, order, ()), tuple(single[run[0]] for run in runs)


def reshaped(v: View, shape: Sequence[int], moves: Moves) -> View:
    """Return a view under another shape of as many numbers, as C order has it."""
    if tuple(shape) == v.shape:
        return v
    if math.prod(shape) != math.prod(v.shape):
        raise ValueError(f"{v.shape} cannot be reshaped to {tuple(shape)}")
    flat, atoms = joined(v, sum(v.axes, ()))
    found = _dealt(flat, atoms, shape)
    if found is None:  # an axis would be cut out of atoms that lie apart
        flat, atoms = joined(arranged(View(flat.x, flat.order, (atoms,)), atoms, moves), atoms)
        found = _dealt(flat, atoms, shape)
        assert found is not None
    return found


def _dealt(v: View, atoms: Axis, shape: Sequence[int]) -> View | None:
    """Deal atoms out to axes of these sizes, splitting some; None where one cannot be split."""
    left, axes, changes = list(atoms)[::-1], [], {}
    for size in shape:
        axis: list[Atom] = []
        while size > 1:
            atom = left.pop()
            if size % atom.size == 0:
                axis.append(atom)
                size //= atom.size  # noqa: PLW2901 - what is still to be dealt
            elif atom.size % size == 0:
                parts = Atom(size), Atom(atom.size // size)
                changes[atom] = parts
                axis.append(parts[0])
                left.append(parts[1])
                size = 1  # noqa: PLW2901
            else:
                return None
        axes.append(tuple(axis))
    order = v.order
    while any(atom in changes for atom in order):
        order = tuple(part for atom in order for part in changes.get(atom, (atom,)))
    return View(v.x, order, tuple(axes))


def arranged(v: View, order: Axis, moves: Moves) -> View:
    """Return a view whose atoms lie in this order; numbers are moved where they do not.

    Raises
    ------
    ValueError
        If it takes too many slices.
    """
    x, now = v.x, list(v.order)
    while tuple(now) != order:
        first = next(k for k, atom in enumerate(order) if now[k] is not atom)
        last = now.index(order[first])
        x = _moved(x, [size_of(now[:first]), size_of(now[first:last]), now[last].size], moves)
        now.insert(first, now.pop(last))
    return View(x, order, v.axes)


def _moved(x: Tensor, sizes: Sequence[int], moves: Moves) -> Tensor:
    """Return (before, b, a, rest) as (before, a, b, rest), flat: slices of the smaller one."""
    before, b, a = sizes
    rest = math.prod(x.shape) // (before * a * b)
    moves.count += min(a, b)
    if moves.count > MOST_MOVES:
        raise ValueError(f"takes a transposition of {b} by {a}, for which steep has no op")
    x, axis = shaped(x, (before, b, a, rest)), 2 if a <= b else 1
    parts = [ops.slice(x, k, k + 1, axis) for k in range(min(a, b))]
    turned = [shaped(p, (before, 1, b, rest) if axis == 2 else (before, a, 1, rest)) for p in parts]
    return ops.concat(turned, 3 - axis)


def grouped(v: View, groups: Sequence[Axis], moves: Moves) -> Tensor:
    """Return the tensor with an axis for each group of atoms, in this order."""
    found = arranged(v, sum(groups, ()), moves)
    return shaped(found.x, [size_of(group) for group in groups])


def plain(v: View, moves: Moves) -> Tensor:
    """Return the tensor with the axes that others see, in their order."""
    return grouped(v, v.axes, moves)


def channels_last(v: View, axis: int, moves: Moves) -> Tensor:
    """Return the tensor with one axis as the last, the others before it in their order."""
    others = [a for k, a in enumerate(v.axes) if k != axis]
    return grouped(v, [*others, v.axes[axis]], moves)


def trailing(v: View, axis: int, moves: Moves) -> tuple[Tensor, View, Axis]:
    """Return a tensor (..., axis) with the atoms of one axis last, in whatever order they lie.

    Also the view of it, and the atoms of the axis as they lie: what has a number for each place of
    the axis must be brought into that order by `in_order`.
    """
    ours = v.axes[axis]
    lying = tuple(atom for atom in v.order if atom in ours)
    others = tuple(atom for atom in v.order if atom not in ours)
    found = arranged(v, (*others, *lying), moves)
    x = shaped(found.x, [*(atom.size for atom in others), size_of(lying)])
    return x, found.of(x), lying


def in_order(values: Any, axis: int, atoms: Axis, lying: Axis) -> Any:
    """Return an array with the places of one axis in the order in which its atoms lie."""
    if atoms == lying:
        return values
    shape = values.shape
    inner = [atom.size for atom in atoms]
    wide = values.reshape(*shape[:axis], *inner, *shape[axis + 1 :])
    perm = [axis + atoms.index(atom) for atom in lying]
    places = [*range(axis), *perm, *range(axis + len(atoms), wide.ndim)]
    return wide.transpose(places).reshape(shape)


def aligned(a: View, b: View, moves: Moves) -> tuple[View, View]:
    """Return two views, of one number of axes, as tensors that can be combined element by element.

    Both results have the axes of what comes of them.
    """
    a, b, same = _refined(a, b, moves)
    if size_of(a.order) < size_of(b.order):
        back = {there: here for here, there in same.items()}
        return _combined(b, a, back, moves)[::-1]
    return _combined(a, b, same, moves)


def _refined(a: View, b: View, moves: Moves) -> tuple[View, View, dict[Atom, Atom]]:
    """Split both views until their axes are made of equal atoms; also which of b each of a is."""
    for k, (n, m) in enumerate(zip(a.shape, b.shape, strict=True)):
        if n != m and 1 not in (n, m):
            raise ValueError(f"{a.shape} and {b.shape} do not fit at axis {k + 1}")
    same: dict[Atom, Atom] = {}
    for k in range(len(a.axes)):
        if a.axes[k] and b.axes[k]:
            a, b = _like(a, b, k, moves)
            same.update(zip(a.axes[k], b.axes[k], strict=True))
    return a, b, same


def _like(a: View, b: View, k: int, moves: Moves) -> tuple[View, View]:
    """Return two views whose axis k is made of equal atoms."""
    place = 0
    while place < len(a.axes[k]) or place < len(b.axes[k]):
        p, q = a.axes[k][place], b.axes[k][place]
        if p.size > q.size and p.size % q.size == 0:
            a = split(a, {p: (Atom(q.size), Atom(p.size // q.size))})
        elif q.size > p.size and q.size % p.size == 0:
            b = split(b, {q: (Atom(p.size), Atom(q.size // p.size))})
        elif p.size != q.size:  # no common parts: both axes in one piece
            return single(a, k, moves), single(b, k, moves)
        place += 1
    return a, b


def single(v: View, k: int, moves: Moves) -> View:
    """Return a view whose axis k is one atom, or none where its size is 1."""
    ours = v.axes[k]
    if len(ours) < 2:
        return v
    rest = [atom for atom in v.order if atom not in ours]
    place = v.order.index(ours[0]) - len(
        [a for a in v.order[: v.order.index(ours[0])] if a in ours]
    )
    found = arranged(v, (*rest[:place], *ours, *rest[place:]), moves)
    one, axes = Atom(size_of(ours)), [*v.axes]
    axes[k] = (one,)
    return View(found.x, (*rest[:place], one, *rest[place:]), tuple(axes))


def _combined(a: View, b: View, same: dict[Atom, Atom], moves: Moves) -> tuple[View, View]:
    """Return both with an axis of their tensors for each atom of the result."""
    known = {there: here for here, there in same.items()}
    extra = tuple(atom for atom in b.order if atom not in known)
    order = (*a.order, *extra)
    axes = tuple(p or q for p, q in zip(a.axes, b.axes, strict=True))
    if not extra and len(same) == len(a.order):
        b = arranged(b, tuple(same[atom] for atom in a.order), moves)
        return a, View(shaped(b.x, a.x.shape), a.order, a.axes)
    theirs = [atom for atom in order if atom in same or atom in extra]
    b = arranged(b, tuple(same.get(atom, atom) for atom in theirs), moves)
    wide = shaped(a.x, [*(atom.size for atom in a.order), *(1 for _ in extra)])
    there = shaped(b.x, [atom.size if atom in same or atom in extra else 1 for atom in order])
    return View(wide, order, axes), View(there, order, axes)


def each(v: View, f: Callable[[Tensor], Tensor]) -> View:
    """Return what an op does to every number by itself."""
    return v.of(f(v.x))


def leaving(v: View, moves: Moves, *, last: bool) -> Tensor:
    """Return what leaves a network: axes as others see them, or `last`, channels where they lie."""
    turned = (*v.axes[1:], *v.axes[:1])
    if last and len(v.axes) > 1 and v.order == sum(turned, ()):
        return grouped(v, turned, moves)
    return plain(v, moves)
