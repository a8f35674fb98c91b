"""Safetensors files: written whole or not at all, refused where damaged. No pickle, ever.

What a trainer puts into them is in `resume`.
"""

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
    replace(path, save(ordered, metadata={_KEY: text}))


def read(path: str | PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the tensors of a file and its description, empty where others wrote it.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is damaged or no safetensors file.
    """
    import safetensors  # noqa: PLC0415 - import steep stays quick

    data = Path(path).read_bytes()
    try:
        items = safetensors.deserialize(data)  # type: ignore[no-untyped-call]  # it has no types
        tensors = {name: _array(item) for name, item in sorted(items, key=lambda item: item[0])}
        about, crc = _description(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: damaged, or no safetensors file ({error})") from None
    if crc is not None and crc != _crc(tensors, about):
        raise ValueError(f"{path}: damaged, its checksum does not fit its contents")
    return tensors, about


def write_weights(path: str | PathLike[str], state: Mapping[str, Array]) -> None:
    """Write weights by name; any safetensors reader can read them."""
    write(path, state, {"format": "weights"})


def read_weights(path: str | PathLike[str]) -> dict[str, Array]:
    """Return weights by name; a trainer's checkpoint gives its network's."""
    tensors, about = read(path)
    if about.get("format") == "trainer":
        prefix = "weights/"
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    return tensors


def replace(path: str | PathLike[str], data: bytes) -> None:
    """Put a file in place: write beside it, fsync, rename, fsync the folder."""
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise OSError(error.errno, f"cannot write here: {error.strerror}", str(target)) from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def check_writable(path: str | PathLike[str]) -> None:
    """Refuse a path whose folder cannot be written, before there is anything to lose.

    Raises
    ------
    OSError
        Saying which path and why.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.is_dir():
            raise IsADirectoryError(21, "is a folder; name a file in it")
        beside.write_bytes(b"")
        beside.unlink()
    except OSError as error:
        raise OSError(error.errno, f"cannot write here: {error.strerror}", str(target)) from None


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


def _array(item: Mapping[str, Any]) -> Array:
    if item["dtype"] not in _DTYPES:
        raise ValueError(f"dtype {item['dtype']} is not known here")
    values = np.frombuffer(item["data"], dtype=_DTYPES[item["dtype"]])
    return values.reshape(item["shape"]).copy()


def _crc(tensors: Mapping[str, Array], about: dict[str, Any]) -> int:
    """Return the CRC-32 of a description and of tensors in the order of their names."""
    crc = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    for name, value in tensors.items():
        crc = zlib.crc32(f"{name}{value.dtype.str}{value.shape}".encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data, crc)
    return crc
