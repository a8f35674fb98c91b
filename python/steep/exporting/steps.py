"""A network as the list of ops it is lowered to: exporting goes by it, `network` notes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One op."""

    kind: str
    tensors: tuple[int, ...]  # it reads
    parameters: tuple[str, ...]  # by full name
    attributes: Mapping[str, Any]
    out: int
    path: tuple[str, ...]  # names of the layers around, outermost first
    calls: tuple[int, ...] = ()  # the number of the call of each of them

    @property
    def layer(self) -> str:
        """The layer that asked for it."""
        return self.path[-1] if self.path else "network"


@dataclass(frozen=True)
class Recorded:
    """All ops of a network, in an order in which they can run."""

    steps: Sequence[Step]
    inputs: Sequence[int]
    outputs: Sequence[int]
    output_names: Sequence[str]
    shapes: Mapping[int, Shape]  # of tensors, without the batch
    weights: Mapping[str, Array]
    calls: Sequence["Call"] = ()  # of layers, in order

    def ids(self) -> frozenset[int]:
        """Return inputs that embeddings alone read, and parts of them: whole numbers."""
        inputs = {x: x for x in self.inputs}  # of which a tensor is all or a part
        read, other = set(), {inputs[x] for x in self.outputs if x in inputs}
        for step in self.steps:
            found = {inputs[x] for x in step.tensors if x in inputs}
            if step.kind in ("reshape", "slice") and found:
                inputs[step.out] = inputs[step.tensors[0]]
                other |= found if step.out in self.outputs else set()
            elif step.kind == "embedding":
                read |= found
            else:
                other |= found
        return frozenset(x for x, whole in inputs.items() if whole in read - other)


@dataclass(frozen=True)
class Call:
    """One call of a layer."""

    name: str
    kind: str  # of layer
    shape: Shape  # of its result
    parameters: int  # numbers that it brought, learned or not
