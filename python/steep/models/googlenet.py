"""GoogLeNet, the first Inception network."""

from ..checks.numbers import flag
from ..layers import AvgPool2D, Branches, Flatten, GlobalAvgPool2D, Layer, MaxPool2D
from ..network import Shape
from ..network.model import Input, Model, Sequential
from .blocks import conv_norm, hidden, logits

# Filters of each module: 1x1; 1x1 and 3x3; 1x1 and 5x5; 1x1 after the pool.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(
    classes: int = 1000,
    *,
    aux: bool = False,
    dropout: float = 0.0,
    input_shape: Shape = (224, 224, 3),
) -> Sequential | Model:
    """Return GoogLeNet (Szegedy et al. 2015) with batch normalisation (Ioffe & Szegedy 2015).

    Nine modules of 1x1, 3x3 and 5x5 convolutions and a pool side by side; batch normalisation after
    every convolution in place of the local response normalisation of the paper. For images
    224x224x3 and 1000 classes: 7,005,832 parameters, 1,582,671,872 multiply-adds.

    Parameters
    ----------
    classes
        Number of outputs.
    aux
        Adds the two auxiliary classifiers, after modules 4a and 4d: a network with three outputs,
        logits of the main one first. `Trainer` takes networks with one output, so this one predicts
        only; the main weights have the same names with and without.
    dropout
        Rate before the last layer, in [0, 1), 0.4 in the paper; the auxiliary ones have none.
    input_shape
        (height, width, channels), used where `aux` is set: networks with several outputs know their
        input shape from the beginning. At least 224 high and wide there.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """
    stem = [
        *conv_norm(64, 7, 2),
        MaxPool2D(3, 2, "same"),
        *conv_norm(64, 1),
        *conv_norm(192, 3),
        MaxPool2D(3, 2, "same"),
    ]
    first: list[Layer] = [*stem, _module("3a"), _module("3b"), _pool(), _module("4a")]
    middle: list[Layer] = [_module(name) for name in ("4b", "4c", "4d")]
    last: list[Layer] = [_module("4e"), _pool(), _module("5a"), _module("5b"), GlobalAvgPool2D()]
    last += logits("googlenet", classes, dropout)
    if not flag("googlenet", "aux", aux):
        return Sequential(*first, *middle, *last)
    image = Input(input_shape)
    early = Sequential(*first)(image)
    late = Sequential(*middle)(early)
    outputs = [
        Sequential(*last)(late),
        Sequential(*_auxiliary(classes), name="aux1")(early),
        Sequential(*_auxiliary(classes), name="aux2")(late),
    ]
    return Model(image, outputs)


def _module(name: str) -> Layer:
    """Return an Inception module: four branches, joined along the channels."""
    one, three_in, three, five_in, five, pooled = MODULES[name]
    return Branches(
        Sequential(*conv_norm(one, 1)),
        Sequential(*conv_norm(three_in, 1), *conv_norm(three, 3)),
        Sequential(*conv_norm(five_in, 1), *conv_norm(five, 5)),
        Sequential(MaxPool2D(3, 1, 1), *conv_norm(pooled, 1)),
        name=f"inception{name}",
    )


def _pool() -> Layer:
    return MaxPool2D(3, 2, "same")


def _auxiliary(classes: int) -> list[Layer]:
    """Return the classifier the paper hangs beside the network."""
    pooled = [AvgPool2D(5, 3), *conv_norm(128, 1), Flatten()]
    return [*pooled, *hidden(1024, 0.0), *logits("googlenet", classes)]
