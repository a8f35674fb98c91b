"""The two networks of a DCGAN."""

from ..checks.numbers import whole
from ..initializers import Normal
from ..layers import (
    BatchNorm,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    ReLU,
    Reshape,
    Tanh,
)
from ..network import Shape
from ..network.model import Sequential
from ..network.naming import shape_of


def dcgan(
    shape: Shape = (28, 28, 1), latent: int = 100, filters: int = 64, depth: int = 2
) -> tuple[Sequential, Sequential]:
    """Return a generator and a discriminator of images (Radford, Metz and Chintala 2016).

    The generator doubles height and width `depth` times by transposed convolutions of 4x4 and
    stride 2, with batch normalisation and ReLU between, and ends in tanh: images from -1 to 1. The
    discriminator halves them as often, with LeakyReLU, and gives a logit. Neither its first layer
    nor the generator's last one is normalised; weights begin as N(0, .02^2), the gains of
    normalisations as N(1, .02^2). With all arguments left open: 759,681 and 138,689 parameters.
    ``steep.GAN(*models.dcgan(), latent=100)`` trains them.

    Parameters
    ----------
    shape
        Of an image (height, width, channels), multiples of 2^depth.
    latent
        How many numbers the generator gets.
    filters
        Of the discriminator's first convolution; of the next ones twice as many each.
    depth
        How often sizes are halved.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or a size is not halved without a rest.
    """
    sizes = shape_of("dcgan", shape)
    n, depth = whole("dcgan", "filters", filters), whole("dcgan", "depth", depth, high=12)
    whole("dcgan", "latent", latent)  # which the first layer finds by itself
    if len(sizes) != 3 or sizes[0] % (1 << depth) or sizes[1] % (1 << depth):
        raise ValueError(
            f"dcgan: expects images (height, width, channels), multiples of {1 << depth}, got "
            f"{shape}"
        )
    small = (sizes[0] >> depth, sizes[1] >> depth, n << (depth - 1))
    first = Dense(small[0] * small[1] * small[2], use_bias=False, init=Normal(0.02))
    up: list[Layer] = [first, Reshape(small), _norm(), ReLU()]
    down: list[Layer] = []
    for level in range(depth):
        width = sizes[2] if level == depth - 1 else small[2] >> (level + 1)
        last, begins = level == depth - 1, level == 0
        up.append(Conv2DTranspose(width, 4, 2, use_bias=last, init=Normal(0.02)))
        up += [Tanh()] if last else [_norm(), ReLU()]
        down.append(Conv2D(n << level, 4, 2, padding=1, use_bias=begins, init=Normal(0.02)))
        down += [LeakyReLU(0.2)] if begins else [_norm(), LeakyReLU(0.2)]
    return (
        Sequential(*up, name="generator"),
        Sequential(*down, Flatten(), Dense(1, init=Normal(0.02)), name="discriminator"),
    )


def _norm() -> BatchNorm:
    return BatchNorm(init=Normal(0.02, 1.0))
