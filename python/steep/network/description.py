"""What is known of a network for given inputs: its graph, weights, layers and parts. No numbers."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from .. import _core
from ..schedules.base import OfStep
from .initializers import fans
from .tensor import LayerLike, Shape

Key: TypeAlias = tuple[int, str]  # a parameter: the id of its layer, its name there
# A value that a network already has: its native network, its name and its shape there.
Source: TypeAlias = tuple[_core.Network, str, Shape]


@dataclass
class Weight:
    """One parameter."""

    name: str
    shape: Shape
    layer: LayerLike
    title: str  # of the layer, for messages
    init: object
    trained: bool = True
    source: Source | None = None  # the nested network it begins with the value of, until then
    taken: bool = False  # whether it began so
    last: bool = False  # belongs to the last layer
    relu: bool = False  # its product goes into a ReLU-like activation
    wave: bool = False  # ... into a sine or cosine: it is how fast that goes
    groups: int = 1  # of the convolution it belongs to
    owners: tuple[LayerLike, ...] = ()  # the layers around, outermost first, and the layer itself
    used: bool = False  # a product by it was met
    turned: bool = False  # its units are the last axis but one
    stride: int = 1  # pixels of the result for one of the input, where it is turned

    @property
    def fans(self) -> tuple[int, int]:
        """Numbers that a unit reads, and units that read a number."""
        inside, outside = fans(self.shape, self.groups)
        return (max(1, outside // self.stride), inside) if self.turned else (inside, outside)


@dataclass
class Row:
    """One layer of a summary."""

    depth: int
    name: str
    kind: str
    shape: Shape = ()
    weights: list[Weight] = field(default_factory=list)
    multiply_adds: int = 0  # of one sample, in products and convolutions


class Added(NamedTuple):
    """A loss that a layer adds: the sum of a tensor's elements, its mean over the samples."""

    name: str
    tensor: int
    weight: Any  # a number or a schedule


class Counts(NamedTuple):
    """What an input says that holds lengths."""

    title: str  # of the layer that goes by them
    steps: int  # the most of them


class Part(NamedTuple):
    """A network that stands in the one being described."""

    net: Any
    shapes: tuple[Shape, ...]  # of its inputs, where it was called first
    first: int  # the parameters it asked for lie here in the log of its scope
    last: int
    kept: bool  # it had weights before, which were taken over
    inputs: tuple[int, ...] = ()  # the tensors it was called on first


@dataclass(frozen=True, eq=False)
class Description:
    """A network as Python knows it for given inputs."""

    graph: _core.Graph
    shapes: tuple[Shape, ...]  # of the inputs
    output_shapes: tuple[Shape, ...]
    outputs: list[int]  # which tensors they are
    kinds: dict[int, str]  # op that makes a tensor
    groups: list[int]  # samples that batch normalisations of vectors take together; 0: the batch
    rows: list[Row]
    weights: dict[Key, Weight]  # in order of definition
    products: list[tuple[int, Weight]]  # tensors that a weight makes, products and convolutions
    first: dict[int, str]  # label of the layer that takes a tensor first
    log: list[tuple[str, Shape]]  # parameters as they were asked for
    parts: list[Part]  # nested networks
    losses: list[Added]  # by layers
    scalars: list[OfStep]  # what ops go by that depends on the step
    lengths: dict[int, Counts]  # inputs that say how many steps a sample has, by place
    kept: list[tuple[str, int]]  # layers that keep rows of a batch for the next one, how many

    @property
    def taken(self) -> bool:
        """Whether some weights are those of a nested network."""
        return any(weight.taken for weight in self.weights.values())

    @property
    def multiply_adds(self) -> int:
        """Those of one sample, in products and convolutions."""
        return sum(row.multiply_adds for row in self.rows)


def sizes(weights: Any) -> tuple[int, int]:
    """Return how many numbers of some weights are learned, and how many are not."""
    given = list(weights)
    learned = sum(math.prod(w.shape) for w in given if w.trained)
    return learned, sum(math.prod(w.shape) for w in given) - learned
