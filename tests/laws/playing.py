"""Runs described cases and says what is left of them, as bytes. The laws are in other files."""

import warnings
from types import SimpleNamespace

import numpy as np
import steep
from steep import _core

# Softmax before cross-entropy, batches of one under BatchNorm: meant here.
warnings.simplefilter("ignore")
if hasattr(_core, "check_invariants"):
    _core.check_invariants(True)  # after every call: padding is zero


class Broken(AssertionError):
    """A law does not hold; the message says of what."""


def loss_weight(trainer, step, epoch):
    """Return the weight of the one loss at a step."""
    given = next(iter(trainer.loss_weights.values()), 1.0)
    if not isinstance(given, steep.schedules.Schedule):
        return float(given)
    return given(step if given.unit == "step" else epoch)


class Skip(Exception):
    """The law says nothing of this case."""


def start(case, **space):
    """Return everything a case makes: net, trainer, X, y, weights, and `case` itself."""
    made = case.make()
    made.update(space)
    return SimpleNamespace(case=case, space=made, **{k: made[k] for k in NAMES})


NAMES = ("net", "trainer", "X", "y", "weights")


def arguments(deed, space):
    """Return the arguments of a deed, evaluated."""
    text = deed.code()
    return eval(f"taken{text[text.index('(') :]}", {**space, "taken": lambda *a, **k: (a, k)})


def play(run, script=None, **more):
    """Do what the script says; return the error of a training that met no finite value, or ""."""
    for deed in run.case.script if script is None else script:
        args, named = arguments(deed, run.space)
        extra = more if deed.kind == "fit" else {}
        try:
            getattr(run.trainer, deed.kind)(*args, **{**named, **extra})
        except steep.NonFiniteError as error:
            return str(error)
    return ""


def trained(case, threads=1, **more):
    """Return a played case with its trace."""
    with steep.threads(threads):
        run = start(case)
        fault = play(run, **more)
        run.trace = trace(run.trainer, fault)
    return run


def trace(trainer, fault=""):
    """Return everything a training leaves: weights, slots, history, counters, as bytes by name."""
    left = {name: value.tobytes() for name, value in trainer.net.state_dict().items()}
    for slot, values in trainer._run.session().copy_out()[1].items():
        for name, value in values.items():
            left[f"slot {slot} of {name}"] = value.tobytes()
    for name, values in trainer.history.history.items():
        if name != "seconds":
            left[f"history of {name}"] = np.array(values).tobytes()
    left["losses of steps"] = np.array(trainer.history.steps["loss"]).tobytes()
    left["place"] = repr((trainer.epoch, trainer.steps, trainer.finished)).encode()
    left["fault"] = fault.encode()
    return left


def same(found, wanted, what):
    """Refuse two traces that differ; names the first few differences."""
    if found == wanted:
        return
    off = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    raise Broken(f"{what}: not the same bytes: {', '.join(off[:4])} ({len(off)} of {len(wanted)})")


def outputs(result):
    """Return the bytes of a prediction."""
    arrays = result if isinstance(result, list) else [result]
    return b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)


def equal(found, wanted, what):
    """Refuse two predictions that differ in any byte; says by how much."""
    if np.array_equal(found, wanted, equal_nan=True) and found.dtype == wanted.dtype:
        return
    with np.errstate(all="ignore"):
        apart = np.nanmax(np.abs(np.asarray(found, float) - np.asarray(wanted, float)))
    raise Broken(f"{what}: differ by up to {apart:.3g}, of {np.nanmax(np.abs(wanted)):.3g}")


def rows(X, index):
    """Return some samples of X, which may be a list of inputs."""
    return [x[index] for x in X] if isinstance(X, list) else X[index]


def samples(run):
    return run.case.data.samples
