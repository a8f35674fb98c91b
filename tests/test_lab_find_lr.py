"""The rate range test: what it runs, where it stops, what it suggests, and that nothing changes."""

import math

import numpy as np
import pytest
import steep
from steep import callbacks, lab, layers, optimizers, schedules

RANDOM = np.random.default_rng(5)
X = RANDOM.standard_normal((400, 6)).astype(np.float32)
Y = (X @ RANDOM.standard_normal((6, 3))).argmax(1)


def trainer(optimizer="adam", built=True, **options):
    net = steep.Sequential(layers.Dense(16, "relu"), layers.Dropout(0.1), layers.Dense(3))
    if built:
        net.build((6,), seed=1)
    return steep.Trainer(net, "cross_entropy", optimizer, **options)


@pytest.mark.parametrize("trained", [0, 3])
@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_the_trainer_is_as_before(name, trained, tmp_path):
    made = trainer(name, average="ema")
    if trained:
        made.fit(X, Y, epochs=trained, batch_size=50, progress=False)
    made.save(tmp_path / "before")
    lab.find_lr(made, X, Y, steps=30)
    made.save(tmp_path / "after")
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()
    other = trainer(name, average="ema")
    for one in (made, other):
        one.fit(X, Y, epochs=2 + (0 if one is made else trained), batch_size=50, progress=False)
    for key, value in other.net.state_dict().items():
        assert value.tobytes() == made.net.state_dict()[key].tobytes()


def test_a_network_that_is_not_built_stays_so():
    made = trainer(built=False)
    found = lab.find_lr(made, X, Y, steps=20)
    assert not made.net.built
    assert len(found.lr) == 20


def test_within_a_fit_of_a_callback():
    """The copy stands in the middle of a fit, in which its trainer goes on undisturbed."""
    suggested = []

    class Look:
        def on_epoch_end(self, trainer):
            suggested.append(lab.find_lr(trainer, X, Y, steps=20).suggestion)

    looked, plain = trainer(), trainer()
    looked.fit(X, Y, epochs=2, callbacks=[Look()], progress=False)
    plain.fit(X, Y, epochs=2, progress=False)
    assert len(suggested) == 2
    for key, value in plain.net.state_dict().items():
        assert value.tobytes() == looked.net.state_dict()[key].tobytes()


def test_the_steps_are_those_of_a_trainer_whose_rate_grows():
    found = lab.find_lr(
        trainer("sgd"), X, Y, lowest=1e-4, highest=0.1, steps=40, batch_size=100, smoothing=0.0
    )
    np.testing.assert_allclose(found.lr, np.geomspace(1e-4, 0.1, 40), rtol=1e-15)
    same = trainer(optimizers.SGD(list(found.lr)))
    same.fit(X, Y, epochs=10, batch_size=100, progress=False)
    assert found.loss.tolist() == same.history.steps["loss"]
    assert not found.diverged


def bowl():
    """Return a trainer of w = 0 whose loss is (w - 2)^2 + 1: each step takes 1 - 2 lr of w - 2."""
    net = steep.Sequential(layers.Dense(1, use_bias=False, init="zeros"))
    return steep.Trainer(net, "mse", "sgd"), np.ones((8, 1)), np.array([[1.0], [3.0]] * 4)


def test_losses_and_suggestion_of_a_bowl():
    made, ones, twos = bowl()
    found = lab.find_lr(
        made, ones, twos, lowest=0.04, highest=80.0, steps=24, smoothing=0.0, batch_size=8
    )
    errors = 2 * np.cumprod(np.concatenate([[1.0], 1 - 2 * found.lr[:-1]]))
    np.testing.assert_allclose(found.loss, errors**2 + 1, rtol=1e-3)
    assert found.diverged
    assert len(found.lr) < 24
    assert 0.04 < found.suggestion < 0.5
    assert f"suggested rate {found.suggestion:.3g}; the sweep diverged at" in str(found)


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "momentum"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_suggestion_trains(name, seed):
    made = trainer(name, seed=seed)
    before = made.evaluate(X, Y)["loss"]
    made.lr = lab.find_lr(made, X, Y).suggestion
    made.fit(X, Y, epochs=5, progress=False)
    assert made.evaluate(X, Y)["loss"] < 0.6 * before


def test_groups_keep_their_proportions():
    groups = {"dense": {"lr": 0.01}}
    made = trainer(optimizers.SGD(0.1), groups=groups)
    found = lab.find_lr(made, X, Y, lowest=1e-3, highest=0.1, steps=12, batch_size=100)
    same = trainer(
        optimizers.SGD(list(found.lr)), groups={"dense": {"lr": [0.1 * r for r in found.lr]}}
    )
    same.fit(X, Y, epochs=3, batch_size=100, progress=False)
    np.testing.assert_allclose(found.loss, same.history.steps["loss"], rtol=1e-5)


def test_a_rate_that_follows_a_schedule_is_swept_too():
    made = trainer(optimizers.SGD(schedules.Cosine(0.1, 100)))
    assert lab.find_lr(made, X, Y, steps=15).loss.shape == (15,)
    assert made.lr == schedules.Cosine(0.1, 100)


def test_where_nothing_falls_there_is_no_suggestion():
    net = steep.Sequential(layers.Dense(1, use_bias=False, init="zeros"))
    flat = steep.Trainer(net, "mse", "sgd")
    found = lab.find_lr(flat, np.zeros((8, 1)), np.ones((8, 1)), steps=20)
    assert math.isnan(found.suggestion)
    assert found.plot().axes[0].get_xscale() == "log"


def without(given, name):
    return {key: value for key, value in given.items() if key != name}


REFUSED = {
    "no rate": ({"made": trainer("lbfgs")}, "has no learning rate that a sweep sets"),
    "ends": ({"lowest": 1.0, "highest": 0.1}, "highest must be"),
    "steps": ({"steps": 3}, "steps must be"),
    "epochs": ({"epochs": 3}, "epochs has no meaning in a sweep of 100 steps"),
    "callbacks": ({"callbacks": [callbacks.EarlyStopping("loss")]}, "callbacks has no meaning"),
    "fit": ({"bath": 3}, "unknown argument of find_lr or fit"),
    "too high": ({"lowest": 1e38, "highest": 1e39}, "not one step could be done"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_arguments_are_refused(case):
    given, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        lab.find_lr(given.get("made", trainer("sgd")), X, Y, **without(given, "made"))


def test_the_picture_shows_the_curve():
    pytest.importorskip("matplotlib")
    found = lab.find_lr(trainer(), X, Y)
    (axes,) = found.plot().axes
    each, smoothed, line = axes.lines
    assert each.get_ydata().tolist() == found.loss.tolist()
    assert smoothed.get_ydata().tolist() == found.smoothed.tolist()
    assert line.get_xdata()[0] == found.suggestion
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning rate", "loss of the batch")
