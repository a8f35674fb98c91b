"""Layers that normalise: over the batch, over neighbouring channels, and a layer's weight."""

from .. import ops
from ..checks.numbers import CLOSED_FRACTION, NOT_NEGATIVE, POSITIVE, flag, number, whole
from ..network import Layer, Tensor, label, spectral
from .conv import Conv2D
from .dense import Dense


class BatchNorm(Layer):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, channel by channel (Ioffe & Szegedy 2015).

    Training takes mean and variance over the samples and pixels of the batch; inference takes their
    running averages, ``running = momentum * running + (1 - momentum) * batch``, which are kept
    beside the weights: weight, bias, running_mean, running_var, each (channels,). Keras and ONNX
    have ``unbiased=False``, Keras ``momentum=0.99, eps=1e-3`` as well.

    Parameters
    ----------
    momentum
        What stays of the running averages at each step, in [0, 1]; PyTorch counts what goes.
    eps
        Added to the variance, positive.
    unbiased
        Whether the running variance follows the batch's sum of squares divided by n - 1, as in the
        paper and PyTorch, or by n: the population's, by which training normalises.
    virtual_batch
        Samples of a batch that are normalised together, one after the other, the last ones being
        fewer where it does not divide the batch (Hoffer et al. 2017, "ghost batches"); None: all.
        The running averages follow one such group after the other, as in the paper; Keras has them
        follow the mean of the groups.
    name
        Begins the names of the weights.
    init
        Of `weight`: a number, an array or one of `steep.initializers`.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """

    def __init__(
        self,
        momentum: float = 0.9,
        eps: float = 1e-5,
        unbiased: bool = True,
        virtual_batch: int | None = None,
        name: str | None = None,
        *,
        init: object = 1.0,
    ) -> None:
        super().__init__(name)
        self.momentum = number(label(self), "momentum", momentum, CLOSED_FRACTION, single=True)
        self.eps = number(label(self), "eps", eps, POSITIVE, single=True)
        self.unbiased = flag(label(self), "unbiased", unbiased)
        self.init = init
        self.virtual_batch = virtual_batch
        if virtual_batch is not None:
            self.virtual_batch = whole(label(self), "virtual_batch", virtual_batch)

    def call(self, x: Tensor) -> Tensor:
        """Normalise along the last axis."""
        channels = x.shape[-1:]
        weight = self.parameter("weight", channels, init=self.init)
        bias = self.parameter("bias", channels)
        mean = self.parameter("running_mean", channels, init=0.0, decay=False, trained=False)
        var = self.parameter("running_var", channels, init=1.0, decay=False, trained=False)
        return ops.batch_norm(
            x, weight, bias, mean, var, momentum=self.momentum, eps=self.eps,
            unbiased=self.unbiased, virtual_batch=self.virtual_batch,
        )  # fmt: skip


class SpectralNorm(Layer):
    """A `Dense` or `Conv2D` whose W is divided by its largest singular value (Miyato et al. 2018).

    y = f(x (W/sigma) + b), sigma = v^T W u, W as a matrix (all that a unit reads, units). Each step
    goes on with the power method from u, a parameter (units,) that is kept beside the weights
    without a gradient: v = W u/|W u|, u = W^T v/|W^T v|. Gradients of W pass through sigma for u
    and v as they are. Predictions go on from the same u and keep nothing.

    Parameters
    ----------
    layer
        The `Dense` or `Conv2D`.
    iterations
        Of the power method in each step, at least 1.
    name
        Begins the name of u, ``name.u``.

    Raises
    ------
    TypeError, ValueError
        If it is another layer, or a number is out of range.
    """

    def __init__(self, layer: Dense | Conv2D, iterations: int = 1, name: str | None = None) -> None:
        super().__init__(name)
        if not isinstance(layer, (Dense, Conv2D)):
            raise TypeError(f"{label(self)}: expects a Dense or a Conv2D, got {layer!r}")
        self.layer = layer
        self.iterations = whole(label(self), "iterations", iterations)

    def call(self, x: Tensor) -> Tensor:
        """Multiply, divide, add, activate."""
        with spectral(x, self):
            return self.layer(x)


class LocalResponseNorm(Layer):
    """y_c = x_c / (bias + alpha * sum over |j - c| <= size/2 of x_j^2)^beta.

    Local response normalisation of Krizhevsky et al. (2012).

    Parameters
    ----------
    size
        Neighbouring channels in the sum, c itself included: an odd number.
    alpha, beta, bias
        Numbers; PyTorch's alpha is `size` times this one.
    name
        Shown in summaries.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or the input is no image.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        bias: float = 2.0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.size = whole(label(self), "size", size)
        self.alpha = number(label(self), "alpha", alpha, NOT_NEGATIVE, single=True)
        self.beta = number(label(self), "beta", beta, NOT_NEGATIVE, single=True)
        self.bias = number(label(self), "bias", bias, POSITIVE, single=True)

    def call(self, x: Tensor) -> Tensor:
        """Normalise."""
        return ops.lrn(x, self.size, self.alpha, self.beta, self.bias)
