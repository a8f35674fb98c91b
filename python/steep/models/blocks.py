"""What several networks of the zoo are made of; no network lives here."""

from ..checks.numbers import pair, whole
from ..layers import BatchNorm, Conv2D, Dense, Dropout, Layer, ReLU
from ..network.windows import PaddingLike, PairLike


def conv_norm(
    filters: int,
    kernel: PairLike,
    stride: PairLike = 1,
    padding: PaddingLike | None = None,
    relu: bool = True,
) -> list[Layer]:
    """Return a convolution without bias, batch normalisation and, unless told otherwise, ReLU.

    The padding is half the kernel on every side where none is given.
    """
    if padding is None:
        rows, columns = pair("conv_norm", "kernel", kernel)
        padding = (rows // 2, columns // 2)
    conv = Conv2D(filters, kernel, stride, padding, use_bias=False, init="he")
    return [conv, BatchNorm(), *([ReLU()] if relu else [])]


def norm_conv(filters: int, kernel: int, stride: int = 1) -> list[Layer]:
    """Return batch normalisation, ReLU and a convolution without bias: the pre-activation order."""
    conv = Conv2D(filters, kernel, stride, kernel // 2, use_bias=False, init="he")
    return [BatchNorm(), ReLU(), conv]


def hidden(units: int, dropout: float) -> list[Layer]:
    """Return a hidden dense layer with ReLU and, where its rate is not 0, dropout before it."""
    before: list[Layer] = [Dropout(dropout)] if dropout else []
    return [*before, Dense(units, "relu")]


def logits(where: str, classes: int, dropout: float = 0.0) -> list[Layer]:
    """Return the last layer, one output for each class, and dropout before it where asked for."""
    before: list[Layer] = [Dropout(dropout)] if dropout else []
    return [*before, Dense(whole(where, "classes", classes), name="classes")]


def depth_of(where: str, depth: object, known: tuple[int, ...]) -> int:
    """Return a depth that is known; ValueError otherwise, TypeError where it is no int."""
    number = whole(where, "depth", depth)
    if number not in known:
        raise ValueError(f"{where}: depth must be one of {known}, got {number}")
    return number
