"""Law 6: a call that is refused changes nothing, on built and on unbuilt networks."""

import math

import numpy as np
import steep
from laws.playing import Broken, Skip, play, same, start, trace, trained
from steep import callbacks, data

REFUSED = (TypeError, ValueError, RuntimeError, OSError)


class Refusing:
    """A callback that refuses the training before its first step."""

    def on_train_begin(self, trainer, logs):
        raise RuntimeError("not today")


def refusals(case):
    """Every wrong call there is, before and between what the script does."""
    wanted = trained(case).trace
    with steep.threads(1):
        run = start(case)
        fault = ""
        for deed in case.script:
            _try_all(run)
            fault = fault or play(run, [deed])
            if fault:
                break
        _try_all(run)
    same(trace(run.trainer, fault), wanted, "with refused calls between")


def _try_all(run):
    for name, wrong in WRONG.items():
        before = state(run)
        try:
            wrong(run)
        except Skip:
            continue
        except REFUSED:
            pass
        else:
            raise Broken(f"{name}: was not refused")
        if state(run) != before:
            raise Broken(f"{name}: was refused and changed {changed(before, state(run))}")


def state(run):
    """Return what a refused call could change, bytes of weights included."""
    net, trainer = run.net, run.trainer
    found = {
        "built": net.built, "shapes": net.input_shapes, "steps": trainer.steps,
        "epoch": trainer.epoch, "finished": trainer.finished,
        "history": repr(trainer.history.history), "losses": repr(trainer.history.steps),
    }  # fmt: skip
    if net.built:
        found |= {name: value.tobytes() for name, value in net.state_dict().items()}
    return found


def changed(before, after):
    return ", ".join(k for k in {**before, **after} if before.get(k) != after.get(k))


def several(run):
    """Return X and y where there are at least two samples."""
    if run.case.data.samples < 2:
        raise Skip("one sample")
    return run.X, run.y


def spoiled(run, value=math.nan):
    """Return X with one number that is none, in the inputs' shapes."""
    given = run.X if isinstance(run.X, list) else [run.X]
    arrays = [np.array(x, np.float64, order="C") for x in given]
    arrays[-1].reshape(-1)[-1] = value
    return arrays if isinstance(run.X, list) else arrays[0]


def wider(run):
    """Return X with one feature more than a built network takes."""
    if isinstance(run.X, list) or run.net.input_shapes is None:
        raise Skip("another shape would be right, too")
    return np.concatenate([run.X, run.X[..., -1:]], axis=-1)


def off_labels(run):
    if run.case.data.targets not in ("labels", "one class"):
        raise Skip("no labels")
    return np.full(len(run.y), run.case.output[-1])


def no_image(run):
    if len(run.case.inputs) == 1 and len(run.case.inputs[0]) > 1:
        raise Skip("images")
    return data.Augment(flip=True)


def state_without(run):
    if not run.net.built or not run.net.state_dict():
        raise Skip("no weights")
    found = dict(run.net.state_dict())
    found.popitem()
    return found


def state_with(run, value):
    if not run.net.built or not run.net.state_dict():
        raise Skip("no weights")
    found = dict(run.net.state_dict())
    name = list(found)[-1]
    return {**found, name: value(found[name])}


def fit(run, X=None, y=None, **named):
    named = {"progress": False, **named}
    run.trainer.fit(run.X if X is None else X, run.y if y is None else y, **named)


def short(run):
    return several(run)[1][:-1]


WRONG = {
    "fit, y too short": lambda run: fit(run, y=short(run)),
    "fit, y of no numbers": lambda run: fit(run, y=["a"] * len(run.y)),
    "fit, y missing": lambda run: run.trainer.fit(run.X, None, progress=False),
    "fit, NaN in X": lambda run: fit(run, X=spoiled(run)),
    "fit, infinity in X": lambda run: fit(run, X=spoiled(run, math.inf)),
    "fit, X too wide": lambda run: fit(run, X=wider(run)),
    "fit, X of one axis": lambda run: fit(run, X=np.ones(len(run.y))),
    "fit, X empty": lambda run: fit(run, X=np.ones((0, 3)), y=np.ones((0, 1))),
    "fit, label out of range": lambda run: fit(run, y=off_labels(run)),
    "fit, label below 0": lambda run: fit(run, y=off_labels(run) * 0 - 1),
    "fit, labels that are no whole numbers": lambda run: fit(run, y=off_labels(run) * 0 + 0.5),
    "fit, weights below 0": lambda run: fit(run, sample_weight=-np.ones(len(run.y))),
    "fit, weights all 0": lambda run: fit(run, sample_weight=np.zeros(len(run.y))),
    "fit, weights too few": lambda run: fit(run, sample_weight=np.ones(len(run.y) + 1)),
    "fit, NaN in weights": lambda run: fit(run, sample_weight=np.full(len(run.y), math.nan)),
    "fit, no epochs": lambda run: fit(run, epochs=0),
    "fit, epochs as text": lambda run: fit(run, epochs="3"),
    "fit, batches of 0": lambda run: fit(run, batch_size=0),
    "fit, batches of 1.5": lambda run: fit(run, batch_size=1.5),
    "fit, shuffle as text": lambda run: fit(run, shuffle="yes"),
    "fit, no callback": lambda run: fit(run, callbacks=[object()]),
    "fit, a callback's class": lambda run: fit(run, callbacks=[callbacks.EarlyStopping]),
    "fit, a callback that refuses": lambda run: fit(run, callbacks=[Refusing()]),
    "fit, nothing to watch": lambda run: fit(run, callbacks=[callbacks.EarlyStopping("val_x")]),
    "fit, nowhere to save": lambda run: fit(run, callbacks=[callbacks.Checkpoint("/no/x.st")]),
    "fit, validation too short": lambda run: fit(run, validation=(run.X, short(run))),
    "fit, validation of one": lambda run: fit(run, validation=(run.X,)),
    "fit, augment without images": lambda run: fit(run, augment=no_image(run)),
    "fit, augment as text": lambda run: fit(run, augment="flip"),
    "step, y too short": lambda run: run.trainer.step(run.X, short(run)),
    "step, NaN in X": lambda run: run.trainer.step(spoiled(run), run.y),
    "evaluate, y too short": lambda run: run.trainer.evaluate(run.X, short(run)),
    "evaluate, batches of 0": lambda run: run.trainer.evaluate(run.X, run.y, 0),
    "gradients, y too short": lambda run: run.trainer.gradients(run.X, short(run)),
    "gradients, NaN in X": lambda run: run.trainer.gradients(spoiled(run), run.y),
    "memory of 0": lambda run: run.trainer.memory(0),
    "predict, NaN in X": lambda run: run.net.predict(spoiled(run)),
    "predict, X too wide": lambda run: run.net.predict(wider(run)),
    "predict, batches of 0": lambda run: run.net.predict(run.X, batch_size=0),
    "predict, text": lambda run: run.net.predict("text"),
    "build, an axis of 0": lambda run: run.net.build((0,)),
    "build, no shape": lambda run: run.net.build("wide"),
    "load_state_dict, one missing": lambda run: run.net.load_state_dict(state_without(run)),
    "load_state_dict, NaN": lambda run: run.net.load_state_dict(
        state_with(run, lambda w: np.full(w.shape, math.nan))
    ),
    "load_state_dict, other shape": lambda run: run.net.load_state_dict(
        state_with(run, lambda w: np.ones((*w.shape, 1)))
    ),
    "load_weights, no file": lambda run: run.net.load_weights("/no/such/file"),
    "save, no folder": lambda run: run.trainer.save("/no/such/folder/x"),
    "another trainer of no loss": lambda run: steep.Trainer(run.net, "none", "sgd"),
    "another trainer of no rule": lambda run: steep.Trainer(run.net, "mse", "none"),
    "another trainer, l2 below 0": lambda run: steep.Trainer(run.net, "mse", "sgd", l2=-1.0),
}
