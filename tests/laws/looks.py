"""Law 5: looking at anything between two steps or epochs changes nothing."""

import contextlib
import copy
import os
import pickle
import tempfile

import numpy as np
import steep
from laws.playing import play, same, start, trace, trained


class Look:
    """Looks at everything there is after every step and every epoch."""

    def __init__(self, run):
        self.run, self.seen = run, 0

    def on_step_end(self, trainer):
        LOOKS[self.seen % len(LOOKS)](self.run, trainer)
        self.seen += 1

    def on_epoch_end(self, trainer, epoch, logs):
        for look in LOOKS:
            look(self.run, trainer)


class Blind:
    """A callback at the same places that does nothing, so that both runs are cut alike."""

    def on_step_end(self, trainer):
        pass


class Ends:
    """A callback that has nothing to do between two epochs, which come back one by one for it."""

    def on_train_end(self, trainer):
        pass


def unseen(case):
    """Epochs that nobody looks at, many of them a native call, leave what they leave one by one."""
    same(trained(case).trace, trained(case, callbacks=[Ends()]).trace, "epochs unseen")


def looks(case):
    """Everything that only looks, between two steps."""
    wanted = trained(case, callbacks=[Blind()]).trace
    with steep.threads(1):
        run = start(case)
        for look in LOOKS:  # a network that has no weights yet may refuse, but must not draw any
            with contextlib.nullcontext() if run.net.built else contextlib.suppress(*UNBUILT):
                look(run, run.trainer)
        fault = play(run, callbacks=[Look(run)])
        same(trace(run.trainer, fault), wanted, "with looks between")


def _save(run, trainer):
    handle, path = tempfile.mkstemp(suffix=".safetensors")
    os.close(handle)
    try:
        trainer.save(path)
        trainer.net.save_weights(path)
    except ValueError as error:
        if "function" not in str(error):
            raise
    finally:
        os.unlink(path)


def _gradients(run, trainer):
    trainer.gradients(run.X, run.y, run.weights)


def _derivatives(run, trainer):
    direction = trainer.gradients(run.X, run.y)[1]
    if not all(np.isfinite(g).all() for g in direction.values()):
        return
    trainer.hvp(run.X, run.y, direction, run.weights)
    along = trainer.jvp(run.X, direction)
    if np.isfinite(along).all():
        trainer.vjp(run.X, along)


def _check(run, trainer):
    # float64 and central differences; of a few weights, since each costs two evaluations.
    if run.case.data.samples > 6 or trainer.net.num_parameters > 40:
        return
    if isinstance(run.X, list):
        return
    # A kink may part the differences: the law is on what is left behind.
    with contextlib.suppress(ValueError, AssertionError, FloatingPointError):
        steep.lab.check_gradients(trainer.net, run.X, run.y, trainer.loss)


UNBUILT = (RuntimeError, ValueError)
LOOKS = (
    lambda run, trainer: trainer.net.predict(run.X),
    lambda run, trainer: trainer.net.summary(),
    lambda run, trainer: trainer.net.state_dict(),
    lambda run, trainer: trainer.evaluate(run.X, run.y, 3),
    lambda run, trainer: trainer.memory(7),
    _gradients,
    _derivatives,
    lambda run, trainer: (repr(trainer), repr(trainer.net), trainer.net.num_parameters),
    lambda run, trainer: copy.deepcopy(trainer.net).predict(run.X),
    lambda run, trainer: pickle.dumps(trainer.net),
    lambda run, trainer: copy.deepcopy(trainer).evaluate(run.X, run.y),
    lambda run, trainer: trainer.optimizer.formula(show=False),
    _save,
    _check,
)
