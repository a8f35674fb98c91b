"""Names of a table's columns: those a network was trained on, and those that come to it later.

Another order, or other columns, is refused in scikit-learn's words, as its estimators do.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Columns: TypeAlias = tuple[str, ...]  # of one input, as text: 2019 and "2019" are one name
_SHOWN = 5  # names in a message


def columns_of(value: Any) -> Columns | None:
    """Return the names of a table's columns in order; None of what has none."""
    found = getattr(value, "column_names", None)  # of pyarrow, whose columns are the values
    found = getattr(value, "columns", None) if found is None else found  # of pandas, polars
    if isinstance(found, (str, bytes)) or not isinstance(found, Iterable):
        return None
    return tuple(map(str, found))


def fitting_columns(
    name: str, found: Columns | None, known: Columns | None = None
) -> Columns | None:
    """Return the names that what came as `name` goes by: its own, which fit those that are known.

    Columns that pandas numbers from 0 have no names: they stand for themselves, like an array's.

    Raises
    ------
    ValueError
        Naming what is missing and what nobody knows, or that it is the order.
    """
    if found is None or found == known:
        return known
    if known is None or (_numbered(known) and {*found} != {*known}):
        return found
    if _numbered(found) and {*found} != {*known}:
        return known
    raise ValueError(f"{name}: {_unlike(found, known)}")


def to_file(given: Sequence[Columns | None]) -> dict[str, Any]:
    """Return what a file's description has of the names of inputs: nothing where none has any."""
    return {"columns": [names and [*names] for names in given]} if any(given) else {}


def from_file(
    about: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
) -> tuple[Columns | None, ...]:
    """Return the names of inputs of these shapes that `to_file` put into a description.

    Raises
    ------
    ValueError
        If they are no names, or those of other inputs.
    """
    given = about.get("columns", [None] * len(shapes))
    if not isinstance(given, list) or len(given) != len(shapes):
        raise ValueError(f"columns: expects names for each of {len(shapes)} inputs")
    for names, shape in zip(given, shapes, strict=True):
        if names is None:
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"columns: expects lists of names, got {names!r}")
        if (len(names),) != tuple(shape):
            raise ValueError(f"columns: {len(names)} names for an input of shape {shape}")
    return tuple(names and tuple(names) for names in given)


def _numbered(names: Columns) -> bool:
    return names == tuple(map(str, range(len(names))))


def _unlike(found: Columns, known: Columns) -> str:
    """Say how names differ, in the words of scikit-learn, and what to do."""
    unseen, missing = sorted({*found} - {*known}), sorted({*known} - {*found})
    text = "The feature names should match those that were passed during fit.\n"
    if unseen:
        text += f"Feature names unseen at fit time:\n{_listed(unseen)}"
    if missing:
        text += f"Feature names seen at fit time, yet now missing:\n{_listed(missing)}"
    if not unseen and not missing:
        text += "Feature names must be in the same order as they were in fit.\n"
    return text + "net.feature_names is what it takes, in that order"


def _listed(names: Sequence[str]) -> str:
    more = ["..."] if len(names) > _SHOWN else []
    return "".join(f"- {name}\n" for name in [*names[:_SHOWN], *more])
