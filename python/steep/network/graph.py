"""Symbolic tensors, the base class of layers, and the scope that lowers layers onto a native graph.

Networks live in `model`, concrete layers in `layers`, functions of tensors in `ops`.
"""

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, Union

from .. import _core
from ..checks.numbers import ANY, number, whole

Shape: TypeAlias = tuple[int, ...]
Key: TypeAlias = tuple[int, str]  # a parameter: the id of its layer, its name there
# A value that a network already has: its native network, its name and its shape there.
Source: TypeAlias = tuple[_core.Network, str, Shape]

DEEPEST = 250  # layers inside layers: each takes some of Python's stack while it is described
TALL = 20  # from here on, layers inside layers are copied and saved without recursion

# Before these the weights start with He's variance: about half of their input's is cut away.
RELU_LIKE = frozenset(_core.relu_like())

# Ops whose first input is a tensor and whose others are parameters, and how a mistake is told.
WEIGHTED = {
    "matmul": "x @ w expects w to be a parameter",
    "conv2d": "conv2d expects weight and bias to be parameters",
    "batch_norm": "batch_norm expects weight, bias and running statistics to be parameters",
}

_current: ContextVar["Scope"] = ContextVar("steep_scope")
_printing: ContextVar[int] = ContextVar(
    "steep_printing", default=0
)  # layers around the one printed


class Tensor:
    """A value of a network that is being described: a shape and where it comes from, no numbers.

    ``+ - *`` and ``/`` a number work on tensors of equal shapes, on a tensor and a number, and on a
    tensor and a parameter of its last axis; ``x @ w`` multiplies by a weight of shape (in, out).

    Parameters
    ----------
    shape
        Without the batch axis.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        source: tuple["Layer", tuple["Tensor", ...]] | None = None,
        scope: "Scope | None" = None,
        index: int = -1,
        parameter: str | None = None,
    ) -> None:
        self.shape = shape
        self.source = source  # of the functional form: the layer called, and on what
        self.scope = scope  # while a network is lowered: the graph this tensor belongs to ...
        self.index = index  # ... and its number there
        self.parameter = parameter  # its name, where this tensor is one

    def __repr__(self) -> str:
        what = f"parameter {self.parameter!r}" if self.parameter else "tensor"
        return f"<{what} of shape {self.shape}>"

    def __add__(self, other: Union["Tensor", float]) -> "Tensor":
        if isinstance(other, Tensor):
            return emit("add", self, other)
        return emit("affine", self, scale=1.0, shift=_plain(other))

    __radd__ = __add__

    def __sub__(self, other: Union["Tensor", float]) -> "Tensor":
        if isinstance(other, Tensor):
            return emit("subtract", self, other)
        return emit("affine", self, scale=1.0, shift=-_plain(other))

    def __rsub__(self, other: float) -> "Tensor":
        return emit("affine", self, scale=-1.0, shift=_plain(other))

    def __mul__(self, other: Union["Tensor", float]) -> "Tensor":
        if isinstance(other, Tensor):
            return emit("multiply", self, other)
        return emit("affine", self, scale=_plain(other), shift=0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> "Tensor":
        divisor = _plain(other)
        if divisor == 0.0:
            raise ValueError("a symbolic tensor cannot be divided by 0")
        return emit("affine", self, scale=_plain(1.0 / divisor), shift=0.0)

    def __pos__(self) -> "Tensor":
        return emit("affine", self, scale=1.0, shift=0.0)

    def __neg__(self) -> "Tensor":
        return emit("affine", self, scale=-1.0, shift=0.0)

    def __matmul__(self, other: "Tensor") -> "Tensor":
        return emit("matmul", self, other)


class Layer:
    """Describes one step of a network; subclass it and write `call`.

    A layer holds no weights: those belong to the network that uses it. Within one network a layer
    that is called twice shares its weights. Ten lines make a new one::

        class Scale(layers.Layer):
            def __init__(self, start=1.0, name=None):
                super().__init__(name)
                self.start = start

            def call(self, x):
                return x * self.parameter("scale", x.shape, init=self.start, decay=False)

    Parameters
    ----------
    name
        Begins the names of its weights; a network numbers layers without a name by their type.
    """

    name: str | None = None
    _arguments: dict[str, Any]

    def __init__(self, name: str | None = None) -> None:
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError(f"{type(self).__name__}: name must be a non-empty string, got {name!r}")
        self.name = name

    def __init_subclass__(cls, **options: Any) -> None:
        """Have the outermost constructor note its arguments: they are the layer's config."""
        super().__init_subclass__(**options)
        if "__init__" not in cls.__dict__:
            return
        init = cls.__init__
        signature = inspect.signature(init)

        @functools.wraps(init)
        def noting(self: Layer, *args: Any, **kwargs: Any) -> None:
            if "_arguments" not in self.__dict__:
                bound = signature.bind(self, *args, **kwargs)
                self._arguments = dict(list(bound.arguments.items())[1:])
            init(self, *args, **kwargs)

        cls.__init__ = noting  # type: ignore[method-assign]

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; ``from_config`` takes them back."""
        return dict(self.__dict__.get("_arguments", {}))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Layer":
        """Return a new layer made with the arguments that `config` returned."""
        args: list[Any] = []
        kwargs = dict(config)
        for name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:
            if parameter.kind is parameter.VAR_POSITIONAL:
                args = list(kwargs.pop(name, ()))
            elif parameter.kind is parameter.VAR_KEYWORD:
                kwargs.update(kwargs.pop(name, {}))
        return cls(*args, **kwargs)

    def _contents(self) -> dict[str, Any]:
        """Return the attributes that a copy or a pickle takes along."""
        return dict(self.__dict__)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy; of many layers inside each other the innermost come first.

        Whoever copies or pickles it then knows each layer before it meets the one around it, and
        does not descend from layer to layer until Python's stack ends.
        """
        state = self._contents()
        levels = levels_inside(self, lambda layer: layer._contents().values())
        # One in TALL is enough: the way from each to the next is short.
        inner = [layer for layer, height in levels if height % TALL == TALL - 1]
        return {"_inner": inner, **state} if inner else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({k: v for k, v in state.items() if k != "_inner"})

    def call(self, *inputs: Any, **options: Any) -> Tensor:  # so typed, any signature overrides it
        """Return the output tensor; runs only while the network is described."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, x)")

    def parameter(
        self,
        name: str,
        shape: Shape | int,
        init: object = None,
        decay: bool | None = None,
        trained: bool = True,
    ) -> Tensor:
        """Return a weight of this layer; only inside `call`.

        Parameters
        ----------
        name
            Of the weight within the layer: ``"weight"``.
        shape
            (in, out), (n,), or (height, width, in / groups, out) of a convolution.
        init
            A name, a number, an array or an initializer. None: "he" where the product goes into a
            ReLU-like activation, directly or through batch normalisation, "xavier" elsewhere, zeros
            for a vector.
        decay
            Whether penalties and weight decay apply; None: to all but vectors.
        trained
            Whether gradients move it; running statistics are not trained.

        Raises
        ------
        RuntimeError
            If no network is being described.
        """
        scope = _current.get(None)
        if scope is None:
            raise RuntimeError(f"{type(self).__name__}: parameter() works only inside call()")
        return scope.parameter(self, name, shape, init=init, decay=decay, trained=trained)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Put the layer behind `inputs`, symbolic tensors, and return its output."""
        for x in inputs:
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"{label(self)}: is called on symbolic tensors (steep.Input), got "
                    f"{type(x).__name__}. To compute numbers use net.predict(X)."
                )
        if not inputs:
            raise TypeError(f"{label(self)}: expects at least one tensor")
        scope = inputs[0].scope
        if scope is not None:
            return scope.run(self, inputs)
        # The functional form: a trial run on a graph of its own finds the shape, or the mistake.
        trial = Scope(inherits=False)
        given = [trial.input(x.shape) for x in inputs]
        shape = trial.run(self, given).shape
        trial.close()
        return Tensor(shape, source=(self, inputs))

    def __repr__(self) -> str:
        depth = _printing.get()
        if depth > TALL:
            return f"{type(self).__name__}(...)"
        token = _printing.set(depth + 1)
        try:
            items = [f"{name}={value!r}" for name, value in self.config().items()]
        finally:
            _printing.reset(token)
        return f"{type(self).__name__}({', '.join(items)})"


class Op(Layer):
    """One native op as a layer, for tensors of the functional form."""

    def __init__(self, kind: str, attributes: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.word = kind  # summaries call it so
        self.kind = kind
        self.attributes = attributes or {}

    def call(self, *inputs: Tensor) -> Tensor:
        """Emit the op."""
        return emit(self.kind, *inputs, **self.attributes)


def emit(op: str, /, *inputs: Tensor, **attributes: Any) -> Tensor:
    """Add one op to the network that `inputs` belong to and return its output."""
    for x in inputs:
        if not isinstance(x, Tensor):
            raise TypeError(f"{op}: expects symbolic tensors, got {type(x).__name__}")
    scope = inputs[0].scope
    if scope is None:
        return Op(op, attributes)(*inputs)
    return scope.emit(op, inputs, attributes)


@dataclass
class Weight:
    """What a scope knows of one parameter."""

    name: str
    shape: Shape
    layer: Layer
    title: str  # of the layer, for messages
    init: object
    trained: bool = True
    source: Source | None = None  # the nested network it begins with the value of, until then
    taken: bool = False  # whether it began so
    last: bool = False  # belongs to the last layer
    relu: bool = False  # its product goes into a ReLU-like activation
    groups: int = 1  # of the convolution it belongs to


@dataclass
class Row:
    """One layer of a summary."""

    depth: int
    name: str
    kind: str
    shape: Shape = ()
    weights: list[Weight] = field(default_factory=list)
    multiply_adds: int = 0  # of one sample, in products and convolutions


class Part(NamedTuple):
    """A network that stands in the one being described."""

    net: Any
    shapes: tuple[Shape, ...]  # of its inputs, where it was called first
    first: int  # the parameters it asked for lie here in the log of its scope
    last: int
    kept: bool  # it had weights before, which were taken over


class Scope:
    """One native graph under construction: names layers, shares their weights, labels mistakes.

    Parameters
    ----------
    inherits
        Whether nested networks that have weights pass them on.
    replaced
        The Store these weights come in place of, for networks to know theirs.
    """

    def __init__(self, *, inherits: bool = True, replaced: object = None) -> None:
        self.graph = _core.Graph()
        self.inherits, self.replaced = inherits, replaced
        self.weights: dict[Key, Weight] = {}  # by layer and name, in order
        self.tensors: dict[str, Tensor] = {}  # of parameters, by full name
        self.log: list[tuple[str, Shape]] = []  # parameters as they were asked for, again and again
        self.parts: dict[int, Part] = {}  # nested networks
        self.inherited: dict[Key, Source] = {}  # what nested networks have
        self.rows: list[Row] = []
        self.products: dict[int, Weight] = {}  # weight that made a tensor
        self.last_kind: dict[int, str] = {}  # op that made a tensor
        self.names: dict[int, str] = {}  # full name of each layer
        self.taken: set[str] = set()
        self.layers: list[Layer] = []  # keeps the ids above alive
        self.first: dict[int, str] = {}  # label of the layer that takes a tensor first
        self._counts: dict[str, int] = {}  # numbers given to layers without a name, by type
        self._by_name: dict[str, Weight] = {}
        self._stack: list[tuple[Row, str]] = []  # layers being called, with their labels
        self._prefix = ""
        self._blocks = 0  # recomputed blocks so far ...
        self._block = 0  # ... and the one being described, or 0

    def input(self, shape: Shape) -> Tensor:
        """Add an input of the network."""
        return Tensor(shape, scope=self, index=self.graph.input(shape))

    def run(self, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
        """Call a layer inside this graph."""
        for x in inputs:
            if x.scope is not self:
                raise ValueError(f"{label(layer)}: got tensors of two networks")
        if len(self._stack) >= DEEPEST:
            raise ValueError(
                f"{label(layer)}: more than {DEEPEST} layers stand inside each other; put them one "
                "after the other"
            )
        name = self._name(layer)
        row = Row(len(self._stack), name, type(layer).__name__)
        outer, token = self._prefix, _current.set(self)
        title = f'{row.kind} "{name}"'
        for x in inputs:
            self.first.setdefault(x.index, title)
        self.rows.append(row)
        self._stack.append((row, title))
        self.graph.name_next(title)
        if layer.name is not None:
            self._prefix = f"{name}."
        try:
            out = layer.call(*inputs)
        finally:
            self._prefix = outer
            self._stack.pop()
            self.graph.name_next(self._stack[-1][1] if self._stack else "")
            _current.reset(token)
        if not isinstance(out, Tensor) or out.scope is not self or out.parameter:
            raise TypeError(f"{title}: call must return one tensor of its network, got {out!r}")
        row.shape = out.shape
        return out

    def emit(self, kind: str, inputs: Sequence[Tensor], attributes: dict[str, Any]) -> Tensor:
        """Add one op."""
        if any(x.scope is not self for x in inputs):
            raise ValueError(f"{self.title}: {kind} got tensors of two networks")
        kind, inputs = self._of_parameter(kind, inputs)
        index = [x.index for x in inputs]
        if kind == "concat":
            out = self.graph.concat(index)
        else:
            out = getattr(self.graph, kind)(*index, **attributes)
        y = Tensor(tuple(self.graph.shape(out)), scope=self, index=out)
        self.last_kind[out] = attributes.get("kind", kind)
        if kind in ("matmul", "conv2d"):
            weight = self._by_name[str(inputs[1].parameter)]
            weight.groups = attributes.get("groups", 1)
            self.products[out] = weight
            if self._stack:  # every output pixel costs the whole weight once
                self._stack[-1][0].multiply_adds += math.prod((*weight.shape, *y.shape[:-1]))
        elif kind == "batch_norm" and index[0] in self.products:
            self.products[out] = self.products[index[0]]
        elif kind == "activation" and attributes["kind"] in RELU_LIKE and index[0] in self.products:
            self.products[index[0]].relu = True
        return y

    @contextmanager
    def recomputed(self) -> Iterator[None]:
        """Have the ops inside computed again for the backward pass; an outer block stays whole."""
        if self._block:
            yield
            return
        self._blocks += 1
        self._block = self._blocks
        self.graph.recompute(self._block)
        try:
            yield
        finally:
            self._block = 0
            self.graph.recompute(0)

    def parameter(
        self,
        layer: Layer,
        name: str,
        shape: Shape | int,
        *,
        init: object,
        decay: bool | None,
        trained: bool,
    ) -> Tensor:
        """Return the parameter of a layer, new or, where the layer was called before, the same."""
        size = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
        known = self.weights.get((id(layer), name))
        source = self.inherited.get((id(layer), name))
        if source is not None and source[2] != size:
            raise ValueError(
                f"{self.title}: stands in a network that was built before, where {name!r} has "
                f"shape {source[2]}; here it would have to be {size}. Make two layers."
            )
        if known is not None:
            if known.shape != size:
                raise ValueError(
                    f"{self.title}: is used twice and shares {name!r}, whose shape is "
                    f"{known.shape}; here it would have to be {size}. Make two layers."
                )
            if source is not None and not known.taken:
                known.source, known.taken = source, True
            self.log.append((known.name, size))
            return self.tensors[known.name]
        full = f"{self._name(layer)}.{name}"
        decayed = len(size) > 1 if decay is None else bool(decay)
        index = self.graph.parameter(full, size, decayed, bool(trained))
        tensor = self.tensors[full] = Tensor(size, scope=self, index=index, parameter=full)
        weight = Weight(full, size, layer, self.title, init, bool(trained), source)
        weight.taken = source is not None
        self.weights[id(layer), name] = self._by_name[full] = weight
        self.log.append((full, size))
        if self._stack:
            self._stack[-1][0].weights.append(weight)
        return tensor

    def close(self) -> None:
        """Let go of what is needed only while layers are called: it refers back to the scope."""
        for weight in self.weights.values():
            weight.last = weight.layer is self.layers[-1]
        self.tensors, self.inherited, self.layers = {}, {}, []

    @property
    def title(self) -> str:
        """The layer being called, for messages."""
        return self._stack[-1][1] if self._stack else "network"

    def _of_parameter(self, kind: str, inputs: Sequence[Tensor]) -> tuple[str, Sequence[Tensor]]:
        """Give ops on a parameter their own name, with the parameter last."""
        if kind in WEIGHTED:
            if inputs[0].parameter or not all(x.parameter for x in inputs[1:]):
                raise TypeError(f"{self.title}: {WEIGHTED[kind]}")
            return kind, inputs
        if len(inputs) == 2 and inputs[0].parameter and kind in ("add", "multiply"):
            inputs = inputs[::-1]
        if len(inputs) == 2 and inputs[1].parameter and kind in ("add", "multiply"):
            kind = f"{kind}_row"
            inputs_checked = inputs[:1]
        else:
            inputs_checked = inputs
        if any(x.parameter for x in inputs_checked):
            raise TypeError(
                f"{self.title}: {kind} does not take a parameter there; a parameter p can stand in "
                "x + p, x * p and x @ p"
            )
        return kind, inputs

    def _name(self, layer: Layer) -> str:
        """Return the full name of a layer, giving it one the first time."""
        if id(layer) in self.names:
            return self.names[id(layer)]
        if layer.name is not None:
            name = self._prefix + layer.name
            if name in self.taken:
                raise ValueError(f'two layers are named "{name}"; names must differ')
        else:
            word = getattr(layer, "word", type(layer).__name__)
            plain = self._prefix + snake(word)
            count = self._counts.get(plain, 0)  # no name is ever given back
            while (name := f"{plain}_{count}" if count else plain) in self.taken:
                count += 1
            self._counts[plain] = count + 1
        self.taken.add(name)
        self.names[id(layer)] = name
        self.layers.append(layer)
        return name


def label(layer: Layer) -> str:
    """Return how errors call a layer outside any network: ``Dense "fc1"``."""
    return f'{type(layer).__name__} "{layer.name or snake(type(layer).__name__)}"'


def levels_inside(
    layer: Layer, values: Callable[[Layer], Iterable[object]]
) -> list[tuple[Layer, int]]:
    """Return the layers inside a layer, each after those inside it, with how many levels it has.

    Parameters
    ----------
    layer
        The outermost; it is not returned.
    values
        What a layer consists of: layers, others, and lists, tuples and dicts of both.
    """
    height: dict[int, int] = {}  # by layer
    order: list[tuple[Layer, int]] = []
    stack: list[tuple[Layer, list[Layer] | None]] = [(layer, None)]
    while stack:
        one, inner = stack.pop()
        if inner is not None:
            height[id(one)] = 1 + max((height[id(x)] for x in inner), default=-1)
            order.append((one, height[id(one)]))
        elif id(one) not in height:
            height[id(one)] = 0
            inner = _layers_among(values(one))
            stack.append((one, inner))
            stack.extend((x, None) for x in reversed(inner))
    return order[:-1]


def _layers_among(values: Iterable[object]) -> list[Layer]:
    """Return the layers among values, and in lists, tuples and dicts of them."""
    found: list[Layer] = []
    stack = list(values)[::-1]
    while stack:
        value = stack.pop()
        if isinstance(value, Layer):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            stack.extend(reversed(value))
        elif isinstance(value, Mapping):
            stack.extend(reversed(list(value.values())))
    return found


def snake(name: str) -> str:
    """Return a class name as weights spell it: LeakyReLU gives leaky_relu, Conv2D conv2d."""
    for word in ("ReLU", "GELU", "SiLU", "ELU"):
        name = name.replace(word, word.capitalize())
    name = name.replace("2D", "2d")
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


def _plain(value: object) -> float:
    """Return the number beside an arithmetic sign."""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"a symbolic tensor combines with tensors and numbers, got {value!r}")
    if not isinstance(value, int):
        value = float(value)  # of whatever has one, such as a tensor of other libraries
    return number("a symbolic tensor", "what it combines with", value, ANY, single=True)
