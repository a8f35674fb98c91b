"""Looks a name up in a table, or says which known name is nearest; and patterns of names.

The tables themselves live where their things live: optimizers, losses, layers, data sets.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TypeVar

T = TypeVar("T")


def choose(kind: str, name: str, table: Mapping[str, T]) -> T:
    """Return ``table[name]``; case and ``-`` for ``_`` are forgiven.

    `kind` says what is looked up, as an error should call it: ``"optimizer"``, ``"loss"``.

    Raises
    ------
    TypeError
        If `name` is no string.
    ValueError
        If `name` is not in `table`; the message names the nearest known one and lists all.
    """
    if not isinstance(name, str):
        raise TypeError(f"{kind}: expects a name (a string), got {type(name).__name__}")
    if name in table:
        return table[name]
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in table:
        return table[plain]
    near = get_close_matches(plain, table, n=1, cutoff=0.5)
    hint = f'; did you mean "{near[0]}"?' if near else "."
    known = ", ".join(f'"{known}"' for known in table)
    raise ValueError(f'unknown {kind} "{name}"{hint} Known: {known}')


def exactly(name: str) -> str:
    """Return the pattern that one name fits, and those of what is inside it."""
    return re.sub(r"([*?[])", r"[\1]", name)


def matches(name: str, pattern: str) -> bool:
    """Say whether a parameter's name fits one with ``*`` and ``?``, or that of its layer."""
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")
