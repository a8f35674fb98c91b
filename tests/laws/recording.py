"""Laws: a recorder changes nothing; its rows do not depend on threads and are what happened."""

import numpy as np
from laws.playing import Broken, Skip, same, trained
from steep.callbacks import Recorder


class Watch:
    """Notes the weights before the first step of a fit and after each one."""

    def __init__(self):
        self.seen = {}

    def on_train_begin(self, trainer):
        self._note(trainer, trainer.steps)

    def on_step_end(self, trainer, step):
        self._note(trainer, step)

    def _note(self, trainer, step):
        state = trainer.net.state_dict()
        self.seen[step] = {name: value.astype(np.float64) for name, value in state.items()}


def recorded(case, threads=1, every=1, **more):
    """Return a played case with its recorder."""
    recorder = Recorder(every)
    others = more.pop("callbacks", [])
    try:
        run = trained(case, threads, callbacks=[recorder, *others], **more)
    except ValueError as error:
        if "record=" not in str(error):
            raise
        raise Skip("steps that are not recorded") from None
    return run, recorder


def columns(recorder):
    """Return everything recorded, as bytes by name."""
    found = {"steps": recorder.steps.tobytes()}
    for kind, tables in (("p", recorder.parameters), ("a", recorder.activations)):
        for name, own in tables.items():
            found |= {f"{kind} {name} {key}": column.tobytes() for key, column in own.items()}
    return found


def recording(case):
    """Weights, slots and history are the unrecorded run's, rows those of any number of threads."""
    every = 1 + case.seed % 3
    plain = trained(case)
    run, recorder = recorded(case, 1, every)
    same(run.trace, plain.trace, "recorded")
    if not len(recorder.steps):
        raise Skip("nothing recorded")
    wanted = columns(recorder)
    for count in (2, 3, 8):
        run, recorder = recorded(case, count, every)
        same(run.trace, plain.trace, f"recorded with {count} threads")
        same(columns(recorder), wanted, f"rows with {count} threads")


def moves(case):
    """Lengths of weights and of what a step added to them, by the weights themselves."""
    watch = Watch()
    recorder = recorded(case, callbacks=[watch])[1]
    if not len(recorder.steps):
        raise Skip("nothing recorded")
    for name, own in recorder.parameters.items():
        for k, step in enumerate(recorder.steps.tolist()):
            if step + 1 not in watch.seen or step not in watch.seen:
                continue  # a step by itself stood between
            before, after = watch.seen[step][name], watch.seen[step + 1][name]
            for key, value in (("weight_norm", before), ("update_norm", after - before)):
                length, found = np.sqrt((value**2).sum()), own[key][k]
                if not np.isclose(found, length, rtol=1e-6, atol=1e-30):
                    raise Broken(f"step {step}, {name}: {key} {found!r}, it is {length!r}")
