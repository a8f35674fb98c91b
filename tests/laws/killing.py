"""Law 8: a script that is killed at any moment and started again ends on the same bytes.

A process that has imported steep and nothing more forks for every start: it takes milliseconds.
"""

import base64
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import own_layers
import steep
from laws.playing import Broken, Skip, play, start, trace
from steep import callbacks

TESTS = str(Path(__file__).resolve().parent.parent)
NURSERY = f"import sys; sys.path.insert(0, {TESTS!r}); from laws import killing; killing.serve()"
STARTS = 200  # a script that is not done by then does not get on


class Slow:
    """A step takes a little while, so that a kill meets every stage of it."""

    def on_step_end(self, trainer):
        time.sleep(0.001)


def killing(case):
    """The script of the guide, killed at random moments until it is done."""
    if "lambda" in case.text:
        raise Skip("a function cannot be saved")
    if not any(deed.kind == "fit" for deed in case.script):
        raise Skip("no fit")
    random = np.random.default_rng([case.seed, 8])
    every = ("epoch", 1, 2, 3)[int(random.integers(4))]
    with tempfile.TemporaryDirectory() as folder:
        _, wanted = one_start(case, Path(folder) / "whole", every, None)
        if wanted is None or wanted["fault"]:
            raise Skip("not finite")
        path = Path(folder) / "killed"
        kills = 0
        for _ in range(STARTS):
            # Few kills at random moments, then it may run to its end: after it is done, too.
            limit = float(random.uniform(0, 0.03)) if random.random() < 0.8 else None
            killed, found = one_start(case, path, every, limit)
            kills += killed
            if not killed:
                break
        else:
            raise Broken(f"every={every!r}: not done after {STARTS} starts")
        again = one_start(case, path, every, None)[1]
        left = [p.name for p in Path(folder).iterdir() if p.name not in ("whole", "killed")]
    for name, trace_ in (("killed", found), ("started once more when done", again)):
        off = [key for key in wanted if trace_ is None or trace_.get(key) != wanted[key]]
        if off:
            raise Broken(f"every={every!r}, {kills} kills, {name}: not the same bytes: {off[:4]}")
    if len(left) > kills:
        raise Broken(f"{kills} kills left {len(left)} files")


def script(case, path, every):
    """Train as the guide says: from the checkpoint where there is one."""
    run = start(case)
    if path.exists():
        run.trainer = steep.Trainer.load(path, custom_objects=own_layers.OWN)
    deed = next(deed for deed in case.script if deed.kind == "fit")
    saved = [callbacks.Checkpoint(path, every=every), Slow()]
    fault = play(run, [deed], callbacks=saved)
    found = trace(run.trainer, fault)
    # A trainer that went on from a file knows no times, and that is right.
    return {key: value for key, value in found.items() if key != "place"}


_nursery = None


def one_start(case, path, every, limit):
    """Start the script, kill it after `limit` seconds; return (killed, trace)."""
    global _nursery  # noqa: PLW0603 - one for each process that tries laws
    if _nursery is None or _nursery.poll() is not None:
        _nursery = subprocess.Popen(
            [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    order = base64.b64encode(pickle.dumps((case, path, every, limit)))
    _nursery.stdin.write(order + b"\n")
    _nursery.stdin.flush()
    answer = _nursery.stdout.readline()
    if not answer:
        raise Broken(f"the process that forks ended with code {_nursery.wait()}")
    killed, found = pickle.loads(base64.b64decode(answer))
    if isinstance(found, str):
        raise Broken(f"in the script: {found}")
    return killed, found


def serve():
    """Fork for every order; kill the child in time, or hand on what it found."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        case, path, every, limit = pickle.loads(base64.b64decode(line))
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _child(case, path, every, writing)
        os.close(writing)
        if limit is not None:
            select.select([reading], [], [], limit)
            os.kill(child, signal.SIGKILL)
        with os.fdopen(reading, "rb") as pipe:
            data = pipe.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        found = None
        if data and data.endswith(b"."):  # a pickle ends so: the answer is whole
            killed, found = False, pickle.loads(data)
        elif limit is None:
            killed, found = False, f"ended with status {status}"
        out.write(base64.b64encode(pickle.dumps((killed, found))) + b"\n")
        out.flush()


def _child(case, path, every, writing):
    """Run the script in a forked process and end it."""
    try:
        found = script(case, path, every)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(pickle.dumps(found))
    os._exit(0)
