"""The truths the tests compare with: rules, schedules, activations, losses and initialisers.

Slow and obvious float64 NumPy, written from the papers' formulas. Nothing of steep is imported.
The rules stand in reference_rules.py, what optimizers make of them in reference_knobs.py.
"""

import math

import numpy as np
from reference_knobs import (  # noqa: F401
    Following,
    descent,
    first_slots,
    knobs_at,
    move,
    path,
    point,
    step,
)
from reference_rules import OWN_DECAY, RULES, update  # noqa: F401


def clip_by_norm(g, limit):
    norm = math.sqrt(float(np.sum(g * g)))
    return g * limit / norm if norm > limit else g


# ---- Schedules: one time, one value. ----


def piecewise(t, boundaries, values):
    """boundaries[i] <= t < boundaries[i+1] gives values[i]."""
    value = values[0]
    for start, candidate in zip(boundaries, values, strict=True):
        if t >= start:
            value = candidate
    return value


def exponential(t, start, rate):
    return start * math.exp(-rate * t)


def inverse_power(t, start, beta, alpha):
    return start * (beta * t + 1) ** (-alpha)


def polynomial(t, start, end, over, power):
    return end + (start - end) * (1 - min(t, over) / over) ** power


def stairs(t, start, every, factor):
    return start * factor ** math.floor(t / every)


def cosine(t, start, over, end):
    return end + (start - end) * (1 + math.cos(math.pi * min(t, over) / over)) / 2


def restarts(t, start, over, *, multiply, decay, end):
    """Walk from period to period."""
    high = start - end
    while t >= over:
        t, over, high = t - over, over * multiply, high * decay
    return cosine(t, end + high, over, end)


def triangles(t, start, peak, *, up, down, scale):
    """Walk from cycle to cycle; scale(cycle, t) shrinks their height."""
    cycle, into = 0, t
    while into >= up + down:
        cycle, into = cycle + 1, into - (up + down)
    height = into / up if into <= up else (up + down - into) / down
    return start + (peak - start) * height * scale(cycle, t)


def linear(t, start, end, over):
    return start + (end - start) * min(t, over) / over


# ---- Activations: name -> (f, f'), alpha is the number of those that have one. ----


def sigmoid(x):
    """1/(1+e^-x) without overflow on either side."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def normal_cdf(x):
    return np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)))(x)


def normal_density(x):
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


SELU_A, SELU_S = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

GELU_K = 2 * np.sqrt(2 / np.pi)


def gelu_u(x):
    """Twice what the tanh of GELU is taken of: (1 + tanh(u))/2 = sigmoid(2u)."""
    return GELU_K * x * (1 + 0.044715 * x * x)


ACTIVATIONS = {
    "linear": (lambda x, a: x, lambda x, a: np.ones_like(x)),
    "relu": (lambda x, a: np.maximum(x, 0), lambda x, a: (x > 0) * 1.0),
    "leaky_relu": (
        lambda x, a: np.where(x > 0, x, a * x),
        lambda x, a: np.where(x > 0, 1.0, a),
    ),
    "elu": (
        lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
        lambda x, a: np.where(x > 0, 1.0, a * np.exp(np.minimum(x, 0))),
    ),
    "sigmoid": (
        lambda x, a: sigmoid(x),
        lambda x, a: sigmoid(x) * (1 - sigmoid(x)),
    ),
    "tanh": (lambda x, a: np.tanh(x), lambda x, a: 1 - np.tanh(x) ** 2),
    "gelu": (
        lambda x, a: x * normal_cdf(x),
        lambda x, a: normal_cdf(x) + x * normal_density(x),
    ),
    "gelu_tanh": (
        lambda x, a: x * sigmoid(gelu_u(x)),
        lambda x, a: (
            sigmoid(gelu_u(x))
            + x * sigmoid(gelu_u(x)) * sigmoid(-gelu_u(x)) * GELU_K * (1 + 0.134145 * x * x)
        ),
    ),
    "silu": (
        lambda x, a: x * sigmoid(x),
        lambda x, a: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    ),
    "sin": (lambda x, a: np.sin(x), lambda x, a: np.cos(x)),
    "cos": (lambda x, a: np.cos(x), lambda x, a: -np.sin(x)),
    "mish": (
        lambda x, a: x * np.tanh(np.logaddexp(0, x)),
        lambda x, a: (
            np.tanh(np.logaddexp(0, x)) + x * sigmoid(x) / np.cosh(np.logaddexp(0, x)) ** 2
        ),
    ),
    "selu": (
        lambda x, a: SELU_S * np.where(x > 0, x, SELU_A * np.expm1(np.minimum(x, 0))),
        lambda x, a: SELU_S * np.where(x > 0, 1.0, SELU_A * np.exp(np.minimum(x, 0))),
    ),
    "celu": (
        lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0) / a)),
        lambda x, a: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0) / a)),
    ),
    "relu6": (lambda x, a: np.clip(x, 0, 6), lambda x, a: ((x > 0) & (x < 6)) * 1.0),
    "hard_sigmoid": (
        lambda x, a: np.clip(x + 3, 0, 6) / 6,
        lambda x, a: (np.abs(x) < 3) / 6.0,
    ),
    "hard_swish": (
        lambda x, a: x * np.clip(x + 3, 0, 6) / 6,
        lambda x, a: np.where(np.abs(x) < 3, x / 3 + 0.5, x > 0),
    ),
    "hard_tanh": (lambda x, a: np.clip(x, -1, 1), lambda x, a: (np.abs(x) < 1) * 1.0),
    "log_sigmoid": (lambda x, a: -np.logaddexp(0, -x), lambda x, a: sigmoid(-x)),
    "softsign": (lambda x, a: x / (1 + np.abs(x)), lambda x, a: 1 / (1 + np.abs(x)) ** 2),
    "soft_shrink": (
        lambda x, a: np.sign(x) * np.maximum(np.abs(x) - a, 0),
        lambda x, a: (np.abs(x) > a) * 1.0,
    ),
    "hard_shrink": (
        lambda x, a: np.where(np.abs(x) > a, x, 0.0),
        lambda x, a: (np.abs(x) > a) * 1.0,
    ),
    "exp": (lambda x, a: np.exp(x), lambda x, a: np.exp(x)),
    "log": (lambda x, a: np.log(x), lambda x, a: 1 / x),
    "square": (lambda x, a: x * x, lambda x, a: 2 * x),
    "abs": (lambda x, a: np.abs(x), lambda x, a: np.sign(x)),
    "softplus": (lambda x, a: np.logaddexp(0, x), lambda x, a: sigmoid(x)),
    "sqrt": (lambda x, a: np.sqrt(x), lambda x, a: 0.5 / np.sqrt(x)),
}


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# ---- Losses: (z, target, option) -> (loss of each row, gradient of each row's loss). ----


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def mse(z, y, option=0.0):
    e = z - y
    return (e**2).mean(axis=1), 2 * e / z.shape[1]


def mae(z, y, option=0.0):
    e = z - y
    return np.abs(e).mean(axis=1), np.sign(e) / z.shape[1]


def huber(z, y, delta=1.0):
    e = z - y
    value = np.where(np.abs(e) <= delta, e**2 / 2, delta * (np.abs(e) - delta / 2))
    return value.mean(axis=1), np.clip(e, -delta, delta) / z.shape[1]


def log_cosh(z, y, option=0.0):
    """cosh(e) - 1 is 2 sinh(e/2)^2, which loses nothing near 0."""
    e = z - y
    return np.log1p(2 * np.sinh(e / 2) ** 2).mean(axis=1), np.tanh(e) / z.shape[1]


def cross_entropy(z, y, smoothing=0.0):
    """y are probabilities (N, classes); labels go through `one_hot` first."""
    y = (1 - smoothing) * y + smoothing / z.shape[1]
    top = z.max(axis=1, keepdims=True)
    log_p = z - top - np.log(np.exp(z - top).sum(axis=1, keepdims=True))
    return -(y * log_p).sum(axis=1), y.sum(axis=1, keepdims=True) * np.exp(log_p) - y


def binary_cross_entropy(z, y, option=0.0):
    log_p, log_q = -np.logaddexp(0, -z), -np.logaddexp(0, z)
    return -(y * log_p + (1 - y) * log_q).mean(axis=1), (sigmoid(z) - y) / z.shape[1]


LOSSES = {
    "mse": mse,
    "mae": mae,
    "huber": huber,
    "log_cosh": log_cosh,
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
}


# ---- Images: (N, H, W, C) batches, tap by tap. Padding is (top, bottom, left, right). ----


def pad_pixels(x, padding, value=0.0):
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def crop_pixels(x, padding):
    top, bottom, left, right = padding
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def out_size(n, kernel, stride, padding, dilation=1):
    return (n + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def windows(shape, kernel, stride, padding, dilation=(1, 1)):
    """Give (a, b, pixels): where tap (a, b) lies in padded images (N, H, W, C), for all outputs."""
    top, bottom, left, right = padding
    rows = out_size(shape[1], kernel[0], stride[0], (top, bottom), dilation[0])
    columns = out_size(shape[2], kernel[1], stride[1], (left, right), dilation[1])
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            i, j = a * dilation[0], b * dilation[1]
            yield (
                a,
                b,
                (
                    slice(None),
                    slice(i, i + (rows - 1) * stride[0] + 1, stride[0]),
                    slice(j, j + (columns - 1) * stride[1] + 1, stride[1]),
                ),
            )


def conv2d(x, w, bias=0.0, *, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """w is (kh, kw, C/groups, filters); group k takes its share of channels to its share of y."""
    x, y = pad_pixels(x, padding), 0.0
    n, m = x.shape[3] // groups, w.shape[3] // groups
    for a, b, pixels in windows(x.shape, w.shape[:2], stride, (0, 0, 0, 0), dilation):
        parts = [
            x[pixels][..., k * n : (k + 1) * n] @ w[a, b, :, k * m : (k + 1) * m]
            for k in range(groups)
        ]
        y = y + np.concatenate(parts, axis=3)
    return y + bias


def conv2d_grad(x, w, dy, *, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """Return the gradients of x, w and the bias, dy being that of the result."""
    x = pad_pixels(x, padding)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    n, m = x.shape[3] // groups, w.shape[3] // groups
    for a, b, pixels in windows(x.shape, w.shape[:2], stride, (0, 0, 0, 0), dilation):
        for k in range(groups):
            c, f = slice(k * n, (k + 1) * n), slice(k * m, (k + 1) * m)
            dx[pixels][..., c] += dy[..., f] @ w[a, b, :, f].T
            dw[a, b, :, f] = np.einsum("nijc,nijf->cf", x[pixels][..., c], dy[..., f])
    return crop_pixels(dx, padding), dw, dy.sum(axis=(0, 1, 2))


def conv2d_transpose(
    x, w, bias=0.0, *, stride=(1, 1), padding=(0, 0, 0, 0), output_padding=(0, 0), dilation=(1, 1),
    groups=1,
):  # fmt: skip
    """w is (kh, kw, filters/groups, C): every pixel of x is spread over a window of the result."""
    n, m = x.shape[3] // groups, w.shape[2]
    size = [
        (x.shape[1 + k] - 1) * stride[k] + (w.shape[k] - 1) * dilation[k] + 1 + output_padding[k]
        for k in range(2)
    ]
    y = np.zeros((len(x), *size, m * groups))
    for a, b in np.ndindex(w.shape[:2]):
        rows, columns = (
            slice(
                at * dilation[k], at * dilation[k] + (x.shape[1 + k] - 1) * stride[k] + 1, stride[k]
            )
            for k, at in enumerate((a, b))
        )
        for k in range(groups):
            c = slice(k * n, (k + 1) * n)
            y[:, rows, columns, k * m : (k + 1) * m] += x[..., c] @ w[a, b, :, c].T
    return crop_pixels(y, padding) + bias


def max_pool(x, size, stride, padding=(0, 0, 0, 0)):
    """Give NaN for windows with a NaN; padding never wins."""
    x, y = pad_pixels(x, padding, -np.inf), -np.inf
    for _, _, pixels in windows(x.shape, size, stride, (0, 0, 0, 0)):
        y = np.maximum(y, x[pixels])
    return y


def max_pool_grad(x, dy, size, stride, padding=(0, 0, 0, 0)):
    """The first largest pixel of each window, or its first NaN, gets all of dy."""
    y = max_pool(x, size, stride, padding)
    inside = pad_pixels(np.ones_like(x), padding) > 0
    x = pad_pixels(x, padding)
    dx, given = np.zeros_like(x), np.zeros(dy.shape, bool)
    for _, _, pixels in windows(x.shape, size, stride, (0, 0, 0, 0)):
        here = inside[pixels] & ~given & ((x[pixels] == y) | np.isnan(x[pixels]))
        dx[pixels] += here * dy
        given |= here
    return crop_pixels(dx, padding)


def avg_pool_counts(shape, size, stride, padding, count_padding):
    """How many pixels each mean is over: (H', W', 1)."""
    ones = np.ones((1, *shape[1:3], 1))
    ones = pad_pixels(ones, padding, float(count_padding))
    return sum(ones[pixels] for _, _, pixels in windows(ones.shape, size, stride, (0, 0, 0, 0)))[0]


def avg_pool(x, size, stride, *, padding=(0, 0, 0, 0), count_padding=False):
    counts = avg_pool_counts(x.shape, size, stride, padding, count_padding)
    x = pad_pixels(x, padding)
    return sum(x[p] for _, _, p in windows(x.shape, size, stride, (0, 0, 0, 0))) / counts


def avg_pool_grad(x, dy, size, stride, *, padding=(0, 0, 0, 0), count_padding=False):
    counts = avg_pool_counts(x.shape, size, stride, padding, count_padding)
    dx = np.zeros_like(pad_pixels(x, padding))
    for _, _, pixels in windows(dx.shape, size, stride, (0, 0, 0, 0)):
        dx[pixels] += dy / counts
    return crop_pixels(dx, padding)


def moments(x):
    """Mean and biased variance of each channel, over samples and pixels."""
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    return mean, ((x - mean) ** 2).mean(axis=axes)


def batch_norm(x, weight, bias, eps=1e-5):
    mean, variance = moments(x)
    return (x - mean) / np.sqrt(variance + eps) * weight + bias


def batch_norm_grad(x, weight, dy, eps=1e-5):
    """Return the gradients of x, weight and bias (Ioffe & Szegedy 2015, section 3)."""
    axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    mean, variance = moments(x)
    z = (x - mean) / np.sqrt(variance + eps)
    dz = dy * weight
    dvariance = (dz * (x - mean)).sum(axis=axes) * -0.5 * (variance + eps) ** -1.5
    dmean = -dz.sum(axis=axes) / np.sqrt(variance + eps)
    dx = dz / np.sqrt(variance + eps) + 2 * dvariance * (x - mean) / count + dmean / count
    return dx, (dy * z).sum(axis=axes), dy.sum(axis=axes)


def running(value, batch, momentum):
    return momentum * value + (1 - momentum) * batch


def neighbours(x, size):
    """Sum of channels c - size//2 .. c + size//2, those that exist."""
    channels = np.arange(x.shape[-1])
    near = np.abs(channels[:, None] - channels) <= size // 2
    return x @ near.astype(float)


def lrn(x, *, size=5, alpha=1e-4, beta=0.75, bias=2.0):
    """Krizhevsky et al. 2012, section 3.3."""
    return x / (bias + alpha * neighbours(x * x, size)) ** beta


def lrn_grad(x, dy, *, size=5, alpha=1e-4, beta=0.75, bias=2.0):
    base = bias + alpha * neighbours(x * x, size)
    around = neighbours(dy * x * base ** (-beta - 1), size)
    return dy * base**-beta - 2 * alpha * beta * x * around


# ---- Constraints. ----


def bounded(w, constraint):
    """Return weights as a constraint has them; columns are of the last axis, a vector is one."""
    kind = type(constraint).__name__
    if kind == "Clip":
        return np.clip(w, -constraint.limit, constraint.limit)
    if kind == "NonNegative":
        return np.maximum(w, 0.0)
    length = np.sqrt(np.sum(w * w, axis=tuple(range(w.ndim - 1)) or None, keepdims=True))
    wanted = np.minimum(length, constraint.limit) if kind == "MaxNorm" else np.ones_like(length)
    return w * np.where(length > 0, wanted / np.where(length > 0, length, 1.0), 1.0)


# ---- Random numbers and initialisers. ----

MASK = 0xFFFFFFFF


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011): four words from four words of counter, two of key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def drawn(seed, number, stream, rows, columns):
    """The words that an op draws at a step: the number `stream` among those of its network."""
    key = seed ^ ((number + 1) * 0x9E3779B97F4A7C15 % 2**64)
    key = key & MASK, key >> 32
    return np.array(
        [[philox((c // 4, r, 0, stream), key)[c % 4] for c in range(columns)] for r in range(rows)]
    )


def drawn_normal(seed, number, stream, rows, columns):
    """The normal numbers of those words: Box & Muller (1958) on pairs of neighbours."""
    u = (drawn(seed, number, stream, rows, -(-columns // 4) * 4) + 0.5) / 2**32
    radius, angle = np.sqrt(-2 * np.log(u[:, 0::2])), 2 * np.pi * u[:, 1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2)
    return pairs.reshape(rows, -1)[:, :columns]


def words(seed, stream, index):
    """The Philox block of initial weights number 2*index and 2*index + 1."""
    counter = (index & MASK, stream & MASK, stream >> 32, 0x494E4954)  # "INIT"
    return philox(counter, (seed & MASK, seed >> 32))


def uniform(seed, stream, n):
    """n numbers of 53 bits in [0, 1)."""
    drawn = []
    for index in range((n + 1) // 2):
        a, b, c, d = words(seed, stream, index)
        drawn += [((a << 32 | b) >> 11) * 2.0**-53, ((c << 32 | d) >> 11) * 2.0**-53]
    return np.array(drawn[:n])


def normal(seed, stream, n):
    """Box & Muller (1958) on pairs of uniform numbers."""
    u = uniform(seed, stream, n + n % 2)
    radius, angle = np.sqrt(-2 * np.log(1 - u[0::2])), 2 * np.pi * u[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:n]


def xavier_bound(n_in, n_out):
    return math.sqrt(6 / (n_in + n_out))


def xavier_in_bound(n_in):
    return math.sqrt(6 / n_in)


def he_std(n_in):
    return math.sqrt(2 / n_in)


def feature_norm(x, eps, axes, centred=True):
    """Return x normalised over some axes by itself."""
    mean = x.mean(axes, keepdims=True) if centred else 0.0
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)


def group_norm(x, groups, eps):
    """Return x (N, ..., channels) normalised over positions and groups of channels."""
    parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    return feature_norm(parts, eps, (1, 3)).reshape(x.shape)


def attention(q, k, v, heads, causal=False):
    """Return the attention of (N, queries, d) to (N, keys, d), head after head."""
    q, k, v = (np.stack(np.split(x, heads, -1), 1) for x in (q, k, v))
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    if causal:
        s = np.where(np.tri(*s.shape[-2:], dtype=bool), s, -np.inf)
    return np.concatenate([*(softmax(s) @ v).swapaxes(0, 1)], -1)
