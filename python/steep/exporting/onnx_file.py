"""Writes a recorded network as a file, through the package `onnx`. Nodes are made in `rows`."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import __version__
from ..files import atomic
from .rows import ROWS, refuse_missing
from .steps import Recorded
from .table_nodes import ML, ML_OPSET, TableNodes
from .writer import Node, Writer

if TYPE_CHECKING:
    from ..data import Table

OPSET = 18
_INSIDE = ("network/outputs",)  # what a network gives to the nodes of a table
FORMAT = 8  # version of the file format that came before that of the opset: old runtimes read it
LARGEST = (1 << 31) - 1  # bytes of a protocol buffer
HOW_TO_GET = "onnx is not installed: `pip install 'steep[onnx]'` or `pip install onnx`"


def write(
    recorded: Recorded,
    path: str | PathLike[str],
    table: Table | None = None,
    *,
    clamp: bool = False,
) -> None:
    """Write a network, whole or not at all.

    With a table its columns come in and values of its target go out; `clamp` keeps these among
    those that the table was learned from.

    Raises
    ------
    ImportError
        If the package `onnx` is not there.
    ValueError
        If an op cannot be written, the weights take more than 2 GB, or the network is not that of
        the table.
    OSError
        If the file cannot be written.
    """
    try:
        import onnx  # noqa: PLC0415 - an extra
    except ImportError:
        raise ImportError(HOW_TO_GET) from None
    refuse_missing(recorded.steps)
    total = sum(value.nbytes for value in recorded.weights.values())
    if total > LARGEST - (1 << 20):
        raise ValueError(f"{fspath(path)}: an ONNX file holds 2 GB, the weights take {total:,}")
    atomic.replace(path, _model(onnx, recorded, table, clamp).SerializeToString())


def _model(onnx: Any, recorded: Recorded, table: Table | None, clamp: bool) -> Any:
    if table is not None:
        recorded = replace(recorded, output_names=_INSIDE)
    names = [column.name for column in table.columns] if table is not None else []
    ids = recorded.ids() if table is None else frozenset[int]()  # a table makes numbers
    w = Writer(recorded, names, ids)
    for step in recorded.steps:
        w.begin(step)
        ROWS[step.kind](w, step)
    w.finish(recorded.outputs, recorded.output_names)
    helper, kind = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype(w.dtype)

    def typed(name: str, tensor: int) -> Any:
        given = onnx.TensorProto.INT64 if tensor in ids else kind
        return helper.make_tensor_value_info(name, given, ["batch", *recorded.shapes[tensor]])

    nodes = [_proto(onnx, node) for node in w.nodes]
    inputs = [typed(*pair) for pair in zip(w.inputs, recorded.inputs, strict=True)]
    outputs = [typed(*pair) for pair in zip(recorded.output_names, recorded.outputs, strict=True)]
    sets = [helper.make_opsetid("", OPSET)]
    if table is not None:
        around = _around(onnx, recorded, table, w, clamp)
        nodes = [*around.before, *nodes, *around.after]
        inputs, outputs = around.inputs, around.outputs
        sets.append(helper.make_opsetid(ML, ML_OPSET))
    weights = [onnx.numpy_helper.from_array(value, name) for name, value in w.weights.items()]
    return helper.make_model(
        helper.make_graph(nodes, "steep", inputs, outputs, weights),
        opset_imports=sets,
        ir_version=FORMAT,
        producer_name="steep",
        producer_version=__version__,
    )


def _around(onnx: Any, recorded: Recorded, table: Table, w: Writer, clamp: bool) -> TableNodes:
    """Make the nodes of a table around a network."""
    shapes = [tuple(recorded.shapes[x]) for x in (*recorded.inputs, *recorded.outputs)]
    if table.goal is None or len(shapes) != 2 or shapes[0] != (len(table.features),):
        raise ValueError(
            f"to_onnx: the table has {len(table.features)} features"
            f"{'' if table.goal else ' and no target'}, the network takes and gives {shapes}"
        )
    if taken := sorted({column.name for column in table.columns} & {*w.weights}):
        raise ValueError(f"to_onnx: columns have names of weights: {taken}; rename them")
    made = TableNodes(onnx, table, w.dtype)
    made.features(w.inputs[0])
    made.decoded(recorded.output_names[0], shapes[1], table.goal, clamp)
    return made


def _proto(onnx: Any, node: Node) -> Any:
    given = {
        key: onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for key, value in node.attributes.items()
    }
    return onnx.helper.make_node(node.op, node.inputs, node.outputs, node.name, **given)
