"""Puts layers without weights behind views: functions of elements, windows, what goes along axes.

Those with weights are in `builder`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import layers, ops
from ..network import Layer, Tensor
from ..network.layer import Op
from .views import (
    MOST_MOVES,
    Atom,
    Moves,
    View,
    aligned,
    channels_last,
    grouped,
    reshaped,
    shaped,
    single,
    size_of,
    trailing,
    view,
)

MOST_PLACES = 1 << 20  # of an axis that are taken one by one


@dataclass
class Weightless:
    """Steps of a network under construction.

    Attributes
    ----------
    last
        Whether images have come in with channels last.
    moves
        What moving numbers has cost.
    """

    last: bool = False

    moves: Moves = field(default_factory=Moves)

    # -- element by element ------------------------------------------------------------------------

    def activation(self, v: View, kind: str, alpha: float | None = None) -> View:
        """Apply f by name."""
        return v.of(layers.Activation(kind, alpha)(v.x))

    def binary(self, op: Any, a: View, b: View) -> View:
        """Combine two tensors of one number of axes."""
        if len(a.axes) != len(b.axes):
            raise ValueError(f"{a.shape} and {b.shape} have other numbers of axes")
        a, b = aligned(a, b, self.moves)
        made = op(a.x, b.x)
        return View(made, a.order, a.axes)

    def affine(self, v: View, scale: float = 1.0, shift: float = 0.0) -> View:
        """Return scale*x + shift for two numbers."""
        return v if (scale, shift) == (1.0, 0.0) else v.of(ops.affine(v.x, scale, shift))

    def pool(  # noqa: PLR0917 - as a window slides
        self, v: View, kind: str, size: Sequence[int], stride: Sequence[int], pads: Sequence[int],
        counted: bool = False,
    ) -> View:  # fmt: skip
        """Take the largest ("max") or the mean ("avg") of each window of (C, S...)."""
        x = channels_last(v, 0, self.moves)
        layer: Layer
        if len(size) == 1:
            ends = (pads[0], pads[1])
            if kind == "max":
                layer = layers.MaxPool1D(size[0], stride[0], ends)
            else:
                layer = layers.AvgPool1D(size[0], stride[0], ends, counted)
        elif kind == "max":
            layer = layers.MaxPool2D(tuple(size), tuple(stride), sides(pads))
        else:
            layer = layers.AvgPool2D(tuple(size), tuple(stride), sides(pads), counted)
        return channels_first(layer(x))

    # -- along axes ------------------------------------------------------------------------------

    def softmax(self, v: View, axis: int) -> View:
        """Divide e^x by its sum along an axis."""
        x, found, _ = trailing(v, axis, self.moves)
        return found.of(layers.Softmax()(x))

    def reduced(self, v: View, axes: Sequence[int], keep: bool, how: str) -> View:
        """Return sums, means or the largest over axes."""
        gone = tuple(atom for k in sorted(axes) for atom in v.axes[k])
        order = tuple(atom for atom in v.order if atom not in gone)
        left = tuple(() if k in axes else axis for k, axis in enumerate(v.axes))
        left = left if keep else tuple(axis for k, axis in enumerate(left) if k not in axes)
        if not gone:
            return View(v.x, v.order, left)
        lying = tuple(atom for atom in v.order if atom in gone)
        if how == "max":
            x = grouped(v, [order, lying], self.moves)
            return View(ops.maxout(x, x.shape[1]), order, left)
        x = shaped(v.x, [atom.size for atom in v.order])
        places = [v.order.index(atom) for atom in lying]
        return View({"sum": ops.sum, "mean": ops.mean}[how](x, places), order, left)

    def concat(self, views: Sequence[View], axis: int) -> View:
        """Join along an axis."""
        found = [self._singles(v) for v in views]
        lead = max(found, key=lambda v: len(v.order))
        order = [k for k in self._whole_order(lead) if lead.axes[k] or k == axis]
        tensors = []
        for v in found:
            if any(
                n != m
                for k, (n, m) in enumerate(zip(v.shape, lead.shape, strict=True))
                if k != axis
            ):
                raise ValueError(f"{v.shape} and {lead.shape} cannot be joined at axis {axis + 1}")
            tensors.append(grouped(v, [v.axes[k] for k in order], self.moves))
        y = ops.concat(tensors, order.index(axis))
        atoms = {k: Atom(n) for n, k in zip(y.shape, order, strict=True) if n > 1}
        axes = [(atoms[k],) if k in atoms else () for k in range(len(lead.axes))]
        return View(y, tuple(atoms[k] for k in order if k in atoms), tuple(axes))

    def cut(self, v: View, axis: int, first: int, last: int, step: int = 1) -> View:
        """Return every step-th place of an axis from `first` to `last`, that one excluded."""
        size = v.shape[axis]
        if (first, last, step) == (0, size, 1):
            return v
        if step > 1:
            return self._every(v, axis, first, last, step)
        v = single(v, axis, self.moves)
        x = shaped(v.x, [atom.size for atom in v.order])
        place = v.order.index(v.axes[axis][0])
        atom = Atom(last - first)
        y, axes = part_of(x, place, first, last), [*v.axes]
        axes[axis] = (atom,) if atom.size > 1 else ()
        order = (*v.order[:place], *axes[axis], *v.order[place + 1 :])
        return View(y, order, tuple(axes))

    def _every(self, v: View, axis: int, first: int, last: int, step: int) -> View:
        """Return every step-th place: the axis as (count, step), and one of the step."""
        count = -(-(last - first) // step)
        end = first + count * step
        if end > v.shape[axis]:  # the last stretch is short: its first is taken by itself
            body = self.cut(v, axis, first, end - step, step) if count > 1 else None
            tail = self.cut(v, axis, end - step, end - step + 1)
            return tail if body is None else self.concat([body, tail], axis)
        v = self.cut(v, axis, first, end)
        shape = v.shape
        wide = reshaped(v, (*shape[:axis], count, step, *shape[axis + 1 :]), self.moves)
        one = self.cut(wide, axis + 1, 0, 1)
        return View(one.x, one.order, (*one.axes[: axis + 1], *one.axes[axis + 2 :]))

    def taken(self, v: View, axis: int, places: Sequence[int]) -> View:
        """Return the numbers at some places of an axis, in their order."""
        if len(places) > MOST_PLACES:
            raise ValueError(f"takes {len(places)} places of an axis; at most {MOST_PLACES}")
        runs: list[list[int]] = []
        for k in places:
            if runs and runs[-1][-1] + 1 == k:
                runs[-1].append(k)
            else:
                runs.append([k])
        self.moves.count += len(runs) - 1
        if len(runs) > MOST_MOVES:
            raise ValueError(f"takes {len(runs)} stretches of an axis; at most {MOST_MOVES}")
        parts = [self.cut(v, axis, run[0], run[-1] + 1) for run in runs]
        return parts[0] if len(parts) == 1 else self.concat(parts, axis)

    def expanded(self, v: View, shape: Sequence[int]) -> View:
        """Return a view repeated along axes of size 1."""
        for k, (n, m) in enumerate(zip(v.shape, shape, strict=True)):
            if n not in (m, 1):
                raise ValueError(f"{v.shape} cannot be repeated to {tuple(shape)}")
            if n != m:
                v = self._singles(v)
                atom, axes, place = Atom(m), [*v.axes], self._place(v, k)
                axes[k] = (atom,)
                x = shaped(v.x, [atom.size for atom in v.order])
                y = ops.repeat(x, m, place) if v.order else shaped(ops.repeat(x, m), (m,))
                v = View(y, (*v.order[:place], atom, *v.order[place:]), tuple(axes))
        return v

    def repicked(self, v: View, places: Sequence[Sequence[int]]) -> View:
        """Return the numbers at some places of each axis; where pixels repeat, that is one op."""
        times = [_times(at, n) for at, n in zip(places, v.shape, strict=True)]
        if len(v.axes) in (2, 3) and times[0] == 1 and all(times):
            x = channels_last(v, 0, self.moves)
            image = x if len(x.shape) == 3 else shaped(x, (x.shape[0], 1, x.shape[1]))
            y = layers.UpSample2D((*times[1:], 1)[:2])(image)
            return channels_first(y if len(x.shape) == 3 else shaped(y, (y.shape[0], y.shape[2])))
        for axis, at in enumerate(places):
            v = self.taken(v, axis, at)
        return v

    def padded(self, v: View, before: Sequence[int], after: Sequence[int], value: float) -> View:
        """Put a number around a tensor: three axes at a time, as they lie."""
        if value != 0.0:
            inside = self.padded(self.affine(v, shift=-value), before, after, 0.0)
            return self.affine(inside, shift=value)
        ends = [*zip(before, after, strict=True)]
        v = self._singles(v)
        if len(v.axes) > 3:
            for k, (low, high) in enumerate(ends):
                if low or high:
                    v = self._padded_at(v, k, low, high)
            return v
        lying = self._whole_order(v)
        sizes = [1] * (3 - len(lying)) + [v.shape[k] for k in lying]
        around = [(0, 0)] * (3 - len(lying)) + [ends[k] for k in lying]
        y = ops.zero_pad(shaped(v.x, sizes), *around)
        atoms = {k: Atom(n) for k, n in zip(lying, y.shape[3 - len(lying) :], strict=True)}
        axes = tuple((atoms[k],) if atoms[k].size > 1 else () for k in range(len(v.axes)))
        return View(y, tuple(atoms[k] for k in lying if atoms[k].size > 1), axes)

    def surrounded(self, v: View, before: Sequence[int], after: Sequence[int], how: str) -> View:
        """Put numbers of a tensor around it: mirrored, the outermost, or those of the other end.

        Raises
        ------
        ValueError
            If `how` is none of "reflect", "edge" and "wrap", or there are too few numbers.
        """
        for axis, (low, high) in enumerate(zip(before, after, strict=True)):
            size = v.shape[axis]
            most = {"reflect": size - 1, "edge": MOST_MOVES, "wrap": size}.get(how)
            if most is None:
                raise ValueError(f"pads by mode {how!r}, which steep does not have")
            fits = size + low + high <= MOST_PLACES or low == high == 0
            if not (0 <= low <= most and 0 <= high <= most and fits):
                raise ValueError(f"pads an axis of {size} by {low} and {high}, mode {how!r}")
            if low or high:
                places = np.pad(np.arange(size), (low, high), how)  # type: ignore[call-overload]
                v = self.taken(v, axis, places.tolist())
        return v

    def _padded_at(self, v: View, k: int, low: int, high: int) -> View:
        """Put zeros before and after one axis."""
        place = self._place(v, k)
        rest = v.order[place + len(v.axes[k]) :]
        image = shaped(v.x, (size_of(v.order[:place]), v.shape[k], size_of(rest)))
        y = ops.zero_pad(image, 0, (low, high))
        atom, axes = Atom(y.shape[1]), [*v.axes]
        axes[k] = (atom,)
        return View(y, (*v.order[:place], atom, *rest), tuple(axes))

    def normalised(self, v: View, axes: Sequence[int], eps: float) -> tuple[View, View, View]:
        """Return (x - mean)/sqrt(var + eps) over axes of a sample, the mean, and 1/sqrt."""
        mean = self.reduced(v, axes, True, "mean")
        centred = self.binary(ops.subtract, v, mean)
        spread = self.reduced(self.activation(centred, "square"), axes, True, "mean")
        root = spread.of(ops.power(self.affine(spread, shift=eps).x, -0.5))
        return self.binary(ops.multiply, centred, root), mean, root

    def _whole_order(self, v: View) -> list[int]:
        """Return all axes in the order in which they lie; those of size 1 where they would."""
        lying = [k for k, _ in _lying(v)]
        count = len(v.axes)
        ways = [[*range(count)], [*range(1, count), *range(min(count, 1))]]
        for way in reversed(ways) if self.last else ways:
            if [k for k in way if v.axes[k]] == lying:
                return way
        return [k for k in range(count) if k not in lying] + lying

    def _place(self, v: View, axis: int) -> int:
        """Return where among the atoms that lie there an axis is, or would be."""
        order = self._whole_order(v)
        return sum(bool(v.axes[k]) for k in order[: order.index(axis)])

    def _singles(self, v: View) -> View:
        for k in range(len(v.axes)):
            v = single(v, k, self.moves)
        return v


def _times(places: Sequence[int], size: int) -> int:
    """Return how often each place of an axis is taken in turn; 0 where they are not."""
    times = len(places) // size
    whole = len(places) == times * size and all(k == n // times for n, k in enumerate(places))
    return times if times and whole else 0


def part_of(x: Tensor, axis: int, first: int, last: int) -> Tensor:
    """Return a part of a tensor: what was joined from here to there, where that is one tensor."""
    layer, given = x._source or (None, ())
    if isinstance(layer, Op) and layer.kind == "concat":
        start = 0
        for part in given:
            same = layer.attributes.get("axis", -1) % len(x.shape) == axis
            if same and (start, start + part.shape[axis]) == (first, last):
                return part
            start += part.shape[axis]
    return ops.slice(x, first, last, axis)


def channels_first(y: Tensor) -> View:
    """Return (S..., C) as others see it: (C, S...)."""
    last = len(y.shape) - 1
    return view(y, [last, *range(last)])


def sides(pads: Sequence[int]) -> tuple[int, int, int, int]:
    """Return ONNX's (top, left, bottom, right) as steep has it."""
    top, left, bottom, right = pads
    return top, bottom, left, right


def _lying(v: View) -> list[tuple[int, Atom]]:
    """Return which axis each atom is, in the order in which they lie; axes are single."""
    owner = {axis[0]: k for k, axis in enumerate(v.axes) if axis}
    return [(owner[atom], atom) for atom in v.order]
