"""Recurrent networks of tokens, one token at a time: their states are kept. No token is drawn here.

The ops that a network is lowered to become a second one, for one step, whose recurrent ops begin
with states from inputs and return them. Nothing in it knows how many steps there were before, so it
goes on for ever; up to the context its numbers are those of the whole network, to the bit.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exporting.steps import Recorded, Step
from .layer import Layer
from .network import Network
from .recorded import recorded
from .recurrent_ops import joined, recurrent
from .stepped import EACH, made
from .tensor import Shape, Tensor, emit

Array = NDArray[Any]
# What is left out of the network of one step, but for the table of tokens.
_SAME = ("embedding", "dropout", "step_dropout", "slice", "reshape")


class Carried:
    """A recurrent network that reads one token more at a time.

    Parameters
    ----------
    net
        From tokens (context,) to (context, n). It is read once: later changes do not count.
    of
        Its ops.
    own
        What stateful layers do with rows of the batch: left out.
    """

    def __init__(self, net: Network, of: Recorded, own: set[int]) -> None:
        widths = [
            of.shapes[step.out][1]
            for step in of.steps
            if step.kind == "recurrent"
            for _ in range(_memory(step))
        ]
        self._one = made(net, of, _Lowered(of, own), [(1,), *((width,) for width in widths)])
        kind = np.float64 if net._native.precision == "float64" else np.float32
        self._cuts = np.cumsum([of.shapes[of.outputs[0]][1], *widths])[:-1]
        self._zeros: list[Array] = [np.zeros((1, width), kind) for width in widths]
        self._states = self._zeros

    def begin(self, tokens: Array) -> Array:
        """Read tokens (n,), at least one, from states of zeros; return the outputs at the last."""
        self._states = self._zeros
        for token in tokens[:-1]:
            self.then(int(token))
        return self.then(int(tokens[-1]))

    def then(self, token: int) -> Array:
        """Read one more and return the outputs there, (width,)."""
        found = self._one.predict([np.array([[token]]), *self._states])
        outputs, *self._states = np.split(found, self._cuts, axis=1)
        last: Array = outputs[0]
        return last


def carried(net: Network) -> Carried | None:
    """Return a network of tokens that keeps its states, or None where it has other ops."""
    shapes = net.input_shapes
    if shapes is None or len(shapes) != 1 or len(shapes[0]) != 1:
        return None
    of = recorded(net)
    own = _kept(of)
    if own is None or not all(_fits(step, of, own) for step in of.steps if step.out not in own):
        return None
    ends = len(of.outputs) == 1 and len(of.shapes[of.outputs[0]]) == 2
    return (
        Carried(net, of, own)
        if ends and any(step.kind == "recurrent" for step in of.steps)
        else None
    )


def _memory(step: Step) -> int:
    """Return how many states a cell has."""
    return 2 if step.attributes["cell"] == "lstm" else 1


def _kept(of: Recorded) -> set[int] | None:
    """Return what stateful layers make of rows of the batch before, and leave of their own.

    None where states come from elsewhere, or are read by something else.
    """
    before: set[int] = set()
    behind: set[int] = set()
    for step in of.steps:
        if step.kind == "kept_rows" or (step.kind == "concat" and before >= set(step.tensors)):
            before.add(step.out)
        if step.kind == "recurrent" and step.attributes["states"] and step.tensors[1] not in before:
            return None
    by_out = {step.out: step for step in of.steps}
    for step in of.steps:
        if step.kind == "keep_rows":
            behind.add(step.out)
            at = step.tensors[0]
            while by_out[at].kind in ("reshape", "slice"):
                behind.add(at)
                at = by_out[at].tensors[0]
    for step in of.steps:
        inside = step.out in before | behind or step.kind == "recurrent"
        if not inside and (before | behind) & set(step.tensors):
            return None
    return before | behind


def _fits(step: Step, of: Recorded, own: set[int]) -> bool:
    shape, context = of.shapes[step.out], of.shapes[of.inputs[0]][0]
    about = step.attributes
    if step.kind == "recurrent":
        rows = context + _memory(step) * about["returned"]
        ahead = about["reverse"] or about["lengths"] or not about["sequences"]
        return not ahead and shape[0] == rows
    other = about.get("groups") or about.get("scale_at_test")  # over positions; not as it was
    if step.kind == "embedding":
        other = step.tensors[0] != of.inputs[0]
    if step.kind == "slice":  # but the sequence out of what a recurrent op returned
        other = (about["axis"], about["first"]) != (0, 0)
    each = len(shape) == 2 and shape[0] == context and not own & set(step.tensors)
    return each and not other and (step.kind in EACH or step.kind in _SAME)


class _Lowered(Layer):
    """The ops once more, of one step: outputs and states, one after the other.

    Behind the token come the states of each recurrent op.
    """

    def __init__(self, of: Recorded, own: set[int]) -> None:
        super().__init__("at")
        self.of, self.own = of, own

    def call(self, token: Tensor, *states: Tensor) -> Tensor:
        """Emit them."""
        given, left = iter(states), []
        known = {self.of.inputs[0]: token}
        for step in self.of.steps:
            if step.out in self.own:
                continue
            x, *others = (known[k] for k in step.tensors if k not in self.own)
            weights = [
                self.parameter(name, self.of.weights[name].shape, 0.0) for name in step.parameters
            ]
            about = dict(step.attributes)
            if step.kind == "recurrent":
                start = [next(given) for _ in range(_memory(step))]
                for name in ("lengths", "states"):
                    del about[name]
                about |= {"returned": True, "dropout": 0.0}
                y = recurrent(x, weights, states=start, **about)
                left.append(_rows(y, 1, 1 + len(start)))
                y = _rows(y, 0, 1)
            elif step.kind in _SAME[1:]:
                y = x
            else:
                y = emit(EACH.get(step.kind, step.kind), x, *others, *weights, **about)
            known[step.out] = y
        return joined([known[self.of.outputs[0]], *left])


def _rows(x: Tensor, first: int, last: int) -> Tensor:
    rows: Shape = (last - first, x.shape[1])
    return emit("reshape", emit("slice", x, axis=0, first=first, last=last), shape=rows)
