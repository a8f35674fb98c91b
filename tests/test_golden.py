"""The golden numbers of the lectures, one test or more for each row of their list.

A name says where the number stands: s0 .. s4 are the five documents (S1 and S4 after Kathuria and
Vatsa, S2 Paul's course, S3 Chatnuntawech's), row is its row in the list of everything they ask for.
A number the document prints is compared with its print; a number derived from its formula is
computed again here in float64, and compared both ways. Exact arithmetic is compared bit for bit.
"""

import dataclasses
import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
import reference
import steep
from steep import lab, layers, losses, optimizers, schedules
from steep.network import initializers
from steep.optimizers import SGD, AdaDelta, AdaGrad, Adam, RMSProp

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


# ---- Gradient descent, backpropagation, the training loop ----

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


def regression(rows=10):
    random = np.random.default_rng(12)
    return random.standard_normal((rows, 3)), random.standard_normal((rows, 1))


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


# ---- Optimizers, on L = w^2 from w0 = 2 ----


def test_s1_row20_momentum():
    path = lab.descend(SGD(0.25, 0.9), square, 2.0, 5)
    assert same(path, reference.path(SGD(0.25, 0.9), square, [2.0], 5))
    assert printed(path[1:], "1", "-0.4", "-1.46", "-1.684", "-1.0436")


def test_s1_row20_the_rate_stands_inside_the_velocity():
    rates = [0.25, 0.5, 0.125]
    inside = lab.descend(SGD(rates, 0.5), square, 2.0, 3)
    outside = lab.descend(SGD(rates, 0.5, lr_in_velocity=False), square, 2.0, 3)
    assert inside.ravel().tolist() == [2, 1, -0.5, -1.125]
    assert outside.ravel().tolist() == [2, 1, -1, -1]


def test_s1_row21_kathuria_momentum_unrolled():
    g = np.random.default_rng(21).standard_normal((3, 4))
    calls = iter(g)
    path = lab.descend(SGD(1.0, 0.9), lambda w: next(calls), np.zeros(4), 3)
    velocities = [-g[0], -0.9 * g[0] - g[1], -0.81 * g[0] - 0.9 * g[1] - g[2]]
    np.testing.assert_allclose(path[1:], np.cumsum(velocities, axis=0), rtol=FULL, atol=1e-15)


def test_s1_row22_momentum_ramp_from_half_to_nine_tenths():
    ramp = schedules.Linear(0.5, 0.9, 8, unit="epoch")
    assert ramp([0, 4, 8, 20]).tolist() == pytest.approx([0.5, 0.7, 0.9, 0.9], rel=1e-15)
    path = lab.descend(SGD(0.05, ramp), square, 2.0, 30, epoch_steps=2)
    truth = reference.path(SGD(0.05, ramp), square, [2.0], 30, 2)
    np.testing.assert_allclose(path, truth, rtol=FULL, atol=1e-14)


def test_s2_row23_nesterov_looks_ahead_and_exports_w():
    optimizer = SGD(0.25, 0.9, nesterov=True)
    path = lab.descend(optimizer, square, 2.0, 5)
    truth = reference.path(optimizer, square, [2.0], 5)
    np.testing.assert_allclose(path, truth, rtol=1e-11)  # w passes near 0
    assert printed(path[1:], "1", "0.05", "-0.4025", "-0.404875", "-0.20350625")


@pytest.mark.parametrize(("like", "outer"), [("keras", 1.0), ("torch", 0.25)])
def test_s2_row23_the_libraries_y_minus_mu_v_is_the_same_row(like, outer):
    optimizer = SGD(0.25, 0.9, nesterov=True, like=like)
    ys = lab.descend(optimizer, square, 2.0, 5)
    points = list(reference.descent(optimizer, square, [2.0], 5))
    np.testing.assert_allclose(ys, [y for y, _ in points], rtol=1e-11)
    assert printed(ys[1:4], "0.1", "-0.805", "-0.80975")
    ws = np.array([y - 0.9 * outer * s["v"] for y, s in points])
    assert printed(ws[1:], "1", "0.05", "-0.4025", "-0.404875", "-0.20350625")


def test_s2_row23_a_trained_network_gives_w_not_the_look_ahead_point():
    net = linear([2.0])
    trainer = steep.Trainer(net, "mse", SGD(0.25, 0.9, nesterov=True), precision="float64")
    path = []
    for _ in range(5):
        trainer.step(np.ones((1, 1)), np.zeros((1, 1)))
        path.append(float(weight(trainer.net)[0]))
    assert printed(path, "1", "0.05", "-0.4025", "-0.404875", "-0.20350625")


def test_s2_row24_adagrad():
    path = lab.descend(AdaGrad(0.1, 1e-7), square, 2.0, 3)
    assert same(path, reference.path(AdaGrad(0.1, 1e-7), square, [2.0], 3))
    assert printed(path[1:], "1.9000000025", "1.8311250575", "1.7758215195")


RMSPROP_ROW25 = {
    True: ("1.6847558", "1.4751968", "1.3102211"),
    False: ("1.6862526", "1.4774833", "1.3130305"),
}


@pytest.mark.parametrize("inside", [True, False])
def test_s1_s2_s4_row25_rmsprop_eps_inside_and_outside(inside):
    optimizer = RMSProp(0.1, 0.9, 1e-2, eps_inside=inside)
    path = lab.descend(optimizer, square, 2.0, 3)
    assert same(path, reference.path(optimizer, square, [2.0], 3))
    assert printed(path[1:], *RMSPROP_ROW25[inside])


def test_s1_row25_kathuria_preset():
    path = lab.descend(RMSProp(0.1, preset="kathuria"), square, 2.0, 3)
    meant = RMSProp(0.1, rho=0.9, eps=1e-10, eps_inside=True)
    assert same(path, reference.path(meant, square, [2.0], 3))


def test_s2_row25_rmsprop_unrolled():
    """r = (1-rho)*(g_t^2 + rho*g_t-1^2 + rho^2*g_t-2^2), and the step is -g/sqrt(r)."""
    g = np.array([3.0, -0.5, 2.0])
    calls = iter(g)
    steps = np.diff(lab.descend(RMSProp(1.0, 0.9, 0.0), lambda w: next(calls), 0.0, 3).ravel())
    weights = 0.1, 0.09, 0.081
    r = [sum(c * x * x for c, x in zip(weights, g[t::-1], strict=False)) for t in range(3)]
    np.testing.assert_allclose(steps, -g / np.sqrt(r), rtol=1e-11)


def test_s2_row26_rmsprop_with_nesterov_momentum():
    optimizer = RMSProp(0.1, 0.9, eps=0.0, momentum=0.9, nesterov=True)
    path = lab.descend(optimizer, square, 2.0, 3)
    assert same(path, reference.path(optimizer, square, [2.0], 3))
    assert printed(path[1:], "1.6837722", "1.2114850", "0.6815264")


UNCORRECTED = Adam(0.1, beta2=0.99, eps=1e-10, eps_inside=True, bias_correction=False)
ADAM_ROWS = {
    "s2_row27_without_rate": (Adam(1.0), ("1", "0.0678204", "-0.6718093")),
    "s2_row27_with_rate": (Adam(0.1), ("1.90000000025", "1.8001664861", "1.7006233920")),
    "s2_row27_eps_hat_form": (
        Adam(0.1, like="keras"),
        ("1.9000000079", "1.8001664992", "1.7006234096"),
    ),
    "s2_row28_time_by_epoch": (
        Adam(0.1, bias_time="epoch"),
        ("1.90000000025", "1.7658398417", "1.6101760603"),
    ),
    "s1_s4_row29_uncorrected": (
        UNCORRECTED,
        ("1.9000000", "1.7655212", "1.6090974"),
    ),
}


@pytest.mark.parametrize("name", ADAM_ROWS)
def test_adam(name):
    optimizer, golden = ADAM_ROWS[name]
    path = lab.descend(optimizer, square, 2.0, 10, epoch_steps=3)
    truth = reference.path(optimizer, square, [2.0], 10, 3)
    np.testing.assert_allclose(path, truth, rtol=1e-11)  # 1-beta^t loses digits on both sides
    assert printed(path[1:4], *golden)


def test_s1_s4_row29_erratum_the_extra_factor_g():
    """What the documents' formula would give; steep has no such switch."""
    w, s, path = np.array([2.0]), reference.first_slots(UNCORRECTED), []
    for n in range(3):
        right, s = reference.step(w, s, square, reference.knobs_at(UNCORRECTED, n, n))
        w = w + (right - w) * square(w)
        path.append(w)
    # The list's 1.1739064 is a misprint: the formula gives 1.17390632.
    assert printed(np.array(path), "1.6000000", "1.1739063", "0.8187295")


def defaults(made):
    return {item.name: item.default for item in dataclasses.fields(made)}


def test_row30_defaults():
    adam = defaults(Adam)
    assert (adam["lr"], adam["beta1"], adam["beta2"], adam["eps"]) == (1e-3, 0.9, 0.999, 1e-8)
    assert (adam["bias_correction"], adam["bias_time"]) == (True, "step")
    rmsprop = defaults(RMSProp)
    assert (rmsprop["lr"], rmsprop["rho"], rmsprop["eps"]) == (1e-3, 0.9, 1e-8)
    kathuria = RMSProp(preset="kathuria")
    assert (kathuria.rho, kathuria.eps, kathuria.eps_inside) == (0.9, 1e-10, True)
    assert (defaults(AdaGrad)["lr"], defaults(AdaGrad)["eps"]) == (0.01, 1e-7)
    assert (defaults(SGD)["lr"], defaults(SGD)["momentum"]) == (0.01, 0.0)


@pytest.mark.parametrize("g", [0.3, -2.0, 1e-3])
def test_s2_row31_bias_correction_is_exact_for_a_constant_gradient(g):
    """Then m/(1-beta1^t) = g and r/(1-beta2^t) = g^2, so that every step is lr*sign(g)."""
    path = lab.descend(Adam(0.125, eps=0.0), lambda w: g, 0.0, 50)
    np.testing.assert_allclose(np.diff(path, axis=0), -0.125 * math.copysign(1, g), rtol=1e-11)


def test_s3_row32_adadelta():
    path = lab.descend(AdaDelta(), square, 2.0, 3)
    assert same(path, reference.path(AdaDelta(), square, [2.0], 3))
    assert printed(path[1:], "1.9955278668", "1.9910037039", "1.9864477469")
    named = AdaDelta()
    assert (named.lr, named.rho, named.eps) == (1.0, 0.95, 1e-6)


@pytest.mark.parametrize(
    "name", ["SGD", "momentum", "RMSprop", "Adam", "ADADELTA", "AdaGrad", "AdamW", "NAdam"]
)
def test_s3_row33_the_optimizers_named(name):
    path = lab.descend(optimizers.get(name), square, 2.0, 50)
    assert abs(path[-1, 0]) < 2.0


def clipped_step(limit):
    """One step of rate 1 with the gradient (3, 4): returns the step taken."""
    net = linear([0.0, 0.0])
    trainer = steep.Trainer(net, "mae", SGD(1.0), clip_norm=limit, precision="float64")
    trainer.step(np.array([[3.0, 4.0]]), np.array([[-4096.0]]))
    return -weight(trainer.net)


def test_s2_row34_clipping_by_global_norm():
    assert same(clipped_step(1.0), [0.6, 0.8])
    assert same(clipped_step(1.0), reference.clip_by_norm(np.array([3.0, 4.0]), 1.0))


@pytest.mark.parametrize("limit", [5.0, 6.0, None])
def test_s2_row34_a_norm_within_the_limit_changes_no_bit(limit):
    assert clipped_step(limit).tolist() == [3.0, 4.0]


def test_s2_row34_clipping_by_value():
    net = linear([0.0, 0.0])
    trainer = steep.Trainer(net, "mae", SGD(1.0), clip_value=3.5, precision="float64")
    trainer.step(np.array([[3.0, 4.0]]), np.array([[-4096.0]]))
    assert weight(trainer.net).tolist() == [-3.0, -3.5]


# ---- Schedules, activations, losses, initialisers ----


def test_s2_row35_piecewise_constant_is_half_open():
    rates = schedules.Piecewise([0, 10, 20], [0.1, 0.05, 0.01])
    assert rates([0, 9, 10, 19, 20, 1000]).tolist() == [0.1, 0.1, 0.05, 0.05, 0.01, 0.01]


def test_s2_row36_exponential():
    value = schedules.Exponential(0.1, 0.1)(10)
    assert value == pytest.approx(0.1 * math.exp(-1), rel=FULL)
    assert printed(value, "0.0367879441")


def test_s2_row37_inverse_power():
    assert schedules.InversePower(0.1, beta=1, alpha=0.5)(3) == pytest.approx(0.05, rel=FULL)


def test_s1_row38_list_array_or_callable():
    given = ([0.5, 0.25, 0.125], np.array([0.5, 0.25, 0.125]), lambda t: 0.5 ** (t + 1))
    tables = [SGD(lr).knobs(np.arange(3), np.zeros(3)).ravel().tolist() for lr in given]
    assert tables == [[0.5, 0.25, 0.125]] * 3


def activate(name, x):
    """Return f(x) and f'(x) of a network that is one activation, in float64."""
    body = layers.Dense(1, use_bias=False), layers.Activation(name)
    net = network(*body, shape=(1,), weights=[[[1.0]]])
    value, gradients = value_and_gradient(net, [x])
    return value, gradients[0][0] / x if x else None


def test_s2_row39_sigmoid():
    net = steep.Sequential(layers.Activation("sigmoid"), input_shape=(5,))
    net.build((5,))
    x = np.array([[0.0, 88.0, -88.0, 1000.0, -1000.0]])
    out = net.predict(x)[0]
    assert out[0] == 0.5
    np.testing.assert_allclose(out, reference.sigmoid(x[0]), rtol=1e-6, atol=1e-38)
    neuron = linear([0.0], 0.0, "sigmoid")
    value, (_, b) = value_and_gradient(neuron, [1.0])
    assert (value, b[0]) == (0.5, 0.25)


def test_s2_row40_tanh_relu_leaky_relu():
    value, slope = activate("tanh", 1.0)
    assert value == pytest.approx(math.tanh(1.0), rel=1e-11)
    assert slope == pytest.approx(1 - math.tanh(1.0) ** 2, rel=FULL)
    assert printed(value, "0.761594156")
    assert activate("tanh", -1000.0)[0] == -1.0
    assert [activate("relu", x)[0] for x in (-3.0, 0.0, 2.0)] == [0, 0, 2]
    body = layers.Dense(1, use_bias=False), layers.LeakyReLU(0.25)
    leaky = network(*body, shape=(1,), weights=[[[1.0]]])
    assert leaky.predict(np.array([[-2.0], [2.0]])).ravel().tolist() == [-0.5, 2.0]


def test_s2_row41_softmax_argmax_one_hot():
    z = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]])
    net = steep.Sequential(layers.Softmax(), input_shape=(3,))
    net.build((3,))
    np.testing.assert_allclose(net.predict(z), reference.softmax(z), rtol=1e-6)
    elephant_dog = np.array([[1.0, 0.0], [0.0, 1.0]])
    logits = np.array([[0.3, -0.4], [0.1, 1.2]])
    loss = losses.CrossEntropy()
    assert loss(logits, elephant_dog) == loss(logits, np.array([0, 1]))


def test_s0_row42_cross_entropy_of_the_prediction_vector():
    listed = np.array([0.11, 0.78, 0.06, 0.23])
    assert listed.sum() == pytest.approx(1.18)  # so these are no softmax outputs
    p = np.array([[0.11, 0.78, 0.06, 0.05]])  # the cat's 0.78 among probabilities
    truth = np.array([[0.0, 1.0, 0.0, 0.0]])
    value = losses.CrossEntropy()(np.log(p), truth)
    assert value == pytest.approx(-math.log(0.78), rel=FULL)
    assert printed(value, "0.2484613593")
    assert native_loss("cross_entropy", np.log(p), truth) == pytest.approx(value, rel=1e-7)


def native_loss(loss, z, target):
    """Return the mean loss that training reports for a net whose outputs are z."""
    n = z.shape[1]
    net = network(layers.Dense(n, use_bias=False), shape=(n,), weights=[np.eye(n)])
    trainer = steep.Trainer(net, loss, "sgd", precision="float64")
    return trainer.evaluate(z, target)["loss"]


Z = np.array([[0.5, -2.0], [1.5, 0.25]])
Y = np.array([[0.0, 0.0], [1.0, 1.0]])
LOSS_ROWS = {
    "s2_row43_mse": ("mse", (0.25 + 4.0 + 0.25 + 0.5625) / 4),
    "s2_row43_mae": ("mae", (0.5 + 2.0 + 0.5 + 0.75) / 4),
    "s2_row44_huber": (losses.Huber(1.0), (0.125 + 1.5 + 0.125 + 0.28125) / 4),
}


@pytest.mark.parametrize("name", LOSS_ROWS)
def test_regression_losses(name):
    loss, golden = LOSS_ROWS[name]
    assert losses.get(loss)(Z, Y) == golden
    assert native_loss(loss, Z, Y) == golden


def test_s2_row45_cross_entropy_from_logits():
    random = np.random.default_rng(45)
    z, y = random.standard_normal((6, 5)), random.dirichlet(np.ones(5), 6)
    golden = -(y * np.log(reference.softmax(z))).sum(axis=1).mean()
    assert losses.CrossEntropy()(z, y) == pytest.approx(golden, rel=FULL)
    assert native_loss("cross_entropy", z, y) == pytest.approx(golden, rel=FULL)


def test_s2_row46_training_finds_the_argmin():
    X, y = regression(20)
    w, b = lab.least_squares(X, y)
    net = linear([0.0, 0.0, 0.0], 0.0)
    trainer = steep.Trainer(net, "mse", SGD(0.2), precision="float64")
    trainer.fit(X, y, epochs=400, batch_size=20, progress=False)
    np.testing.assert_allclose(weight(trainer.net, 0), w.ravel(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(weight(trainer.net, 1), b, rtol=1e-9, atol=1e-12)


def draws(name, n_in, n_out, units=4000):
    return initializers.draw(name, (n_in, units), n_in, n_out, seed=53, stream=1)


def test_s2_row53_xavier_by_inputs():
    assert initializers.NAMED["xavier_in"].spread(6, 99) == 1.0 == reference.xavier_in_bound(6)
    values = draws("xavier_in", 6, 99)
    assert -1.0 <= values.min() < -0.999
    assert 0.999 < values.max() < 1.0


def test_s2_row54_xavier_by_inputs_and_outputs():
    assert initializers.NAMED["xavier"].spread(2, 4) == 1.0 == reference.xavier_bound(2, 4)
    values = draws("xavier", 2, 4)
    assert -1.0 <= values.min() < -0.999
    assert 0.999 < values.max() < 1.0
    # mean 0 and variance b^2/3, within five standard errors of 8000 draws
    assert abs(values.mean()) < 5 * math.sqrt(1 / 3 / values.size)
    assert abs(values.var() - 1 / 3) < 5 * math.sqrt(4 / 45 / values.size)


def test_s2_s1_row55_he_by_standard_deviation():
    assert initializers.NAMED["he"].spread(8, 99) == 0.5 == reference.he_std(8)
    values = draws("he", 8, 3)
    assert abs(values.mean()) < 5 * 0.5 / math.sqrt(values.size)
    assert abs(values.std() - 0.5) < 5 * 0.5 / math.sqrt(2 * values.size)


def test_s2_row56_equal_units_are_warned_of():
    with pytest.warns(UserWarning, match="all 3 units start with equal weights"):
        initializers.draw(0.5, (4, 3), 4, 3, seed=0, stream=0)
    assert initializers.draw("zeros", (3,), 4, 3, seed=0, stream=0).tolist() == [0, 0, 0]
    assert initializers.draw(0.5, (4, 1), 4, 1, seed=0, stream=0).tolist() == [[0.5]] * 4
