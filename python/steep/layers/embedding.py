"""Layers that make rows of numbers of tokens, positions and images. Attention: `attention`."""

from dataclasses import dataclass

import numpy as np

from .. import ops
from ..checks.numbers import flag, pair, whole
from ..initializers import Initializer, Normal, Place, Uniform
from ..initializers.base import Values
from ..network import Layer, Tensor, label, title_of
from ..network.initializers import Init, draw
from ..network.windows import PairLike

_SMALL = Normal(0.02)


@dataclass(frozen=True)
class _WithoutRow(Initializer):
    """Values of another initialiser with a row of zeros."""

    of: Init
    row: int

    def values(self, place: Place) -> Values:
        """Return the other's values; the row's are 0."""
        values = np.array(
            draw(self.of, place.shape, place.fan_in, place.fan_out, seed=place.seed,
                 stream=place.stream)
        )  # fmt: skip
        values[self.row] = 0.0
        return values


class Embedding(Layer):
    """y = the rows of W that ids name: (T,) whole numbers give (T, units).

    The gradient adds up the rows of all occurrences of an id, in the order of samples and
    positions. Rules that leave a weight without a gradient where it is (SGD, AdaGrad, without
    decay) pass over rows that no sample has; others move those, too, as in PyTorch and Keras: by
    momentum and running averages.

    Parameters
    ----------
    vocabulary
        How many rows there are; ids are from 0 to one less, at most 2^24.
    units
        Numbers in a row.
    init
        Of W, (vocabulary, units): a name, one of `steep.initializers`, a number or an array. None:
        U(-0.05, 0.05), Keras' choice; PyTorch has N(0, 1), GPT-2 N(0, 0.02).
    padding
        An id whose row begins at 0 and stays there: it gets no gradient. None: no such id.
    sparse
        Whether a step leaves rows alone that no sample of the batch has, with all rules, slots and
        decay: another algorithm than theirs, "lazy" in other libraries.
    name
        Begins the name of the weight, ``name.weight``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range. Ids that are not whole or out of range are refused before the
        first step, with row and position.
    """

    def __init__(  # noqa: PLR0917 - as users write them
        self,
        vocabulary: int,
        units: int,
        init: object = None,
        padding: int | None = None,
        sparse: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        where = label(self)
        self.vocabulary = whole(where, "vocabulary", vocabulary)
        self.units = whole(where, "units", units)
        self.init = init
        self.padding = None if padding is None else whole(where, "padding", padding, 0)
        self.sparse = flag(where, "sparse", sparse)
        if self.padding is not None and self.padding >= self.vocabulary:
            raise ValueError(
                f"{where}: padding must be an id from 0 to {self.vocabulary - 1}, got {padding}"
            )

    def weight(self) -> Tensor:
        """Return W, inside a network; ``x @ embedding.weight().T`` are the logits of a tied output.

        Raises
        ------
        RuntimeError
            If no network is being described.
        """
        first: object = Uniform(0.05) if self.init is None else self.init
        if self.padding is not None:
            first = _WithoutRow(first, self.padding)  # type: ignore[arg-type]
        return self.parameter("weight", (self.vocabulary, self.units), first)

    def call(self, x: Tensor) -> Tensor:
        """Pick rows."""
        return ops.embedding(x, self.weight(), self.padding)


class PositionEmbedding(Layer):
    """y = x + W for a W (T, d) that is learned: a row for each position (Gehring et al. 2017).

    Parameters
    ----------
    init
        Of W: a name, one of `steep.initializers`, a number or an array. None: N(0, 0.02).
    name
        Begins the name of the weight, ``name.weight``.

    Raises
    ------
    ValueError
        If the input is not (positions, width).
    """

    def __init__(self, init: object = None, name: str | None = None) -> None:
        super().__init__(name)
        self.init = init

    def call(self, x: Tensor) -> Tensor:
        """Add the rows of the positions."""
        positions_of(self, x)
        first = _SMALL if self.init is None else self.init
        return ops.add_table(x, self.parameter("weight", x.shape, first))


class SinusoidalPositions(Layer):
    """y = x + p, p[t, 2i] = sin(t/10000^(2i/d)), p[t, 2i+1] its cosine (Vaswani et al. 2017).

    Sines and cosines alternate, as in the paper; Keras and tensor2tensor have them in halves.

    Parameters
    ----------
    name
        Shown in summaries.

    Raises
    ------
    ValueError
        If the input is not (positions, width).
    """

    def call(self, x: Tensor) -> Tensor:
        """Add the waves."""
        length, width = positions_of(self, x)
        angles = np.arange(length)[:, None] / 10000.0 ** (np.arange(width) // 2 * 2 / width)
        waves = np.where(np.arange(width) % 2 == 0, np.sin(angles), np.cos(angles))
        flat = ops.reshape(x, (length * width,))
        shifted = ops.normalize(flat, (-waves).ravel().tolist(), [1.0] * (length * width))
        return ops.reshape(shifted, x.shape)


class ClassToken(Layer):
    """y = [token, x]: a learned row before all positions, (T, d) gives (T + 1, d).

    The output at it stands for the whole sample (Devlin et al. 2019; Dosovitskiy et al. 2021).

    Parameters
    ----------
    init
        Of the token (d,). None: N(0, 0.02).
    name
        Begins the name of the weight, ``name.token``.

    Raises
    ------
    ValueError
        If the input is not (positions, width).
    """

    def __init__(self, init: object = None, name: str | None = None) -> None:
        super().__init__(name)
        self.init = init

    def call(self, x: Tensor) -> Tensor:
        """Put the token first."""
        _, width = positions_of(self, x)
        token = self.parameter("token", (width,), _SMALL if self.init is None else self.init)
        zeros = ops.stop_gradient(ops.slice(x, 0, 1, axis=0)) * 0.0
        return ops.concat([zeros + token, x], axis=0)


class Position(Layer):
    """y = the row of one position: (T, d) gives (d,).

    Parameters
    ----------
    index
        Which one; negative ones count from the end.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If it is no int, the input is not (positions, width), or has no such position.
    """

    def __init__(self, index: int = 0, name: str | None = None) -> None:
        super().__init__(name)
        self.index = whole(label(self), "index", index, -(2**31))

    def call(self, x: Tensor) -> Tensor:
        """Take the row."""
        length, width = positions_of(self, x)
        at = self.index + length * (self.index < 0)
        if not 0 <= at < length:
            raise ValueError(
                f"{title_of(x, label(self))}: there is no position {self.index} among {length}"
            )
        return ops.reshape(ops.slice(x, at, at + 1, axis=0), (width,))


class PatchEmbedding(Layer):
    """y = patches of an image times W, plus b: (height, width, channels) gives (T, units).

    A convolution whose stride is its kernel (Dosovitskiy et al. 2021); patches go row by row.

    Parameters
    ----------
    size
        Of a patch: an int or a pair (rows, columns), which divide the image.
    units
        Numbers that a patch becomes.
    init
        Of W, (rows, columns, channels, units); None as in `Conv2D`.
    name
        Begins the names of the weights, ``name.weight`` and ``name.bias``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or patches do not fill the image.
    """

    def __init__(
        self, size: PairLike, units: int, init: object = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.size = pair(label(self), "size", size)
        self.units = whole(label(self), "units", units)
        self.init = init

    def call(self, x: Tensor) -> Tensor:
        """Multiply each patch."""
        x = ops.as_image(x)
        height, width, channels = x.shape
        if height % self.size[0] or width % self.size[1]:
            raise ValueError(
                f"{title_of(x, label(self))}: patches of {self.size} do not fill an image of "
                f"{(height, width)}"
            )
        weight = self.parameter("weight", (*self.size, channels, self.units), self.init)
        bias = self.parameter("bias", (self.units,))
        y = ops.conv2d(x, weight, bias, stride=self.size, padding="valid")
        return ops.reshape(y, (y.shape[0] * y.shape[1], self.units))


def positions_of(layer: Layer, x: Tensor) -> tuple[int, int]:
    """Return positions and width; refuse other inputs."""
    if len(x.shape) != 2:
        raise ValueError(f"{title_of(x, label(layer))}: expects (positions, width), got {x.shape}")
    return x.shape[0], x.shape[1]
