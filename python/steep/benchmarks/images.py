"""The cases over images: two networks as lists of layers, and single convolutions. No data."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias


def reach(size: int, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """Return the positions of a window along one axis, and its taps inside of the image in all."""
    out = (size + 2 * padding - kernel) // stride + 1
    starts = range(-padding, out * stride - padding, stride)
    return out, sum(max(0, min(at + kernel, size) - max(at, 0)) for at in starts)


@dataclass(frozen=True)
class Conv2D:
    """A square convolution with a bias, or with batch normalisation in its place."""

    filters: int
    kernel: int
    padding: int
    activation: str
    norm: bool = False
    stride: int = 1


@dataclass(frozen=True)
class Pool2D:
    """Pooling of square windows side by side, "max" or "mean"."""

    kind: str
    size: int


@dataclass(frozen=True)
class Residual:
    """Two 3x3 convolutions with batch normalisation and an identity shortcut (He et al. 2016).

    With a stride the shortcut takes every other pixel, and new channels, appended, are zero.
    """

    filters: int
    stride: int


@dataclass(frozen=True)
class GlobalAvgPool2D:
    """The mean over all pixels."""


@dataclass(frozen=True)
class Dense:
    """A dense layer; an image before it is flattened as (H, W, C)."""

    units: int
    activation: str = ""


Layer: TypeAlias = Conv2D | Pool2D | Residual | GlobalAvgPool2D | Dense

LENET5: tuple[Layer, ...] = (
    Conv2D(6, 5, 2, "relu"),
    Pool2D("max", 2),
    Conv2D(16, 5, 0, "relu"),
    Pool2D("max", 2),
    Dense(120, "relu"),
    Dense(84, "relu"),
    Dense(10),
)
RESNET20: tuple[Layer, ...] = (
    Conv2D(16, 3, 1, "relu", norm=True),
    *(
        Residual(filters, 2 if filters > 16 and block == 0 else 1)
        for filters in (16, 32, 64)
        for block in range(3)
    ),
    GlobalAvgPool2D(),
    Dense(10),
)


def branch(block: Residual) -> tuple[Conv2D, Conv2D]:
    """Return the two convolutions of a residual block; the last ReLU comes after the addition."""
    return (
        Conv2D(block.filters, 3, 1, "relu", norm=True, stride=block.stride),
        Conv2D(block.filters, 3, 1, "", norm=True),
    )


@dataclass(frozen=True)
class Product:
    """What a layer with weights holds and does for one sample."""

    weight: tuple[int, ...]  # (kh, kw, in, out) or (in, out)
    norm: bool  # batch normalisation follows, so there is no bias
    multiply_adds: int  # those with the padding left out, as a program may leave them out


def products(net: Sequence[Layer], shape: tuple[int, ...]) -> Iterator[Product]:
    """Yield the layers with weights in order, for images of this shape (H, W, C)."""
    for layer in net:
        if isinstance(layer, Residual):
            for conv in branch(layer):
                yield from products([conv], shape)
                shape = _after(conv, shape)
            continue
        after = _after(layer, shape)
        if isinstance(layer, Conv2D):
            weight: tuple[int, ...] = (layer.kernel, layer.kernel, shape[2], layer.filters)
            high, wide = (reach(n, layer.kernel, layer.stride, layer.padding)[1] for n in shape[:2])
            yield Product(weight, layer.norm, high * wide * shape[2] * layer.filters)
        elif isinstance(layer, Dense):
            weight = (prod(shape), layer.units)
            yield Product(weight, False, prod(weight))
        shape = after


def _after(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(layer, Conv2D):
        high, wide = (reach(n, layer.kernel, layer.stride, layer.padding)[0] for n in shape[:2])
        return high, wide, layer.filters
    if isinstance(layer, Pool2D):
        return shape[0] // layer.size, shape[1] // layer.size, shape[2]
    return (layer.units,) if isinstance(layer, Dense) else shape[2:]


@dataclass(frozen=True)
class ImageStep:
    """One training step of a convolutional network: cross entropy, SGD with momentum 0.9.

    Parameters
    ----------
    name : str
        Name of the case.
    net : tuple of Layer
        The network.
    shape : tuple of int
        Height, width and channels of an image.
    batch : int
        Images in a step.
    batches : int
        Steps in an epoch of the data set, which lies in memory.
    epochs : int
        Epochs in one timed call.
    """

    name: str
    net: tuple[Layer, ...]
    shape: tuple[int, int, int]
    batch: int
    batches: int
    epochs: int = 1

    @property
    def parameters(self) -> int:
        """Number of trained parameters: weights, and a bias or two numbers of normalisation."""
        return sum(
            prod(one.weight) + one.weight[-1] * (1 + one.norm)
            for one in products(self.net, self.shape)
        )

    @property
    def flops(self) -> float:
        """Arithmetic of a step: three products a layer; the first layer needs no input gradient."""
        counts = [2.0 * self.batch * one.multiply_adds for one in products(self.net, self.shape)]
        return 3 * sum(counts) - counts[0]

    @property
    def bytes(self) -> float:
        """Memory a step must move: the rule's five streams of the parameters, and the batch."""
        return 20.0 * self.parameters + 4.0 * self.batch * prod(self.shape)

    @property
    def working_set(self) -> float:
        """Bytes touched by every step: weights, gradients, one slot, and the batch."""
        return 12.0 * self.parameters + 4.0 * self.batch * prod(self.shape)

    @property
    def small(self) -> bool:
        """Whether one thread may be faster than several."""
        return self.flops < 2e8


PASSES = ("forward", "backward_data", "backward_weights")
# Forward, a transposed convolution is the gradient of the input of the convolution it reverses.
DIRECTIONS = (*PASSES, "transposed")


@dataclass(frozen=True)
class Convolution:
    """One pass of a convolution in float32: images (N, H, W, C), weights (kh, kw, C/groups, F).

    Of a transposed one, the images are what comes out, and the filters the channels that go in.
    """

    channels: int
    filters: int
    kernel: tuple[int, int]
    size: tuple[int, int]
    batch: int
    direction: str  # one of DIRECTIONS
    stride: int = 1
    padding: int = 0  # on every side
    groups: int = 1

    @property
    def shape_name(self) -> str:
        """Name of the case without its pass; a stride, padding and groups only where they are."""
        sizes = [f"{high}x{wide}" for high, wide in (self.kernel, self.size)]
        text = f"{self.channels}-{self.filters},{','.join(sizes)},b{self.batch}"
        text += f",s{self.stride}" if self.stride > 1 else ""
        text += f",p{self.padding}" if self.padding else ""
        return text + (f",g{self.groups}" if self.groups > 1 else "")

    @property
    def name(self) -> str:
        """Name of the case."""
        return f"conv/{self.shape_name}/{self.direction}"

    @property
    def x(self) -> tuple[int, int, int, int]:
        """Shape of the images."""
        return self.batch, *self.size, self.channels

    @property
    def w(self) -> tuple[int, int, int, int]:
        """Shape of the weights."""
        return *self.kernel, self.channels // self.groups, self.filters

    @property
    def _reach(self) -> tuple[tuple[int, int], tuple[int, int]]:
        high, wide = (
            reach(n, k, self.stride, self.padding)
            for n, k in zip(self.size, self.kernel, strict=True)
        )
        return high, wide

    @property
    def y(self) -> tuple[int, int, int, int]:
        """Shape of the result."""
        (high, _), (wide, _) = self._reach
        return self.batch, high, wide, self.filters

    @property
    def flops(self) -> float:
        """Multiplications and additions; those with the padding can be left out, so they are."""
        (_, high), (_, wide) = self._reach
        return 2.0 * self.batch * high * wide * self.w[2] * self.filters

    @property
    def bytes(self) -> float:
        """Images, weights and result, once each: every pass reads two of them, writes the third."""
        return 4.0 * (prod(self.x) + prod(self.w) + prod(self.y))

    @property
    def working_set(self) -> float:
        """Bytes touched by every call."""
        return self.bytes

    @property
    def small(self) -> bool:
        """Whether one thread may be faster than several."""
        return self.flops < 1e6


_NAME = re.compile(
    r"conv/(\d+)-(\d+),(\d+)x(\d+),(\d+)x(\d+),b(\d+)(?:,s(\d+))?(?:,p(\d+))?(?:,g(\d+))?"
    rf"/({'|'.join(DIRECTIONS)})"
)


def find_convolution(name: str) -> Convolution | None:
    """Return the convolution of this name, or None where it names none that can be done."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    channels, filters, kh, kw, high, wide, batch = (int(found[i]) for i in range(1, 8))
    stride, padding, groups = (int(found[i] or start) for i, start in ((8, 1), (9, 0), (10, 1)))
    if min(channels, filters, kh, kw, high, wide, batch, stride, groups) < 1:
        return None
    case = Convolution(
        channels, filters, (kh, kw), (high, wide), batch, found[11], stride, padding, groups
    )
    return None if channels % groups or filters % groups or min(case.y) < 1 else case


# Channels, filters, kernel, image size, batch, padding, groups.
_SHAPES = (
    (1, 6, 5, 28, 64, 2, 1),
    (3, 16, 3, 32, 128, 1, 1),
    (6, 16, 5, 14, 64, 0, 1),
    (16, 16, 3, 32, 128, 1, 1),
    (32, 32, 3, 16, 128, 1, 1),
    (64, 64, 3, 8, 128, 1, 1),
    (64, 64, 3, 56, 16, 1, 1),
    (64, 64, 3, 32, 128, 1, 64),
)

IMAGE_STEPS = (
    ImageStep("lenet5", LENET5, (28, 28, 1), 64, 40),
    ImageStep("resnet20", RESNET20, (32, 32, 3), 128, 10),
)
CONVOLUTIONS = tuple(
    Convolution(c, f, (k, k), (n, n), batch, direction, padding=p, groups=g)
    for c, f, k, n, batch, p, g in _SHAPES
    for direction in PASSES
) + tuple(  # of DCGAN's generators (Radford et al. 2016), 4x4 of stride 2
    Convolution(c, f, (4, 4), (n, n), batch, "transposed", 2, 1)
    for c, f, n, batch in ((64, 128, 14, 64), (1, 64, 28, 64), (128, 256, 16, 64), (3, 64, 64, 64))
)
