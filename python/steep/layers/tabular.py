"""Layers for rows of a table: a scale of each number, and numbers as waves.

A category is one-hot, or a `Dense` without bias on its columns, which is an embedding.
"""

import math

from .. import ops
from ..activations import ActivationLike, activation_layer
from ..checks.numbers import POSITIVE, flag, number, whole
from ..initializers import Normal, Uniform
from ..network import Layer, Tensor, label, title_of


class FeatureScale(Layer):
    """y = gain*x, each feature by its own, with gains that are learned and begin at 1.

    As the first layer of a network it weighs the features: the scaling layer of RealMLP, whose rate
    is six times that of other weights (Holzmueller et al. 2024). Gains decay as matrices do.

    Parameters
    ----------
    init
        What the gains begin at: a number, an array or one of `steep.initializers`.
    name
        Begins the name of the gains, ``name.gain``, one for each place of the last axis.
    """

    def __init__(self, init: object = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.init = init

    def call(self, x: Tensor) -> Tensor:
        """Scale."""
        return x * self.parameter("gain", x.shape[-1:], init=self.init, decay=True)


class PeriodicEmbedding(Layer):
    """Numbers as waves: (n,) gives (n*(units + 1),), units numbers of each x_i, and x_i itself.

    f(cos(2 pi x_i w_i + b_i) W_i + c_i) with w_i, b_i of `waves` numbers and W_i of waves x units
    for each x_i: the PBLD embedding of Holzmueller et al. (2024), periodic, with bias, linear,
    dense; after Gorishniy et al. (2022), "On embeddings for numerical features". First come all
    units of x_0, then those of x_1, ..., last x, where it is passed on.

    Parameters
    ----------
    units
        Numbers made of each number.
    waves
        Cosines of each number.
    sigma
        Standard deviation of w at first: how fast the waves are.
    activation
        f: a name, a layer or None.
    passes
        Whether x itself is passed on, too.
    name
        Begins the names of the weights: ``name.frequency``, ``name.phase``, ``name.weight``,
        ``name.bias``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range; when it is called, if x is no vector.
    """

    def __init__(
        self,
        units: int = 3,
        waves: int = 16,
        sigma: float = 0.1,
        activation: ActivationLike = None,
        *,
        passes: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.units = whole(label(self), "units", units)
        self.waves = whole(label(self), "waves", waves)
        self.sigma = number(label(self), "sigma", sigma, POSITIVE, single=True)
        self.activation = activation_layer(activation)
        self.passes = flag(label(self), "passes", passes)

    def call(self, x: Tensor) -> Tensor:
        """Make waves, and numbers of them: a product for each number, as a grouped convolution."""
        if len(x.shape) != 1:
            raise ValueError(f"{title_of(x, label(self))}: expects a vector, got {x.shape}")
        n, bound = x.shape[0], Uniform(self.waves**-0.5)
        first, last = n * self.waves, n * self.units
        frequency = self.parameter("frequency", (1, 1, first), Normal(self.sigma))
        phase = self.parameter("phase", (first,), Uniform(math.pi))
        turns = ops.reshape(ops.affine(x, 2.0 * math.pi), (1, n))
        waves = ops.activation(ops.conv1d(turns, frequency, phase, groups=n), "cos")
        weight = self.parameter("weight", (1, self.waves, last), bound)
        y = ops.conv1d(waves, weight, self.parameter("bias", (last,), bound), groups=n)
        y = ops.reshape(y, (last,))
        y = y if self.activation is None else self.activation.call(y)
        return ops.concat([y, x]) if self.passes else y
