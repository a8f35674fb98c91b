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


@dataclass(frozen=True)
class Call:
    """One call of a layer."""

    name: str
    kind: str  # of layer
    shape: Shape  # of its result
    parameters: int  # numbers that it brought, learned or not
