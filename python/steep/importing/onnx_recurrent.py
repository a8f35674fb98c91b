"""Rows of LSTM, GRU and RNN of ONNX: its order of gates, time first or samples first."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import layers, ops
from ..exporting.recurrent import CELLS
from ..network import Tensor
from .builder import Builder
from .onnx_node import HOLD, Node, constant, tensor
from .views import View, plain, reshaped, shaped, view
from .weights import Array, Weight, turned

GATES = dict(CELLS.values())  # where ONNX's gates are among steep's
FUNCTIONS = {"LSTM": ("sigmoid", "tanh", "tanh"), "GRU": ("sigmoid", "tanh")}
WAYS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
PARAMS = ("weight", "recurrent", "bias", "recurrent_bias")


def recurrent(b: Builder, node: Node, x: Any, *given: Any) -> list[Any]:
    """Read LSTM, GRU or RNN; of several ways each is a layer."""
    w, r, bias, lengths, *states = [*given, *[None] * 7][:7]
    ways = WAYS.get(node.get("direction", "forward"), ())
    functions = _refuse(node, len(ways), states)
    weights = _weights(node, len(ways), w, r, bias)
    v, first = tensor(x), bool(node.get("layout", 0))
    if len(v.axes) != 2 or v.batch != (0 if first else 1):
        axes = "(batch, steps, features)" if first else "(steps, batch, features)"
        raise ValueError(f"wants {axes}, its input has the batch as axis {v.batch} of {v.shape}")
    sequence = plain(v, b.moves)
    told = _lengths(lengths, sequence.shape[0])
    count = 2 if node.op == "LSTM" else 1
    begun = _states(b, states[:count], node, len(ways))
    found = []
    for k, reverse in enumerate(ways):
        layer = _layer(b, node, weights[k], functions[k], reverse=reverse, of=(k, len(ways)))
        start = [*told, *(state[k] for state in begun)]
        if start and not told and start[0].shape == (1,) and count == 1:
            raise ValueError("begins with a state of one unit, which steep takes for lengths")
        found.append(_results(node, layer(sequence, *start), count))
    return [_joined(b, node, *parts) for parts in zip(range(count + 1), *found, strict=True)]


def _refuse(node: Node, ways: int, states: Sequence[Any]) -> list[Sequence[str]]:
    """Refuse what cells of steep do not do; return the functions of each way."""
    if not ways:
        raise ValueError(f"has direction {node.get('direction', '')!r}")
    if node.get("clip", 0.0) or node.get("input_forget", 0):
        raise ValueError("clips its gates or couples them (clip, input_forget)")
    if len(states) > 2 and states[2] is not None and constant(states[2], "P").value.any():
        raise ValueError("has peepholes (P), which LSTM of steep does not have")
    given = [f.lower() for f in node.get("activations", [])]
    usual = FUNCTIONS.get(node.op, ("tanh",))
    given = given or [*usual] * ways
    found = [tuple(given[k : k + len(usual)]) for k in range(0, len(given), len(usual))]
    known = {usual, ("relu",)} if node.op == "RNN" else {usual}
    if len(found) != ways or not known.issuperset(found):
        raise ValueError(
            f"has activations {node.get('activations', [])}; steep has {sorted(known)}"
        )
    return found  # type: ignore[return-value]


def _weights(node: Node, ways: int, w: Any, r: Any, bias: Any) -> list[dict[str, Weight]]:
    """Return weights as steep has them, for each way; what is wrong with shapes is told."""
    gates, given = GATES[node.op], [constant(w, "W"), constant(r, "R")]
    given += [] if bias is None else [constant(bias, "B")]
    shapes = [weight.value.shape for weight in given]
    units = node.get("hidden_size", shapes[1][-1] if shapes[1] else 0)
    size = len(gates) * units
    wanted = [(ways, size, shapes[0][-1] if shapes[0] else 0), (ways, size, units)]
    if units < 1 or shapes != [*wanted, (ways, 2 * size)][: len(shapes)]:
        raise ValueError(f"has weights of shapes {shapes} for {ways} x {units} units")
    after = node.op == "GRU" and bool(node.get("linear_before_reset", 0))
    found = []
    for k in range(ways):
        parts = [_ours(weight.value[k], gates) for weight in given[:2]]
        if bias is not None:
            parts += _biases(given[2].value[k], gates, apart=after)
        found.append(
            {
                param: Weight(value, _source(given, param, j))
                for j, (param, value) in enumerate(zip(PARAMS, parts, strict=False))
            }
        )
    return found


def _ours(value: Array, gates: Sequence[int]) -> Array:
    """Return blocks in steep's order of gates, outputs last."""
    blocks = value.reshape(len(gates), -1, *value.shape[1:])
    return np.ascontiguousarray(blocks[np.argsort(gates)].reshape(value.shape).T)


def _biases(value: Array, gates: Sequence[int], *, apart: bool) -> list[Array]:
    """Return the bias, and the one inside the reset gate where they are apart."""
    one, other = (_ours(half, gates) for half in value.reshape(2, -1))
    if apart:
        return [one, other]
    return [one + other if other.any() else one]  # -0 stays what it is


def _source(given: Sequence[Weight], param: str, place: int) -> str:
    """Return the name of the file's weight that one of steep's is: as steep wrote it, or any."""
    names = [name for weight in given for name in (*weight.sources, weight.name) if name]
    stems = {name.rpartition(".")[0] for name in names}
    if len(stems) == 1 and {name.rpartition(".")[2] for name in names} <= set(PARAMS):
        return f"{stems.pop()}.{param}"
    weight = given[min(place, len(given) - 1)]
    return weight.name or next(iter(weight.sources), "")


def _layer(
    b: Builder, node: Node, weights: dict[str, Weight], functions: Sequence[str], *,
    reverse: bool, of: tuple[int, int],
) -> Any:  # fmt: skip
    """Return the layer of one way, the same one where its weights stand elsewhere, too."""
    units, outputs = weights["recurrent"].value.shape[0], [*node.outputs, "", "", ""]
    about: dict[str, Any] = {
        "return_sequences": bool(outputs[0]),
        "return_state": bool(outputs[2] or (outputs[0] and outputs[1])),
        "reverse": reverse, "use_bias": "bias" in weights, "hold": bool(node.get(HOLD, 0)),
    }  # fmt: skip
    if node.op == "LSTM":
        layer: Any = layers.LSTM(units, **about)
    elif node.op == "GRU":
        layer = layers.GRU(units, **about, reset_after=bool(node.get("linear_before_reset", 0)))
    else:
        layer = layers.SimpleRNN(units, functions[0], **about)
    hint = node.hint if of[1] == 1 else f"{node.hint}.{('forward', 'backward')[of[0]]}"
    given = {
        param: (weight, turned(weight, range(weight.value.ndim)))
        for param, weight in weights.items()
    }
    made = b.made_once(layer, given, hint)
    if not any(weight.name for weight in weights.values()):
        made.trainable = False
    return made


def _lengths(lengths: Any, steps: int) -> list[Tensor]:
    """Return how many steps of each sample count; none where it is all of them."""
    if lengths is None or (
        isinstance(lengths, Weight) and (constant(lengths, "sequence_lens").value == steps).all()
    ):
        return []
    v = tensor(lengths, "sequence_lens")
    if v.axes:
        raise ValueError(f"has sequence_lens of shape {v.shape} for each sample; steep wants one")
    return [shaped(v.x, (1,))]


def _states(b: Builder, states: Sequence[Any], node: Node, ways: int) -> list[list[Tensor]]:
    """Return what h, and c, begin with, for each way; nothing where it is 0."""
    found: list[list[Tensor] | None] = []
    for state in states:
        if state is None or (isinstance(state, Weight) and not state.value.any()):
            found.append(None)
            continue
        v = tensor(state, "what it begins with")
        if len(v.axes) != 2 or v.shape[0] != ways or v.batch != (0 if node.get("layout", 0) else 1):
            raise ValueError(f"begins with {v.shape}, the batch as axis {v.batch}")
        parts = [plain(b.cut(v, 0, k, k + 1), b.moves) for k in range(ways)]
        found.append([shaped(part, (part.shape[-1],)) for part in parts])
    there = next((parts for parts in found if parts is not None), None)
    if there is None:
        return []
    return [parts or [ops.affine(part, 0.0) for part in there] for parts in found]


def _results(node: Node, y: Any, count: int) -> list[Tensor | None]:
    """Return h of all steps, the last h and the last c, None for what nobody reads."""
    if isinstance(y, tuple):
        return [y[0] if node.outputs[0] else None, *y[1:]]
    return [y, *[None] * count] if node.outputs[0] else [None, y, *[None] * (count - 1)]


def _joined(b: Builder, node: Node, place: int, *parts: Tensor | None) -> View | None:
    """Return an output of all ways: (steps, ways, units), or (ways, units) of a state."""
    given = [part for part in parts if part is not None]
    if len(given) != len(parts):
        return None
    y = given[0] if len(given) == 1 else ops.concat(given)
    v = view(y)
    shape = (*v.shape[:-1], len(given), v.shape[-1] // len(given))
    found = reshaped(v, shape, b.moves)
    batch = 0 if node.get("layout", 0) else 1 if place else 2
    return View(found.x, found.order, found.axes, batch)
