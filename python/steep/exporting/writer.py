"""Puts ONNX nodes together: names, constants, weights, and in which order axes lie.

steep has channels last, ONNX's windows want them first. A tensor is known in one order or both; it
is transposed where somebody asks for the one that is not there, so neighbours of one mind share it.
Which nodes an op becomes is in `rows`; protocol buffers are made in `onnx_file`.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from .steps import Array, Recorded, Shape, Step

Order: TypeAlias = Literal["last", "first"]  # where the channels are


@dataclass
class Node:
    """One ONNX node."""

    op: str
    inputs: list[str]
    outputs: list[str]
    name: str
    attributes: Mapping[str, Any]


class Writer:
    """A graph under construction.

    Parameters
    ----------
    recorded
        The network.
    taken
        Names that are not to be used.
    ids
        Tensors that come as whole numbers.
    """

    def __init__(
        self, recorded: Recorded, taken: Sequence[str] = (), ids: Set[int] = frozenset()
    ) -> None:
        self.nodes: list[Node] = []
        self.weights: dict[str, Array] = {}  # as they are written
        self.shapes, self.ids = recorded.shapes, ids
        self.values = recorded.weights  # as steep has them
        kinds = {value.dtype for value in recorded.weights.values()}
        self.dtype = np.dtype(np.float64 if np.dtype(np.float64) in kinds else np.float32)
        self._forms: dict[str, tuple[tuple[int, ...], Shape]] = {}  # axes and shape of each weight
        self._names: dict[tuple[int, Order], str] = {}  # of tensors
        self._constants: dict[tuple[str, Shape, bytes], str] = {}
        self._taken: set[str] = {*recorded.weights, *recorded.output_names, *taken}
        self._layer = "network"
        several = len(recorded.inputs) > 1
        self.inputs = [f"input_{k}" if several else "input" for k in range(len(recorded.inputs))]
        for tensor, name in zip(recorded.inputs, self.inputs, strict=True):
            self._names[tensor, "last"] = self._unique(name)

    # -- nodes ---------------------------------------------------------------------------------

    def begin(self, step: Step) -> None:
        """Name what follows by the layer of a step."""
        self._layer = step.layer

    def node(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        return self.several(op, inputs, 1, **attributes)[0]

    def several(self, op: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """Add a node of so many outputs and return their names."""
        names = [self._unique(f"{self._layer}/{op}") for _ in range(count)]
        self.nodes.append(Node(op, list(inputs), names, names[0], attributes))
        return names

    def cut(self, x: str, axis: int, first: int, last: int) -> str:
        """Return a part of an axis; the batch is axis 0."""
        return self.node("Slice", [x, self.ints(first), self.ints(last), self.ints(axis)])

    def scaled(self, x: str, scale: float, shift: float) -> str:
        """Return x*scale + shift."""
        x = self.node("Mul", [x, self.number(scale)]) if scale != 1.0 else x
        return self.node("Add", [x, self.number(shift)]) if shift != 0.0 else x

    def constant(self, value: Array) -> str:
        """Return the name of a constant; equal ones are there once."""
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._constants:
            self._constants[key] = self.node("Constant", [], value=value)
        return self._constants[key]

    def number(self, value: float) -> str:
        """Return a constant without axes, in the network's precision."""
        return self.constant(np.asarray(value, self.dtype))

    def ints(self, *values: int) -> str:
        """Return a constant of whole numbers."""
        return self.constant(np.asarray(values, np.int64))

    def weight(
        self, name: str, axes: Sequence[int] | None = None, shape: Shape | None = None
    ) -> str:
        """Return a weight with its axes in another order, then under another shape.

        It is written as it was asked for first; whoever wants it otherwise gets it by nodes.
        """
        value = self.values[name]
        order = tuple(axes) if axes is not None else tuple(range(value.ndim))
        turned = value.transpose(order)
        wanted = turned.shape if shape is None else shape
        if name not in self._forms:
            self._forms[name] = (order, wanted)
            self.weights[name] = np.ascontiguousarray(turned.reshape(wanted))
        known, there = self._forms[name]
        if (known, there) == (order, wanted):
            return name
        found = self.node("Reshape", [name, self.ints(*(value.shape[k] for k in known))])
        found = self.node("Transpose", [found], perm=[known.index(k) for k in order])
        return self.node("Reshape", [found, self.ints(*wanted)])

    # -- tensors -------------------------------------------------------------------------------

    def get(self, tensor: int, order: Order) -> str:
        """Return a tensor with its channels there."""
        axes = len(self.shapes[tensor])
        if axes == 1:
            order = "last"
        if (tensor, order) not in self._names:
            other: Order = "last" if order == "first" else "first"
            perm = [0, axes, *range(1, axes)] if order == "first" else [0, *range(2, axes + 1), 1]
            turned = self.node("Transpose", [self._names[tensor, other]], perm=perm)
            self._names[tensor, order] = turned
        return self._names[tensor, order]

    def together(self, tensors: Sequence[int]) -> tuple[list[str], Order]:
        """Return tensors of one number of axes in one order, that of the first."""
        first = tensors[0]
        order: Order = "last" if (first, "last") in self._names else "first"
        return [self.get(x, order) for x in tensors], order

    def give(self, tensor: int, name: str, order: Order = "last") -> None:
        """Say under which name a tensor is there."""
        self._names[tensor, "last" if len(self.shapes[tensor]) == 1 else order] = name

    def row(self, name: str, tensor: int, order: Order) -> str:
        """Return a weight of the channels of a tensor, shaped to stand beside it."""
        axes = len(self.shapes[tensor])
        behind = (1,) * (axes - 1) if order == "first" else ()
        return self.weight(name, shape=(*self.values[name].shape, *behind))

    def finish(self, outputs: Sequence[int], names: Sequence[str]) -> None:
        """Give the outputs their names."""
        self._layer = "network"
        for tensor, name in zip(outputs, names, strict=True):
            found = self.get(tensor, "last")
            self.nodes.append(Node("Identity", [found], [name], f"network/{name}", {}))

    def _unique(self, name: str) -> str:
        found, count = name, 0
        while found in self._taken:
            count += 1
            found = f"{name}_{count}"
        self._taken.add(found)
        return found
