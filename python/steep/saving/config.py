"""Turns the description of a network into JSON and back. Weights and files live elsewhere."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import constraints, data, initializers, layers, schedules
from ..checks.names import choose
from ..importing.vectors import Scale, Shift
from ..network.layer import TALL, Layer, Op, levels_inside
from ..network.model import Model, Sequential

_BUILT_IN: dict[str, type[Layer]] = {
    name: getattr(layers, name) for name in layers.__all__ if name != "Layer"
} | {"Sequential": Sequential, "Model": Model, "Op": Op, "Shift": Shift, "Scale": Scale}

_MATRICES: dict[str, type[data.Sparse]] = {"Graph": data.Graph, "Sparse": data.Sparse}
_DESCRIBED: dict[str, Any] = {
    "initializer": initializers,
    "constraint": constraints,
    "schedule": schedules,
}


class Encoder:
    """Describes layers as JSON; arrays among their arguments are put aside by name.

    A layer that stands in two places is described once, so that it still shares its weights.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self._seen: dict[int, int] = {}
        self._matrices: dict[int, dict[str, Any]] = {}
        self._alive: list[Layer | data.Sparse] = []
        self._inside = False  # the layers inside the one being described were looked through

    def encode(self, value: Any) -> Any:  # noqa: PLR0911 - one for each kind
        """Return `value` as JSON can hold it.

        Raises
        ------
        TypeError
            If it is no layer, initialiser, constraint or schedule, nor made of numbers, text,
            lists, dicts and arrays.
        """
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, (list, tuple)):
            return [self.encode(item) for item in value]
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            name = f"config/{len(self.arrays)}"
            self.arrays[name] = value
            return {"array": name}
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            # In the order of the file: so arrays have the same numbers whenever they are written.
            return {"dict": {key: self.encode(value[key]) for key in sorted(value)}}
        if isinstance(value, Layer):
            return self._layer(value)
        if type(value) in _MATRICES.values():
            return self._matrix(value)
        for room in _DESCRIBED.values():
            if room.TABLE.get(type(value).__name__) is type(value):
                return value.get_config()
        raise TypeError(f"{type(value).__name__} cannot be saved: {value!r}")

    def _matrix(self, matrix: data.Sparse) -> dict[str, Any]:
        known = self._matrices.get(id(matrix))
        if known is None:
            self._alive.append(matrix)
            known = {"matrix": type(matrix).__name__, "number": len(self._matrices)}
            self._matrices[id(matrix)] = known
            known["rows"] = self.encode(matrix.config())
        return known

    def _layer(self, layer: Layer) -> dict[str, Any]:
        if id(layer) in self._seen:
            return {"same": self._seen[id(layer)]}
        # Of many layers inside each other some come first, so that none stands deep in the JSON.
        outermost, inner = not self._inside, []
        if outermost:
            levels = levels_inside(layer, lambda one: one.config().values())
            self._inside = True
            inner = [self._layer(one) for one, height in levels if height % TALL == TALL - 1]
        number = self._seen[id(layer)] = len(self._seen)
        self._alive.append(layer)
        config = {key: self.encode(item) for key, item in layer.config().items()}
        described = {"layer": type(layer).__name__, "number": number, "config": config}
        if inner:
            described["inner"] = inner
        self._inside = not outermost
        return described


class Decoder:
    """Makes layers from their description.

    Parameters
    ----------
    arrays
        What the encoder put aside.
    custom
        Classes of layers that are not steep's own, by name.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], custom: Mapping[str, type[Layer]]):
        self._arrays = arrays
        self._known = _BUILT_IN | dict(custom)
        self._seen: dict[int, Layer] = {}
        self._matrices: dict[int, data.Sparse] = {}

    def decode(self, value: Any) -> Any:  # noqa: PLR0911 - one for each kind
        """Return what `value` describes.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it describes nothing known.
        """
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "array" in value:
            return self._arrays[value["array"]]
        for kind, room in _DESCRIBED.items():
            if kind in value:
                return room.from_config(value)
        if "matrix" in value:
            return self._matrix(value)
        if "dict" in value:
            return {key: self.decode(item) for key, item in value["dict"].items()}
        return self._seen[value["same"]] if "same" in value else self._layer(value)

    def _matrix(self, value: dict[str, Any]) -> data.Sparse:
        number = value["number"]
        if number not in self._matrices:
            made = choose("matrix", value["matrix"], _MATRICES)
            self._matrices[number] = made.from_rows(**self.decode(value["rows"]))
        return self._matrices[number]

    def _layer(self, value: dict[str, Any]) -> Layer:
        for inner in value.get("inner", ()):
            self.decode(inner)
        name = value["layer"]
        try:
            made = choose("layer", name, self._known)
        except ValueError as error:
            raise ValueError(
                f'{error}. A layer of your own: custom_objects={{"{name}": {name}}} or net=...'
            ) from None
        layer = made.from_config({k: self.decode(v) for k, v in value["config"].items()})
        self._seen[value["number"]] = layer
        return layer
