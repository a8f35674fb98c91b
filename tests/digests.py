"""A process that plays trainings with the steep it finds and prints what came out as hashes.

In comes one JSON text: {"names": [..] or null, "threads": [..], "seed": n}. Out go lines of JSON:
{"hello": ..}, then {"begin": name} and {"name": .., "parts" or "error" or "absent": ..} for each
training, last {"untried": [public names that no training used]}. Comparing is `same_bytes`.
"""

import hashlib
import json
import os
import sys
import tempfile
import traceback
import types
import warnings
from pathlib import Path

import numpy as np
import steep
import trainings
from safetensors.numpy import load_file
from steep import lab, layers, losses, optimizers


def update(sha, value):
    """Feed numbers, arrays, and lists and dicts of them, with names, formats and shapes."""
    if isinstance(value, dict):
        for key, item in value.items():
            sha.update(str(key).encode())
            update(sha, item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            update(sha, item)
    elif isinstance(value, str):
        sha.update(value.encode())
    else:
        array = np.asarray(value)
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())


def digest(*values):
    """Return a hash of values."""
    sha = hashlib.sha256()
    update(sha, values)
    return sha.hexdigest()


def recorded(history):
    """Return all that was recorded but for the times."""
    epochs = {k: v for k, v in sorted(history.history.items()) if k != "seconds"}
    return epochs, history.steps["loss"]


def first(arrays):
    """Return the first samples of an array, of several, or of none."""
    if isinstance(arrays, dict):
        return {name: each[:7] for name, each in arrays.items()}
    if isinstance(arrays, list):
        return [each[:7] for each in arrays]
    return None if arrays is None else arrays[:7]


def play(make, seed):
    """Train, look at everything a user can see, go on from a checkpoint; return hashes by part."""
    made = make()
    options = {"seed": 3 + seed, **made.options}
    trainer = steep.Trainer(made.net, made.loss, made.rule, **options)
    history = trainer.fit(made.X, made.y, progress=False, **made.fit)
    parts = {"losses": digest(recorded(history)), "weights": digest(made.net.state_dict())}
    few, one = first(made.X), (first(made.X), first(made.y))
    parts["predictions"] = digest(made.net.predict(made.X, batch_size=33), made.net.predict(few))
    parts["evaluation"] = digest(trainer.evaluate(made.X, made.y), trainer.evaluate(*one))
    parts["gradients"] = digest(trainer.gradients(*one))
    parts["step"] = digest(trainer.step(*one), made.net.state_dict())
    if not getattr(trainer.optimizer, "full_batch", False):
        path = lab.descend(made.rule, lambda w: [0.5, 3.0] * w, [2.0, -1.0], 12, epoch_steps=5)
        parts["descended"] = digest(path)
    if made.saved:
        parts["slots"], parts["resumed"] = saved(trainer, made)
    # Parts only tell where a difference is: the start of a hash does.
    return {"all": digest(parts), **{part: sha[:12] for part, sha in parts.items()}}


def saved(trainer, made):
    """Return the hash of what a checkpoint holds, weights and slots, and of going on from it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trainer.safetensors"
        trainer.save(path)
        tensors = dict(sorted(load_file(path).items()))
        again = steep.Trainer.load(path, custom_objects=trainings.OWN)
        history = again.fit(made.X, made.y, progress=False, **{**made.fit, "epochs": 1})
    return digest(tensors), digest(recorded(history), again.net.state_dict())


class Seen:
    """Which public classes the trainings used, noted as a layer is called or a trainer is made."""

    def __init__(self):
        self.names = set()
        kinds = {base for kind in trainings.concrete(layers).values() for base in kind.__mro__}
        for kind in kinds:  # a call may be that of a base
            if "call" in vars(kind):
                kind.call = self._noting(kind.call)
        init = steep.Trainer.__init__

        def noting(trainer, net, loss, optimizer, **options):
            given = loss.values() if isinstance(loss, dict) else [loss]
            self.names |= {type(one).__name__ for one in (*given, optimizer)}
            init(trainer, net, loss, optimizer, **options)

        steep.Trainer.__init__ = noting

    def _noting(self, call):
        def noting(layer, *tensors):
            self.names.add(type(layer).__name__)
            return call(layer, *tensors)

        return noting

    def untried(self):
        """Return the public optimizers, losses and layers that nothing used."""
        public = [
            name for room in (optimizers, losses, layers) for name in trainings.concrete(room)
        ]
        return sorted({*public} - self.names - {"Layer"})


def attempt(make, threads, seed):
    """Return the answer for one training: hashes by number of threads, or why there are none."""
    try:
        parts = {}
        for count in threads:
            with steep.threads(count):
                parts[str(count)] = play(make, seed)
    except AttributeError as error:
        if isinstance(error.obj, types.ModuleType) and error.obj.__name__.startswith("steep"):
            return {"absent": f"{error.obj.__name__}.{error.name}"}
        return {"error": last(error)}
    except Exception as error:
        return {"error": last(error)}
    return {"parts": parts}


def last(error):
    """Return an error in one line, with the place it came from."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text} ({Path(at.filename).name}:{at.lineno})"


def main():
    """Answer the one order."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints must not stand among the answers
    warnings.simplefilter("ignore")
    order = json.loads(sys.stdin.read())

    def answer(**line):
        print(json.dumps(line), file=answers, flush=True)

    known, info, seen = trainings.trainings(), steep.info(), Seen()
    hello = {"path": str(Path(steep.__file__).parents[1]), "names": list(known)}
    answer(hello={**hello, "isa": info["isa"], "isas": info["isas"]})
    for name in known if order["names"] is None else order["names"]:
        answer(begin=name)
        answer(name=name, **attempt(known[name], order["threads"], order["seed"]))
    answer(untried=seen.untried(), used=sorted(seen.names))


if __name__ == "__main__":
    main()
