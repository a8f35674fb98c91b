"""Networks: `Sequential` and `Model`, their weights, prediction, summary. Training is `trainer`.

A network is described in Python and lowered once, at `build`, to a native one with the weights.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core, inputs
from .checkpoint import read_weights, write_weights
from .graph import Layer, Scope, Shape, Tensor, label, shape_of
from .layers.combine import layers_of
from .weights import PRECISIONS, first_value, fitting, init_name

Array: TypeAlias = NDArray[Any]


class Network(Layer):
    """What `Sequential` and `Model` share: weights, prediction, summary. Not used by itself."""

    _native: _core.Network | None = None
    _scope: Scope
    _shapes: tuple[Shape, ...] | None = None  # of the inputs, once known
    _output_shapes: tuple[Shape, ...] = ()
    last_kind: str = ""  # op that makes the output

    # -- what the two kinds differ in ----------------------------------------------------------

    def lower(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs for these inputs, inside the scope the inputs belong to."""
        raise NotImplementedError

    def call(self, *tensors: Tensor) -> Tensor:
        """Stand as a layer in another network; weights already there are taken over at build."""
        scope = tensors[0].scope
        assert scope is not None
        if self._native is not None:
            scope.sources.append(self._weight_of)
        outputs = self.lower(tensors)
        if len(outputs) != 1:
            raise ValueError(f"{label(self)}: has {len(outputs)} outputs; a layer has one")
        return outputs[0]

    # -- building ------------------------------------------------------------------------------

    def build(
        self, input_shape: Shape | int | Sequence[Shape] | None = None, seed: int = 0
    ) -> "Network":
        """Fix the input shape and draw the initial weights; building again draws them anew.

        Parameters
        ----------
        input_shape
            Without the batch axis; a list of shapes for several inputs; None where it is known.
        seed
            The weights are a pure function of it, of the parameter's place and of its shape.

        Raises
        ------
        ValueError
            If the shapes do not fit; the message begins with the layer.
        """
        self.build_for(self._given(input_shape), inputs.seed(seed), "float32")
        return self

    def build_for(self, shapes: tuple[Shape, ...], seed: int, precision: str) -> None:
        """Build for these input shapes in this precision."""
        scope = Scope()
        given = [scope.input(shape) for shape in shapes]
        # An output that is an input, such as Flatten of one axis, becomes a copy of it.
        outputs = [+y if y in given else y for y in self.lower(given)]
        scope.graph.output([y.index for y in outputs])
        native = _core.Network(scope.graph, precision)
        for index, weight in enumerate(scope.weights.values()):
            first = first_value(weight, scope, seed, index)
            native.set(weight.name, first.astype(PRECISIONS[precision]))
        self._native, self._scope = native, scope
        self._shapes = shapes
        self._output_shapes = tuple(y.shape for y in outputs)
        self.last_kind = scope.last_kind.get(outputs[0].index, "")

    @property
    def native(self) -> _core.Network:
        """The native network; built with seed 0 where it was not yet."""
        if self._native is None:
            if self._shapes is None:
                raise RuntimeError(
                    f"{label(self)}: its input shape is not known yet. Call "
                    "net.build(input_shape), or fit it first."
                )
            self.build_for(self._shapes, 0, "float32")
        assert self._native is not None
        return self._native

    @property
    def built(self) -> bool:
        """Whether the weights are there."""
        return self._native is not None

    @property
    def input_shapes(self) -> tuple[Shape, ...] | None:
        """Shapes of the inputs without the batch axis, or None while unknown."""
        return self._shapes

    @property
    def output_shapes(self) -> tuple[Shape, ...]:
        """Shapes of the outputs without the batch axis; empty before `build`."""
        return self._output_shapes

    @property
    def input_labels(self) -> list[str]:
        """For each input the layer that takes it first, for messages."""
        if self._native is None or self._shapes is None:
            return [label(self)] * max(1, len(self._shapes or ()))
        return [self._scope.first.get(i, label(self)) for i in range(len(self._shapes))]

    # -- use -----------------------------------------------------------------------------------

    def predict(self, X: Any, batch_size: int = 256) -> Any:
        """Return the outputs for X, dropout off.

        Parameters
        ----------
        X
            Array (N, ...), or a list of arrays for several inputs. float32, float64 and uint8 of
            any strides are read in place.
        batch_size
            Samples at a time; changes the memory used, not the result.

        Returns
        -------
        numpy.ndarray
            (N, ...) float32 (float64 in that precision), N = 0 too; a list for several outputs.

        Raises
        ------
        TypeError, ValueError
            If X does not fit the network or is not finite.
        """
        if self._native is None and self._shapes is not None:
            self.build_for(self._shapes, 0, "float32")
        precision = "float32" if self._native is None else self._native.precision
        arrays = inputs.features(X, self, empty=True, precision=precision)
        if self._native is None:
            self.build_for(tuple(a.shape[1:] for a in arrays), 0, "float32")
        outputs = self.native.predict(arrays, inputs.count("batch_size", batch_size))
        return outputs[0] if len(outputs) == 1 else outputs

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned; running statistics are not."""
        return self._count(trained=True)

    @property
    def multiply_adds(self) -> int:
        """Multiplications with an addition that one sample costs in products and convolutions."""
        assert self.native is not None  # builds where the shape is known
        return sum(row.multiply_adds for row in self._scope.rows)

    def _count(self, trained: bool) -> int:
        assert self.native is not None
        weights = self._scope.weights.values()
        return sum(math.prod(w.shape) for w in weights if w.trained is trained)

    def summary(self) -> str:
        """Return a table: layer, output shape, parameters, multiply-adds, how its weights begin.

        Multiply-adds are those of products and convolutions for one sample. Parameters that are
        kept but not learned, such as running statistics, are counted by themselves.
        """
        native = self.native
        untrained = self._count(trained=False)
        table = [["layer", "output shape", "parameters", "untrained", "multiply-adds", "init"]]
        for row in self._scope.rows:
            sizes = [
                sum(math.prod(w.shape) for w in row.weights if w.trained is trained)
                for trained in (True, False)
            ]
            begin = ", ".join(init_name(w) for w in row.weights if len(w.shape) > 1)
            title = f"{'  ' * row.depth}{row.name} ({row.kind})"
            numbers = (f"{n:,}" for n in (*sizes, row.multiply_adds))
            table.append([title, str(row.shape), *numbers, begin])
        if not untrained:
            table = [[*line[:3], *line[4:]] for line in table]
        text = _aligned(table)
        text.append(f"inputs {', '.join(map(str, self._shapes or ()))}")
        kept = f", and {untrained:,} that are not trained" if untrained else ""
        text.append(f"parameters {self.num_parameters:,}{kept}  ({native.precision})")
        text.append(f"multiply-adds {self.multiply_adds:,} a sample")
        return "\n".join(text)

    # -- weights -------------------------------------------------------------------------------

    def state_dict(self) -> "OrderedDict[str, Array]":
        """Return the weights by name, in order of definition, as copies in their logical shapes."""
        native = self.native
        return OrderedDict((name, np.array(native.get(name))) for name, _ in native.parameters())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set every weight; all or, where something does not fit, none.

        Raises
        ------
        TypeError, ValueError
            Naming what is missing, unknown, of the wrong shape or not finite.
        """
        native = self.native
        checked = fitting(native, state)
        for name, array in checked.items():
            native.set(name, array)

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Write `state_dict` as a safetensors file, whole or not at all.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        write_weights(path, self.state_dict())

    def load_weights(self, path: str | PathLike[str]) -> None:
        """Set every weight from a safetensors file; nothing changes where it does not fit.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If it is damaged, is no safetensors file, or belongs to another network.
        """
        state = read_weights(path)
        try:
            self.load_state_dict(state)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None

    # -- inside --------------------------------------------------------------------------------

    def _given(self, input_shape: Any) -> tuple[Shape, ...]:
        """Return the input shapes `build` was asked for."""
        if input_shape is None:
            if self._shapes is None:
                raise ValueError(f"{label(self)}: build needs the input_shape, without the batch")
            return self._shapes
        several = isinstance(input_shape, list) and all(
            isinstance(s, (tuple, list)) for s in input_shape
        )
        items = input_shape if several else [input_shape]
        return tuple(shape_of(label(self), shape) for shape in items)

    def _weight_of(self, layer: Layer, name: str) -> Array | None:
        known = self._scope.weights.get((id(layer), name))
        return None if known is None else np.array(self.native.get(known.name))

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle as description and weights; the native part is built again."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("_native", "_scope")}
        if self._native is not None:
            state["_saved"] = (self._native.precision, dict(self.state_dict()))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.pop("_saved", None)
        self.__dict__.update(state)
        if saved is not None and self._shapes is not None:
            self.build_for(self._shapes, 0, saved[0])
            self.load_state_dict(saved[1])


class Sequential(Network):
    """Layers one after the other; nests.

    Parameters
    ----------
    *layers
        Layers, or one list of them.
    input_shape
        Without the batch axis; where it is left out, `build` or the first `fit` tells it.
    name
        Prefix of the names inside, where the network stands in another.

    Raises
    ------
    TypeError
        If something is no layer.
    """

    def __init__(
        self, *layers: Any, input_shape: Shape | int | None = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.layers = layers_of(self, layers)
        if input_shape is not None:
            self._shapes = (shape_of(label(self), input_shape),)

    def lower(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Call the layers in turn."""
        if len(tensors) != 1:
            raise ValueError(f"{label(self)}: takes one input, got {len(tensors)}")
        x = tensors[0]
        for layer in self.layers:
            x = layer(x)
        return [x]


class Model(Network):
    """Any graph of layers, from symbolic inputs to outputs.

    Parameters
    ----------
    inputs, outputs
        A tensor or a list of them; the inputs from `Input`.
    name
        Prefix of the names inside, where the network stands in another.

    Raises
    ------
    ValueError
        If an output depends on a tensor that is not among the inputs.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None) -> None:
        super().__init__(name)
        self.inputs = _tensors("inputs", inputs)
        self.outputs = _tensors("outputs", outputs)
        self._shapes = tuple(x.shape for x in self.inputs)
        self._order = _order(self.inputs, self.outputs)

    def lower(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Call every layer on what its inputs have become."""
        if len(tensors) != len(self.inputs):
            raise ValueError(f"{label(self)}: takes {len(self.inputs)} inputs, got {len(tensors)}")
        value = {id(x): t for x, t in zip(self.inputs, tensors, strict=True)}  # by tensor
        for y in self._order:
            assert y.source is not None
            layer, sources = y.source
            value[id(y)] = layer(*(value[id(x)] for x in sources))
        return [value[id(y)] for y in self.outputs]

    def config(self) -> dict[str, Any]:
        """Return the graph as lists: the shapes of the inputs, the calls, the outputs."""
        place = {id(t): k for k, t in enumerate((*self.inputs, *self._order))}
        calls = [
            [t.source[0], [place[id(x)] for x in t.source[1]]] for t in self._order if t.source
        ]
        return {
            "shapes": [x.shape for x in self.inputs],
            "calls": calls,
            "outputs": [place[id(y)] for y in self.outputs],
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Model":
        """Return the network that `config` described."""
        tensors = [Input(tuple(shape)) for shape in config["shapes"]]
        count = len(tensors)
        for layer, sources in config["calls"]:
            tensors.append(layer(*(tensors[k] for k in sources)))
        outputs = [tensors[k] for k in config["outputs"]]
        return cls(tensors[:count], outputs, config.get("name"))


def Input(shape: Shape | int) -> Tensor:
    """Return a symbolic input of a network.

    Parameters
    ----------
    shape
        Without the batch axis: ``(784,)``.
    """
    return Tensor(shape_of("Input", shape))


def _aligned(table: list[list[str]]) -> list[str]:
    """Return the lines of a table under its head: two columns of text, numbers, text."""
    size = [max(map(len, column)) for column in zip(*table, strict=True)]
    sides = ["<", "<", *">" * (len(size) - 3), "<"]
    lines = [
        "  ".join(f"{cell:{side}{n}}" for cell, side, n in zip(line, sides, size, strict=True))
        for line in table
    ]
    rule = "-" * (sum(size) + 2 * len(size) - 2)
    return [lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), rule]


def _tensors(what: str, given: Any) -> list[Tensor]:
    items = list(given) if isinstance(given, (list, tuple)) else [given]
    if not items:
        raise ValueError(f"Model: {what} is empty")
    for item in items:
        if not isinstance(item, Tensor):
            raise TypeError(f"Model: {what} must be symbolic tensors, got {type(item).__name__}")
    if what == "inputs" and any(x.source is not None for x in items):
        raise ValueError("Model: inputs must come from steep.Input")
    return items


def _order(inputs: list[Tensor], outputs: list[Tensor]) -> list[Tensor]:
    """Return every tensor that a layer makes, each after those it is made from."""
    done = {id(x) for x in inputs}
    order: list[Tensor] = []
    stack = [(y, False) for y in reversed(outputs)]
    while stack:
        y, ready = stack.pop()
        if id(y) in done:
            continue
        if y.source is None:
            raise ValueError(f"Model: depends on an input of shape {y.shape} that is not listed")
        if ready:
            done.add(id(y))
            order.append(y)
            continue
        stack.append((y, True))
        stack.extend((x, False) for x in reversed(y.source[1]))
    return order
