"""Reads dates as tables write them; day and month of a column keep one order. Nothing else."""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_TIME = (
    r"(?:(?:[T ]|, ?)\s*(?P<h>\d{1,2}):(?P<min>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp][Mm])?\s*(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?)?"
)
_YEAR_FIRST = re.compile(r"(?P<y>\d{4})([-/.])(?P<m>\d{1,2})(?:\2(?P<d>\d{1,2}))?" + _TIME, re.A)
_YEAR_LAST = re.compile(
    r"(?P<a>\d{1,2})(?P<sep>[-/.])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d{2})" + _TIME, re.A
)
_NAMED = (
    re.compile(
        r"(?P<d>\d{1,2})[- ](?P<name>[A-Za-z]{3,9})\.?,?[- ](?P<y>\d{4}|\d{2})" + _TIME, re.A
    ),
    re.compile(r"(?P<name>[A-Za-z]{3,9})\.? (?P<d>\d{1,2}),? (?P<y>\d{4})" + _TIME, re.A),
)
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip


class Dates(NamedTuple):
    """What the texts of a column are as dates."""

    values: NDArray[np.datetime64]  # in microseconds, NaT where a text is none
    odd: list[int]  # positions of those that are none
    day_first: bool


def read(texts: Sequence[str], day_first: bool | None = None) -> Dates:
    """Read the different texts of a column; without `day_first` the texts decide.

    Where they leave it open, dots mean the day first, other marks the month.
    """
    parts = [_match(text) for text in texts]
    if day_first is None:
        day_first = _order([part for part in parts if part is not None and "a" in part.groupdict()])
    values = np.full(len(texts), np.datetime64("NaT", "us"))
    odd = []
    for position, part in enumerate(parts):
        made = None if part is None else _date(part.groupdict(), day_first)
        if made is None:
            odd.append(position)
        else:
            values[position] = np.datetime64(made, "us")
    return Dates(values, odd, day_first)


def _match(text: str) -> re.Match[str] | None:
    if len(text) > 40:
        return None
    for pattern in (_YEAR_FIRST, _YEAR_LAST, *_NAMED):
        if found := pattern.fullmatch(text):
            return found
    return None


def _order(parts: list[re.Match[str]]) -> bool:
    if any(int(part["a"]) > 12 for part in parts):
        return True
    return all(part["sep"] == "." for part in parts) and not any(int(p["b"]) > 12 for p in parts)


def _date(part: dict[str, Any], day_first: bool) -> dt.datetime | None:
    if "a" in part:
        first, second = int(part["a"]), int(part["b"])
        day, month = (first, second) if day_first else (second, first)
    elif "name" in part:
        name = part["name"].lower()
        known = [k for k, word in enumerate(_MONTHS, 1) if word == name or word[:3] == name]
        month, day = (known or [0])[0], int(part["d"])
    else:
        month, day = int(part["m"]), int(part["d"] or 1)
    year = int(part["y"])
    if len(part["y"]) == 2:
        year += 2000 if year < 70 else 1900
    hour, minute, second = (int(part[key] or 0) for key in ("h", "min", "s"))
    if part["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if part["half"].lower() == "pm" else 0)
    micro = int((part["f"] or "0").ljust(6, "0")[:6])
    try:
        made = dt.datetime(year, month, day, hour, minute, second, micro)
        return made - _offset(part["zone"])
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> dt.timedelta:
    if zone is None or zone[0] in "ZU":
        return dt.timedelta()
    digits = zone[1:].replace(":", "")
    made = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -made if zone[0] == "-" else made
