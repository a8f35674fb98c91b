"""Reads one IDX file (the format of MNIST), gzipped or not. No data set lives here."""

import gzip
import math
import os
import zlib
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

# Third byte of the header -> big-endian element type.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_DIMENSIONS = 32  # NumPy's limit before 2.0
MAX_DEFLATE_RATIO = 1032  # no gzip stream expands further, so a larger claim is a lie
CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an IDX file: a big-endian header (type, dimensions), then the elements in C order.

    Parameters
    ----------
    path : str or path
        The file, plain or gzipped (recognised by its first bytes, not by its name).

    Returns
    -------
    ndarray
        uint8, int8, int16, int32, float32 or float64 in native byte order, in the declared shape.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Not an IDX file, damaged, or its length differs from what its header declares.

    Notes
    -----
    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "file formats".
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(2) != b"\x1f\x8b":
            file.seek(0)
            return _parse(file, name, most=size)
        file.seek(0)
        try:
            with gzip.open(file, "rb") as stream:
                return _parse(stream, name, most=size * MAX_DEFLATE_RATIO)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{name}: damaged gzip file ({error}). Copy it again.") from None


def _parse(stream: IO[bytes] | gzip.GzipFile, name: str, most: int) -> NDArray[Any]:
    """Header, then exactly the declared number of bytes; `most` bytes can be there at all."""
    dtype, shape = _header(stream, name)
    wanted = math.prod(shape) * dtype.itemsize
    data = bytearray()
    # Grows with what really arrives: a declared size alone never allocates anything.
    while len(data) <= wanted <= most:
        chunk = stream.read(min(CHUNK, wanted + 1 - len(data)))
        if not chunk:
            break
        data += chunk
    if len(data) != wanted:
        came = "more" if len(data) > wanted else f"only {len(data)}" if wanted <= most else "fewer"
        raise ValueError(
            f"{name}: its header declares shape {shape} of {dtype.name}, {wanted} bytes, "
            f"but the file holds {came}. It is damaged; copy it again."
        )
    try:
        values = np.frombuffer(data, dtype=dtype).reshape(shape)
    except ValueError as error:  # 0 elements in 2^64 rows
        raise ValueError(f"{name}: its header declares shape {shape}: {error}.") from None
    return values.astype(dtype.newbyteorder("="), copy=False)


def _header(stream: IO[bytes] | gzip.GzipFile, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise ValueError(
            f"{name}: not an IDX file: it begins with {magic.hex() or 'nothing'}, expected 0000, "
            f"a type byte of {', '.join(f'{code:02x}' for code in TYPES)}, and the dimensions."
        )
    dimensions = magic[3]
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise ValueError(
            f"{name}: its header declares {dimensions} dimensions, expected 1 to {MAX_DIMENSIONS}."
        )
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise ValueError(
            f"{name}: ends within its header, which declares {dimensions} dimensions. "
            "It is damaged; copy it again."
        )
    shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
    return np.dtype(TYPES[magic[2]]), shape
