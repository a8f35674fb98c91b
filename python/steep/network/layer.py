"""The base class of layers, single ops as layers, and the functional form of networks.

Networks live in `model`, concrete layers in `steep.layers`, functions of tensors in `ops`.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any

from .. import schedules
from ..checks.numbers import ANY, flag
from .naming import label
from .scope import Scope, being_described
from .tensor import Shape, Tensor, emit

TALL = 20  # from here on, layers inside layers are copied and saved without recursion

_freezes = [0]  # how often any layer's weights were frozen or freed

_printing: ContextVar[int] = ContextVar("steep_printing", default=0)  # layers around the printed


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
    _trainable: bool = True
    names_inside = False  # whether layers inside have its name before theirs, though it has none

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
        names = list(signature.parameters)[1:]
        kinds = {p.kind for p in signature.parameters.values()}
        several = kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}

        @functools.wraps(init)
        def noting(self: Layer, *args: Any, **kwargs: Any) -> None:
            if "_arguments" not in self.__dict__:
                if several:
                    bound = signature.bind(self, *args, **kwargs)
                    self._arguments = dict(list(bound.arguments.items())[1:])
                else:  # the same, many times faster; what does not fit, init refuses
                    rest = {name: kwargs[name] for name in names if name in kwargs}
                    self._arguments = dict(zip(names, args, strict=False)) | rest
            init(self, *args, **kwargs)

        cls.__init__ = noting  # type: ignore[method-assign]

    @property
    def trainable(self) -> bool:
        """Whether training moves its weights; False holds for the layers inside it, too.

        The weights of a frozen layer stay as they are to the bit, its batch normalisation goes by
        its running statistics. What is assigned counts for trainers that have done no step yet.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(label(self), "trainable", value)
        note_freeze()

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
        *,
        constraint: object = None,
    ) -> Tensor:
        """Return a weight of this layer; only inside `call`.

        Parameters
        ----------
        name
            Of the weight within the layer: ``"weight"``.
        shape
            (in, out), (n,), or (height, width, in / groups, out) of a convolution, (length, in /
            groups, out) of one along a sequence.
        init
            A name, a number, an array or one of `steep.initializers`. None: "he" where the product
            goes into a ReLU-like activation, directly or through batch normalisation, "xavier"
            elsewhere, zeros for a vector.
        decay
            Whether penalties and weight decay apply; None: to all but vectors.
        trained
            Whether gradients move it; running statistics are not trained.
        constraint
            What it is brought back to after every update: one of `steep.constraints`, a name or
            None.

        Raises
        ------
        RuntimeError
            If no network is being described.
        """
        scope = being_described.get(None)
        if scope is None:
            raise RuntimeError(f"{type(self).__name__}: parameter() works only inside call()")
        return scope.parameter(
            self, name, shape, init=init, decay=decay, trained=trained, constraint=constraint
        )

    def add_loss(self, x: Tensor, weight: Any = 1.0, name: str | None = None) -> None:
        """Add a loss to what training makes small; only inside `call`.

        Parameters
        ----------
        x
            Any tensor: the loss of a sample is the sum of its elements, whose mean over the samples
            of a batch counts.
        weight
            What it is multiplied by: a number, or a schedule for every step.
        name
            In histories; None: that of the layer.

        Raises
        ------
        TypeError, ValueError
            If `x` is no tensor of the network, or the weight no finite number or schedule.
        """
        if not isinstance(x, Tensor):
            raise TypeError(f"{label(self)}: add_loss takes a symbolic tensor, got {x!r}")
        add_loss(x, weight, name)

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
        return inputs[0]._scope.run(self, inputs)

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


def note_freeze() -> None:
    """Count a change of what is frozen, anywhere."""
    _freezes[0] += 1


def freezes() -> int:
    """Return how often what is frozen was changed: as long as it is the same, nothing has."""
    return _freezes[0]


def add_loss(x: Tensor, weight: Any = 1.0, name: str | None = None) -> Tensor:
    """Add the sum of a tensor's elements to what training makes small, and return the tensor.

    `Layer.add_loss` says what the arguments are. In the functional form go on with what it returns.

    Raises
    ------
    TypeError, ValueError
        As `Layer.add_loss`.
    """
    if name is not None and (not isinstance(name, str) or not name):
        raise TypeError(f"add_loss: name must be a non-empty string, got {name!r}")
    return emit(
        "add_loss", x, weight=schedules.base.of("add_loss", "weight", weight, ANY), name=name
    )


class _Functional:
    """The functional form: a layer called on symbolic tensors is noted, not lowered."""

    title = ""

    def run(self, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
        """Note a call; a trial on a graph of its own finds the shape, or the mistake."""
        trial = Scope(inherits=False)
        given = [trial.input(x.shape) for x in inputs]
        y = trial.run(layer, given)
        trial.close(given, [y])
        return symbolic(y.shape, layer, inputs)

    def emit(self, kind: str, inputs: Sequence[Tensor], attributes: dict[str, Any]) -> Tensor:
        """Note an op."""
        return self.run(Op(kind, attributes), inputs)

    def recomputed(self) -> AbstractContextManager[None]:
        """Change nothing: nothing is computed here."""
        return nullcontext()

    def spectral(self, layer: Layer) -> AbstractContextManager[None]:
        """Change nothing: nothing is computed here."""
        return nullcontext()

    def __reduce__(self) -> str:
        """Stay the one there is through copies and pickles."""
        return "_FUNCTIONAL"


_FUNCTIONAL = _Functional()


def symbolic(shape: Shape, layer: Layer | None = None, inputs: Sequence[Tensor] = ()) -> Tensor:
    """Return a tensor of the functional form: an input, or what a layer gives on others."""
    source = None if layer is None else (layer, tuple(inputs))
    return Tensor(shape, scope=_FUNCTIONAL, source=source)


def layers_of(owner: Layer, given: tuple[object, ...]) -> tuple[Layer, ...]:
    """Return layers given one by one or as one list.

    Raises
    ------
    TypeError, ValueError
        If there is none, or something is no layer.
    """
    items = given[0] if len(given) == 1 and isinstance(given[0], (list, tuple)) else given
    assert isinstance(items, (list, tuple))
    if not items:
        raise ValueError(f"{label(owner)}: expects at least one layer")
    for item in items:
        if isinstance(item, type):
            raise TypeError(f"{label(owner)}: got the class {item.__name__}; write its parentheses")
        if not isinstance(item, Layer):
            raise TypeError(f"{label(owner)}: expects layers, got {item!r}")
    return tuple(items)


def levels_inside(
    layer: Layer, values: Callable[[Layer], Iterable[object]]
) -> list[tuple[Layer, int]]:
    """Return the layers inside a layer, each after those inside it, with how many levels it has.

    `values` says what a layer consists of: layers, others, lists, tuples and dicts of both.
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
