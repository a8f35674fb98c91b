"""Writes a recorded network as a file, through the package `onnx`. Nodes are made in `rows`."""

from os import PathLike, fspath
from typing import Any

import numpy as np

from .._core import __version__
from ..files import atomic
from .rows import ROWS, refuse_missing
from .steps import Recorded
from .writer import Node, Writer

OPSET = 18
FORMAT = 8  # version of the file format that came before that of the opset: old runtimes read it
LARGEST = (1 << 31) - 1  # bytes of a protocol buffer
HOW_TO_GET = "onnx is not installed: `pip install 'steep[onnx]'` or `pip install onnx`"


def write(recorded: Recorded, path: str | PathLike[str]) -> None:
    """Write a network, whole or not at all.

    Raises
    ------
    ImportError
        If the package `onnx` is not there.
    ValueError
        If an op cannot be written, or the weights take more than 2 GB.
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
    atomic.replace(path, _model(onnx, recorded).SerializeToString())


def _model(onnx: Any, recorded: Recorded) -> Any:
    w = Writer(recorded)
    for step in recorded.steps:
        w.begin(step)
        ROWS[step.kind](w, step)
    w.finish(recorded.outputs, recorded.output_names)
    helper, kind = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype(w.dtype)

    def typed(name: str, tensor: int) -> Any:
        return helper.make_tensor_value_info(name, kind, ["batch", *recorded.shapes[tensor]])

    graph = helper.make_graph(
        [_proto(onnx, node) for node in w.nodes],
        "steep",
        [typed(*pair) for pair in zip(w.inputs, recorded.inputs, strict=True)],
        [typed(*pair) for pair in zip(recorded.output_names, recorded.outputs, strict=True)],
        [onnx.numpy_helper.from_array(value, name) for name, value in w.weights.items()],
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=FORMAT,
        producer_name="steep",
        producer_version=__version__,
    )


def _proto(onnx: Any, node: Node) -> Any:
    given = {
        key: onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for key, value in node.attributes.items()
    }
    return onnx.helper.make_node(node.op, node.inputs, node.outputs, node.name, **given)
