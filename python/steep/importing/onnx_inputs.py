"""What an ONNX graph says of its inputs. What becomes of them: `onnx_file`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .onnx_arrays import LARGEST_AXIS
from .onnx_node import MOVING
from .onnx_patterns import RECURRENT


@dataclass
class Asked:
    """What the graph says of an input."""

    name: str
    batch: int  # 0 where it is open
    shape: tuple[int, ...]  # without it
    place: int = 0  # of the batch


def asked(entry: Any, graph: Any) -> Asked:
    """Return what the graph says of an input.

    Raises
    ------
    ValueError
        If it is none that a network has.
    """
    dims = entry.type.tensor_type.shape.dim
    if not entry.type.HasField("tensor_type") or not dims:
        raise ValueError(f"input {entry.name!r} is no tensor (batch, ...)")
    kind = entry.type.tensor_type.elem_type
    if kind not in (1, 10, 11) and not _named(graph, entry.name):
        raise ValueError(f"input {entry.name!r} has whole numbers; steep computes in floats")
    told = [int(dim.dim_value) if dim.HasField("dim_value") else None for dim in dims]
    place = _batch_of(graph, entry.name, told)
    sizes = tuple(int(dim.dim_value) for k, dim in enumerate(dims) if k != place)
    if any(not 0 < n <= LARGEST_AXIS for n in sizes):
        words = [dim.dim_param or str(dim.dim_value) for dim in dims]
        raise ValueError(
            f"input {entry.name!r} has shape ({', '.join(words)}); sizes other than the batch "
            "must be known: onnx.tools.update_model_dims sets them"
        )
    return Asked(entry.name, int(dims[place].dim_value), sizes, place)


def _batch_of(graph: Any, name: str, sizes: Sequence[int | None]) -> int:
    """Return which axis of an input is the batch: the second of sequences with time first."""
    timed = [
        node
        for node in graph.node
        if node.op_type in RECURRENT and not any(a.name == "layout" and a.i for a in node.attribute)
    ]
    free = [k for k, n in enumerate(sizes) if n is None]
    if len(sizes) < 3:
        return 0
    if free == [1] and (timed or sizes[0] != 1):  # one sample of any length is none of these
        return 1
    return int(not free and any(name in node.input for node in timed))


def _named(graph: Any, name: str) -> bool:
    """Say whether whole numbers are only made floats, or rows of tables."""
    whole = {name}
    for node in graph.node:
        if not whole.intersection(node.input):
            continue
        if node.op_type in (*MOVING, "Slice") and node.input[0] in whole:
            whole.update(node.output)
        elif node.op_type in RECURRENT and not whole.intersection(
            [*node.input[:4], *node.input[5:]]
        ):
            continue  # lengths of samples
        elif node.op_type == "RotaryEmbedding" and not whole.intersection(node.input[:3]):
            continue  # positions of tokens
        elif node.op_type != "Cast" and (node.op_type != "Gather" or node.input[0] in whole):
            return False
    return not whole.intersection(entry.name for entry in graph.output)
