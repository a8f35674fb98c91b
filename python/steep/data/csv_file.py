"""Reads text files of rows and columns into a Frame. How they are written is found in dialect.py.

pyarrow or pandas cut the rows where they are installed and the file is plain enough; the reader
here takes everything, gives the same, and says what is wrong with which line.
"""

import codecs
import csv
import io
import itertools
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import dialect as dialects
from . import number_text
from .dialect import Dialect
from .frame import Column, Frame, unique

Cut = list[tuple[list[str], NDArray[np.int64]]]  # of each column: different texts, their codes
_BOMS = (  # the longer ones first: a part of them is a mark of its own
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_BLOCK = 4096  # rows


@dataclass(frozen=True)
class Reading:
    """What a caller knows of a text file; what is None is found out."""

    header: bool | None = None
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    skip: int = 0
    missing: tuple[str, ...] = ()
    target: str | int | None = None
    known: Sequence[str] = field(default=())


def read(raw: bytes, source: str, reading: Reading) -> Frame:
    """Read the bytes of a file.

    Raises
    ------
    ValueError
        It is no such text, or a row has another number of cells; names the line.
    """
    data, notes = _utf8(raw, source, reading.encoding)
    found = dialects.find(
        _lines(data),
        source,
        target=reading.target,
        known=reading.known,
        header=reading.header,
        delimiter=reading.delimiter,
        skip=reading.skip,
    )
    try:
        columns = _cut(data, found, source)
    except csv.Error as error:
        raise ValueError(f"{source}: not a CSV file ({error}).") from None
    columns = _without_blank_rows(columns)
    rows = columns[0][1]
    if not len(rows):
        raise ValueError(f"{source}: has a header but no rows.")
    names = unique(found.names)
    made = tuple(
        Column(name, "text", codes, tuple(texts))
        for name, (texts, codes) in zip(names, columns, strict=True)
    )
    decimal = reading.decimal or _decimal(made)
    place = _Places(data, found)
    notes = (*notes, *found.notes)
    twice = tuple(name for name in found.names if found.names.count(name) > 1)
    return Frame(source, made, np.arange(len(rows)), place, found.header, decimal, notes, twice)


def _utf8(raw: bytes, source: str, encoding: str | None) -> tuple[bytes, tuple[str, ...]]:
    """Return the text as UTF-8 without a mark, and what had to be guessed."""
    notes: tuple[str, ...] = ()
    if encoding is None:
        encoding = next((name for mark, name in _BOMS if raw.startswith(mark)), "utf-8")
        if encoding == "utf-8" and raw[:4096].count(b"\0") > len(raw[:4096]) // 4:
            encoding = "utf-16-le" if raw[1:2] == b"\0" else "utf-16-be"
        if encoding == "utf-8" and not raw.isascii():
            try:
                raw.decode()
            except UnicodeDecodeError as error:
                encoding = "cp1252"
                line = raw.count(b"\n", 0, error.start) + 1
                notes = (f"line {line} is not UTF-8: read as Windows-1252 (--encoding says other)",)
            else:
                return (raw, notes) if b"\0" not in raw else _utf8(raw, source, "utf-8")
        elif encoding == "utf-8" and b"\0" not in raw:
            return raw, notes
    try:
        text = raw.decode(encoding, "strict" if encoding != "cp1252" or not notes else "replace")
    except LookupError:
        raise ValueError(f"{source}: encoding {encoding!r} is unknown; utf-8 is usual.") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{source}, line {line}: not {encoding} text ({error.reason}). Name its encoding: "
            "--encoding latin-1, for example."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{source}, line {line}: holds a byte 0, so it is no text. Remove it.")
    return text.encode("utf-8", "surrogatepass"), notes


def _lines(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")


def _body(data: bytes, found: Dialect) -> Iterator[str]:
    return itertools.islice(_lines(data), found.lines, None)


# -- cutting rows into cells -----------------------------------------------------------------------


def _cut(data: bytes, found: Dialect, source: str) -> Cut:
    """Return the columns; by another package where that surely gives the same."""
    if found.regular and _is_plain(data, found.delimiter):
        for engine in (_by_pyarrow, _by_pandas):
            try:
                return engine(_after_lines(data, found.lines), found)
            except Exception:  # not installed, or a file that it does not take: ours says why
                continue
    return _by_rows(data, found, source)


def _is_plain(data: bytes, delimiter: str) -> bool:
    """Say whether all readers agree: quotes only around whole cells, no lone returns, no marks."""
    if data.count(b"\r") != data.count(b"\r\n") or codecs.BOM_UTF8 in data:
        return False
    if b'"' not in data:
        return True
    mark = re.escape(delimiter.encode())
    whole = rb'(?:^|(?<=[\n%b]))"(?:[^"]|"")*"(?=[\r\n%b]|\Z)' % (mark, mark)
    return b'"' not in re.sub(whole, b"", data)


def _after_lines(data: bytes, lines: int) -> memoryview:
    at = 0
    for _ in range(lines):
        at = data.find(b"\n", at) + 1 or len(data)
    return memoryview(data)[at:]


def _by_pyarrow(body: memoryview, found: Dialect) -> Cut:
    import pyarrow as pa  # noqa: PLC0415  (an extra)
    from pyarrow import csv as arrow  # noqa: PLC0415  (an extra)

    names = list(map(str, range(len(found.names))))
    kind = pa.dictionary(pa.int32(), pa.string())
    table = arrow.read_csv(
        pa.BufferReader(pa.py_buffer(body)),
        arrow.ReadOptions(column_names=names),
        arrow.ParseOptions(delimiter=found.delimiter, newlines_in_values=True),
        arrow.ConvertOptions(
            column_types=dict.fromkeys(names, kind), strings_can_be_null=False, null_values=[]
        ),
    )
    cut = []
    for column in table.unify_dictionaries().columns:
        whole = column.combine_chunks()
        whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
        codes = whole.indices.to_numpy(zero_copy_only=False)
        cut.append(_stripped(whole.dictionary.to_pylist(), codes))
    return cut


def _by_pandas(body: memoryview, found: Dialect) -> Cut:
    import pandas as pd  # noqa: PLC0415  (an extra)

    table = pd.read_csv(
        io.BytesIO(body),
        sep=found.delimiter,
        header=None,
        names=range(len(found.names)),
        index_col=False,
        dtype=object,
        na_filter=False,
    )
    # Rows that are too short are filled without a word: count the marks outside of quotes.
    bare = re.sub(rb'"[^"]*"', b"", body) if b'"' in bytes(body) else bytes(body)
    if bare.count(found.delimiter.encode()) != len(table) * (len(found.names) - 1):
        raise ValueError("rows of another length")
    cut = []
    for name in table.columns:
        codes, texts = pd.factorize(table[name].to_numpy())
        cut.append(_stripped(list(texts), codes))
    return cut


def _stripped(texts: list[str], codes: NDArray[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """Return texts without blanks around them, each once, in the order of their first rows."""
    known: dict[str, int] = {}
    again = np.array([known.setdefault(text.strip(), len(known)) for text in texts], np.int64)
    return list(known), again[codes] if len(texts) else np.zeros(0, np.int64)


class _Codes(dict[str, int]):
    """Numbers the texts of a column in the order of their first rows."""

    def __init__(self) -> None:
        super().__init__()
        self.stripped: dict[str, int] = {}

    def __missing__(self, cell: str) -> int:
        self[cell] = code = self.stripped.setdefault(cell.strip(), len(self.stripped))
        return code


def _by_rows(data: bytes, found: Dialect, source: str) -> Cut:
    width = len(found.names)
    tables = [_Codes() for _ in found.names]
    codes = [array("q") for _ in found.names]
    with dialects.long_cells():
        rows = dialects.rows(_body(data, found), found.delimiter)
        while block := list(itertools.islice(rows, _BLOCK)):
            cells = [_fitted(row, width, found, source) for row in block]
            for column, table, into in zip(zip(*cells, strict=True), tables, codes, strict=True):
                into.extend(map(table.__getitem__, column))
    return [
        (list(table.stripped), np.array(into, np.int64))
        for table, into in zip(tables, codes, strict=True)
    ]


def _fitted(row: dialects.Row, width: int, found: Dialect, source: str) -> list[str]:
    cells = row.cells
    if len(cells) == width:
        return cells
    if len(cells) > width and not any(map(str.strip, cells[width:])):
        return cells[:width]  # delimiters behind the last cell
    raise ValueError(
        f"{source}, line {row.first + found.lines}, {len(cells)} cells, expected {width}. Correct "
        "this row, or say how cells are set apart (--delimiter) or where the table begins (--skip)."
    )


def _without_blank_rows(columns: Cut) -> Cut:
    """Return the columns without the rows that have no value at all."""
    blank = np.ones(len(columns[0][1]), bool)
    for texts, codes in columns:
        if not blank.any():
            break
        blank &= codes == (texts.index("") if "" in texts else -1)
    if not blank.any():
        return columns
    return [(texts, codes[~blank]) for texts, codes in columns]


def _decimal(columns: Sequence[Column]) -> str:
    """Return the decimal mark of a file: a comma where one column has it without a doubt."""
    for column in columns:
        texts = [text for text in column.texts if text.lower() not in number_text.MISSING]
        if any("," in text for text in texts):
            numbers = number_text.read(texts)
            if number_text.settles(numbers, texts):
                return ","
    return "."


@dataclass(frozen=True)
class _Places:
    """Finds the line of a row once somebody asks: messages only."""

    data: bytes
    found: Dialect

    def __call__(self, row: int) -> str:
        with dialects.long_cells():
            rows = dialects.rows(_body(self.data, self.found), self.found.delimiter)
            line = next(itertools.islice(rows, row, None), None)
        return f"line {line.first + self.found.lines}" if line else f"row {row}"
