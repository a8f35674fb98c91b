"""Law 4: stopped at any step, by an error or by SIGKILL, and resumed: the same bytes as never."""

import os
import signal
import subprocess
import sys
import time

import cases
import numpy as np
import pytest
import steep
from own_layers import Ladder
from steep import callbacks, layers, optimizers
from stopping import StopAt, StopError

BATCHES = 5


def fit(trainer, case, called=(), epochs=3):
    X, y = case.data()
    validation = case.data(samples=50, seed=9)
    trainer.fit(
        X, y, epochs=epochs, batch_size=case.batch, validation=validation, callbacks=list(called),
        progress=False,
    )  # fmt: skip
    return trainer


def small(rule="adam", **options):
    body = cases.NETWORKS["dropout"].body
    return cases.Case(body, 12, 3, samples=130, batch=30, rule=rule, options=options)


def saved(trainer, path):
    trainer.save(path)
    return path.read_bytes()


def stopped_at(step, case, path):
    with pytest.raises(StopError):
        fit(case.trainer(), case, [StopAt(step, path)])
    return steep.Trainer.load(path)


@pytest.mark.parametrize("rule", ["adam", "rmsprop_nesterov", "scheduled"])
@pytest.mark.parametrize("step", range(1, 3 * BATCHES + 1))
def test_stopped_after_any_step(step, rule, tmp_path):
    case = small(rule, l2=1e-3)
    whole = fit(case.trainer(), case)
    resumed = stopped_at(step, case, tmp_path / "stop")
    assert resumed.steps == step
    fit(resumed, case)
    assert resumed.epoch == 3
    assert saved(resumed, tmp_path / "b") == saved(whole, tmp_path / "a")


@pytest.mark.parametrize("precision", cases.PRECISIONS)
@pytest.mark.parametrize("rule", cases.RULES)
def test_every_rule(rule, precision, tmp_path):
    case = small(rule, precision=precision, clip_norm=0.5)
    whole = fit(case.trainer(), case)
    resumed = stopped_at(8, case, tmp_path / "stop")
    fit(resumed, case)
    assert saved(resumed, tmp_path / "b") == saved(whole, tmp_path / "a")


@pytest.mark.parametrize("name", cases.NETWORKS)
def test_every_network(name, tmp_path):
    case = cases.NETWORKS[name]
    X, y = case.data()

    def go(trainer, called=()):
        trainer.fit(
            X, y, epochs=2, batch_size=case.batch, progress=False, callbacks=list(called)
        )  # fmt: skip
        return trainer

    whole = go(case.trainer())
    with pytest.raises(StopError):
        go(case.trainer(), [StopAt(4, tmp_path / "stop")])
    known = {"Ladder": Ladder}
    with steep.threads(3):
        resumed = go(steep.Trainer.load(tmp_path / "stop", custom_objects=known))
    assert saved(resumed, tmp_path / "b") == saved(whole, tmp_path / "a")


def test_stopped_many_times(tmp_path):
    case = small()
    whole = fit(case.trainer(), case)
    trainer = case.trainer()
    for step in (1, 2, 5, 6, 11):
        with pytest.raises(StopError):
            fit(trainer, case, [StopAt(step, tmp_path / "stop")])
        trainer = steep.Trainer.load(tmp_path / "stop")
    assert saved(fit(trainer, case), tmp_path / "b") == saved(whole, tmp_path / "a")


def test_the_network_need_not_be_reloaded_to_go_on(tmp_path):
    """After an error the very trainer goes on within the epoch."""
    case = small()
    whole = fit(case.trainer(), case)
    trainer = case.trainer()
    with pytest.raises(StopError):
        fit(trainer, case, [StopAt(7, tmp_path / "stop")])
    fit(trainer, case, epochs=2)  # the epoch in progress and the one after it
    want = whole.net.state_dict()
    assert {k: v.tobytes() for k, v in trainer.net.state_dict().items()} == {
        k: v.tobytes() for k, v in want.items()
    }


def test_schedules_and_early_stopping_go_on_where_they_stood(tmp_path):
    case = small(
        optimizer=optimizers.Adam(lr=steep.schedules.OneCycle(0.5, 40), beta1=[0.5, 0.8, 0.9])
    )
    early = {"monitor": "val_loss", "patience": 2}

    def go(trainer, *more):
        return fit(trainer, case, [callbacks.EarlyStopping(**early), *more], epochs=12)

    whole = go(case.trainer())
    assert whole.epoch < 12, "the case must stop early"
    for step in (3, 12, whole.steps - 1):
        with pytest.raises(StopError):
            go(case.trainer(), StopAt(step, tmp_path / "stop"))
        resumed = go(steep.Trainer.load(tmp_path / "stop"))
        assert resumed.epoch == whole.epoch
        assert saved(resumed, tmp_path / "b") == saved(whole, tmp_path / "a")


SCRIPT = """
import os, signal, sys
import numpy as np
import steep
from steep import callbacks, layers

path, death = sys.argv[1], int(sys.argv[2])

class Die:
    def on_step_end(self, step):
        if step == death:
            os.kill(os.getpid(), signal.SIGKILL)

random = np.random.default_rng(0)
X, y = random.standard_normal((500, 784)).astype("f4"), random.integers(0, 10, 500)
if os.path.exists(path):
    trainer = steep.Trainer.load(path)
    print("resumed at", trainer.steps, flush=True)
else:
    net = steep.Sequential(layers.Dense(128, "relu"), layers.Dropout(0.2), layers.Dense(10))
    trainer = steep.Trainer(net, "cross_entropy", "adam", seed=1)
    print("began", flush=True)
trainer.fit(X, y, epochs=4, batch_size=64, progress=False,
            callbacks=[Die(), callbacks.Checkpoint(path, every=5)])
"""


def run(path, death):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), str(death)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The last checkpoint of a run that nobody killed."""
    path = tmp_path_factory.mktemp("whole") / "file"
    done = run(path, 0)
    assert done.returncode == 0, done.stderr
    return path.read_bytes()


def test_killed_between_checkpoints(whole, tmp_path):
    """SIGKILL at step 13, and again at 24; each time the last checkpoint is 5 steps old or less."""
    killed = tmp_path / "killed"
    first = run(killed, 13)
    assert first.returncode == -signal.SIGKILL
    assert first.stdout == "began\n"
    second = run(killed, 24)
    assert second.returncode == -signal.SIGKILL
    assert second.stdout == "resumed at 10\n"
    last = run(killed, 0)
    assert last.returncode == 0, last.stderr
    assert last.stdout == "resumed at 20\n"
    assert killed.read_bytes() == whole


def test_killed_at_any_moment(whole, tmp_path):
    """From outside, wherever it is just then, writing the checkpoint included."""
    killed = tmp_path / "killed"
    for delay in (0.0, 0.005, 0.02):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(killed), "0"], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert run(killed, 0).returncode == 0
    assert killed.read_bytes() == whole


def test_a_resumed_run_reads_the_same_samples(tmp_path):
    """The order is a function of the place in the training, not of what was drawn before."""
    X = np.arange(40, dtype=np.float32)[:, None]
    y = X.copy()
    seen = []
    for stop in (None, 13):
        net = steep.Sequential(layers.Dense(1, init="zeros")).build(1)
        trainer = steep.Trainer(net, "mse", optimizers.SGD(0.0), seed=4)
        if stop:
            with pytest.raises(StopError):
                trainer.fit(
                    X, y, epochs=3, batch_size=4, progress=False,
                    callbacks=[StopAt(stop, tmp_path / "stop")],
                )  # fmt: skip
            trainer = steep.Trainer.load(tmp_path / "stop")
        trainer.fit(X, y, epochs=3, batch_size=4, progress=False)
        seen.append(trainer.history.steps["loss"])  # of zero weights: the mean of squared targets
    assert seen[0] == seen[1]
    assert len(set(seen[0])) > 20
