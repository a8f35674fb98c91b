"""What `fit` shows on a terminal of 80 columns and in notebooks: lines that stay, a bar."""

import json
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


NOTEBOOK = """
import numpy as np, steep
X = np.random.default_rng(0).normal(size=(2000, 8)).astype("float32")
y = (X[:, 0] > 0).astype(int)
net = steep.Sequential(steep.layers.Dense(16, "relu"), steep.layers.Dense(2))
trainer = steep.Trainer(net, "cross_entropy", "adam", seed=0)
history = trainer.fit(X, y, epochs=200, validation=(X, y))
history
"""


def test_a_cell_of_a_notebook_keeps_some_epochs_and_shows_tables():
    """In a kernel of Jupyter, started as notebooks start it."""
    pytest.importorskip("ipykernel")
    code = (
        "import json, sys\n"
        "from jupyter_client.manager import start_new_kernel\n"
        "manager, client = start_new_kernel(startup_timeout=60)\n"
        "sent = []\n"
        "hook = lambda message: sent.append((message['msg_type'], message['content']))\n"
        "client.execute_interactive(sys.argv[1], output_hook=hook, timeout=60)\n"
        "client.stop_channels()\n"
        "manager.shutdown_kernel(now=True)\n"
        "print(json.dumps(sent))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, NOTEBOOK], capture_output=True, text=True, check=True
    )
    sent = json.loads(run.stdout)
    assert not [content for kind, content in sent if kind == "error"]
    text = "".join(content["text"] for kind, content in sent if kind == "stream")
    lines = [line for line in stays(text) if line]
    assert len(lines) < 40
    assert re.match(r"epoch 1/200 +loss .* +val_loss \d", lines[0])
    assert re.match(r"epoch 200/200 +loss .* +val_loss \d", lines[-1])
    assert max(map(len, re.split(r"[\r\n]+", text))) <= 80
    (shown,) = [content["data"] for kind, content in sent if kind == "execute_result"]
    assert shown["text/plain"].startswith("History(200 epochs")
    assert "<table>" in shown["text/html"]
