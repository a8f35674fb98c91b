"""Residual networks, for large images and for CIFAR."""

from ..checks.numbers import flag
from ..layers import GlobalAvgPool2D, Layer, MaxPool2D, ReLU, Residual, ZeroPad2D
from ..network.model import Sequential
from .blocks import conv_norm, depth_of, logits

# Blocks in each of the four stages.
STAGES = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
CIFAR_DEPTHS = (20, 32, 44, 56, 110)


def resnet(depth: int, classes: int = 1000) -> Sequential:
    """Return ResNet-18, 34, 50, 101 or 152 (He et al. 2016).

    7x7 convolution and pool, four stages of 64 to 512 filters, mean of all pixels. Blocks of two
    3x3 convolutions, from 50 on bottlenecks of 1x1, 3x3 and 1x1 with four times the filters; where
    shapes change, the shortcut is a 1x1 convolution. Bottlenecks have their stride in the 3x3
    convolution, as PyTorch does and unlike the paper; the parameters are the same. For images
    224x224x3 and 1000 classes:

    =====  ==========  ==============
    depth  parameters   multiply-adds
    =====  ==========  ==============
    18     11,689,512   1,814,073,344
    34     21,797,672   3,663,761,408
    50     25,557,032   4,089,184,256
    101    44,549,160   7,801,405,440
    152    60,192,808  11,513,626,624
    =====  ==========  ==============

    Parameters
    ----------
    depth
        18, 34, 50, 101 or 152.
    classes
        Number of outputs.

    Raises
    ------
    TypeError, ValueError
        If there is no such depth, or `classes` is no positive int.
    """
    counts = STAGES[depth_of("resnet", depth, tuple(STAGES))]
    stages = []
    channels = 64
    for k, count in enumerate(counts):
        filters, blocks = 64 << k, list[Layer]()
        for block in range(count):
            stride = 2 if k > 0 and block == 0 else 1
            body = _bottleneck(filters, stride) if depth >= 50 else _basic(filters, stride)
            out = 4 * filters if depth >= 50 else filters
            shortcut = None
            if stride > 1 or channels != out:
                shortcut = Sequential(*conv_norm(out, 1, stride, relu=False), name="shortcut")
            name = f"block{block + 1}"
            blocks.append(Residual(*body, shortcut=shortcut, activation="relu", name=name))
            channels = out
        stages.append(Sequential(*blocks, name=f"stage{k + 1}"))
    return Sequential(
        *conv_norm(64, 7, 2),
        MaxPool2D(3, 2, 1),
        *stages,
        GlobalAvgPool2D(),
        *logits("resnet", classes),
    )


def resnet_cifar(depth: int, classes: int = 10, *, plain: bool = False) -> Sequential:
    """Return ResNet-20, 32, 44, 56 or 110 for small images (He et al. 2016, section 4.2).

    3x3 convolution, three stages of 16, 32 and 64 filters with (depth - 2) / 6 blocks of two 3x3
    convolutions, mean of all pixels. Shortcuts have no parameters: where shapes change they take
    every second pixel and add channels of zeros after the others (option A). For images 32x32x3
    and 10 classes:

    =====  ==========  =============
    depth  parameters  multiply-adds
    =====  ==========  =============
    20        269,722     40,551,040
    32        464,154     68,862,592
    44        658,586     97,174,144
    56        853,018    125,485,696
    110     1,727,962    252,887,680
    =====  ==========  =============

    Parameters
    ----------
    depth
        20, 32, 44, 56 or 110.
    classes
        Number of outputs.
    plain
        Leaves the shortcuts out: the network the residual one is compared with. It has as many
        parameters.

    Raises
    ------
    TypeError, ValueError
        If there is no such depth, or `classes` is no positive int.
    """
    depth = depth_of("resnet_cifar", depth, CIFAR_DEPTHS)
    flag("resnet_cifar", "plain", plain)
    stages = []
    for k, filters in enumerate((16, 32, 64)):
        blocks: list[Layer] = []
        for block in range((depth - 2) // 6):
            stride = 2 if k > 0 and block == 0 else 1
            body, name = _basic(filters, stride), f"block{block + 1}"
            if plain:
                blocks.append(Sequential(*body, ReLU(), name=name))
                continue
            shortcut = _subsample(filters // 2) if stride > 1 else None
            blocks.append(Residual(*body, shortcut=shortcut, activation="relu", name=name))
        stages.append(Sequential(*blocks, name=f"stage{k + 1}"))
    return Sequential(
        *conv_norm(16, 3), *stages, GlobalAvgPool2D(), *logits("resnet_cifar", classes)
    )


def _basic(filters: int, stride: int) -> list[Layer]:
    return [*conv_norm(filters, 3, stride), *conv_norm(filters, 3, relu=False)]


def _bottleneck(filters: int, stride: int) -> list[Layer]:
    return [
        *conv_norm(filters, 1),
        *conv_norm(filters, 3, stride),
        *conv_norm(4 * filters, 1, relu=False),
    ]


def _subsample(more: int) -> Layer:
    """Take every second pixel, a pool of windows of one, and add channels of zeros."""
    return Sequential(MaxPool2D(1, 2), ZeroPad2D(channels=(0, more)))
