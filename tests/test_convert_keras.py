"""Weights in Keras' order in networks that were built here: its arithmetic, in NumPy."""

import numpy as np
import pytest
import steep
from steep import convert, layers


def drawn(*shapes):
    random = np.random.default_rng(len(shapes))
    return [0.5 * random.standard_normal(shape).astype(np.float32) for shape in shapes]


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm(x, kernel, recurrent, bias):
    """Return h of all steps: gates i, f, c, o."""
    h = c = np.zeros((len(x), len(recurrent)))
    found = []
    for t in range(x.shape[1]):
        i, f, new, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    return np.stack(found, axis=1)


def gru(x, kernel, recurrent, bias=None):
    """Return h of all steps: gates z, r, h; a bias of two rows is that of reset_after=True."""
    h, units = np.zeros((len(x), len(recurrent))), len(recurrent)
    bias = np.zeros((2, 3 * units)) if bias is None else bias
    found = []
    for t in range(x.shape[1]):
        a = x[:, t] @ kernel + (bias[0] if bias.ndim == 2 else bias)
        if bias.ndim == 2:
            b = h @ recurrent + bias[1]
            z, r = sigmoid(a + b)[:, :units], sigmoid(a + b)[:, units : 2 * units]
            new = np.tanh(a[:, 2 * units :] + r * b[:, 2 * units :])
        else:
            b = h @ recurrent[:, : 2 * units]
            z, r = np.split(sigmoid(a[:, : 2 * units] + b), 2, axis=1)
            new = np.tanh(a[:, 2 * units :] + (r * h) @ recurrent[:, 2 * units :])
        h = z * h + (1.0 - z) * new
        found.append(h)
    return np.stack(found, axis=1)


def loaded(weights, *parts, shape):
    net = steep.Sequential(*parts).build(shape)
    convert.from_keras(weights, net)
    return net


SEQUENCES = np.random.default_rng(0).standard_normal((4, 6, 3)).astype(np.float32)


def test_tokens_through_an_lstm():
    table, kernel, recurrent, bias, dense, last = weights = drawn(
        (9, 3), (3, 20), (5, 20), (20,), (5, 2), (2,)
    )
    net = loaded(
        weights, layers.Embedding(9, 3), layers.LSTM(5, return_sequences=True), layers.Dense(2),
        shape=6,
    )  # fmt: skip
    ids = np.random.default_rng(0).integers(0, 9, (4, 6))
    want = lstm(table[ids], kernel, recurrent, bias) @ dense + last
    np.testing.assert_allclose(net.predict(ids), want, atol=2e-6)


@pytest.mark.parametrize("bias", [(2, 15), (15,), None], ids=str)
def test_gru(bias):
    weights = drawn((3, 15), (5, 15), *([] if bias is None else [bias]))
    layer = layers.GRU(
        5, return_sequences=True, reset_after=bias != (15,), use_bias=bias is not None
    )
    net = loaded(weights, layer, shape=(6, 3))
    np.testing.assert_allclose(net.predict(SEQUENCES), gru(SEQUENCES, *weights), atol=2e-6)


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_both_ways_twice(cell):
    gates, form = {"LSTM": (4, lstm), "GRU": (3, gru)}[cell]
    width, bias = 2 * gates, (2 * gates,) if cell == "LSTM" else (2, 2 * gates)
    shapes = [s for n in (3, 3, 4, 4) for s in ((n, width), (2, width), bias)]
    weights = drawn(*shapes)
    stack = [
        layers.Bidirectional(getattr(layers, cell)(2, return_sequences=True)) for _ in range(2)
    ]
    net = loaded(weights, *stack, shape=(6, 3))
    x = SEQUENCES
    for k in (0, 6):
        back = form(x[:, ::-1], *weights[k + 3 : k + 6])[:, ::-1]
        x = np.concatenate([form(x, *weights[k : k + 3]), back], axis=2)
    np.testing.assert_allclose(net.predict(SEQUENCES), x, atol=2e-6)


def test_simple_rnn_and_its_rows():
    kernel, recurrent, bias = weights = drawn((3, 5), (5, 5), (5,))
    net = loaded(weights, layers.SimpleRNN(5, stateful=4), shape=(6, 3))
    h = np.zeros((4, 5))
    for t in range(6):
        h = np.tanh(SEQUENCES[:, t] @ kernel + h @ recurrent + bias)
    np.testing.assert_allclose(net.predict(SEQUENCES), h, atol=2e-6)


def test_an_image():
    kernel, shift, gamma, beta, mean, variance, dense, last = weights = drawn(
        (3, 2, 2, 4), (4,), (4,), (4,), (4,), (4,), (3 * 4 * 4, 3), (3,)
    )
    variance[:] = variance**2 + 0.5
    net = loaded(
        weights, layers.Conv2D(4, (3, 2), padding="valid"), layers.BatchNorm(eps=1e-3),
        layers.Flatten(), layers.Dense(3), shape=(5, 5, 2),
    )  # fmt: skip
    X = np.random.default_rng(0).standard_normal((2, 5, 5, 2)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(X, (3, 2), axis=(1, 2))
    y = np.einsum("nijcuv,uvco->nijo", windows, kernel) + shift
    y = (y - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    want = y.reshape(2, -1) @ dense + last
    np.testing.assert_allclose(net.predict(X), want, atol=2e-5)


def test_a_series_with_layer_norm():
    kernel, shift, gamma, beta = weights = drawn((3, 3, 4), (4,), (4,), (4,))
    net = loaded(
        weights, layers.Conv1D(4, 3, padding="valid"), layers.LayerNorm(eps=1e-3), shape=(6, 3)
    )
    windows = np.lib.stride_tricks.sliding_window_view(SEQUENCES, 3, axis=1)
    y = np.einsum("nicu,uco->nio", windows, kernel) + shift
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-3) * gamma + beta
    np.testing.assert_allclose(net.predict(SEQUENCES), y, atol=1e-5)


def test_what_does_not_match_is_refused_and_nothing_is_loaded():
    net = steep.Sequential(layers.Dense(3), layers.Dense(2)).build(4)
    before = {name: value.copy() for name, value in net.state_dict().items()}
    weights = drawn((4, 3), (3,), (3, 2), (2,))
    with pytest.raises(ValueError, match=r"takes 4 arrays, got 5"):
        convert.from_keras([*weights, weights[0]], net)
    with pytest.raises(ValueError, match=r"dense_1\.bias \(2,\) finds no array, there are 3"):
        convert.from_keras(weights[:3], net)
    with pytest.raises(ValueError, match=r"expects shape \(3,\), got \(3, 2\) as weights\[1\]"):
        convert.from_keras([weights[0], *weights[2:]], net)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(ValueError, match=r"no weights for PReLU"):
        convert.from_keras(drawn((4,)), steep.Sequential(layers.PReLU()).build(4))
    back = layers.Bidirectional(layers.GRU(4, reverse=True))
    with pytest.raises(ValueError, match="goes back first"):
        convert.from_keras([], steep.Sequential(back).build((5, 3)))
