"""Layers that only arrange what they are given: flatten, reshape, repeat, zeros around an image."""

from .. import ops
from ..checks.numbers import pair, whole
from ..network import Layer, Shape, Tensor, label, shape_of, title_of
from ..network.windows import PaddingLike, PairLike, padding_of


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
        for n in items:
            if n != -1:
                whole(label(self), "shape", n)
        shape_of(label(self), tuple(1 if n == -1 else n for n in items))
        if items.count(-1) > 1:
            raise ValueError(f"{label(self)}: at most one axis may be -1, got {shape}")
        self.shape = items

    def call(self, x: Tensor) -> Tensor:
        """Reshape."""
        return ops.reshape(x, self.shape)


class RepeatVector(Layer):
    """Gives (u,) as (n, u): n times the same, for what follows to act on every position.

    Parameters
    ----------
    n
        How often.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If it is no int, below 1, or the input has several axes.
    """

    def __init__(self, n: int, name: str | None = None) -> None:
        super().__init__(name)
        self.n = whole(label(self), "n", n)

    def call(self, x: Tensor) -> Tensor:
        """Repeat."""
        if len(x.shape) != 1:
            raise ValueError(f"{title_of(x, label(self))}: expects one axis, got {x.shape}")
        return ops.repeat(x, self.n)


class UpSample2D(Layer):
    """Repeats every pixel: (h, w, c) gives (h*size, w*size, c), by its nearest neighbour.

    Parameters
    ----------
    size
        How often: an int, or a pair (rows, columns).
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If a number is no int, or below 1.
    """

    def __init__(self, size: PairLike = 2, name: str | None = None) -> None:
        super().__init__(name)
        self.size = pair(label(self), "size", size, 1)

    def call(self, x: Tensor) -> Tensor:
        """Repeat."""
        return ops.upsample(x, self.size)


class ZeroPad2D(Layer):
    """Puts zeros around an image, and before or after its channels.

    Parameters
    ----------
    padding
        An int for every side, a pair (rows, columns), or (top, bottom, left, right).
    channels
        Channels of zeros: an int for both ends, or a pair (before, after).
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If a number is no int, or below 0.
    """

    def __init__(
        self, padding: PaddingLike = 0, channels: PairLike = 0, name: str | None = None
    ) -> None:
        super().__init__(name)
        sides = padding_of(label(self), padding)
        if isinstance(sides, str):
            raise ValueError(f'{label(self)}: padding must be ints, got "{sides}"')
        self.padding = sides
        self.channels = pair(label(self), "channels", channels, 0)

    def call(self, x: Tensor) -> Tensor:
        """Pad."""
        top, bottom, left, right = self.padding
        return ops.zero_pad(x, (top, bottom), (left, right), self.channels)
