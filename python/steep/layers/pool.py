"""Layers that summarise windows of an image: largest value, mean, mean of all pixels."""

from .. import ops
from ..checks.numbers import flag, pair
from ..network import Layer, Tensor, label
from ..network.windows import PaddingLike, PairLike, padding_of


class MaxPool2D(Layer):
    """y = the largest value of each window and channel.

    Parameters
    ----------
    size
        Of the window, in pixels: an int, or a pair (rows, columns).
    stride
        From window to window: an int or a pair; None: the size.
    padding
        ``"valid"``, ``"same"``, an int, (rows, columns) or (top, bottom, left, right), as in
        `Conv2D`. Padding never wins.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, the input is no image, or the window does not fit into it.
    """

    def __init__(
        self,
        size: PairLike,
        stride: PairLike | None = None,
        padding: PaddingLike = "valid",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.size = pair(label(self), "size", size)
        self.stride = self.size if stride is None else pair(label(self), "stride", stride)
        self.padding = padding_of(label(self), padding)

    def call(self, x: Tensor) -> Tensor:
        """Pool."""
        return ops.max_pool(x, self.size, self.stride, self.padding)


class AvgPool2D(Layer):
    """y = the mean of each window and channel.

    Parameters
    ----------
    size
        Of the window, in pixels: an int, or a pair (rows, columns).
    stride
        From window to window: an int or a pair; None: the size.
    padding
        ``"valid"``, ``"same"``, an int, (rows, columns) or (top, bottom, left, right), as in
        `Conv2D`.
    count_padding
        Whether zeros of the padding count in the mean.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, the input is no image, or the window does not fit into it.
    """

    def __init__(
        self,
        size: PairLike,
        stride: PairLike | None = None,
        padding: PaddingLike = "valid",
        count_padding: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.size = pair(label(self), "size", size)
        self.stride = self.size if stride is None else pair(label(self), "stride", stride)
        self.padding = padding_of(label(self), padding)
        self.count_padding = flag(label(self), "count_padding", count_padding)

    def call(self, x: Tensor) -> Tensor:
        """Pool."""
        return ops.avg_pool(x, self.size, self.stride, self.padding, self.count_padding)


class GlobalAvgPool2D(Layer):
    """y = the mean over all pixels: (height, width, channels) gives (channels,) (Lin et al. 2014).

    Parameters
    ----------
    name
        Shown in summaries.
    """

    def call(self, x: Tensor) -> Tensor:
        """Pool."""
        return ops.global_avg_pool(x)


class GlobalMaxPool2D(Layer):
    """y = the largest of all pixels: (height, width, channels) gives (channels,).

    Parameters
    ----------
    name
        Shown in summaries.
    """

    def call(self, x: Tensor) -> Tensor:
        """Pool."""
        return ops.global_max_pool(x)
