"""A table as it was read: columns of text, numbers, truth values or dates. table.py gives meaning.

A column of text is held as its different texts and a code for each row, so that whatever is asked
of a text is asked once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

SHOWN = 40  # characters of a cell in a message


@dataclass(frozen=True)
class Column:
    """One column of N rows.

    ``kind`` is "text" (`values` are positions in `texts`, int64), "number", "bool" (both float64,
    NaN where missing), "date" (datetime64[us], NaT where missing) or "other": then `texts` says why
    it is of no use, unless nobody uses it.
    """

    name: str
    kind: str
    values: NDArray[Any]
    texts: tuple[str, ...] = ()

    def take(self, rows: NDArray[np.int64]) -> "Column":
        """Return some rows; texts that they do not have are forgotten."""
        values = self.values[rows]
        if self.kind != "text":
            return replace(self, values=values)
        used, codes = np.unique(values, return_inverse=True)
        texts = tuple(self.texts[k] for k in used.tolist())
        return replace(self, values=codes.reshape(-1).astype(np.int64), texts=texts)


@dataclass(frozen=True)
class Frame:
    """Columns of equal length, and where they come from.

    Attributes
    ----------
    source
        What messages call it: a path, or the kind of a frame.
    rows
        (N,) position of each row in the source, from 0.
    place
        Says where the row at a position of the source stands: ``line 7``.
    header
        Whether the source gave the columns their names.
    decimal
        The decimal mark of its numbers, where a cell alone does not tell.
    notes
        What was done while reading, for people.
    twice
        Names that the source has for two columns or more, each as often.
    """

    source: str
    columns: tuple[Column, ...]
    rows: NDArray[np.int64]
    place: Callable[[int], str] = field(default=lambda row: f"row {row}", repr=False)
    header: bool = True
    decimal: str = "."
    notes: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [column.name for column in self.columns]

    def take(self, rows: NDArray[Any]) -> "Frame":
        """Return the rows at some positions of this frame, from 0."""
        rows = np.asarray(rows, np.int64)
        columns = tuple(column.take(rows) for column in self.columns)
        return replace(self, columns=columns, rows=self.rows[rows])

    def find(self, name: str) -> Column | None:
        """Return a column by its name."""
        return next((column for column in self.columns if column.name == name), None)

    def used(self, column: Column) -> Column:
        """Return a column that is to be used.

        Raises
        ------
        ValueError
            It is of a kind that is none here.
        """
        if column.kind == "other":
            self.refuse(None, column.name, column.texts[0])
        return column

    def refuse(self, row: int | None, name: str, what: str) -> NoReturn:
        """Raise ValueError for a cell, or for a whole column where `row` is None."""
        where = f"column {name!r}"
        if row is not None:
            where = f"{self.place(int(self.rows[row]))}, {where}"
        raise ValueError(f"{self.source}, {where}: {what}")


def unique(names: Sequence[str]) -> list[str]:
    """Return names that are all different: a second ``a`` is ``a.1``, an empty one ``column 2``."""
    taken: set[str] = set()
    made = []
    for position, name in enumerate(names):
        base = name or f"column {position}"
        fresh, number = base, 0
        while fresh in taken or (number and fresh in names):
            number += 1
            fresh = f"{base}.{number}"
        taken.add(fresh)
        made.append(fresh)
    return made


def shown(text: str) -> str:
    """Return a cell as a message has it."""
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
