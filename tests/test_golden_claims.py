"""What the lectures claim, row 69 to 81 of the list of everything they ask for, with its numbers.

`test_golden.py` and its like have the rows of formulas; its words for the lectures hold here, too.
"""

import numpy as np
import pytest
import steep
from steep import data, initializers, lab, layers
from steep.lab import surfaces
from steep.optimizers import SGD, AdaGrad, Adam, RMSProp


def hidden(w):
    """Return the gradient of (w1^2 + 100 w2^2)/2, a quadratic with a poor Hessian."""
    return np.array([1.0, 100.0]) * w


def test_s3_row69_several_paths_on_one_surface_bright_where_it_is_low():
    pytest.importorskip("matplotlib")
    rules = {
        "SGD": SGD(1e-3), "Momentum": SGD(1e-3, momentum=0.9), "RMSProp": RMSProp(0.01),
        "Adam": Adam(0.05),
    }  # fmt: skip
    figure = lab.plot_paths(surfaces.rosenbrock, rules, steps=100)
    ground = figure.axes[0]
    for rule in rules.values():
        path = lab.descend(rule, surfaces.rosenbrock.grad, surfaces.rosenbrock.start, 100)
        assert any(np.array_equal(line.get_xydata(), path) for line in ground.lines)
    filled = ground.collections[0]
    brightness = filled.cmap(filled.norm(filled.cvalues))[:, :3].mean(1)
    assert (np.diff(brightness) <= 0).all()  # the levels rise


@pytest.mark.parametrize("overlap", [False, True])
def test_s2_row70_elephants_and_dogs_by_height_and_weight(overlap):
    """Those that a line separates, a perceptron learns without error; the others no line can."""
    X, y = data.elephants_and_dogs(overlap=overlap)
    assert X.shape == (200, 2)
    assert sorted(np.bincount(y).tolist()) == [100, 100]
    net = steep.Sequential(layers.Dense(2))
    trainer = steep.Trainer(net, "cross_entropy", Adam(0.05))
    z = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    trainer.fit(z, y, epochs=200, batch_size=200, progress=False)
    accuracy = trainer.evaluate(z, y)["accuracy"]
    assert accuracy == 1.0 if not overlap else 0.8 < accuracy < 1.0


def test_s0_s1_row71_momentum_speeds_a_quadratic_with_a_poor_hessian():
    """f = (w1^2 + 100 w2^2)/2 from (1, 1), rate .018, 100 steps: plain 1.322e-2, .9 8.37e-5."""
    for momentum, golden in ((0.0, "1.322e-02"), (0.9, "8.37e-05")):
        w = lab.descend(SGD(0.018, momentum=momentum), hidden, (1.0, 1.0), 100)[-1]
        value = 0.5 * (w[0] ** 2 + 100 * w[1] ** 2)
        assert f"{value:.{len(golden) - 6}e}" == golden


def test_s2_row72_momentum_crosses_a_plateau_on_which_descent_stalls():
    """Slope 1, then 1e-4 for a length of 1, then 1 again: steps until the far side."""

    def slope(w):
        return -1.0 if w < 0.0 or w > 1.0 else -1e-4

    def steps_to_cross(momentum):
        path = lab.descend(SGD(0.05, momentum=momentum), slope, -1.0, 400).ravel()
        return int(np.argmax(path > 1.0)) if path.max() > 1.0 else None

    assert steps_to_cross(0.0) is None  # one step of the plateau is 5e-6
    assert steps_to_cross(0.9) < 30


def rates(path, gradients):
    """Return the effective rate of each step: its length over that of the gradient."""
    return -np.diff(np.asarray(path), axis=0) / gradients


def fed(optimizer, gradients):
    """Return the path of an optimizer that is given these gradients, whatever the point."""
    given = iter(np.asarray(gradients, np.float64))
    start = np.zeros(np.shape(gradients)[1])
    return lab.descend(optimizer, lambda w: next(given), start, len(gradients))


def test_s2_row73_adagrad_slows_large_partials_most():
    """The ratio of effective rates is the inverse ratio of the roots of summed squares."""
    random = np.random.default_rng(0)
    gradients = random.standard_normal((50, 2)) * [10.0, 0.1]
    found = rates(fed(AdaGrad(0.1, eps=1e-12), gradients), gradients)
    roots = np.sqrt(np.cumsum(gradients**2, axis=0))
    np.testing.assert_allclose(found[:, 0] / found[:, 1], roots[:, 1] / roots[:, 0], rtol=1e-8)
    assert (found[:, 0] < found[:, 1]).all()
    assert (np.diff(found, axis=0) < 0).all()


def test_s2_row73_adagrad_converges_where_the_loss_is_convex():
    random = np.random.default_rng(1)
    X = random.standard_normal((200, 3))
    y = (random.random(200) < 1 / (1 + np.exp(-X @ [2.0, -1.0, 0.5]))).astype(float)

    def grad(w):
        return X.T @ (1 / (1 + np.exp(-X @ w)) - y) / len(y)

    found = lab.minimize(AdaGrad(1.0), grad, np.zeros(3), gradient_tol=1e-8, max_steps=20_000)
    assert found.converged
    assert found.reason == "gradient"


def test_s2_row74_rmsprop_forgets_the_distant_past_and_adagrad_does_not():
    """Gradient 1 for 1000 steps, then .01: .1 becomes .1/.01 = 10, or stays .1/sqrt 1000."""
    gradients = np.concatenate([np.ones((1000, 1)), np.full((200, 1), 0.01)])
    slow = rates(fed(AdaGrad(0.1), gradients), gradients).ravel()
    alive = rates(fed(RMSProp(0.1, rho=0.9), gradients), gradients).ravel()
    assert slow[999] == pytest.approx(0.1 / np.sqrt(1000), rel=1e-6)
    assert slow[-1] == pytest.approx(0.1 / np.sqrt(1000.02), rel=1e-6)  # it never recovers
    assert alive[999] == pytest.approx(0.1, rel=1e-6)
    assert alive[-1] == pytest.approx(0.1 / 0.01, rel=1e-3)


def test_s1_row75_rmsprop_damps_the_oscillation_of_the_steep_axis():
    """On (w1^2 + 100 w2^2)/2 plain descent at its limit swings along w2 for ever."""
    plain = lab.descend(SGD(0.02), hidden, (1.0, 1.0), 100)
    swings = np.abs(np.diff(plain[:, 1]))
    np.testing.assert_allclose(swings, 2.0)
    damped = lab.descend(RMSProp(0.02), hidden, (1.0, 1.0), 100)
    assert np.abs(np.diff(damped[:, 1]))[-20:].max() < 0.05 * swings[-1]
    gradients = np.array([hidden(w) for w in damped[:-1]])
    effective = rates(damped, gradients)
    assert effective[0, 1] < effective[0, 0] / 50  # the larger average makes the smaller rate


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_s1_row76_adam_without_momentum_and_correction_is_rmsprop(precision):
    """Bit by bit, on a surface and in training."""
    adam = Adam(0.01, beta1=0.0, beta2=0.9, bias_correction=False)
    rmsprop = RMSProp(0.01, rho=0.9, eps=1e-8)
    start = surfaces.rosenbrock.start
    paths = [
        lab.descend(rule, surfaces.rosenbrock.grad, start, 300, precision=precision)
        for rule in (adam, rmsprop)
    ]
    assert paths[0].tobytes() == paths[1].tobytes()
    random = np.random.default_rng(2)
    X, y = random.standard_normal((60, 5)), np.arange(60) % 3
    weights = []
    for rule in (adam, rmsprop):
        net = steep.Sequential(layers.Dense(8, "relu"), layers.Dense(3)).build((5,), seed=1)
        trainer = steep.Trainer(net, "cross_entropy", rule, precision=precision)
        trainer.fit(X, y, epochs=5, batch_size=10, progress=False)
        weights.append({name: value.tobytes() for name, value in net.state_dict().items()})
    assert weights[0] == weights[1]


WIDTH, DEPTH = 16, 56


def deep(residual):
    """Return 56 layers after the input's: tanh of a matrix, alone or added to what came in."""

    def block():
        body = layers.Dense(WIDTH, "tanh", init=initializers.Normal(0.5 / WIDTH**0.5))
        return layers.Residual(body) if residual else body

    first = layers.Dense(WIDTH, init="xavier")
    net = steep.Sequential(first, *(block() for _ in range(DEPTH)), layers.Dense(3))
    return net.build((8,), seed=3)


def digits(samples):
    (X, y), _ = data.load("digits")
    chosen = np.flatnonzero(y < 3)[:samples]
    X = X[chosen].reshape(samples, 8, 8).mean(2) / 16  # sums of rows: 8 numbers
    return (X - X.mean(0)).astype(np.float32), y[chosen]


def test_s4_row77_the_plus_one_keeps_gradients_alive_at_depth_56():
    X, y = digits(64)
    norms = {}
    for residual in (False, True):
        flow = lab.gradient_flow(deep(residual), X, y, "cross_entropy")
        assert len(flow) == DEPTH + 2
        norms[residual] = flow[0].norm  # x^T dL/dz: it has come all the way
    assert 0.5 ** (DEPTH + 10) < norms[False] < 0.5 ** (DEPTH - 10)  # each layer takes about half
    assert 0.1 < norms[True] < 100.0  # and each block adds a little


def test_s4_row77_the_plain_network_fails_on_the_samples_it_learns_from():
    X, y = digits(150)
    losses = {}
    for residual in (False, True):
        trainer = steep.Trainer(deep(residual), "cross_entropy", Adam(1e-3))
        trainer.fit(X, y, epochs=20, progress=False)
        losses[residual] = trainer.evaluate(X, y)["loss"]
    assert losses[False] > 0.9 * np.log(3)  # no better than guessing: no overfitting
    assert losses[True] < 0.35


def test_s2_row78_small_data_is_fitted_exactly_and_diverse_data_is_not():
    (X, y), _ = data.load("digits")
    X = X.reshape(len(X), -1).astype(np.float32) / 16
    random = np.random.default_rng(0)
    noisy = random.integers(0, 10, len(y))  # as diverse as can be: nothing to learn but by heart
    ends = []
    for samples, labels in ((32, y), (len(y), noisy)):
        net = steep.Sequential(layers.Dense(16, "relu"), layers.Dense(10))
        trainer = steep.Trainer(net, "cross_entropy", Adam(0.01))
        steps = -(-samples // 32)
        trainer.fit(X[:samples], labels[:samples], epochs=450 // steps, progress=False)
        ends.append(trainer.evaluate(X[:samples], labels[:samples])["loss"])
    assert ends[0] < 1e-3
    assert ends[1] > 1.0


def linear(samples=512, precision="float64"):
    """Return a trainer with weights away from their minimum, and its samples."""
    random = np.random.default_rng(7)
    X = random.standard_normal((samples, 4))
    y = X @ random.standard_normal((4, 2)) + random.standard_normal((samples, 2))
    net = steep.Sequential(layers.Dense(6, "tanh"), layers.Dense(2)).build((4,), seed=1)
    return steep.Trainer(net, "mse", "sgd", precision=precision), X, y


def flat(gradients):
    return np.concatenate([g.ravel() for g in gradients.values()])


def test_s0_s2_row79_the_variance_of_a_batch_gradient_is_that_of_a_sample_over_its_size():
    trainer, X, y = linear()
    each = np.array([flat(trainer.gradients(X[k : k + 1], y[k : k + 1])[1]) for k in range(len(X))])
    single = each.var(0).sum()
    random = np.random.default_rng(9)
    for size in (4, 16, 64):
        drawn = random.integers(0, len(X), (300, size))  # with replacement: exactly 1/B expected
        found = np.array([flat(trainer.gradients(X[k], y[k])[1]) for k in drawn])
        assert found.var(0).sum() == pytest.approx(single / size, rel=0.15)


def test_s2_row80_the_mean_of_single_gradients_is_the_full_one():
    trainer, X, y = linear(200)
    full_loss, full = trainer.gradients(X, y)
    found = [trainer.gradients(X[k : k + 1], y[k : k + 1]) for k in range(len(X))]
    assert np.mean([loss for loss, _ in found]) == pytest.approx(full_loss, rel=1e-14)
    mean = np.mean([flat(g) for _, g in found], axis=0)
    np.testing.assert_allclose(mean, flat(full), rtol=1e-14, atol=1e-14 * np.abs(flat(full)).max())


def test_s3_row81_the_negative_gradient_is_the_direction_of_descent():
    """Of all directions of length 1 none goes down faster; the rate says how far."""
    trainer, X, y = linear(100)
    assert lab.check_gradients(trainer.net, X, y, "mse") < 1e-7
    loss, gradients = trainer.gradients(X, y)
    g, before = flat(gradients), trainer.net.state_dict()

    def at(direction, rate):
        moved, place = {}, 0
        for name, value in before.items():
            part = direction[place : place + value.size].reshape(value.shape)
            moved[name], place = value + rate * part, place + value.size
        trainer.net.load_state_dict(moved)
        return trainer.evaluate(X, y)["loss"]

    unit, rate = g / np.linalg.norm(g), 1e-5
    fall = loss - at(-unit, rate)
    assert fall == pytest.approx(rate * np.linalg.norm(g), rel=1e-3)
    assert at(unit, rate) > loss
    random = np.random.default_rng(3)
    others = random.standard_normal((30, g.size))
    assert all(loss - at(d / np.linalg.norm(d), rate) < fall for d in others)
    assert at(-g, 1e3) > loss  # too far
