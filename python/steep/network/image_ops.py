"""Functions of symbolic images: convolution, pooling, normalisation, padding. Re-exported by `ops`.

An image is (height, width, channels); (height, width) counts as one channel.
"""

import math

from ..checks.numbers import CLOSED_FRACTION, NOT_NEGATIVE, POSITIVE, flag, number, pair, whole
from .tensor import Shape, Tensor, emit, title_of
from .windows import PaddingLike, Pair, PairLike, Sides, cut_sides, padding_of, sides


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = "same",
    dilation: PairLike = 1,
    groups: int = 1,
) -> Tensor:
    """Return y[i, j, k] = b[k] + sum over p, q, c of x[s*i + d*p, s*j + d*q, c] W[p, q, c, k].

    Parameters
    ----------
    x
        (height, width, channels).
    weight
        A parameter (kernel height, kernel width, channels / groups, filters).
    bias
        A parameter (filters,), or None.
    stride, dilation
        s and d: an int, or a pair (rows, columns).
    padding
        Zeros around x: ``"same"``, ``"valid"``, an int, (rows, columns) or (top, bottom, left,
        right). "same" gives ceil(size / stride) outputs, the odd zero below and to the right.
    groups
        Parts of the channels that do not see each other; as many as channels: depthwise.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or a number is out of range.
    """
    x, where, size = _image("conv2d", x)
    if len(weight.shape) != 4:
        raise ValueError(
            f"{where}: expects a weight (height, width, channels / groups, filters), got "
            f"{weight.shape}"
        )
    kernel, (inside, filters) = (weight.shape[0], weight.shape[1]), weight.shape[2:]
    groups = whole(where, "groups", groups)
    refuse_groups(where, groups, x.shape[2], inside, filters)
    steps, apart = pair(where, "stride", stride), pair(where, "dilation", dilation)
    around = sides(
        where, padding_of(where, padding), size, kernel=kernel, stride=steps, dilation=apart
    )
    given = (x, weight) if bias is None else (x, weight, bias)
    return emit("conv2d", *given, stride=steps, padding=around, dilation=apart, groups=groups)


def conv2d_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = "same",
    output_padding: PairLike | None = None,
    dilation: PairLike = 1,
    groups: int = 1,
) -> Tensor:
    """Return y[s*i + d*p, s*j + d*q, k] = b[k] + sum over p, q, c of x[i, j, c] W[p, q, k, c].

    What carries a gradient back through `conv2d` (Dumoulin & Visin 2016): every pixel of x is
    spread over a window of the result.

    Parameters
    ----------
    x
        (height, width, channels).
    weight
        A parameter (kernel height, kernel width, filters / groups, channels).
    bias
        A parameter (filters,), or None.
    stride, dilation
        s and d: an int, or a pair (rows, columns).
    padding
        Pixels cut off the result: ``"same"`` leaves size * stride, the odd one off below and to the
        right; ``"valid"`` none, size * stride + max(window - stride, 0); an int, (rows, columns) or
        (top, bottom, left, right), as PyTorch has it.
    output_padding
        Rows and columns that the result has besides, below and to the right: an int or a pair,
        below stride or dilation. None: 0, and where padding is a name what its size wants.
    groups
        Parts of the channels that do not see each other; as many as channels: depthwise.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or a number is out of range.
    """
    x, where, size = _image("conv2d_transpose", x)
    if len(weight.shape) != 4:
        raise ValueError(
            f"{where}: expects a weight (height, width, filters / groups, channels), got "
            f"{weight.shape}"
        )
    groups = whole(where, "groups", groups)
    if x.shape[2] % groups or weight.shape[3] != x.shape[2]:
        raise ValueError(
            f"{where}: {groups} groups must divide {x.shape[2]} channels, which the last axis of "
            f"the weight counts; it has shape {weight.shape}"
        )
    steps, apart = pair(where, "stride", stride), pair(where, "dilation", dilation)
    around, more = cut_sides(
        where,
        padding_of(where, padding),
        None if output_padding is None else pair(where, "output_padding", output_padding, 0),
        size,
        kernel=(weight.shape[0], weight.shape[1]),
        stride=steps,
        dilation=apart,
    )
    given = (x, weight) if bias is None else (x, weight, bias)
    return emit(
        "conv2d_transpose",
        *given,
        stride=steps,
        padding=around,
        output_padding=more,
        dilation=apart,
        groups=groups,
    )


def max_pool(
    x: Tensor, size: PairLike, stride: PairLike | None = None, padding: PaddingLike = "valid"
) -> Tensor:
    """Return the largest value of each window and channel; padding never wins.

    Parameters
    ----------
    x
        (height, width, channels).
    size
        Of the window: an int, or a pair (rows, columns).
    stride
        An int or a pair; None: the size.
    padding
        As in `conv2d`.

    Raises
    ------
    TypeError, ValueError
        If the window does not fit, or a number is out of range.
    """
    x, window, steps, around = _window("max_pool", x, size, stride, padding)
    return emit("max_pool", x, size=window, stride=steps, padding=around)


def avg_pool(
    x: Tensor,
    size: PairLike,
    stride: PairLike | None = None,
    padding: PaddingLike = "valid",
    count_padding: bool = False,
) -> Tensor:
    """Return the mean of each window and channel.

    Parameters
    ----------
    x
        (height, width, channels).
    size
        Of the window: an int, or a pair (rows, columns).
    stride
        An int or a pair; None: the size.
    padding
        As in `conv2d`.
    count_padding
        Whether zeros of the padding count in the mean.

    Raises
    ------
    TypeError, ValueError
        If the window does not fit, or a number is out of range.
    """
    x, window, steps, around = _window("avg_pool", x, size, stride, padding)
    counted = flag(title_of(x, "avg_pool"), "count_padding", count_padding)
    return emit("avg_pool", x, size=window, stride=steps, padding=around, count_padding=counted)


def global_avg_pool(x: Tensor) -> Tensor:
    """Return the mean over all pixels: (height, width, channels) gives (channels,)."""
    x, _, size = _image("global_avg_pool", x)
    return emit("reshape", avg_pool(x, size), shape=(x.shape[2],))


def batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    *,
    momentum: float = 0.9,
    eps: float = 1e-5,
    unbiased: bool = True,
    virtual_batch: int | None = None,
) -> Tensor:
    """Return (x - mean) / sqrt(var + eps) * weight + bias along the last axis (Ioffe 2015).

    Training takes mean and variance over the samples and pixels of the batch and moves the running
    ones: running = momentum*running + (1 - momentum)*batch. Inference takes the running ones.

    Parameters
    ----------
    x
        (..., channels).
    weight, bias
        Parameters (channels,).
    running_mean, running_var
        Parameters (channels,) made with ``trained=False``.
    momentum
        In [0, 1].
    eps
        Positive.
    unbiased
        Whether the running variance follows the sum of squares divided by n - 1 rather than n.
    virtual_batch
        Samples, one after the other, that are normalised together (Hoffer et al. 2017); None: all.

    Raises
    ------
    TypeError, ValueError
        If a parameter has another shape, or a number is out of range.
    """
    where, parameters = title_of(x, "batch_norm"), (weight, bias, running_mean, running_var)
    if any(p.shape != x.shape[-1:] for p in parameters):
        shapes = ", ".join(str(p.shape) for p in parameters)
        raise ValueError(f"{where}: expects parameters of shape {x.shape[-1:]}, got {shapes}")
    return emit(
        "batch_norm",
        x,
        *parameters,
        momentum=number(where, "momentum", momentum, CLOSED_FRACTION, single=True),
        eps=number(where, "eps", eps, POSITIVE, single=True),
        unbiased=flag(where, "unbiased", unbiased),
        virtual_batch=0 if virtual_batch is None else whole(where, "virtual_batch", virtual_batch),
    )


def lrn(
    x: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, bias: float = 2.0
) -> Tensor:
    """Return x_c / (bias + alpha * sum over |j - c| <= size/2 of x_j^2)^beta (Krizhevsky 2012).

    Parameters
    ----------
    x
        (height, width, channels).
    size
        Neighbouring channels in the sum, c itself included: odd.
    alpha, beta, bias
        Numbers; PyTorch's alpha is `size` times this one.

    Raises
    ------
    TypeError, ValueError
        If x is no image, or a number is out of range.
    """
    x, where, _ = _image("lrn", x)
    return emit(
        "lrn",
        x,
        size=whole(where, "size", size),
        alpha=number(where, "alpha", alpha, NOT_NEGATIVE, single=True),
        beta=number(where, "beta", beta, NOT_NEGATIVE, single=True),
        bias=number(where, "bias", bias, POSITIVE, single=True),
    )


def upsample(x: Tensor, size: PairLike = 2) -> Tensor:
    """Return x with every pixel repeated: (h, w, c) gives (h*rows, w*columns, c).

    Parameters
    ----------
    x
        (height, width, channels).
    size
        How often: an int, or a pair (rows, columns).

    Raises
    ------
    TypeError, ValueError
        If x is no image, or a number is below 1.
    """
    x, where, _ = _image("upsample", x)
    return emit("upsample", x, size=pair(where, "size", size, 1))


def zero_pad(
    x: Tensor, rows: PairLike = 0, columns: PairLike = 0, channels: PairLike = 0
) -> Tensor:
    """Return x with zeros before and after its rows, columns and channels.

    Parameters
    ----------
    x
        (height, width, channels).
    rows, columns, channels
        How many: an int for both ends, or a pair (before, after).

    Raises
    ------
    TypeError, ValueError
        If x is no image, or a number is below 0.
    """
    x, where, _ = _image("zero_pad", x)
    given = {"rows": rows, "columns": columns, "channels": channels}
    return emit("zero_pad", x, **{name: pair(where, name, n, 0) for name, n in given.items()})


def global_max_pool(x: Tensor) -> Tensor:
    """Return the largest of all pixels: (height, width, channels) gives (channels,)."""
    x, _, size = _image("global_max_pool", x)
    return emit("reshape", max_pool(x, size), shape=(x.shape[2],))


def refuse_groups(where: str, groups: int, channels: int, inside: int, filters: int) -> None:
    """Refuse weights of `inside` channels a group that do not fit channels and filters."""
    if channels % groups or filters % groups or inside * groups != channels:
        raise ValueError(
            f"{where}: {groups} groups must divide {channels} channels and {filters} filters; "
            f"the weight has {inside} channels a group"
        )


def as_image(x: Tensor) -> Tensor:
    """Return x as (height, width, channels): (height, width) counts as one channel.

    Raises
    ------
    ValueError
        If x has another number of axes.
    """
    return _image("as_image", x)[0]


def _image(op: str, x: Tensor) -> tuple[Tensor, str, Pair]:
    """Return an image with three axes, who asks for it, and its height and width."""
    where = title_of(x, op)  # the layer being called, where there is one
    if len(x.shape) == 2:
        x = emit("reshape", x, shape=(*x.shape, 1))
    if len(x.shape) != 3:
        raise ValueError(
            f"{where}: expects an image (height, width, channels), got {x.shape}. "
            f"{_remedy(x.shape)}"
        )
    return x, where, (x.shape[0], x.shape[1])


def _remedy(shape: Shape) -> str:
    """Say how numbers in one row become the image they may be."""
    for channels in (1, 3) if len(shape) == 1 else ():
        side = math.isqrt(shape[0] // channels)
        if side * side * channels == shape[0]:
            return f"Put Reshape(({side}, {side}, {channels})) before it."
    return "Put Reshape((height, width, channels)) before it."


def _window(
    op: str, x: Tensor, size: PairLike, stride: PairLike | None, padding: PaddingLike
) -> tuple[Tensor, Pair, Pair, Sides]:
    """Return image, window, stride and padding of a pool."""
    x, where, image = _image(op, x)
    window = pair(where, "size", size)
    steps = window if stride is None else pair(where, "stride", stride)
    around = sides(where, padding_of(where, padding), image, kernel=window, stride=steps)
    for k, n in enumerate(around):
        if n >= window[k // 2]:
            raise ValueError(
                f"{where}: padding must be below the size of the window, {window}, got {around} "
                "(top, bottom, left, right)"
            )
    return x, window, steps, around
