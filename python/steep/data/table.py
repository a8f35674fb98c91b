"""`Table`: what is done to the columns of a table, learned on some rows and applied to any others.

What may become of a column is in encoders.py, which it is in columns.py, the target in goal.py.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks.names import choose
from ..checks.numbers import whole
from ..files import atomic
from . import columns, encoders, goal
from .csv_file import Reading
from .encoders import Encoder, LeftOut
from .frame import Frame, shown
from .goal import Goal
from .sources import open_frame
from .target import text_array

_MANY = 1 << 31  # columns, beyond any file
_FORMAT = 1
SHOWN = 100  # columns of a printed table


@dataclass(frozen=True, repr=False)
class Table:
    """What is done to each column of a table: a recipe that is learned once and kept.

    Numbers are standardised, with the median and a column that says so where they are missing;
    texts become columns of 0 and 1, rare ones together; dates become the time since the first one
    and the month, weekday and hour on circles. Columns that only count or name the rows, hold free
    text, or never change are left out. ``print(table)`` says what was done.

    Made by `learn` or `load`.

    Attributes
    ----------
    columns : tuple
        One for each column of the table but the target.
    goal
        What is learned; None without a target.
    header : bool
        Whether the columns have names of their own.
    missing : tuple of str
        Words that count as missing, beside the usual ones.
    notes : tuple of str
        What was done to rows and lines.
    """

    columns: tuple[Encoder, ...]
    goal: Goal | None
    header: bool = True
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def learn(
        cls,
        source: Any,
        target: str | int | None = None,
        *,
        task: str | None = None,
        drop: Sequence[str | int] = (),
        keep: Sequence[str | int] = (),
        categorical: Sequence[str | int] = (),
        squash: bool = False,
        scale: str = "standard",
        missing: Sequence[str] = (),
        rows: Any = None,
        **reading: Any,
    ) -> "Table":
        """Learn from the rows of a table.

        Parameters
        ----------
        source
            A path of a CSV, Parquet, Arrow, Feather or Excel file; a DataFrame of pandas, polars or
            pyarrow; a dict of columns.
        target
            The column to learn: its name, or its position from 0. None: there is none.
        task
            ``"classification"`` or ``"regression"``; by default the target decides.
        drop, keep, categorical
            Columns to leave out, to keep though they seem to name the rows, and to take as
            categories though they are numbers.
        squash
            Whether numbers far from the mean come no further than 3 deviations.
        scale
            What numbers are measured by: ``"standard"``, mean and deviation, or ``"robust"``, the
            median and the distance of the quartiles, which far values do not move.
        missing
            Words that count as missing in every column, beside empty cells, ``?``, ``NA`` and
            their like.
        rows
            Positions of the rows to learn from, the training rows; None: all. Classes are those of
            all rows.
        **reading
            How a text file is written, where it is not found out: `header` (bool), `delimiter`,
            `decimal` (``","``), `encoding`, `skip` (lines before the table).

        Raises
        ------
        FileNotFoundError, ImportError
            No such file, or a package that reads it is missing.
        TypeError, ValueError
            No such column, a cell that does not fit, nothing left to learn from; names file, line
            and column, and says what to do.
        """
        robust = choose("scale", scale, {"standard": False, "robust": True})
        frame = open_frame(source, Reading(target=target, missing=tuple(missing), **reading))
        words = frozenset(word.strip().lower() for word in missing)
        at = None if target is None else position(frame, target, "target")
        chosen = {
            role: {position(frame, one, role) for one in _several(frame, given)}
            for role, given in (("drop", drop), ("keep", keep), ("categorical", categorical))
        }
        if at in chosen["drop"]:
            raise ValueError(
                f"{frame.source}: drop names {frame.names[at]!r}, which is the target."
            )
        aim, notes = None, list(frame.notes)
        if at is not None:
            aim = goal.learn(frame, frame.columns[at], words, task)
        part = frame if rows is None else frame.take(rows)
        if aim is not None and at is not None:
            y, present = aim.encode(part, part.columns[at], words)
            aim = aim.scaled(y[present], frame.source)
            if not present.all():
                notes.append(f"{int((~present).sum())} rows without {aim.name!r} are left out")
                part = part.take(np.flatnonzero(present))
        made: list[Encoder] = []
        for k, column in enumerate(part.columns):
            if k in chosen["drop"]:
                made.append(LeftOut(column.name, 0, "left out as asked"))
            elif k != at:
                ways = {"categorical": k in chosen["categorical"], "keep": k in chosen["keep"]}
                made.append(
                    columns.learn(part, column, words, squash=squash, robust=robust, **ways)
                )
        table = cls(tuple(made), aim, frame.header, tuple(missing), tuple(notes))
        if not table.features:
            table._refuse_nothing(frame)
        return table

    # -- applying ----------------------------------------------------------------------------------

    @property
    def features(self) -> tuple[str, ...]:
        """Name of each number that a network gets."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def spans(self) -> tuple[tuple[str, int, int], ...]:
        """Which features each column makes: (kind, from, up to), in their order.

        Kinds are ``"number"``, ``"category"``, one-hot columns, and ``"date"``; what says that a
        number is missing is a span of its own, ``"flag"``.
        """
        found: list[tuple[str, int, int]] = []
        at = 0
        for column in self.columns:
            end = at + len(column.features)
            flag = column.kind == "number" and end - at > 1
            if end > at:
                found.append((column.kind, at, end - flag))
            if flag:
                found.append(("flag", end - 1, end))
            at = end
        return tuple(found)

    def apply(self, source: Any, **reading: Any) -> tuple[NDArray[np.float32], Any]:
        """Return what a network trains on: ``X, y = table.apply("new.csv")``.

        Columns are found by their names, in any order; others are ignored.

        Parameters
        ----------
        source, **reading
            As of `learn`.

        Returns
        -------
        X : ndarray
            float32 (N, features).
        y : ndarray or None
            int64 (N,) class indices, or float32 (N, 1) standardised values; None where the table
            has no target. Rows without a value of the target are left out of both.

        Raises
        ------
        ValueError
            A column is missing, or a cell does not fit; names file, line and column.
        """
        y, frame = self.targets(self.open(source, **reading))
        X = self.encode(frame)
        if y is not None and self.goal and self.goal.classes is None:
            y = ((y - self.goal.mean) / self.goal.deviation).astype(np.float32)[:, None]
        return X, y

    def encode(self, source: Any, **reading: Any) -> NDArray[np.float32]:
        """Return X alone, for every row of a table, with or without its target.

        Parameters
        ----------
        source, **reading
            As of `learn`.

        Raises
        ------
        ValueError
            A column is missing, or a cell does not fit; names file, line and column.
        """
        X: NDArray[np.float32] = self._encoded(self.open(source, **reading), np.float32)
        return X

    def decode(self, outputs: Any) -> NDArray[Any]:
        """Return a network's outputs as the target has it: names of classes, or values.

        Parameters
        ----------
        outputs
            (N, classes), or (N, 1) standardised values, as `predict` of a network gives them.

        Raises
        ------
        ValueError
            The table has no target, or other classes than so many.
        """
        outputs = np.asarray(outputs)
        if self.goal is None:
            raise ValueError("decode: this table has no target")
        if self.goal.classes is None:
            return self.goal.values(outputs)
        classes = self.goal.classes
        if outputs.ndim != 2 or outputs.shape[1] != len(classes):
            raise ValueError(f"decode: expects (N, {len(classes)}), got {outputs.shape}")
        names = text_array(classes) if isinstance(classes[0], str) else np.array(classes)
        chosen: NDArray[Any] = names[outputs.argmax(axis=1)]
        return chosen

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The classes of the target in the order of their indices; None for regression."""
        return self.goal.classes if self.goal else None

    def targets(self, frame: Frame) -> tuple[Any, Frame]:
        """Return class indices or values of an open table, and its rows that have one.

        None, and all rows, where the target is not there.
        """
        column = None if self.goal is None else frame.find(self.goal.name)
        if column is None or self.goal is None:
            return None, frame
        y, present = self.goal.encode(frame, column, self._words)
        return (y, frame) if present.all() else (y[present], frame.take(np.flatnonzero(present)))

    def open(self, source: Any, **reading: Any) -> Frame:
        """Return a table's columns as they are, read as those that were learned from."""
        known = [column.name for column in self.columns]
        if "header" not in reading and not self.header:
            reading["header"] = False
        given = Reading(known=known, missing=self.missing, **reading)
        frame = open_frame(source, given)
        if not self.header and self.goal is not None and len(frame.columns) == len(known):
            # Without names a column is known by its position: the target is not there.
            made = zip(frame.columns, known, strict=True)
            frame = replace(frame, columns=tuple(replace(c, name=name) for c, name in made))
        return frame

    def _encoded(self, frame: Frame, dtype: Any) -> NDArray[Any]:
        """Return X of an open table."""
        used = [column for column in self.columns if column.features]
        there = {column.name: column for column in frame.columns}
        lacking = [column.name for column in used if column.name not in there]
        if lacking:
            has = ", ".join(map(repr, frame.names[:20]))
            raise ValueError(
                f"{frame.source}: lacks {', '.join(map(repr, lacking[:20]))}, which the table was "
                f"learned with; its columns are {has}. Add or rename them."
            )
        X = np.empty((len(frame.rows), len(self.features)), dtype)
        at = 0
        for column in used:
            width = len(column.features)
            column.encode(frame, frame.used(there[column.name]), X[:, at : at + width], self._words)
            at += width
        return X

    @property
    def _words(self) -> frozenset[str]:
        return frozenset(word.strip().lower() for word in self.missing)

    # -- keeping -----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON."""
        values = {
            "steep_table": _FORMAT,
            "header": self.header,
            "missing": self.missing,
            "notes": self.notes,
            "target": self.goal.to_json() if self.goal else None,
            "columns": [column.to_json() for column in self.columns],
        }
        text = json.dumps(values, indent=1, ensure_ascii=False)
        atomic.replace(Path(path), (text + "\n").encode("utf-8", "surrogatepass"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Table":
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            It is no such file, or damaged.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            if values["steep_table"] != _FORMAT:
                raise ValueError(f"format {values['steep_table']!r} is unknown")
            aim = None if values["target"] is None else Goal.from_json(values["target"])
            made = tuple(encoders.from_json(one) for one in values["columns"])
            words = tuple(map(str, values["missing"]))
            return cls(made, aim, bool(values["header"]), words, tuple(map(str, values["notes"])))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path}: not the recipe of a table ({error}).") from None

    # -- showing -----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        aim = f", target {self.goal.name!r}" if self.goal else ""
        return f"Table({len(self.columns)} columns, {len(self.features)} features{aim})"

    def __str__(self) -> str:
        return "\n".join(self._lines("{:<{}}  {:<8}  {:>7}  {}"))

    def _lines(self, form: str) -> list[str]:
        rows = [(c.name, c.kind, str(c.empty or ""), c.said()) for c in self.columns[:SHOWN]]
        if self.goal:
            rows.append((self.goal.name, "target", "", self.goal.said()))
        rows.insert(0, ("column", "kind", "missing", "what is done"))
        width = min(max(len(row[0]) for row in rows), 32)
        lines = [form.format(name, width, *rest).rstrip() for name, *rest in rows]
        if len(self.columns) > SHOWN:
            lines.insert(-1, f"... and {len(self.columns) - SHOWN} columns more")
        return [*lines, *self.notes]

    def _refuse_nothing(self, frame: Frame) -> None:
        reasons = "; ".join(f"{c.name!r}: {c.said()}" for c in self.columns[:10])
        aim = f" {self.goal.name!r}" if self.goal else ""
        raise ValueError(
            f"{frame.source}: no column is left to learn{aim} from. {reasons or 'It has no other'}."
        )


def position(frame: Frame, column: str | int, role: str) -> int:
    """Return the position of a column that somebody named.

    Raises
    ------
    TypeError, ValueError
        It is no name and no position, or there is no such column.
    """
    names = frame.names
    if isinstance(column, str) and column in names:
        if column in frame.twice and role == "target":
            many = frame.twice.count(column)
            what = f"{role} {column!r} names {many} columns. Say its position, from 0."
            raise ValueError(f"{frame.source}: {what}")
        return names.index(column)
    try:  # text may be a position, too: the command line has nothing else
        at = int(column) if isinstance(column, str) else whole(frame.source, role, column, -_MANY)
    except TypeError:
        kind = type(column).__name__
        what = f"{role} must be a column's name or its position, got {shown(str(column))} ({kind})"
        raise TypeError(f"{frame.source}: {what}; {columns_of(frame)}.") from None
    except ValueError:
        at = len(names)
    if -len(names) <= at < len(names):
        return at % len(names)
    raise ValueError(f"{frame.source}: no {role} column {column!r}; {columns_of(frame)}.")


def columns_of(frame: Frame) -> str:
    """Say what columns a table has."""
    names = frame.names
    return f"the columns are {', '.join(map(repr, names[:20]))}{', ...' * (len(names) > 20)}"


def learn_goal(
    frame: Frame, target: str | int, task: str | None, missing: Sequence[str]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return class indices (int64) or values (float64) of a table, and which rows have one."""
    words = frozenset(word.strip().lower() for word in missing)
    column = frame.columns[position(frame, target, "target")]
    return goal.learn(frame, column, words, task).encode(frame, column, words)


def _several(frame: Frame, given: Any) -> list[Any]:
    """Return columns that somebody named: one, several, or several joined by commas."""
    found = [given] if isinstance(given, (str, int)) else list(given)
    names = set(frame.names)
    made: list[Any] = []
    for one in found:
        parts = [part.strip() for part in one.split(",")] if isinstance(one, str) else [one]
        joined = len(parts) > 1 and one not in names and set(parts) <= names
        made += parts if joined else [one]
    return made
