"""Decides what a column is: numbers, categories, dates, nothing of use; and learns to encode it.

Every rule here is one that the user is told: why a column is left out, which cell does not fit.
"""

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import date_text, number_text
from .encoders import (
    ENDLESS,
    FALSE,
    TRUE,
    Category,
    Date,
    Encoder,
    LeftOut,
    Number,
    date_parts,
    dates,
    labels,
    no_number,
    numbers,
    refuse_text,
    truths,
)
from .frame import Column, Frame

MAX_CATEGORIES = 64  # columns that one column of texts may become
FEW = 10  # so many different texts all have a column of their own
COUNTED = 10  # rows from which on a column that counts them cannot be chance
LARGE = 2**53  # whole numbers beyond are names: a float cannot tell them apart
_ID = re.compile(
    r"(.*[_ .-])?(id|ids|idx|index|uuid|guid|row ?_?(num(ber)?|nr|no|names?)|unnamed.*|column 0)"
    r"|.*[a-z]I[dD]",
)
_TIME = re.compile(r"year|date|time|month|day|hour|week|age", re.IGNORECASE)


def learn(
    frame: Frame,
    column: Column,
    words: frozenset[str],
    *,
    categorical: bool,
    keep: bool,
    squash: bool,
    robust: bool = False,
) -> Encoder:
    """Learn what to do with one column of a frame.

    `categorical` makes categories of whatever it holds, `keep` keeps what would be left out as a
    number of the row, `squash` and `robust` are for numbers with heavy tails.

    Raises
    ------
    ValueError
        A cell does not fit the others; names line and column.
    """
    column = frame.used(column)
    if categorical:
        numeric = column.kind == "number" or _all_numbers(frame, column, words)
        return _category(frame, column, words, numeric, keep=True)
    if column.kind == "text":
        kind = text_kind(frame, column, words)
        if kind == "category":
            return _category(frame, column, words, False, keep=keep)
    else:
        kind = {"bool": "number"}.get(column.kind, column.kind)
    if kind == "date":
        return _date(frame, column, words)
    return _number(frame, column, words, keep, squash=squash, robust=robust)


def text_kind(frame: Frame, column: Column, words: frozenset[str]) -> str:
    """Say what the texts of a column are: "number", "bool", "date" or "category".

    Most of them decide; a cell that does not fit in is refused.
    """
    given = [k for k, text in enumerate(column.texts) if not no_number(text, words)]
    texts = [column.texts[k] for k in given]
    lower = {text.lower() for text in texts}
    if len(lower) == 2 and any(lower == {no, yes} for no, yes in zip(FALSE, TRUE, strict=True)):
        return "bool"
    found = number_text.read(texts, frame.decimal)
    if not found.odd:
        named = texts and (_are_codes(texts) or _are_names(texts))
        return "category" if named else "number"
    endless = [k for k in found.odd if texts[k].lower() in ENDLESS]
    if 2 * (len(found.odd) - len(endless)) < len(texts):
        if endless or not _few_words(column, [given[k] for k in found.odd], len(texts)):
            refuse_text(frame, column, given[(endless or found.odd)[0]], "a column of numbers")
        return "category"
    moments = date_text.read(texts)
    if not moments.odd:
        return "date"
    if 10 * len(moments.odd) < len(texts):
        refuse_text(frame, column, given[moments.odd[0]], "a column of dates")
    return "category"


def _few_words(column: Column, odd: list[int], different: int) -> bool:
    """Say whether texts among numbers are so frequent that all are categories: 0, 1, 2, 3+."""
    times = np.isin(column.values, odd).sum()
    return different <= FEW and 100 * times >= len(column.values) and bool(times > len(odd))


def _are_codes(texts: list[str]) -> bool:
    """Say whether numbers are codes of one length that begin with 0, as postal codes do."""
    plain = all(text.isdigit() for text in texts) and len({len(text) for text in texts}) == 1
    return plain and len(texts[0]) > 1 and any(text[0] == "0" for text in texts)


def _are_names(texts: list[str]) -> bool:
    """Say whether most numbers are whole and too long for a float: card or account numbers."""
    long = [text for text in texts if len(text) > 15 and text.isdigit() and int(text) > LARGE]
    return 2 * len(long) > len(texts)


def _all_numbers(frame: Frame, column: Column, words: frozenset[str]) -> bool:
    if column.kind != "text":
        return False
    texts = [text for text in column.texts if not no_number(text, words)]
    found = number_text.read(texts, frame.decimal)
    return not found.odd and not _are_codes(texts) and not _are_names(texts)


# -- numbers ---------------------------------------------------------------------------------------


def _number(
    frame: Frame,
    column: Column,
    words: frozenset[str],
    keep: bool,
    *,
    squash: bool,
    robust: bool,
) -> Encoder:
    name, decimal = column.name, frame.decimal
    values = truths(frame, column, words)
    flags = values is not None or column.kind == "bool"
    if values is None:
        if column.kind == "text":
            texts = [text for text in column.texts if not no_number(text, words)]
            decimal = number_text.read(texts, decimal).decimal
        values = numbers(frame, column, words, decimal)
    none = np.isnan(values)
    empty, present = int(none.sum()), values[~none]
    if not len(present):
        return LeftOut(name, empty, "no value in any row")
    if not keep and not empty and (why := _counts(name, values, frame.rows)):
        return LeftOut(name, 0, why)
    if not empty and (present == present[0]).all() and len(present) > 1:
        return LeftOut(name, 0, f"always {present[0]:g}")
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(present.mean()), float(present.std())
    if not np.isfinite(deviation):
        row = int(np.flatnonzero(np.abs(values) == np.nanmax(np.abs(values)))[0])
        frame.refuse(row, name, f"{values[row]:g} is too large. Scale the column first.")
    if deviation <= 1e-12 * abs(mean):
        deviation = 1.0
    fill = float(np.median(present))
    if robust:
        mean, deviation = fill, _spread(present)
    return Number(name, empty, fill, mean, deviation, decimal, flags, squash, robust)


def _spread(values: NDArray[np.float64]) -> float:
    """Return the distance of the quartiles; half that of the ends where it is 0, which is rare."""
    low, high = np.quantile(values, (0.25, 0.75))
    spread = float(high - low) or float(np.ptp(values)) / 2.0
    return spread or 1.0


def _counts(name: str, values: NDArray[np.float64], rows: NDArray[np.int64]) -> str | None:
    """Say why a column is a number of the row, if it is one."""
    named = _ID.fullmatch(name) or _ID.fullmatch(name.lower())
    if len(values) < 2 or not (named or len(values) >= COUNTED):
        return None
    if (values - values[0] == rows - rows[0]).all() and not (_TIME.search(name) and not named):
        return "counts the rows"
    whole = (values == np.floor(values)).all()
    if named and whole and len(values) >= COUNTED and len(np.unique(values)) == len(values):
        return "another number in each row: an identifier"
    return None


# -- texts -----------------------------------------------------------------------------------------


def _category(
    frame: Frame, column: Column, words: frozenset[str], numeric: bool, keep: bool
) -> Encoder:
    texts, codes = labels(frame, column, words, numeric)
    empty = int((codes < 0).sum())
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    present = [k for k in range(len(texts)) if counts[k]]
    filled = len(codes) - empty
    if not present:
        return LeftOut(column.name, empty, "no value in any row")
    if len(present) == 1 and not empty:
        return LeftOut(column.name, 0, f"always {texts[present[0]]!r:.40}")
    if not keep and (why := _names_rows([texts[k] for k in present], filled)):
        return LeftOut(column.name, empty, why)
    frequent = sorted(present, key=lambda k: (-counts[k], texts[k]))
    if len(present) > FEW:
        frequent = [k for k in frequent if counts[k] > 1][:MAX_CATEGORIES]
    kept = [texts[k] for k in frequent]
    kept.sort(key=float if numeric else str)
    rare = len(present) - len(kept)
    return Category(column.name, empty, tuple(kept), rare > 0, rare, numeric)


def _names_rows(texts: list[str], filled: int) -> str | None:
    """Say why texts are no categories, if they are none."""
    blanks = sum(text.count(" ") for text in texts) / len(texts)
    if len(texts) > FEW and blanks >= 4 and 5 * len(texts) > filled:
        return f"free text, {blanks + 1:.0f} words on average"
    if len(texts) > FEW and 2 * len(texts) > filled:
        return f"{len(texts)} different texts in {filled} rows: they name the rows"
    return None


# -- dates -----------------------------------------------------------------------------------------


def _date(frame: Frame, column: Column, words: frozenset[str]) -> Encoder:
    day_first: bool | None = None
    if column.kind == "text":
        given = [text for text in column.texts if not no_number(text, words)]
        day_first = date_text.read(given).day_first
    when = dates(frame, column, words, day_first)
    none = np.isnat(when)
    empty, present = int(none.sum()), when[~none]
    if not len(present):
        return LeftOut(column.name, empty, "no value in any row")
    start = present.min()
    found = date_parts(present, start)
    varying: Callable[[str], bool] = lambda part: bool(np.ptp(found[part]) > 1e-9)  # noqa: E731
    parts = tuple(part for part in found if varying(part))
    if not parts and not empty:
        return LeftOut(column.name, 0, f"always {present[0]}")
    mean = tuple(float(found[part].mean()) for part in parts)
    deviation = tuple(float(found[part].std()) for part in parts)
    return Date(column.name, empty, str(start), parts, mean, deviation, bool(day_first))
