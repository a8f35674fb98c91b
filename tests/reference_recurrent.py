"""Recurrent layers in float64, a sample and a step at a time, as defined. No tests here."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(x, h, c, w):
    i, f, g, o = np.split(x @ w["weight"] + h @ w["recurrent"] + w["bias"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, h, c, w):
    xr, xz, xn = np.split(x @ w["weight"] + w["bias"], 3)
    hr, hz, hn = np.split(h @ w["recurrent"] + w["recurrent_bias"], 3)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + r * hn) + z * h, c


def gru_before_step(x, h, c, w):
    units = len(h)
    xr, xz, xn = np.split(x @ w["weight"] + w["bias"], 3)
    hr, hz = np.split(h @ w["recurrent"][:, : 2 * units], 2)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + (r * h) @ w["recurrent"][:, 2 * units :]) + z * h, c


def tanh_step(x, h, c, w):
    return np.tanh(x @ w["weight"] + h @ w["recurrent"] + w["bias"]), c


def relu_step(x, h, c, w):
    return np.maximum(x @ w["weight"] + h @ w["recurrent"] + w["bias"], 0), c


STEPS = {"lstm": lstm_step, "gru": gru_step, "gru_before": gru_before_step,
         "tanh": tanh_step, "relu": relu_step}  # fmt: skip


def run(cell, x, w, *, lengths=None, start=None, reverse=False, hold=False):
    """Return sequences (N, T, H) and last states h, c (N, H) each."""
    samples, steps = x.shape[:2]
    units = w["recurrent"].shape[0]
    given = start or (np.zeros((samples, units)), np.zeros((samples, units)))
    out, last = np.zeros((samples, steps, units)), np.zeros((2, samples, units))
    for n in range(samples):
        h, c = given[0][n], given[-1][n]
        count = steps if lengths is None else int(lengths[n])
        for k in range(count):
            t = count - 1 - k if reverse else k
            h, c = STEPS[cell](x[n, t], h, c, w)
            out[n, t] = h
        if hold:
            out[n, count:] = h
        last[:, n] = h, c
    return out, last[0], last[1]
