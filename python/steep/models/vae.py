"""The two networks of a variational autoencoder, of dense layers."""

import math
from collections.abc import Sequence

from ..checks.numbers import whole
from ..initializers import VarianceScaling
from ..layers import Dense, Flatten, Layer, Reshape
from ..network import Shape
from ..network.model import Sequential
from ..network.naming import shape_of


def vae(
    shape: Shape | int = (28, 28), latent: int = 20, units: Sequence[int] = (400,)
) -> tuple[Sequential, Sequential]:
    """Return an encoder and a decoder of dense layers with ReLU (Kingma & Welling 2014).

    The encoder gives means and log variances, the decoder logits of a sample. Weights begin as
    U(-s, s), s = 1/sqrt(inputs), PyTorch's: the larger ones of He cost about a nat on images. With
    all arguments left open: 330,040 and 322,784 parameters. ``steep.VAE(*models.vae(),
    latent=20)`` trains them.

    Parameters
    ----------
    shape
        Of a sample.
    latent
        Length of the code.
    units
        Of the encoder's hidden layers; the decoder has them the other way round.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """
    sizes = shape_of("vae", shape)
    widths = [whole("vae", "units", n) for n in ((units,) if isinstance(units, int) else units)]

    def layer(n: int, activation: str | None = None) -> Layer:
        return Dense(n, activation, init=VarianceScaling(1 / 3, "fan_in", "uniform"))

    flat: list[Layer] = [Flatten()] if len(sizes) > 1 else []
    back: list[Layer] = [Reshape(sizes)] if len(sizes) > 1 else []
    code, n = layer(2 * whole("vae", "latent", latent)), math.prod(sizes)
    hidden = [layer(k, "relu") for k in widths]
    again = [layer(k, "relu") for k in reversed(widths)]
    return (
        Sequential(*flat, *hidden, code, name="encoder"),
        Sequential(*again, layer(n), *back, name="decoder"),
    )
