"""How layers and their weights are called, in files and in messages, and how shapes are read."""

import functools
import re
from collections.abc import Iterable
from typing import Any

from ..checks.numbers import whole
from .tensor import LayerLike, Shape


class Names:
    """Full names of the layers of one network, each given once."""

    def __init__(self) -> None:
        self.prefix = ""  # of the layers inside the one being called
        self.layers: list[LayerLike] = []  # in order; keeps the ids below alive
        self._known: dict[int, str] = {}
        self._taken: set[str] = set()
        self._claimed: set[str] = set()  # by layers that are still to come
        self._counts: dict[str, int] = {}  # numbers given to layers without a name, by type

    def claim(self, layers: Iterable[LayerLike]) -> None:
        """Keep the names of layers to come from those that have none."""
        self._claimed.update(self.prefix + one.name for one in layers if one.name is not None)

    def of(self, layer: LayerLike) -> str:
        """Return the full name of a layer, giving it one the first time."""
        if id(layer) in self._known:
            return self._known[id(layer)]
        if layer.name is not None:
            name = self.prefix + layer.name
            if name in self._taken:
                raise ValueError(f'two layers are named "{name}"; names must differ')
        else:
            plain = self.prefix + snake(getattr(layer, "word", type(layer).__name__))
            count = self._counts.get(plain, 0)  # no name is ever given back
            others = self._taken | self._claimed
            while (name := f"{plain}_{count}" if count else plain) in others:
                count += 1
            self._counts[plain] = count + 1
        self._taken.add(name)
        self._known[id(layer)] = name
        self.layers.append(layer)
        return name


def label(layer: LayerLike) -> str:
    """Return how errors call a layer outside any network: ``Dense "fc1"``."""
    return f'{type(layer).__name__} "{layer.name or snake(type(layer).__name__)}"'


@functools.cache
def snake(name: str) -> str:
    """Return a class name as weights spell it: LeakyReLU gives leaky_relu, Conv2D conv2d."""
    for word in ("ReLU", "GELU", "SiLU", "ELU", "SwiGLU", "ReGLU"):
        name = name.replace(word, word.capitalize())
    name = name.replace("1D", "1d").replace("2D", "2d")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def shape_of(where: str, shape: object) -> Shape:
    """Return a shape without its batch axis as a tuple of positive ints.

    Raises
    ------
    TypeError, ValueError
        If it is no int or sequence of ints, or an axis is below 1.
    """
    items: list[Any] = list(shape) if isinstance(shape, (tuple, list)) else [shape]
    if not items:
        raise ValueError(f"{where}: expects a shape with at least one axis, got ()")
    for n in items:
        if isinstance(n, bool) or not hasattr(n, "__index__"):
            raise TypeError(f"{where}: expects a shape of ints without the batch, got {shape!r}")
    return tuple(whole(where, "every axis", n) for n in items)
