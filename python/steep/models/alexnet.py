"""AlexNet in one tower."""

from ..checks.numbers import flag
from ..layers import Conv2D, Flatten, Layer, LocalResponseNorm, MaxPool2D
from ..network.model import Sequential
from .blocks import hidden, logits


def alexnet(classes: int = 1000, *, dropout: float = 0.0, local_norm: bool = False) -> Sequential:
    """Return AlexNet (Krizhevsky et al. 2012) in one tower (Krizhevsky 2014).

    Five convolutions of 64, 192, 384, 256 and 256 filters, overlapping pools, two hidden layers of
    4096. For images 224x224x3 and 1000 classes: 61,100,840 parameters, 714,188,480 multiply-adds.
    Height and width must be at least 63.

    Parameters
    ----------
    classes
        Number of outputs.
    dropout
        Rate before both hidden layers, in [0, 1); 0.5 in the paper.
    local_norm
        Local response normalisation after the first two ReLUs, as in 2012.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """
    normalised = flag("alexnet", "local_norm", local_norm)

    def norm() -> list[Layer]:
        return [LocalResponseNorm()] if normalised else []

    return Sequential(
        Conv2D(64, 11, 4, 2, activation="relu"),
        *norm(),
        MaxPool2D(3, 2),
        Conv2D(192, 5, padding=2, activation="relu"),
        *norm(),
        MaxPool2D(3, 2),
        Conv2D(384, 3, padding=1, activation="relu"),
        Conv2D(256, 3, padding=1, activation="relu"),
        Conv2D(256, 3, padding=1, activation="relu"),
        MaxPool2D(3, 2),
        Flatten(),
        *hidden(4096, dropout),
        *hidden(4096, dropout),
        *logits("alexnet", classes),
    )
