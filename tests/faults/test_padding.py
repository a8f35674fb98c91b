"""The padding of every row and parameter is 0: every op leaves it so, odd widths train right."""

import cases
import numpy as np
import pytest
import steep
from cases import ACTIVATIONS, NETWORKS
from cases_layers import LAYERS
from own_layers import Ladder
from steep import _core, layers
from steep.optimizers import SGD

pytestmark = pytest.mark.usefixtures("padding_stays_zero")


def copy_of(net, make, width):
    """Return a fresh network with the same weights."""
    other = make().build(width)
    other.load_state_dict(net.state_dict())
    return other


def two(width, activation, outputs):
    return lambda: steep.Sequential(layers.Dense(width, activation), layers.Dense(outputs))


def test_f1_golden_loss_after_one_step():
    """PyTorch from the same start: torch.nn.Sequential(Linear(3, 2), Sigmoid(), Linear(2, 1))."""
    random = np.random.default_rng(0)
    X = random.standard_normal((8, 3)).astype(np.float32)
    y = random.standard_normal((8, 1)).astype(np.float32)
    make = two(2, "sigmoid", 1)
    trainer = steep.Trainer(make(), "mse", SGD(0.1), seed=0)
    losses = trainer.fit(X, y, epochs=50, batch_size=8, shuffle=False, progress=False).steps["loss"]
    assert losses[0] == pytest.approx(0.410886, abs=1e-6)
    assert losses[1] == pytest.approx(0.377935, abs=1e-6)
    np.testing.assert_array_equal(trainer.net.predict(X), copy_of(trainer.net, make, 3).predict(X))


def descend(X, y, weights, row, *, steps, lr):
    """Losses of plain gradient descent on mean((f(Xw + b)v + c - y)^2), in float64."""
    losses, (w, b, v, c) = [], weights
    for _ in range(steps):
        z = X @ w + b
        h = row.f(z, row.alpha)
        e = h @ v + c - y
        losses.append(np.mean(e * e))
        dy = 2 * e / e.size
        dz = (dy @ v.T) * row.slope(z, row.alpha)
        w, b, v, c = w - lr * X.T @ dz, b - lr * dz.sum(0), v - lr * h.T @ dy, c - lr * dy.sum(0)
    return losses


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_f1_odd_widths_train_as_the_formula_says(name):
    """Widths 1 to 40 into outputs 1 to 5, a few steps each, against NumPy in float64."""
    row = ACTIVATIONS[name]
    make_f = layers.Activation(name, row.alpha) if row.alpha else name
    for width in range(1, 41):
        outputs = width % 5 + 1
        random = np.random.default_rng(width)
        X, y = random.random((6, 3)), random.standard_normal((6, outputs))
        w, v = 0.2 + random.random((3, width)), random.standard_normal((width, outputs)) / width
        b, c = 0.3 + random.random(width), random.standard_normal(outputs)
        w, b, v, c = (a.astype(np.float32).astype(float) for a in (w, b, v, c))
        make = two(width, make_f, outputs)
        net = make().build(3)
        trainer = steep.Trainer(net, "mse", SGD(1e-3), precision="float64")
        net.load_state_dict(dict(zip(net.state_dict(), (w, b, v, c), strict=True)))
        got = trainer.fit(X, y, epochs=8, batch_size=6, shuffle=False, progress=False).steps["loss"]
        want = descend(X, y, (w, b, v, c), row, steps=8, lr=1e-3)
        np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=f"{name}, {width}, {outputs}")


def shifted(width, outputs):
    """Layers whose value at 0 is not 0, and shifts in the middle of a network."""
    return steep.Sequential(
        layers.Dense(width),
        layers.Rescale(2.0, -1.0),
        Ladder(),
        layers.Activation("exp"),
        layers.Dropout(0.3),
        layers.Normalize([0.5] * width, [2.0] * width),
        layers.Residual(layers.BatchNorm(), layers.Sigmoid(), recompute=True),
        layers.Dense(outputs, "softmax"),
        layers.Rescale(1.0, 0.25),
        layers.Dense(outputs, "softplus"),
    )


@pytest.mark.parametrize("clip_norm", [None, 0.05])
@pytest.mark.parametrize("precision", cases.PRECISIONS)
def test_f1_shifts_in_the_middle_leave_the_padding_alone(precision, clip_norm):
    random = np.random.default_rng(3)
    for width in range(1, 41):
        outputs = width % 5 + 1
        X, y = random.standard_normal((11, 4)), random.random((11, outputs))
        net = shifted(width, outputs)
        trainer = steep.Trainer(net, "mse", "adam", precision=precision, clip_norm=clip_norm)
        trainer.fit(X, y, epochs=3, batch_size=4, progress=False)
        if precision == "float32":  # a fresh network is
            fresh = copy_of(net, lambda w=width, o=outputs: shifted(w, o), 4)
            np.testing.assert_array_equal(net.predict(X), fresh.predict(X))
        assert _core.check_invariants(True) == "", width


def test_f1_what_is_not_finite_stays_out_of_the_padding():
    """inf * 0 is NaN: in the padding it would spoil outputs that are finite."""
    net = steep.Sequential(layers.Dense(5, "relu"), layers.Dense(5, "tanh"), layers.Dense(1)).build(
        2
    )
    weights = {name: np.full_like(value, 3e38) for name, value in net.state_dict().items()}
    *_, last, bias = weights
    weights[last], weights[bias] = np.ones((5, 1)), np.zeros(1)
    net.load_state_dict(weights)
    np.testing.assert_array_equal(net.predict(np.full((2, 2), 3e38, np.float32)), [[5.0], [5.0]])


@pytest.mark.filterwarnings("ignore:a batch of 1 sample")  # the last of some virtual ones
@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize("name", LAYERS)
def test_f1_every_layer_keeps_the_padding_zero(name, outputs):
    random = np.random.default_rng(0)
    X, y = random.standard_normal((37, 6)), random.standard_normal((37, outputs))
    for precision in cases.PRECISIONS:
        net = steep.Sequential(*LAYERS[name](), layers.Dense(outputs))
        clip = 0.1 if outputs == 2 else None
        trainer = steep.Trainer(net, "mse", "adam", precision=precision, clip_norm=clip)
        trainer.fit(X, y, epochs=2, batch_size=16, progress=False)
        trainer.evaluate(X, y)
        trainer.gradients(X, y)
        net.predict(X)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_f1_every_network_keeps_the_padding_zero(name, threads):
    case = NETWORKS[name]
    X, y = case.data()
    trainer = case.trainer()
    with steep.threads(threads):
        trainer.fit(X, y, epochs=1, batch_size=case.batch, progress=False)
        trainer.evaluate(X, y)
        trainer.gradients(X[:50], y[:50])
        trainer.net.predict(X)


@pytest.mark.parametrize("rule", cases.RULES)
def test_f1_every_rule_keeps_the_padding_of_its_slots_zero(rule):
    random = np.random.default_rng(1)
    X, y = random.standard_normal((24, 5)), random.standard_normal((24, 3))
    rule, net = cases.RULES[rule].optimizer, two(7, "softplus", 3)()
    trainer = steep.Trainer(net, "mse", rule, l1=1e-3, l2=1e-3, decay_bias=True)
    trainer.fit(X, y, epochs=4, batch_size=8, progress=False)
