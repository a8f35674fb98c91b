"""Layers of sequences (length, channels): convolution and pools along time. Ops are in `ops`."""

from .. import ops
from ..activations import ActivationLike, activation_layer
from ..checks.numbers import flag, whole
from ..network import Layer, Tensor, label
from ..network.windows import EndsLike, ends_of
from .conv import group_width


class Conv1D(Layer):
    """y = f(x correlated with W + b): (length, channels) gives (length', filters).

    (length,) counts as one channel. ``groups`` as many as channels make it depthwise.

    Parameters
    ----------
    filters
        Number of output channels.
    kernel
        Steps of the window.
    stride
        From window to window.
    padding
        Zeros around the sequence: ``"same"``, ``"valid"``, ``"causal"``, an int for both ends, or
        (before, after). "same" gives ceil(length / stride) outputs, the odd zero at the end;
        "causal" as many, but no output sees what comes later.
    groups
        Parts of the channels that do not see each other; it divides channels and filters.
    dilation
        Distance between the steps of a window.
    activation
        f: a name, a layer such as ``LeakyReLU(0.1)``, or None for the identity.
    use_bias
        Whether there is a b; leave it out before `BatchNorm`, which has its own.
    init
        Of W, shape (kernel, channels / groups, filters), as `Conv2D` takes it. None: "he" before
        ReLU-like activations, also through `BatchNorm`, "xavier" before others. A filter has kernel
        * channels / groups inputs. b begins at 0.
    name
        Begins the names of the weights, ``name.weight`` and ``name.bias``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, the input is no sequence, or the window does not fit into it.
    """

    def __init__(  # noqa: PLR0917 - the order of other libraries, too
        self,
        filters: int,
        kernel: int,
        stride: int = 1,
        padding: EndsLike = "same",
        groups: int = 1,
        dilation: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        init: object = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        where = label(self)
        self.filters = whole(where, "filters", filters)
        self.kernel = whole(where, "kernel", kernel)
        self.stride = whole(where, "stride", stride)
        self.padding = ends_of(where, padding, causal=True)
        self.groups = whole(where, "groups", groups)
        self.dilation = whole(where, "dilation", dilation)
        self.activation = activation_layer(activation)
        self.use_bias = flag(where, "use_bias", use_bias)
        self.init = init
        if self.filters % self.groups:
            raise ValueError(f"{where}: {self.groups} groups must divide the {filters} filters")

    def call(self, x: Tensor) -> Tensor:
        """Correlate, add, activate."""
        x = ops.as_sequence(x)
        shape = (self.kernel, group_width(self, x, self.groups), self.filters)
        weight = self.parameter("weight", shape, self.init)
        bias = self.parameter("bias", (self.filters,)) if self.use_bias else None
        y = ops.conv1d(
            x,
            weight,
            bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return y if self.activation is None else self.activation.call(y)


class MaxPool1D(Layer):
    """y = the largest value of each window and channel of a sequence.

    Parameters
    ----------
    size
        Steps of the window.
    stride
        From window to window; None: the size.
    padding
        ``"valid"``, ``"same"``, an int for both ends, or (before, after), as in `Conv1D`. Padding
        never wins.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, the input is no sequence, or the window does not fit into it.
    """

    def __init__(
        self,
        size: int,
        stride: int | None = None,
        padding: EndsLike = "valid",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.size = whole(label(self), "size", size)
        self.stride = self.size if stride is None else whole(label(self), "stride", stride)
        self.padding = ends_of(label(self), padding)

    def call(self, x: Tensor) -> Tensor:
        """Pool."""
        return ops.max_pool1d(x, self.size, self.stride, self.padding)


class AvgPool1D(Layer):
    """y = the mean of each window and channel of a sequence.

    Parameters
    ----------
    size
        Steps of the window.
    stride
        From window to window; None: the size.
    padding
        ``"valid"``, ``"same"``, an int for both ends, or (before, after), as in `Conv1D`.
    count_padding
        Whether zeros of the padding count in the mean.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, the input is no sequence, or the window does not fit into it.
    """

    def __init__(
        self,
        size: int,
        stride: int | None = None,
        padding: EndsLike = "valid",
        count_padding: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.size = whole(label(self), "size", size)
        self.stride = self.size if stride is None else whole(label(self), "stride", stride)
        self.padding = ends_of(label(self), padding)
        self.count_padding = flag(label(self), "count_padding", count_padding)

    def call(self, x: Tensor) -> Tensor:
        """Pool."""
        return ops.avg_pool1d(x, self.size, self.stride, self.padding, self.count_padding)


class GlobalMaxPool1D(Layer):
    """y = the largest value of each channel: (length, channels) gives (channels,).

    Parameters
    ----------
    name
        Shown in summaries.
    """

    def call(self, x: Tensor) -> Tensor:
        """Pool."""
        return ops.flatten(ops.max_pool1d(x, x.shape[0]))


class GlobalAvgPool1D(Layer):
    """y = the mean of each channel: (length, channels) gives (channels,).

    Parameters
    ----------
    name
        Shown in summaries.
    """

    def call(self, x: Tensor) -> Tensor:
        """Pool."""
        return ops.flatten(ops.avg_pool1d(x, x.shape[0]))
