"""Sweeps: members are their solo runs, failures are told, interruptions resume, pictures say so."""

import _thread
import math
import threading
import time

import numpy as np
import pytest
import steep
from steep import callbacks, lab, layers, optimizers, schedules
from steep.lab import strategies

RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((90, 5)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
HELD = (X[60:], Y[60:])
SPACE = {"lr": (1e-3, 1e-2, 0.1), "units": (4, 8), "seed": range(2)}


def make(lr, units, seed):
    net = steep.Sequential(layers.Dense(units, "tanh"), layers.Dropout(0.1), layers.Dense(2))
    return steep.Trainer(net, "cross_entropy", optimizers.Adam(lr), seed=seed, l2=1e-4)


def sweep(space=SPACE, made=make, **options):
    options = {"epochs": 4, "batch_size": 16, "validation": HELD, "workers": 2} | options
    return lab.sweep(made, space, X, Y, **options)


def weights(trainer):
    return {name: value.tobytes() for name, value in trainer.net.state_dict().items()}


def same(found, epochs=4):
    """Hold every member against its own run, weights and all metrics."""
    for row, trainer in zip(found.rows, found.trainers, strict=True):
        alone = make(row["lr"], row["units"], row["seed"])
        alone.fit(
            X, Y, epochs=row["epochs"], batch_size=16, validation=HELD, progress=False
        )  # fmt: skip
        assert weights(alone) == weights(trainer)
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert row[name] == alone.history.history[name][-1]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("method", ["grid", "random", "halving"])
def test_every_member_is_its_solo_run(method, workers):
    found = sweep(method=method, workers=workers, n=None if method == "grid" else 9, epochs=9)
    assert len(found) == len(found.rows) == (12 if method == "grid" else 9)
    assert len({(r["lr"], r["units"], r["seed"]) for r in found.rows}) == len(found)
    epochs = sorted(row["epochs"] for row in found.rows)
    assert epochs == ([1] * 6 + [3] * 2 + [9] if method == "halving" else [9] * len(found))
    same(found)
    assert found.best["epochs"] == 9
    longest = [row for row in found.rows if row["epochs"] == 9]
    assert found.best["val_accuracy"] == max(row["val_accuracy"] for row in longest)
    assert found.trainer is found.trainers[found.order[0]]


def test_rows_do_not_depend_on_the_number_of_workers():
    assert sweep(workers=1).rows == sweep(workers=4).rows
    assert sweep(n=5, seed=1).rows != sweep(n=5, seed=2).rows


def test_members_train_at_once_and_native_calls_let_go_of_the_gil():
    """All of them wait for each other in their first epoch: with fewer threads none would go on."""
    meeting = threading.Barrier(3, timeout=30)

    class Meet:
        def __deepcopy__(self, memo):
            return self

        def on_epoch_end(self, epoch):
            if epoch == 0:
                meeting.wait()

    found = sweep({"lr": (0.1, 0.2, 0.3)}, lambda lr: make(lr, 4, 0), workers=3, callbacks=[Meet()])
    assert not [row for row in found.rows if "error" in row]
    big = RANDOM.standard_normal((4000, 400)).astype(np.float32)
    ticks = []

    def long():
        trainer = steep.Trainer(steep.Sequential(layers.Dense(400)), "mse", "sgd")
        with steep.threads(1):
            trainer.fit(big, big, epochs=4, progress=False)

    other = threading.Thread(target=long)
    other.start()
    while other.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(1e-4)
    assert len(ticks) > 10  # this thread went on meanwhile


def test_one_that_diverges_or_raises_is_told_and_the_others_go_on():
    def some(lr, units, seed):
        if units == 8 and seed == 1:
            raise RuntimeError("no such network")
        trainer = make(lr, units, seed)
        if lr == 0.1:
            trainer.optimizer = optimizers.SGD(1e30)
        return trainer

    found = sweep(made=some)
    failed = [row for row in found.rows if "error" in row]
    for row in found.rows:
        raised, diverged = (row["units"], row["seed"]) == (8, 1), row["lr"] == 0.1
        assert ("error" in row) == (raised or diverged)
        if raised:
            assert row["error"] == "RuntimeError: no such network"
        elif diverged:
            assert row["error"].startswith("NonFiniteError: step ")
    assert len(failed) == 6
    assert f"{len(failed)} failed" in repr(found)
    good = [k for k, row in enumerate(found.rows) if "error" not in row]
    assert sorted(found.order[: len(good)]) == good
    for k in good:
        row, alone = found.rows[k], make(*(found.rows[k][name] for name in SPACE))
        alone.fit(X, Y, epochs=4, batch_size=16, progress=False)
        assert weights(alone) == weights(found.trainers[k])
        assert row["epochs"] == 4


def test_where_all_fail_the_first_is_told():
    found = sweep(made=lambda lr, units, seed: None)
    assert all("must return a Trainer, got NoneType" in row["error"] for row in found.rows)
    with pytest.raises(ValueError, match="no member trained to the end; the first: TypeError"):
        found.best  # noqa: B018
    assert repr(found).startswith("random sweep: 12 members, 12 failed\n")


def test_halving_leaves_failed_members_behind():
    def some(lr, units, seed):
        trainer = make(lr, units, seed)
        if units == 4:
            trainer.optimizer = optimizers.SGD(1e30)
        return trainer

    found = sweep(made=some, method="halving", epochs=9)
    assert all("error" in row for row in found.rows if row["units"] == 4)
    assert found.best["units"] == 8
    assert found.best["epochs"] == 9
    dead = sweep({"lr": (1e30, 2e30, 3e30)}, lambda lr: steep.Trainer(
        steep.Sequential(layers.Dense(2)), "mse", optimizers.SGD(lr)), method="halving", epochs=9,
        validation=None, eta=3)  # fmt: skip
    assert all("error" in row for row in dead.rows)


def test_a_network_that_members_share_is_refused():
    net = steep.Sequential(layers.Dense(2))
    found = sweep(
        {"lr": (0.1, 0.2)}, lambda lr: steep.Trainer(net, "cross_entropy", optimizers.SGD(lr))
    )
    errors = [row["error"] for row in found.rows if "error" in row]
    assert len(errors) == 1
    assert "another member's network" in errors[0]


def test_settings_of_fit_are_swept_too():
    """Batch size and epochs are hyper-parameters (row 57)."""
    found = sweep({"batch_size": (8, 30), "epochs": (2, 3)}, lambda: make(0.01, 4, 0))
    for row, trainer in zip(found.rows, found.trainers, strict=True):
        alone = make(0.01, 4, 0)
        alone.fit(X, Y, epochs=row["epochs"], batch_size=row["batch_size"], progress=False)
        assert weights(alone) == weights(trainer)
        assert trainer.epoch == row["epochs"]


def test_make_trainer_may_take_a_dict():
    found = sweep(made=lambda given: make(**given))
    assert found.rows == sweep().rows
    both = sweep({"units": (4, 8), "batch_size": (8,)}, lambda s: make(0.1, s["units"], 0))
    assert not [row for row in both.rows if "error" in row]

    def anything(**given):
        assert set(given) == set(SPACE)
        return make(**given)

    assert sweep(made=anything).rows == found.rows


def test_each_member_has_its_own_callbacks():
    stop = callbacks.EarlyStopping("val_loss", patience=2)
    found = sweep(epochs=30, callbacks=[stop])
    assert not hasattr(stop, "seen")
    assert stop.best_epoch == -1
    for row, trainer in zip(found.rows, found.trainers, strict=True):
        alone = make(*(row[name] for name in SPACE))
        own = callbacks.EarlyStopping("val_loss", patience=2)
        alone.fit(
            X, Y, epochs=30, batch_size=16, validation=HELD, callbacks=[own], progress=False
        )  # fmt: skip
        assert weights(alone) == weights(trainer)
        assert row["epochs"] == alone.epoch
    assert len({row["epochs"] for row in found.rows}) > 1


class Cut:
    """Interrupts the sweep once so many epochs of all members are done."""

    def __init__(self, after):
        self.left, self.lock = after, threading.Lock()

    def __deepcopy__(self, memo):
        return self

    def on_epoch_end(self):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 7, 20, 40])
@pytest.mark.parametrize("method", ["random", "halving"])
def test_an_interrupted_sweep_resumes_to_the_same_bytes(method, after, tmp_path, monkeypatch):
    monkeypatch.setattr("steep.lab.members.PAUSE", 0.0)
    options = {"method": method, "epochs": 9, "eta": 3, "n": 9}
    whole = sweep(**options)
    made = []

    def counted(lr, units, seed):
        made.append((lr, units, seed))
        return make(lr, units, seed)

    trained = 9 * 9 if method == "random" else 9 + 3 * 2 + 6
    try:
        sweep(made=counted, path=tmp_path, callbacks=[Cut(after)], **options)
        assert after > trained
    except KeyboardInterrupt:
        assert after <= trained
    first = list(made)
    options["callbacks"] = [Cut(10**9)]
    resumed = sweep(made=counted, path=tmp_path, **options)
    assert resumed.rows == whole.rows
    assert [weights(t) for t in resumed.trainers] == [weights(t) for t in whole.trainers]
    assert resumed.order == whole.order
    again = made[len(first) :]
    assert len(made) - len(set(made)) <= 2  # those that had no whole epoch begin anew
    assert len(again) < 9
    made.clear()
    assert sweep(made=counted, path=tmp_path, **options).rows == whole.rows
    assert not made


def test_ctrl_c_stops_all_members_and_the_sweep_resumes(tmp_path):
    """The signal reaches the thread that waits for the members, wherever they are."""
    pressed = []

    class Press:
        def __deepcopy__(self, memo):
            return self

        def on_epoch_end(self):
            if not pressed:
                pressed.append(True)
                _thread.interrupt_main()

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        sweep(path=tmp_path, epochs=300, callbacks=[Press()])
    for _ in range(500):  # nobody trains on; a thread that just began may still be leaving
        if threading.active_count() == before:
            break
        time.sleep(0.01)
    assert threading.active_count() == before
    found = sweep(path=tmp_path, epochs=300, callbacks=[Press()])
    assert found.rows == sweep(epochs=300).rows


def test_a_trainer_that_no_file_holds_begins_anew(tmp_path):
    def unsaved(lr, units, seed):
        trainer = make(lr, units, seed)
        trainer.lr = lambda step: lr / (1 + step)
        return trainer

    whole = sweep(made=unsaved)
    with pytest.raises(KeyboardInterrupt):
        sweep(made=unsaved, path=tmp_path, callbacks=Cut(19))
    found = sweep(made=unsaved, path=tmp_path, callbacks=Cut(1000))
    assert found.rows == whole.rows


def test_a_folder_of_another_sweep_is_refused(tmp_path):
    sweep(path=tmp_path, n=2)
    with pytest.raises(ValueError, match="holds a sweep with another n, epochs; name a new"):
        sweep(path=tmp_path, n=3, epochs=5)
    with pytest.raises(ValueError, match="another data"):
        lab.sweep(
            make, SPACE, X + 1, Y, epochs=4, batch_size=16, validation=HELD, n=2, path=tmp_path
        )  # fmt: skip
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        sweep(path=tmp_path, n=2)


def test_trainers_are_kept_or_not():
    assert all(t is not None for t in sweep(n=4).trainers)
    for method in ("random", "halving"):
        lean = sweep(n=9, keep=False, method=method, epochs=9)
        assert lean.rows == sweep(n=9, method=method, epochs=9).rows
        assert sum(t is not None for t in lean.trainers) == (method == "halving")


def test_the_score_may_be_any_metric():
    low = sweep(score="loss")
    assert low.mode == "min"
    assert low.best["loss"] == min(row["loss"] for row in low.rows)
    worst = sweep(score="val_accuracy", mode="min")
    assert worst.best["val_accuracy"] == min(row["val_accuracy"] for row in worst.rows)
    with pytest.raises(ValueError, match="nothing measures 'f1'; measured are epochs, loss"):
        sweep(score="f1")


def test_tables_show_every_setting_and_metric():
    found = sweep(n=11)
    text, page = repr(found), found._repr_html_()
    for name in (*SPACE, "val_accuracy", "loss", "epochs"):
        assert name in text
        assert f"<th>{name}</th>" in page
    assert page.count("<tr>") == 12
    assert "and 1 more" in text
    lines = text.splitlines()
    scores = [float(line.split()[-1]) for line in lines[2:-1]]
    assert scores == sorted(scores, reverse=True)


REFUSED = {
    "no function": ({"made": 3}, TypeError, "make_trainer must be a function"),
    "name": ({"space": {"rate": (1,)}}, TypeError, "'rate' is neither an argument of make_trainer"),
    "column": ({"space": {"error": (1,)}}, ValueError, "'error' cannot be an argument"),
    "epochs": (
        {"space": {"epochs": (1, 2)}, "method": "halving"}, ValueError, "'epochs' cannot be",
    ),
    "part of a grid": ({"method": "grid", "n": 3}, ValueError, "a grid has all 12 choices, n=3"),
    "n": ({"n": 0}, ValueError, "n must be"),
    "workers": ({"workers": 0}, ValueError, "workers must be"),
    "fit": ({"bath_size": 3}, ValueError, 'did you mean "batch_size"'),
    "method": ({"method": "bayes"}, ValueError, "unknown method"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_arguments_are_refused(case):
    given, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words):
        sweep(**given)


def test_the_grid_goes_through_the_last_axis_first():
    seen = []
    strategies.grid(strategies.Space((2, 3), 0), lambda choices, epochs: seen.extend(choices), 1)
    assert seen == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_the_picture_shows_every_member():
    pytest.importorskip("matplotlib")
    space = SPACE | {"kind": ("adam", "sgd")}

    def kinds(lr, units, seed, kind):
        trainer = make(lr, units, seed)
        if kind == "sgd" and lr == 0.1:
            raise RuntimeError
        return trainer

    found = sweep(space, kinds)
    parallel, *against = found.plot().axes
    good = [row for row in found.rows if "error" not in row]
    assert [t.get_text() for t in parallel.get_xticklabels()] == [*space, "val_accuracy"]
    lines = [line for line in parallel.lines if len(line.get_xdata()) == len(space) + 1]
    assert len(lines) == len(good)
    ends = sorted(line.get_ydata()[-1] for line in lines)
    scores = np.array(sorted(row["val_accuracy"] for row in good))
    np.testing.assert_allclose(ends, (scores - scores[0]) / (scores[-1] - scores[0]))
    for panel, name in zip(against, space, strict=True):
        assert panel.get_xlabel() == name
        points, failed = panel.lines
        assert points.get_ydata().tolist() == [row["val_accuracy"] for row in good]
        assert len(failed.get_xdata()) == len(found.rows) - len(good) == 4
        if name in ("lr", "units"):
            assert points.get_xdata().tolist() == [row[name] for row in good]
    assert against[0].get_xscale() == "log"
    assert [t.get_text() for t in against[3].get_xticklabels()] == ["adam", "sgd"]
    assert against[0].get_ylabel() == "val_accuracy"


def test_schedules_of_each_member_are_its_own():
    found = sweep(
        {"start": (0.1, 0.2)},
        lambda start: steep.Trainer(
            steep.Sequential(layers.Dense(2)),
            "cross_entropy",
            optimizers.SGD(schedules.Exponential(start, 0.1)),
        ),
    )
    rates = [trainer.history.history["lr"][-1] for trainer in found.trainers]
    steps = 4 * math.ceil(90 / 16)
    assert rates == pytest.approx([s * math.exp(-0.1 * (steps - 1)) for s in (0.1, 0.2)])
