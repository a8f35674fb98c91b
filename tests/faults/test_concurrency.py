"""Several Python threads on one network: each gets its own result. Rows F2, F19, F22, F24, F3."""

import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import steep
from steep import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 12)).astype(np.float32)
Y = np.argmax(X[:, :4], axis=1)


def net():
    return steep.Sequential(
        layers.Dense(37, "sigmoid"), layers.Dense(20, "tanh"), layers.Dense(4)
    ).build(12, seed=2)


def trainer(of=None, **options):
    return steep.Trainer(of or net(), "cross_entropy", "adam", seed=1, **options)


def all_at_once(*calls):
    """Run every call in a thread of its own, begun together; return what they return."""
    gate, found = threading.Barrier(len(calls)), [None] * len(calls)

    def run(k, call):
        gate.wait()
        try:
            found[k] = call()
        except BaseException as error:
            found[k] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    for error in found:
        if isinstance(error, BaseException):
            raise error
    return found


@pytest.mark.parametrize("what", ["predict", "evaluate", "gradients"])
def test_f2_every_caller_gets_its_own_result(what):
    """Eight threads, other rows and another batch size each, many times."""
    of = net()
    t = trainer(of)
    many, labels = np.tile(X, (12, 1)), np.tile(Y, 12)
    ends = [k + 900 + 170 * k for k in range(8)]
    parts = [(many[k:end], labels[k:end], 1 + 113 * k) for k, end in enumerate(ends)]

    def call(x, y, size):
        if what == "predict":
            return of.predict(x, batch_size=size).tobytes()
        if what == "evaluate":
            return t.evaluate(x, y, batch_size=size)
        loss, found = t.gradients(x, y)
        return loss, {name: value.tobytes() for name, value in found.items()}

    serial = [call(*part) for part in parts]

    def often(k):
        return all(call(*parts[k]) == serial[k] for _ in range(30))

    assert all_at_once(*(lambda k=k: often(k) for k in range(8))) == [True] * 8


def test_f2_predictions_are_of_one_moment_while_another_thread_trains():
    """Each equals the serial one of the weights between two of the steps."""
    of = net()
    t = trainer(of)
    moments = [{name: value.copy() for name, value in of.state_dict().items()}]
    done = threading.Event()

    class Keep:
        every = 1

        def on_step_end(self):
            moments.append(of.state_dict())

    def train():
        try:
            t.fit(X, Y, epochs=6, batch_size=40, callbacks=[Keep()], progress=False)
        finally:
            done.set()

    def predict(k):
        seen = set()
        while not done.is_set():
            seen.add(of.predict(X[k : k + 20]).tobytes())
        return seen

    _, *found = all_at_once(train, *(lambda k=k: predict(k) for k in range(4)))
    fresh = net()
    for k, seen in enumerate(found):
        known = set()
        for state in moments:
            fresh.load_state_dict(state)
            known.add(fresh.predict(X[k : k + 20]).tobytes())
        assert seen <= known


def test_f19_a_checkpoint_saved_meanwhile_is_whole(tmp_path):
    """It is one that the training itself would have written after as many steps."""
    t = trainer()
    t.step(X[:8], Y[:8])
    done = threading.Event()
    steps = []

    def train():
        try:
            t.fit(X, Y, epochs=400, batch_size=32, progress=False)
        finally:
            done.set()

    def save():
        for k in range(25):
            t.save(tmp_path / f"{k}")
            time.sleep(0.002)
        return True

    all_at_once(train, save)
    for k in range(0, 25, 4):
        again = steep.Trainer.load(tmp_path / f"{k}")
        steps.append(again.steps)
        assert len(again.history.steps["loss"]) == again.steps
        assert len(again.history) == again.epoch
        u = trainer()
        u.step(X[:8], Y[:8])
        if again.steps > 1:
            stop = type("Stop", (), {"every": again.steps, "on_step_end": lambda self: "stop"})
            u.fit(X, Y, epochs=400, batch_size=32, callbacks=[stop()], progress=False)
        for name, value in u.net.state_dict().items():
            np.testing.assert_array_equal(value, again.net.state_dict()[name])
        for slot in u._run.session().slots:
            for name in u.net.state_dict():
                np.testing.assert_array_equal(
                    u._run.session().get_slot(slot, name), again._run.session().get_slot(slot, name)
                )
    assert len(set(steps)) > 1


def test_two_fits_of_one_trainer_are_one_and_a_refusal():
    t = trainer()
    inside, leave = threading.Event(), threading.Event()

    class Wait:
        def on_epoch_end(self):
            inside.set()
            leave.wait(30)

    thread = threading.Thread(
        target=lambda: t.fit(X, Y, epochs=1, callbacks=[Wait()], progress=False)
    )
    thread.start()
    assert inside.wait(30)
    before = t.net.state_dict()
    for call in (lambda: t.fit(X, Y, progress=False), lambda: t.step(X[:5], Y[:5])):
        with pytest.raises(RuntimeError, match="another thread while a fit or step"):
            call()
    t.evaluate(X, Y)
    assert t.steps == 13
    for name, value in t.net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    leave.set()
    thread.join()
    t.fit(X, Y, progress=False)
    assert t.epoch == 2


def test_two_trainers_of_one_network_train_it_in_turn():
    """No step is lost: w += lr of each, from a gradient that is always -1."""
    of = steep.Sequential(layers.Dense(1, use_bias=False, init=0.0)).build(1)
    ones = np.ones((64, 1), np.float32)
    rate = 2.0**-10
    pair = [steep.Trainer(of, "mae", steep.optimizers.SGD(rate)) for _ in range(2)]
    all_at_once(
        *(
            lambda t=t: t.fit(ones, 1e6 * ones, epochs=50, batch_size=1, progress=False)
            for t in pair
        )
    )
    assert of.state_dict()["dense.weight"].item() == 2 * 50 * 64 * rate


SMALL = """
    import resource, sys
    import numpy as np, steep
    from steep import layers
    X = np.ones((64, 64), np.float32)
    y = np.zeros(64, np.int64)
    net = steep.Sequential(layers.Dense(256, "relu"), layers.Dense(2))
    t = steep.Trainer(net, "cross_entropy", "adam")
    big = np.ones((200_000, 64), np.float32)
    labels = np.zeros(len(big), np.int64)
    class Greedy:
        def on_epoch_end(self, trainer):
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), -1))
            try:
                trainer.gradients(big, labels)
                sys.exit("it fitted")
            except MemoryError:
                print("refused")
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    t.fit(X, y, epochs=3, batch_size=16, callbacks=[Greedy()], progress=False)
    print(t.steps, len(t.gradients(X, y)[1]))
"""


def test_f22_a_plan_that_does_not_fit_leaves_the_one_there_is():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SMALL)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused"] * 3 + ["12", "4"]


LEAVING = """
    import sys, threading, time
    import numpy as np, steep
    from steep import layers
    net = steep.Sequential(layers.Dense(512, "relu"), layers.Dense(512), layers.Dense(4)).build(64)
    X = np.ones((5000, 64), np.float32)
    y = np.zeros(5000, np.int64)
    t = steep.Trainer(net, "cross_entropy", "adam")
    def train():
        t.fit(X, y, epochs=10**6, progress=False)
    def predict():
        while True:
            net.predict(X)
    works = {"train": [train], "predict": [predict, predict], "both": [train, predict]}
    for work in works[sys.argv[1]]:
        threading.Thread(target=work, daemon=True).start()
    time.sleep(float(sys.argv[2]))
    print("leaving", flush=True)
"""


@pytest.mark.parametrize("work", ["train", "predict", "both"])
def test_f24_a_daemon_thread_at_work_does_not_abort_the_exit(work):
    for delay in (0.05, 0.11, 0.2):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(LEAVING), work, str(delay)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stdout.strip()) == (0, "leaving"), done.stderr


def test_f3_another_precision_is_told_to_every_trainer():
    of = net()
    first = trainer(of)
    first.fit(X, Y, progress=False)
    second = trainer(of, precision="float64")
    second.fit(X, Y, progress=False)
    with pytest.raises(RuntimeError, match=r"converted|built again"):
        first.fit(X, Y, progress=False)
    of._convert("float32")
    for old in (first, second):
        with pytest.raises(RuntimeError, match=r"converted|built again"):
            old.fit(X, Y, progress=False)
    fresh = trainer(of)
    before = of.state_dict()
    fresh.fit(X, Y, progress=False)
    assert any((value != before[name]).any() for name, value in of.state_dict().items())
