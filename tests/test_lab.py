"""The lab: descent on any function, its verdicts, gradient checks, and what it refuses."""

import cases
import numpy as np
import pytest
import steep
from steep import lab, layers
from steep.optimizers import SGD, Adam


def bowl(w):
    return 2 * w


def test_a_number_is_a_vector_of_one():
    assert lab.descend("sgd", bowl, 2.0, 4).shape == (5, 1)
    assert lab.descend("sgd", bowl, [2.0], 4).tolist() == lab.descend("sgd", bowl, 2, 4).tolist()
    assert lab.descend("adam", lambda w: [2 * w[0], w[1]], [2, 3], 0).tolist() == [[2, 3]]


def test_start_is_not_touched_and_the_function_may_keep_its_argument():
    start, seen = np.array([2.0, 1.0]), []
    path = lab.descend(Adam(0.1), lambda w: seen.append(w) or bowl(w), start, 5)
    assert start.tolist() == [2, 1]
    assert np.array(seen).tolist() == path[:-1].tolist()


def test_long_runs_cross_their_tables_without_a_seam():
    path = lab.descend(SGD(0.25, 0.5, nesterov=True), lambda w: w - 1, [2.0, -3.0], 2500)
    w, v = np.array([2.0, -3.0]), 0.0
    for k in range(1500):
        v = 0.5 * v - 0.25 * (w + 0.5 * v - 1)
        w = w + v
        np.testing.assert_allclose(path[k + 1], w, rtol=1e-12)
    t = lab.descend(SGD(lambda step: step), lambda w: -np.ones_like(w), 0.0, 2500)
    assert np.diff(t, axis=0).ravel().tolist() == list(range(2500))


def test_divergence_says_where_and_keeps_the_path():
    with pytest.raises(lab.DivergedError, match=r"diverged at step 3: the gradient at") as caught:
        lab.descend(SGD(1.0), lambda w: w * np.where(abs(w) > 7, np.nan, -1), 1.0, 9)
    assert caught.value.step == 3
    assert caught.value.path.ravel().tolist() == [1, 2, 4, 8]
    with pytest.raises(FloatingPointError, match="the step from"):
        lab.descend(SGD(1e300), lambda w: w * 1e300, 1.0, 9)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: lab.descend("sgd", bowl, 2.0, -1), ValueError, "steps must be at least 0"),
        (lambda: lab.descend("sgd", bowl, 2.0, 1.5), TypeError, "steps must be an int, got 1.5"),
        (lambda: lab.descend("sgd", bowl, [[2.0]], 1), ValueError, "start must be a number or"),
        (lambda: lab.descend("sgd", bowl, ["a"], 1), ValueError, "start must be a number or"),
        (lambda: lab.descend("sgd", bowl, float("nan"), 1), ValueError, "start must be finite"),
        (lambda: lab.descend("sgd", bowl, [1.0, 2.0], 1, 0), ValueError, "epoch_steps must be"),
        (lambda: lab.descend("sdg", bowl, 2.0, 1), ValueError, 'did you mean "sgd"'),
        (lambda: lab.descend("sgd", lambda w: w[:1], [1.0, 2.0], 1), ValueError, "must return"),
        (lambda: lab.descend("sgd", bowl, 1.0, 1, precision="f64"), ValueError, "float64"),
        (lambda: lab.behaviour([[1.0], [2.0]]), ValueError, "steps >= 2"),
        (lambda: lab.least_squares([1.0, 2.0], [1.0, 2.0]), ValueError, r"X must be \(N, n\)"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def batch(loss, random):
    return random.standard_normal((7, 5)), cases.LOSSES[loss].draw(random, 7, 3)


@pytest.mark.parametrize("loss", ["mse", "huber", "cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu", "silu", "relu"])
def test_check_gradients_of_dense_networks(loss, activation):
    X, y = batch(loss, np.random.default_rng(4))
    net = steep.Sequential(
        layers.Dense(6, activation), layers.Dense(4, activation), layers.Dense(3)
    )
    net.build((5,), seed=2)
    before = {name: w.tobytes() for name, w in net.state_dict().items()}
    assert lab.check_gradients(net, X, y, loss, l2=0.1, entries=None) < 1e-7
    assert {name: w.tobytes() for name, w in net.state_dict().items()} == before


def test_check_gradients_steps_aside_from_a_kink():
    net = steep.Sequential(layers.Dense(3, "relu"), layers.Dense(1))
    net.build((2,), seed=1)
    X, y = np.zeros((4, 2)), np.ones((4, 1))  # every unit stands at exactly 0
    assert lab.check_gradients(net, X, y, "mse") < 1e-7


def test_check_gradients_sees_wrong_gradients(monkeypatch):
    right = steep.Trainer.gradients

    def wrong(self, X, y, **rest):
        loss, gradients = right(self, X, y, **rest)
        gradients["dense_1.weight"] = gradients["dense_1.weight"] * (1 + 1e-6)
        return loss, gradients

    X, y = batch("mse", np.random.default_rng(4))
    net = steep.Sequential(layers.Dense(6, "tanh"), layers.Dense(3))
    names = list(net.build((5,)).state_dict())
    monkeypatch.setattr(steep.Trainer, "gradients", wrong)
    errors = lab.gradient_errors(net, X, y, "mse")
    assert list(errors) == names
    assert errors.pop("dense_1.weight") == pytest.approx(1e-6, rel=0.1)
    assert max(errors.values()) < 1e-8
