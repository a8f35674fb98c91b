"""Networks of given weights, and how near a number is to a printed one. No test lives here."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

import numpy as np
import steep
from steep import layers

FULL = 1e-12  # float64 against float64: the same formula, other order of rounding
PRECISIONS = ["float32", "float64"]


def square(w):
    """Gradient of L(w) = w^2."""
    return 2 * w


def printed(values, *digits):
    """Say whether values agree with printed numbers to every digit printed, rounded or cut."""
    values = np.ravel(values).tolist()
    assert len(values) == len(digits)
    for value, text in zip(values, digits, strict=True):
        ways = [
            Decimal(value).quantize(Decimal(text), way) for way in (ROUND_HALF_EVEN, ROUND_DOWN)
        ]
        assert Decimal(text) in ways, (value, text)
    return True


def same(path, truth):
    np.testing.assert_allclose(path, truth, rtol=FULL, atol=0)
    return True


def network(*body, shape, weights, precision="float32"):
    """Return a network with these weights, in order of definition."""
    net = steep.Sequential(*body, input_shape=shape)
    net.build(shape)
    names = list(net.state_dict())
    net.load_state_dict(
        {name: np.asarray(w, float) for name, w in zip(names, weights, strict=True)}
    )
    return net


def linear(weights, bias=None, activation=None):
    """Return one Dense unit with these weights."""
    body = layers.Dense(1, activation, use_bias=bias is not None)
    values = [np.reshape(weights, (-1, 1))] + ([[bias]] if bias is not None else [])
    return network(body, shape=(len(weights),), weights=values)


def weight(net, index=0):
    return list(net.state_dict().values())[index].ravel()


def value_and_gradient(net, X):
    """Return a net's one output for one sample, and its gradients in order of definition.

    |y - t| has slope 1 for a target t far below, so the loss's gradient is the output's.
    """
    target = -4096.0
    trainer = steep.Trainer(net, "mae", "sgd", precision="float64")
    value, gradients = trainer.gradients(np.array([X], float), np.array([[target]]))
    return value + target, [g.ravel() for g in gradients.values()]


def regression(rows=10):
    random = np.random.default_rng(12)
    return random.standard_normal((rows, 3)), random.standard_normal((rows, 1))
