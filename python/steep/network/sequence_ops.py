"""Functions of symbolic sequences: convolution and pooling along time. Re-exported by `ops`.

A sequence is (length, channels); (length,) counts as one channel. Natively it is an image one pixel
wide.
"""

from ..checks.numbers import flag, whole
from .image_ops import refuse_groups
from .tensor import Tensor, emit, title_of
from .windows import EndsLike, Pair, along, ends_of


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: EndsLike = "same",
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Return y[i, k] = b[k] + sum over p, c of x[s*i + d*p, c] W[p, c, k].

    Parameters
    ----------
    x
        (length, channels).
    weight
        A parameter (kernel, channels / groups, filters).
    bias
        A parameter (filters,), or None.
    stride, dilation
        s and d.
    padding
        Zeros around x: ``"same"``, ``"valid"``, ``"causal"``, an int for both ends, or (before,
        after). "same" gives ceil(length / stride) outputs, the odd zero at the end; "causal" puts
        all zeros before, so that no output sees what comes later.
    groups
        Parts of the channels that do not see each other; as many as channels: depthwise.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or a number is out of range.
    """
    x, where = _sequence("conv1d", x)
    if len(weight.shape) != 3:
        raise ValueError(
            f"{where}: expects a weight (kernel, channels / groups, filters), got {weight.shape}"
        )
    kernel, inside, filters = weight.shape
    groups = whole(where, "groups", groups)
    refuse_groups(where, groups, x.shape[1], inside, filters)
    step, apart = whole(where, "stride", stride), whole(where, "dilation", dilation)
    given = ends_of(where, padding, causal=True)
    before, after = along(where, given, x.shape[0], kernel, step, apart)
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return emit(
        "conv2d",
        *inputs,
        stride=(step, 1),
        padding=(before, after, 0, 0),
        dilation=(apart, 1),
        groups=groups,
    )


def max_pool1d(
    x: Tensor, size: int, stride: int | None = None, padding: EndsLike = "valid"
) -> Tensor:
    """Return the largest value of each window and channel; padding never wins.

    Parameters
    ----------
    x
        (length, channels).
    size
        Of the window.
    stride
        None: the size.
    padding
        ``"valid"``, ``"same"``, an int for both ends, or (before, after).

    Raises
    ------
    TypeError, ValueError
        If the window does not fit, or a number is out of range.
    """
    image, window, step, ends = _window("max_pool1d", x, size, stride, padding)
    y = emit("max_pool", image, size=(window, 1), stride=(step, 1), padding=(*ends, 0, 0))
    return _row(y)


def avg_pool1d(
    x: Tensor,
    size: int,
    stride: int | None = None,
    padding: EndsLike = "valid",
    count_padding: bool = False,
) -> Tensor:
    """Return the mean of each window and channel.

    Parameters
    ----------
    x
        (length, channels).
    size
        Of the window.
    stride
        None: the size.
    padding
        As in `max_pool1d`.
    count_padding
        Whether zeros of the padding count in the mean.

    Raises
    ------
    TypeError, ValueError
        If the window does not fit, or a number is out of range.
    """
    counted = flag(title_of(x, "avg_pool1d"), "count_padding", count_padding)
    image, window, step, ends = _window("avg_pool1d", x, size, stride, padding)
    y = emit(
        "avg_pool",
        image,
        size=(window, 1),
        stride=(step, 1),
        padding=(*ends, 0, 0),
        count_padding=counted,
    )
    return _row(y)


def as_sequence(x: Tensor) -> Tensor:
    """Return x as (length, channels): (length,) counts as one channel.

    Raises
    ------
    ValueError
        If x has more axes.
    """
    return _sequence("as_sequence", x)[0]


def _sequence(op: str, x: Tensor) -> tuple[Tensor, str]:
    """Return a sequence with two axes, and who asks for it."""
    where = title_of(x, op)  # the layer being called, where there is one
    if len(x.shape) == 1:
        x = emit("reshape", x, shape=(*x.shape, 1))
    if len(x.shape) != 2:
        raise ValueError(
            f"{where}: expects a sequence (length, channels), got {x.shape}. "
            "Put Reshape((length, channels)) before it."
        )
    return x, where


def _window(
    op: str, x: Tensor, size: int, stride: int | None, padding: EndsLike
) -> tuple[Tensor, int, int, Pair]:
    """Return the sequence as an image, and window, stride and padding of a pool."""
    x, where = _sequence(op, x)
    window = whole(where, "size", size)
    step = window if stride is None else whole(where, "stride", stride)
    ends = along(where, ends_of(where, padding), x.shape[0], window, step)
    if max(ends) >= window:
        raise ValueError(
            f"{where}: padding must be below the size of the window, {window}, got {ends} "
            "(before, after)"
        )
    return emit("reshape", x, shape=(x.shape[0], 1, x.shape[1])), window, step, ends


def _row(y: Tensor) -> Tensor:
    return emit("reshape", y, shape=(y.shape[0], y.shape[2]))
