"""Plain convolutional networks: convolutions with pools, then dense layers."""

from collections.abc import Sequence

from ..checks.numbers import FRACTION, number, whole
from ..layers import Conv2D, Flatten, Layer, MaxPool2D
from ..network.model import Sequential
from ..network.windows import PairLike
from .blocks import hidden, logits


def convnet(
    filters: Sequence[int] = (32, 64),
    units: Sequence[int] = (128,),
    classes: int = 10,
    *,
    kernel: PairLike = 3,
    dropout: float = 0.0,
) -> Sequential:
    """Return convolutions with ReLU and 2x2 max pools, then dense layers (LeCun et al. 1998).

    Every convolution keeps height and width, the pool after it halves them. With all arguments
    left open, for images 28x28x1: 421,642 parameters, 4,241,152 multiply-adds. Images (28, 28) are
    taken as they are.

    Parameters
    ----------
    filters
        Of the convolutions: ``(32, 64)``, or an int for one convolution.
    units
        Of the hidden dense layers: ``(128,)``, ``()`` for none.
    classes
        Number of outputs.
    kernel
        Height and width of the convolutions, or one number for both.
    dropout
        Rate before every dense layer, in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """
    filters = (filters,) if isinstance(filters, int) else tuple(filters)
    units = (units,) if isinstance(units, int) else tuple(units)
    rate = number("convnet", "dropout", dropout, FRACTION)
    parts: list[Layer] = []
    for size in filters:
        conv = Conv2D(whole("convnet", "filters", size), kernel, activation="relu")
        parts += [conv, MaxPool2D(2)]
    parts.append(Flatten())
    for size in units:
        parts += hidden(whole("convnet", "units", size), rate)
    return Sequential(*parts, *logits("convnet", classes, rate))
