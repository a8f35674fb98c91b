"""Law 7: many threads look at a network while one trains it; each sees the weights of some moment.

`drive` is the same for a given time, with figures: 60 seconds of it are a record.
"""

import contextlib
import os
import re
import tempfile
import threading
import time

import numpy as np
import steep
from laws.playing import Broken, Skip, outputs, play, rows, samples, start

READERS = 8
ROUND = 0.15  # seconds between two checks of what the readers saw


def concurrency(case):
    """Threads predict, evaluate, take gradients and save while another trains."""
    if why := reason(case):
        raise Skip(why)
    drive(case, ROUND)


def reason(case):
    """Say why a case is left out, or None: what a reader sees must be a function of weights."""
    if case.draws:
        return "a mask belongs to a step"
    groups = case.option("groups", None)  # their penalty may be no number, too
    scheduled = groups is not None and re.search(r'"l2": [^0-9]', groups.source)
    if scheduled or any(not isinstance(case.option(n, 0.0), float) for n in ("l1", "l2")):
        return "a penalty that belongs to a step"
    if any(not isinstance(w, float) for w in start(case).trainer.loss_weights.values()):
        return "a loss's weight that belongs to a step"
    if "lambda" in case.text:
        return "a function cannot be saved"
    if case.data.samples < 2 or not any(deed.kind == "fit" for deed in case.script):
        return "no two samples, or no fit"
    return None


def drive(case, seconds):
    """Train for some seconds among readers; return how much was read, or raise what was wrong."""
    counts = {}
    end = time.monotonic() + seconds
    while True:
        for kind, count in one_round(case, min(ROUND, seconds)).items():
            counts[kind] = counts.get(kind, 0) + count
        if time.monotonic() >= end:
            return counts


def one_round(case, seconds):
    """Train anew for a moment; compare all that readers saw with the weights step by step."""
    run, other = start(case), start(case)
    for each in (run, other):
        each.trainer._run.settings.build(case.inputs)
        each.trainer._run.session()
    moments = Moments(run.trainer, time.monotonic() + seconds)
    readers = [Reader(k, run, moments) for k in range(READERS)]
    with steep.threads(2):
        for reader in readers:
            reader.start()
        deed = next(deed for deed in case.script if deed.kind == "fit")
        fault = ""
        try:
            while not fault and not moments.over:
                fault = play(run, [deed], callbacks=[moments])
        finally:
            moments.ended = True
            for reader in readers:
                reader.join()
    if fault:
        raise Skip("not finite")
    return check(readers, moments, other)


class Moments:
    """The callback that writes down the weights after every step."""

    def __init__(self, trainer, end):
        self.trainer, self.end, self.ended = trainer, end, False
        self.weights = [dict(trainer.net.state_dict())]
        self.steps = [trainer.steps]

    @property
    def over(self):
        return time.monotonic() > self.end

    def on_step_end(self, trainer, step):
        self.weights.append(dict(trainer.net.state_dict()))
        self.steps.append(step)
        return "stop" if self.over else None


class Reader(threading.Thread):
    """Looks in one way again and again; keeps what it saw and between which moments."""

    def __init__(self, number, run, moments):
        super().__init__(daemon=True)
        self.run_, self.moments, self.seen, self.error = run, moments, [], None
        self.kind = KINDS[number % len(KINDS)]
        n = samples(run)
        self.part = slice(number % n, None) if number % 2 else slice(0, 1 + number % n)
        self.part = self.part if len(run.y[self.part]) else slice(0, n)

    def run(self):
        looked = 0
        try:
            while not self.moments.ended and looked < 400:
                first = len(self.moments.weights) - 1
                value = LOOKS[self.kind](self.run_, self.part)
                # A step may be done and not yet written down.
                self.seen.append((first, len(self.moments.weights) + 1, value))
                looked += 1
        except Exception as error:
            self.error = error


def check(readers, moments, other):
    """Compare what was seen with what the same look says of each moment's weights."""
    known, counts = {}, {}

    def truth(reader, moment):
        key = reader.kind, str(reader.part), moment
        if key not in known:
            other.net.load_state_dict(moments.weights[moment])
            known[key] = LOOKS[reader.kind](other, reader.part)
        return known[key]

    for reader in readers:
        if reader.error is not None:
            raise Broken(f"{reader.kind} in a thread: {reader.error!r}")
        counts[reader.kind] = counts.get(reader.kind, 0) + len(reader.seen)
        # All of a short list, some of a long one: each costs as much as the look itself.
        for first, last, value in reader.seen[:: max(1, len(reader.seen) // 60)]:
            span = range(max(0, first - 1), min(last, len(moments.weights)))
            if not any(truth(reader, moment) == value for moment in span):
                raise Broken(f"{reader.kind} in a thread: is of no weights from {first} to {last}")
    return counts


def _predict(run, part):
    return outputs(run.net.predict(rows(run.X, part)))


def _evaluate(run, part):
    return tuple(run.trainer.evaluate(rows(run.X, part), run.y[part]).items())


def _gradients(run, part):
    loss, found = run.trainer.gradients(rows(run.X, part), run.y[part])
    return outputs([np.float64(loss), *found.values()])


def _save(run, part):
    handle, path = tempfile.mkstemp(suffix=".safetensors")
    os.close(handle)
    try:
        run.trainer.save(path)
        other = start(run.case)
        other.trainer._run.settings.build(run.case.inputs)
        other.trainer._run.session()  # in the precision that the weights are of
        other.net.load_weights(path)
        return tuple(v.tobytes() for v in other.net.state_dict().values())
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _state(run, part):
    return tuple(value.tobytes() for value in run.net.state_dict().values())


LOOKS = {
    "predict": _predict,
    "evaluate": _evaluate,
    "gradients": _gradients,
    "save": _save,
    "state_dict": _state,
}
KINDS = ("predict", "evaluate", "predict", "gradients", "save", "predict", "state_dict", "evaluate")
