"""Arithmetic, axes and parts of symbolic tensors are NumPy's and PyTorch's, gradients included."""

import math

import numpy as np
import pytest
import steep
from steep import layers, ops

N = 5


class Made(layers.Layer):
    """A function of parts of its input, multiplied by a parameter whose gradient is looked at."""

    def __init__(self, function, shapes):
        super().__init__()
        self.function, self.shapes = function, shapes

    def call(self, x):
        size = x.shape[0]
        x = x * self.parameter("gain", (size,), init=1.0)
        tensors, at = [], 0
        for shape in self.shapes:
            n = math.prod(shape)
            tensors.append(ops.reshape(ops.slice(x, at, at + n), shape))
            at += n
        return self.function(*tensors)


def cut(function, size):
    """Return a function that gives the parts of `ops.split` one after the other."""
    return lambda x: ops.concat([function(part) for part in ops.split(x, size, axis=0)], axis=0)


# steep's function, PyTorch's, the shapes of their tensors, and from where numbers are drawn.
CASES = {
    "quotient": (lambda a, b: a / b, lambda t, a, b: a / b, [(3, 7), (3, 7)], 0.5),
    "number over": (lambda a: 2.0 / a, lambda t, a: 2.0 / a, [(17,)], 0.5),
    "cube": (lambda a: a**3, lambda t, a: a**3, [(17,)], -2),
    "power 0": (lambda a: a**0, lambda t, a: a**0, [(17,)], -2),
    "power 17": (lambda a: a**17, lambda t, a: a**17, [(5,)], 0.5),
    "power -2": (lambda a: a**-2, lambda t, a: a**-2, [(17,)], 0.5),
    "power 1/2": (lambda a: a**0.5, lambda t, a: a**0.5, [(17,)], 0.5),
    "power -1/2": (lambda a: a**-0.5, lambda t, a: a**-0.5, [(17,)], 0.5),
    "power .3": (lambda a: ops.power(a, 0.3), lambda t, a: a**0.3, [(33,)], 0.5),
    "functions": (
        lambda a: ops.exp(ops.log(a) - ops.sqrt(a)) * ops.square(a) + ops.absolute(a - 1.0),
        lambda t, a: t.exp(t.log(a) - t.sqrt(a)) * a**2 + t.abs(a - 1),
        [(17,)],
        0.5,
    ),
    "clip": (lambda a: ops.clip(a, -0.5, 1.0), lambda t, a: t.clamp(a, -0.5, 1), [(40,)], -2),
    "clip below": (lambda a: ops.clip(a, low=0.1), lambda t, a: t.clamp(a, min=0.1), [(40,)], -2),
    "larger": (ops.maximum, lambda t, a, b: t.maximum(a, b), [(4, 5), (4, 5)], -2),
    "smaller": (ops.minimum, lambda t, a, b: t.minimum(a, b), [(4, 5), (4, 5)], -2),
    "larger of equals": (
        lambda a: ops.maximum(a, a * 1.0) + ops.minimum(a * 1.0, a),
        lambda t, a: t.maximum(a, a * 1.0) + t.minimum(a * 1.0, a),
        [(9,)],
        -2,
    ),
    "channels": (lambda a, b: a * b - b, lambda t, a, b: (a - 1) * b[:, None, None],
                 [(3, 4, 5), (5,)], -2),
    "last axis of 1": (
        lambda a, b: a + a / b,
        lambda t, a, b: a + a / b,
        [(3, 4, 7), (3, 4, 1)],
        0.5,
    ),
    "both repeated": (
        lambda a, b: a * b, lambda t, a, b: a * b[:, None], [(3, 1, 5), (4, 1)], -2
    ),
    "one number": (
        ops.maximum, lambda t, a, b: t.maximum(a[:, None], b), [(1,), (2, 3)], -2
    ),
    "sum": (
        lambda a: ops.sum(a * a), lambda t, a: (a * a).sum((1, 2, 3))[:, None], [(3, 4, 5)], -2
    ),
    "sum of pixels": (
        lambda a: ops.sum(a * a, (0, 1)), lambda t, a: (a * a).sum((1, 2)), [(3, 4, 19)], -2
    ),
    "sum of channels": (
        lambda a: ops.sum(a * a, -1, keepdims=True),
        lambda t, a: (a * a).sum(-1, keepdim=True),
        [(3, 4, 37)],
        -2,
    ),
    "sum of apart": (
        lambda a: ops.sum(a * a, (0, 2)), lambda t, a: (a * a).sum((1, 3)), [(3, 4, 5)], -2
    ),
    "mean": (
        lambda a: ops.mean(a * a, [-2, -1], keepdims=True),
        lambda t, a: (a * a).mean((2, 3), keepdim=True),
        [(3, 4, 5)],
        -2,
    ),
    "standardised": (
        lambda a: (a - ops.mean(a, -1, True)) / ops.sqrt(
            ops.mean(ops.square(a - ops.mean(a, -1, True)), -1, True) + 0.1),
        lambda t, a: t.nn.functional.layer_norm(a, a.shape[-1:], eps=0.1),
        [(3, 21)],
        -2,
    ),
    "repeat": (
        lambda a: ops.square(ops.repeat(a, 3)), lambda t, a: (a**2)[:, None].expand(-1, 3, -1),
        [(19,)], -2,
    ),
    "repeat last": (
        lambda a: ops.repeat(a, 4, axis=-1) ** 2, lambda t, a: (a**2)[..., None].expand(-1, 2, 3,
        4), [(2, 3)], -2,
    ),
    "broadcast": (
        lambda a: ops.broadcast_to(a, (4, 3, 2, 5)) ** 2,
        lambda t, a: (a**2)[:, None].expand(-1, 4, -1, -1, -1).expand(-1, 4, 3, 2, 5),
        [(3, 1, 5)],
        -2,
    ),
    "slices that overlap": (
        lambda a: ops.slice(a, 0, 3, axis=1) * ops.slice(a, 2, 5, axis=1),
        lambda t, a: a[:, :, :3] * a[:, :, 2:],
        [(2, 5, 3)],
        -2,
    ),
    "split": (
        lambda a: ops.split(a, 3)[2] * ops.split(a, 3)[0],
        lambda t, a: a[..., 4:] * a[..., :2],
        [(4, 6)],
        -2,
    ),
    "split by sizes and joined": (
        cut(lambda part: part * ops.sum(part * part), (1, 3, 2)),
        lambda t, a: t.cat(
            [p * (p * p).sum((1, 2), keepdim=True) for p in a.split([1, 3, 2], 1)], 1
        ),
        [(6, 5)],
        -2,
    ),
    "joined in the middle": (
        lambda a, b: ops.concat([a, b, a], axis=1) ** 2,
        lambda t, a, b: t.cat([a, b, a], 2) ** 2,
        [(2, 3, 7), (2, 4, 7)],
        -2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    function, theirs, shapes, low = CASES[name]
    width = sum(math.prod(shape) for shape in shapes)
    x = np.random.default_rng(0).uniform(low, 2.0, (N, width))
    net = steep.Sequential(Made(function, shapes)).build(width)
    trainer = steep.Trainer(net, "mse", "sgd", precision="float64")
    trainer.step(x, np.zeros((N, *net.output_shapes[0])))  # to have it in float64
    net.load_state_dict({name: np.ones_like(w) for name, w in net.state_dict().items()})
    leaf = torch.ones(width, dtype=torch.float64, requires_grad=True)
    parts = (torch.from_numpy(x) * leaf).split([math.prod(s) for s in shapes], 1)
    y = theirs(torch, *(part.reshape(N, *s) for part, s in zip(parts, shapes, strict=True)))
    found = net.predict(x)
    assert found.shape == tuple(y.shape)
    np.testing.assert_allclose(found, y.detach().numpy(), rtol=1e-12, atol=1e-12)
    target = np.random.default_rng(1).standard_normal(found.shape)
    _, gradients = trainer.gradients(x, target)
    ((y - torch.from_numpy(target)) ** 2).mean().backward()
    (gain,) = gradients.values()
    np.testing.assert_allclose(gain, leaf.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("exponent", [-3.5, -2, -0.5, 0.3, 0.5, 2, 7, 16, 17.0])
def test_powers_in_float32_are_right_to_their_digits(exponent):
    x = np.random.default_rng(0).uniform(0.3, 3.0, (200, 50)).astype(np.float32)
    net = steep.Sequential(Made(lambda a: a**exponent, [(50,)])).build(50)
    wanted = x.astype(np.float64) ** exponent
    assert np.max(np.abs(net.predict(x) - wanted) / wanted) < 6 * 2.0**-24


def kl(mean, log_variance):
    """Return the divergence of N(mean, e^log_variance) from N(0, 1), as a user writes it."""
    return 0.5 * ops.sum(mean**2 + ops.exp(log_variance) - 1.0 - log_variance)


def test_divergence_of_known_numbers():
    x = np.array([[0.5, -1.0, 0.0, 0.6]])
    net = steep.Sequential(Made(kl, [(2,), (2,)])).build(4)
    trainer = steep.Trainer(net, "mse", "sgd", precision="float64")
    trainer.step(x, [[0.0]])
    net.load_state_dict({name: np.ones_like(w) for name, w in net.state_dict().items()})
    assert net.predict(x)[0, 0] == pytest.approx(0.7360594002, abs=5e-11)
    _, found = trainer.gradients(x, net.predict(x) - 0.5)  # of the square of .5: dy is 1
    (gain,) = found.values()
    np.testing.assert_allclose(gain, x[0] * [0.5, -1, 0, 0.4110594002], atol=1e-10)


def test_free_energy_has_the_direction_of_contrastive_divergence():
    """F(v0) - F(v1) of a Boltzmann machine, v1 the mean of what h = (1, 0) gives back."""
    w = 0.5 * np.sin(1 + np.arange(6.0)).reshape(3, 2)
    visible, hidden = 0.5 * np.sin(2 + np.arange(3.0)), 0.5 * np.sin(3 + np.arange(2.0))

    class Divergence(layers.Layer):
        def call(self, x):
            w = self.parameter("w", (3, 2))
            a, b = self.parameter("a", (3,)), self.parameter("b", (2,))
            v0, h = ops.split(x, [3, 2])
            v1 = ops.stop_gradient(ops.activation(ops.matmul(h, w, a, transposed=True), "sigmoid"))

            def energy(v):
                return -ops.sum(v * a) - ops.sum(ops.activation(ops.matmul(v, w, b), "softplus"))

            return ops.concat([energy(v0), energy(v1)])

    x = np.array([[1.0, 0, 1, 1, 0]])
    net = steep.Sequential(Divergence()).build(5)
    trainer = steep.Trainer(net, "mse", "sgd", precision="float64")
    trainer.step(x, [[0.0, 0.0]])
    names = dict(zip(("w", "a", "b"), net.state_dict(), strict=True))
    net.load_state_dict({names["w"]: w, names["a"]: visible, names["b"]: hidden})
    energies = net.predict(x)
    assert energies[0, 0] == pytest.approx(-1.4372491847, abs=5e-11)
    _, found = trainer.gradients(x, energies - [[1.0, -1.0]])  # of F(v0) - F(v1)
    direction = [
        [0.1039624016, 0.1840323675], [-0.3025384077, -0.2275566252], [0.3346323463, 0.3575325672]
    ]  # fmt: skip
    np.testing.assert_allclose(-found[names["w"]], direction, atol=1e-10)


def test_reversed_gradients_and_stopped_ones():
    x = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    y = np.zeros((9, 4), np.float32)
    plain, turned, stopped = (
        steep.Sequential(Made(lambda a, f=f: f(a) * 2.0, [(4,)])).build(4)
        for f in (lambda a: a, lambda a: ops.gradient_reversal(a, 0.7), ops.stop_gradient)
    )
    gains = []
    for net in (plain, turned, stopped):
        trainer = steep.Trainer(net, "mse", "sgd")
        (gain,) = trainer.gradients(x, y)[1].values()
        gains.append(gain)
        np.testing.assert_array_equal(net.predict(x), plain.predict(x))
    np.testing.assert_allclose(gains[1], -0.7 * gains[0], rtol=1e-6)
    assert not gains[2].any()


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda a: ops.sum(a, 3), "axis must be at most 2"),
        (lambda a: ops.mean(a, []), "at least one axis"),
        (lambda a: ops.slice(a, 2, 2), "no part from 2 to 2"),
        (lambda a: ops.slice(a, 0, 9), "no part from 0 to 9"),
        (lambda a: ops.split(a, 3)[0], "do not make up axis 2"),
        (lambda a: ops.split(a, [1, 1], axis=0)[0], "do not make up axis 0"),
        (lambda a: ops.concat([a, ops.slice(a, 0, 2)], axis=0), "but for the axis 0"),
        (lambda a: ops.broadcast_to(a, (3, 4, 6)), "cannot be repeated"),
        (lambda a: a + ops.slice(a, 0, 2), "equal shapes"),
        (lambda a: ops.clip(a, 1.0, 0.0), "low <= high"),
        (lambda a: ops.repeat(a, 0), "times must be at least 1"),
        (lambda a: ops.power(a, math.inf), "exponent"),
    ],
)
def test_what_does_not_fit_is_refused(function, error):
    with pytest.raises(ValueError, match=error):
        steep.Sequential(Made(function, [(3, 4, 5)])).build(60)


def test_in_the_functional_form():
    x = steep.Input((3, 4))
    y = (x - ops.mean(x, 0)) / (ops.sum(ops.square(x), -1, keepdims=True) + 1.0)
    net = steep.Model(x, ops.concat(ops.split(y, [1, 2], axis=0)[::-1], axis=0)).build()
    a = np.random.default_rng(0).standard_normal((6, 3, 4)).astype(np.float32)
    wanted = (a - a.mean(1, keepdims=True)) / ((a**2).sum(2, keepdims=True) + 1)
    np.testing.assert_allclose(net.predict(a), wanted[:, [1, 2, 0]], rtol=1e-5, atol=1e-6)
