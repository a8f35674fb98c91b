"""The column of a table that is to be learned: how it is encoded, and decoded from predictions."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import number_text
from .columns import text_kind
from .encoders import frozen, no_number, no_text, numbers, truths
from .frame import Column, Frame, shown
from .target import read_target, text_array


@dataclass(frozen=True)
class Goal:
    """What is to be learned, and in which units.

    Attributes
    ----------
    name
        Of the column.
    classes
        Names or numbers of the classes in ascending order; None for regression.
    mean, deviation
        Of the training rows: value = mean + deviation*y. 0 and 1 for classes.
    count
        Whether the values are counts, so that no prediction is below 0.
    least, most
        Of the values of the training rows.
    """

    name: str
    classes: tuple[Any, ...] | None
    mean: float = 0.0
    deviation: float = 1.0
    count: bool = False
    least: float = 0.0
    most: float = 0.0
    decimal: str = "."
    samples: tuple[int, ...] = ()  # of the training rows, of each class

    @property
    def task(self) -> str:
        """``"classification"`` or ``"regression"``."""
        return "regression" if self.classes is None else "classification"

    def scaled(self, values: NDArray[Any], source: str) -> "Goal":
        """Return it with the units of training rows of a source, as `values` has them."""
        if self.classes is not None:
            counts = np.bincount(values, minlength=len(self.classes))
            return replace(self, samples=tuple(counts.tolist()))
        with np.errstate(over="ignore", invalid="ignore"):
            deviation, mean = float(values.std()), float(values.mean())
        if not np.isfinite(deviation):
            what = "holds values too large for float32. Scale it first."
            raise ValueError(f"{source}, column {self.name!r}: {what}")
        deviation = 1.0 if deviation <= 1e-12 * abs(mean) else deviation
        count = bool((values >= 0).all() and (values == np.floor(values)).all())
        ends = float(values.min()), float(values.max())
        return replace(
            self, mean=mean, deviation=deviation, count=count, least=ends[0], most=ends[1]
        )

    def encode(
        self, frame: Frame, column: Column, words: frozenset[str]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return class indices (int64) or values (float64) of all rows, and which rows have one.

        Raises
        ------
        ValueError
            A row has another class, or no number; names the line.
        """
        column = frame.used(column)
        if self.classes is None:
            values = _values(frame, column, words, self.decimal)
            return values, ~np.isnan(values)
        names, codes = _names(frame, column, words, self.classes, self.decimal)
        place = {text: k for k, text in enumerate(self.classes)}
        spot = np.array([place.get(name, -1) for name in names] + [-1], np.int64)
        y, present = spot[codes], codes >= 0
        if (y[present] < 0).any():
            row = int(np.flatnonzero(present & (y < 0))[0])
            known = ", ".join(map(repr, self.classes[:10]))
            what = f"{names[codes[row]]!r} is no class that was learned ({known})."
            frame.refuse(row, self.name, f"{what} Leave such rows out.")
        return y, present

    def values(self, outputs: NDArray[Any], clamp: bool = False) -> NDArray[np.float64]:
        """Return a network's outputs as values of the column; `clamp`: none beyond those seen."""
        values = self.restored(outputs)
        values = np.clip(values, self.least, self.most) if clamp else values
        return np.maximum(values, 0.0) if self.count else values

    def restored(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """Return standardised targets in their units."""
        return y.astype(np.float64).reshape(-1) * self.deviation + self.mean

    def said(self) -> str:
        """Say what it is, for people."""
        if self.classes is None:
            kind = "counts" if self.count else "numbers"
            return f"{kind} {self.least:g} to {self.most:g}, standardised"
        shares = [
            f"{name} {count}" for name, count in zip(self.classes, self.samples, strict=False)
        ]
        more = f", and {len(shares) - 10} more" if len(shares) > 10 else ""
        return f"{len(self.classes)} classes: {', '.join(shares[:10])}{more}"

    def to_json(self) -> dict[str, Any]:
        """Give everything as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> "Goal":
        """Rebuild what `to_json` gave."""
        made = cls(**frozen(dict(values)))
        scale = (made.mean, made.deviation, made.least, made.most)
        if not all(isinstance(x, (int, float)) for x in scale) or isinstance(made.classes, str):
            raise ValueError("its target is damaged")
        return made


def learn(frame: Frame, column: Column, words: frozenset[str], task: str | None) -> Goal:
    """Say what the target of a frame is; its units are those of rows that `scaled` gets.

    Raises
    ------
    ValueError
        It is neither classes nor values, or not what `task` asks for; names the column or the line.
    """
    where, column = f"{frame.source}, column {column.name!r}", frame.used(column)
    if column.kind == "date":
        raise ValueError(f"{where}: holds dates. Make numbers of them, or name another target.")
    decimal = frame.decimal
    if column.kind == "bool":
        plain: Any = column.values[~np.isnan(column.values)].astype(bool)
    elif column.kind == "text" and task != "regression" and not _is_numeric(frame, column, words):
        codes = column.values[[not no_text(column.texts[c], words) for c in column.values.tolist()]]
        plain = text_array(column.texts)[codes]
        plain = _whole_names(plain)
    else:
        if column.kind == "text":
            given = [text for text in column.texts if not no_number(text, words)]
            decimal = number_text.read(given, decimal).decimal
        values = _values(frame, column, words, decimal)
        plain = values[~np.isnan(values)]
    if not len(plain):
        raise ValueError(f"{where}: the value is missing in every row. Name another target.")
    if task is None:
        _refuse_too_many(frame, column, plain)
    made = read_target(plain, where, task)
    return Goal(column.name, made.classes, decimal=decimal)


def _is_numeric(frame: Frame, column: Column, words: frozenset[str]) -> bool:
    kind = text_kind(frame, column, words)
    if kind == "date":
        where = f"{frame.source}, column {column.name!r}"
        raise ValueError(f"{where}: holds dates. Make numbers of them, or name another target.")
    return kind == "number"


def _whole_names(names: NDArray[Any]) -> NDArray[Any]:
    """Return texts that are whole numbers beyond 2^53 as such."""
    distinct, codes = np.unique(names, return_inverse=True)
    texts = distinct.tolist()
    signless = all(text.isdigit() and text.isascii() and text[0] != "0" for text in texts)
    if not signless or any(int(text) >= 2**63 for text in texts):
        return names
    return np.array([int(text) for text in texts], np.int64)[codes.reshape(-1)]


def _refuse_too_many(frame: Frame, column: Column, plain: NDArray[Any]) -> None:
    if plain.dtype.kind not in "USO":
        return
    different = len(np.unique(plain))
    if different > max(2, len(plain) // 2):
        frame.refuse(
            0,
            column.name,
            f"{shown(str(plain[0]))} is one of {different} different values in {len(plain)} "
            "samples: these are no classes. Name another target, or correct what should "
            "be numbers.",
        )


def _values(frame: Frame, column: Column, words: frozenset[str], decimal: str) -> NDArray[Any]:
    flags = truths(frame, column, words) if column.kind == "text" else None
    if flags is not None and not np.isnan(flags).all():
        frame.refuse(None, column.name, "holds text, which only classification can learn.")
    return numbers(frame, column, words, decimal)


def _names(
    frame: Frame, column: Column, words: frozenset[str], classes: tuple[Any, ...], decimal: str
) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the different classes of a column, as the kind of `classes`, and codes, -1 missing."""
    if isinstance(classes[0], str):
        if column.kind != "text":
            found, codes = np.unique(column.values, return_inverse=True)
            return [str(value) for value in found.tolist()], codes.reshape(-1)
        texts, codes = column.texts, column.values
        none = [no_text(text, words) for text in texts]
        return list(texts), np.where(np.array([*none, True])[codes], -1, codes)
    if column.kind == "text" and isinstance(classes[0], bool):
        flags = truths(frame, column, words)
        values = numbers(frame, column, words, decimal) if flags is None else flags
    elif column.kind == "text" and any(abs(int(name)) > 2**53 for name in classes):
        names = [int(text) if text.lstrip("+-").isdigit() else text for text in column.texts]
        none = [no_text(text, words) for text in column.texts]
        return list(names), np.where(np.array([*none, True])[column.values], -1, column.values)
    else:
        values = numbers(frame, column, words, decimal)
    empty = np.isnan(values)
    distinct, place = np.unique(values[~empty], return_inverse=True)
    codes = np.full(len(values), -1, np.int64)
    codes[~empty] = place.reshape(-1)
    kind = bool if isinstance(classes[0], bool) else int
    return [kind(v) if v == np.floor(v) else v for v in distinct.tolist()], codes
