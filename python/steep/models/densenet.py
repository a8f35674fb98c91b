"""Densely connected networks, for large images and for CIFAR."""

from ..checks.numbers import whole
from ..layers import (
    Activation,
    AvgPool2D,
    BatchNorm,
    Branches,
    GlobalAvgPool2D,
    Layer,
    MaxPool2D,
    ReLU,
)
from ..network.model import Sequential
from .blocks import conv_norm, depth_of, logits, norm_conv

# Dense layers in each of the four blocks.
BLOCKS = {
    121: (6, 12, 24, 16),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    264: (6, 12, 64, 48),
}


def densenet(depth: int, classes: int = 1000) -> Sequential:
    """Return DenseNet-121, 169, 201 or 264 with growth 32 (Huang et al. 2017).

    7x7 convolution and pool, four dense blocks, between them 1x1 convolutions that halve the
    channels and pools. Each layer of a block adds its 32 channels to all before it. For images
    224x224x3 and 1000 classes:

    =====  ==========  =============
    depth  parameters  multiply-adds
    =====  ==========  =============
    121     7,978,856  2,834,161,664
    169    14,149,480  3,359,843,328
    201    20,013,928  4,291,365,888
    264    33,337,704  5,751,653,376
    =====  ==========  =============

    Parameters
    ----------
    depth
        121, 169, 201 or 264.
    classes
        Number of outputs.

    Raises
    ------
    TypeError, ValueError
        If there is no such depth, or `classes` is no positive int.
    """
    blocks = BLOCKS[depth_of("densenet", depth, tuple(BLOCKS))]
    stem = [*conv_norm(64, 7, 2), MaxPool2D(3, 2, 1)]
    return Sequential(*stem, *_blocks(64, blocks, 32), *logits("densenet", classes))


def densenet_bc(depth: int = 100, growth: int = 12, classes: int = 10) -> Sequential:
    """Return DenseNet-BC for small images (Huang et al. 2017, section 4).

    3x3 convolution of 2 * growth filters and three dense blocks of (depth - 4) / 6 layers. For
    images 32x32x3 and 10 classes:

    =============  ==========  =============
    depth, growth  parameters  multiply-adds
    =============  ==========  =============
    40, 12            176,122     72,365,352
    100, 12           769,162    287,929,692
    250, 24        15,324,406  5,418,785,724
    190, 40        25,624,430  9,301,945,740
    =============  ==========  =============

    Parameters
    ----------
    depth
        6 n + 4: 40, 100, 190, 250.
    growth
        Channels that each layer adds.
    classes
        Number of outputs.

    Raises
    ------
    TypeError, ValueError
        If depth is not of that form, or a number is no positive int.
    """
    depth = whole("densenet_bc", "depth", depth)
    growth = whole("densenet_bc", "growth", growth)
    layers, rest = divmod(depth - 4, 6)
    if rest or layers < 1:
        raise ValueError(f"densenet_bc: depth must be 6 n + 4, such as 40 or 100, got {depth}")
    stem = conv_norm(2 * growth, 3)[:1]
    body = _blocks(2 * growth, (layers,) * 3, growth)
    return Sequential(*stem, *body, *logits("densenet_bc", classes))


def _blocks(channels: int, counts: tuple[int, ...], growth: int) -> list[Layer]:
    """Return dense blocks with transitions between them, and what turns images into features."""
    parts: list[Layer] = []
    for k, n in enumerate(counts):
        dense = [_dense_layer(growth, f"layer{i + 1}") for i in range(n)]
        parts.append(Sequential(*dense, name=f"block{k + 1}"))
        channels += n * growth
        if k + 1 < len(counts):
            channels //= 2
            halve = [*norm_conv(channels, 1), AvgPool2D(2)]
            parts.append(Sequential(*halve, name=f"transition{k + 1}"))
    return [*parts, BatchNorm(), ReLU(), GlobalAvgPool2D()]


def _dense_layer(growth: int, name: str) -> Layer:
    """Return [x, body(x)]: `growth` new channels beside the old, by way of 4 growth."""
    body = Sequential(*norm_conv(4 * growth, 1), *norm_conv(growth, 3))
    return Branches(Activation("linear"), body, name=name)
