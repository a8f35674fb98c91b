"""`read_csv`: a whole table as numbers, not scaled. What is learned and scaled is table.py."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .csv_file import Reading
from .encoders import Number
from .sources import open_frame
from .table import Table, position
from .target import Target


@dataclass(frozen=True, repr=False)
class Samples:
    """Samples in rows, in their own units.

    Attributes
    ----------
    X : ndarray
        float64 (N, features); text columns are one-hot.
    target : Target
        Of the same N samples.
    features : tuple of str
        Name of each column of X; a one-hot column is named ``column=text``.
    numeric : ndarray
        bool (features,): True where the column is a quantity, False where it is one-hot.
    """

    X: NDArray[np.float64]
    target: Target
    features: tuple[str, ...]
    numeric: NDArray[np.bool_]

    def __repr__(self) -> str:
        return f"Samples({len(self.X)} rows of {len(self.features)} features, {self.target!r})"


def read_csv(
    path: str | os.PathLike[str],
    target: str | int,
    *,
    task: str | None = None,
    drop: Sequence[str | int] = (),
    **reading: Any,
) -> Samples:
    """Read a table of numbers and text; one row a sample, one column the target.

    Columns become numbers as :class:`Table` has it, but nothing is standardised.

    Parameters
    ----------
    path : str or path
        A file that :meth:`Table.learn` reads.
    target : str or int
        Name of the target column, or its position from 0 (from the end when negative).
    task : {"classification", "regression"}, optional
        What to learn; by default decided from the target, see :func:`read_target`.
    drop : sequence of str or int
        Columns to leave out.
    **reading
        As of :meth:`Table.learn`: `header`, `delimiter`, `decimal`, `encoding`, `skip`, `missing`,
        `categorical`, `keep`.

    Returns
    -------
    Samples
        In the order of the file; rows without a value of the target are left out.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Not such a table; the message names line and column.
    """
    given = {k: reading.pop(k) for k in ("keep", "categorical", "squash") if k in reading}
    missing = tuple(reading.pop("missing", ()))
    frame = open_frame(path, Reading(target=target, missing=missing, **reading))
    position(frame, target, "target")
    table = Table.learn(frame, target, task=task, drop=drop, missing=missing, **given)
    plain = tuple(
        replace(c, mean=0.0, deviation=1.0, squash=False) if isinstance(c, Number) else c
        for c in table.columns
    )
    table = replace(table, columns=plain)
    y, frame = table.targets(frame)
    numeric = [isinstance(c, Number) and k == 0 for c in plain for k, _ in enumerate(c.features)]
    X = table._encoded(frame, np.float64)
    return Samples(X, Target(y, table.classes), table.features, np.array(numeric))
