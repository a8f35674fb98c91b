"""The networks of the Visual Geometry Group."""

from ..checks.numbers import flag
from ..layers import BatchNorm, Conv2D, Flatten, Layer, MaxPool2D, ReLU
from ..network.model import Sequential
from .blocks import depth_of, hidden, logits

# Convolutions in each of the five stages.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)


def vgg(
    depth: int, classes: int = 1000, *, batch_norm: bool = False, dropout: float = 0.0
) -> Sequential:
    """Return VGG-11, 13, 16 or 19 (Simonyan & Zisserman 2015; A, B, D and E there).

    3x3 convolutions in five stages of 64 to 512 filters, a pool after each, two hidden layers of
    4096. For images 224x224x3 and 1000 classes, without batch normalisation:

    =====  ===========  ==============
    depth   parameters   multiply-adds
    =====  ===========  ==============
    11     132,863,336   7,609,090,048
    13     133,047,848  11,308,466,176
    16     138,357,544  15,470,264,320
    19     143,667,240  19,632,062,464
    =====  ===========  ==============

    Height and width must be at least 32.

    Parameters
    ----------
    depth
        11, 13, 16 or 19.
    classes
        Number of outputs.
    batch_norm
        Whether batch normalisation stands between convolution and ReLU.
    dropout
        Rate after both hidden layers, in [0, 1); 0.5 in the paper.

    Raises
    ------
    TypeError, ValueError
        If there is no such depth, or a number is out of range.
    """
    stages = STAGES[depth_of("vgg", depth, tuple(STAGES))]
    normalised = flag("vgg", "batch_norm", batch_norm)
    parts: list[Layer] = []
    for filters, count in zip(FILTERS, stages, strict=True):
        for _ in range(count):
            if normalised:
                parts += [Conv2D(filters, 3, padding=1, init="he"), BatchNorm(), ReLU()]
            else:
                parts.append(Conv2D(filters, 3, padding=1, activation="relu"))
        parts.append(MaxPool2D(2))
    return Sequential(
        *parts,
        Flatten(),
        *hidden(4096, 0.0),
        *hidden(4096, dropout),
        *logits("vgg", classes, dropout),
    )
