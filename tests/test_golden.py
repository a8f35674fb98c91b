"""The golden numbers of the lectures, one test or more for each row of their list.

Descent, backpropagation and the training loop are here, rules in `test_golden_rules.py`, schedules,
activations, losses and initialisers in `test_golden_formulas.py`.

A name says where the number stands: s0 .. s4 are the five documents (S1 and S4 after Kathuria and
Vatsa, S2 Paul's course, S3 Chatnuntawech's), row is its row in the list of everything they ask for.
A number the document prints is compared with its print; a number derived from its formula is
computed again here in float64, and compared both ways. Exact arithmetic is compared bit for bit.
"""

import math

import numpy as np
import pytest
import steep
from golden import (
    FULL,
    PRECISIONS,
    linear,
    network,
    printed,
    regression,
    same,
    square,
    value_and_gradient,
    weight,
)
from steep import lab, layers
from steep.optimizers import SGD

DESCENTS = [
    (0.5, -2.0, [0, 0, 0]),
    (0.5, 2.0, [0, 0, 0]),
    (0.25, 2.0, [1, 0.5, 0.25, 0.125, 0.0625]),
    (1.0, 2.0, [-2, 2, -2, 2, -2]),
]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("rate", "start", "golden"), DESCENTS)
def test_s3_row01_gradient_descent_on_w_squared(rate, start, golden, precision):
    path = lab.descend(SGD(rate), square, start, len(golden), precision=precision)
    assert path.dtype == precision
    assert path[1:].ravel().tolist() == golden


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("rate", "start", "golden"), DESCENTS)
def test_s3_row01_the_same_numbers_by_training_a_network(rate, start, golden, precision):
    net = linear([start])
    trainer = steep.Trainer(net, "mse", SGD(rate), precision=precision)
    path = []
    for _ in golden:
        trainer.step(np.ones((1, 1)), np.zeros((1, 1)))  # L = (1*w - 0)^2
        path.append(float(weight(trainer.net)[0]))
    assert path == golden


def test_s3_row01_the_limit_cycle_is_reported():
    assert lab.behaviour(lab.descend(SGD(1.0), square, 2.0, 10)) == "oscillates"
    assert lab.behaviour(lab.descend(SGD(0.5), square, 2.0, 10)) == "settles"
    assert lab.behaviour(lab.descend(SGD(0.25), square, 2.0, 10)) == "moves"
    assert lab.behaviour(lab.descend(SGD(1.25), square, 2.0, 10)) == "diverges"
    cycle = lab.minimize(SGD(1.0), square, 2.0, max_steps=50)
    assert (cycle.converged, cycle.reason, cycle.steps) == (False, "oscillates", 50)


def test_s3_row02_analytic_minimum_and_s2_closed_form_least_squares():
    assert lab.minimize(SGD(0.25), square, 2.0).w == pytest.approx(0.0, abs=1e-8)
    random = np.random.default_rng(2)
    X = random.standard_normal((50, 2))
    w, b = lab.least_squares(X, X @ [1.5, -0.5] + 0.25)
    assert same(w, [1.5, -0.5])
    assert same(b, 0.25)
    y = X @ [1.5, -0.5] + random.standard_normal(50)
    w, b = lab.least_squares(X, y)
    found = lab.minimize(
        SGD(0.3),
        lambda p: (
            np.append(2 * X.T @ (X @ p[:2] + p[2] - y), 2 * (X @ p[:2] + p[2] - y).sum()) / 50
        ),
        np.zeros(3),
        gradient_tol=1e-12,
    )
    assert found.converged
    np.testing.assert_allclose(found.w, [*w, b], rtol=1e-10)


def test_s3_row03_two_dimensions():
    path = lab.descend(SGD(0.25), square, [2.0, -4.0], 3)
    assert path.tolist() == [[2, -4], [1, -2], [0.5, -1], [0.25, -0.5]]


def test_s2_row04_loop_until_convergence():
    found = lab.minimize(SGD(0.25), square, 2.0, gradient_tol=1e-6)
    assert (found.converged, found.reason) == (True, "gradient")
    assert abs(2 * found.w[0]) <= 1e-6 < abs(2 * found.path[-2, 0])
    assert found.steps == 22  # 4 * 2^-22 <= 1e-6
    assert lab.minimize(SGD(0.25), square, 2.0, gradient_tol=0, change_tol=0.3).reason == "change"


def test_s4_row05_ascent_only_when_asked():
    path = lab.descend(SGD(0.25), square, 2.0, 3)
    assert (np.diff(path, axis=0) < 0).all()
    up = lab.descend(SGD(0.25, maximize=True), square, 2.0, 3)
    assert up.ravel().tolist() == [2, 3, 4.5, 6.75]  # old + gradient*rate


class SumTimes(layers.Layer):
    """The computation graph z = w1 + w2, L = z*w3, its input fixed to 1."""

    def call(self, x):
        w1, w2, w3 = (self.parameter(name, 1, init=0.0) for name in ("w1", "w2", "w3"))
        return (x * w1 + w2) * w3


def graph_gradient(w):
    return np.array([w[2], w[2], w[0] + w[1]])


def test_s3_row06_computation_graph():
    net = network(SumTimes(), shape=(1,), weights=[[-2.0], [5.0], [-4.0]])
    value, gradients = value_and_gradient(net, [1.0])
    assert value == -12.0
    assert np.concatenate(gradients).tolist() == [-4, -4, 3]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_s3_row07_graph_update(precision):
    path = lab.descend(SGD(1.0), graph_gradient, [-2.0, 5.0, -4.0], 3, precision=precision)
    assert path.tolist() == [[-2, 5, -4], [2, 9, -7], [9, 16, -18], [27, 34, -43]]
    assert [(w[0] + w[1]) * w[2] for w in path] == [-12, -77, -450, -2623]
    assert graph_gradient(path[1]).tolist() == [-7, -7, 11]


def test_s3_row07_graph_update_by_training():
    net = network(SumTimes(), shape=(1,), weights=[[-2.0], [5.0], [-4.0]])
    trainer = steep.Trainer(net, "mae", SGD(1.0), decay_bias=True)
    for wanted in ([2, 9, -7], [9, 16, -18], [27, 34, -43]):
        trainer.step(np.ones((1, 1)), np.full((1, 1), -4096.0))
        assert np.concatenate(list(trainer.net.state_dict().values())).tolist() == wanted


def test_s3_row07_divergence_is_refused_not_hidden():
    assert lab.behaviour(lab.descend(SGD(1.0), graph_gradient, [-2.0, 5.0, -4.0], 9)) == "diverges"
    with pytest.raises(FloatingPointError, match="diverged at step") as caught:
        lab.descend(SGD(1.0), graph_gradient, [-2.0, 5.0, -4.0], 10_000)
    assert np.isfinite(caught.value.path).all()
    assert len(caught.value.path) == caught.value.step + 1


def test_s3_row08_sigmoid_neuron():
    net = linear([2.0, -3.0], -3.0, "sigmoid")
    value, (w, b) = value_and_gradient(net, [-1.0, -2.0])
    f = 1 / (1 + math.exp(-1.0))
    slope = f * (1 - f)
    assert value == pytest.approx(f, rel=1e-10)  # 4096 was added and taken away
    assert same(np.append(w, b), [-slope, -2 * slope, slope])
    assert printed([f, *w, *b], "0.731058579", "-0.196611933", "-0.393223866", "0.196611933")


def test_s0_row09_10_every_layer_takes_the_batch_mean_of_its_gradient_at_step_k():
    random = np.random.default_rng(9)
    net = steep.Sequential(layers.Dense(5, "tanh"), layers.Dense(3), input_shape=(4,))
    net.build((4,), seed=1)
    X, y = random.standard_normal((6, 4)), random.standard_normal((6, 3))
    trainer = steep.Trainer(net, "mse", SGD(0.1), precision="float64")
    before = {name: w.copy() for name, w in trainer.net.state_dict().items()}
    singles = [trainer.gradients(X[i : i + 1], y[i : i + 1])[1] for i in range(6)]
    trainer.step(X, y)
    for name, after in trainer.net.state_dict().items():
        mean = sum(gradients[name] for gradients in singles) / 6
        np.testing.assert_allclose(after, before[name] - 0.1 * mean, rtol=1e-12, atol=1e-15)


class FanOut(layers.Layer):
    """z1 = w1*x feeds z4 = w4*z1 and z5 = w5*z1; y = z4 + z5."""

    def call(self, x):
        w1, w4, w5 = (self.parameter(name, 1, init=0.0) for name in ("w1", "w4", "w5"))
        z1 = x * w1
        return z1 * w4 + z1 * w5


def test_s2_row11_gradients_of_all_paths_add_up():
    net = network(FanOut(), shape=(1,), weights=[[3.0], [5.0], [-7.0]])
    value, gradients = value_and_gradient(net, [2.0])
    assert value == 2 * 3 * (5 - 7)
    assert np.concatenate(gradients).tolist() == [2 * (5 - 7), 6, 6]


def test_s3_s2_row12_sum_with_rate_over_n_is_mean_with_rate():
    X, y = regression(8)
    paths = []
    for reduction, rate in (("mean", 0.2), ("sum", 0.2 / 8)):
        net = linear([0.5, -0.25, 1.0], 0.0)
        trainer = steep.Trainer(net, "mse", SGD(rate), reduction=reduction, precision="float64")
        for _ in range(20):
            trainer.step(X, y)
        paths.append(np.concatenate([w.ravel() for w in trainer.net.state_dict().values()]))
    assert same(paths[0], paths[1])


@pytest.mark.parametrize(("batch_size", "updates"), [(10, 1), (1, 10), (4, 3)])
def test_s2_row13_s3_row15_batch_stochastic_minibatch_updates_of_an_epoch(batch_size, updates):
    X, y = regression(10)
    trainer = steep.Trainer(linear([0.0, 0.0, 0.0], 0.0), "mse", SGD(0.01))
    history = trainer.fit(X, y, epochs=3, batch_size=batch_size, progress=False)
    assert len(history.steps["loss"]) == 3 * updates  # the last short batch is kept


def test_s2_row13_one_epoch_is_the_formula_of_each_kind():
    X, y = regression(10)
    for batch_size in (10, 4, 1):
        net = linear([0.5, -0.25, 1.0])
        trainer = steep.Trainer(net, "mse", SGD(0.05), precision="float64")
        trainer.fit(X, y, epochs=1, batch_size=batch_size, shuffle=False, progress=False)
        w = np.array([0.5, -0.25, 1.0])
        for i in range(0, 10, batch_size):
            A, b = X[i : i + batch_size], y[i : i + batch_size, 0]
            w = w - 0.05 * 2 * A.T @ (A @ w - b) / len(A)
        assert same(weight(trainer.net), w)


def test_s1_row14_algorithm_8_1_with_its_list_of_rates():
    path = lab.descend(SGD([0.25, 0.125, 0.5]), square, 2.0, 3)
    assert path.ravel().tolist() == [2, 1, 0.75, 0]


def test_s4_row16_cost_of_batch_gradient_descent():
    assert lab.count_derivatives(samples=10_000, weights=10) == 100_000
    assert lab.count_derivatives(samples=10_000, weights=10, epochs=1000) == 100_000_000


@pytest.mark.parametrize(("factor", "golden"), [(0.05, 3.125e-7), (15.0, 759375.0)])
def test_s3_row18_vanishing_and_exploding_in_a_chain_of_five_layers(factor, golden):
    left = lab.chain_gradients([factor] * 5)[-1]
    assert left == pytest.approx(golden, rel=FULL)
    assert left == pytest.approx(factor**5, rel=FULL)
    # The same in a network: what reaches the first weight went through five layers above it.
    body = [layers.Dense(1, use_bias=False) for _ in range(6)]
    net = network(*body, shape=(1,), weights=[[[1.0]]] + [[[factor]]] * 5)
    _, gradients = value_and_gradient(net, [1.0])
    rounding = 1e-6 if factor == 0.05 else 0.0  # 0.05 is stored in float32; 15 is exact
    assert gradients[0][0] == pytest.approx(golden, rel=rounding, abs=0)


def test_s2_row19_samples_in_rows():
    net = linear([2.0, -1.0], 0.5)
    assert net.predict(np.array([[1.0, 2.0], [3.0, 4.0]])).ravel().tolist() == [0.5, 2.5]
