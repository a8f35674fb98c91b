"""The convolutional layer. What it becomes is in `ops`, window sizes are in `network.windows`."""

from .. import ops
from ..activations import ActivationLike, activation_layer
from ..checks.numbers import flag, pair, whole
from ..constraints import ConstraintLike, constraint_of
from ..network import Layer, Tensor, label, title_of
from ..network.windows import PaddingLike, PairLike, padding_of


class Conv2D(Layer):
    """y = f(x correlated with W + b): (height, width, channels) gives (height', width', filters).

    (height, width) counts as one channel. ``groups`` as many as channels make it depthwise.

    Parameters
    ----------
    filters
        Number of output channels.
    kernel
        Of the window, in pixels: an int, or a pair (rows, columns).
    stride
        From window to window: an int or a pair.
    padding
        Zeros around the image: ``"same"``, ``"valid"``, an int for every side, (rows, columns) or
        (top, bottom, left, right). "same" gives ceil(size / stride) outputs, the odd zero below and
        to the right.
    groups
        Parts of the channels that do not see each other; it divides channels and filters.
    dilation
        Distance between the pixels of a window: an int or a pair.
    activation
        f: a name, a layer such as ``LeakyReLU(0.1)``, or None for the identity.
    use_bias
        Whether there is a b; leave it out before `BatchNorm`, which has its own.
    init
        Of W, shape (rows, columns, channels / groups, filters): a name such as ``"he"`` or
        ``"delta_orthogonal"``, one of `steep.initializers`, a number or an array. None: "he" before
        ReLU-like activations, also through `BatchNorm`, "xavier" before others. A filter has rows *
        columns * channels / groups inputs. b begins at 0.
    name
        Begins the names of the weights, ``name.weight`` and ``name.bias``.
    constraint
        What W is brought back to after every update: one of `steep.constraints`, a name or None.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, the input is no image, or the window does not fit into it.
    """

    def __init__(  # noqa: PLR0917 - the order of other libraries, too
        self,
        filters: int,
        kernel: PairLike,
        stride: PairLike = 1,
        padding: PaddingLike = "same",
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
        self.groups = whole(where, "groups", groups)
        self.dilation = pair(where, "dilation", dilation)
        self.activation = activation_layer(activation)
        self.use_bias = flag(where, "use_bias", use_bias)
        self.init = init
        self.constraint = None if constraint is None else constraint_of(where, constraint)
        if self.filters % self.groups:
            raise ValueError(f"{where}: {groups} groups must divide the {filters} filters")

    def call(self, x: Tensor) -> Tensor:
        """Correlate, add, activate."""
        x = ops.as_image(x)
        shape = (*self.kernel, group_width(self, x, self.groups), self.filters)
        weight = self.parameter("weight", shape, self.init, constraint=self.constraint)
        bias = self.parameter("bias", (self.filters,)) if self.use_bias else None
        y = ops.conv2d(
            x,
            weight,
            bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return y if self.activation is None else self.activation.call(y)


def group_width(layer: Layer, x: Tensor, groups: int) -> int:
    """Return how many of x's channels a group sees; refuses what does not divide them."""
    channels = x.shape[-1]
    if channels % groups:
        raise ValueError(
            f"{title_of(x, label(layer))}: {groups} groups must divide the {channels} channels of "
            "its input"
        )
    return channels // groups
