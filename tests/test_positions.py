"""Samples of several positions: ops act on the last axis, as on so many samples; order of sums."""

import itertools

import engine
import numpy as np
import pytest
import steep
from steep import layers, losses, optimizers

SHAPES = [
    (positions, inputs, outputs)
    for positions, (inputs, outputs) in itertools.product(
        (2, 3, 16, 65), ((1, 1), (3, 2), (17, 4), (16, 5), (31, 33), (64, 32), (33, 70))
    )
]


pytestmark = pytest.mark.usefixtures("padding_stays_zero")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def product(graph, x, inputs, outputs, activation):
    """Return f(x w + b) with weights named w and b."""
    w = graph.parameter("w", (inputs, outputs), True)
    y = graph.matmul(x, w, graph.parameter("b", (outputs,), False))
    return graph.activation(y, activation) if activation else y


@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
@pytest.mark.parametrize(("positions", "inputs", "outputs"), SHAPES)
def test_positions_are_as_so_many_samples(positions, inputs, outputs, activation):
    X = draw(7, positions, inputs)
    weights = {"w": draw(inputs, outputs, seed=1), "b": draw(outputs, seed=2)}

    def run(x):
        def build(g, t):
            return product(g, t, inputs, outputs, activation)

        return engine.forward(build, x, weights=weights)

    one_by_one = run(X.reshape(-1, inputs)).reshape(7, positions, outputs)
    np.testing.assert_array_equal(run(X).reshape(one_by_one.shape), one_by_one)


@pytest.mark.parametrize("columns", [1, 2, 3, 15, 16, 17, 33])
@pytest.mark.parametrize("positions", [2, 5, 16, 33])
def test_softmax_of_positions_is_that_of_samples(positions, columns):
    X = 3 * draw(4, positions, columns)
    flat = engine.forward(lambda g, x: g.softmax(x), X.reshape(-1, columns))
    got = engine.forward(lambda g, x: g.softmax(x), X)
    np.testing.assert_array_equal(got.reshape(flat.shape), flat)


@pytest.mark.parametrize(("positions", "inputs", "outputs"), SHAPES)
def test_gradients_of_weights_are_summed_as_over_samples(positions, inputs, outputs):
    # Sample by sample, position by position, whatever the stretches: so bytes are equal. The mean
    # over a sample's outputs is undone by a power of two.
    positions = 1 << (positions.bit_length() - 1)
    X, y = draw(9, positions, inputs), draw(9, positions, outputs, seed=3)
    weights = {"w": draw(inputs, outputs, seed=1), "b": draw(outputs, seed=2)}

    def gradient(x, target, scale):
        def build(g, t):
            z = product(g, t, inputs, outputs, "tanh")
            return g.reshape(z, (int(np.prod(g.shape(z))),))

        net = engine.network(build, x.shape[1:], weights=weights)
        running = engine.session(net, "mse", mean=False)
        found = running.gradients([x], target.reshape(len(x), -1), None, 0.0, 0.0)[1]
        return {name: scale * value for name, value in found.items()}

    one_by_one = gradient(X.reshape(-1, inputs), y.reshape(-1, outputs), 1)
    got = gradient(X, y, positions)
    np.testing.assert_array_equal(got["w"], one_by_one["w"])
    np.testing.assert_allclose(got["b"], one_by_one["b"], rtol=1e-5, atol=1e-5)


def test_dense_over_positions_is_a_convolution_of_one_pixel():
    X = draw(5, 12, 1, 24)
    dense = steep.Sequential(layers.Dense(40, "relu"), layers.Dense(33), input_shape=(12, 24))
    conv = steep.Sequential(
        layers.Conv2D(40, 1, activation="relu"), layers.Conv2D(33, 1), input_shape=(12, 1, 24)
    )
    dense.build(seed=4)
    conv.build(seed=5)
    conv.load_state_dict({
        name: value.reshape(1, 1, *value.shape) if value.ndim == 2 else value
        for (name, _), value in zip(
            conv.state_dict().items(), dense.state_dict().values(), strict=True
        )
    })  # fmt: skip
    np.testing.assert_array_equal(dense.predict(X[:, :, 0]), conv.predict(X)[:, :, 0])


def trained(body, shape, threads, samples=37):
    """Return the bytes of weights after some steps on samples of several positions."""
    with steep.threads(threads):
        net = steep.Sequential(*body(), layers.Flatten(), layers.Dense(3), input_shape=shape)
        trainer = steep.Trainer(net, losses.CrossEntropy(), optimizers.Adam(0.01), seed=1)
        X = draw(samples, *shape)
        y = np.random.default_rng(1).integers(0, 3, samples)
        trainer.fit(X, y, epochs=2, batch_size=16, progress=False)
        return b"".join(value.tobytes() for value in net.state_dict().values())


BODIES = {
    "few": (lambda: [layers.Dense(70, "gelu"), layers.Softmax(), layers.Dense(3, "relu")], (3, 31)),
    "many": (lambda: [layers.Dense(33, "relu"), layers.BatchNorm(), layers.Dense(130)], (90, 70)),
    "pixels": (lambda: [layers.Conv2D(20, 3), layers.Dense(30, "swiglu")], (9, 8, 3)),
}


@pytest.mark.parametrize("name", BODIES)
def test_any_number_of_threads_gives_the_same_bytes(name):
    body, shape = BODIES[name]
    assert len({trained(body, shape, threads) for threads in (1, 2, 3, 8)}) == 1


def test_random_shapes_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(6)
    for _ in range(60):
        samples, positions = (int(n) for n in random.integers(1, [9, 51]))
        widths = [int(n) for n in random.integers(1, 71, 4)]
        net = steep.Sequential(
            layers.Dense(widths[1], "tanh"), layers.Dense(widths[2], "softmax"),
            layers.Dense(widths[3], use_bias=False), input_shape=(positions, widths[0]),
        )  # fmt: skip
        net.build(seed=int(random.integers(100)))
        X = random.standard_normal((samples, positions, widths[0])).astype(np.float32)
        y = random.standard_normal((samples, positions, widths[3])).astype(np.float32)
        loss, found = steep.Trainer(net, "mse", "sgd").gradients(X, y)
        leaves = {
            name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
            for name, value in net.state_dict().items()
        }
        w1, b1, w2, b2, w3 = leaves.values()
        x = torch.tensor(X, dtype=torch.float64)
        z = torch.softmax(torch.tanh(x @ w1 + b1) @ w2 + b2, -1) @ w3
        want = ((z - torch.tensor(y, dtype=torch.float64)) ** 2).mean()
        want.backward()
        assert loss == pytest.approx(want.item(), rel=1e-6)
        for name, leaf in leaves.items():
            norm = leaf.grad.norm().item()
            error = np.linalg.norm(found[name] - leaf.grad.numpy())
            assert error <= 1e-5 * norm + 1e-9, (name, samples, positions, widths)
