"""Layers that normalise a sample by itself. By the batch: `norm`."""

from .. import ops
from ..checks.numbers import POSITIVE, flag, number, whole
from ..network import Layer, Tensor, label


class LayerNorm(Layer):
    """y = (x - mean)/sqrt(var + eps)*weight + bias over the last axis (Ba et al. 2016).

    Every position by itself, in training and prediction alike; weight and bias (n,) do not decay.

    Parameters
    ----------
    eps
        Added to the biased variance, positive; PyTorch's default. Keras has 1e-3, Flax 1e-6.
    use_bias
        Whether there is a bias.
    name
        Begins the names of the weights.

    Raises
    ------
    TypeError, ValueError
        If `eps` is out of range.
    """

    def __init__(self, eps: float = 1e-5, use_bias: bool = True, name: str | None = None) -> None:
        super().__init__(name)
        self.eps = number(label(self), "eps", eps, POSITIVE, single=True)
        self.use_bias = flag(label(self), "use_bias", use_bias)

    def call(self, x: Tensor) -> Tensor:
        """Normalise along the last axis."""
        weight = self.parameter("weight", x.shape[-1:], init=1.0)
        bias = self.parameter("bias", x.shape[-1:]) if self.use_bias else None
        return ops.layer_norm(x, weight, bias, self.eps)


class RMSNorm(Layer):
    """y = x/sqrt(mean(x^2) + eps)*weight over the last axis (Zhang & Sennrich 2019).

    Parameters
    ----------
    eps
        Positive.
    name
        Begins the name of the weight (n,).

    Raises
    ------
    TypeError, ValueError
        If `eps` is out of range.
    """

    def __init__(self, eps: float = 1e-6, name: str | None = None) -> None:
        super().__init__(name)
        self.eps = number(label(self), "eps", eps, POSITIVE, single=True)

    def call(self, x: Tensor) -> Tensor:
        """Normalise along the last axis."""
        return ops.rms_norm(x, self.parameter("weight", x.shape[-1:], init=1.0), self.eps)


class GroupNorm(Layer):
    """y = (x - mean)/sqrt(var + eps)*weight + bias, mean and var of groups (Wu & He 2018).

    Over all positions of a sample and each group of neighbouring channels; weight and bias
    (channels,).

    Parameters
    ----------
    groups
        They divide the channels.
    eps
        Added to the biased variance, positive.
    name
        Begins the names of the weights.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or the groups do not divide the channels.
    """

    def __init__(self, groups: int, eps: float = 1e-5, name: str | None = None) -> None:
        super().__init__(name)
        self.groups = whole(label(self), "groups", groups)
        self.eps = number(label(self), "eps", eps, POSITIVE, single=True)

    def call(self, x: Tensor) -> Tensor:
        """Normalise."""
        weight = self.parameter("weight", x.shape[-1:], init=1.0)
        return ops.group_norm(
            x, self.groups, weight, self.parameter("bias", x.shape[-1:]), self.eps
        )


class InstanceNorm(Layer):
    """y = (x - mean)/sqrt(var + eps)*weight + bias, channel by channel (Ulyanov et al. 2016).

    Over the positions of each sample; weight and bias (channels,), which PyTorch has with
    ``affine=True``.

    Parameters
    ----------
    eps
        Added to the biased variance, positive.
    name
        Begins the names of the weights.

    Raises
    ------
    TypeError, ValueError
        If `eps` is out of range.
    """

    def __init__(self, eps: float = 1e-5, name: str | None = None) -> None:
        super().__init__(name)
        self.eps = number(label(self), "eps", eps, POSITIVE, single=True)

    def call(self, x: Tensor) -> Tensor:
        """Normalise."""
        channels = x.shape[-1:]
        weight, bias = (
            self.parameter("weight", channels, init=1.0),
            self.parameter("bias", channels),
        )
        return ops.group_norm(x, channels[0], weight, bias, self.eps)
