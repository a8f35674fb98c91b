"""Signals, handlers and other threads in the middle of a training. Rows F6 and F39."""

import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import steep
from quick import X, Y, bytes_of, fit, net, on, trainer
from stopping import StopError


@pytest.mark.parametrize("delay", [0.02, 0.051, 0.08, 0.1003])
def test_f6_a_handler_that_raises_leaves_weights_and_counters_of_one_step(delay):
    """After so much work of this process, whatever else the machine does meanwhile."""
    wide = np.tile(X, (20, 1))
    labels = np.tile(Y, 20)

    def alarm(*_):
        raise StopError

    before = signal.signal(signal.SIGPROF, alarm)
    t = trainer("adam", of=net(64))
    try:
        signal.setitimer(signal.ITIMER_PROF, delay)
        with pytest.raises(StopError):
            t.fit(wide, labels, epochs=10**6, batch_size=32, progress=False)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    steps = t.steps
    assert len(t.history.steps["loss"]) == steps > 0
    assert np.isfinite(t.history.steps["loss"]).all()
    assert len(t.history) == t.epoch
    assert steps == 60 * t.epoch + t._run.session().progress["batch"]
    exact = trainer("adam", of=net(64))
    with pytest.raises(StopError):
        exact.fit(
            wide, labels, epochs=10**6, batch_size=32, progress=False,
            callbacks=[on(every=steps, on_step_end=lambda: (_ for _ in ()).throw(StopError))],
        )  # fmt: skip
    assert bytes_of(t) == bytes_of(exact)
    assert t.history.steps["loss"] == exact.history.steps["loss"]


LONG = """
    import os, signal, sys, threading, time
    import numpy as np, steep
    from steep import layers
    rows = int(sys.argv[2])
    X = np.ones((rows, 512), np.float32)
    y = np.zeros(rows, np.int64)
    net = steep.Sequential(layers.Dense(4096, "relu"), layers.Dense(4096, "relu"), layers.Dense(2))
    net.build(512)
    t = steep.Trainer(net, "cross_entropy", "sgd")
    t.step(X[:2], y[:2])
    before = {k: v.tobytes() for k, v in net.state_dict().items()}
    call = {
        "predict": lambda: net.predict(X), "evaluate": lambda: t.evaluate(X, y),
        "step": lambda: t.step(X, y), "gradients": lambda: t.gradients(X, y),
        "fit": lambda: t.fit(X, y, batch_size=rows, progress=False),
        "validation": lambda: t.fit(X[:9], y[:9], validation=(X, y), progress=False),
    }[sys.argv[1]]
    pressed = []
    def press():
        pressed.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(0.4, press)
    timer.start()
    try:
        call()
        timer.cancel()
        sys.exit("" if pressed else print("not interrupted"))
    except KeyboardInterrupt:
        print(time.process_time() - pressed[0])
    if sys.argv[1] != "validation":
        assert {k: v.tobytes() for k, v in net.state_dict().items()} == before
        assert t.steps == 1
"""


@pytest.mark.parametrize("call", ["predict", "evaluate", "step", "gradients", "fit", "validation"])
def test_f39_ctrl_c_is_heard_within_a_long_call(call):
    for rows in (4_000, 16_000):  # of seconds of work on any machine
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(LONG), call, str(rows)],
            capture_output=True, text=True, check=False,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if done.stdout.strip() != "not interrupted":
            break
    # Time of all processors: 0.2 s is the aim, caches that others use may double it.
    assert float(done.stdout) < 0.2 * 2 * steep.info()["threads"]


def test_f39_a_handler_that_does_not_raise_leaves_the_result_whole():
    wide = np.random.default_rng(2).normal(size=(30_000, 6)).astype(np.float32)
    of = net(256, 256).build(6)
    want = of.predict(wide)
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.05)
        for _ in range(3):
            np.testing.assert_array_equal(of.predict(wide), want)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, before)


def test_history_may_be_read_while_another_thread_trains():
    t = trainer(of=net(32))
    done = threading.Event()

    def train():
        try:
            fit(t, epochs=400)
        finally:
            done.set()

    thread = threading.Thread(target=train)
    thread.start()
    while not done.is_set():
        assert len(t.history) <= t.epoch
        t.history.steps["loss"][:3]
    thread.join()
    alone = fit(trainer(of=net(32)), epochs=400)
    assert t.history.steps["loss"] == alone.history.steps["loss"]
    assert t.history.history["loss"] == alone.history.history["loss"]


@pytest.mark.parametrize("hook", ["on_step_end", "on_train_end"])
def test_ctrl_c_at_the_very_end_is_heard(hook):
    def press():
        signal.raise_signal(signal.SIGINT)
        return "stop"

    t = trainer()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(t, on(**{hook: press}))
    finally:
        signal.signal(signal.SIGINT, before)
    assert t.steps == (1 if hook == "on_step_end" else 6)
    fit(t)


def test_losses_that_a_handler_kept_from_the_history_are_there_later():
    t = fit(trainer())
    record = t._run.record
    t._run.record = lambda: (_ for _ in ()).throw(StopError)
    with pytest.raises(StopError):
        fit(t)
    t._run.record = record
    t.step(X, Y)
    assert np.isfinite(t.history.steps["loss"]).all()
    assert len(t.history.steps["loss"]) == t.steps
