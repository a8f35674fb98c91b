"""What a training is told and tells: settings, counters, faults, ends. Rows F5 to F52."""

import copy
import gc
import pickle
import subprocess
import sys
import textwrap
import time
import weakref

import numpy as np
import pytest
import steep
from quick import X, Y, bytes_of, fit, net, on, trainer
from steep import callbacks, optimizers, schedules
from stopping import StopError

# -- F5: settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["on_epoch_end", "on_step_end"])
def test_f5_a_rate_assigned_by_a_callback_holds_from_the_next_step_on(when):
    """Six steps an epoch: two epochs at 0.1, then 0.001, as two trainers would do it."""
    due = {
        "on_epoch_end": lambda trainer, epoch: epoch == 1,
        "on_step_end": lambda trainer, step: step == 12,
    }

    class Lower:
        pass

    def hook(self, trainer, **given):
        (number,) = (v for k, v in given.items() if k in ("epoch", "step"))
        if due[when](trainer, number):
            trainer.lr = 0.001

    if when == "on_epoch_end":
        Lower.on_epoch_end = lambda self, trainer, epoch: hook(self, trainer, epoch=epoch)
    else:
        Lower.on_step_end = lambda self, trainer, step: hook(self, trainer, step=step)
    t = fit(trainer(optimizers.SGD(0.1)), Lower(), epochs=4)
    plain = fit(trainer(optimizers.SGD(0.1)), epochs=2)
    plain.lr = 0.001
    fit(plain, epochs=2)
    assert bytes_of(t) == bytes_of(plain)
    assert t.history.history["lr"] == [0.1, 0.1, 0.001, 0.001]
    assert t.lr == 0.001


def test_f5_a_function_over_changing_state_is_asked_again_after_callbacks():
    state = {"lr": 0.1}
    t = trainer(optimizers.SGD(lambda step: state["lr"]))

    def lower(epoch):
        state["lr"] = 0.01 if epoch == 0 else 0.001

    fit(t, on(on_epoch_end=lower), epochs=3)
    plain = fit(trainer(optimizers.SGD([0.1] * 6 + [0.01] * 6 + [0.001] * 6)), epochs=3)
    assert t.history.history["lr"] == [0.1, 0.01, 0.001]
    assert bytes_of(t) == bytes_of(plain)


def test_f5_another_rule_is_refused_once_steps_are_done():
    t = fit(trainer(optimizers.RMSProp(1e-3)))
    before, settings = bytes_of(t), t.optimizer
    with pytest.raises(ValueError, match=r"AdaDelta.*rule adadelta.*Make a new Trainer"):
        t.optimizer = optimizers.AdaDelta()
    assert (t.optimizer, bytes_of(t)) == (settings, before)
    t.optimizer = optimizers.RMSProp(1e-4)
    fit(t)
    assert t.history.history["lr"] == [1e-3, 1e-4]
    fresh = trainer(optimizers.RMSProp(1e-3))
    fresh.evaluate(X, Y)
    fresh.optimizer = "adadelta"
    assert bytes_of(fit(fresh)) == bytes_of(fit(trainer("adadelta")))


@pytest.mark.parametrize(
    "name", ["beta1", "beta2", "eps", "lr", "l1", "l2", "clip_norm", "clip_value"]
)
def test_f5_every_hyper_parameter_is_assignable(name, tmp_path):
    value = {"eps": 1e-3, "lr": 0.2, "l1": 0.01, "l2": 0.1}.get(name, 0.01)
    t = fit(trainer("adam"))
    setattr(t, name, value)
    assert getattr(t, name) == value
    t.save(tmp_path / "t")
    again = steep.Trainer.load(tmp_path / "t")
    assert getattr(again, name) == value
    fit(t)
    assert bytes_of(fit(again)) == bytes_of(t)
    assert bytes_of(t) != bytes_of(fit(trainer("adam"), epochs=2))
    with pytest.raises((ValueError, TypeError), match=name):
        setattr(t, name, -1.0)
    assert getattr(t, name) == value


def test_f5_what_would_have_no_effect_is_refused():
    t = trainer("adam")
    for name in ("learning_rate", "momentum", "rho"):
        with pytest.raises(AttributeError, match=r"settings are .*lr"):
            setattr(t, name, 0.1)
    for name in ("seed", "loss", "net", "precision", "reduction"):
        with pytest.raises(AttributeError, match="new Trainer"):
            setattr(t, name, getattr(t, name))


def test_reduce_on_plateau(tmp_path):
    values = iter([1.0, 0.5, 0.6, 0.6, 0.4, 0.4, 0.4, 0.4, 0.4])
    plateau = callbacks.ReduceOnPlateau("loss", factor=0.1, patience=2, min_lr=2e-3)
    t = trainer(optimizers.SGD(0.1))
    rates = []
    for epoch, value in enumerate(values):
        plateau.on_epoch_end(t, {"loss": value})
        rates.append(round(t.lr, 12))
        assert plateau.best <= 1.0, epoch
    assert rates == [0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.002, 0.002, 0.002]
    with pytest.raises(ValueError, match="follows"):
        fit(
            trainer(optimizers.SGD(schedules.Cosine(0.1, over=9))),
            callbacks.ReduceOnPlateau("loss"),
        )
    with pytest.raises(ValueError, match="ReduceOnPlateau: nothing measures"):
        fit(trainer(), callbacks.ReduceOnPlateau())


def test_reduce_on_plateau_goes_on_from_a_checkpoint(tmp_path):
    def called(path, *more):
        return (
            callbacks.ReduceOnPlateau("loss", factor=0.5, patience=1, min_delta=10.0),
            callbacks.Checkpoint(path),
            *more,
        )

    def stop(epoch):
        if epoch == 2:
            raise StopError

    whole = fit(trainer(optimizers.SGD(0.1)), *called(tmp_path / "a"), epochs=6)
    with pytest.raises(StopError):
        fit(trainer(optimizers.SGD(0.1)), *called(tmp_path / "b", on(on_epoch_end=stop)), epochs=6)
    again = steep.Trainer.load(tmp_path / "b")
    fit(again, *called(tmp_path / "b"), epochs=6)
    assert again.history.history["lr"] == whole.history.history["lr"]
    assert len(set(whole.history.history["lr"])) > 3
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# -- F7: two trainers on one network ---------------------------------------------------------------


def test_f7_the_way_back_does_not_lose_what_another_trainer_did():
    shared = net(5).build(6, seed=1)
    a = trainer(optimizers.SGD([0.1] * 6 + [1e38]), of=shared)
    b = trainer(optimizers.SGD(0.05), of=shared)
    for _ in range(6):
        a.step(X[:32], Y[:32])
        b.step(X[32:], Y[32:])
    a.step(X[:32], Y[:32])  # far too far: its loss is not finite any more
    b_state = None
    with pytest.raises(steep.NonFiniteError):
        for _ in range(3):
            b_state = bytes_of(b)
            a.step(X[:32], Y[:32])
    assert bytes_of(b) == b_state


def test_f7_a_fit_goes_back_to_what_another_trainer_left():
    """Three steps of each in turn; the fourth of the first goes far too far."""
    goal = np.eye(3, dtype=np.float32)[Y]
    ends = []
    for rates in ([0.1] * 3 + [1e30] * 99, [0.1] * 99):
        shared = net(5).build(6, seed=1)
        c = trainer(optimizers.SGD(rates), of=shared, loss="mse")
        d = trainer(of=shared, loss="mse")

        def other(step, d=d, stop=rates[-1] == 0.1):
            if step <= 3:
                d.step(X, goal)
            if step == 3 and stop:
                raise StopError

        with pytest.raises((steep.NonFiniteError, StopError)):
            c.fit(X, goal, batch_size=16, progress=False, callbacks=[on(on_step_end=other)])
        ends.append((c.steps, d.steps, bytes_of(c)))
    assert ends[0] == ends[1]
    assert ends[0][:2] == (3, 3)


# -- F8, F9, F60: ends -----------------------------------------------------------------------------


def test_f8_stop_from_a_step_stops_there():
    t = trainer()
    fit(t, on(on_step_end=lambda step: "stop" if step == 3 else None), epochs=2)
    assert (t.steps, t.epoch, t.finished) == (3, 0, True)
    fit(t)  # the epoch in progress
    assert (t.steps, t.epoch) == (6, 1)
    assert bytes_of(t) == bytes_of(fit(trainer()))


GUIDE = """
    import sys
    import numpy as np, steep
    from pathlib import Path
    from steep import callbacks, layers
    X = np.random.default_rng(0).normal(size=(96, 6)).astype(np.float32)
    y = np.argmax(X[:, :3], axis=1)
    def make():
        return steep.Trainer(steep.Sequential(layers.Dense(3)), "cross_entropy", "adam", seed=7)
    path = Path(sys.argv[1])
    trainer = steep.Trainer.load(path) if path.exists() else make()
    trainer.fit(X, y, epochs=5, batch_size=16, callbacks=[callbacks.Checkpoint(path, every=4)],
                progress=False)
    print(trainer.steps, flush=True)
    import os, signal
    if len(sys.argv) > 2: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_f9_f60_the_script_of_the_guide_killed_after_its_last_save(tmp_path):
    path = tmp_path / "run"

    def run(*more):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(GUIDE), str(path), *more],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip(), path.read_bytes()

    first = run("kill")
    assert first[0] == "30"
    assert run() == first
    assert run("kill") == first


def test_f9_a_trainer_saved_by_hand_goes_on(tmp_path):
    t = fit(trainer(), epochs=2)
    t.save(tmp_path / "t")
    again = fit(steep.Trainer.load(tmp_path / "t"), epochs=2)
    assert again.epoch == 4


# -- F31 to F35, F42: ends and refusals ------------------------------------------------------------


def test_f31_the_exception_pickles():
    error = steep.NonFiniteError(3, 1, "loss", 'Dense "a"')
    again = pickle.loads(pickle.dumps(error))
    assert (again.step, again.epoch, again.what, again.where) == (3, 1, "loss", 'Dense "a"')
    assert str(again) == str(error)


@pytest.mark.parametrize("rule", ["sgd", "adam", "nesterov"])
@pytest.mark.parametrize("copied", [lambda t: pickle.loads(pickle.dumps(t)), copy.deepcopy])
def test_f32_a_trainer_copies_and_goes_on_to_the_same_bytes(rule, copied, tmp_path):
    optimizer = optimizers.SGD(0.05, 0.9, nesterov=True) if rule == "nesterov" else rule
    t = trainer(optimizer, l2=0.01, clip_norm=1.0)
    assert bytes_of(fit(copied(t))) == bytes_of(fit(trainer(optimizer, l2=0.01, clip_norm=1.0)))
    fit(t, epochs=2)
    t.step(X[:5], Y[:5])
    again = copied(t)
    assert (again.steps, again.epoch) == (13, 2)
    for each in (t, again):
        fit(each, epochs=2)
        each.save(tmp_path / str(id(each)))
    assert (tmp_path / str(id(t))).read_bytes() == (tmp_path / str(id(again))).read_bytes()


@pytest.mark.parametrize(
    "wrong",
    [
        {"y": Y[:-1]}, {"y": Y + 1}, {"batch_size": 0}, {"sample_weight": -np.ones(96)},
        {"validation": (X[:, :5], Y)}, {"callbacks": [callbacks.EarlyStopping()]},
        {"callbacks": [3]}, {"class_weight": "even"}, {"augment": 3},
    ],
)  # fmt: skip
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_f33_a_refused_fit_changes_nothing(wrong, precision, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("mine")
    given = {"y": Y, "callbacks": [], **wrong}
    given["callbacks"] = [callbacks.CSVLog(log), *given["callbacks"]]
    t = trainer(precision=precision)
    with pytest.raises((ValueError, TypeError)):
        t.fit(X, given.pop("y"), progress=False, **given)
    assert not t.net.built
    assert t.net.input_shapes is None
    assert log.read_text() == "mine"
    t.fit(X[:, :4], Y, progress=False)  # other inputs are as good as any
    built = net(5).build(6)
    before = {name: value.tobytes() for name, value in built.state_dict().items()}
    t = trainer(of=built, precision=precision)
    given = {"y": Y, "callbacks": [], **wrong}
    with pytest.raises((ValueError, TypeError)):
        t.fit(X, given.pop("y"), progress=False, **given)
    assert {name: value.tobytes() for name, value in built.state_dict().items()} == before


def test_f34_every_callback_gets_its_end(tmp_path):
    ended = []

    def bad():
        ended.append("bad")
        raise StopError

    stop = callbacks.EarlyStopping("loss", patience=1, min_delta=100.0)
    t = trainer(optimizers.SGD(0.5))
    first = {}
    keep = on(
        on_epoch_end=lambda trainer, epoch: (
            first.update(trainer.net.state_dict()) if epoch == 0 else None
        )
    )
    with pytest.raises(StopError):
        fit(t, keep, on(on_train_end=bad), stop, callbacks.Checkpoint(tmp_path / "c"),
            on(on_train_end=lambda: ended.append("other")), epochs=9)  # fmt: skip
    assert ended == ["bad", "other"]
    for name, value in t.net.state_dict().items():
        np.testing.assert_array_equal(value, first[name])
    assert steep.Trainer.load(tmp_path / "c").finished


def test_f35_nothing_is_held_after_a_fit_and_no_cycle_is_left():
    gc.collect()
    gc.disable()
    try:
        data = np.random.default_rng(1).normal(size=(64, 6)).astype(np.float32)
        held = weakref.ref(data)
        t = trainer("adam")
        t.fit(data, Y[:64], epochs=2, validation=(data, Y[:64]), progress=False,
              callbacks=[callbacks.EarlyStopping()])  # fmt: skip
        t.evaluate(data, Y[:64])
        t.gradients(data, Y[:64])
        t.step(data, Y[:64])
        del data
        assert held() is None
        gone, of = weakref.ref(t), weakref.ref(t.net)
        del t
        assert gone() is None
        assert of() is None
    finally:
        gc.enable()


def test_f42_fit_and_build_inside_a_callback_are_refused_by_name():
    said = []

    def meddle(trainer):
        for call in (
            lambda: trainer.fit(X, Y, progress=False),
            trainer.net.build,
            lambda: steep.Trainer(trainer.net, "mse", "sgd", precision="float64").evaluate(
                X, np.eye(3)[Y]
            ),
        ):
            with pytest.raises(RuntimeError) as caught:
                call()
            said.append(str(caught.value))

    t = fit(trainer(), on(on_epoch_end=meddle), epochs=2)
    assert bytes_of(t) == bytes_of(fit(trainer(), epochs=2))
    assert "fit was called in a callback" in said[0]
    assert all(text for text in said)
    assert len(said) == 6


# -- F51, F52: costs and sums ----------------------------------------------------------------------


def test_f51_logs_of_a_step_cost_the_same_however_long_the_epoch():
    """Time of 1,000 steps with a callback each, near the beginning and the end of an epoch."""
    many = np.tile(X, (160, 1))
    times = []
    t = trainer(of=net())
    t.fit(many, np.tile(Y, 160), batch_size=1, progress=False,
          callbacks=[on(on_step_end=lambda: times.append(time.perf_counter()))])  # fmt: skip
    early = np.median(np.diff(times[500:3500]))
    late = np.median(np.diff(times[-3000:]))
    assert late < 2.5 * early


def test_f52_history_does_not_depend_on_where_native_calls_end():
    goal = (np.random.default_rng(1).random((96, 7)) > 0.5).astype(np.float32)
    found = []
    for every in (1, 2, 3, 1000):
        t = trainer(of=net(outputs=7), loss="binary_cross_entropy")
        t.fit(X, goal, epochs=3, batch_size=5, progress=False,
              callbacks=[on(every=every, on_step_end=lambda: None)])  # fmt: skip
        found.append({k: v for k, v in t.history.history.items() if k != "seconds"})
    assert all(one == found[0] for one in found)


# -- what a review found ---------------------------------------------------------------------------


def test_a_fault_in_the_first_step_of_an_epoch_leaves_the_epochs_before():
    """One batch an epoch; the rate becomes far too large after the fifth."""
    ended = []

    def after(trainer, epoch):
        ended.append(epoch)
        if epoch == 4:
            trainer.lr = 3e38

    t = trainer(loss="mse", of=net(5, outputs=1))
    goal = 100 * X[:, :1]
    with pytest.raises(steep.NonFiniteError) as caught:
        t.fit(
            X, goal, epochs=9, batch_size=96, progress=False, callbacks=[on(on_epoch_end=after)]
        )  # fmt: skip
    assert (t.epoch, t.steps, len(t.history)) == (5, 5, 5)
    assert (caught.value.step, caught.value.epoch) == (6, 6)
    assert ended == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("every", ["epoch", 1])
def test_a_stop_is_in_the_checkpoint_of_the_very_moment(every, tmp_path):
    def stop(step):
        return "stop" if step == 7 else None

    class Kill:
        last = True  # after the checkpoint

        def on_epoch_end(self, epoch):
            if every == "epoch" and epoch == 1:
                raise StopError

        def on_step_end(self, step):
            if every == 1 and step == 7:
                raise StopError

    hooks = {"on_step_end": stop} if every == 1 else {"on_epoch_end": lambda epoch: stop(epoch + 6)}
    with pytest.raises(StopError):
        fit(trainer(), on(**hooks), callbacks.Checkpoint(tmp_path / "c", every), Kill(), epochs=9)
    again = steep.Trainer.load(tmp_path / "c")
    steps = again.steps
    fit(again, on(**hooks), callbacks.Checkpoint(tmp_path / "c", every), epochs=9)
    assert again.steps == steps == (7 if every == 1 else 12)
    assert again.finished


def test_callbacks_begin_anew_with_each_fit():
    stop = callbacks.EarlyStopping("loss", patience=3, min_delta=100.0)
    t = trainer()
    fit(t, stop, epochs=20)
    assert t.epoch == 4
    fit(t, stop, epochs=20)
    assert t.epoch == 8
    fit(t, callbacks.EarlyStopping("loss", patience=3, min_delta=100.0), epochs=20)
    assert t.epoch == 12


def test_a_refused_fit_leaves_the_trainers_of_another_precision():
    of = net(5).build(6)
    a = fit(trainer(of=of))
    b = trainer(of=of, precision="float64")
    for wrong in (lambda: b.fit(X, Y[:5], progress=False), lambda: b.step(X, Y + 7)):
        with pytest.raises(ValueError):
            wrong()
    fit(a)
    assert bytes_of(a) == bytes_of(fit(trainer(of=net(5).build(6)), epochs=2))


def test_reduce_on_plateau_never_reaches_what_float32_makes_0():
    plateau = callbacks.ReduceOnPlateau("loss", patience=1, min_delta=100.0)
    t = fit(trainer(optimizers.SGD(0.1)), plateau, epochs=60)
    assert 1.1e-38 < t.lr < 1e-36
