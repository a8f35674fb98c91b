"""What the target of a table means: classes or values. Columns to learn from are in encoders.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import array

MAX_LABELS = 20  # whole numbers with more different values than this are a quantity
LONG = 256  # characters, from which on texts are not held at one width
TASKS = ("classification", "regression")


@dataclass(frozen=True, repr=False)
class Target:
    """What is to be learned: class indices, or values.

    Attributes
    ----------
    y : ndarray
        int64 (N,) positions in ``classes``, or float64 (N,) values.
    classes : tuple or None
        Names or numbers of the classes in ascending order; None for regression.
    """

    y: NDArray[Any]
    classes: tuple[Any, ...] | None

    @property
    def task(self) -> str:
        """``"classification"`` or ``"regression"``."""
        return "regression" if self.classes is None else "classification"

    def __repr__(self) -> str:
        if self.classes is None:
            return f"Target({len(self.y)} values)"
        named = ", ".join(map(repr, self.classes[:5])) + (", ..." if len(self.classes) > 5 else "")
        return f"Target({len(self.y)} samples of {len(self.classes)} classes: {named})"


def read_target(values: Any, name: str, task: str | None = None) -> Target:
    """Decide between classification and regression, and encode the target accordingly.

    Text and booleans are classes. Whole numbers are classes when they have at most 20 different
    values, each twice or more on average. All else is regression. `task` overrides.

    Parameters
    ----------
    values : array_like
        (N,) text, booleans or finite numbers.
    name : str
        Where they come from, for messages.
    task : {"classification", "regression"}, optional
        Overrides the rule.

    Returns
    -------
    Target
        Encoded values and, for classification, the classes.

    Raises
    ------
    ValueError
        Not one finite value a sample, fewer than two classes, or not what `task` asks for.
    TypeError
        Objects that are no text and no numbers; says where the first is.
    """
    if task is not None and task not in TASKS:
        raise ValueError(f"task: {task!r} is unknown, expected {' or '.join(TASKS)}.")
    values = _plain(values, name)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"{name}: expected one value a sample, (N,), got shape {values.shape}.")
    text = values.dtype.kind in "USbO"
    if not text and values.dtype.kind not in "iuf":
        raise ValueError(f"{name}: expected text or numbers, got dtype {values.dtype}.")
    if not text and not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"{name}: sample {row} is {values[row]}. Remove or fill such samples.")
    # Beyond 2^53 a float no longer tells whole numbers apart.
    exact = text or values.dtype.kind in "iu"
    whole = exact or bool(((values == np.floor(values)) & (np.abs(values) <= 2.0**53)).all())
    if task == "regression" and text:
        raise ValueError(f"{name}: holds text, which only classification can learn.")
    if task == "classification" and not whole:
        odd = (values != np.floor(values)) | (np.abs(values) > 2.0**53)
        row = int(np.flatnonzero(odd)[0])
        raise ValueError(f"{name}: sample {row} is {values[row]}, expected whole class labels.")
    if not whole or task == "regression":
        return Target(values.astype(np.float64), None)
    distinct, index = np.unique(values, return_inverse=True)
    if task is None and not text and len(distinct) > min(MAX_LABELS, len(values) // 2):
        return Target(values.astype(np.float64), None)
    _check_classes(distinct, values, name)
    classes = distinct.astype(np.int64).tolist() if values.dtype.kind == "f" else distinct.tolist()
    return Target(index.astype(np.int64).reshape(-1), tuple(classes))


def text_array(texts: Sequence[Any]) -> NDArray[Any]:
    """Return texts as an array: as objects where NumPy's own would drop NULs, or be immense."""
    if not any(len(text) > LONG or text[-1:] in ("\0", b"\0") for text in texts):
        return np.array(texts)
    made = np.empty(len(texts), object)
    made[:] = texts
    return made


def _plain(values: Any, name: str) -> NDArray[Any]:
    """Return text, booleans or numbers as an array of their own kind; text of objects as such."""
    got = np.asarray(values)
    if got.dtype.kind in "US" and not isinstance(values, np.ndarray):
        got = np.asarray(values, object)  # numbers among texts, too: told below
    if got.dtype.kind not in "OT" or got.ndim == 0:
        return got
    entries = got.ravel().tolist()
    kinds = set(map(type, entries))
    if all(issubclass(kind, str) for kind in kinds) or kinds == {bytes}:
        return text_array(entries).reshape(got.shape)
    if kinds <= {bool, np.bool_}:
        return got.astype(np.bool_)
    # Text among other things is a slip, such as a heading within a column of numbers.
    given = got if isinstance(values, (list, tuple)) else values
    return array(name, given, "expected text or numbers", "make all of them text, or none")


def _check_classes(distinct: NDArray[Any], values: NDArray[Any], name: str) -> None:
    if len(distinct) < 2:
        came = f"only {distinct.tolist()[0]!r}" if len(distinct) else "nothing"
        raise ValueError(f"{name}: holds {came}; classification needs two classes or more.")
    if len(distinct) > max(2, len(values) // 2):
        raise ValueError(
            f"{name}: {len(distinct)} different values in {len(values)} samples are no classes. "
            "Name another target column."
        )
