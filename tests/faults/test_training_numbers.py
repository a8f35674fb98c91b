"""Numbers of a training: means, weights of samples, limits, last batches. Rows F10 to F18, F47."""

import numpy as np
import pytest
import steep
from quick import X, Y, bytes_of, fit, trainer
from steep import callbacks, layers, optimizers, schedules


@pytest.mark.parametrize("shuffle", [True, False])
def test_f10_accuracy_is_one_quantity(shuffle):
    weights = np.random.default_rng(1).uniform(0, 3, len(X))
    weights[::7] = 0
    t = trainer(optimizers.SGD(0.0))
    fit(t, sample_weight=weights, shuffle=shuffle)
    found = t.evaluate(X, Y, sample_weight=weights)
    right = t.net.predict(X).argmax(axis=1) == Y
    assert found["accuracy"] == pytest.approx((weights * right).sum() / weights.sum(), rel=1e-12)
    assert t.history.history["accuracy"][0] == pytest.approx(found["accuracy"], rel=1e-12)
    assert t.history.history["loss"][0] == pytest.approx(found["loss"], rel=1e-6)


def test_f10_class_weights_are_sample_weights():
    each = {0: 0.5, 2: 3.0}
    weights = np.array([0.5, 1.0, 3.0])[Y]
    left = fit(trainer("adam"), class_weight=each, epochs=2)
    right = fit(trainer("adam"), sample_weight=weights, epochs=2)
    assert bytes_of(left) == bytes_of(right) == bytes_of(
        fit(trainer("adam"), class_weight=np.array([0.5, 1.0, 3.0]), epochs=2)
    )  # fmt: skip
    counts = np.bincount(Y)
    balanced = (len(Y) / (3 * counts))[Y]
    left = fit(trainer("adam"), class_weight="balanced", sample_weight=weights)
    assert bytes_of(left) == bytes_of(fit(trainer("adam"), sample_weight=weights * balanced))
    for wrong in ({3: 1.0}, {0: -1.0}, {0: np.nan}, "even", [1.0, 2.0], {"0": 1.0}):
        t = trainer()
        with pytest.raises(ValueError, match="class_weight"):
            fit(t, class_weight=wrong)
        assert not t.net.built
    with pytest.raises(ValueError, match="class_weight: needs a class"):
        trainer(loss="mse").fit(X, np.eye(3)[Y], class_weight="balanced", progress=False)


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_f13_a_loss_that_is_climbed_leaves_penalties_to_decay(rule):
    torch = pytest.importorskip("torch")
    kind = {"sgd": (optimizers.SGD, torch.optim.SGD), "adam": (optimizers.Adam, torch.optim.Adam)}
    ours, theirs = kind[rule]
    of = steep.Sequential(layers.Dense(3)).build(6, seed=5)
    twin = torch.nn.Linear(6, 3).double()
    start = of.state_dict()
    with torch.no_grad():
        twin.weight.copy_(torch.tensor(start["dense.weight"].T))
        twin.bias.copy_(torch.tensor(start["dense.bias"]))
    t = trainer(
        ours(0.05, maximize=True), of=of, loss="mse", l2=0.3, decay_bias=True, precision="float64"
    )  # fmt: skip
    step = theirs(twin.parameters(), lr=0.05, maximize=True, weight_decay=0.3)
    goal = np.eye(3)[Y]
    x, g = torch.tensor(X).double(), torch.tensor(goal)
    for _ in range(4):
        t.step(X.astype(np.float64), goal)
        step.zero_grad()
        torch.nn.functional.mse_loss(twin(x), g).backward()
        step.step()
    np.testing.assert_allclose(
        of.state_dict()["dense.weight"], twin.weight.detach().numpy().T, rtol=1e-10
    )
    loss = t.evaluate(X, goal)["loss"]
    penalty = 0.15 * sum((w**2).sum() for w in of.state_dict().values())
    assert t.gradients(X, goal)[0] == pytest.approx(loss - penalty, rel=1e-9)


@pytest.mark.parametrize(
    ("precision", "size"),
    [("float32", 1e38), ("float32", 1e20), ("float64", 1e200), ("float64", 1e300)],
)
@pytest.mark.parametrize("limit", [1.0, 1e-3])
def test_f16_a_clipped_step_has_the_length_of_the_limit(precision, size, limit):
    """L = (size*w - t) of mae: the gradient of w is size, whatever w."""
    of = steep.Sequential(layers.Dense(1, use_bias=False, init=0.0)).build(1)
    t = trainer(optimizers.SGD(1.0), of=of, loss="mae", clip_norm=limit, precision=precision)
    t.step(np.array([[size]], precision), np.array([[-1.0]]))
    assert of.state_dict()["dense.weight"].item() == pytest.approx(-limit, rel=1e-6)


@pytest.mark.parametrize("limit", [1e-39, 1e-42, 1e-300])
@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
def test_f16_a_tiny_limit_is_a_limit(name, limit):
    of = steep.Sequential(layers.Dense(1, use_bias=False, init=0.0)).build(1)
    t = trainer(optimizers.SGD(1.0), of=of, loss="mae", **{name: limit})
    t.step(np.ones((1, 1)), np.array([[-1.0]]))
    assert 0 <= -of.state_dict()["dense.weight"].item() <= 1.2e-38


def test_f16_a_limit_that_a_schedule_brings_to_0_lets_nothing_pass():
    for name in ("clip_norm", "clip_value"):
        t = trainer(optimizers.SGD(0.1), **{name: schedules.Linear(0.5, 0.0, 6)})
        fit(t, epochs=1)
        before = bytes_of(t)
        fit(t, epochs=2)
        assert bytes_of(t) == before, name


def test_f14_statistics_beyond_the_format_are_a_fault_by_name(tmp_path):
    of = steep.Sequential(layers.BatchNorm(name="norm"), layers.Dense(3))
    t = trainer(of=of)
    with pytest.raises(steep.NonFiniteError, match="norm") as caught:
        t.fit(X * np.float32(1e20), Y, batch_size=32, progress=False)
    assert caught.value.step == 1
    t.save(tmp_path / "t")
    assert all(np.isfinite(v).all() for v in of.state_dict().values())
    again = steep.Trainer.load(tmp_path / "t")
    fit(again)


def test_f18_a_last_batch_of_one_sample_is_told_and_may_be_dropped():
    of = lambda: steep.Sequential(layers.Dense(4), layers.BatchNorm(), layers.Dense(3))  # noqa: E731
    with pytest.warns(UserWarning, match="1 sample.*drop_last=True"):
        trainer(of=of()).fit(X[:33], Y[:33], batch_size=32, progress=False)
    t = trainer(of=of())
    t.fit(X[:33], Y[:33], epochs=3, batch_size=32, drop_last=True, progress=False)
    assert t.steps == 3
    with pytest.warns(UserWarning, match="1 sample"):
        t.step(X[:1], Y[:1])
    with pytest.raises(ValueError, match="drop_last=True leaves nothing"):
        trainer(of=of()).fit(X[:31], Y[:31], batch_size=32, drop_last=True, progress=False)


def test_f18_dropping_the_last_batch_leaves_the_others_as_they_are():
    t = trainer("adam")
    t.fit(X[:90], Y[:90], epochs=2, batch_size=16, shuffle=False, drop_last=True, progress=False)
    u = trainer("adam")
    u.fit(X[:80], Y[:80], epochs=2, batch_size=16, shuffle=False, progress=False)
    assert bytes_of(t) == bytes_of(u)
    assert t.history.history["loss"] == u.history.history["loss"]


@pytest.mark.parametrize("rule", ["adagrad", "rmsprop", "adam", "amsgrad", "nadam", "adadelta"])
@pytest.mark.parametrize("way", ["fit", "save", "callback"])
def test_f47_a_state_that_is_not_finite_is_a_fault_by_name(rule, way, tmp_path):
    """One finite gradient of 6e19: its square is beyond float32, the weight would stand still."""
    wide = X.copy()
    wide[40, 2] = 1e21
    t = trainer(rule, of=steep.Sequential(layers.Dense(1, init=1e-3)), loss="mae")
    run = lambda *called, **more: t.fit(  # noqa: E731
        wide, np.zeros(96), batch_size=16, shuffle=False, progress=False, callbacks=called, **more
    )
    with pytest.raises(steep.NonFiniteError, match=r"state.*dense.weight") as caught:
        if way == "fit":
            run(epochs=2)
        elif way == "callback":
            run(callbacks.Checkpoint(tmp_path / "c"), epochs=2)
        else:
            for k in range(4):
                t.step(wide[16 * k : 16 * k + 16], np.zeros(16))
            t.save(tmp_path / "t")
    assert caught.value.step == 3
    assert t.steps == len(t.history.steps["loss"]) == 2
    want = trainer(rule, of=steep.Sequential(layers.Dense(1, init=1e-3)), loss="mae")
    for k in range(2):
        want.step(wide[16 * k : 16 * k + 16], np.zeros(16))
    assert bytes_of(t) == bytes_of(want)
    t.save(tmp_path / "t")
    steep.Trainer.load(tmp_path / "t")
