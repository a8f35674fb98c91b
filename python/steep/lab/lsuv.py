"""Weights that begin as the data ask, LSUV. First values that know no data: `initializers`.

It stands in the lab, and not among the initialisers, since it runs a network on samples.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from ..checks import numbers
from ..checks.arrays import Array
from ..checks.numbers import POSITIVE, flag, number, whole
from ..initializers import Orthogonal, Place
from ..network import inputs
from ..network.built import describe
from ..network.description import Description, Weight
from ..network.model import Network
from ..network.scope import Scope
from ..network.tensor import Shape

CHUNK = 256  # samples at a time


class UnitVariance(NamedTuple):
    """What `lsuv` did with one weight.

    Attributes
    ----------
    name
        Of the weight, as in ``net.state_dict()``.
    variance
        Of the layer's outputs in the end, before any activation.
    tries
        How often the weight was scaled.
    """

    name: str
    variance: float
    tries: int


def lsuv(
    net: Network,
    X: Any,
    *,
    tol: float = 0.1,
    tries: int = 10,
    orthogonal: bool = True,
    seed: int = 0,
) -> list[UnitVariance]:
    """Begin with orthogonal weights, and scale each until its layer's outputs have variance 1.

    W <- W / sqrt(var(x W + b)), from the first layer to the last, until abs(var - 1) <= tol:
    layer-sequential unit-variance initialisation (Mishkin & Matas 2016, "All you need is a good
    init"). var is over samples, pixels and units, in float64, as `predict` computes: no dropout,
    batch normalisation by its running statistics. Biases, scales, shifts and running statistics
    stay as they are, and so do weights whose product goes into a sine or cosine: the frequencies of
    `PeriodicEmbedding`. A layer that stands in several places is scaled for the first of them.

    Parameters
    ----------
    net
        A network; it is built for X where it is not yet. Its matrices and filters are set anew.
    X
        One batch (N, ...), as `Trainer.fit` takes it; a few hundred samples do.
    tol
        How far a variance may be from 1.
    tries
        Most scalings of one weight: one is enough where biases are 0. What biases give to a
        variance stays, and may keep it from 1.
    orthogonal
        Whether weights begin as ``initializers.Orthogonal()``, or as they are.
    seed
        Draws the orthogonal weights, and the others of a network that is not built yet.

    Returns
    -------
    list of UnitVariance
        One ``(name, variance, tries)`` for each weight, in the order in which they were scaled. The
        same for any number of threads.

    Raises
    ------
    TypeError, ValueError
        If something does not fit, there is no weight, or the outputs of a layer do not vary: the
        network is as before.
    """
    if not isinstance(net, Network):
        raise TypeError(f"lsuv: net must be a network, got {type(net).__name__}")
    tol, tries = number("lsuv", "tol", tol, POSITIVE), whole("lsuv", "tries", tries)
    orthogonal, seed = flag("lsuv", "orthogonal", orthogonal), numbers.seed(seed)
    with net._tentative():
        arrays = inputs.features(X, net, precision=net._precision)
        if not net.built:
            net.build([a.shape[1:] for a in arrays], seed)
        inputs.whole_numbers(arrays, net._described().graph)
        work = _Work(net, arrays)
        if orthogonal:
            work.orthogonal(seed)
        found = [work.scaled(*product, tol, tries) for product in work.products()]
        if not found:
            raise ValueError("lsuv: the network has no matrices or filters to scale")
        net.load_state_dict(work.values)
    return found


class _Work:
    """A copy of a network's weights in float64, and its layers' outputs on some samples."""

    def __init__(self, net: Network, arrays: list[Array]) -> None:
        self.net, self.arrays = net, arrays
        self.shapes: tuple[Shape, ...] = tuple(a.shape[1:] for a in arrays)
        self.about = self._described()
        self.names = [weight.name for weight in self.about.weights.values()]
        values = net.state_dict().values()
        self.values = {
            name: value.astype(np.float64) for name, value in zip(self.names, values, strict=True)
        }
        self.native = _core.Network(self.about.graph, "float64")
        self.native.assign(list(self.values.items()))

    def _described(self) -> Description:
        return describe(self.net, self.shapes, Scope(inherits=False))

    def products(self) -> list[tuple[int, Weight]]:
        """Return the tensor that each learned weight makes first, in the order of the graph."""
        first = {weight.name: (tensor, weight) for tensor, weight in reversed(self.about.products)}
        found = sorted(first.values(), key=lambda product: product[0])
        return [(tensor, weight) for tensor, weight in found if weight.trained and not weight.wave]

    def orthogonal(self, seed: int) -> None:
        """Draw the weights of all products."""
        for _, weight in self.products():
            shape, stream = weight.shape, self.names.index(weight.name)
            place = Place(shape, *weight.fans, weight.groups, seed, stream)
            self.assign(weight.name, Orthogonal().values(place))

    def outputs(self, tensor: int) -> Array:
        """Return a tensor of the graph for all samples, (N, ...)."""
        graph = self._described().graph
        graph.output([tensor])
        found: Array = self.native.view(graph, self.names).predict(self.arrays, CHUNK)[0]
        return found

    def scaled(self, tensor: int, weight: Weight, tol: float, tries: int) -> UnitVariance:
        """Scale one weight until what it makes has variance 1."""
        for count in range(tries + 1):
            variance = float(np.var(self.outputs(tensor)))
            if not math.isfinite(variance) or variance <= 0.0:
                raise ValueError(
                    f"lsuv: the outputs of {weight.title} have variance {variance:g} on X, which "
                    "no scale makes 1; look at X, and at what comes before the layer"
                )
            if abs(variance - 1.0) <= tol or count == tries:
                break
            self.assign(weight.name, self.values[weight.name] / math.sqrt(variance))
        return UnitVariance(weight.name, variance, count)

    def assign(self, name: str, value: Array) -> None:
        """Set one weight."""
        self.values[name] = value
        self.native.set(name, value)
