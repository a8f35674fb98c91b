"""Training: losses and gradients against NumPy, histories, counters, threads, Ctrl-C, faults."""

import os
import signal
import threading
import time
import types

import numpy as np
import pytest
import steep
from steep import layers, optimizers, schedules

RNG = np.random.default_rng(2)


def mlp(hidden=16, classes=5):
    return steep.Sequential(layers.Dense(hidden, "relu"), layers.Dense(classes))


def trainer(net=None, optimizer=None, loss="cross_entropy", **options):
    return steep.Trainer(net or mlp(), loss, optimizer or optimizers.Adam(1e-2), **options)


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a)


def test_fit_learns(small):
    X, y = small
    t = trainer(optimizer="adam")
    t.fit(X, y, epochs=60, batch_size=16, progress=False)
    assert t.evaluate(X, y)["accuracy"] > 0.95


def test_regression_learns():
    X = np.linspace(-3, 3, 400)[:, None]
    net = steep.Sequential(layers.Dense(32, "tanh"), layers.Dense(1))
    t = trainer(net, loss="mse")
    h = t.fit(X, np.sin(X[:, 0]), epochs=200, batch_size=32, progress=False)
    assert t.evaluate(X, np.sin(X))["loss"] < 1e-2
    assert list(h.history) == ["loss", "lr", "seconds"]


def test_binary_classification_learns():
    X = RNG.normal(size=(400, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    net = steep.Sequential(layers.Dense(16, "relu"), layers.Dense(1))
    t = trainer(net, loss="binary_cross_entropy")
    t.fit(X, y, epochs=100, progress=False)
    assert t.evaluate(X, y[:, None])["accuracy"] > 0.95


def test_history_is_the_mean_over_samples(small):
    X, y = small
    for reduction in ("mean", "sum"):
        t = trainer(reduction=reduction, optimizer=optimizers.SGD(0.0))
        h = t.fit(X, y, epochs=2, batch_size=64, validation=(X, y), progress=False)
        assert list(h.history) == ["loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
        assert [len(v) for v in h.history.values()] == [2] * 6
        np.testing.assert_allclose(h.history["loss"], h.history["val_loss"], rtol=1e-6)
        np.testing.assert_allclose(h.history["accuracy"], h.history["val_accuracy"])
        assert len(h.steps["loss"]) == 2 * 5
        sizes = np.array([64] * 4 + [44])
        steps = np.array(h.steps["loss"][:5])
        total = steps.sum() if reduction == "sum" else (steps * sizes).sum()
        np.testing.assert_allclose(h.history["loss"][0], total / 300, rtol=1e-12)


def test_calling_fit_again_goes_on(small):
    X, y = small
    once, twice = trainer(), trainer()
    once.fit(X, y, epochs=5, progress=False)
    twice.fit(X, y, epochs=2, progress=False)
    assert (twice.epoch, twice.steps) == (2, 20)
    history = twice.fit(X, y, epochs=3, progress=False)
    assert same(once.net.state_dict(), twice.net.state_dict())
    assert (twice.epoch, twice.steps, len(history)) == (5, 50, 5)
    assert history.history["loss"] == once.history.history["loss"]
    with pytest.raises(AttributeError):
        once.epoch = 3


def test_batch_gradient_descent_is_one_numpy_step(small):
    X, y = small
    net = steep.Sequential(layers.Dense(5)).build(20, seed=1)
    before = net.state_dict()
    t = trainer(net, optimizers.SGD(0.5), precision="float64")
    h = t.fit(X, y, batch_size=len(X), shuffle=False, progress=False)
    z = X.astype(np.float64) @ before["dense.weight"] + before["dense.bias"]
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(300), y]).mean()
    p[np.arange(300), y] -= 1
    want = before["dense.weight"] - 0.5 * X.astype(np.float64).T @ p / 300
    np.testing.assert_allclose(h.steps["loss"], [loss], rtol=1e-12)
    np.testing.assert_allclose(net.state_dict()["dense.weight"], want, rtol=1e-10)


def test_stochastic_descent_takes_one_sample_a_step(small):
    X, y = small
    t = trainer()
    h = t.fit(X[:30], y[:30], batch_size=1, epochs=2, progress=False)
    assert t.steps == len(h.steps["loss"]) == 60


def test_sum_at_lr_over_batch_is_mean_at_lr(small):
    X, y = small
    a = trainer(optimizer=optimizers.SGD(0.1), precision="float64")
    b = trainer(optimizer=optimizers.SGD(0.1 / 30), reduction="sum", precision="float64")
    for t in (a, b):
        t.fit(X, y, batch_size=30, epochs=3, progress=False)
    for name, value in a.net.state_dict().items():
        np.testing.assert_allclose(value, b.net.state_dict()[name], rtol=1e-9, atol=1e-12)


def test_step_is_what_fit_does(small):
    X, y = small
    a, b = trainer(), trainer()
    a.fit(X, y, batch_size=100, shuffle=False, progress=False)
    losses = [b.step(X[k : k + 100], y[k : k + 100]) for k in (0, 100, 200)]
    assert losses == a.history.steps["loss"] == b.history.steps["loss"]
    assert same(a.net.state_dict(), b.net.state_dict())
    assert (b.steps, b.epoch) == (3, 0)


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_schedules_are_those_of_each_step_whatever_was_called_before(small, unit):
    """Tables of knobs reach ahead: other batches, single steps and ended epochs want new ones."""
    X, y = small
    stop = types.SimpleNamespace(on_step_end=lambda step: "stop" if step == 4 else None)
    weights, rates = [], []
    for fresh in (False, True):
        made = trainer(optimizer=optimizers.SGD(schedules.Exponential(0.1, 0.9, unit=unit), 0.5))

        def call(method, *given, made=made, fresh=fresh, **more):
            if fresh:
                made._run.knobs = type(made._run.knobs)(made._run.settings)
            method(*given, **more)

        call(made.fit, X, y, epochs=3, batch_size=100, callbacks=[stop], progress=False)
        call(made.fit, X[:280], y[:280], epochs=2, batch_size=100, progress=False)
        call(made.step, X[:40], y[:40])
        call(made.fit, X, y, epochs=2, batch_size=70, progress=False)
        for k in range(3):
            call(made.step, X[k : k + 30], y[k : k + 30])
        made.lr = schedules.Exponential(0.2, 0.8, unit=unit)
        call(made.step, X[:40], y[:40])
        call(made.fit, X, y, epochs=1, batch_size=50, progress=False)
        weights.append(made.net.state_dict())
        rates.append(made.history.history["lr"])
    assert rates[0] == rates[1]
    assert same(*weights)


def test_gradients_are_central_differences(small):
    X, y = small[0][:40], small[1][:40]
    t = trainer(mlp(6), precision="float64", l1=1e-3, l2=1e-2)
    loss, found = t.gradients(X, y)
    state = t.net.state_dict()
    assert list(found) == list(state)

    def objective(changed):
        t.net.load_state_dict(changed)
        return t.gradients(X, y)[0]

    assert objective(state) == loss
    for name, value in state.items():
        assert found[name].shape == value.shape
        for k in range(0, value.size, max(1, value.size // 6)):
            delta = np.zeros(value.size)
            delta[k] = 1e-6
            delta = delta.reshape(value.shape)
            up = objective(state | {name: value + delta})
            down = objective(state | {name: value - delta})
            np.testing.assert_allclose((up - down) / 2e-6, found[name].flat[k], atol=1e-7)
    assert t.steps == 0


def test_penalties_leave_biases_alone_unless_asked(small):
    X, y = small
    plain = trainer().gradients(X, y)[1]
    for decay_bias in (False, True):
        t = trainer(l2=0.5, decay_bias=decay_bias)
        t.net.build(20)
        state = {n: v + 0.25 if n.endswith("bias") else v for n, v in t.net.state_dict().items()}
        t.net.load_state_dict(state)
        reference = trainer()
        reference.net.build(20)
        reference.net.load_state_dict(state)
        plain = reference.gradients(X, y)[1]
        for name, g in t.gradients(X, y)[1].items():
            decayed = decay_bias or name.endswith("weight")
            want = plain[name] + (0.5 * state[name] if decayed else 0)
            np.testing.assert_allclose(g, want, rtol=1e-5, atol=1e-6)


def test_sample_weights(small):
    X, y = small
    w = RNG.uniform(0, 2, size=300)
    t, keep = trainer(), np.arange(300) < 100
    t.fit(X, y, epochs=1, batch_size=300, sample_weight=keep * 3.0, shuffle=False, progress=False)
    u = trainer()
    u.fit(X[:100], y[:100], epochs=1, batch_size=100, shuffle=False, progress=False)
    np.testing.assert_allclose(t.history.steps["loss"], u.history.steps["loss"], rtol=1e-6)
    for name, value in t.net.state_dict().items():
        np.testing.assert_allclose(value, u.net.state_dict()[name], rtol=1e-3, atol=1e-5)
    whole = t.evaluate(X, y, sample_weight=w)
    each = [t.evaluate(X[k : k + 1], y[k : k + 1])["loss"] for k in range(300)]
    np.testing.assert_allclose(whole["loss"], np.dot(each, w) / 300, rtol=1e-6)


def test_targets_of_every_kind_agree(small):
    X, y = small
    onehot = np.eye(5)[y]
    runs = []
    for target in (y, y.astype(np.int8), y.astype(float), y[:, None], y.tolist(), onehot):
        t = trainer()
        t.fit(X, target, progress=False)
        runs.append(t.net.state_dict())
    for other in runs[1:]:
        for name, value in runs[0].items():
            np.testing.assert_allclose(value, other[name], rtol=1e-4, atol=1e-6)


def test_same_bytes_for_any_number_of_threads(threads, small):
    X, y = np.tile(small[0], (4, 30)), np.tile(small[1], 4)
    net = steep.Sequential(layers.Dense(256, "relu"), layers.Dropout(0.3), layers.Dense(5))
    t = trainer(net, clip_norm=1.0, l2=1e-4, seed=7)
    t.fit(X, y, epochs=10, batch_size=128, progress=False)
    assert t.steps == 100
    reference = test_same_bytes_for_any_number_of_threads.__dict__.setdefault(
        "reference", t.net.state_dict()
    )
    assert same(reference, t.net.state_dict())


def test_results_do_not_depend_on_how_runs_are_cut(small, monkeypatch):
    X, y = small
    whole = trainer(optimizer=optimizers.SGD(0.1, 0.9, True))
    whole.fit(X, y, epochs=4, progress=False)
    monkeypatch.setattr("steep.training.loop.BUDGET", 0.0)
    monkeypatch.setattr("steep.training.knobs.ROWS", 7)
    cut = trainer(optimizer=optimizers.SGD(0.1, 0.9, True))
    cut.fit(X, y, epochs=4, progress=False)
    assert same(whole.net.state_dict(), cut.net.state_dict())
    assert whole.history.history["loss"] == cut.history.history["loss"]


def test_lr_in_the_history_is_that_of_the_last_step(small):
    X, y = small
    t = trainer(optimizer=optimizers.SGD(lambda step: 1.0 / (1 + step)))
    h = t.fit(X, y, epochs=2, batch_size=100, progress=False)
    assert h.history["lr"] == [1 / 3, 1 / 6]
    t = trainer(optimizer=optimizers.SGD(schedules.Piecewise([0, 1], [0.5, 0.25], unit="epoch")))
    assert t.fit(X, y, epochs=2, progress=False).history["lr"] == [0.5, 0.25]


def test_scheduled_penalty(small):
    X, y = small
    on = trainer(l2=schedules.Piecewise([0, 5], [0.3, 0.0]))
    off = trainer(l2=0.0)
    for t in (on, off):
        t.fit(X, y, progress=False)
    assert not same(on.net.state_dict(), off.net.state_dict())
    with pytest.raises(ValueError, match=r"l2 must be at least 0.*step 3"):
        trainer(l2=schedules.Linear(0.3, -0.1, 4)).fit(X, y, progress=False)


def test_uint8_images_through_flatten_and_rescale():
    X = RNG.integers(0, 256, size=(64, 6, 5), dtype=np.uint8)
    y = (X[:, 0, 0] > 127).astype(int)
    tail = [layers.Flatten(), layers.Dense(8, "relu"), layers.Dense(2)]
    a = trainer(steep.Sequential(layers.Rescale(1 / 255), *tail))
    a.fit(X, y, epochs=3, progress=False)
    b = trainer(steep.Sequential(*tail))
    b.fit(X.astype(np.float32) * np.float32(1 / 255), y, epochs=3, progress=False)
    for name, value in a.net.state_dict().items():
        np.testing.assert_allclose(value, b.net.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_two_inputs(small):
    X, y = small
    a, b = steep.Input(12), steep.Input(8)
    joined = steep.ops.concat([a, b])
    t = trainer(steep.Model([a, b], layers.Dense(5)(joined)))
    u = trainer(steep.Sequential(layers.Dense(5)))
    t.fit([X[:, :12], X[:, 12:]], y, epochs=2, progress=False)
    u.fit(X, y, epochs=2, progress=False)
    assert same(t.net.state_dict(), u.net.state_dict())


def test_a_non_finite_loss_stops_and_keeps_the_last_good_weights(small):
    X, y = small[0].copy(), small[1]
    good = trainer()
    good.fit(X[:200], y[:200], batch_size=100, shuffle=False, progress=False)
    X[250] = 3e38  # the layer overflows in the third batch
    bad = trainer(steep.Sequential(layers.Dense(16, "relu", name="fc1"), layers.Dense(5)))
    with pytest.raises(steep.NonFiniteError, match=r"step 3 \(epoch 1\): the loss.*fc1") as caught:
        bad.fit(X, y, batch_size=100, shuffle=False, epochs=5, progress=False)
    error = caught.value
    assert isinstance(error, FloatingPointError)
    assert (error.step, error.epoch, error.what) == (3, 1, "loss")
    assert "fc1" in error.where
    for want, got in zip(
        good.net.state_dict().values(), bad.net.state_dict().values(), strict=True
    ):
        assert np.array_equal(want, got)
    assert (bad.steps, bad.epoch, len(bad.history.steps["loss"])) == (2, 0, 2)
    assert bad.history.steps == good.history.steps
    assert np.isfinite(bad.evaluate(X[:200], y[:200])["loss"])
    bad.fit(X[:200], y[:200], batch_size=100, epochs=1, shuffle=False, progress=False)


def test_divergence_is_noticed_and_leaves_finite_weights(small):
    X = small[0]
    t = trainer(loss="mse", net=mlp(classes=1), optimizer=optimizers.SGD(1e6))
    with pytest.raises(steep.NonFiniteError) as caught:
        t.fit(X, X[:, 0], epochs=100, progress=False)
    assert caught.value.step == t.steps + 1
    assert caught.value.epoch == t.epoch + 1
    assert all(np.isfinite(v).all() for v in t.net.state_dict().values())
    assert len(t.history.steps["loss"]) == t.steps
    assert np.isfinite(t.history.steps["loss"]).all()


def test_a_fault_in_step_is_named_and_undone(small):
    X, y = small
    t = trainer(steep.Sequential(layers.Dense(4, name="fc1"), layers.Dense(5)))
    t.step(X, y)
    before = t.net.state_dict()
    huge = np.full_like(X, 3e38)
    with pytest.raises(steep.NonFiniteError, match="fc1"):
        t.step(huge, y)
    assert same(before, t.net.state_dict())
    assert t.steps == 1
    t.step(X, y)


@pytest.mark.parametrize("seconds", [0.15, 0.4])
def test_ctrl_c_returns_soon_and_leaves_everything_usable(seconds):
    X = RNG.normal(size=(4096, 128)).astype(np.float32)
    y = RNG.integers(0, 10, 4096)
    t = trainer(mlp(64, 10))
    pressed = []

    def press():
        pressed.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(seconds, press)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        t.fit(X, y, epochs=100_000, batch_size=32, validation=(X, y), progress=False)
    # A busy machine does not count: the time of all processors that this process had.
    assert time.process_time() - pressed[0] < 0.2 * steep.info()["threads"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(t.history) == t.epoch
    assert (
        len(t.history.steps["loss"])
        == t.steps
        == t.epoch * 128 + t._run.session().progress["batch"]
    )
    assert not t.finished
    # What was done is exactly what so many steps do.
    again = trainer(mlp(64, 10))
    again.fit(X, y, epochs=t.epoch, batch_size=32, progress=False) if t.epoch else None
    losses = again.history.steps["loss"]
    assert t.history.steps["loss"][: len(losses)] == losses
    epoch = t.epoch
    t.fit(X, y, epochs=1, batch_size=32, progress=False)
    assert t.epoch == epoch + 1
    assert t.steps == t.epoch * 128


def test_another_batch_size_after_ctrl_c_begins_the_epoch_anew(small):
    X, y = small

    class Stop:
        def on_step_end(self, step):
            if step == 4:
                raise KeyboardInterrupt

    t = trainer()
    with pytest.raises(KeyboardInterrupt):
        t.fit(X, y, callbacks=[Stop()], progress=False)
    assert (t.epoch, t.steps) == (0, 4)
    t.fit(X, y, batch_size=100, progress=False)
    assert (t.epoch, t.steps) == (1, 7)


def test_progress_off_a_terminal_is_lines(small, capsys):
    X, y = small
    trainer().fit(X, y, epochs=2, validation=(X, y))
    text = capsys.readouterr().err
    assert "epoch 2/2" in text
    assert "samples/s" in text
    assert "val_accuracy" in text
    trainer().fit(X, y, epochs=2, progress=False)
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_is_a_bar(small, capsys, monkeypatch):
    X, y = small
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    trainer().fit(X, y, epochs=3)
    text = capsys.readouterr().err
    assert "epoch 3/3" in text
    assert "left" in text
    assert "loss" in text


class Ends:
    """A callback that only wants to know when a fit is over: epochs come back one by one."""

    def on_train_end(self, trainer):
        pass


def test_epochs_that_nobody_looks_at_share_native_calls(small):
    X, y = small
    seen, unseen = trainer(), trainer()
    unseen.fit(X, y, progress=False)
    seen.fit(X, y, epochs=300, callbacks=[Ends()], progress=False)
    session = unseen._run.session()
    stretches = []

    class Counting:
        def __getattr__(self, name):
            return getattr(session, name)

        def run(self, *args):
            stretches.append(session.run(*args))
            return stretches[-1]

    counting = Counting()
    unseen._run.session = lambda: counting
    first = unseen.steps
    unseen.fit(X, y, epochs=299, progress=False)
    assert first + sum(stretches) == unseen.steps == seen.steps
    assert max(stretches) > 10 * first
    assert unseen.history.steps == seen.history.steps
    for name, values in seen.history.history.items():
        assert name == "seconds" or unseen.history.history[name] == values
    assert min(unseen.history.history["seconds"]) > 0


def test_python_between_native_calls_is_cheap(small):
    """An epoch of 57 steps must cost less than 0.1 ms beside its native call."""
    X, y = np.tile(small[0], (6, 1)), np.tile(small[1], 6)
    t = trainer()
    t.fit(X, y, progress=False)

    class Instant:
        """The session, but for the steps themselves."""

        def __getattr__(self, name):
            return getattr(session, name)

        def run(self, knobs, known, budget):
            at = session.progress
            del at["seconds"]
            for name in ("batch", "steps"):
                at[name] += len(knobs)
            at["sums"] = [tuple(each + len(knobs) for each in sums) for sums in at["sums"]]
            session.set_progress(**at)
            return len(knobs)

    session = t._run.session()
    instant = Instant()
    t._run.session = lambda: instant
    best = np.inf
    for _ in range(10):
        start = time.thread_time()
        t.fit(X, y, epochs=100, callbacks=[Ends()], progress=False)
        best = min(best, (time.thread_time() - start) / 100)
    assert best < 1e-4


def test_what_is_public_is_meant_for_users():
    def names(of):
        return {name for name in dir(of) if not name.startswith("_")}

    doors = {
        "fit", "step", "gradients", "hvp", "gnvp", "jvp", "vjp", "evaluate", "memory",
        "save", "load",
        "history", "averaged", "epoch", "steps", "finished", "logged", "optimizer",
    }  # fmt: skip
    settings = {
        "net", "loss", "metrics", "average", "sam", "sam_adaptive", "groups", "l1", "l2",
        "loss_weights", "objectives", "decay_bias", "clip_norm", "clip_value", "clip_parameter",
        "reduction", "precision", "device", "seed",
    }  # fmt: skip
    assert names(steep.Trainer) == doors
    assert names(trainer()) == {*doors, *settings, *optimizers.Adam.ranges}
    assert names(steep.History()) == {"history", "plot", "recorder", "skipped", "steps", "to_frame"}
    assert names(steep) == {*steep.__all__} - {"__version__"}


def test_threads_and_info():
    before = steep.get_num_threads()
    with steep.threads(1):
        assert steep.get_num_threads() == 1
    assert steep.get_num_threads() == before
    facts = steep.info()
    assert facts["version"] == steep.__version__
    assert "isa" in repr(facts)
