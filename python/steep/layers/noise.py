"""Layers that draw, and the one that turns gradients round. Dropout is in `pointwise`."""

from typing import Any

from .. import ops
from ..checks.numbers import NOT_NEGATIVE, flag, number
from ..network import Layer, Tensor, label, title_of
from ..network.drawn_ops import reversal_scale


class GaussianNoise(Layer):
    """y = x + std*n, n ~ N(0, 1) of every number, while training; predictions take x as it is.

    Parameters
    ----------
    std
        Standard deviation, at least 0, in the units of x.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If it is no such number.
    """

    def __init__(self, std: float, name: str | None = None) -> None:
        super().__init__(name)
        self.std = number(label(self), "std", std, NOT_NEGATIVE, single=True)

    def call(self, x: Tensor) -> Tensor:
        """Add noise."""
        return ops.gaussian_noise(x, self.std)


class Reparameterize(Layer):
    """z = mean + e^(log_variance/2) n, n ~ N(0, 1): what a variational autoencoder draws.

    Called on a mean and a log variance of one shape, or on one tensor whose last axis holds both,
    the mean first. Gradients pass through both (Kingma & Welling 2014).

    Parameters
    ----------
    sample
        Whether predictions draw, too; else they take the mean.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, or one tensor has an odd last axis.
    """

    def __init__(self, sample: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.sample = flag(label(self), "sample", sample)

    def call(self, mean: Tensor, log_variance: Tensor | None = None) -> Tensor:
        """Draw."""
        if log_variance is None:
            if mean.shape[-1] % 2:
                raise ValueError(
                    f"{title_of(mean, label(self))}: expects a mean and a log variance side by "
                    f"side, got {mean.shape}"
                )
            mean, log_variance = ops.split(mean, 2)
        return ops.reparameterize(mean, log_variance, self.sample)


class GradientReversal(Layer):
    """y = x; the gradient comes back times -scale (Ganin & Lempitsky 2015).

    Between features and a classifier of domains: what makes that one better makes the features
    worse for it.

    Parameters
    ----------
    scale
        The paper's lambda: a number, or a schedule for every step, such as its
        ``schedules.Adversarial(steps)``.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or not finite.
    """

    def __init__(self, scale: Any = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.scale = reversal_scale(label(self), scale)

    def call(self, x: Tensor) -> Tensor:
        """Pass on."""
        return ops.gradient_reversal(x, self.scale)
