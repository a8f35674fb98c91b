"""What `fit` shows on a terminal of 80 columns: lines of epochs that stay, a bar that goes."""

import os
import re
import struct
import subprocess
import sys

import pytest

pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))

PROGRAM = """
import time
import numpy as np, steep
X = np.random.default_rng(0).normal(size=(400, 8)).astype("float32")
y = (X[:, 0] > 0).astype(int)
net = steep.Sequential(steep.layers.Dense(16, "relu"), steep.layers.Dense(2))

class Slow:
    def on_step_end(self, step):
        time.sleep(0.02)

trainer = steep.Trainer(net, "cross_entropy", "adam", seed=0)
trainer.fit(X, y, epochs={epochs}, batch_size=16, validation=(X, y), callbacks={callbacks})
print("done")
"""


def shown(epochs, callbacks, columns=80):
    """Return what a terminal was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    code = PROGRAM.format(epochs=epochs, callbacks=callbacks)
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    run = subprocess.Popen([sys.executable, "-c", code], env=environment, **streams)
    os.close(theirs)
    sent = b""
    try:
        while part := os.read(ours, 4096):
            sent += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert run.wait(timeout=60) == 0
    return sent.decode()


def stays(text):
    """Return the lines that a terminal ends with."""
    return [line.split("\r")[-1].rstrip() for line in text.replace("\r\n", "\n").split("\n")]


def test_epochs_stay_with_their_validation_numbers_and_nothing_is_wider_than_the_terminal():
    text = shown(3, "[Slow()]")
    lines = [line for line in stays(text) if line]
    form = (
        r"epoch {}/3  loss \d\.\d{{4}}  accuracy \d\.\d{{4}}  val_loss \d\.\d{{4}}  val_accuracy .*"
    )
    assert len(lines) == 4
    assert lines[-1] == "done"
    for number, line in enumerate(lines[:-1], 1):
        assert re.fullmatch(form.format(number), line), line
    drawn = re.split(r"[\r\n]+", text)
    assert max(map(len, drawn)) <= 80
    running = [line for line in drawn if line.startswith("epoch 2/3") and "left" in line]
    assert any("loss" in line and "accuracy" in line for line in running)


def test_many_short_epochs_do_not_flood():
    lines = [line for line in stays(shown(300, "[]")) if line]
    assert len(lines) < 40
    assert lines[-2].startswith("epoch 300/300")
