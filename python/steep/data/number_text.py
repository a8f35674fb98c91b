"""Reads numbers as tables write them: decimal commas, thousands, per cent, currencies.

A column has one way of writing; what does not follow it is odd, and never guessed at.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

# Empty in every column. Words that may be a category of its own are in NO_NUMBERS.
MISSING = frozenset(
    {
        "", "?", "na", "n/a", "nan", "null", "<na>", "#n/a", "#n/a n/a", "#na", "nat", "-nan",
        "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "n.a.", "(null)", "\\n",
    }
)  # fmt: skip
NO_NUMBERS = frozenset(
    {
        "-", "--", "---", ".", "..", "...", "none", "unknown", "missing", "#div/0!", "#value!",
        "#ref!", "#num!", "#name?", "#null!", "nil", "not available", "\u2013", "\u2014", "*",
    }
)  # fmt: skip
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PLAIN_MARKS = re.compile(r"[0-9+\-.eE\n]*")
_DRESSED = re.compile(
    r"(?P<open>\()?\s*(?P<sign>[+-]?)\s*(?P<before>[$€£¥₹]|(?:USD|EUR|GBP|CHF|JPY)\b)?\s*"
    r"(?P<sign2>[+-]?)(?P<body>[0-9.,][0-9.,'’ \u00a0\u202f]*?)(?P<exp>[eE][+-]?[0-9]+)?\s*"
    r"(?P<after>[%$€£¥₹]|(?:USD|EUR|GBP|CHF|JPY)\b)?\s*(?P<close>\))?"
)
_GROUPED = {  # by the decimal mark: digits in groups of three behind one separator
    ".": re.compile(r"\d{1,3}([,'’ \u00a0\u202f])\d{3}(\1\d{3})*(\.\d*)?", re.ASCII),
    ",": re.compile(r"\d{1,3}([.'’ \u00a0\u202f])\d{3}(\1\d{3})*(,\d*)?", re.ASCII),
}
_SIMPLE = {
    ".": re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII),
    ",": re.compile(r"\d+(,\d*)?|,\d+", re.ASCII),
}


class Numbers(NamedTuple):
    """What the texts of a column are as numbers."""

    values: list[float]  # NaN where a text is odd
    odd: list[int]  # positions of those that are none, in order
    decimal: str


def read(texts: Sequence[str], decimal: str = ".") -> Numbers:
    """Read the different texts of a column; `decimal` decides where they leave it open."""
    if decimal == "." and (plain := _plain(texts)) is not None:
        return Numbers(plain, [], ".")
    found = [_dressed(texts, mark) for mark in (decimal, "," if decimal == "." else ".")]
    return min(found, key=lambda numbers: len(numbers.odd))  # the first one where both are equal


def is_number(text: str) -> bool:
    """Say whether a text is a number without any dress."""
    return _PLAIN.fullmatch(text) is not None


def settles(numbers: Numbers, texts: Sequence[str]) -> bool:
    """Say whether a column's numbers have decimal commas and can be read in no other way."""
    return numbers.decimal == "," and not numbers.odd and bool(_dressed(texts, ".").odd)


def _plain(texts: Sequence[str]) -> list[float] | None:
    """Return numbers where all are written as in C, fast; None where one is not."""
    if not _PLAIN_MARKS.fullmatch("\n".join(texts)):
        return None
    try:
        return list(map(float, texts))
    except ValueError:
        return None


def _dressed(texts: Sequence[str], decimal: str) -> Numbers:
    parts = [_DRESSED.fullmatch(text) if len(text) < 64 else None for text in texts]
    marks = [_mark(part) for part in parts]
    usual = Counter(mark for mark in marks if mark is not None and mark).most_common(1)
    accepted = {usual[0][0] if usual and 2 * usual[0][1] >= len(texts) else ""}
    if "%" not in accepted:
        accepted.add("")
    values, odd = [], []
    for position, (part, mark) in enumerate(zip(parts, marks, strict=True)):
        value = math.nan if part is None else _value(part, decimal)
        if math.isnan(value) or (mark not in accepted and value != 0.0):
            odd.append(position)
            value = math.nan
        values.append(value)
    return Numbers(values, odd, decimal)


def _mark(part: re.Match[str] | None) -> str | None:
    """Return the currency or per cent sign of a number."""
    return None if part is None else (part["before"] or "") + (part["after"] or "")


def _value(part: re.Match[str], decimal: str) -> float:
    body = part["body"]
    signs = part["sign"] + part["sign2"]
    if bool(part["open"]) != bool(part["close"]) or len(signs) > 1 or (part["open"] and signs):
        return math.nan
    if part["exp"] or _SIMPLE[decimal].fullmatch(body):
        if not _SIMPLE[decimal].fullmatch(body):
            return math.nan
    elif not _GROUPED[decimal].fullmatch(body):
        return math.nan
    digits = re.sub(r"[^0-9.,]", "", body)
    digits = digits.replace("," if decimal == "." else ".", "").replace(",", ".")
    value = float(digits + (part["exp"] or ""))
    return -value if part["open"] or signs == "-" else value
