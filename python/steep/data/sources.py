"""Opens whatever holds a table as a Frame: files of several kinds, and frames of other packages.

A file's kind is told by its first bytes, not by its name. Text is read in csv_file.py.
"""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import LAZY, NUMBERS, array, is_lazy
from . import csv_file
from .csv_file import Reading
from .frame import Column, Frame, unique

_PACKED = {
    b"\x1f\x8b": ("gzip", gzip.decompress),
    b"BZh": ("bzip2", bz2.decompress),
    b"\xfd7zXZ\0": ("xz", lzma.decompress),
}
_PARQUET, _ARROW, _FEATHER, _ZIP = b"PAR1", b"ARROW1", b"FEA1", b"PK\x03\x04"
_NO_TABLES = {
    b'{"': "JSON",
    b"[{": "JSON",
    b"<!doctype html": "a web page (was it downloaded from one?)",
    b"<html": "a web page (was it downloaded from one?)",
    b"sqlite format 3\0": "a database of SQLite",
    b"\x89hdf": "an HDF5 file",
}
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_MOST = 2.0**53  # beyond, a float no longer tells whole numbers apart


def open_frame(source: Any, reading: Reading | None = None) -> Frame:
    """Open a path, a DataFrame, or a dict of columns.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It holds no table, or is damaged.
    TypeError
        It is no kind of table.
    ImportError
        A package that reads such files is missing.
    """
    reading = reading or Reading()
    if isinstance(source, Frame):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _from_file(os.fspath(source), reading)
    if is_lazy(source):
        raise TypeError(f"Table: {LAZY}")
    if isinstance(source, Mapping):
        return _from_columns("dict", list(source), [source[name] for name in source])
    names = getattr(source, "column_names", None) or getattr(source, "columns", None)
    if names is not None and hasattr(source, "__getitem__") and not callable(names):
        return _from_frame(source, list(names))
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__dataframe__"):
        pyarrow = _pyarrow("such frames")
        with suppress(pyarrow.ArrowException, TypeError, ValueError):  # of a Series, say
            made = pyarrow.table(source)
            return _from_frame(made, made.column_names)
    kind = type(source).__name__
    raise TypeError(
        f"Table: expects a path, a DataFrame or a dict of columns, got {kind}. One row of a frame "
        "is frame.iloc[[0]], of a dict {name: [value]}."
    )


# -- files -----------------------------------------------------------------------------------------


def _from_file(path: str, reading: Reading) -> Frame:
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        raise ValueError(f"{path}: is a folder, expected a file with a table.")
    with open(path, "rb") as file:  # at once: pipes cannot be read twice
        raw = file.read()
    for mark, (name, unpack) in _PACKED.items():
        if raw.startswith(mark):
            try:
                raw = unpack(raw)
            except (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError) as error:
                what = f"damaged {name} file ({error}). Copy it again."
                raise ValueError(f"{path}: {what}") from None
            break
    if raw.startswith((_PARQUET, _ARROW, _FEATHER)):
        return _from_arrow(raw, path)
    if raw.startswith(_ZIP):
        return _from_excel(raw, path, reading)
    if raw.startswith(_OLD_EXCEL):
        raise ValueError(f"{path}: is a workbook of Excel before 2007. Save it as .xlsx or .csv.")
    for mark, what in _NO_TABLES.items():
        if raw[:64].lstrip().lower().startswith(mark):
            raise ValueError(f"{path}: is {what}, no table. Save it as .csv or Parquet.")
    return csv_file.read(raw, path, reading)


def _pyarrow(what: str) -> Any:
    try:
        import pyarrow  # noqa: PLC0415  (an extra)
    except ImportError:
        raise ImportError(
            f'Table: reading {what} needs pyarrow: pip install "steep[tables]"'
        ) from None
    return pyarrow


def _from_arrow(raw: bytes, path: str) -> Frame:
    pyarrow = _pyarrow(f"{path} (Parquet or Arrow)")
    from pyarrow import feather, parquet  # noqa: PLC0415  (an extra)

    buffer = pyarrow.BufferReader(raw)
    try:
        if raw.startswith(_PARQUET):
            table = parquet.read_table(buffer)
        else:
            table = feather.read_table(buffer)
        return _from_frame(table, table.column_names, path)
    except (pyarrow.ArrowException, OSError, KeyError, IndexError, UnicodeDecodeError) as error:
        first = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: not a readable Parquet or Arrow file ({first}).") from None


def _from_excel(raw: bytes, path: str, reading: Reading) -> Frame:
    try:
        import openpyxl  # noqa: PLC0415  (an extra)
    except ImportError:
        raise ImportError(
            f'Table: reading {path} (Excel) needs openpyxl: pip install "steep[tables]"'
        ) from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    except Exception as error:  # a damaged workbook makes it raise many kinds
        raise ValueError(
            f"{path}: is a zip file but no readable Excel workbook ({error!r:.200}). Unpack it, or "
            "save it as .csv."
        ) from None
    filled = [k for k, row in enumerate(rows) if any(cell is not None for cell in row)]
    if len(filled) < 2:
        raise ValueError(f"{path}: its first sheet is empty, expected a row of names and rows.")
    first = filled[0] + reading.skip
    names = ["" if cell is None else str(cell).strip() for cell in rows[first]]
    body = [rows[k] for k in filled if k > first]
    lines = [k + 1 for k in filled if k > first]
    columns = [[row[k] if k < len(row) else None for row in body] for k in range(len(names))]
    made = _from_columns(path, names, columns)
    return Frame(path, made.columns, made.rows, lambda row: f"row {lines[row]}")


# -- frames of other packages ----------------------------------------------------------------------


def _from_frame(source: Any, names: list[Any], title: str | None = None) -> Frame:
    """Read the columns of pandas, polars or pyarrow; each gives NumPy's arrays."""
    title = title or type(source).__name__
    titles = [str(name) for name in names]
    if len(set(map(str, names))) < len(names):
        twice = next(name for k, name in enumerate(titles) if name in titles[:k])
        raise ValueError(f"{title}: two columns are called {twice!r}; rename one.")
    return _from_columns(title, titles, [source[name] for name in names])


def _from_columns(title: str, names: Sequence[str], columns: Sequence[Any]) -> Frame:
    if not columns:
        raise ValueError(f"{title}: has no columns.")
    named = unique([str(name) for name in names])
    made = tuple(_column(title, name, values) for name, values in zip(named, columns, strict=True))
    lengths = {len(column.values) for column in made}
    if len(lengths) > 1:
        raise ValueError(f"{title}: columns have different lengths: {sorted(lengths)}.")
    count = lengths.pop()
    if not count:
        raise ValueError(f"{title}: has a header but no rows.")
    return Frame(title, made, np.arange(count))


def _column(title: str, name: str, values: Any) -> Column:  # noqa: PLR0911  (a kind each)
    got = _array(values)
    if got.ndim != 1:
        raise ValueError(f"{title}, column {name!r}: expected one value a row, got {got.shape}.")
    if got.dtype.kind == "b":
        return Column(name, "bool", got.astype(np.float64))
    if got.dtype.kind in "iu":
        large = np.abs(got.astype(np.float64)) > _MOST
        return _from_texts(name, got.tolist()) if large.any() else _numbers(name, got)
    if got.dtype.kind == "f":
        return _numbers(name, got)
    if got.dtype.kind == "M":
        return Column(name, "date", got.astype("datetime64[us]"))
    if got.dtype.kind == "m":
        days = got / np.timedelta64(1, "D")
        return Column(name, "number", days)
    if got.dtype.kind == "T":
        return _from_objects(title, name, got.tolist())
    if got.dtype.kind in "US":
        return _from_texts(name, got.astype(str).tolist())
    if got.dtype.kind != "O":
        return _other(name, len(got), str(got.dtype))
    return _from_objects(title, name, got.tolist())


def _array(values: Any) -> NDArray[Any]:
    """Return a column as an array; missing values of other packages become None."""
    if hasattr(values, "to_numpy"):
        try:
            return np.asarray(values.to_numpy(zero_copy_only=False))  # pyarrow
        except TypeError:
            return np.asarray(values.to_numpy())
    if not isinstance(values, (list, tuple)):
        return np.asarray(values)
    made = np.empty(len(values), object)  # NumPy would make texts of numbers among texts
    made[:] = values
    return made


def _numbers(name: str, got: NDArray[Any]) -> Column:
    return Column(name, "number", got.astype(np.float64))


def _from_objects(title: str, name: str, values: list[Any]) -> Column:
    """Read a column whose entries are of any kind; what is none of ours is named by its row."""
    empty = [_is_missing(value) for value in values]
    kinds = {type(v) for v, none in zip(values, empty, strict=True) if not none}
    if all(issubclass(kind, (bool, np.bool_)) for kind in kinds):
        made = [np.nan if none else float(v) for v, none in zip(values, empty, strict=True)]
        return Column(name, "bool" if kinds else "number", np.array(made, np.float64))
    if all(issubclass(kind, (date, np.datetime64)) for kind in kinds):
        pairs = zip(values, empty, strict=True)
        dates = [np.datetime64("NaT", "us") if none else _plain_date(v) for v, none in pairs]
        return Column(name, "date", np.array(dates, "datetime64[us]"))
    if any(issubclass(kind, str) for kind in kinds):
        return _from_texts(name, [None if e else v for v, e in zip(values, empty, strict=True)])
    whole = all(issubclass(kind, (int, np.integer)) for kind in kinds)
    if whole and any(abs(int(v)) > _MOST for v, e in zip(values, empty, strict=True) if not e):
        return _from_texts(name, [None if e else v for v, e in zip(values, empty, strict=True)])
    filled = np.array([0.0] * len(values), object)
    filled[:] = [0.0 if e else v for v, e in zip(values, empty, strict=True)]
    known = (*NUMBERS, complex)
    odd = next((k for k, v in enumerate(filled.tolist()) if not isinstance(v, known)), None)
    if odd is not None:
        return _other(name, len(filled), f"{type(values[odd]).__name__} in row {odd}")
    numbers = array(f"{title}, column {name!r}", filled).astype(np.float64)
    numbers[np.array(empty)] = np.nan
    return Column(name, "number", numbers)


def _other(name: str, count: int, held: str) -> Column:
    """Return a column that is refused once somebody uses it."""
    what = f"holds {held}, expected numbers, text, truth values or dates. Leave the column out "
    what += "(drop=), or make it one of these: astype(str) makes text."
    return Column(name, "other", np.zeros(count), (what,))


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _plain_date(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = (value - value.utcoffset()).replace(tzinfo=None)  # type: ignore[operator]
    return np.datetime64(value, "us")


def _from_texts(name: str, values: Sequence[Any]) -> Column:
    known: dict[str, int] = {}
    codes = [known.setdefault("" if v is None else str(v).strip(), len(known)) for v in values]
    return Column(name, "text", np.array(codes, np.int64), tuple(known))


def stem(source: str) -> str:
    """Return a path's name without folders and endings."""
    return Path(source).name.split(".")[0] or "data"
