"""What `fit` shows on a terminal of 80 columns and in notebooks: lines that stay, a bar."""

import functools
import json
import os
import re
import struct
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from steep.training import curve

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
"""
FIT = (
    NOTEBOOK
    + """
history = trainer.fit(X, y, epochs=200, validation=(X, y))
history
"""
)
ENDLESS = (
    NOTEBOOK
    + """
import os, signal, threading
threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()  # as notebooks interrupt
history = trainer.fit(X, y, epochs=10**7)
history
"""
)


@functools.cache
def cell(code):
    """Return what a kernel of Jupyter, started as notebooks start it, sent for a cell, by kind."""
    pytest.importorskip("ipykernel")
    program = (
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
        [sys.executable, "-c", program, code], capture_output=True, text=True, check=True
    )
    sent = {}
    for kind, content in json.loads(run.stdout):
        sent.setdefault(kind, []).append(content)
    return sent


def curve_of(sent):
    """Return the picture a cell ends with, and how often it was drawn."""
    (first,) = sent["display_data"]
    drawn = sent.get("update_display_data", [])
    assert {one["transient"]["display_id"] for one in (first, *drawn)} == {
        first["transient"]["display_id"]
    }
    pictures = [one["data"]["image/svg+xml"] for one in drawn]
    return ElementTree.fromstring(pictures[-1]) if pictures else None, len(pictures)


def test_a_cell_of_a_notebook_keeps_some_epochs_and_shows_tables():
    sent = cell(FIT)
    assert "error" not in sent
    text = "".join(content["text"] for content in sent["stream"])
    lines = [line for line in stays(text) if line]
    assert len(lines) < 40
    assert re.match(r"epoch 1/200 +loss .* +val_loss \d", lines[0])
    assert re.match(r"epoch 200/200 +loss .* +val_loss \d", lines[-1])
    assert max(map(len, re.split(r"[\r\n]+", text))) <= 80
    (shown,) = [content["data"] for content in sent["execute_result"]]
    assert shown["text/plain"].startswith("History(200 epochs")
    assert "<table>" in shown["text/html"]


def test_a_cell_of_a_notebook_draws_one_curve_in_its_place():
    picture, count = curve_of(cell(FIT))
    assert count < 40
    words = [node.text for node in picture.iterfind(".//{*}text")]
    assert [word for word in words if word in ("loss", "accuracy")] == ["loss", "accuracy"]
    assert words.count("training") == words.count("validation") == 2
    assert words.count("1") >= 1
    assert words.count("200") == 2  # epochs
    lines = [node.get("points").split() for node in picture.iterfind(".//{*}polyline")]
    assert [len(line) for line in lines] == [200] * 4


def test_an_interrupted_cell_keeps_its_curve():
    sent = cell(ENDLESS)
    (said,) = sent["error"]
    assert said["ename"] == "KeyboardInterrupt"
    picture, count = curve_of(sent)
    assert 1 <= count < 12
    assert all(
        len(node.get("points").split()) <= 240 for node in picture.iterfind(".//{*}polyline")
    )


def test_curves_of_any_numbers():
    """Of one epoch, equal ones, none that is finite, very many: a picture or nothing."""
    nan, inf = float("nan"), float("inf")
    for loss in ([1.0], [2.0] * 5, [nan, inf], [inf, 3.0, nan], [0.0, 0.0], [1e300, -1e300]):
        for held in ([], [nan] * len(loss), [7.0] * len(loss)):
            picture = ElementTree.fromstring(curve.svg({"loss": loss, "val_loss": held}))
            for node in picture.iterfind(".//{*}polyline"):
                places = [pair.split(",") for pair in node.get("points").split()]
                assert all(0 <= float(x) <= 320 and 0 <= float(y) <= 180 for x, y in places)
    long = ElementTree.fromstring(curve.svg({"loss": [k % 7 for k in range(100_000)]}, first=5))
    (line,) = long.iterfind(".//{*}polyline")
    assert len(line.get("points").split()) == curve.MOST
    assert {"6", "100005"} <= {node.text for node in long.iterfind(".//{*}text")}
