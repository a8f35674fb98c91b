"""The truths the tests compare with: every rule, schedule, activation, loss and initialiser.

Slow and obvious float64 NumPy, written from the papers' formulas. Nothing of steep is imported.
"""

import math

import numpy as np


def at(value, k):
    """A hyper-parameter at step k (from 0): itself, or a function of k."""
    return value(k) if callable(value) else value


# ---- Update rules: each returns the path w(0) .. w(steps), one row a point. ----


def sgd(grad, w, steps, *, lr):
    path = [np.array(w, float)]
    for k in range(steps):
        w = path[-1]
        path.append(w - at(lr, k) * grad(w))
    return np.array(path)


def momentum(grad, w, steps, *, lr, mu, lr_in_velocity=True):
    path, v = [np.array(w, float)], 0.0
    for k in range(steps):
        w = path[-1]
        if lr_in_velocity:
            v = at(mu, k) * v - at(lr, k) * grad(w)
            path.append(w + v)
        else:
            v = at(mu, k) * v - grad(w)
            path.append(w + at(lr, k) * v)
    return np.array(path)


def nesterov(grad, w, steps, *, lr, mu, lr_in_velocity=True):
    """The gradient is taken where the velocity alone would lead."""
    path, v = [np.array(w, float)], 0.0
    for k in range(steps):
        w = path[-1]
        if lr_in_velocity:
            g = grad(w + at(mu, k) * v)
            v = at(mu, k) * v - at(lr, k) * g
            path.append(w + v)
        else:
            g = grad(w + at(lr, k) * at(mu, k) * v)
            v = at(mu, k) * v - g
            path.append(w + at(lr, k) * v)
    return np.array(path)


def nesterov_lookback(grad, y, steps, *, lr, mu, torch=False):
    """Keras's and PyTorch's form; returns the path of y and that of w = y - mu*v."""
    y, v = np.array(y, float), 0.0
    ys, ws = [y], [y]
    for k in range(steps):
        g = grad(y)
        if torch:
            v = at(mu, k) * v + g
            y = y - at(lr, k) * (g + at(mu, k) * v)
            ws.append(y + at(lr, k) * at(mu, k) * v)
        else:
            v = at(mu, k) * v - at(lr, k) * g
            y = y + at(mu, k) * v - at(lr, k) * g
            ws.append(y - at(mu, k) * v)
        ys.append(y)
    return np.array(ys), np.array(ws)


def root(r, eps, inside):
    return np.sqrt(r + eps) if inside else np.sqrt(r) + eps


def adagrad(grad, w, steps, *, lr, eps=1e-7, eps_inside=False, start=0.0):
    path, r = [np.array(w, float)], start
    for k in range(steps):
        w = path[-1]
        g = grad(w)
        r = r + g * g
        path.append(w - at(lr, k) * g / root(r, eps, eps_inside))
    return np.array(path)


def rmsprop(grad, w, steps, *, lr, rho=0.9, eps=1e-8, eps_inside=False):
    path, r = [np.array(w, float)], 0.0
    for k in range(steps):
        w = path[-1]
        g = grad(w)
        r = at(rho, k) * r + (1 - at(rho, k)) * g * g
        path.append(w - at(lr, k) * g / root(r, eps, eps_inside))
    return np.array(path)


def rmsprop_momentum(
    grad,
    w,
    steps,
    *,
    lr,
    mu,
    rho=0.9,
    eps=1e-8,
    eps_inside=False,
    nesterov=False,
    lr_in_velocity=True,
):
    path, v, r = [np.array(w, float)], 0.0, 0.0
    for k in range(steps):
        w = path[-1]
        inner, outer = (at(lr, k), 1.0) if lr_in_velocity else (1.0, at(lr, k))
        g = grad(w + at(mu, k) * outer * v) if nesterov else grad(w)
        r = at(rho, k) * r + (1 - at(rho, k)) * g * g
        v = at(mu, k) * v - inner * g / root(r, eps, eps_inside)
        path.append(w + outer * v)
    return np.array(path)


def adam(
    grad,
    w,
    steps,
    *,
    lr=1e-3,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    eps_inside=False,
    bias_correction=True,
    epoch_steps=None,  # t counts epochs of so many steps
    eps_hat=False,  # the paper's shorter form: eps is not corrected along with r
    amsgrad=False,
    weight_decay=0.0,
    times_gradient=False,  # the erratum of the lectures: an extra factor g
):
    path, m, r, largest = [np.array(w, float)], 0.0, 0.0, 0.0
    for k in range(steps):
        w, b1, b2 = path[-1], at(beta1, k), at(beta2, k)
        t = k + 1 if epoch_steps is None else k // epoch_steps + 1
        g = grad(w)
        m = b1 * m + (1 - b1) * g
        r = b2 * r + (1 - b2) * g * g
        largest = np.maximum(largest, r)
        square = largest if amsgrad else r
        first, second = (1 - b1**t, 1 - b2**t) if bias_correction else (1.0, 1.0)
        if eps_hat:
            move = math.sqrt(second) / first * m / root(square, eps, eps_inside)
        else:
            move = m / first / root(square / second, eps, eps_inside)
        if times_gradient:
            move = move * g
        w = w - at(lr, k) * at(weight_decay, k) * w
        path.append(w - at(lr, k) * move)
    return np.array(path)


def adamax(grad, w, steps, *, lr=2e-3, beta1=0.9, beta2=0.999, eps=1e-8, eps_outside=False):
    inner, outer = (0.0, eps) if eps_outside else (eps, 0.0)
    path, m, u = [np.array(w, float)], 0.0, 0.0
    for k in range(steps):
        w = path[-1]
        g = grad(w)
        m = beta1 * m + (1 - beta1) * g
        u = np.maximum(beta2 * u, np.abs(g) + inner)
        path.append(w - at(lr, k) / (1 - beta1 ** (k + 1)) * m / (u + outer))
    return np.array(path)


def nadam(grad, w, steps, *, lr=2e-3, beta1=0.9, beta2=0.999, eps=1e-8, momentum_decay=4e-3):
    path, m, r, product = [np.array(w, float)], 0.0, 0.0, 1.0
    for k in range(steps):
        w, t = path[-1], k + 1
        g = grad(w)
        mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        product *= mu
        m = beta1 * m + (1 - beta1) * g
        r = beta2 * r + (1 - beta2) * g * g
        blend = (1 - mu) / (1 - product) * g + mu_next / (1 - product * mu_next) * m
        path.append(w - at(lr, k) * blend / (np.sqrt(r / (1 - beta2**t)) + eps))
    return np.array(path)


def adadelta(grad, w, steps, *, lr=1.0, rho=0.95, eps=1e-6, eps_inside=True):
    path, r, u = [np.array(w, float)], 0.0, 0.0
    for k in range(steps):
        w = path[-1]
        g = grad(w)
        r = rho * r + (1 - rho) * g * g
        d = -root(u, eps, eps_inside) / root(r, eps, eps_inside) * g
        u = rho * u + (1 - rho) * d * d
        path.append(w + at(lr, k) * d)
    return np.array(path)


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


def linear(t, start, end, over):
    return start + (end - start) * min(t, over) / over


# ---- Activations: name -> (f, f'), alpha is the slope of the leaky ones. ----


def sigmoid(x):
    """1/(1+e^-x) without overflow on either side."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def normal_cdf(x):
    return np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)))(x)


def normal_density(x):
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


ACTIVATIONS = {
    "sigmoid": (
        lambda x, a: sigmoid(x),
        lambda x, a: sigmoid(x) * (1 - sigmoid(x)),
    ),
    "tanh": (lambda x, a: np.tanh(x), lambda x, a: 1 - np.tanh(x) ** 2),
    "relu": (lambda x, a: np.maximum(x, 0), lambda x, a: (x > 0) * 1.0),
    "leaky_relu": (
        lambda x, a: np.where(x > 0, x, a * x),
        lambda x, a: np.where(x > 0, 1.0, a),
    ),
    "elu": (
        lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
        lambda x, a: np.where(x > 0, 1.0, a * np.exp(np.minimum(x, 0))),
    ),
    "gelu": (
        lambda x, a: x * normal_cdf(x),
        lambda x, a: normal_cdf(x) + x * normal_density(x),
    ),
    "silu": (
        lambda x, a: x * sigmoid(x),
        lambda x, a: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    ),
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
