"""What `search` and `sweep` share: spaces and arguments of `fit`, checked, and tables of rows."""

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..checks.names import choose
from ..training.trainer import Trainer

SHOWN = 10  # rows of a table
WIDEST = 60  # letters of a cell


def options_of(who: str, space: Any, own: Collection[str]) -> dict[str, tuple[Any, ...]]:
    """Return the options of a space, checked; `own` are columns of the result.

    Raises
    ------
    TypeError, ValueError
        If it is no dict of lists, a name cannot be an argument, or there is nothing to choose.
    """
    if not isinstance(space, Mapping):
        raise TypeError(
            f'{who}: space must be a dict of options by name, as {{"units": (16, 64)}}, got '
            f"{type(space).__name__}"
        )
    found = {}
    for name, given in space.items():
        if not isinstance(name, str) or not name.isidentifier() or name in own:
            raise ValueError(
                f"{who}: space: {name!r} cannot be an argument of what is built; "
                f"{' and '.join(own)} are columns of the result"
            )
        if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
            raise TypeError(f"{who}: space: options of {name!r} must be a list, got {given!r}")
        found[name] = tuple(given)
        if not found[name]:
            raise ValueError(f"{who}: space: {name!r} has no options")
    if not found:
        raise ValueError(f"{who}: space is empty")
    return found


def fit_options(who: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `fit` is given beside data and epochs; refuse what it does not take."""
    known = dict.fromkeys(inspect.signature(Trainer.fit).parameters)
    del known["self"], known["X"], known["y"]
    for name in given:
        choose(f"argument of {who} or fit", name, known)
    return {"progress": False, **given}


def as_table(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of the first rows as text, and how many more there are."""
    shown = rows[:SHOWN]
    lines = [list(columns), *([cell(row.get(name, "")) for name in columns] for row in shown)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
    more = len(rows) - len(shown)
    return "\n".join([
        title,
        *("  ".join(f"{c:>{w}}" for c, w in zip(line, widths, strict=True)) for line in lines),
        *([f"and {more} more"] if more else []),
    ])  # fmt: skip


def cell(value: Any) -> str:
    """Return a value as it stands in a table."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."
