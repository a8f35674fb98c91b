"""The golden numbers of the lectures for schedules, activations, losses and initialisers.

What a name says: `test_golden.py`.
"""

import math

import numpy as np
import pytest
import reference
import steep
from golden import FULL, linear, network, printed, regression, value_and_gradient, weight
from steep import lab, layers, losses, schedules
from steep.network import initializers
from steep.optimizers import SGD


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
