"""What building a network leaves: its description, and a native network that it owns or shares.

When a network is built, shares weights or is copied is decided in `model`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol
from weakref import WeakValueDictionary

import numpy as np

from .. import _core
from ..checks.arrays import Array
from ..checks.columns import Columns
from .description import Description
from .scope import Scope
from .tensor import Shape, Tensor
from .weights import PRECISIONS, first_value, of_weights


class Lowers(Protocol):
    """A network: it puts its layers behind tensors."""

    def _lower(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs for these inputs."""
        ...


class Shared:
    """One native Store, as all networks over it know it."""

    def __init__(self, native: _core.Network) -> None:
        self.native = native  # of the outermost
        # Names of columns that the weights were trained on, by tensor of the outermost: parts that
        # take the same one go by the same names.
        self.columns: dict[int, Columns] = {}
        self.fits: list[tuple[object, str]] = []  # under way, with the label of what they train
        # Values that are being copied: one copy of a network and its parts together has them once.
        self.copies: WeakValueDictionary[str, Array] = WeakValueDictionary()

    def refuse_in_use(self, what: str) -> None:
        """Refuse a change that would take the Store from under a running `fit`.

        Raises
        ------
        RuntimeError
            Naming the network that is being trained.
        """
        if self.fits:
            raise RuntimeError(
                f"{what}: its weights are in use by a running fit of {self.fits[-1][1]}; do it "
                "when the fit is over"
            )

    def copied(self, values: Mapping[str, Array]) -> list[Array]:
        """Return values by name; the very arrays of another copy that is still in the making.

        A pickle holds an array that it meets twice once, and keeps alive what it holds.
        """
        copied = []
        for name, value in values.items():
            known = self.copies.get(name)
            if known is None or not np.array_equal(known, value):
                known = self.copies[name] = value
            copied.append(known)
        return copied

    @contextmanager
    def in_use(self, who: str) -> Iterator[None]:
        """Note a `fit` for as long as the body runs."""
        mine = (object(), who)
        try:  # Ctrl-C may come before and after any call
            self.fits.append(mine)
            yield
        finally:
            self.fits[:] = [fit for fit in self.fits if fit is not mine]


@dataclass(frozen=True, eq=False)
class Built:
    """A described network with its native one."""

    about: Description
    native: _core.Network
    shared: Shared

    @property
    def parameters(self) -> list[tuple[str, Shape]]:
        """Names and shapes in order of definition."""
        return [(weight.name, weight.shape) for weight in self.about.weights.values()]

    def values(self) -> dict[str, Array]:
        """Return the weights by name, as copies, all of one moment."""
        names = (name for name, _ in self.native.parameters())
        return dict(zip(names, self.native.values(), strict=True))


@dataclass(eq=False)
class Home:
    """The place of a part in the network it was built into, whose weights it shares."""

    shared: Shared
    shapes: tuple[Shape, ...]  # inputs it is called with there
    log: list[tuple[str, Shape]]  # of that network; the part's parameters lie at ...
    first: int
    last: int
    inputs: tuple[int, ...]  # the tensors it is called on there
    made: dict[str, Built] = field(default_factory=dict)  # the view, once somebody looks

    @property
    def parameters(self) -> list[tuple[str, Shape]]:
        """Names in the Store and shapes, in the order in which the part asks for them."""
        return list(dict.fromkeys(self.log[self.first : self.last]))

    def view(self, part: Lowers, own: tuple[Shape, ...] | None) -> Built:
        """Return the part as a network of its own over the shared weights.

        Its inputs are `own` where the weights fit them: a convolution takes images of many sizes.
        """
        known = self.made.get("view")
        if known is None:
            known = self.made.setdefault("view", self._make(part, own))
        return known

    def _make(self, part: Lowers, own: tuple[Shape, ...] | None) -> Built:
        about = None
        if own is not None and own != self.shapes:
            try:
                about = self.described(part, own)
            except ValueError:
                about = None
        about = about or self.described(part, self.shapes)
        names = [name for name, _ in self.parameters]
        return Built(about, self.shared.native.view(about.graph, names), self.shared)

    def described(self, part: Lowers, shapes: tuple[Shape, ...]) -> Description:
        """Return the part's description for other inputs.

        Raises
        ------
        ValueError
            If its weights would have other shapes.
        """
        about = describe(part, shapes, Scope(inherits=False))
        wanted = [weight.shape for weight in about.weights.values()]
        there = [shape for _, shape in self.parameters]
        if wanted != there:
            raise ValueError(
                f"inputs {shapes} need weights of shapes {wanted}, the network it was built into "
                f"has {there}"
            )
        return about


class Saved(NamedTuple):
    """A network's weights on their way through a copy or a pickle."""

    shapes: tuple[Shape, ...]
    precision: str
    values: list[Array]  # in order of definition
    taken: list[bool]  # which of them a nested network brought
    part: bool  # of another network, which may have been copied along
    columns: Mapping[int, Columns] = MappingProxyType({})  # as `Shared` has them

    def fill(self, built: Built) -> None:
        """Give a network, just made, these weights.

        Raises
        ------
        ValueError
            If they do not fit it: its layers changed on the way.
        """
        weights = list(built.about.weights.values())
        names = [weight.name for weight in weights]
        if len(names) != len(self.values):
            raise ValueError(f"a copy has {len(self.values)} weights, its layers {len(names)}")
        built.native.assign(list(zip(names, self.values, strict=True)))
        for weight, taken in zip(weights, self.taken, strict=True):
            weight.taken = taken
        built.shared.columns = dict(self.columns)


def describe(net: Lowers, shapes: tuple[Shape, ...], scope: Scope) -> Description:
    """Call the layers of a network for inputs of these shapes.

    Raises
    ------
    ValueError
        If the shapes do not fit; the message begins with the layer.
    """
    given = [scope.input(shape) for shape in shapes]
    try:
        found = net._lower(given)
    except RecursionError:
        raise ValueError(
            f"{type(net).__name__}: layers stand inside each other so deep that Python's stack "
            "ends; put them one after the other"
        ) from None
    # An output that is an input, such as Flatten of one axis, becomes a copy of it.
    outputs = [+y if y in given else y for y in found]
    scope.graph.output([y._index for y in outputs])
    return scope.close(given, outputs)


def made(about: Description, precision: str, seed: int | None) -> Built:
    """Return a network with a Store of its own; its weights are drawn, or 0 where seed is None."""
    native = _core.Network(about.graph, of_weights(precision))  # on the CPU; trainers move it
    if seed is not None:
        for name, value in first_values(about, precision, seed):
            native.set(name, value)
    for weight in about.weights.values():
        weight.source = None
    return Built(about, native, Shared(native))


def first_values(about: Description, precision: str, seed: int) -> Iterator[tuple[str, Array]]:
    """Return what each parameter begins with, by name."""
    for index, weight in enumerate(about.weights.values()):
        yield weight.name, first_value(weight, seed, index).astype(PRECISIONS[precision])
