"""Reads the arrays of a NumPy .npz file without pickle and without trusting its declared sizes."""

import errno
import io
import math
import os
import zipfile
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

NAMES = ("X", "y", "X_train", "y_train", "X_val", "y_val", "X_test", "y_test")
# What other collections call them: Keras, MedMNIST, plain pairs.
ENDS = ("", "_train", "_test")
ALIASES = {
    **{f"{name}{end}": f"X{end}" for name in ("x", "data", "images") for end in ENDS},
    **{f"{name}{end}": f"y{end}" for name in ("y", "labels", "target", "Y") for end in ENDS},
    "x_val": "X_val",
    "y_val": "y_val",
    **{f"{part}_images": f"X_{part}" for part in ("train", "val", "test")},
    **{f"{part}_labels": f"y_{part}" for part in ("train", "val", "test")},
}
KINDS = "biufUS"  # bool, integers, floats, text
CHUNK = 1 << 20
MAX_HEADER = 10_000  # bytes; NumPy writes about 100
LONGEST_PREFIX = MAX_HEADER + 12  # with what stands before the header


def read_npz(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read ``X`` and ``y``, or ``X_train``, ``y_train``, ``X_test``, ... from an .npz file.

    Parameters
    ----------
    path : str or path
        As written by :func:`numpy.savez` or :func:`numpy.savez_compressed`. The names of Keras
        (``x_train``), of MedMNIST (``train_images``, ``train_labels``) and of pairs such as
        ``data`` and ``labels`` are known, too.

    Returns
    -------
    dict of str to ndarray
        The arrays whose names are known, as stored; either ``X`` and ``y`` or ``X_train`` and
        ``y_train`` are among them, and every X has a y of the same length.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Not such a file, damaged, arrays of objects, missing names or mismatched lengths.

    Notes
    -----
    Memory is bounded by what a deflated file of this size can hold, whatever it declares.
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                members = {info.filename: info for info in archive.infolist()}
                present = {key: members[name] for key, name in _named(members).items()}
                if sum(info.compress_size for info in present.values()) > size:
                    raise zipfile.BadZipFile("its arrays overlap")
                arrays = {
                    key: _read_array(archive, info, f"{name}, array {key!r}")
                    for key, info in present.items()
                }
        except _Refused as error:
            raise ValueError(str(error)) from None
        except Exception as error:  # what damage makes zipfile raise is of many kinds
            disk = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
            if disk or isinstance(error, MemoryError):
                raise  # of the machine, not of the file; a seek to nowhere is EINVAL
            raise ValueError(f"{name}: not a readable .npz file ({error}).") from None
    _check(arrays, sorted(key.removesuffix(".npy") for key in members), name)
    return arrays


def _named(members: dict[str, Any]) -> dict[str, str]:
    """Return the members of an archive by the names that are known here."""
    found = {key: f"{key}.npy" for key in NAMES if f"{key}.npy" in members}
    if any(key[0] == "X" for key in found):
        return found
    return {key: f"{name}.npy" for name, key in ALIASES.items() if f"{name}.npy" in members}


class _Refused(Exception):
    """An array that is not taken, in words that name the file."""


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> NDArray[Any]:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Their contents may be a million times as large: NumPy writes neither.
        raise _Refused(f"{where}: is packed by method {info.compress_type}, expected deflate.")
    with archive.open(info) as file:
        data = bytearray(file.read(LONGEST_PREFIX))
        shape, order, dtype, start = _header(bytes(data), where)
        del data[:start]
        wanted = math.prod(shape) * dtype.itemsize
        # In pieces: a declared size alone never allocates anything.
        while len(data) <= wanted and (chunk := file.read(min(CHUNK, wanted + 1 - len(data)))):
            data += chunk
    if len(data) != wanted or min(shape, default=1) < 0:
        held = "more" if len(data) > wanted else f"{len(data)} bytes"
        raise _Refused(
            f"{where}: declares shape {shape} of {dtype} but holds {held}. "
            "It is damaged; write it again."
        )
    try:
        array = np.frombuffer(data, dtype).reshape(shape, order=order)
    except ValueError as error:  # 0 elements in 2^62 rows
        raise _Refused(f"{where}: declares shape {shape} ({error}).") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(data: bytes, where: str) -> tuple[tuple[int, ...], Literal["C", "F"], Any, int]:
    """Return shape, order, dtype and length of the header that an array's bytes begin with."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"unknown version {version}")
        read = (np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0)
        shape, fortran, dtype = read[version[0] - 1](file, max_header_size=MAX_HEADER)
    except Exception as error:  # NumPy parses the header as a Python literal: many kinds
        raise _Refused(f"{where}: not a NumPy array ({error}).") from None
    if dtype.kind not in KINDS or not dtype.itemsize:
        raise _Refused(
            f"{where}: holds elements of type {dtype}, expected numbers or text. "
            "Convert it: X.astype(np.float32), or y.astype(str) where it holds texts."
        )
    return shape, "F" if fortran else "C", dtype, file.tell()


def _check(arrays: dict[str, NDArray[Any]], present: list[str], name: str) -> None:
    parts = [key[1:] for key in arrays if key[0] == "X"]
    if not ("X" in arrays or "X_train" in arrays):
        raise ValueError(
            f"{name}: expected arrays X and y, or X_train, y_train, X_test and y_test; "
            f"it holds {', '.join(present[:20]) or 'nothing'}."
        )
    for part in parts:
        X, y = arrays[f"X{part}"], arrays.get(f"y{part}")
        if y is None:
            raise ValueError(f"{name}: holds X{part} but no y{part}.")
        if X.ndim < 2 or y.ndim < 1 or len(X) != len(y) or not len(X) or not X[:1].size:
            raise ValueError(
                f"{name}: X{part} has shape {X.shape} and y{part} {y.shape}; "
                "expected (N, features...) and (N,), with N and the features at least 1."
            )
        if X.dtype.kind not in "biuf":
            raise ValueError(f"{name}: X{part} holds {X.dtype}, expected numbers.")
