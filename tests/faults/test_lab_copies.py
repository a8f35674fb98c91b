"""Looking changes nothing, and what a worker process raises arrives whole."""

import copy
import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest
import steep
from steep import lab, layers

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
Y = np.arange(12) % 3


def nets():
    x = steep.Input((4,))
    inner = steep.Sequential(layers.Dense(5, "tanh"), layers.BatchNorm())
    return {
        "sequential": steep.Sequential(
            layers.Dense(5, "relu"), layers.Dropout(0.3), layers.Dense(3)
        ),
        "nested": steep.Sequential(inner, layers.Dense(3)),
        "model": steep.Model(x, layers.Dense(3)(layers.Dense(5, "elu")(x) + layers.Dense(5)(x))),
    }


LOOKS = {
    "check_gradients": lambda net: lab.check_gradients(net, X, Y, "cross_entropy"),
    "gradient_errors": lambda net: lab.gradient_errors(net, X, Y, "cross_entropy", entries=2),
    "gradient_flow": lambda net: lab.gradient_flow(net, X, Y, "cross_entropy"),
}


def everything(trainer):
    weights = {name: value.tobytes() for name, value in trainer.net.state_dict().items()}
    return (
        weights,
        trainer.net.predict(X).tobytes(),
        trainer.evaluate(X, Y),
        trainer.history.history,
    )


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", ["sequential", "nested", "model"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_f3_training_goes_on_after_a_look_as_without_it(look, kind, precision):
    found = []
    for looks in (False, True):
        net = nets()[kind]
        trainer = steep.Trainer(net, "cross_entropy", "adam", seed=2, precision=precision)
        trainer.fit(X, Y, epochs=2, batch_size=5, progress=False)
        native, before = net._native, net.predict(X)
        if looks:
            LOOKS[look](net)
            assert net._native is native
            assert native.precision == precision
            np.testing.assert_array_equal(net.predict(X), before)
        trainer.fit(X, Y, epochs=2, batch_size=5, progress=False)
        if looks:
            assert not np.array_equal(net.predict(X), before), "the training did not arrive"
        weights, predicted, measured, history = everything(trainer)
        history = {name: values for name, values in history.items() if name != "seconds"}
        found.append((weights, predicted, measured, history))
    assert found[0] == found[1]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", ["sequential", "nested", "model"])
def test_f3_a_network_that_is_not_built_stays_so(look, kind):
    net = nets()[kind]
    LOOKS[look](net)
    assert not net.built
    assert kind != "nested" or not net.layers[0].built
    LOOKS[look](net.build(4, seed=5))
    again = nets()[kind].build(4, seed=5)
    for name, value in again.state_dict().items():
        np.testing.assert_array_equal(net.state_dict()[name], value)


def test_f3_a_look_that_fails_changes_nothing_either():
    net = nets()["sequential"].build(4, seed=1)
    native, before = net._native, net.state_dict()
    with pytest.raises(ValueError, match="y has 11"):
        lab.check_gradients(net, X, Y[:11], "cross_entropy")
    with pytest.raises(ValueError, match="entries must be at least 1, got 0"):
        lab.check_gradients(net, X, Y, "cross_entropy", entries=0)
    assert net._native is native
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def diverged():
    try:
        lab.descend("sgd", lambda w: np.where(abs(w) > 0, np.nan, w), [1.0, 2.0], 3)
    except lab.DivergedError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_f31_a_divergence_pickles_with_its_path(protocol):
    error = diverged()
    for back in (pickle.loads(pickle.dumps(error, protocol)), copy.deepcopy(error)):
        assert type(back) is lab.DivergedError
        assert isinstance(back, FloatingPointError)
        assert (str(back), back.step) == (str(error), error.step)
        np.testing.assert_array_equal(back.path, error.path)


POOL = """
import multiprocessing
import numpy as np
from steep import lab

def work(start):
    lab.descend("sgd", lambda w: w * np.nan, start, 3)

if __name__ == "__main__":
    with multiprocessing.get_context({method!r}).Pool(1) as pool:
        try:
            pool.apply_async(work, (2.0,)).get(30)
        except lab.DivergedError as error:
            print(error.step, error.path.tolist(), error)
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_f31_a_divergence_arrives_from_a_worker_process(method, tmp_path):
    script = tmp_path / "script.py"  # workers that are spawned import it
    script.write_text(POOL.format(method=method))
    try:
        done = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, check=False, timeout=60
        )
    except subprocess.TimeoutExpired:
        pytest.fail("the pool hangs")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0 [[2.0]] descend: diverged at step 0: the gradient at")


def test_minimize_may_stop_at_once():
    for steps in (0, 1, 2):
        found = lab.minimize("sgd", lambda w: w, [1.0], max_steps=steps)
        assert (found.steps, found.reason, len(found.path)) == (steps, "max_steps", steps + 1)
