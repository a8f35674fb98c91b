"""Layers for rows of a table: a scale of each number, and numbers as waves or along pieces.

A category is one-hot, or a `Dense` without bias on its columns, which is an embedding.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..activations import ActivationLike, activation_layer
from ..checks.arrays import array, finite
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


class PiecewiseEmbedding(Layer):
    """Numbers along pieces: (n,) gives (n*(units + 1),), units numbers of each x_i, and x_i itself.

    t_i W_i + c_i with t_ij = clip(2 (x_i - e_ij) / (e_i,j+1 - e_ij) - 1, -1, 1): how far x_i has
    come through each of its bins. A weight for each bin makes functions that turn at its edges, as
    trees do. The piecewise linear encoding of Gorishniy et al. (2022), "On embeddings for numerical
    features", around 0. First come all units of x_0, then those of x_1, ..., last x, where it is
    passed on.

    The edges are kept beside the weights, as ``name.rise`` and ``name.start``, and not trained;
    `data.quantile_edges` makes them of samples.

    Parameters
    ----------
    units
        Numbers made of each number.
    bins
        Bins of each number.
    edges
        (n, bins + 1): the ends of the bins of each number, ascending. A bin between equal ends
        gives nothing. None: bins of one width from -3 to 3.
    passes
        Whether x itself is passed on, too.
    name
        Begins the names of the weights: ``name.rise``, ``name.start``, ``name.weight``,
        ``name.bias``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range or the edges do not ascend; when it is called, if x is no
        vector, or not as long as there are edges.
    """

    def __init__(
        self,
        units: int = 4,
        bins: int = 32,
        edges: Any = None,
        *,
        passes: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.units = whole(label(self), "units", units)
        self.bins = whole(label(self), "bins", bins)
        self.edges = None if edges is None else self._checked(edges)
        self.passes = flag(label(self), "passes", passes)

    def _checked(self, given: Any) -> NDArray[np.float64]:
        edges = array(f"{label(self)}: edges", given).astype(np.float64)
        if edges.ndim != 2 or edges.shape[1] != self.bins + 1:
            raise ValueError(
                f"{label(self)}: edges must have shape (n, {self.bins + 1}), got {edges.shape}"
            )
        finite(f"{label(self)}: edges", edges)
        if (down := np.flatnonzero((np.diff(edges) < 0).any(axis=1))).size:
            raise ValueError(f"{label(self)}: edges of number {down[0]} do not ascend")
        return edges

    def call(self, x: Tensor) -> Tensor:
        """Go through the bins, and make numbers of them, as a grouped convolution."""
        if len(x.shape) != 1:
            raise ValueError(f"{title_of(x, label(self))}: expects a vector, got {x.shape}")
        n, edges = x.shape[0], self.edges
        if edges is None:
            edges = np.tile(np.linspace(-3.0, 3.0, self.bins + 1), (n, 1))
        if len(edges) != n:
            raise ValueError(
                f"{title_of(x, label(self))}: has edges of {len(edges)} numbers, got {n}"
            )
        low, wide = edges[:, :-1], np.diff(edges)
        rise = np.divide(2.0, wide, out=np.zeros_like(wide), where=wide > 0)
        start = np.where(wide > 0, -rise * low - 1.0, 0.0)
        first, last, bound = n * self.bins, n * self.units, Uniform(self.bins**-0.5)
        rises = self.parameter("rise", (1, 1, first), rise.reshape(1, 1, first), trained=False)
        starts = self.parameter("start", (first,), start.reshape(first), trained=False)
        through = ops.conv1d(ops.reshape(x, (1, n)), rises, starts, groups=n)
        weight = self.parameter("weight", (1, self.bins, last), bound)
        bias = self.parameter("bias", (last,), bound)
        y = ops.conv1d(ops.activation(through, "hard_tanh"), weight, bias, groups=n)
        y = ops.reshape(y, (last,))
        return ops.concat([y, x]) if self.passes else y
