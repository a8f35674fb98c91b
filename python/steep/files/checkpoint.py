"""Safetensors files: written whole or not at all, refused where damaged. No pickle, ever.

What a trainer puts into them is in `training.resume`.
"""

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..checks.columns import Columns, to_file
from . import atomic

Array: TypeAlias = NDArray[Any]
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_KEY = "steep"  # the one metadata entry, a JSON text


def write(path: str | PathLike[str], tensors: Mapping[str, Array], about: dict[str, Any]) -> None:
    """Write tensors and a JSON description to one file, atomically.

    The bytes are a function of the contents. A reader, or a crash, meets the old file or the new.

    Raises
    ------
    OSError
        If it cannot be written; says which file.
    """
    from safetensors.numpy import save  # noqa: PLC0415 - import steep stays quick

    # safetensors copies the buffer as it lies: only C order is safe.
    ordered = {k: np.array(v, order="C", ndmin=0) for k, v in sorted(tensors.items())}
    text = json.dumps({"about": about, "crc32": _crc(ordered, about)}, sort_keys=True)
    atomic.replace(path, save(ordered, metadata={_KEY: text}))


def read(path: str | PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the tensors of a file and its description, empty where others wrote it.

    bfloat16 is widened to float32. Memory taken is a small multiple of the file's size, whatever
    the file says of itself.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is damaged, no safetensors file, or holds numbers of a kind that NumPy does not know.
    """
    import safetensors  # noqa: PLC0415 - import steep stays quick

    try:
        data = Path(path).read_bytes()
        items = safetensors.deserialize(data)  # type: ignore[no-untyped-call]  # it has no types
        tensors = {
            name: _array(name, item, len(data)) for name, item in sorted(items, key=lambda i: i[0])
        }
        about, crc = _description(data)
        whole = crc is None or crc == _crc(tensors, about)
    except _UnknownKind as error:
        raise ValueError(f"{path}: {error}") from None
    except MemoryError:
        raise MemoryError(f"{path}: does not fit into the memory that is left") from None
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: damaged, or no safetensors file ({error})") from None
    if not whole:
        raise ValueError(f"{path}: damaged, its checksum does not fit its contents")
    return tensors, about


def write_weights(
    path: str | PathLike[str], state: Mapping[str, Array], columns: Sequence[Columns | None] = ()
) -> None:
    """Write weights by name; any safetensors reader can read them.

    `columns` are the names of what they were trained on, by input.
    """
    write(path, state, {"format": "weights"} | to_file(columns))


def read_weights(path: str | PathLike[str]) -> tuple[dict[str, Array], Any]:
    """Return weights by name, and names of columns as `checks.columns.from_file` takes them.

    A trainer's checkpoint gives its network's. Files of others say nothing of columns: None.
    """
    tensors, about = read(path)
    if about.get("format") == "trainer":
        tensors = under("weights/", tensors)
    return tensors, about or None


def under(prefix: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the tensors whose names begin so, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _description(data: bytes) -> tuple[dict[str, Any], Any]:
    """Return the description and the checksum of a file; ({}, None) where others wrote it."""
    (size,) = struct.unpack_from("<Q", data)
    metadata = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    if _KEY not in metadata:
        return {}, None
    whole = json.loads(metadata[_KEY])
    if not isinstance(whole, dict) or not isinstance(whole.get("about"), dict):
        raise ValueError("its description is no JSON object")
    return whole["about"], whole["crc32"]


def _array(name: str, item: Mapping[str, Any], size: int) -> Array:
    """Return one tensor of a file of `size` bytes."""
    kind, shape = item["dtype"], item["shape"]
    if math.prod(n for n in shape if n) > size:  # an empty array may still have 2^60 empty rows
        raise ValueError(f"{name} has shape {tuple(shape)} in a file of {size} bytes")
    if kind == "BF16":  # the upper half of a float32
        upper: Array = np.frombuffer(item["data"], "<u2").astype("<u4")
        upper <<= 16
        return upper.view("<f4").reshape(shape)
    if kind not in _DTYPES:
        raise _UnknownKind(
            f"{name} is of type {kind}, which is not read here. Convert it to F32, F64, F16 or BF16"
        )
    return np.frombuffer(item["data"], dtype=_DTYPES[kind]).reshape(shape).copy()


class _UnknownKind(ValueError):
    """The file is sound, but its numbers are of no kind that is known here."""


def _crc(tensors: Mapping[str, Array], about: dict[str, Any]) -> int:
    """Return the CRC-32 of a description and of tensors in the order of their names."""
    crc = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    for name, value in tensors.items():
        crc = zlib.crc32(f"{name}{value.dtype.str}{value.shape}".encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data, crc)
    return crc
