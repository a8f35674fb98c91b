"""Layers that treat every number by itself: dropout and rescaling. Activations are elsewhere."""

from collections.abc import Sequence

from .. import ops
from ..checks.names import choose
from ..checks.numbers import ANY, FRACTION, POSITIVE, is_list, number, numbers
from ..network import Layer, Tensor, label
from ..network.drawn_ops import dropout_rate
from ..schedules import Schedule


class Dropout(Layer):
    """Drops a random part of its input while training (Srivastava et al. 2014).

    Parameters
    ----------
    rate
        Probability of dropping, in [0, 1), at most 1 - 2^-24: a number, or a schedule for every
        step, as ``schedules.Linear(0.5, 0.0, 1000)``.
    redraw
        ``"step"``: another mask each step; ``"epoch"``: one mask an epoch.
    scale_at
        ``"train"``: what is kept is divided by 1 - rate, testing does nothing (inverted dropout);
        ``"test"``: testing multiplies by 1 - rate, which is a number then.
    name
        Shown in summaries.
    """

    def __init__(
        self,
        rate: float | Schedule,
        redraw: str = "step",
        scale_at: str = "train",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.rate = dropout_rate(label(self), rate, scale_at)
        choose("dropout redraw", redraw, dict.fromkeys(("step", "epoch")))
        choose("dropout scale_at", scale_at, dict.fromkeys(("train", "test")))
        self.redraw, self.scale_at = redraw, scale_at

    def call(self, x: Tensor) -> Tensor:
        """Drop."""
        return ops.dropout(x, self.rate, self.redraw, self.scale_at)


class AlphaDropout(Layer):
    """Drops a random part of its input to SELU's lower end while training (Klambauer et al. 2017).

    y = scale*(x or -1.7580993408473766) + shift, such that an input of mean 0 and variance 1 keeps
    both; predictions take x as it is.

    Parameters
    ----------
    rate
        Probability of dropping, in [0, 1), at most 1 - 2^-24.
    name
        Shown in summaries.
    """

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        self.rate = number(label(self), "rate", rate, FRACTION, single=True)

    def call(self, x: Tensor) -> Tensor:
        """Drop."""
        return ops.alpha_dropout(x, self.rate)


class Normalize(Layer):
    """y = (x - mean)/std of each channel; as the first layer it is done while images are read.

    Prediction normalises just as training does, and the numbers are saved with the network.

    Parameters
    ----------
    mean, std
        In the units of the input, for each place of its last axis; one number where it has one
        place. std > 0.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or there are not as many as channels.
    """

    def __init__(
        self,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        means, stds = (n if is_list(n) else [n] for n in (mean, std))
        self.mean = numbers(label(self), "mean", means, ANY, single=True)
        self.std = numbers(label(self), "std", stds, POSITIVE, single=True)
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"{label(self)}: mean has {len(self.mean)} numbers, std {len(self.std)}; "
                "give one of each for a channel"
            )

    def call(self, x: Tensor) -> Tensor:
        """Normalise."""
        return ops.normalize(x, self.mean, self.std)


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
        self.scale = number(label(self), "scale", scale, ANY, single=True)
        self.shift = number(label(self), "shift", shift, ANY, single=True)

    def call(self, x: Tensor) -> Tensor:
        """Scale and shift."""
        return ops.affine(x, self.scale, self.shift)
