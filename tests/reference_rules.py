"""One step of every native rule in NumPy, from the papers' formulas, and the decay beside it.

What optimizers make of their hyper-parameters is in reference_knobs.py. Nothing of steep is here.

A formula takes weights, gradient, slots and knobs, and returns new weights and slots. Knobs are
read from k: numbers of a test, or what a description makes of its hyper-parameters (`At`).
"""

import numpy as np


def root(x, k):
    return np.sqrt(x + k.eps_in) + k.eps_out


def velocity(s, change, k):
    return {"v": k.mu * s["v"] - k.rate_in * change}


def mean_square(g, s, k):
    return {"r": k.rho * s["r"] + k.one_minus_rho * g**2}


def means(g, s, k):
    m = k.beta1 * s["m"] + k.one_minus_beta1 * g
    return {"m": m, "r": k.beta2 * s["r"] + k.one_minus_beta2 * g**2}


def sgd(w, g, s, k):
    return w - k.lr * g, {}


def momentum(w, g, s, k):
    s = velocity(s, g, k)
    return w + k.rate_out * s["v"], s


def nesterov_lookback(w, g, s, k):
    """The gradient is taken at w; w is the look-ahead point of the other form."""
    s = velocity(s, g, k)
    return w + k.rate_out * k.mu * s["v"] - k.rate_direct * g, s


def adagrad(w, g, s, k):
    r = s["r"] + g**2
    return w - k.lr * g / root(r, k), {"r": r}


def rmsprop(w, g, s, k):
    s = mean_square(g, s, k)
    return w - k.lr * g / root(s["r"], k), s


def rmsprop_momentum(w, g, s, k):
    r = mean_square(g, s, k)
    return scaled_velocity(w, g / root(r["r"], k), s, k, r)


def rmsprop_nesterov(w, g, s, k):
    r = mean_square(g, s, k)
    s = velocity(s, g / root(r["r"], k), k)
    return w + k.rate_out * s["v"], r | s


def scaled_velocity(w, d, s, k, r):
    s = velocity(s, d, k)
    return w + k.rate_out * s["v"] - k.rate_direct * d, r | s


def variance(g, s, k):
    """Return the slots of the centered forms, and their root."""
    new = mean_square(g, s, k) | {"m": k.rho * s["m"] + k.one_minus_rho * g}
    return new, root(np.maximum(new["r"] - new["m"] ** 2, 0), k)


def rmsprop_centered(w, g, s, k):
    s, below = variance(g, s, k)
    return w - k.lr * g / below, s


def rmsprop_centered_momentum(w, g, s, k):
    new, below = variance(g, s, k)
    return scaled_velocity(w, g / below, s, k, new)


def rmsprop_centered_nesterov(w, g, s, k):
    new, below = variance(g, s, k)
    s = velocity(s, g / below, k)
    return w + k.rate_out * s["v"], new | s


def adam(w, g, s, k):
    s = means(g, s, k)
    return w - k.rate * s["m"] / root(k.r_scale * s["r"], k), s


def amsgrad(w, g, s, k):
    new = means(g, s, k)
    largest = np.maximum(s["rmax"], k.r_kept * new["r"])
    return w - k.rate * new["m"] / root(k.r_scale * largest, k), new | {"rmax": largest}


def adamax(w, g, s, k):
    m = k.beta1 * s["m"] + k.one_minus_beta1 * g
    untouched = (s["u"] == 0) & (g == 0)
    u = np.where(untouched, 0, np.maximum(k.beta2 * s["u"], np.abs(g) + k.eps_in))
    below = u + k.eps_out
    return w - k.rate * m / np.where(below == 0, 1, below), {"m": m, "u": u}


def nadam(w, g, s, k):
    s = means(g, s, k)
    step = k.rate_g * g + k.rate_m * s["m"]
    return w - step / root(k.r_scale * s["r"], k), s


def adadelta(w, g, s, k):
    new = mean_square(g, s, k)
    d = g * root(s["u"], k) / root(new["r"], k)
    return w - k.lr * d, new | {"u": k.rho * s["u"] + k.one_minus_rho * d**2}


def lion(w, g, s, k):
    c = k.beta1 * s["m"] + k.one_minus_beta1 * g
    return w - k.lr * np.sign(c), {"m": k.beta2 * s["m"] + k.one_minus_beta2 * g}


def signum(w, g, s, k):
    m = k.beta * s["m"] + k.one_minus_beta * g
    return w - k.lr * np.sign(m), {"m": m}


def radam(w, g, s, k):
    s = means(g, s, k)
    return w - k.plain * s["m"] - k.adaptive * s["m"] / root(k.r_scale * s["r"], k), s


def adabelief(w, g, s, k):
    m = k.beta1 * s["m"] + k.one_minus_beta1 * g
    r = k.beta2 * s["r"] + k.one_minus_beta2 * (g - m) ** 2
    return w - k.rate * m / root(k.r_scale * r, k), {"m": m, "r": r}


def yogi(w, g, s, k):
    """r and m are 0 until the first gradient that is not, and then start from the knobs."""
    fresh = s["r"] == 0
    started = ~(fresh & (g == 0))
    r = np.where(fresh, k.first_r, s["r"])
    m = np.where(fresh & (s["m"] == 0), k.first_m, s["m"])
    m = started * (k.beta1 * m + k.one_minus_beta1 * g)
    r = started * (r - k.one_minus_beta2 * np.sign(r - g**2) * g**2)
    return w - k.rate * m / root(k.r_scale * r, k), {"m": m, "r": r}


def adan(w, g, s, k):
    d = k.known * (g - s["previous"])
    m = k.beta1 * s["m"] + k.one_minus_beta1 * g
    v = k.beta2 * s["v"] + k.one_minus_beta2 * d
    r = k.beta3 * s["r"] + k.one_minus_beta3 * (g + k.mix * d) ** 2
    step = (k.rate_m * m + k.rate_v * v) / root(k.r_scale * r, k)
    late = k.proximal * k.decay_now
    w = (w - (k.decay_now - late) * w - step) / (1 + late)
    return w, {"m": m, "v": v, "r": r, "previous": g}


def ademamix(w, g, s, k):
    new = means(g, s, k) | {"slow": k.beta3 * s["slow"] + k.one_minus_beta3 * g}
    step = k.rate * new["m"] + k.rate_slow * new["slow"]
    return w - step / root(k.r_scale * new["r"], k), new


def rprop(w, g, s, k):
    turn = np.sign(g) * np.sign(s["previous"])
    before = np.where(s["eta"] == 0, k.lr, s["eta"])
    factor = np.where(turn > 0, k.eta_plus, k.eta_minus)
    changed = np.minimum(np.maximum(before * factor, k.least), k.most)
    eta, kept = np.where(turn == 0, before, changed), np.where(turn < 0, 0, g)
    w = w - k.now * eta * np.sign(kept) - k.late * before * np.sign(s["previous"]) * (turn >= 0)
    return w, {"eta": np.where((s["eta"] == 0) & (g == 0), 0, eta), "previous": kept}


def asgd(w, g, s, k):
    w = w - k.rate * g
    return w, {"ax": k.one_minus_mu * s["ax"] + k.mu * w}


def ftrl(w, g, s, k, power=None):
    """The weight is 0 but for what z has beyond l1; one without a gradient yet stays."""
    power = k.power if power is None else power
    fresh = s["r"] == 0
    touched = ~(fresh & (g == 0))
    before = np.where(fresh, k.first_r, s["r"])
    after = before + g**2
    # after^power - before^power, which cancels
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = before**power * np.expm1(power * np.log1p(g**2 / before))
    grown = np.where(before == 0, after**power, grown)
    z = s["z"] + k.toward * g + k.shrinkage * w - grown * k.per_lr * w
    below = after**power * k.per_lr + k.l2
    moved = (np.clip(z, -k.l1, k.l1) - z) / np.where(below == 0, 1, below)
    return np.where(touched, moved, w), {"r": touched * after, "z": touched * z}


def ftrl_root(w, g, s, k):
    return ftrl(w, g, s, k, 0.5)


def schedule_free(w, g, s, k, step):
    e = s["v"] - k.lr * step - k.decay_now * (w + k.look * s["v"])
    return w + k.share * e, {"v": k.one_minus_share * e}


def schedule_free_sgd(w, g, s, k):
    return schedule_free(w, g, s, k, g)


def schedule_free_adam(w, g, s, k):
    r = k.beta2 * s["r"] + k.one_minus_beta2 * g**2
    w, new = schedule_free(w, g, s, k, g / root(k.r_scale * r, k))
    return w, new | {"r": r}


def length(x):
    return np.sqrt(np.sum(x * x))


def lamb(w, g, s, k):
    """w is a whole parameter."""
    s = means(g, s, k)
    below = root(k.r_scale * s["r"], k)
    d = k.m_scale * s["m"] / np.where(below == 0, 1, below) + k.decay_now * w
    ratio = length(w) / length(d) if length(w) > 0 and length(d) > 0 else 1.0
    return w - k.lr * ratio * d, s


def lars(w, g, s, k):
    """w is a whole parameter."""
    d, joint = g + k.decay_now * w, g + k.joint * k.decay_now * w
    rate = k.lr
    if length(w) > 0 and length(joint) > 0:
        apart = abs((1 - k.joint) * k.decay_now) * length(w)
        rate = k.lr * k.trust * length(w) / (length(joint) + apart + k.eps)
    v = k.mu * s["v"] + rate * d
    return w - k.along * v - k.direct * rate * d, {"v": v}


def newton_schulz(u, k):
    """Return a matrix made nearly orthogonal, from its formula."""
    X = u / max(length(u) + k.eps, k.least_length, np.finfo(float).tiny)
    for _ in range(int(k.ns_steps)):
        A = X @ X.T
        X = k.a * X + k.b * A @ X + k.c * A @ A @ X
    return X


def muon(w, g, s, k):
    """w is a whole parameter: a vector is one row, a convolution (height*width*in, out)."""
    m = k.mu * s["m"] + k.take * g
    u = k.along * m + k.direct * g
    matrix = u.reshape(-1, w.shape[-1]) if w.ndim > 1 else u.reshape(1, -1)
    rows, columns = matrix.shape
    window = w.shape[0] / w.shape[1] if w.ndim == 4 else columns / rows
    of_size = k.by_size * max(rows, columns)
    scale = max(k.least, k.by_flat * columns / rows, k.by_window * window, of_size)
    return w - k.lr * np.sqrt(scale) * newton_schulz(matrix, k).reshape(w.shape), {"m": m}


def rms(x):
    return np.sqrt(np.mean(x * x))


def adafactor_step(w, g, v, k):
    """w is a whole parameter, v its mean squares; the step is of the weights before their decay."""
    below = np.sqrt(np.maximum(v, k.least))
    u = g / np.where(below == 0, 1, below)
    length = max(k.eps2, rms(w)) if k.scaled else 1.0
    return w - k.decay_now * w - k.lr * length * u / max(1.0, rms(u) / k.clip)


def adafactor_vector(w, g, s, k):
    v = k.beta2 * s["v"] + k.one_minus_beta2 * g**2
    return adafactor_step(w, g, v + k.eps_in, k), {"v": v}


def adafactor(w, g, s, k):
    """A vector, as descents have it, is none of the matrices that are factored."""
    if w.ndim < 2:
        return adafactor_vector(w, g, s, k)
    squares = (g**2).reshape(-1, w.shape[-1])
    r = k.beta2 * s["r"] + k.one_minus_beta2 * squares.mean(axis=1)
    c = k.beta2 * s["c"] + k.one_minus_beta2 * squares.mean(axis=0)
    over = max(np.mean(r + k.eps_in), k.least_mean)
    v = np.outer(r + k.eps_in, c + k.eps_in) / (over or 1.0)
    return adafactor_step(w, g, v.reshape(w.shape), k), {"r": r, "c": c}


OWN_DECAY = {
    adan,
    lamb,
    lars,
    adafactor,
    adafactor_vector,
    schedule_free_sgd,
    schedule_free_adam,
}  # take it as a knob, not before the step
RULES = {
    "lamb": lamb,
    "lars": lars,
    "muon": muon,
    "adafactor": adafactor,
    "adafactor_vector": adafactor_vector,
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": momentum,  # they differ in where the gradient is taken, not in what is done with it
    "nesterov_lookback": nesterov_lookback,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "rmsprop_momentum": rmsprop_momentum,
    "rmsprop_nesterov": rmsprop_nesterov,
    "rmsprop_centered": rmsprop_centered,
    "rmsprop_centered_momentum": rmsprop_centered_momentum,
    "rmsprop_centered_nesterov": rmsprop_centered_nesterov,
    "adam": adam,
    "amsgrad": amsgrad,
    "adamax": adamax,
    "nadam": nadam,
    "adadelta": adadelta,
    "lion": lion,
    "signum": signum,
    "rprop": rprop,
    "radam": radam,
    "adabelief": adabelief,
    "yogi": yogi,
    "adan": adan,
    "ademamix": ademamix,
    "asgd": asgd,
    "ftrl": ftrl,
    "ftrl_root": ftrl_root,
    "schedule_free_sgd": schedule_free_sgd,
    "schedule_free_adam": schedule_free_adam,
}


def update(rule, w, g, s, k):
    """Return weights and slots after a step of a native rule and the decoupled decay beside it."""
    own = RULES[rule] in OWN_DECAY
    return RULES[rule](w if own else w - k.decay_now * w, g, s, k)
