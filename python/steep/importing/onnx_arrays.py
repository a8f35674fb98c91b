"""Tensors and attributes of an ONNX file: what they claim is held against their bytes."""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
LARGEST_AXIS = (1 << 31) - 1
# Elements of a tensor: how NumPy has them, and where they are when they are not raw bytes.
_KINDS: Mapping[str, tuple[str, str]] = {
    "FLOAT": ("<f4", "float_data"),
    "DOUBLE": ("<f8", "double_data"),
    "FLOAT16": ("<f2", "int32_data"),
    "INT64": ("<i8", "int64_data"),
    "INT32": ("<i4", "int32_data"),
    "INT16": ("<i2", "int32_data"),
    "INT8": ("i1", "int32_data"),
    "UINT8": ("u1", "int32_data"),
    "UINT16": ("<u2", "int32_data"),
    "BOOL": ("?", "int32_data"),
}


def attribute(onnx: Any, proto: Any) -> Any:
    """Return an attribute of a node, a graph as the file has it; None of kinds no row knows."""
    kinds = onnx.AttributeProto
    if proto.type == kinds.TENSOR:
        return array(onnx, proto.t)
    if proto.type == kinds.STRING:
        return proto.s.decode()
    alone = {kinds.FLOAT: "f", kinds.INT: "i", kinds.GRAPH: "g"}
    if proto.type in alone:
        return getattr(proto, alone[proto.type])
    if proto.type in (kinds.FLOATS, kinds.INTS):
        return [*(proto.floats if proto.type == kinds.FLOATS else proto.ints)]
    if proto.type == kinds.STRINGS:
        return [text.decode() for text in proto.strings]
    return None


def array(onnx: Any, proto: Any) -> Array:
    """Return a tensor of the file, whose bytes are all in it.

    Raises
    ------
    ValueError
        If they are elsewhere, of a kind that is not known, or not as many as its shape says.
    """
    name = f"tensor {proto.name!r}"
    if proto.data_location == onnx.TensorProto.EXTERNAL or proto.external_data:
        raise ValueError(
            f"{name}: its data are in another file, which is not read; "
            "onnx.save(onnx.load(path), new) puts them inside"
        )
    try:
        kind = onnx.TensorProto.DataType.Name(proto.data_type)
    except ValueError:
        kind = str(proto.data_type)
    if kind not in _KINDS:
        raise ValueError(f"{name}: elements of kind {kind} are not known here")
    dims = tuple(proto.dims)
    if any(not 0 <= n <= LARGEST_AXIS for n in dims) or len(dims) > 16:
        raise ValueError(f"{name}: cannot have shape {dims}")
    dtype, place = np.dtype(_KINDS[kind][0]), _KINDS[kind][1]
    if proto.HasField("raw_data"):
        if len(proto.raw_data) != math.prod(dims) * dtype.itemsize:
            raise ValueError(f"{name}: has not the bytes of {dims} elements of {kind}")
        return np.frombuffer(proto.raw_data, dtype).reshape(dims)
    listed = getattr(proto, place)
    if len(listed) != math.prod(dims):
        raise ValueError(f"{name}: has {len(listed)} elements, its shape {dims} wants others")
    if kind == "FLOAT16":  # their bits
        return np.array(listed, np.int32).astype(np.uint16).view(dtype).reshape(dims)
    return np.array(listed).astype(dtype).reshape(dims)
