"""IDX, CSV and .npz files that are wrong in the ways of their formats."""

import io
import struct
import zipfile

import numpy as np

from .mutate import BIG, gzip_member, of, raw

CELLS = (
    "", " ", "?", "nan", "inf", "-inf", "1e999", "1_0", "0x10", "True", '"', '""', "a,b", "'", "\0",
    "7", "-7", " 7 ", "1e-320", "ä", "\u2028", "﻿", "9" * 400, "x" * 200, "1.5", "a", "b", "#",
)  # fmt: skip


DESCRIPTIONS = (
    "'<f8'", "'>f8'", "'|O'", "'<U9999999'", "'|S0'", "[('a', '<f8')]", "'<M8[s]'", "'|b1'",
    "('<f8', (2, 3))", "'<c16'", "'" + "<f8" * 9 + "'",
)  # fmt: skip
SHAPES = (
    "(6, 2)", "(0,)", "()", "(-1, 2)", "(2**62,)", "(4611686018427387904, 8)", "(6,)", "12",
    "(0, 4611686018427387904)", "(True, 2)", "(1.5,)", "(" * 150,
)  # fmt: skip


def packed(rng, data, most=1 << 20):
    """Return the file itself, or gzipped, twice or damaged or with something behind."""
    kind = rng.random()
    if kind < 0.6:
        return data
    if kind < 0.65:  # much from little
        data += (data[-1:] or b"0") * int(rng.integers(most))
    member = gzip_member(rng, data)
    if kind < 0.75:
        member += of(rng, (member, b"\0" * 9, b"junk", member[:7]))
    return raw(rng, member) if kind > 0.85 else member


def idx(rng, data, others):
    """Return a changed IDX file."""
    if rng.random() < 0.5:
        return packed(rng, raw(rng, data, others))
    kind, dims = of(rng, (8, 9, 11, 12, 13, 14, 0, 255)), of(rng, (0, 1, 2, 3, 4, 32, 33, 255))
    sizes = [int(of(rng, (*BIG[:4], 0, 0, 1, 2, 3, 12)) % 2**32) for _ in range(dims)]
    sizes = sizes[: int(rng.integers(dims + 1))] if rng.random() < 0.1 else sizes
    head = struct.pack(">HBB", 0, kind, dims) + struct.pack(f">{len(sizes)}I", *sizes)
    return packed(rng, head + rng.bytes(of(rng, (0, 1, 12, 24, 96))))


def table(rng):
    """Return a table of cells that some reader stumbles over."""
    rows, columns = int(rng.integers(1, 30)), int(rng.integers(1, 6))
    delimiter, end = of(rng, (",", ";", "\t", "|")), of(rng, ("\n", "\r\n", "\r"))
    wild = rng.random() * 0.3
    lines = [delimiter.join(of(rng, ("a", "b", "y", "1", "")) for _ in range(columns))]
    for _ in range(rows):
        cells = [
            of(rng, CELLS) if rng.random() < wild else str(int(rng.integers(5)))
            for _ in range(columns)
        ]
        lines.append(delimiter.join(cells))
    return end.join(lines).encode()


def large_table(rng):
    """Return a table of many rows or columns; texts come late, in all columns at once."""
    columns, rows = of(rng, ((3, 1500), (60, 1200), (400, 20), (1, 3000)))
    row = ",".join("1" for _ in range(columns)) + ",2\n"
    head = ",".join(f"c{k}" for k in range(columns)) + ",y\n"
    late = ",".join(of(rng, ("t", "u", "", "3")) for _ in range(columns)) + ",2\n"
    return (head + row * rows + late * int(rng.integers(3))).encode()


def csv(rng, data, others):
    """Return a changed CSV file."""
    kind = rng.random()
    if kind < 0.45:
        data = raw(rng, data, others)
    elif kind < 0.97:
        data = table(rng)
    else:
        data = large_table(rng)
    return packed(rng, data)


def npy(rng, data):
    """Return a changed .npy file: other types, shapes, orders, header lengths, versions."""
    descr, shape = of(rng, DESCRIPTIONS), of(rng, SHAPES)
    order = of(rng, ("False", "True", "1", "None"))
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    text += b" " * int(rng.integers(64)) + b"\n"
    version = of(rng, (b"\1\0", b"\2\0", b"\3\0", b"\1\0"))
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
    return b"\x93NUMPY" + version + size + text + data


def npz(rng, data, others):
    """Return a changed .npz file."""
    if rng.random() < 0.4:
        return raw(rng, data, others)
    out = io.BytesIO()
    method = of(
        rng, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    )
    if rng.random() < 0.6:
        method = zipfile.ZIP_DEFLATED
    names = [of(rng, ("X", "y", "X_train", "y_train", "X_val", "../X", "")) for _ in range(3)]
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in {"X": 0, "y": 0} if rng.random() < 0.6 else dict.fromkeys(names):
            about = zipfile.ZipInfo(f"{name}.npy")  # without the time of day
            archive.writestr(about, _member(rng, name), method)
    raw_bytes = out.getvalue()
    if rng.random() < 0.3:
        raw_bytes = raw_bytes.replace(b"X.npy", b"y.npy")
    return raw(rng, raw_bytes) if rng.random() < 0.4 else raw_bytes


def _member(rng, name):
    if rng.random() < 0.5:
        return npy(rng, rng.bytes(of(rng, (0, 48, 96))))
    if rng.random() < 0.04:  # a bomb, true to its header or not
        zeros = bytes(of(rng, (10, 30)) << 20)
        return npy(rng, zeros) if rng.random() < 0.5 else _saved(np.frombuffer(zeros))
    good = np.arange(12.0).reshape(6, 2) if name.startswith("X") else np.arange(6)
    return _saved(good.astype(of(rng, ("<f8", ">f4", "i1", "U3", "c8", "O"))))


def _saved(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def npz_file(X, y, packed):
    """Return a good .npz file."""
    out = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(out, X=X, y=y)
    return out.getvalue()
