"""Functions of symbolic tensors, for custom layers and the functional form; no layer lives here.

Shapes leave out the batch; an image is (height, width, channels), a sequence (length, channels);
(height, width) and (length,) count as one channel. ``+ - * / **`` and ``@`` on tensors say the same
as add, subtract, multiply, divide, power and matmul.
"""

from collections.abc import Iterable, Mapping, Sequence

from . import _core
from .checks.names import choose
from .checks.numbers import (
    ANY,
    FRACTION,
    LIMIT,
    NOT_NEGATIVE,
    POSITIVE,
    Range,
    flag,
    keeps_kind,
    number,
    whole,
)
from .network import Shape, Tensor, add_loss, emit, shape_of
from .network.attention_ops import (
    add_table,
    attention,
    batch_matmul,
    embedding,
    packed_attention,
)
from .network.axis_ops import broadcast_to, concat, mean, repeat, slice, split, sum
from .network.box_ops import box_giou, box_iou
from .network.drawn_ops import (
    bernoulli,
    dropout_rate,
    gaussian_noise,
    gradient_reversal,
    normal_like,
    reparameterize,
    stop_gradient,
    uniform_like,
)
from .network.element_ops import (
    absolute,
    clip,
    divide,
    exp,
    log,
    maximum,
    minimum,
    power,
    sqrt,
    square,
)
from .network.feature_ops import group_norm, layer_norm, rms_norm
from .network.graph_ops import sparse_matmul, sparse_product
from .network.image_ops import (
    as_image,
    avg_pool,
    batch_norm,
    conv2d,
    conv2d_transpose,
    global_avg_pool,
    global_max_pool,
    lrn,
    max_pool,
    upsample,
    zero_pad,
)
from .network.sequence_ops import as_sequence, avg_pool1d, conv1d, max_pool1d
from .network.tensor import alike
from .schedules import Schedule

__all__ = [
    "absolute",
    "activation",
    "activation_kind",
    "add",
    "add_loss",
    "add_table",
    "affine",
    "alpha_dropout",
    "as_image",
    "as_sequence",
    "attention",
    "avg_pool",
    "avg_pool1d",
    "batch_matmul",
    "batch_norm",
    "bernoulli",
    "box_giou",
    "box_iou",
    "broadcast_to",
    "clip",
    "concat",
    "conv1d",
    "conv2d",
    "conv2d_transpose",
    "divide",
    "dropout",
    "embedding",
    "exp",
    "flatten",
    "gaussian_noise",
    "global_avg_pool",
    "global_max_pool",
    "glu",
    "gradient_reversal",
    "group_norm",
    "kl_normal",
    "layer_norm",
    "log",
    "lrn",
    "matmul",
    "max_pool",
    "max_pool1d",
    "maximum",
    "maxout",
    "mean",
    "minimum",
    "multiply",
    "normal_like",
    "normalize",
    "packed_attention",
    "power",
    "prelu",
    "reparameterize",
    "repeat",
    "reshape",
    "rms_norm",
    "rrelu",
    "slice",
    "softmax",
    "sparse_matmul",
    "sparse_product",
    "split",
    "sqrt",
    "square",
    "stop_gradient",
    "subtract",
    "sum",
    "uniform_like",
    "upsample",
    "zero_pad",
]

ALIASES: Mapping[str, str] = {
    "swish": "silu",
    "hard_silu": "hard_swish",
    "logistic": "sigmoid",
}
# Of the activations with a number, and what layers take unless told. Where the gradient is taken
# from y, that tells the side of 0 only for an alpha that is not negative.
ALPHAS: Mapping[str, Range] = {
    "leaky_relu": ANY,
    "elu": NOT_NEGATIVE,
    "celu": POSITIVE,
    "soft_shrink": NOT_NEGATIVE,
    "hard_shrink": NOT_NEGATIVE,
}
DEFAULTS: Mapping[str, float] = {
    "leaky_relu": 0.01,
    "elu": 1.0,
    "celu": 1.0,
    "soft_shrink": 0.5,
    "hard_shrink": 0.5,
}


def activation_kind(name: str, besides: Iterable[str] = ()) -> str:
    """Return the native name of an activation; ValueError with the nearest known one otherwise.

    `besides` are names that the caller knows, too: they stay what they are.
    """
    known = {kind: kind for kind in _core.activations()}
    known |= {k: v for k, v in ALIASES.items() if v in known}
    return choose("activation", name, known | {k: k for k in besides})


def activation_number(where: str, kind: str, alpha: float) -> float:
    """Return the number of an activation, checked; 0 of those that have none.

    Raises
    ------
    TypeError, ValueError
        If it is no number, out of range, or the activation has none.
    """
    if kind in ALPHAS:
        return number(where, "alpha", alpha, ALPHAS[kind], single=True)
    if number(where, "alpha", alpha, ANY) != 0.0:
        known = ", ".join(f'"{name}"' for name in ALPHAS)
        raise ValueError(f'{where}: "{kind}" has no alpha, got {alpha!r}; {known} have one')
    return 0.0


def matmul(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, transposed: bool = False
) -> Tensor:
    """Return x W + b: (..., n) by a parameter (n, m), plus a parameter (m,), gives (..., m).

    Parameters
    ----------
    x
        (..., n).
    weight
        A parameter (n, m), or (m, n) where it is transposed.
    bias
        A parameter (m,), or None.
    transposed
        Whether x is multiplied by the transpose of W: ``x @ w.T``, for weights that are used twice.
    """
    turned = {"transposed": True} if flag("matmul", "transposed", transposed) else {}
    given = (x, weight) if bias is None else (x, weight, bias)
    return emit("matmul", *given, **turned)


def add(a: Tensor, b: Tensor) -> Tensor:
    """Return a + b; shapes such that one can be repeated, or (..., n) and a parameter (n,)."""
    return emit("add", *alike(a, b))


def subtract(a: Tensor, b: Tensor) -> Tensor:
    """Return a - b; equal shapes, or such that one can be repeated."""
    return emit("subtract", *alike(a, b))


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Return a * b element by element; shapes as in `add`."""
    return emit("multiply", *alike(a, b))


def affine(x: Tensor, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """Return scale*x + shift for two numbers."""
    scale = number("affine", "scale", scale, ANY, single=True)
    shift = number("affine", "shift", shift, ANY, single=True)
    return emit("affine", x, scale=scale, shift=shift)


def normalize(x: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return (x - mean)/std with a number of each for every place of the last axis.

    Raises
    ------
    TypeError, ValueError
        If there are not as many, a std is not positive, or float32 cannot hold 1/std or mean/std.
    """
    scales = [1.0 / number("normalize", "std", s, POSITIVE) for s in std]
    shifts = [-m * scale for m, scale in zip(mean, scales, strict=True)]
    for scale, shift in zip(scales, shifts, strict=True):
        keeps_kind("normalize", "1/std", scale, POSITIVE)
        if not abs(shift) < LIMIT:
            raise ValueError(f"normalize: mean/std must fit into float32, got {-shift:g}")
    return emit("affine_channels", x, scales=scales, shifts=shifts)


def activation(x: Tensor, kind: str, alpha: float = 0.0) -> Tensor:
    """Return f(x); `alpha` is the number of those that have one.

    It is the slope of "leaky_relu", the depth of "elu" and "celu", the threshold of "soft_shrink"
    and "hard_shrink": at least 0 but for the first, above 0 for "celu".
    """
    kind = activation_kind(kind)
    return emit("activation", x, kind=kind, alpha=activation_number("activation", kind, alpha))


def softmax(x: Tensor) -> Tensor:
    """Return exp(x_i) / sum_j exp(x_j) over the last axis of x."""
    return emit("softmax", x)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """Return x where it is positive, else slope*x (He et al. 2015).

    `slope` is a parameter: (channels,), for each place of the last axis of x, or (1,) for all.
    """
    return emit("prelu", x, slope)


def rrelu(x: Tensor, lower: float = 1 / 8, upper: float = 1 / 3) -> Tensor:
    """Return x where it is positive, else slope*x, slopes drawn while training (Xu et al. 2015).

    Parameters
    ----------
    x
        Any shape.
    lower, upper
        Every element of every step draws its slope from [lower, upper]; predictions take the
        middle. At least 0, lower <= upper.
    """
    return emit(
        "rrelu",
        x,
        lower=number("rrelu", "lower", lower, NOT_NEGATIVE, single=True),
        upper=number("rrelu", "upper", upper, NOT_NEGATIVE, single=True),
    )


def glu(x: Tensor, gate: str = "sigmoid") -> Tensor:
    """Return a * f(b) of the halves a, b of the last axis; f by name (Dauphin et al. 2017)."""
    kind = activation_kind(gate)
    return emit("glu", x, kind=kind, alpha=DEFAULTS.get(kind, 0.0))


def maxout(x: Tensor, pieces: int = 2) -> Tensor:
    """Return the largest of each `pieces` neighbours of the last axis (Goodfellow et al. 2013)."""
    return emit("maxout", x, pieces=whole("maxout", "pieces", pieces))


def kl_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return (mean^2 + e^log_variance - log_variance - 1)/2, element by element.

    Its sum is the divergence of Kullback and Leibler of independent normal variables from standard
    ones (Kingma & Welling 2014), what a variational autoencoder adds to its loss; equal shapes.
    """
    spread = activation(log_variance, "exp") - log_variance
    return affine(mean * mean + spread, scale=0.5, shift=-0.5)


def reshape(x: Tensor, shape: Shape | int) -> Tensor:
    """Return x under another shape of as many elements; one axis may be -1.

    Raises
    ------
    ValueError
        If the numbers of elements differ.
    """
    total = _size(x.shape)
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    if wanted.count(-1) == 1:
        rest = _size(tuple(n for n in wanted if n != -1))
        if rest > 0 and total % rest == 0:
            wanted = tuple(total // rest if n == -1 else n for n in wanted)
    wanted = shape_of("reshape", wanted)
    if _size(wanted) != total:
        raise ValueError(f"reshape: {x.shape} has {total} elements, {wanted} has {_size(wanted)}")
    return emit("reshape", x, shape=wanted)


def flatten(x: Tensor) -> Tensor:
    """Return x with one axis."""
    return x if len(x.shape) == 1 else reshape(x, (_size(x.shape),))


def dropout(
    x: Tensor, rate: float | Schedule, redraw: str = "step", scale_at: str = "train"
) -> Tensor:
    """Return x with a random part `rate` of it at zero while training (Srivastava et al. 2014).

    Parameters
    ----------
    rate
        Probability of dropping an element, in [0, 1): a number, or a schedule for every step.
    redraw
        ``"step"``, or ``"epoch"``: the same elements of a sample for a whole epoch.
    scale_at
        ``"train"`` divides by 1 - rate while training; ``"test"`` multiplies by it afterwards,
        which takes a number.

    Raises
    ------
    TypeError, ValueError
        If the rate is neither, or an argument is unknown.
    """
    rate = dropout_rate("dropout", rate, scale_at)
    by_epoch = choose("dropout redraw", redraw, {"step": False, "epoch": True})
    at_test = choose("dropout scale_at", scale_at, {"train": False, "test": True})
    return emit("dropout", x, rate=rate, redraw_epoch=by_epoch, scale_at_test=at_test)


def alpha_dropout(x: Tensor, rate: float) -> Tensor:
    """Return x with a part `rate` of it at SELU's lower end while training (Klambauer et al. 2017).

    All is then scaled and shifted such that mean 0 and variance 1 stay what they are. The rate is
    in [0, 1).
    """
    return emit(
        "alpha_dropout", x, rate=number("alpha_dropout", "rate", rate, FRACTION, single=True)
    )


def _size(shape: Shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size
