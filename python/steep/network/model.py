"""The two kinds of networks: `Sequential` and `Model`. What they share is in `network`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .layer import layers_of, symbolic
from .naming import label, shape_of
from .network import Network
from .scope import Scope
from .tensor import LayerLike, Shape, Tensor

__all__ = ["Input", "Model", "Network", "Sequential"]


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

    def _lower(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Call the layers in turn."""
        if len(tensors) != 1:
            raise ValueError(f"{label(self)}: takes one input, got {len(tensors)}")
        x = tensors[0]
        for layer in self.layers:
            x = x._scope.run(layer, [x])  # layer(x), with less of Python's stack
        return [x]


# A layer, the numbers of the tensors it is called on, the shape it gives.
_Call: TypeAlias = tuple[LayerLike, list[int], Shape]


class Model(Network):
    """Any graph of layers, from symbolic inputs to outputs.

    Parameters
    ----------
    inputs, outputs
        A tensor or a list of them; the inputs from `Input`. Outputs may have names, ``{"class": a,
        "box": b}``: `predict` returns a dict, and a `Trainer` takes losses and targets by them.
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
        if isinstance(outputs, Mapping):
            self.output_names = _names(outputs)
            outputs = list(outputs.values())
        self.outputs = _tensors("outputs", outputs)
        self._shapes = tuple(x.shape for x in self.inputs)
        self._order = _order(self.inputs, self.outputs)

    def _lower(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Call every layer on what its inputs have become."""
        if len(tensors) != len(self.inputs):
            raise ValueError(f"{label(self)}: takes {len(self.inputs)} inputs, got {len(tensors)}")
        scope = tensors[0]._scope
        assert isinstance(scope, Scope)
        scope.claim(y._source[0] for y in self._order if y._source is not None)
        value = {id(x): t for x, t in zip(self.inputs, tensors, strict=True)}  # by tensor
        for y in self._order:
            assert y._source is not None
            layer, sources = y._source
            value[id(y)] = tensors[0]._scope.run(layer, [value[id(x)] for x in sources])
        return [value[id(y)] for y in self.outputs]

    def config(self) -> dict[str, Any]:
        """Return the graph as lists: the shapes of the inputs, the calls, the outputs."""
        shapes, calls, outputs = self._lists()
        return {
            "shapes": shapes,
            "calls": [[layer, places] for layer, places, _ in calls],
            "outputs": outputs,
            "name": self.name,
            **({"names": list(self.output_names)} if self.output_names is not None else {}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Model":
        """Return the network that `config` described."""
        tensors = [Input(tuple(shape)) for shape in config["shapes"]]
        count = len(tensors)
        for layer, sources in config["calls"]:
            given = [tensors[k] for k in sources]  # some layers give their tensors one by one
            tensors.append(given[0]._scope.run(layer, given))
        outputs: Any = [tensors[k] for k in config["outputs"]]
        if config.get("names") is not None:
            outputs = dict(zip(config["names"], outputs, strict=True))
        return cls(tensors[:count], outputs, config.get("name"))

    def _lists(self) -> tuple[list[Shape], list[_Call], list[int]]:
        """Return the shapes of the inputs, the calls and which tensors are the outputs."""
        place = {id(t): k for k, t in enumerate((*self.inputs, *self._order))}
        calls: list[_Call] = [
            (t._source[0], [place[id(x)] for x in t._source[1]], t.shape)
            for t in self._order
            if t._source is not None
        ]
        return [x.shape for x in self.inputs], calls, [place[id(y)] for y in self.outputs]

    def _contents(self) -> dict[str, Any]:
        """Return the description, the graph as lists: its tensors are a chain without an end."""
        tensors = ("inputs", "outputs", "_order", "_arguments")
        state = {k: v for k, v in super()._contents().items() if k not in tensors}
        return {**state, "_graph": self._lists()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        shapes, calls, outputs = state["_graph"]
        tensors = [symbolic(shape) for shape in shapes]
        for layer, places, shape in calls:
            tensors.append(symbolic(shape, layer, [tensors[k] for k in places]))
        self.inputs, self._order = tensors[: len(shapes)], tensors[len(shapes) :]
        self.outputs = [tensors[k] for k in outputs]
        super().__setstate__({k: v for k, v in state.items() if k != "_graph"})


def Input(shape: Shape | int) -> Tensor:
    """Return a symbolic input of a network.

    Parameters
    ----------
    shape
        Without the batch axis: ``(784,)``. ``()``: one number a sample, such as the length of a
        sequence, which is then (1,) here and comes as (N,) or (N, 1).
    """
    return symbolic(shape_of("Input", 1 if shape == () else shape))


def _tensors(what: str, given: Any) -> list[Tensor]:
    items = list(given) if isinstance(given, (list, tuple)) else [given]
    if not items:
        raise ValueError(f"Model: {what} is empty")
    for item in items:
        if not isinstance(item, Tensor):
            raise TypeError(f"Model: {what} must be symbolic tensors, got {type(item).__name__}")
    if what == "inputs" and any(x._source is not None for x in items):
        raise ValueError("Model: inputs must come from steep.Input")
    return items


def _names(outputs: Mapping[Any, Any]) -> tuple[str, ...]:
    for name in outputs:
        if not isinstance(name, str) or not name or "/" in name:
            raise TypeError(f"Model: names of outputs are strings without a slash, got {name!r}")
    return tuple(outputs)


def _order(inputs: list[Tensor], outputs: list[Tensor]) -> list[Tensor]:
    """Return every tensor that a layer makes, each after those it is made from."""
    done = {id(x) for x in inputs}
    order: list[Tensor] = []
    stack = [(y, False) for y in reversed(outputs)]
    while stack:
        y, ready = stack.pop()
        if id(y) in done:
            continue
        if y._source is None:
            raise ValueError(f"Model: depends on an input of shape {y.shape} that is not listed")
        if ready:
            done.add(id(y))
            order.append(y)
            continue
        stack.append((y, True))
        stack.extend((x, False) for x in reversed(y._source[1]))
    return order
