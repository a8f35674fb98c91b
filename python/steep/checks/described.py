"""Frozen descriptions: arguments are checked once, written as JSON, and read back by name.

Losses, schedules and optimizers are such; their formulas stand with them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from .names import choose
from .numbers import Range, Ranges, flag, number

T = TypeVar("T")


@dataclass(frozen=True)
class Described:
    """A frozen dataclass that checks its numbers and switches when it is made."""

    kind: ClassVar[str]  # what a config calls it: "loss"
    ranges: ClassVar[Ranges] = {}  # of every number, by name
    flags: ClassVar[tuple[str, ...]] = ()  # arguments that are True or False

    def __post_init__(self) -> None:
        """Give every argument its checked form."""
        for name, allowed in self.ranges.items():
            settle(self, **{name: self._number(name, getattr(self, name), allowed)})
        for name in self.flags:
            settle(self, **{name: flag(type(self).__name__, name, getattr(self, name))})

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make it again, as JSON can hold it.

        Raises
        ------
        ValueError
            If an argument is a Python function, which cannot be saved.
        """
        config: dict[str, Any] = {self.kind: self._name()}
        for item in fields(self):
            try:
                config[item.name] = plain(getattr(self, item.name))
            except ValueError as error:
                raise ValueError(f"{type(self).__name__}: {item.name}: {error}") from None
        return config

    def _number(self, name: str, value: object, allowed: Range) -> Any:
        return number(type(self).__name__, name, value, allowed)

    def _name(self) -> str:
        """Return what the table of its kind calls it."""
        return type(self).__name__


def settle(frozen: object, **checked: object) -> None:
    """Give a frozen dataclass the checked forms of its fields, while it is being made."""
    for name, value in checked.items():
        object.__setattr__(frozen, name, value)


def plain(value: Any) -> Any:
    """Return an argument as JSON can hold it."""
    if isinstance(value, Described):
        return value.get_config()
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def described(
    kind: str,
    table: Mapping[str, Callable[..., T]],
    config: Mapping[str, Any],
    read: Callable[[Any], Any] = lambda value: value,
) -> T:
    """Return what `get_config` described, of a kind whose names stand in `table`.

    `read` turns arguments back that are descriptions themselves.

    Raises
    ------
    ValueError
        If the config names nothing known, or its arguments do not fit.
    """
    arguments = dict(config)
    name = arguments.pop(kind, "")
    made = choose(kind, name, table)
    try:
        return made(**{name: read(value) for name, value in arguments.items()})
    except TypeError as error:
        raise ValueError(f"saved {kind} {name}: {error}") from error
