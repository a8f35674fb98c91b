"""Described networks in PyTorch, float64, and their losses. No update rule is here."""

import re

import cases
import numpy as np
import reference
import torch
from described import Fork, Meet, Use
from laws.twin_functions import (
    ACTIVATIONS,
    ALIASES,
    BENT,
    DEFAULTS,
    GATES,
    Reference,
    apply,
    join,
)
from laws.twin_layers import LAYERS

F = torch.nn.functional


LOSSES = {
    "mse": lambda z, y, loss: F.mse_loss(z, y, reduction="none"),
    "mae": lambda z, y, loss: F.l1_loss(z, y, reduction="none"),
    "huber": lambda z, y, loss: F.huber_loss(z, y, reduction="none", delta=loss.delta),
    "cross_entropy": lambda z, y, loss: F.cross_entropy(
        z, y, reduction="none", label_smoothing=loss.label_smoothing
    ),
    "binary_cross_entropy": lambda z, y, loss: F.binary_cross_entropy_with_logits(
        z, y, reduction="none"
    ),
}

STAYS = re.compile(r"running_|\.(u|rise|start)$")  # what no gradient moves


class Twin:
    """A described network with weights by name, in the order in which steep defines them."""

    follows = True  # running statistics, what they see

    def __init__(self, case, state, close):
        self.case, self.close = case, close  # nearer to a kink than `close` is not clear
        self.leaves = {
            name: torch.tensor(np.asarray(value, np.float64)) for name, value in state.items()
        }
        frozen = case.frozen and case.build is not None
        self.frozen = set([*state][:-1:3]) if frozen else set()
        self.trained = [n for n in state if not STAYS.search(n) and n not in self.frozen]
        for name in self.trained:
            self.leaves[name].requires_grad_(True)
        self._names, self._where = iter(state), {}
        self.bounds = {}  # constraints by weight
        self._spectral = []  # layers whose one inside has its weight divided
        self.added = []  # losses of samples that layers add
        self.training = True
        self.step = 0  # which schedules go by
        self.once = False  # whether a function in it has a first derivative only
        self.bent = False  # whether it has no second derivative where it is evaluated
        self.unclear = (
            False  # whether rounding decides: a value near a kink, equal values normalised
        )

    def run(self, inputs):
        """Return the outputs for a list of inputs, (N, ...)."""
        self._second = inputs[1] if len(inputs) > 1 else None
        return self.chain(self.case.body, inputs[0], ())

    def divided(self, weight, outer):
        """Return a weight divided by its largest singular value, where the layer around says so."""
        node, key = self._spectral.pop() if self._spectral else (None, None)
        if node is None:
            return weight
        assert key == outer[:-1]
        matrix = weight.reshape(-1, weight.shape[-1])
        with torch.no_grad():
            u = self.take(key, "u")
            now = u.clone()
            for _ in range(node.get("iterations", 1)):
                v = F.normalize(matrix @ now, dim=0)
                now = F.normalize(matrix.T @ v, dim=0)
            if self.training and self.follows and self._where[key, "u"] not in self.frozen:
                u.copy_(now)
        return weight / (v @ matrix @ now)

    def take(self, key, word):
        """Return a weight of the layer at a place; its name is found when it is met first."""
        if (key, word) not in self._where:
            name = next(self._names)
            assert name.endswith(f".{word}"), f"{name} comes where a {word} was expected"
            self._where[key, word] = name
        return self.leaves[self._where[key, word]]

    def weight(self, node, key):
        """Return the weight of a layer that may have a constraint, and note that."""
        found = self.take(key, "weight")
        self.bounds[self._where[key, "weight"]] = node.get("constraint")
        return found

    def named(self, key, word):
        """Return the name of a weight that was met."""
        return self._where[key, word]

    def chain(self, nodes, x, key):
        for k, node in enumerate(nodes):
            x = self.node(node, x, (*key, k))
        return x

    def node(self, node, x, key):
        if isinstance(node, Use):
            return self.node(dict(self.case.shared)[node.name], x, (node.name,))
        if isinstance(node, Fork):
            return join(node.op, [self.chain(w, x, (*key, k)) for k, w in enumerate(node.ways)])
        if isinstance(node, Meet):
            return join(node.op, [x, self.chain(node.way, self._second, (*key, "way"))])
        return LAYERS[node.kind](self, node, x, key)

    def activate(self, given, x, key=()):
        """Apply what stands as `activation=`, a name or a layer."""
        if given is None:
            return x
        if given in GATES:
            return self.gated(GATES[given], x)
        if not isinstance(given, str):
            return LAYERS[given.kind](self, given, x, (*key, "activation"))
        return self.function(given, x, DEFAULTS.get(given, 0.0))

    def gated(self, name, x):
        a, b = x.chunk(2, -1)
        return a * self.function(name, b, DEFAULTS.get(name, 0.0))

    def function(self, name, x, alpha):
        name = ALIASES.get(name, name)
        if name == "softmax":
            return torch.softmax(x, -1)
        self.look(x, cases.ACTIVATIONS[name].kinks(alpha))
        self.once |= name not in ACTIVATIONS
        self.bent |= name in BENT and bool((x.detach() == 0).any())
        return apply(name, x, alpha)

    def look(self, x, kinks):
        """Note whether a value is near to a kink; on it is clear."""
        for place in kinks:
            near = (x.detach() - place).abs()
            self.unclear |= bool(((near > 0) & (near < self.close)).any())

    def largest(self, parts):
        """Note whether the two largest along the last axis are as good as equal, and return one.

        Rounding says then who gets dy.
        """
        if parts.shape[-1] > 1:
            first, second = parts.detach().topk(2, dim=-1).values.unbind(-1)
            self.unclear |= bool(((first - second < self.close) & (first != 0)).any())
        return parts.max(-1).values


def positions(loss, z, y):
    labelled = y.dtype == torch.int64
    rows = F.cross_entropy(
        z.movedim(-1, 1), y.reshape(z.shape[:-1]) if labelled else y.movedim(-1, 1),
        reduction="none", label_smoothing=loss.label_smoothing,
        ignore_index=-100 if loss.ignore is None else loss.ignore,
    )  # fmt: skip
    return rows.reshape(len(z), -1)


def loss_rows(loss, z, y):
    """Return the loss of each sample; `loss` is steep's description, for its name and number.

    Of cross entropy at positions that of each, (N, positions), 0 where a label is ignored.
    """
    if loss.by_position and z.dim() > 2:
        return positions(loss, z, y)
    z = z.reshape(len(z), -1)
    y = y.reshape(z.shape) if y.numel() == z.numel() else y
    if loss.name in LOSSES:
        return LOSSES[loss.name](z, y, loss).reshape(len(z), -1).mean(1)
    y = reference.one_hot(y.numpy(), z.shape[1]) if y.dtype == torch.int64 else y.double().numpy()
    return Reference.apply(z, lambda z: reference.LOSSES[loss.name](z, y, loss.option))
