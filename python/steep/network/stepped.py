"""Causal networks of tokens, one token at a time: keys and values are kept. No token is drawn here.

The ops that a network is lowered to become a second network, for one position: what acts on each
position for itself is as it was, attention reads the keys and values of earlier positions from an
input. Sums run in the order of the whole network, so the numbers are the same to the bit. Networks
that keep states go on in `carried`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exporting.steps import Recorded, Step
from .layer import Layer
from .model import Input, Model
from .network import Network
from .recorded import recorded
from .tensor import Tensor, emit

Array = NDArray[Any]
# Ops that act on each position of (positions, width) for itself, and what they are called here.
EACH = {
    "matmul": "matmul", "add_row": "add", "multiply_row": "multiply", "activation": "activation",
    "add": "add", "subtract": "subtract", "multiply": "multiply", "feature_norm": "feature_norm",
    "softmax": "softmax",
}  # fmt: skip


class Stepped:
    """A causal network that reads one token more at a time, up to its context.

    Parameters
    ----------
    net
        From tokens (context,) to (context, n). It is read once: later changes do not count.
    of
        Its ops.
    """

    def __init__(self, net: Network, of: Recorded) -> None:
        self._context = of.shapes[of.inputs[0]][0]
        self._width = of.shapes[of.outputs[0]][1]
        steps = [step for step in of.steps if step.kind == "attention"]
        widths = [2 * of.shapes[step.out][1] for step in steps]
        self._all = made(net, of, _Lowered(of), [(self._context,)])
        caches = [(self._context, width) for width in widths]
        given = [(1,), (1,), (1,), (self._context, 1), *caches]
        self._one = made(net, of, _Lowered(of), given)
        kind = np.float64 if net._native.precision == "float64" else np.float32
        self._cuts = np.cumsum([self._width, *widths])[:-1]
        self._kept = [np.zeros((1, *shape), kind) for shape in caches]
        self._place = np.zeros((1, self._context, 1), kind)
        self._count = 0

    def begin(self, tokens: Array) -> Array:
        """Read tokens (n,), n at most the context, and return the outputs at the last, (width,)."""
        self._count = len(tokens)
        row = np.zeros((1, self._context), np.int64)
        row[0, : self._count] = tokens
        found: list[Array] = np.split(self._all.predict(row)[0], self._cuts, axis=-1)
        for kept, values in zip(self._kept, found[1:], strict=True):
            kept[0, : self._count] = values[: self._count]
            kept[0, self._count :] = 0.0
        last: Array = found[0][self._count - 1]
        return last

    def then(self, token: int) -> Array:
        """Read one more and return the outputs there; the context must not be full."""
        at = self._count
        self._place[0, at] = 1.0
        given = ([[token]], [[at]], [[at + 1]])
        found = self._one.predict([*map(np.array, given), self._place, *self._kept])[0, 0]
        self._place[0, at] = 0.0
        parts: list[Array] = np.split(found, self._cuts)
        for kept, values in zip(self._kept, parts[1:], strict=True):
            kept[0, at] = values
        self._count += 1
        return parts[0]


def stepped(net: Network) -> Stepped | None:
    """Return a network of tokens that keeps keys and values, or None where it has other ops."""
    if net.device != "cpu":
        return None
    of = recorded(net)
    fitting = len(of.inputs) == len(of.outputs) == 1 and all(_fits(step, of) for step in of.steps)
    shape = of.shapes[of.outputs[0]]
    ends = of.outputs[0] in {step.out for step in of.steps} and len(shape) == 2
    attends = any(step.kind == "attention" for step in of.steps)
    return Stepped(net, of) if fitting and ends and attends else None


def _fits(step: Step, of: Recorded) -> bool:
    shape, context = of.shapes[step.out], of.shapes[of.inputs[0]][0]
    if len(shape) != 2 or shape[0] != context:
        return False
    if step.kind == "embedding":
        return step.tensors[0] == of.inputs[0]
    if step.kind == "attention":
        return bool(step.attributes["causal"]) and step.attributes["tensors"] == 1
    if step.kind == "dropout":  # nothing in predictions
        return not step.attributes["scale_at_test"]
    if step.kind == "feature_norm" and step.attributes["groups"]:
        return False
    return step.kind in EACH or step.kind == "add_table"


def made(net: Network, of: Recorded, lowered: Layer, shapes: Sequence[tuple[int, ...]]) -> Model:
    """Return a network of one layer, `lowered` out of the ops of a net, with the net's weights."""
    inputs = [Input(shape) for shape in shapes]
    found = Model(inputs, lowered(*inputs))
    found.build()
    found._convert(net._native.precision, "cpu")
    known = {f"{lowered.name}.{name}": value for name, value in of.weights.items()}
    found.load_state_dict({name: known[name] for name in found.state_dict()})
    return found


class _Lowered(Layer):
    """The ops once more: outputs, keys and values side by side.

    Of all tokens, or of one at a position: then come the position, how many tokens there are with
    this one, a column that is 1 at the position, and for each attention the keys and values of the
    others.
    """

    def __init__(self, of: Recorded) -> None:
        super().__init__("at")
        self.of = of

    def call(self, tokens: Tensor, *given: Tensor) -> Tensor:
        """Emit them."""
        position, length, place = given[:3] if given else (tokens,) * 3
        caches, kept = iter(given[3:]), []
        known = {self.of.inputs[0]: tokens}
        for step in self.of.steps:
            x, *others = (known[k] for k in step.tensors)
            weights = [
                self.parameter(name, self.of.weights[name].shape, 0.0) for name in step.parameters
            ]
            about = dict(step.attributes)
            if step.kind == "attention":
                third = x.shape[1] // 3
                kept.append(_columns(x, third, 3 * third))
            if step.kind == "dropout":
                y = x
            elif step.kind == "attention" and given:
                row = emit("batch_matmul", place, kept[-1], transpose_a=False, transpose_b=False)
                seen = emit("add", next(caches), row)  # the row is 0 in the cache
                about |= {"causal": False, "tensors": 2, "rate": 0.0}
                query = _columns(x, 0, third)
                y = emit("masked_attention", query, seen, seen, length, **about)
            elif step.kind == "add_table" and given:
                y = emit("add", x, emit("embedding", position, *weights, padding=-1))
            else:
                y = emit(EACH.get(step.kind, step.kind), x, *others, *weights, **about)
            known[step.out] = y
        return emit("concat", known[self.of.outputs[0]], *kept)


def _columns(x: Tensor, start: int, stop: int) -> Tensor:
    return emit("slice", x, axis=1, first=start, last=stop)
