"""Reads a CSV file into a Table: columns, their kinds, and what is wrong with which cell."""

import csv
import gzip
import io
import itertools
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, NoReturn, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from ..checks.numbers import whole
from .table import Table, Target, one_hot, read_target

MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})
_MANY = 1 << 31  # columns, beyond any file
MAX_CATEGORIES = 64  # different texts a one-hot column may have
MAX_CLASSES = 10_000  # different texts a target column may have
SAMPLE_ROWS = 1000  # rows that decide which columns hold text; later rows may still add one


def read_csv(
    path: str | os.PathLike[str],
    target: str | int,
    *,
    task: str | None = None,
    drop: Sequence[str | int] = (),
    header: bool | None = None,
    delimiter: str | None = None,
) -> Table:
    """Read a table of numbers and text; one row a sample, one column the target.

    Number columns stay numbers, text columns become one-hot columns, an unnamed first column that
    only counts the rows is left out.

    Parameters
    ----------
    path : str or path
        UTF-8 text, plain or gzipped.
    target : str or int
        Name of the target column, or its position from 0 (from the end when negative).
    task : {"classification", "regression"}, optional
        What to learn; by default decided from the target, see :func:`read_target`.
    drop : sequence of str or int
        Columns to leave out.
    header : bool, optional
        Whether the first row holds names. By default it does when one is the target's, or when
        none of its cells is a number; without names, columns are called by their position.
    delimiter : str, optional
        By default the most frequent of comma, semicolon, tab and bar in the first row.

    Returns
    -------
    Table
        N samples in the order of the file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Not such a table; the message names line and column.
    """
    file = _File(os.fspath(path), delimiter or "", str(target))
    try:
        columns, sample = _inspect(file, target, drop, header)
        values, texts = _read(file, columns, _text_columns(columns, sample))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{file.path}: damaged gzip file ({error}). Copy it again.") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file.path}: not UTF-8 text ({error.reason}). Convert it.") from None
    except csv.Error as error:
        raise ValueError(f"{file.path}: not a CSV file ({error}).") from None
    return _table(file, columns, values, texts, task)


@dataclass
class _File:
    path: str
    delimiter: str
    wanted: str  # the target as the user named it

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """Open the text of the file at its beginning."""
        with open(self.path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if packed else raw
            with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
                yield text

    def rows(self, text: TextIO) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of each row that is not blank."""
        reader = csv.reader(text, delimiter=self.delimiter)
        for cells in reader:
            if cells:
                yield reader.line_num, cells


@dataclass
class _Columns:
    names: list[str]
    header: bool
    target: int
    used: list[int]  # features, in order


class _Texts(dict[str, int]):
    """Numbers the different texts of one column in order of appearance; refuses missing ones."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most
        self.names: dict[str, int] = {}  # without surrounding blanks

    def __missing__(self, cell: str) -> int:
        text = cell.strip()
        full = len(self.names) >= self.most and text not in self.names
        if full or text.lower() in MISSING:
            raise ValueError("cell")  # explained by _explain
        self[cell] = code = self.names.setdefault(text, len(self.names))
        return code


def _inspect(
    file: _File, target: str | int, drop: Sequence[str | int], header: bool | None
) -> tuple[_Columns, list[list[str]]]:
    with file.open() as text:
        first_line = next((line for line in text if line.strip()), "")
    if not file.delimiter:
        file.delimiter = max(",;\t|", key=first_line.count)
    with file.open() as text:
        sample = [cells for _, cells in itertools.islice(file.rows(text), SAMPLE_ROWS + 1)]
    if not sample:
        raise ValueError(f"{file.path}: is empty, expected rows of comma-separated cells.")
    first = [cell.strip() for cell in sample[0]]
    if header is None:
        named = isinstance(target, str) and target in first and not _is_number(target)
        header = named or not any(_is_number(cell) for cell in first)
    names = first if header else [str(i) for i in range(len(first))]
    if len(sample) - header < 1:
        raise ValueError(f"{file.path}: has a header but no rows.")
    index = _position(file, names, target, "target")
    several = [drop] if isinstance(drop, (str, int)) else drop
    dropped = {_position(file, names, column, "drop") for column in several}
    used = [i for i in range(len(names)) if i != index and i not in dropped]
    if not used:
        raise ValueError(f"{file.path}: no column is left to learn {names[index]!r} from.")
    return _Columns(names, header, index, used), sample[header:]


def _position(file: _File, names: list[str], column: str | int, role: str) -> int:
    if isinstance(column, str) and names.count(column) == 1:
        return names.index(column)
    if isinstance(column, str) and names.count(column) > 1:
        raise ValueError(f"{file.path}: {role} {column!r} names {names.count(column)} columns.")
    try:  # text may be a position, too: the command line has nothing else
        position = (
            int(column) if isinstance(column, str) else whole(file.path, role, column, -_MANY)
        )
    except ValueError:
        position = len(names)
    if -len(names) <= position < len(names):
        return position % len(names)
    listed = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
    raise ValueError(f"{file.path}: no {role} column {column!r}; the columns are {listed}.")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # float() takes 1_000, tables do not


def _text_columns(columns: _Columns, sample: list[list[str]]) -> set[int]:
    return {
        i
        for cells in sample
        for i in range(min(len(cells), len(columns.names)))
        if not _is_number(cells[i]) and cells[i].strip().lower() not in MISSING
    }


def _read(
    file: _File, columns: _Columns, text_columns: set[int]
) -> tuple[NDArray[np.float64], dict[int, _Texts]]:
    """All cells as float64; text as codes. Columns turn from numbers to text where they must."""
    used = [*columns.used, columns.target]
    while True:
        most = {i: MAX_CLASSES if i == columns.target else MAX_CATEGORIES for i in used}
        texts = {i: _Texts(most[i]) for i in used if i in text_columns}
        try:
            values = _load(file, columns, texts)
            if values.shape[1] == len(columns.names) and np.isfinite(values).all():
                return values, texts
            reason = "rows of another length, or values that are not finite"
        except UnicodeDecodeError:
            raise
        except ValueError as error:
            reason = str(error)
        text_columns = text_columns | _explain(file, columns, texts, reason)


def _load(file: _File, columns: _Columns, texts: dict[int, _Texts]) -> NDArray[np.float64]:
    # Columns that are left out may hold anything.
    ignored = set(range(len(columns.names))) - {*columns.used, columns.target}
    converters: dict[int | str, Any] = {i: lambda _: 0.0 for i in ignored}
    converters |= {i: table.__getitem__ for i, table in texts.items()}
    with file.open() as text:
        if columns.header:
            next(file.rows(text))
        return np.loadtxt(
            text,
            delimiter=file.delimiter,
            quotechar='"',
            comments=None,
            converters=converters or None,
            ndmin=2,
            encoding=None,
        )


def _explain(file: _File, columns: _Columns, texts: dict[int, _Texts], reason: str) -> set[int]:
    """Raise for the first cell that cannot be read, or return all columns that are text after all.

    All at once: a pass for each of a thousand columns would take hours.
    """
    seen: dict[int, dict[str, int]] = {i: {} for i in texts}  # text -> line, in order
    found: set[int] = set()
    with file.open() as text:
        for line, cells in itertools.islice(file.rows(text), int(columns.header), None):
            if len(cells) != len(columns.names):
                _refuse(file, line, f"{len(cells)} cells, expected {len(columns.names)}.")
            for i in [*columns.used, columns.target]:
                cell, where = cells[i].strip(), f"column {columns.names[i]!r}"
                if cell.lower() in MISSING:
                    advice = "Fill it, or remove the row or the column."
                    _refuse(file, line, f"{where}: the value is missing ({cell!r}). {advice}")
                if i in texts:
                    seen[i].setdefault(cell, line)
                    if len(seen[i]) > texts[i].most:
                        _refuse_texts(file, where, seen[i], texts[i].most)
                elif i in found:
                    continue  # its texts are counted once it is read as text
                elif not _is_number(cell):
                    found.add(i)
                elif not math.isfinite(float(cell)):
                    _refuse(file, line, f"{where}: {cell!r} is not a finite number.")
    if found:
        return found
    raise ValueError(f"{file.path}: not a table of numbers and text ({reason}).")


def _refuse_texts(file: _File, where: str, seen: dict[str, int], most: int) -> None:
    """Too many texts; in a column that is mostly numbers wait for the first text and name it."""
    texts = [cell for cell in seen if not _is_number(cell)]
    drop = "leave the column out (drop=, --drop)"
    if texts and len(texts) < len(seen) // 2:
        what = f"{where}: {texts[0][:40]!r} in a column of numbers. Correct such cells, or {drop}."
        _refuse(file, seen[texts[0]], what)
    if texts:
        few = f"{texts[0][:40]!r} is one of more than {most} different texts, too many for classes"
        _refuse(file, seen[texts[0]], f"{where}: {few}. Turn it into numbers, or {drop}.")


def _refuse(file: _File, line: int, what: str) -> NoReturn:
    raise ValueError(f"{file.path}, line {line}, {what}")


def _table(
    file: _File,
    columns: _Columns,
    values: NDArray[np.float64],
    texts: dict[int, _Texts],
    task: str | None,
) -> Table:
    blocks: list[NDArray[np.float64]] = []
    features: list[str] = []
    numeric: list[bool] = []
    for i in columns.used:
        name = columns.names[i]
        if i in texts:
            block, categories = one_hot(values[:, i], list(texts[i].names))
            blocks.append(block)
            features += [f"{name}={text}" for text in categories]
            numeric += [False] * len(categories)
        elif not (i == 0 and columns.header and name == "" and _counts(values[:, i])):
            blocks.append(values[:, i : i + 1])
            features.append(name)
            numeric.append(True)
    if not blocks:
        raise ValueError(f"{file.path}: no column is left to learn {file.wanted!r} from.")
    target = _target(file, columns, values, texts, task)
    return Table(np.concatenate(blocks, axis=1), target, tuple(features), np.array(numeric))


def _counts(column: NDArray[np.float64]) -> bool:
    return bool((np.diff(column) == 1).all())


def _target(
    file: _File,
    columns: _Columns,
    values: NDArray[np.float64],
    texts: dict[int, _Texts],
    task: str | None,
) -> Target:
    column = values[:, columns.target]
    name = f"{file.path}, column {columns.names[columns.target]!r}"
    if columns.target in texts:
        names = np.array(list(texts[columns.target].names))
        return read_target(names[column.astype(np.int64)], name, task)
    return read_target(column, name, task)
