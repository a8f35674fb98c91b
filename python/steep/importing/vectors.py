"""Layers of one vector that others have as an operand: y = x + b, y = x * w along the last axis."""

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
