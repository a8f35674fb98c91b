"""Layers that treat every number by itself: dropout and rescaling. Activations are elsewhere."""

from .. import ops
from ..graph import Layer, Tensor
from ..names import choose
from ..ranges import ANY, FRACTION, number


class Dropout(Layer):
    """Drops a random part of its input while training (Srivastava et al. 2014).

    Parameters
    ----------
    rate
        Probability of dropping, in [0, 1).
    redraw
        ``"step"``: another mask each step; ``"epoch"``: one mask an epoch.
    scale_at
        ``"train"``: what is kept is divided by 1 - rate, testing does nothing (inverted dropout);
        ``"test"``: testing multiplies by 1 - rate.
    name
        Shown in summaries.
    """

    def __init__(
        self, rate: float, redraw: str = "step", scale_at: str = "train", name: str | None = None
    ) -> None:
        super().__init__(name)
        self.rate = number("Dropout", "rate", rate, FRACTION)
        choose("dropout redraw", redraw, dict.fromkeys(("step", "epoch")))
        choose("dropout scale_at", scale_at, dict.fromkeys(("train", "test")))
        self.redraw, self.scale_at = redraw, scale_at

    def call(self, x: Tensor) -> Tensor:
        """Drop."""
        return ops.dropout(x, self.rate, self.redraw, self.scale_at)


class Rescale(Layer):
    """y = scale*x + shift; ``Rescale(1/255)`` brings uint8 images to [0, 1].

    Parameters
    ----------
    scale, shift
        Numbers.
    name
        Shown in summaries.
    """

    def __init__(self, scale: float, shift: float = 0.0, name: str | None = None) -> None:
        super().__init__(name)
        self.scale = number("Rescale", "scale", scale, ANY)
        self.shift = number("Rescale", "shift", shift, ANY)

    def call(self, x: Tensor) -> Tensor:
        """Scale and shift."""
        return ops.affine(x, self.scale, self.shift)
