"""What may become of a column: numbers, categories, dates, or nothing. Which one, says columns.py.

Each is learned once and applied to other rows; all of it is plain values, kept as JSON.
"""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from . import date_text, number_text
from .frame import Column, Frame, shown

Values = NDArray[Any]
FALSE = ("false", "f", "no", "n")
TRUE = ("true", "t", "yes", "y")
ENDLESS = frozenset({"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})
CURE = "Correct such cells, or leave the column out (drop=, --drop)."


@dataclass(frozen=True)
class Encoder(ABC):
    """One column of the table, as the network gets it."""

    name: str
    empty: int  # missing values among the rows it was learned on

    kind: ClassVar[str]

    @property
    @abstractmethod
    def features(self) -> tuple[str, ...]:
        """Names of the columns that it makes."""

    @abstractmethod
    def encode(self, frame: Frame, column: Column, out: Values, words: frozenset[str]) -> None:
        """Write the features of all rows into `out`, (N, features); `words` count as missing."""

    @abstractmethod
    def said(self) -> str:
        """Say what is done, for people."""

    def to_json(self) -> dict[str, Any]:
        """Give everything as plain values."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Number(Encoder):
    """(x - mean)/deviation, the median where it is missing, and a column that says so.

    `robust` numbers have their median for a mean, the distance of their quartiles for a deviation.
    With `squash`, z/sqrt(1 + (z/3)^2) of that: the far end of a tail comes no further than 3.
    """

    fill: float
    mean: float
    deviation: float
    decimal: str = "."
    words: bool = False  # whether it is of yes and no
    squash: bool = False
    robust: bool = False

    kind = "number"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns that it makes."""
        return (self.name, f"{self.name} is missing") if self.empty else (self.name,)

    def encode(self, frame: Frame, column: Column, out: Values, words: frozenset[str]) -> None:
        """Write value and indicator."""
        values = truths(frame, column, words) if self.words else None
        if values is None:
            values = numbers(frame, column, words, self.decimal)
        none = np.isnan(values)
        filled = np.where(none, self.fill, values) if none.any() else values
        with np.errstate(over="ignore", invalid="ignore"):
            z = (filled - self.mean) / self.deviation
            if self.squash:
                z = z / np.sqrt(1.0 + (z / 3.0) ** 2)
            out[:, 0] = z
        if not np.isfinite(out[:, 0]).all():
            row = int(np.flatnonzero(~np.isfinite(out[:, 0]))[0])
            what = f"{values[row]:g} is too large for float32. Scale the column first."
            frame.refuse(row, self.name, what)
        if self.empty:
            out[:, 1] = none

    def said(self) -> str:
        """Say what is done."""
        middle, width = ("median", "quartiles") if self.robust else ("mean", "deviation")
        scale = f"{middle} {self.mean:.4g}, {width} {self.deviation:.4g}"
        scale += " apart" if self.robust else ""
        scale += ", tails squashed" if self.squash else ""
        gaps = f"; missing: {self.fill:.4g} and a column that says so" if self.empty else ""
        return ("yes and no as 1 and 0, " if self.words else "") + scale + gaps


@dataclass(frozen=True)
class Category(Encoder):
    """A column of 0 and 1 for each frequent text, one for all others, one for missing values."""

    kept: tuple[str, ...]  # in ascending order
    other: bool  # whether rare texts share a column, which unseen ones get, too
    rare: int = 0  # how many texts share it
    numeric: bool = False  # whether the texts are numbers

    kind = "category"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns that it makes."""
        more = (["other"] if self.other else []) + (["missing"] if self.empty else [])
        return tuple(f"{self.name}={text}" for text in self.kept) + tuple(
            f"{self.name} is {word}" for word in more
        )

    def encode(self, frame: Frame, column: Column, out: Values, words: frozenset[str]) -> None:
        """Write the columns; a text that was never seen is 0 in all where none is for others."""
        texts, codes = labels(frame, column, words, self.numeric)
        place = {text: k for k, text in enumerate(self.kept)}
        unseen = len(self.kept) if self.other else -1
        spot = np.array([place.get(text, unseen) for text in texts] + [-1], np.int64)
        if self.empty:
            spot[-1] = len(self.kept) + self.other
        where = spot[codes]  # -1, missing, is the last one
        rows = np.flatnonzero(where >= 0)
        out[:] = 0
        out[rows, where[rows]] = 1

    def said(self) -> str:
        """Say what is done."""
        what = f"one-hot, {len(self.kept)} categories"
        what += f" and one for {self.rare} rare ones" if self.other else ""
        return what + (" and one for missing" if self.empty else "")


@dataclass(frozen=True)
class Date(Encoder):
    """Time since the first date, and its parts as points on circles; only what varies."""

    start: str  # ISO, of the first date
    parts: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    day_first: bool = False

    kind = "date"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns that it makes."""
        more = (f"{self.name} is missing",) if self.empty else ()
        return tuple(f"{self.name}: {part}" for part in self.parts) + more

    def encode(self, frame: Frame, column: Column, out: Values, words: frozenset[str]) -> None:
        """Write the parts, 0 where the date is missing."""
        when = dates(frame, column, words, self.day_first)
        none = np.isnat(when)
        found = date_parts(when, np.datetime64(self.start, "us"))
        for k, part in enumerate(self.parts):
            out[:, k] = np.where(none, 0.0, (found[part] - self.mean[k]) / self.deviation[k])
        if self.empty:
            out[:, -1] = none

    def said(self) -> str:
        """Say what is done."""
        gaps = "; missing: 0 and a column that says so" if self.empty else ""
        return f"{', '.join(self.parts)}; from {self.start[:10]}{gaps}"


@dataclass(frozen=True)
class LeftOut(Encoder):
    """A column that is not used, and why."""

    why: str = field(default="")

    kind = "left out"

    @property
    def features(self) -> tuple[str, ...]:
        """No columns."""
        return ()

    def encode(self, frame: Frame, column: Column, out: Values, words: frozenset[str]) -> None:
        """Write nothing."""

    def said(self) -> str:
        """Say why."""
        return self.why


KINDS: dict[str, type[Encoder]] = {made.kind: made for made in (Number, Category, Date, LeftOut)}


def from_json(values: Any) -> Encoder:
    """Rebuild what `to_json` gave; KeyError, TypeError or ValueError where it is no such thing."""
    given: dict[str, Any] = dict(values)
    made = KINDS[given.pop("kind")]
    return made(**frozen(given))


def frozen(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with tuples in the place of lists."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


# -- columns as numbers, texts, dates; a cell that is none is refused by its place -----------------


def numbers(frame: Frame, column: Column, words: frozenset[str], decimal: str) -> Values:
    """Return a column as float64, NaN where missing."""
    if column.kind == "date":
        frame.refuse(None, column.name, f"holds dates, expected numbers. {CURE}")
    if column.kind != "text":
        return checked(frame, column.name, column.values)
    given = [k for k, text in enumerate(column.texts) if not no_number(text, words)]
    found = number_text.read([column.texts[k] for k in given], decimal)
    if found.odd:
        refuse_text(frame, column, given[found.odd[0]], "a column of numbers")
    table = np.full(len(column.texts) + 1, np.nan)  # the last one for codes of -1
    table[given] = found.values
    return checked(frame, column.name, table[column.values])


def no_number(text: str, words: frozenset[str]) -> bool:
    """Say whether a cell counts as missing where numbers or dates are expected."""
    word = text.lower()
    return word in number_text.MISSING or word in number_text.NO_NUMBERS or word in words


def no_text(text: str, words: frozenset[str]) -> bool:
    """Say whether a cell counts as missing where categories are expected."""
    word = text.lower()
    return word in number_text.MISSING or word in words


def checked(frame: Frame, name: str, values: Values) -> Values:
    """Return numbers that are finite or missing."""
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        text = repr(float(values[row]))
        frame.refuse(row, name, f"{text!r} is not a finite number. {CURE}")
    return values


def refuse_text(frame: Frame, column: Column, code: int, what: str) -> None:
    """Refuse a text in a column of something else."""
    row, text = int(np.flatnonzero(column.values == code)[0]), column.texts[code]
    if text.lower() in ENDLESS:
        frame.refuse(row, column.name, f"{text!r} is not a finite number. {CURE}")
    frame.refuse(
        row,
        column.name,
        f"{shown(text)} in {what}. {CURE[:-1]}, count the word as missing (missing=, --missing), "
        "or take the column as categories (categorical=, --categorical).",
    )


def truths(frame: Frame, column: Column, words: frozenset[str]) -> Values | None:
    """Return a column of yes and no as 1 and 0, NaN where missing; None where it holds others."""
    if column.kind != "text":
        return None
    table = np.full(len(column.texts) + 1, np.nan)
    for code, text in enumerate(column.texts):
        word = text.lower()
        if word in FALSE or word in TRUE:
            table[code] = word in TRUE
        elif not no_number(text, words):
            return None
    found: Values = table[column.values]
    return found


def labels(
    frame: Frame, column: Column, words: frozenset[str], numeric: bool
) -> tuple[list[str], NDArray[np.int64]]:
    """Return a column as texts and codes, -1 where missing; `numeric`: 1 and 1.0 are one text."""
    if column.kind == "text" and not numeric:
        texts = list(column.texts)
        back = np.arange(len(texts) + 1)
        back[-1] = -1
        back[[k for k, text in enumerate(texts) if no_text(text, words)]] = -1
        return texts, back[column.values]
    if column.kind == "date":
        values: Values = column.values
        none, distinct = np.isnat(values), np.datetime_as_string
    else:
        values = numbers(frame, column, words, frame.decimal)
        none, distinct = np.isnan(values), None
    found, codes = np.unique(values[~none], return_inverse=True)
    made = list(map(str, distinct(found))) if distinct else [_label(v) for v in found.tolist()]
    full = np.full(len(values), -1, np.int64)
    full[~none] = codes
    return made, full


def _label(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def dates(
    frame: Frame, column: Column, words: frozenset[str], day_first: bool | None
) -> NDArray[np.datetime64]:
    """Return a column as dates, NaT where missing."""
    if column.kind == "date":
        return column.values
    if column.kind != "text":
        frame.refuse(None, column.name, f"holds numbers, expected dates. {CURE}")
    given = [k for k, text in enumerate(column.texts) if not no_number(text, words)]
    found = date_text.read([column.texts[k] for k in given], day_first)
    if found.odd:
        refuse_text(frame, column, given[found.odd[0]], "a column of dates")
    table = np.full(len(column.texts) + 1, np.datetime64("NaT", "us"))
    table[given] = found.values
    made: NDArray[np.datetime64] = table[column.values]
    return made


def date_parts(when: NDArray[np.datetime64], start: np.datetime64) -> dict[str, Values]:
    """Return the parts of dates: days since `start`, and month, weekday and hour on circles."""
    day = when.astype("datetime64[D]")
    month = (day.astype("datetime64[M]").astype(np.int64) % 12).astype(np.float64)
    weekday = ((day.astype(np.int64) + 3) % 7).astype(np.float64)
    hour = (when - day) / np.timedelta64(1, "h")
    found: dict[str, Values] = {"days since the first": (when - start) / np.timedelta64(1, "D")}
    for name, value, turn in (("month", month, 12), ("weekday", weekday, 7), ("hour", hour, 24)):
        angle = 2 * np.pi * value / turn
        found |= {f"{name} (sine)": np.sin(angle), f"{name} (cosine)": np.cos(angle)}
    return found
