"""Callbacks: when they are called and with what, early stopping, checkpoints, logs."""

import csv
import sys
import types

import numpy as np
import pytest
import steep
from steep import callbacks, layers, optimizers, schedules


def trainer(**options):
    net = steep.Sequential(layers.Dense(16, "relu"), layers.Dense(5))
    return steep.Trainer(net, "cross_entropy", optimizers.Adam(1e-2), **options)


class Recorder:
    def __init__(self):
        self.calls = []

    def on_train_begin(self, trainer, logs):
        self.calls.append(("begin", trainer.steps, logs))

    def on_epoch_end(self, trainer, epoch, logs):
        self.calls.append((epoch, trainer.epoch, sorted(logs)))

    def on_train_end(self, trainer, logs):
        self.calls.append(("end", trainer.steps, sorted(logs)))


def test_order_and_arguments(small):
    X, y = small
    seen = Recorder()
    trainer().fit(X, y, epochs=2, callbacks=[seen], progress=False)
    names = ["accuracy", "loss", "lr", "seconds"]
    assert seen.calls == [("begin", 0, {}), (0, 1, names), (1, 2, names), ("end", 20, names)]


def test_any_object_with_some_of_the_methods(small):
    X, y = small
    seen = []
    keras_like = types.SimpleNamespace(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    alone = types.SimpleNamespace(on_train_end=lambda: seen.append("end"))
    all_of_it = types.SimpleNamespace(on_epoch_end=lambda *given: seen.append(len(given)))
    renamed = types.SimpleNamespace(on_epoch_end=lambda t, n, values: seen.append(values["loss"]))
    trainer().fit(X, y, callbacks=[keras_like, alone, all_of_it, renamed], progress=False)
    assert seen[:2] == [0, 3]
    assert isinstance(seen[2], float)
    assert seen[3] == "end"
    trainer().fit(X, y, callbacks=keras_like, progress=False)


def test_stop(small):
    X, y = small
    stop = types.SimpleNamespace(on_epoch_end=lambda epoch: "stop" if epoch == 2 else None)
    t = trainer()
    t.fit(X, y, epochs=10, callbacks=[stop], progress=False)
    assert (t.epoch, t.steps, t.finished) == (3, 30, True)
    t.fit(X, y, epochs=1, progress=False)
    assert t.epoch == 4


def test_a_callback_may_evaluate_step_and_change_weights(small):
    X, y = small
    t = trainer()

    class Meddler:
        def on_epoch_end(self, trainer, epoch, logs):
            trainer.evaluate(X, y)
            trainer.gradients(X[:7], y[:7])
            trainer.step(X[:10], y[:10])

    t.fit(X, y, epochs=3, callbacks=[Meddler()], progress=False)
    assert t.steps == 33
    assert len(t.history.history["loss"]) == 3
    u = trainer()
    for _ in range(3):
        u.fit(X, y, progress=False)
        u.step(X[:10], y[:10])
    for name, value in t.net.state_dict().items():
        assert np.array_equal(value, u.net.state_dict()[name])


def test_steps_between(small):
    X, y = small
    seen = []
    every = types.SimpleNamespace(every=4, on_step_end=lambda step, logs: seen.append((step, logs)))
    trainer().fit(X, y, epochs=2, callbacks=[every], progress=False)
    assert [step for step, _ in seen] == [4, 8, 12, 16, 20]
    assert all(set(logs) == {"loss", "accuracy"} for _, logs in seen)


class Script:
    """Takes the place of the measured validation loss, to drive early stopping."""

    def __init__(self, values):
        self.values = iter(values)

    def __call__(self, *data, **options):
        return {"loss": next(self.values), "accuracy": 0.5}


@pytest.mark.parametrize(
    ("options", "values", "best"),
    [
        ({"patience": 2}, [3, 2, 2.5, 2.4, 1], (4, 1)),
        ({"patience": 1}, [3, 2, 2, 1], (3, 1)),
        ({"patience": 2, "min_delta": 0.5}, [3, 2.6, 2.6, 1], (3, 0)),
        ({"patience": 9}, [3, 2, 5, 4], (4, 1)),
        ({"patience": 2, "mode": "max"}, [3, 2, 2.5, 1], (3, 0)),
    ],
)
def test_early_stopping(options, values, best, small, monkeypatch):
    (X, y), (epochs, best) = small, best
    t = trainer()
    monkeypatch.setattr(t._run, "measure", Script(values))
    states = []
    keep = types.SimpleNamespace(
        on_epoch_end=lambda trainer: states.append(trainer.net.state_dict())
    )
    stopping = callbacks.EarlyStopping(**options)
    fit = {"epochs": len(values), "validation": (X, y), "progress": False}
    t.fit(X, y, callbacks=[keep, stopping], **fit)
    assert (t.epoch, stopping.best_epoch, stopping.best) == (epochs, best, values[best])
    for name, value in t.net.state_dict().items():
        assert np.array_equal(value, states[best][name])
        if best != epochs - 1:
            assert not np.array_equal(value, states[-1][name])


def test_best_weights_come_back_after_ctrl_c_and_may_be_left_alone(small, monkeypatch):
    X, y = small
    for restore in (True, False):
        t = trainer()
        monkeypatch.setattr(t._run, "measure", Script([3, 1, 2, 2, 2]))
        states = []

        def note(trainer, epoch, states=states):
            states.append(trainer.net.state_dict())
            if epoch == 3:
                raise KeyboardInterrupt

        stopping = callbacks.EarlyStopping(patience=9, restore_best=restore)
        keep = types.SimpleNamespace(on_epoch_end=note)
        with pytest.raises(KeyboardInterrupt):
            fit = {"epochs": 5, "validation": (X, y), "progress": False}
            t.fit(X, y, callbacks=[keep, stopping], **fit)
        want = states[1 if restore else 3]
        assert all(np.array_equal(v, want[k]) for k, v in t.net.state_dict().items())


def test_accuracy_is_to_be_large():
    assert callbacks.EarlyStopping("val_accuracy").mode == "max"
    assert callbacks.EarlyStopping("val_loss").mode == "min"


def test_checkpoint_paths_and_times(small, tmp_path):
    X, y = small
    given = [
        callbacks.Checkpoint(tmp_path / "e{epoch}"),
        callbacks.Checkpoint(tmp_path / "s{step:04d}", every=15),
    ]
    trainer().fit(X, y, epochs=4, callbacks=given, progress=False)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["e1", "e2", "e3", "e4", "s0015", "s0030", "s0040"]
    assert steep.Trainer.load(tmp_path / "e3").epoch == 3
    assert steep.Trainer.load(tmp_path / "s0015").steps == 15


def test_an_interrupted_fit_keeps_its_last_regular_checkpoint(small, tmp_path):
    X, y = small

    def stop(step):
        if step == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        given = [callbacks.Checkpoint(tmp_path / "c"), types.SimpleNamespace(on_step_end=stop)]
        trainer().fit(X, y, epochs=4, callbacks=given, progress=False)
    assert steep.Trainer.load(tmp_path / "c").steps == 10


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_csv_log_and_its_continuation(small, tmp_path):
    X, y = small
    t = trainer()
    fit = {"validation": (X, y), "callbacks": [callbacks.CSVLog(tmp_path / "log.csv")]}
    t.fit(X, y, epochs=2, progress=False, **fit)
    t.save(tmp_path / "c")
    t = steep.Trainer.load(tmp_path / "c")
    t.fit(X, y, epochs=1, progress=False, **fit)
    rows = read_csv(tmp_path / "log.csv")
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "lr"):
        assert [float(row[name]) for row in rows] == t.history.history[name]


def test_tensorboard_says_what_to_install(small, tmp_path, monkeypatch):
    X, y = small
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'steep\[tensorboard\]'"):
        trainer().fit(X, y, callbacks=[callbacks.TensorBoard(tmp_path)], progress=False)


def test_tensorboard_gets_every_number(small, tmp_path, monkeypatch):
    X, y = small
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            assert folder == str(tmp_path)

        def add_scalar(self, name, value, epoch):
            written.append((name, epoch))

        def close(self):
            written.append("closed")

    fake = types.ModuleType("tensorboardX")
    fake.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "tensorboardX", fake)
    given = [callbacks.TensorBoard(tmp_path)]
    trainer().fit(X, y, epochs=2, callbacks=given, progress=False)
    assert written[:2] == [("loss", 0), ("accuracy", 0)]
    assert written[-1] == "closed"
    assert len(written) == 9


def test_a_refused_training_leaves_the_callback_as_it_was(small):
    X, y = small
    reduce, stop = callbacks.ReduceOnPlateau("loss"), callbacks.EarlyStopping("loss")
    trainer().fit(X, y, callbacks=[reduce, stop], progress=False)
    before = reduce.state_dict(), stop.best, stop.best_epoch
    scheduled = trainer()
    scheduled.lr = schedules.Cosine(0.1, 5)
    with pytest.raises(ValueError, match="learning rate follows"):
        scheduled.fit(X, y, callbacks=[reduce], progress=False)
    stop.monitor = "val_loss"
    with pytest.raises(ValueError, match="nothing measures"):
        trainer().fit(X, y, callbacks=[stop], progress=False)
    assert (reduce.state_dict(), stop.best, stop.best_epoch) == before


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"threshold_mode": "relative"}, 'unknown threshold_mode "relative"; did you mean "rel"'),
        ({"like": "optax"}, 'unknown like "optax". Known: "keras", "torch"'),
        ({"eps": -1.0}, r"ReduceOnPlateau: eps must be in \[0, inf\)"),
    ],
)
def test_what_a_plateau_refuses(named, words):
    with pytest.raises(ValueError, match=words):
        callbacks.ReduceOnPlateau(**named)


def test_a_plateau_measured_in_parts_of_the_best():
    reduce = callbacks.ReduceOnPlateau("loss", 0.5, 1, min_delta=0.1, threshold_mode="rel")
    watched = steep.Trainer(steep.Sequential(layers.Dense(1)), "mse", optimizers.SGD(1.0))
    rates = []
    for loss in (10.0, 9.5, 8.9, 8.0, 7.5):  # 0.5 of 10 is no improvement, 1.1 is
        reduce.on_epoch_end(watched, {"loss": loss})
        rates.append(watched.lr)
    assert rates == [1.0, 0.5, 0.5, 0.5, 0.25]
