"""Law 1: several steps of training give PyTorch's weights, running statistics and losses."""

import math
from dataclasses import dataclass, replace

import numpy as np
import random_methods
import reference
from described import WHOLE
from laws.playing import Broken, Skip, arguments, loss_weight, play, start
from steep import _core

torch = twin = None  # imported when the law is first tried: it takes a second


@dataclass(frozen=True)
class Bound:
    """How near a precision must come: as near as a start moved by more than its roundings."""

    precision: str
    stirred: float  # what every weight of the start is moved by, relative
    noise: float  # of the largest gradient: rounding in those whose terms cancel
    floor: float  # some roundings in sums of thousands, of the largest value
    close: float  # nearer to a kink than this, rounding decides which side it is
    chaos: float = 1e-4  # where the moved start leads so far away, no digit is left to compare


DOUBLE = Bound("float64", 1e-9, 1e-13, 1e-11, 1e-9)
SINGLE = Bound("float32", 1e-5, 1e-5, 2e-5, 1e-4, 0.05)


def with_torch():
    """Import PyTorch where it is there; say whether it is."""
    global torch, twin  # noqa: PLW0603
    if torch is None:
        try:
            import torch
        except ImportError:
            return False
        from laws import twin

        torch.set_num_threads(1)
    return True


def steps(case):
    """Weights, statistics, losses and predictions at the end of the script, in float64."""
    follow(case, DOUBLE)


def single(case):
    """The same in float32, to the digits it has."""
    follow(case, SINGLE)


def follow(case, bound):
    """Train in steep and in PyTorch, and there once more from a start a little moved."""
    if not with_torch():
        raise Skip("no PyTorch")
    if any(map(draws, nodes(case))):
        raise Skip("random")
    if case.uses(*random_methods.CLASSES):
        raise Skip("a method asks at points that rounding moves")
    plain = tuple(d.changed(augment=None) if d.kind == "fit" else d for d in case.script)
    case = replace(case, script=plain).with_options(precision=bound.precision)
    run = start(case)
    run.trainer._run.settings.build(case.inputs)
    first = run.net.state_dict()
    if play(run):
        raise Skip("not finite")
    wanted = Course(run, first, bound)
    wanted.run()
    if wanted.twin.unclear:
        raise Skip("a kink")
    theirs = wanted.left(run)
    near = [moved_end(run, first, bound, 0)]
    try:
        compare(run, theirs, near, bound)
    except Broken:  # signs of one draw may cancel: before it is said, others are asked
        compare(run, theirs, near + [moved_end(run, first, bound, k) for k in range(1, 8)], bound)


def draws(node):
    """Say whether a layer draws numbers that matter, or goes on where it was before."""
    if node.kind == "RReLU":
        return node.args[0] < node.args[1]
    if node.kind == "Reparameterize":
        return True
    if node.kind in ("SimpleRNN", "LSTM", "GRU"):
        return any(node.get(word) for word in ("dropout", "recurrent_dropout", "stateful"))
    if node.kind in ("MultiHeadAttention", "TransformerBlock"):
        return bool(node.get("dropout"))
    if node.kind not in ("Dropout", "AlphaDropout", "GaussianNoise"):
        return False
    return not isinstance(node.args[0], float | int) or node.args[0] > 0  # or by a schedule


def moved_end(run, first, bound, draw):
    """Return where a start that is a little moved leads in PyTorch, with a little noise."""
    moved = Course(run, stirred(first, bound.stirred, draw), bound, bound.noise, draw)
    moved.run()
    return moved.left(run)


def compare(run, theirs, near, bound):
    """Refuse what is further from PyTorch than the moved starts lead."""
    found = run.net.state_dict() | {"losses": np.array(run.trainer.history.steps["loss"])}
    found["predictions"] = run.net.predict(run.X)
    slots = run.trainer._run.session().copy_out()[1]
    if run.trainer.average is not None:
        for name in theirs:
            if name.startswith("average of "):
                found[name] = slots["average"][name.removeprefix("average of ")]
    spreads = {}
    for name in found:
        scale = 1.0 + np.abs(theirs[name]).max(initial=0.0)
        if not np.isfinite(theirs[name]).all() or scale > 1e12:
            raise Skip("not finite")
        ends = (np.abs(end[name] - theirs[name]).max(initial=0.0) / scale for end in near)
        spreads[name] = max(ends)
        if not spreads[name] < bound.chaos:
            raise Skip("chaotic")
    for name, value in found.items():
        scale = 1.0 + np.abs(theirs[name]).max(initial=0.0)
        spread = spreads[name]
        error = np.abs(value - theirs[name]).max(initial=0.0) / scale
        if not error <= bound.floor + 3 * spread:
            rule = type(run.trainer.optimizer).__name__
            raise Broken(
                f"{rule}: {name} is {error:.3g} from PyTorch's, a moved start is {spread:.3g} off"
            )


def nodes(case):
    from shapes import each

    return each(case.body, case.shared)


def stirred(state, size, draw=0):
    """Return weights moved by a part of themselves, each up or down."""
    random = np.random.default_rng(draw)
    return {
        name: value * (1 + size * random.choice([-1.0, 1.0], value.shape))
        for name, value in state.items()
    }


class Course:
    """The training of one run, in PyTorch, from given weights."""

    def __init__(self, run, state, bound, noise=0.0, draw=0):
        self.case, self.space, self.trainer = run.case, run.space, run.trainer
        self.X = [
            np.array(x, np.float64, order="C")
            for x in (run.X if isinstance(run.X, list) else [run.X])
        ]
        y = np.array(run.y, order="C")
        self.labelled = self.case.data.targets in WHOLE
        self.y = y.astype(np.int64 if self.labelled else np.float64)
        if self.labelled and len(self.case.output) == 1:
            self.y = self.y.reshape(-1)
        self.twin = twin.Twin(self.case, state, bound.close)
        self.leaves = [self.twin.leaves[name] for name in self.twin.trained]
        decayed = [
            p.dim() > 1 or name.endswith(".gain") or self.trainer.decay_bias
            for name, p in zip(self.twin.trained, self.leaves, strict=True)
        ]
        self.decayed = dict(zip(self.twin.trained, map(float, decayed), strict=True))
        assigned = self.trainer._run.settings.assigned
        numbers = dict(zip(self.trainer._run.settings.shapes(), assigned.members, strict=True))
        self.groups = {name: assigned.groups[numbers[name]] for name in self.twin.trained}
        self.states = {
            name: reference.first_slots(group.optimizer) for name, group in self.groups.items()
        }
        self.losses, self.step, self.epoch = [], 0, 0
        average = self.trainer.average
        self.following = None if average is None else reference.Following(average)
        self.noise, self.random = noise, np.random.default_rng([1, draw])

    def run(self):
        for deed in self.case.script:
            _, named = arguments(deed, self.space)
            if deed.kind == "step":
                self._step_deed(deed)
                continue
            n, part = len(self.y), named["batch_size"]
            size = part * named.get("accumulate", 1)
            for _ in range(named["epochs"]):
                order = np.arange(n)
                if named.get("shuffle", True):
                    order = _core.permutation(self.trainer.seed, self.epoch, n)
                last = n - n % min(size, n) if named.get("drop_last") else n
                for first in range(0, last, size):
                    ends = first + size >= last
                    rows = order[first : first + size]
                    self.update(rows, self.weights(named), ends, part if size > part else size)
                self.epoch += 1

    def weights(self, named):
        """Return the weight of each sample of a fit, of its class included, or None."""
        weights, classes = named.get("sample_weight"), named.get("class_weight")
        if classes is None:
            return weights
        count = self.case.output[-1]
        if classes == "balanced":
            found = np.bincount(self.y[self.counts(self.y)], minlength=count)
            each = found.sum() / (np.count_nonzero(found) * np.maximum(found, 1))
        else:
            each = np.array([classes.get(k, 1.0) for k in range(count)])
        whole = 1.0 if weights is None else np.asarray(weights, np.float64)
        return (each[self.y].T * whole).T

    def counts(self, y):
        """Return which samples or positions count: those whose label is not ignored."""
        ignored = getattr(self.trainer.loss, "ignore", None) if self.labelled else None
        return np.ones(y.shape, bool) if ignored is None else y != ignored

    def _step_deed(self, deed):
        rows = np.arange(len(self.y))
        X = rows if len(self.X) == 1 else [rows] * len(self.X)
        given = arguments(deed, {"X": X, "y": rows, "weights": self.space["weights"]})[0]
        part = rows[deed_rows(deed)]
        weights = None
        if len(given) > 2:
            weights = np.zeros(len(rows))
            weights[part] = given[2]
        self.update(part, weights)

    def update(self, index, weights, ends=False, part=None):
        """Do one step on some samples, a part at a time; `ends` where it is an epoch's last."""
        part = part or len(index)
        knobs = {
            name: reference.knobs_at(group.optimizer, self.step, self.epoch)
            for name, group in self.groups.items()
        }
        first = {
            name: p.detach().numpy().copy()
            for name, p in zip(self.twin.trained, self.leaves, strict=True)
        }
        points = {n: reference.point(w, self.states[n], knobs[n]) for n, w in first.items()}
        g = self.gradient(flat(points.values()), index, weights, part)
        g = self.uphill(g, flat(points.values()), index, weights, part)
        # A gradient that is 0 is a sum that cancels: of terms of some size all the same.
        size = self.noise * (np.abs(g).max(initial=0.0) + 0.01)
        noise = size * self.random.choice([-1.0, 1.0], g.shape)
        found, moving, at = {}, {}, 0
        for name, w in points.items():
            each = g[at : at + w.size].reshape(w.shape)
            moving[name] = self.moving(name, each)
            each = each + moving[name] * noise[at : at + w.size].reshape(w.shape)
            at += w.size
            k = knobs[name]
            found[name] = self.penalised(name, -each if k.maximize else each, w, k)
        moved = []
        for name, each in self.clipped(found).items():
            w, state = reference.move(
                first[name], self.states[name], each, knobs[name], self.decayed[name]
            )
            old = self.states[name]
            self.states[name] = old | {
                slot: np.where(moving[name], value, old[slot]) for slot, value in state.items()
            }
            moved.append(np.where(moving[name], w, first[name]))
        moved = self.bounded(moved)
        if self.following is not None:
            moved = self.following.step([*first.values()], moved, self.step, self.epoch, ends)
            moved = self.bounded(moved)
        fill(self.leaves, flat(moved))
        self.step += 1

    def bounded(self, weights):
        """Return weights between the bounds of their constraints."""
        bounds = [self.twin.bounds.get(name) for name in self.twin.trained]
        return [
            w if bound is None else reference.bounded(w, evaluated(bound))
            for w, bound in zip(weights, bounds, strict=True)
        ]

    def moving(self, name, g):
        """Return which weights a sparse rule moves: rows of matrices with a gradient."""
        group = self.groups[name]
        sparse = group.lazy or getattr(group.optimizer, "sparse", False)
        if not sparse or g.ndim == 1:
            return True
        largest = np.abs(g).max(axis=-1, keepdims=True)
        # Terms that cancel to the bit in one order of sums need not in another.
        cancelled = (largest > 0) & (largest < self.twin.close * largest.max(initial=0.0))
        self.twin.unclear |= bool(cancelled.any())
        return largest > 0

    def uphill(self, g, point, index, weights, part):
        """Return the gradient of the point that sharpness-aware minimisation takes it at."""
        rho = reference.knobs_at(self.trainer.optimizer, self.step, self.epoch).of(self.trainer.sam)
        if rho == 0:
            return g
        adaptive = self.trainer.sam_adaptive
        length = math.sqrt(float(np.sum((point * g if adaptive else g) ** 2)))
        if length == 0:
            return g
        self.twin.follows = False
        moved = point + rho / length * (point**2 * g if adaptive else g)
        found = self.gradient(moved, index, weights, part)
        self.twin.follows = True
        self.losses.pop()
        return found

    def penalised(self, name, g, w, k):
        """Return a parameter's gradient with penalties, clipped by itself."""
        common = self.groups[name].common
        l1, l2, value, length = (
            None if common[n] is None else k.of(common[n])
            for n in ("l1", "l2", "clip_value", "clip_parameter")
        )
        decayed = self.decayed[name]
        if l1 and self.step > 0:  # at 0 it has a kink; the start is 0 to the bit on both sides
            self.twin.unclear |= bool((decayed * (np.abs(w) < self.twin.close)).any())
        g = g + decayed * (l1 * np.sign(w) + l2 * w)
        if value is not None:
            g = np.clip(g, -value, value)
        return g if length is None else reference.clip_by_norm(g, length)

    def clipped(self, gradients):
        """Return the gradients of all parameters, clipped together."""
        limit = self.trainer.clip_norm
        if limit is None or not gradients:
            return gradients
        limit = reference.knobs_at(self.trainer.optimizer, self.step, self.epoch).of(limit)
        norm = math.sqrt(sum(float(np.sum(g * g)) for g in gradients.values()))
        return {n: g * limit / norm if norm > limit else g for n, g in gradients.items()}

    def gradient(self, point, index, weights, part):
        """Return the gradient of the batch's loss, in parts that go through the network alone."""
        losses, total, by = len(self.losses), 0.0, self.divisor(index, weights)
        for first in range(0, len(index), part):
            rows = index[first : first + part]
            total = total + self.part_gradient(point, rows, weights, by)
        self.losses[losses:] = [sum(self.losses[losses:])]
        return total

    def divisor(self, index, weights):
        """Return what the sum of a batch's losses is divided by."""
        each = self.each(index, weights)
        return {"mean": self.each(index, None, of_classes=False).sum(), "sum": 1.0,
                "weighted_mean": each.sum() or 1.0}[self.trainer.reduction]  # fmt: skip

    def each(self, index, weights, of_classes=True):
        """Return the weight of each sample, or (N, positions), where the loss takes them so."""
        lead = self.case.output[:-1] if self.trainer.loss.by_position else ()
        each = np.ones((len(index), *lead))
        if weights is not None:
            given = np.asarray(weights, np.float64)[index]
            each = (each.T * given.T).T if given.ndim == 1 else each * given
        if self.labelled:
            each = each * self.counts(self.y[index]).reshape(each.shape)
            classes = getattr(self.trainer.loss, "class_weight", None)
            if classes is not None and of_classes:
                each = each * np.float64(classes)[self.y[index].reshape(each.shape)]
        return each.reshape(len(index), -1) if lead else each

    def part_gradient(self, point, index, weights, by):
        fill(self.leaves, point)
        self.twin.step = self.step
        z = self.twin.run([torch.from_numpy(x[index]) for x in self.X])
        rows = twin.loss_rows(self.trainer.loss, z, torch.from_numpy(self.y[index]))
        each = torch.from_numpy(self.each(index, weights))
        loss = loss_weight(self.trainer, self.step, self.epoch) * ((rows * each).sum() / by)
        self.losses.append(float(loss.detach()))
        if not self.leaves or not loss.requires_grad:
            return np.zeros_like(point)
        found = torch.autograd.grad(loss, self.leaves, allow_unused=True)
        return flat(
            [torch.zeros_like(p) if g is None else g
             for g, p in zip(found, self.leaves, strict=True)]
        )  # fmt: skip

    def left(self, run):
        """Return weights, losses and predictions at the end, by name."""
        self.twin.training = False
        with torch.no_grad():
            z = self.twin.run([torch.from_numpy(x) for x in self.X]).numpy()
        state = {name: p.detach().numpy() for name, p in self.twin.leaves.items()}
        if self.following is not None and self.following.mean is not None:
            for name, mean in zip(self.twin.trained, self.following.mean, strict=True):
                state[f"average of {name}"] = mean
        return state | {"losses": np.array(self.losses), "predictions": z}


def evaluated(constraint):
    """Return a constraint that stands as a name or as a call."""
    from described import SPACE, code
    from steep.constraints import constraint_of

    return constraint_of("", eval(code(constraint), dict(SPACE)))


def deed_rows(deed):
    """Return the samples of a `step`, which its second argument, y[a:b], says."""
    first, last = deed.args[1].source[2:-1].split(":")
    return slice(int(first), int(last))


def flat(tensors):
    parts = [np.asarray(t.detach() if isinstance(t, torch.Tensor) else t).ravel() for t in tensors]
    return np.concatenate(parts) if parts else np.zeros(0)


def fill(tensors, values):
    at = 0
    with torch.no_grad():
        for p in tensors:
            p.copy_(torch.from_numpy(values[at : at + p.numel()]).reshape(p.shape))
            at += p.numel()
