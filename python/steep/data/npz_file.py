"""Reads the arrays of a NumPy .npz file without pickle and without trusting its declared sizes."""

import io
import math
import os
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = ("X", "y", "X_train", "y_train", "X_val", "y_val", "X_test", "y_test")
KINDS = "biufUS"  # bool, integers, floats, text
CHUNK = 1 << 20
MAX_HEADER = 10_000  # bytes; NumPy writes about 100


def read_npz(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read ``X`` and ``y``, or ``X_train``, ``y_train``, ``X_test``, ... from an .npz file.

    Parameters
    ----------
    path : str or path
        As written by :func:`numpy.savez` or :func:`numpy.savez_compressed`.

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
    """
    name = os.fspath(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            arrays = {
                key: _read_array(archive, members[f"{key}.npy"], f"{name}, array {key!r}")
                for key in NAMES
                if f"{key}.npy" in members
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{name}: not a readable .npz file ({error}).") from None
    _check(arrays, sorted(key.removesuffix(".npy") for key in members), name)
    return arrays


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> NDArray[Any]:
    data = io.BytesIO()
    with archive.open(info) as file:
        # In pieces: a declared size alone never allocates anything.
        while chunk := file.read(CHUNK):
            data.write(chunk)
    data.seek(0)
    try:
        version = np.lib.format.read_magic(data)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"unknown version {version}")
        read = (np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0)
        shape, fortran, dtype = read[version[0] - 1](data, max_header_size=MAX_HEADER)
    except Exception as error:  # NumPy parses the header as a Python literal: many kinds
        raise ValueError(f"{where}: not a NumPy array ({error}).") from None
    if dtype.kind not in KINDS or not dtype.itemsize:
        raise ValueError(
            f"{where}: holds elements of type {dtype}, expected numbers or text. "
            "Convert it, for example with X.astype(np.float32)."
        )
    held = data.getbuffer().nbytes - data.tell()
    if held != math.prod(shape) * dtype.itemsize or min(shape, default=1) < 0:
        raise ValueError(
            f"{where}: declares shape {shape} of {dtype} but holds {held} bytes. "
            "It is damaged; write it again."
        )
    array = np.frombuffer(data.getbuffer(), dtype, offset=data.tell())
    array = array.reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


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
