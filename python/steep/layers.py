"""The layers: each describes a step of a network in terms of `ops`, forward only.

The base class is in `graph`, activations are in `activations`, networks in `model`. Shapes leave
out the batch axis.
"""

from . import ops
from .activations import (
    ELU,
    GELU,
    Activation,
    ActivationLike,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    activation_layer,
)
from .graph import Layer, Shape, Tensor, label, shape_of
from .names import choose
from .ranges import ANY, FRACTION, flag, number

__all__ = [
    "ELU",
    "GELU",
    "Activation",
    "Branches",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "Rescale",
    "Reshape",
    "Residual",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
]


class Dense(Layer):
    """y = f(x W + b): (n,) gives (units,).

    Parameters
    ----------
    units
        Number of outputs.
    activation
        f: a name, a layer such as ``LeakyReLU(0.1)``, or None for the identity.
    use_bias
        Whether there is a b.
    init
        Of W, shape (n, units): ``"he"``, ``"xavier"``, ``"xavier_in"``, ``"zeros"``, a number or an
        array. None: "he" before ReLU-like activations, "xavier" before others. b begins at 0.
    name
        Begins the names of the weights, ``name.weight`` and ``name.bias``.

    Raises
    ------
    ValueError
        If the input has more than one axis.
    """

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        init: object = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.units = _count(self, "units", units)
        self.activation = activation_layer(activation)
        self.use_bias = flag("Dense", "use_bias", use_bias)
        self.init = init

    def call(self, x: Tensor) -> Tensor:
        """Multiply, add, activate."""
        if len(x.shape) != 1:
            raise ValueError(
                f"{x.scope.title if x.scope else label(self)}: expects one axis of inputs, got "
                f"{x.shape}. Put Flatten() before it."
            )
        weight = self.parameter("weight", (x.shape[0], self.units), self.init)
        bias = self.parameter("bias", (self.units,)) if self.use_bias else None
        y = ops.matmul(x, weight, bias)
        return y if self.activation is None else self.activation.call(y)


class Dropout(Layer):
    """Drops a random part of its input while training (Srivastava et al. 2014).

    Parameters
    ----------
    rate
        Probability of dropping, in [0, 1).
    redraw
        ``"step"``: another mask each step; ``"epoch"``: one mask an epoch.
    scale_at
        ``"train"``: what is kept is divided by 1 - rate, testing does nothing (inverted dropout);
        ``"test"``: testing multiplies by 1 - rate.
    name
        Shown in summaries.
    """

    def __init__(
        self, rate: float, redraw: str = "step", scale_at: str = "train", name: str | None = None
    ) -> None:
        super().__init__(name)
        self.rate = number("Dropout", "rate", rate, FRACTION)
        choose("dropout redraw", redraw, dict.fromkeys(("step", "epoch")))
        choose("dropout scale_at", scale_at, dict.fromkeys(("train", "test")))
        self.redraw, self.scale_at = redraw, scale_at

    def call(self, x: Tensor) -> Tensor:
        """Drop."""
        return ops.dropout(x, self.rate, self.redraw, self.scale_at)


class Flatten(Layer):
    """Gives (a, b, ...) as (a*b*...,), in C order."""

    def call(self, x: Tensor) -> Tensor:
        """Reshape to one axis."""
        return ops.flatten(x)


class Reshape(Layer):
    """Gives its input under another shape of as many elements, in C order.

    Parameters
    ----------
    shape
        Without the batch axis; one axis may be -1.
    name
        Shown in summaries.
    """

    def __init__(self, shape: Shape, name: str | None = None) -> None:
        super().__init__(name)
        items = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        shape_of(label(self), tuple(1 if n == -1 else n for n in items))
        if items.count(-1) > 1:
            raise ValueError(f"{label(self)}: at most one axis may be -1, got {shape}")
        self.shape = items

    def call(self, x: Tensor) -> Tensor:
        """Reshape."""
        return ops.reshape(x, self.shape)


class Rescale(Layer):
    """y = scale*x + shift; ``Rescale(1/255)`` brings uint8 images to [0, 1].

    Parameters
    ----------
    scale, shift
        Numbers.
    name
        Shown in summaries.
    """

    def __init__(self, scale: float, shift: float = 0.0, name: str | None = None) -> None:
        super().__init__(name)
        self.scale = number("Rescale", "scale", scale, ANY)
        self.shift = number("Rescale", "shift", shift, ANY)

    def call(self, x: Tensor) -> Tensor:
        """Scale and shift."""
        return ops.affine(x, self.scale, self.shift)


class Residual(Layer):
    """y = f(body(x) + shortcut(x)) (He et al. 2016).

    Parameters
    ----------
    *body
        Layers, one after the other.
    shortcut
        A layer for the way past the body, where its shapes differ; None for the identity.
    activation
        f: a name, a layer or None.
    name
        Prefix of the names inside.
    """

    def __init__(
        self,
        *body: Layer,
        shortcut: Layer | None = None,
        activation: ActivationLike = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.body = layers_of(self, body)
        self.shortcut = None if shortcut is None else layers_of(self, (shortcut,))[0]
        self.activation = activation_layer(activation)

    def call(self, x: Tensor) -> Tensor:
        """Add what went through the body to what went past it."""
        y = x
        for layer in self.body:
            y = layer(y)
        if self.shortcut is not None:
            x = self.shortcut(x)
        if x.shape != y.shape:
            raise ValueError(
                f"{x.scope.title if x.scope else label(self)}: the body gives {y.shape}, the way "
                f"past it {x.shape}. Give a shortcut layer such as Dense({y.shape[0]})."
            )
        total = ops.add(y, x)
        return total if self.activation is None else self.activation.call(total)


class Branches(Layer):
    """Several layers on the same input, joined: y = [b1(x), b2(x), ...] or b1(x) + b2(x) + ...

    Parameters
    ----------
    *branches
        Layers; a `Sequential` where a branch has several.
    join
        ``"concat"`` or ``"add"``.
    name
        Prefix of the names inside.
    """

    def __init__(self, *branches: Layer, join: str = "concat", name: str | None = None) -> None:
        super().__init__(name)
        self.branches = layers_of(self, branches)
        self.join = choose("join of Branches", join, {"concat": "concat", "add": "add"})

    def call(self, x: Tensor) -> Tensor:
        """Run every branch and join what they give."""
        outs = [branch(x) for branch in self.branches]
        if self.join == "concat":
            return ops.concat(outs)
        total = outs[0]
        for out in outs[1:]:
            total = ops.add(total, out)
        return total


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


def _count(layer: Layer, name: str, value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{label(layer)}: {name} must be an int, got {value!r}")
    if int(value) < 1:
        raise ValueError(f"{label(layer)}: {name} must be at least 1, got {value}")
    return int(value)
