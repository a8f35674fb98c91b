"""Laws of several losses and objectives: PyTorch's gradients, threads, resuming, faults."""

import contextlib
import tempfile
from pathlib import Path

import numpy as np
import own_layers
import random_objectives
import steep
from laws.looks import Ends
from laws.playing import Broken, Skip, same, trace
from laws.resuming import Cut, Stop

CLOSE = 1e-7  # nearer to a kink than this nothing is said
RELATIVE = 1e-9  # of gradients in float64, to the largest of all: the law asks for 1e-5
SHORT = 1e-2
FLOOR = 1e-4  # of that: a gradient that is 0 may be the difference of terms of order 1
FUNCTIONS = own_layers.OWN | own_layers.FUNCTIONS


def refused(several, error):
    return Broken(f"{error}\n{several.code()}")


def gradients(case):
    """Every objective's loss and gradients are PyTorch's, and slopes along a random direction."""
    several = random_objectives.several(case)
    if case.draws or several.case.draws:
        raise Skip("random")
    torch = random_objectives.torch
    if torch is None:
        raise Skip("no PyTorch")
    from laws import twin

    run = several.make("float64")
    state = run.net.state_dict()
    made = twin.Twin(several.case, state, CLOSE)
    inputs = run.X if isinstance(run.X, list) else [run.X]
    h = made.run([torch.from_numpy(np.array(x, np.float64, order="C")) for x in inputs])
    terms = {}
    for k, head in enumerate(several.heads):
        z = made.chain(head.nodes, h, (head.name, k))
        if head.kind == "cosine" and bool((z.reshape(len(z), -1).norm(dim=1) < SHORT).any()):
            raise Skip("the angle of a vector that is nearly 0")
        rows = random_objectives.loss_of(
            head.kind, z, None if run.y is None else run.y.get(head.name)
        )
        weight = head.weight if isinstance(head.weight, float) else 1.0
        terms[head.name] = weight * rows.mean()
    added = sum(part.mean() for part in made.added)
    if made.unclear or made.bent:
        raise Skip("a kink")
    names = [head.name for head in several.heads]
    parts = [(None, names)] if len(several.rules) == 1 else [("one", names[:1]), ("two", names[1:])]
    for number, (objective, own) in enumerate(parts):
        total = sum(terms[name] for name in own) + (added if number == 0 else 0.0)
        loss, found = run.trainer.gradients(run.X, run.y, objective=objective)
        leaves = [made.leaves[name] for name in found]
        wanted = torch.autograd.grad(total, leaves, allow_unused=True, retain_graph=True)
        wanted = [
            torch.zeros_like(p) if g is None else g for g, p in zip(wanted, leaves, strict=True)
        ]
        largest = max([float(g.abs().max()) for g in wanted] + [FLOOR])
        if not np.isfinite(largest) or abs(float(total)) > 1e9:
            raise Skip("not finite")
        if abs(loss - float(total)) > RELATIVE * (1 + abs(float(total))):
            raise refused(several, f"loss {loss}, PyTorch's {float(total)}")
        for name, g in zip(found, wanted, strict=True):
            off = np.abs(found[name] - g.numpy()).max(initial=0.0)
            if not off <= RELATIVE * largest:
                raise refused(several, f"{objective}: {name} is {off:.3g} from PyTorch's gradient")


def fit(several, run, epochs, **more):
    """Fit; return whether all was finite."""
    try:
        run.trainer.fit(
            run.X, run.y, epochs=epochs, batch_size=several.size, progress=False, **more
        )
    except steep.NonFiniteError:
        return False
    return True


def equal(several, found, wanted, what):
    """Refuse two traces that differ, with the program."""
    try:
        same(found, wanted, what)
    except Broken as error:
        raise refused(several, error) from None


def threads(case):
    """Weights, slots and losses do not depend on the number of threads; frozen weights stay."""
    several = random_objectives.several(case)
    ends = []
    for count in (1, 2, 3, 8):
        with steep.threads(count):
            run = several.make()
            start = run.net.state_dict()
            fit(several, run, several.epochs)
            ends.append(trace(run.trainer))
            frozen = {name: start[name].astype(several.precision) for name in run.net.frozen}
            end = {name: ends[-1][name] for name in frozen}
            equal(several, end, {n: w.tobytes() for n, w in frozen.items()}, "frozen weights")
    for count, end in zip((2, 3, 8), ends[1:], strict=True):
        equal(several, end, ends[0], f"{count} threads")


def unseen(case):
    """Epochs that nobody looks at leave what they leave one by one, every term's history too."""
    several = random_objectives.several(case)
    with steep.threads(1):
        one, many = several.make(), several.make()
        fit(several, one, 4 * several.epochs, callbacks=[Ends()])
        fit(several, many, 4 * several.epochs)
    equal(several, trace(many.trainer), trace(one.trainer), "epochs unseen")


def resuming(case):
    """Saved between two epochs or within one, loaded and gone on with: the same bytes."""
    several = random_objectives.several(case)
    with steep.threads(1):
        whole, run = several.make(), several.make()
        if not fit(several, whole, several.epochs + 1):
            raise Skip("not finite")
        per = -(-case.data.samples // several.size)
        at = int(np.random.default_rng([case.seed, 8]).integers(1, per * (several.epochs + 1)))

        with contextlib.suppress(Cut):
            fit(several, run, several.epochs + 1, callbacks=[Stop("raise", at)])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "several"
            run.trainer.save(path)
            again = several.make()
            again.trainer = steep.Trainer.load(path, net=again.net, custom_objects=FUNCTIONS)
        fit(several, again, several.epochs + 1)
    equal(several, trace(again.trainer), trace(whole.trainer), f"saved after step {at}")


def last_good(case):
    """A batch without a finite loss leaves the weights of the step before it."""
    several = random_objectives.several(case)
    if several.case.draws:
        raise Skip("a mask belongs to an epoch")
    with steep.threads(1):
        run = several.make()
        targets = run.y and [n for n, t in run.y.items() if np.asarray(t).dtype.kind == "f"]
        if not targets:
            raise Skip("no values among the targets")
        bad = int(np.random.default_rng([case.seed, 9]).integers(case.data.samples))
        spoiled = {name: np.array(t) for name, t in run.y.items()}
        spoiled[targets[0]][bad] = 1e38 if run.trainer.precision == "float32" else 1e300
        try:
            run.trainer.fit(
                run.X, spoiled, epochs=2, batch_size=several.size, progress=False, shuffle=False
            )
        except steep.NonFiniteError:
            pass
        except ValueError:
            raise Skip("targets out of range are refused") from None
        else:
            raise Skip("finite")
        steps, other = run.trainer.steps, several.make()
        rows = range(0, case.data.samples, several.size)
        for _, first in zip(range(steps), [*rows, *rows], strict=False):
            part = slice(first, first + several.size)
            X = [x[part] for x in run.X] if isinstance(run.X, list) else run.X[part]
            other.trainer.step(X, {name: t[part] for name, t in spoiled.items()})
    ends = [
        {n: w.astype(float).tobytes() for n, w in one.net.state_dict().items()}
        for one in (run, other)
    ]  # a network that did no step has float32 still
    equal(several, *ends, f"weights after {steps} steps")
