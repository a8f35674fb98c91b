"""Recurrent layers as LSTM, GRU and RNN of ONNX: its order of gates, time first."""

import numpy as np

from .steps import Step
from .writer import Writer

# ONNX's name of a cell, and where its gates are among steep's: i o f c of i f g o, z r h of r z n.
CELLS = {
    "lstm": ("LSTM", (0, 3, 1, 2)),
    "gru": ("GRU", (1, 0, 2)),
    "gru_before": ("GRU", (1, 0, 2)),
    "tanh": ("RNN", (0,)),
    "relu": ("RNN", (0,)),
}


def recurrent(w: Writer, step: Step) -> None:
    """Write the node, and put what it returns into the rows that steep has."""
    at = step.attributes
    op, gates = CELLS[at["cell"]]
    weight, second, *biases = step.parameters
    units = w.values[second].shape[0]
    order = w.ints(*np.concatenate([np.arange(units) + g * units for g in gates]).tolist())

    def gathered(name: str, axes: tuple[int, ...]) -> str:
        return w.node("Gather", [w.weight(name, axes), order], axis=0)

    def alone(x: str) -> str:
        return w.node("Unsqueeze", [x, w.ints(0)])

    x = w.node("Transpose", [w.get(step.tensors[0], "last")], perm=[1, 0, 2])
    inputs = [x, alone(gathered(weight, (1, 0))), alone(gathered(second, (1, 0)))]
    inputs.append(_biases(w, [gathered(name, (0,)) for name in biases], len(gates) * units))
    lengths, states = _start(w, step, units)
    inputs += [lengths, *(alone(state) for state in states)]
    given = {"hidden_size": units, "direction": "reverse" if at["reverse"] else "forward"}
    if op == "GRU":
        given["linear_before_reset"] = int(at["cell"] == "gru")
    if op == "RNN":
        given["activations"] = [at["cell"].capitalize()]
    count = 3 if op == "LSTM" else 2
    y, *last = w.several(op, inputs, count, **given)
    last = [w.node("Squeeze", [state, w.ints(0)]) for state in last]
    w.give(step.out, _rows(w, step, y, last, lengths))


def _biases(w: Writer, found: list[str], size: int) -> str:
    """Return both biases side by side, zeros where there is none."""
    if not found:
        return ""
    none = w.constant(np.zeros(size, w.dtype))
    both = w.node("Concat", [found[0], *(found[1:] or [none])], axis=0)
    return w.node("Unsqueeze", [both, w.ints(0)])


def _start(w: Writer, step: Step, units: int) -> tuple[str, list[str]]:
    """Return lengths (N,) and states (N, units) each, empty where there are none."""
    at, start = step.attributes, step.tensors[1]
    if not (at["lengths"] or at["states"]):
        return "", []
    x, width = w.get(start, "last"), w.shapes[start][0]

    first, lengths = int(at["lengths"]), ""
    if first:
        whole = w.node("Cast", [w.cut(x, 1, 0, 1)], to=6)  # int32
        lengths = w.node("Squeeze", [whole, w.ints(1)])
    return lengths, [w.cut(x, 1, k, k + units) for k in range(first, width, units)]


def _rows(w: Writer, step: Step, y: str, last: list[str], lengths: str) -> str:
    """Return h of all steps, or the last one, and states behind it where they are asked for."""
    at = step.attributes
    if at["sequences"]:
        found = w.node("Transpose", [w.node("Squeeze", [y, w.ints(1)])], perm=[1, 0, 2])
        if at["hold"] and lengths:
            steps = w.constant(
                np.arange(w.shapes[step.tensors[0]][0], dtype=np.int32)[None, :, None]
            )
            ends = w.node("Unsqueeze", [lengths, w.ints(1, 2)])
            behind = w.node("Less", [steps, ends])
            found = w.node("Where", [behind, found, w.node("Unsqueeze", [last[0], w.ints(1)])])
    elif not at["returned"]:
        return last[0]
    else:
        found = w.node("Unsqueeze", [last[0], w.ints(1)])
    if not at["returned"]:
        return found
    states = [w.node("Unsqueeze", [state, w.ints(1)]) for state in last]
    return w.node("Concat", [found, *states], axis=1)
