"""Finds out how a text file writes its table: delimiter, names, where the rows begin.

What a caller says is never overruled; what is guessed is guessed from the first rows together.
"""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from . import number_text

SAMPLE_ROWS = 200
DELIMITERS = (",", ";", "\t", "|", " ")  # the last one for columns set apart by blanks
_LONGEST = 2**31 - 1  # characters of a cell
_LINES = 4 * SAMPLE_ROWS


@dataclass(frozen=True)
class Dialect:
    """How one file is written."""

    delimiter: str
    names: tuple[str, ...]
    header: bool
    lines: int  # before the first row of data
    regular: bool  # whether the sampled rows have one cell for each name
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """The cells of one row, and its lines, from 1."""

    first: int
    last: int
    cells: list[str]


def find(
    text: Iterable[str],
    source: str,
    *,
    target: str | int | None = None,
    known: Sequence[str] = (),
    header: bool | None = None,
    delimiter: str | None = None,
    skip: int = 0,
) -> Dialect:
    """Say how a file is written, from its first lines.

    Parameters
    ----------
    text
        Its lines, with their ends.
    source
        Its name, for messages.
    target, known
        The column to learn, and names that its columns may have: a line with such is the header.
    header, delimiter, skip
        What the caller knows: whether there is a line of names, the mark between cells, the number
        of lines before the table.

    Raises
    ------
    ValueError
        Nothing is there, or the delimiter is no single character.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        raise ValueError(f"{source}: delimiter {delimiter!r} must be one character, no quote.")
    lines = list(itertools.islice(text, _LINES + skip))
    before, said = (skip, None) if skip else _before(lines)
    delimiter = delimiter or said or _delimiter(lines[before:])
    sample = _sample(lines[before:], delimiter)
    if not sample:
        raise ValueError(f"{source}: is empty, expected rows of comma-separated cells.")
    notes = []
    if not skip and header is None:
        while len(sample) > 2 and len(_filled(sample[0])) == 1 < len(_filled(sample[1])):
            notes.append(f"line {sample[0].first + before} left out: a title")
            sample = sample[1:]
    if header is None:
        header = _has_header(sample, target, known)
    body, ends = sample, before + sample[0].first - 1
    if header:
        body, ends = sample[1:], before + sample[0].last
        if _second_heading(sample):
            notes.append(f"line {body[0].first + before} left out: a second heading")
            ends, body = before + body[0].last, body[1:]
    names = _names(sample[0], body, header)
    regular = delimiter != " " and all(len(row.cells) == len(names) for row in body)
    return Dialect(delimiter, names, header, ends, regular, tuple(notes))


def rows(lines: Iterable[str], delimiter: str) -> Iterator[Row]:
    """Give the rows that have any cell that is not blank."""
    if delimiter == " ":  # any number of blanks is one mark
        lines = (re.sub(r"[ \t]+", " ", line.strip(" \t")) for line in lines)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    last = 0
    for cells in reader:
        first, last = last + 1, reader.line_num
        if any(cells) and any(map(str.strip, cells)):
            yield Row(first, last, cells)


@contextmanager
def long_cells() -> Iterator[None]:
    """Let cells be as long as they are; the limit of the csv module holds for all its readers."""
    before = csv.field_size_limit(_LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _before(lines: list[str]) -> tuple[int, str | None]:
    """Return how many comments and blank lines come first, and the delimiter of a ``sep=`` line."""
    said = None
    for count, line in enumerate(lines):
        text = line.strip()
        if found := re.fullmatch(r'"?sep=(.)"?', line.strip("\r\n"), re.IGNORECASE):
            said = found[1]
        elif text and not text.startswith("#"):
            return count, said
    return 0, said


def _sample(lines: list[str], delimiter: str) -> list[Row]:
    with long_cells():
        try:
            found = list(rows(lines, delimiter))
        except csv.Error:
            found = []
    if len(lines) >= _LINES and len(found) > 1:
        found.pop()  # the sample may end within it
    return found[:SAMPLE_ROWS]


def _delimiter(lines: list[str]) -> str:
    """Return the mark that cuts most rows into equally many cells, most of which are numbers."""
    best, found = (0.0, 0.0, 0.0, 0.0), ","
    for mark in DELIMITERS:
        sample = _sample(lines, mark)
        counts = Counter(len(row.cells) for row in sample)
        if not counts:
            continue
        width, times = max(counts.items(), key=lambda item: (item[1], item[0]))
        if width < 2 or (mark == " " and times < len(sample)):
            continue
        cells = [cell.strip() for row in sample for cell in row.cells]
        numbers = [bool(re.fullmatch(r"[+-]?\d+([.,]\d+)?", cell)) for cell in cells]
        clean = sum(
            number or not re.search(r"[,;\t|]", cell)
            for number, cell in zip(numbers, cells, strict=True)
        )
        share = times / len(sample)
        quality = (round(share, 1), clean / len(cells), share, sum(numbers) / len(cells))
        if quality > best and not (mark == " " and best[0] >= 0.5):
            best, found = quality, mark
    return found


def _filled(row: Row) -> list[str]:
    return [cell for cell in row.cells if cell.strip()]


def _has_header(sample: list[Row], target: str | int | None, known: Sequence[str]) -> bool:
    first = [cell.strip() for cell in sample[0].cells]
    below = [[cell.strip() for cell in row.cells] for row in sample[1:]]
    plain = [number_text.is_number(cell) for cell in first]
    if isinstance(target, str) and target in first:
        if not number_text.is_number(target):
            return True
        position = target.lstrip("-").isdigit() and -len(first) <= int(target) < len(first)
        if not position:
            return True
    if known and 2 * sum(name in first for name in known) > len(known):
        return True
    if not any(plain):
        return not _recurs(first, below)
    words = [k for k, is_plain in enumerate(plain) if not is_plain and first[k]]
    if len(set(first)) < len(first):
        return False
    return any(_is_heading(first[k], [row[k] for row in below if k < len(row)]) for k in words)


def _recurs(first: list[str], below: list[list[str]]) -> bool:
    """Say whether the first row's texts are texts of the rows below."""
    times = [cell in {row[k] for row in below if k < len(row)} for k, cell in enumerate(first)]
    return bool(below) and 2 * sum(times) >= len(first)


def _is_heading(cell: str, below: list[str]) -> bool:
    """Say whether a text is unlike what stands below it: numbers, or other texts that recur."""
    present = [text for text in below if text.lower() not in number_text.MISSING]
    if not present or cell.lower() in number_text.MISSING | number_text.NO_NUMBERS:
        return False
    numbers = sum(map(number_text.is_number, present))
    if 2 * numbers > len(present):
        return True
    return cell not in present and 2 * len(set(present)) <= len(present)


def _second_heading(sample: list[Row]) -> bool:
    """Say whether the first row of data has words where all others have numbers: units, labels."""
    if len(sample) < 4:
        return False
    first, rest = sample[1].cells, [row.cells for row in sample[2:]]
    numeric = [
        k
        for k in range(len(first))
        if all(k < len(row) and number_text.is_number(row[k].strip()) for row in rest)
    ]
    words = [k for k in numeric if not number_text.is_number(first[k].strip())]
    filled = [k for k in words if first[k].strip().lower() not in number_text.MISSING]
    return len(filled) >= 2 and len(words) == len(numeric)


def _names(heading: Row, body: list[Row], header: bool) -> tuple[str, ...]:
    widths = [len(row.cells) for row in body]
    width = max(widths, default=len(heading.cells))
    if not header:
        return tuple(map(str, range(Counter(widths).most_common(1)[0][0])))
    names = [cell.strip() for cell in heading.cells]
    longer = width == len(names) + 1 and all(w == width for w in widths)
    if longer and any(row.cells[-1].strip() for row in body):
        names = ["", *names]  # R and pandas leave out the name of the rows' names
    while len(names) > 1 and not names[-1] and _no_cells(body, len(names) - 1):
        names.pop()
    return tuple(names)


def _no_cells(body: list[Row], column: int) -> bool:
    return all(len(row.cells) <= column or not row.cells[column].strip() for row in body)
