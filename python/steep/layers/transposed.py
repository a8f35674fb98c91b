"""Layers that multiply by transposes: a convolution's, and that of another layer's weights."""

from .. import ops
from ..activations import ActivationLike, activation_layer
from ..checks.numbers import flag, pair, whole
from ..constraints import ConstraintLike, constraint_of
from ..network import Layer, Tensor, label, title_of
from ..network.windows import PaddingLike, PairLike, padding_of
from .conv import group_width
from .dense import Dense
from .embedding import Embedding


class Conv2DTranspose(Layer):
    """y = f(x spread over windows by W + b): (height, width, channels) gives a larger image.

    What carries a gradient back through `Conv2D` (Dumoulin & Visin 2016): every pixel of x is
    spread over a window of the result, from one to the next by the stride. A kernel that the stride
    divides reaches all pixels equally often; others leave checkerboards. (height, width) counts as
    one channel.

    Parameters
    ----------
    filters
        Number of output channels.
    kernel
        Of the window, in pixels: an int, or a pair (rows, columns).
    stride
        From window to window in the result: an int or a pair.
    padding
        Pixels cut off the result. ``"same"`` leaves size * stride, the odd one off below and to the
        right, as in Keras; ``"valid"`` leaves all, size * stride + max(window - stride, 0); an int
        for every side, (rows, columns) or (top, bottom, left, right) as PyTorch's padding.
    output_padding
        Rows and columns that the result has besides, below and to the right: an int or a pair,
        below stride or dilation; not with "same". None: none, or what "valid" wants.
    groups
        Parts of the channels that do not see each other; it divides channels and filters.
    dilation
        Distance between the pixels of a window: an int or a pair.
    activation
        f: a name, a layer such as ``LeakyReLU(0.1)``, or None for the identity.
    use_bias
        Whether there is a b; leave it out before `BatchNorm`, which has its own.
    init
        Of W, shape (rows, columns, filters / groups, channels), as in Keras: a name such as
        ``"he"``, one of `steep.initializers`, a number or an array. None: "he" before ReLU-like
        activations, also through `BatchNorm`, "xavier" before others. An output reads rows *
        columns * channels / groups / stride^2 numbers. b begins at 0.
    name
        Begins the names of the weights, ``name.weight`` and ``name.bias``.
    constraint
        What W is brought back to after every update: one of `steep.constraints`, a name or None.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, the input is no image, or the padding leaves nothing of it.
    """

    def __init__(  # noqa: PLR0917 - the order of Conv2D
        self,
        filters: int,
        kernel: PairLike,
        stride: PairLike = 1,
        padding: PaddingLike = "same",
        output_padding: PairLike | None = None,
        groups: int = 1,
        dilation: PairLike = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        init: object = None,
        name: str | None = None,
        *,
        constraint: ConstraintLike = None,
    ) -> None:
        super().__init__(name)
        where = label(self)
        self.filters = whole(where, "filters", filters)
        self.kernel = pair(where, "kernel", kernel)
        self.stride = pair(where, "stride", stride)
        self.padding = padding_of(where, padding)
        more = output_padding
        self.output_padding = None if more is None else pair(where, "output_padding", more, 0)
        self.groups = whole(where, "groups", groups)
        self.dilation = pair(where, "dilation", dilation)
        self.activation = activation_layer(activation)
        self.use_bias = flag(where, "use_bias", use_bias)
        self.init = init
        self.constraint = None if constraint is None else constraint_of(where, constraint)
        if self.filters % self.groups:
            raise ValueError(f"{where}: {groups} groups must divide the {filters} filters")

    def call(self, x: Tensor) -> Tensor:
        """Spread, add, activate."""
        x = ops.as_image(x)
        group_width(self, x, self.groups)  # they divide the channels
        shape = (*self.kernel, self.filters // self.groups, x.shape[-1])
        weight = self.parameter("weight", shape, self.init, constraint=self.constraint)
        bias = self.parameter("bias", (self.filters,)) if self.use_bias else None
        y = ops.conv2d_transpose(
            x,
            weight,
            bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return y if self.activation is None else self.activation.call(y)


class TiedDense(Layer):
    """y = f(x W^T + b) with the W of a layer of the same network: (..., n) gives (..., units).

    The decoder of a tied autoencoder, or the logits of a language model (Press & Wolf 2017): both
    layers move the one W, whose gradient is the sum of both, at a row of padding, too::

        encoder = layers.Dense(32, "tanh")
        net = steep.Sequential(encoder, layers.TiedDense(encoder, 784))

    Parameters
    ----------
    layer
        The `Dense` or `Embedding` whose weight is used; it has n units.
    units
        Number of outputs: of what that layer takes in, or its vocabulary.
    activation
        f: a name, a layer, or None for the identity.
    use_bias
        Whether there is a b, this layer's own.
    name
        Begins the name of the bias, ``name.bias``.

    Raises
    ------
    TypeError, ValueError
        If `layer` is neither, or sizes do not fit.
    """

    def __init__(
        self,
        layer: Dense | Embedding,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if not isinstance(layer, (Dense, Embedding)):
            raise TypeError(
                f"{label(self)}: expects the Dense or Embedding whose weight it uses, got {layer!r}"
            )
        self.layer = layer
        self.units = whole(label(self), "units", units)
        self.activation = activation_layer(activation)
        self.use_bias = flag(label(self), "use_bias", use_bias)

    def call(self, x: Tensor) -> Tensor:
        """Multiply, add, activate."""
        of = self.layer
        if x.shape[-1] != of.units:
            raise ValueError(
                f"{title_of(x, label(self))}: expects ({of.units},), the outputs of "
                f"{label(of)}, got {x.shape}"
            )
        if isinstance(of, Embedding) and self.units != of.vocabulary:
            raise ValueError(
                f"{title_of(x, label(self))}: {label(of)} has {of.vocabulary} rows, got "
                f"{self.units} units"
            )
        weight = of.weight() if isinstance(of, Embedding) else of._weight(self.units)
        bias = self.parameter("bias", (self.units,)) if self.use_bias else None
        y = ops.matmul(x, weight, bias, transposed=True)
        return y if self.activation is None else self.activation.call(y)
