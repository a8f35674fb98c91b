"""Layers whose weights others have in another way: as an operand, or as constants."""

from .. import ops
from ..layers import BatchNorm
from ..network import Layer, Tensor


class _Vector(Layer):
    """What both share: the name of their weight, and whose it is.

    Parameters
    ----------
    param
        Name of the weight.
    of
        A layer whose weight it is to be, by name; None: this one's own.
    name
        Begins the name of the weight.
    """

    def __init__(self, param: str, of: Layer | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.param, self.of = param, of

    def row(self, x: Tensor, init: float) -> Tensor:
        """Return the weight, a number for each place of the last axis."""
        return (self.of or self).parameter(self.param, x.shape[-1:], init=init)


class Shift(_Vector):
    """y = x + p, a number for each place of the last axis; arguments as `_Vector`."""

    def call(self, x: Tensor) -> Tensor:
        """Add."""
        return x + self.row(x, 0.0)


class Scale(_Vector):
    """y = x * p, a number for each place of the last axis; arguments as `_Vector`."""

    def call(self, x: Tensor) -> Tensor:
        """Multiply."""
        return x * self.row(x, 1.0)


class Standardized(BatchNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, weight and bias constants.

    In training by the batch's mean and variance, as `BatchNorm`, whose arguments it has.
    """

    def call(self, x: Tensor) -> Tensor:
        """Normalise along the last axis."""
        rows = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
        given = [
            self.parameter(word, x.shape[-1:], init=init, decay=False, trained=False)
            for word, init in rows.items()
        ]
        return ops.batch_norm(
            x, *given, momentum=self.momentum, eps=self.eps, unbiased=self.unbiased
        )
