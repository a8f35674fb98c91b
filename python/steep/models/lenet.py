"""LeNet-5."""

from ..checks.numbers import flag
from ..layers import AvgPool2D, Conv2D, Dense, Flatten, Layer, MaxPool2D
from ..network.model import Sequential
from .blocks import logits


def lenet5(classes: int = 10, *, classic: bool = False) -> Sequential:
    """Return LeNet-5 (LeCun et al. 1998), the form with dense second convolution and logits.

    6 filters 5x5 with padding 2, pool, 16 filters 5x5, pool, 120, 84 and `classes` units. For
    images 28x28x1 and 10 classes: 61,706 parameters, 416,520 multiply-adds. Images (28, 28) are
    taken as they are.

    Parameters
    ----------
    classes
        Number of outputs.
    classic
        Tanh and average pooling, as in 1998, in place of ReLU and max pooling.

    Raises
    ------
    TypeError, ValueError
        If `classes` is no positive int.
    """
    f = "tanh" if flag("lenet5", "classic", classic) else "relu"
    pools: list[Layer] = [AvgPool2D(2) if classic else MaxPool2D(2) for _ in range(2)]
    return Sequential(
        Conv2D(6, 5, padding=2, activation=f),
        pools[0],
        Conv2D(16, 5, padding="valid", activation=f),
        pools[1],
        Flatten(),
        Dense(120, f),
        Dense(84, f),
        *logits("lenet5", classes),
    )
