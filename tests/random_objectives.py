"""Random networks of several outputs: heads on a random body, any losses, one or two objectives.

Body, data and seed are those of a random case; what is trained is drawn here. No law is here.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from described import SPACE, Source, _chain, call, code
from random_layers import Body, layer
from random_states import forgetting
from shapes import after

try:  # only the formulas want it
    import torch
except ImportError:
    torch = None
F = torch and torch.nn.functional


@dataclass(frozen=True)
class Kind:
    """A loss: its code, that of its targets for `shape`, and its formula in PyTorch, row by row."""

    loss: str
    targets: str
    rows: Any  # (z, t), flat but for labels -> (N,)
    kinks: Any = ()  # of z - t, or where else
    classes: bool = False


def _mean(values):
    return values.reshape(len(values), -1).mean(1)


def _cosine(z, t):
    return 1 - (z * t).sum(1) / (((z * z).sum(1) + 1e-16) * ((t * t).sum(1) + 1e-16)).sqrt()


def _dice(z, t):
    p = torch.sigmoid(z)
    return 1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)


def _focal(z, t):
    one, nought = F.softplus(-z, threshold=1e9), F.softplus(z, threshold=1e9)
    return _mean(t * torch.exp(-2 * nought) * one + (1 - t) * torch.exp(-2 * one) * nought)


def _divergence(z, t):
    return (t * (torch.log(t + 1e-30) - z)).sum(1)


def _positions(z, t):
    rows = F.cross_entropy(z.movedim(-1, 1), t, reduction="none")
    return rows.reshape(len(rows), -1)


KINDS = {
    "mse": Kind('"mse"', "random.standard_normal({shape})", lambda z, t: _mean((z - t) ** 2)),
    "huber": Kind(
        "losses.Huber(0.7)", "random.standard_normal({shape})",
        lambda z, t: _mean(F.huber_loss(z, t, reduction="none", delta=0.7)),
    ),
    "binary": Kind(
        '"binary_cross_entropy"', "random.integers(0, 2, {shape}).astype(float)",
        lambda z, t: _mean(F.binary_cross_entropy_with_logits(z, t, reduction="none")),
    ),
    "labels": Kind(
        '"cross_entropy"', "random.integers(0, {classes}, {lead})", _positions, classes=True
    ),
    "hinge": Kind(
        "losses.Hinge()", "random.integers(0, 2, {shape}).astype(float)",
        lambda z, t: _mean(torch.relu(1 - (2 * t - 1) * z)), (-1.0, 1.0),
    ),
    "squared_hinge": Kind(
        '"squared_hinge"', "2.0 * random.integers(0, 2, {shape}) - 1",
        lambda z, t: _mean(torch.relu(1 - t * z) ** 2),
    ),
    "poisson": Kind(
        '"poisson"', "random.poisson(2.0, {shape}).astype(float)",
        lambda z, t: _mean(torch.exp(z) - t * z),
    ),
    "kl_divergence": Kind('"kl_divergence"', "random.random({shape})", _divergence),
    "cosine": Kind('"cosine_similarity"', "random.standard_normal({shape})", _cosine),
    "dice": Kind("losses.Dice()", "random.random({shape})", _dice),
    "focal": Kind('"focal"', "random.random({shape})", _focal),
    "kl_normal": Kind(
        "losses.KLNormal()", "random.standard_normal({shape})",
        lambda z, t: (0.5 * (z * z + torch.exp(t) - t - 1)).sum(1),
    ),
    "mean": Kind('"mean"', "", lambda z, t: _mean(z)),
    "own": Kind(
        "losses.Custom(softened)", "random.standard_normal({shape})",
        lambda z, t: _mean(torch.sqrt((z - t) ** 2 + 0.25)),
    ),
    "own of the output": Kind(
        "losses.Custom(small)", "", lambda z, t: _mean(0.5 * z * z + torch.tanh(z))
    ),
}  # fmt: skip
RULES = ('"sgd"', '"adam"', "optimizers.SGD(0.03, 0.9)", '"rmsprop"', '"adagrad"', '"lion"',
         "optimizers.Adam(0.01, weight_decay=0.1)", '"adabelief"')  # fmt: skip
NAMES = "abc"


@dataclass(frozen=True)
class Head:
    """One output: layers on what the body gives, and its loss."""

    name: str
    nodes: tuple[Any, ...]
    shape: tuple[int, ...]
    kind: str
    weight: Any


@dataclass(frozen=True)
class Several:
    """A training of several losses, on the body and the inputs of a random case."""

    case: Any
    heads: tuple[Head, ...]
    rules: tuple[str, ...]  # one for each objective
    every: int
    size: int  # of a batch
    epochs: int

    @cached_property
    def precision(self):
        return self.case.option("precision", "float32")

    def code(self, precision=None):
        """Return the program, up to the trainer: ``net``, ``trainer``, ``X`` and ``y``."""
        case = self.case
        lines = [f"{name} = {made.code()}" for name, made in case.shared]
        names = ["p", "q"][: len(case.inputs)]
        lines += [
            f"{n} = steep.Input({shape!r})" for n, shape in zip(names, case.inputs, strict=True)
        ]
        count = [0]
        body = _chain(lines, case.body, "p", count)
        outs = [(head.name, _chain(lines, head.nodes, body, count)) for head in self.heads]
        outputs = ", ".join(f'"{name}": {out}' for name, out in outs)
        lines += [f"net = steep.Model([{', '.join(names)}], {{{outputs}}})", "net.build(seed=5)"]
        if case.frozen:
            lines.append("_ = [net.freeze(name) for name in list(net.state_dict())[:-1:3]]")
        lines += case._data()
        lines.append("y = {}")
        for head in self.heads:
            if not KINDS[head.kind].targets:
                continue
            shape = (case.data.samples, *head.shape)
            given = {"shape": shape, "lead": shape[:-1], "classes": shape[-1]}
            lines.append(f'y["{head.name}"] = {KINDS[head.kind].targets.format(**given)}')
        lines.append("y = y or None")
        return "\n".join([*lines, self._trainer(precision or self.precision)])

    def _trainer(self, precision):
        options = f"precision={precision!r}, seed={self.case.seed}"
        if device := self.case.option("device"):
            options += f", device={device!r}"
        if len(self.rules) == 1:
            given, by = self._losses(self.heads)
            return f"trainer = steep.Trainer(net, {given}, {self.rules[0]}, {by}, {options})"
        free = """free = [
    n for n in net.state_dict()
    if n not in net.frozen and "running_" not in n and n[-2:] != ".u"
]"""
        aims = []
        for name, heads, trains, rule, every in zip(
            ("one", "two"), (self.heads[:1], self.heads[1:]), ("free[::2]", "free"), self.rules,
            (1, self.every), strict=True,
        ):  # fmt: skip
            given, by = self._losses(heads)
            aims.append(f'steep.Objective({given}, {trains}, {rule}, {every}, "{name}", {by})')
        return f"{free}\ntrainer = steep.Trainer(net, objectives=[{', '.join(aims)}], {options})"

    def _losses(self, heads):
        """Return the code of their losses, and of the losses' weights."""
        given = ", ".join(f'"{h.name}": {KINDS[h.kind].loss}' for h in heads)
        by = ", ".join(f'"{h.name}": {code(h.weight)}' for h in heads)
        return f"{{{given}}}", f"loss_weights={{{by}}}"

    def make(self, precision=None):
        """Return net, trainer, X and y."""
        space = dict(SPACE)
        exec(compile(self.code(precision), f"<several {self.case.seed}>", "exec"), space)
        return SimpleNamespace(**{name: space[name] for name in ("net", "trainer", "X", "y")})


def several(case):
    """Return the training of several losses that belongs to a case: the same for equal cases."""
    random = np.random.default_rng([case.seed, 7])
    body = Body(random)
    nodes = forgetting(case.body)  # these fits shuffle
    if len(nodes) > 1 and getattr(nodes[-1], "kind", "") == "Dense":
        nodes = nodes[:-1]
    second = case.inputs[1] if len(case.inputs) > 1 else None
    shape = after(nodes, case.inputs[0], case.shared, second)
    if body.chance(0.3):
        nodes = (*nodes, call("", "Size", body.choose(0.5, -0.1, 1.0)))
    heads = tuple(_head(body, name, shape) for name in NAMES[: body.whole(2, 3)])
    return Several(
        case=replace(case, body=nodes, shared=forgetting(case.shared), functional=True, build=5),
        heads=heads,
        rules=tuple(body.choose(*RULES) for _ in range(body.choose(1, 2))),
        every=body.whole(1, 2),
        size=body.choose(1, case.data.samples, body.whole(1, case.data.samples)),
        epochs=body.whole(1, 3),
    )


def _head(body, name, shape):
    """Return a head: layers whose names no other has, and a loss that its output allows."""
    nodes = [layer("Flatten")] if len(shape) > 1 and body.chance(0.7) else []
    if body.chance(0.3):
        nodes.append(layer("Dense", body.whole(1, 9), "tanh"))
    nodes.append(layer("Dense", body.whole(1, 5), name=f"head_{name}"))
    out = after(nodes, shape, ())
    kinds = [kind for kind, made in KINDS.items() if not made.classes or out[-1] > 1]
    weight = body.choose(1.0, 0.3, 2.0, Source("schedules.Exponential(1.0, 0.1)"))
    return Head(name, tuple(nodes), out, body.choose(*kinds), weight)


def loss_of(kind, z, t):
    """Return the loss of each sample, (N,); of labels at each position, (N, positions)."""
    if KINDS[kind].classes:
        return KINDS[kind].rows(z, torch.from_numpy(np.asarray(t, np.int64)))
    flat = z.reshape(len(z), math.prod(z.shape[1:]))
    target = None if t is None else torch.from_numpy(np.asarray(t, np.float64)).reshape(flat.shape)
    return KINDS[kind].rows(flat, target)
