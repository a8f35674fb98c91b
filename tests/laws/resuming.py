"""Law 4: stopped anywhere, saved, loaded in another process, training ends on the same bytes."""

import base64
import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import own_layers
import steep
from laws.playing import Broken, Skip, arguments, play, same, start, trace, trained


class Cut(Exception):
    """Ends a training from a callback."""


class Stop:
    """Ends a training after some steps: by an exception, by "stop" or by Ctrl-C."""

    def __init__(self, how, step):
        self.how, self.step = how, step

    def on_step_end(self, trainer, step):
        if step < self.step:
            return None
        if self.how == "raise":
            raise Cut
        if self.how == "interrupt":
            signal.raise_signal(signal.SIGINT)
            return None
        return "stop"


def resuming(case):
    """One fit of the script is cut at a step; another process loads what was saved and goes on."""
    if "lambda" in case.text:
        raise Skip("a function cannot be saved")
    random = np.random.default_rng([case.seed, 4])
    fits = [k for k, deed in enumerate(case.script) if deed.kind == "fit"]
    if not fits:
        raise Skip("no fit")
    whole = trained(case)
    if whole.trace["fault"]:
        raise Skip("not finite")
    asked = sum(arguments(case.script[k], whole.space)[1]["epochs"] for k in fits)
    if whole.trainer.epoch < asked:
        raise Skip("a method settled")
    cut = fits[int(random.integers(len(fits)))]
    how = ("raise", "stop", "interrupt")[int(random.integers(3))]
    run = start(case)
    with steep.threads(1):
        play(run, case.script[:cut])
        _, named = arguments(case.script[cut], run.space)
        size = named["batch_size"] * named.get("accumulate", 1)
        steps = named["epochs"] * -(-len(run.y) // size)
        after = run.trainer.steps + int(random.integers(1, steps + 1))
        last = run.trainer.epoch + named["epochs"]
        with contextlib.suppress(Cut, KeyboardInterrupt):
            play(run, [case.script[cut]], callbacks=[Stop(how, after)])
        # Only what a callback or Ctrl-C broke off is the same call still.
        epochs = last - run.trainer.epoch if run.trainer.finished else named["epochs"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint.safetensors"
            run.trainer.save(path)
            found = elsewhere(path, case, cut, epochs)
    same(found, whole.trace, f"cut after step {after} ({how}), gone on in another process")


def go_on(path, case, cut, epochs):
    """Load a trainer and do what is left of its script; return the trace."""
    run = start(case)
    run.trainer = steep.Trainer.load(path, custom_objects=own_layers.OWN)
    fault = ""
    if epochs:
        fault = play(run, [case.script[cut].changed(epochs=epochs)])
    fault = fault or play(run, case.script[cut + 1 :])
    return trace(run.trainer, fault)


TESTS = str(Path(__file__).resolve().parent.parent)
OTHER = f"import sys; sys.path.insert(0, {TESTS!r}); from laws import resuming; resuming.serve()"
_other = None


def elsewhere(path, case, cut, epochs):
    """Return what `go_on` returns in another process, which is kept for the next time."""
    global _other  # noqa: PLW0603 - one for each process that tries laws
    if _other is None or _other.poll() is not None:
        _other = subprocess.Popen(
            [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    order = base64.b64encode(pickle.dumps((str(path), case, cut, epochs)))
    _other.stdin.write(order + b"\n")
    _other.stdin.flush()
    answer = _other.stdout.readline()
    if not answer:
        raise Broken(f"the other process ended with code {_other.wait()}")
    kind, found = pickle.loads(base64.b64decode(json.loads(answer)))
    if kind == "error":
        raise Broken(f"in another process: {found}")
    return found


def serve():
    """Answer orders of `elsewhere` until they end."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            answer = "trace", go_on(*pickle.loads(base64.b64decode(line)))
        except Exception as error:
            answer = "error", f"{type(error).__name__}: {error}"
        print(json.dumps(base64.b64encode(pickle.dumps(answer)).decode()), file=out, flush=True)
