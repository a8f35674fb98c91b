"""Every update rule as its documentation has it: one step in float64 NumPy, on flat vectors.

Nothing of steep's arithmetic is used; switches and numbers are read from its descriptions.
"""

import math

import numpy as np
from steep.schedules import Schedule


class Clock:
    """Reads hyper-parameters of a description at one step."""

    def __init__(self, optimizer, step, epoch):
        self.optimizer, self.step, self.epoch = optimizer, step, epoch

    def __getattr__(self, name):
        return at(getattr(self.optimizer, name), self.step, self.epoch)

    @property
    def t(self):
        """What bias corrections count, from 1."""
        return 1 + (self.epoch if self.optimizer.bias_time == "epoch" else self.step)


def at(value, step, epoch):
    """Return a number, or what a schedule gives at a step."""
    if isinstance(value, Schedule):
        return value(step if value.unit == "step" else epoch)
    return value


def root(h, r):
    return np.sqrt(r + h.eps) if h.eps_inside else np.sqrt(r) + h.eps


def sgd(w, s, gradient, h):
    if h.optimizer.momentum == 0.0:
        return w - h.lr * gradient(w)
    inner, outer = (h.lr, 1.0) if h.lr_in_velocity else (1.0, h.lr)
    v, mu = s.get("v", 0.0), h.momentum
    look = h.nesterov and h.like is None
    g = gradient(w + mu * outer * v if look else w)
    s["v"] = mu * v - inner * g
    if h.nesterov and not look:
        return w + mu * outer * s["v"] - h.lr * g
    return w + outer * s["v"]


def adagrad(w, s, gradient, h):
    g = gradient(w)
    s["r"] = s.get("r", h.initial_accumulator) + g * g
    return w - h.lr * g / root(h, s["r"])


def rmsprop(w, s, gradient, h):
    inner, outer = (h.lr, 1.0) if h.lr_in_velocity else (1.0, h.lr)
    v, mu = s.get("v", 0.0), h.momentum
    g = gradient(w + mu * outer * v if h.nesterov else w)
    s["r"] = h.rho * s.get("r", 0.0) + (1 - h.rho) * g * g
    if h.optimizer.momentum == 0.0:
        return w - h.lr * g / root(h, s["r"])
    s["v"] = mu * v - inner * g / root(h, s["r"])
    return w + outer * s["v"]


def _means(w, s, gradient, h):
    """Move both running means; return the gradient and the two corrections."""
    g = gradient(w)
    s["m"] = h.beta1 * s.get("m", 0.0) + (1 - h.beta1) * g
    s["r"] = h.beta2 * s.get("r", 0.0) + (1 - h.beta2) * g * g
    if not h.bias_correction:
        return g, 1.0, 1.0
    return g, 1 - h.beta1**h.t, 1 - h.beta2**h.t


def adam(w, s, gradient, h):
    _, first, second = _means(w, s, gradient, h)
    r = s["r"]
    if h.amsgrad:
        r = s["r_max"] = np.maximum(s.get("r_max", 0.0), r)
    if h.like == "keras" and h.bias_correction:
        return w - h.lr * math.sqrt(second) / first * s["m"] / root(h, r)
    return w - h.lr * (s["m"] / first) / root(h, r / second)


def adamax(w, s, gradient, h):
    g = gradient(w)
    s["m"] = h.beta1 * s.get("m", 0.0) + (1 - h.beta1) * g
    first = 1 - h.beta1**h.t if h.bias_correction else 1.0
    if h.like == "keras":
        s["u"] = np.maximum(h.beta2 * s.get("u", 0.0), np.abs(g))
        return w - h.lr / first * s["m"] / (s["u"] + h.eps)
    s["u"] = np.maximum(h.beta2 * s.get("u", 0.0), np.abs(g) + h.eps)
    return w - h.lr / first * s["m"] / s["u"]


def nadam(w, s, gradient, h):
    g, _, second = _means(w, s, gradient, h)

    def mu(t):
        return h.beta1 * (1 - 0.5 * 0.96 ** (t * h.momentum_decay))

    product = math.prod(mu(t) for t in range(1, h.t + 1))
    rate_g, rate_m = 1 - mu(h.t), mu(h.t + 1)
    if h.bias_correction:
        rate_g, rate_m = rate_g / (1 - product), rate_m / (1 - product * mu(h.t + 1))
    return w - h.lr * (rate_g * g + rate_m * s["m"]) / root(h, s["r"] / second)


def adadelta(w, s, gradient, h):
    g = gradient(w)
    s["r"] = h.rho * s.get("r", 0.0) + (1 - h.rho) * g * g
    u = s.get("u", np.zeros_like(w))
    d = -root(h, u) / root(h, s["r"]) * g
    s["u"] = h.rho * u + (1 - h.rho) * d * d
    return w + h.lr * d


STEPS = {
    "SGD": sgd,
    "AdaGrad": adagrad,
    "RMSProp": rmsprop,
    "Adam": adam,
    "AdamW": adam,
    "AMSGrad": adam,
    "Adamax": adamax,
    "NAdam": nadam,
    "AdaDelta": adadelta,
}


def penalised(gradient, w, common, decayed, h):
    """Return the gradient that a rule takes: of the loss, climbed or not, penalties, clipped."""
    l1, l2, clip_norm, clip_value = (at(value, h.step, h.epoch) for value in common)
    g = -gradient if h.maximize else gradient
    g = g + decayed * (l1 * np.sign(w) + l2 * w)
    if clip_value:
        g = np.clip(g, -clip_value, clip_value)
    norm = math.sqrt(float(g @ g))
    return g * (clip_norm / norm) if clip_norm and norm > clip_norm else g
