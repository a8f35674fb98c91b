"""U-Net: a class for every pixel."""

from ..checks.numbers import flag, whole
from ..layers import Activation, Branches, Conv2D, Conv2DTranspose, Layer, MaxPool2D
from ..network.model import Sequential
from .blocks import conv_norm


def unet(
    depth: int = 4,
    filters: int = 64,
    classes: int = 2,
    *,
    convolutions: int = 2,
    batch_norm: bool = False,
) -> Sequential:
    """Return a U-Net (Ronneberger, Fischer and Brox 2015): logits (height, width, classes).

    `depth` times the image is halved and its filters are doubled, and back; on the way back what
    was there at that size before is laid beside. Unlike the paper, convolutions keep height and
    width, so that every pixel has its class. With all arguments left open, for images 128x128x1:
    31,030,658 parameters.

    Train it with labels (N, height, width) and ``"cross_entropy"``; with ``classes=1`` with masks
    (N, height, width, 1) and ``"binary_cross_entropy"``.

    Parameters
    ----------
    depth
        How often the image is halved: height and width are multiples of 2^depth.
    filters
        Of the convolutions at full size.
    classes
        Outputs of each pixel.
    convolutions
        3x3 convolutions with ReLU at each size, on each side.
    batch_norm
        Whether each of them is normalised, and has no bias then.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range; when it is built, if a size is not halved without a rest.
    """
    depth = whole("unet", "depth", depth, high=12)
    filters = whole("unet", "filters", filters)
    count = whole("unet", "convolutions", convolutions)
    normed = flag("unet", "batch_norm", batch_norm)

    def block(level: int) -> list[Layer]:
        n = filters << level
        if normed:
            return [layer for _ in range(count) for layer in conv_norm(n, 3)]
        return [Conv2D(n, 3, activation="relu") for _ in range(count)]

    parts = block(depth)
    for level in range(depth - 1, -1, -1):
        up = Conv2DTranspose(filters << level, 2, 2)
        below = Sequential(MaxPool2D(2), *parts, up, name=f"level{level + 1}")
        parts = [*block(level), Branches(Activation("linear"), below), *block(level)]
    return Sequential(*parts, Conv2D(whole("unet", "classes", classes), 1, name="classes"))
