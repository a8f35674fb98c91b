"""Groups of parameters: which optimizer moves which, by patterns of their names. No steps."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .. import _core, optimizers, schedules
from ..checks.names import choose, matches
from ..checks.numbers import NOT_NEGATIVE, POSITIVE
from ..network import Shape
from ..optimizers import Optimizer
from ..schedules.base import Schedule

# What holds for all parameters, or for those of a group where it says so.
PENALTIES = ("l1", "l2")
LIMITS = ("clip_value", "clip_parameter")
NOBODY = -1
Given: TypeAlias = Mapping[str, Mapping[str, Any]]  # what each pattern changes, checked


@dataclass(frozen=True)
class Group:
    """An optimizer with the penalties and limits of the parameters it moves."""

    optimizer: Optimizer
    common: Mapping[str, Any]  # PENALTIES and LIMITS, numbers or schedules; None is no limit
    lazy: bool = (
        False  # whether a step leaves rows without a gradient alone, whatever the optimizer
    )


@dataclass(frozen=True)
class Assignment:
    """The groups that move something, and the group of each parameter."""

    groups: tuple[Group, ...]
    members: tuple[int, ...]  # NOBODY for one that is not moved

    @property
    def rules(self) -> list[str]:
        """The native rule of each group."""
        return [group.optimizer.rule for group in self.groups]

    @property
    def made_with(self) -> dict[str, Any]:
        """Its part of a native recipe: with another one it is another session."""
        optimizers = [group.optimizer for group in self.groups]
        return {
            "rules": self.rules,
            "groups": list(self.members),
            "sparse": [g.lazy or getattr(g.optimizer, "sparse", False) for g in self.groups],
            "history": optimizers[0]._vectors if len(optimizers) == 1 else 0,
        }

    def slots(self, shapes: Mapping[str, Shape], average: bool) -> dict[str, dict[str, Shape]]:
        """Return the shape of every slot, by its name and its parameter's."""
        found = _core.Recipe(**self.made_with, average=average).slots(list(shapes.values()))
        return {
            slot: {n: tuple(s) for n, s in zip(shapes, each, strict=True) if s is not None}
            for slot, each in found.items()
        }


def common(name: str, value: Any) -> Any:
    """Return a penalty or a limit checked: a float, a schedule, or None for no limit."""
    if name in PENALTIES or name == "sam":
        return schedules.base.of("Trainer", name, value, NOT_NEGATIVE)
    return None if value is None else schedules.base.of("Trainer", name, value, POSITIVE)


def checked(groups: Any) -> dict[str, dict[str, Any]]:
    """Return the groups that a user wrote, each as what its pattern changes.

    Raises
    ------
    TypeError, ValueError
        If they are no mapping of patterns to optimizers or settings.
    """
    if groups is None:
        return {}
    if not isinstance(groups, Mapping):
        raise TypeError(
            "groups: expects a dict of patterns and optimizers or settings, as "
            f'{{"head.*": Adam(1e-3)}}, got {type(groups).__name__}'
        )
    found: dict[str, dict[str, Any]] = {}
    for pattern, given in groups.items():
        if not isinstance(pattern, str) or not pattern:
            raise TypeError(f"groups: a pattern is a name with * and ?, got {pattern!r}")
        changes = dict(given) if isinstance(given, Mapping) else {"optimizer": given}
        if "optimizer" in changes:
            changes["optimizer"] = optimizers.get(changes["optimizer"])
        for name in (*PENALTIES, *LIMITS):
            if name in changes:
                changes[name] = common(name, changes[name])
        if "lr_factor" in changes:
            changes["lr_factor"] = schedules.base.of(
                "groups", "lr_factor", changes["lr_factor"], NOT_NEGATIVE
            )
        found[pattern] = changes
    return found


def group(
    pattern: str, changes: Mapping[str, Any], optimizer: Optimizer | None, shared: Mapping[str, Any]
) -> Group:
    """Return a group: the trainer's optimizer and settings, with a pattern's changes.

    Raises
    ------
    TypeError, ValueError
        If the changes are no settings of the optimizer, naming the pattern.
    """
    own = changes.get("optimizer", optimizer)
    if own is None:
        raise ValueError(f"groups: {pattern!r} has no optimizer, and neither has the Trainer")
    names = (*PENALTIES, *LIMITS)
    numbers = {n: v for n, v in changes.items() if n not in ("optimizer", "lr_factor", *names)}
    known = dict.fromkeys((*own.ranges, *own.others, "optimizer", "lr_factor", *names))
    for name in numbers:
        choose(f"groups: setting of {pattern!r}", name, known)
    if numbers:
        own = dataclasses.replace(own, **numbers)
    if "lr_factor" in changes:
        own = _slower(pattern, own, changes["lr_factor"])
    return Group(own, {name: changes.get(name, shared[name]) for name in names})


def _slower(pattern: str, optimizer: Optimizer, factor: float | Schedule) -> Optimizer:
    if "lr" not in optimizer.ranges:
        raise ValueError(f"groups: {pattern!r} has an lr_factor, but {optimizer!r} no lr")
    product = isinstance(factor, Schedule)
    return of_rates(
        optimizer,
        lambda rate: (
            schedules.Product((rate, factor))
            if product or isinstance(rate, Schedule)
            else rate * factor
        ),
    )


def of_rates(
    optimizer: Optimizer, change: Callable[[Any], Any], kept: Collection[str] = ()
) -> Optimizer:
    """Return an optimizer with its learning rate changed, and those of optimizers inside it."""
    inner = [name for name in optimizer.others if name not in kept]
    changed: dict[str, Any] = {name: of_rates(getattr(optimizer, name), change) for name in inner}
    if "lr" in optimizer.ranges and "lr" not in kept:
        changed["lr"] = change(getattr(optimizer, "lr"))  # noqa: B009 - not all of them have one
    return dataclasses.replace(optimizer, **changed) if changed else optimizer


def with_rates(given: Given, change: Callable[[Any], Any]) -> dict[str, dict[str, Any]]:
    """Return groups with every learning rate of theirs changed; what a group replaces is not it."""

    def changed(name: str, value: Any, group: Mapping[str, Any]) -> Any:
        if isinstance(value, Optimizer):
            return of_rates(value, change, group if name == "optimizer" else ())
        return change(value) if name == "lr" else value

    return {
        pattern: {name: changed(name, value, group) for name, value in group.items()}
        for pattern, group in given.items()
    }


def every(
    optimizer: Optimizer | None, given: Given, shared: Mapping[str, Any]
) -> Iterator[tuple[str, Group]]:
    """Yield the patterns with their groups, in order; last, for all others, the trainer's own."""
    for pattern, changes in given.items():
        yield pattern, group(pattern, changes, optimizer, shared)
    if optimizer is not None:
        yield "*", Group(optimizer, shared)


def _apart(
    parts: list[tuple[Group, list[str]]], lazy: Collection[str]
) -> Iterator[tuple[Group, list[str]]]:
    """Yield the parts with those parameters as parts of their own that steps may leave rows of."""
    rules = _core.rules() if lazy else {}
    whole = {name for name, about in rules.items() if about["passes"] > 1 or about["look_ahead"]}
    for each, names in parts:
        own = [name for name in names if name in lazy]
        if own and (each.optimizer.full_batch or each.optimizer.rule in whole):
            raise ValueError(
                f"{type(each.optimizer).__name__}: all rows of {own[0]} move together; leave out "
                "sparse=True of its Embedding"
            )
        yield each, [name for name in names if name not in lazy]
        yield dataclasses.replace(each, lazy=True), own


def assign(  # noqa: PLR0917 - one caller
    optimizer: Optimizer | None,
    given: Given,
    shared: Mapping[str, Any],
    shapes: Mapping[str, Shape],
    still: Collection[str] = (),
    lazy: Collection[str] = (),
) -> Assignment:
    """Return who moves each parameter: the first pattern that its name matches.

    A pattern is the name of a layer, for all of its parameters, or has ``*`` and ``?``. Nobody
    moves those that stand `still`; of `lazy` ones rows without a gradient are left alone.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or a parameter is matched by none; names them. If the rows of
        a lazy one can only move together.
    """
    left = {name: shape for name, shape in shapes.items() if name not in still}
    parts: list[tuple[Group, list[str]]] = []
    for number, (pattern, each) in enumerate(every(optimizer, given, shared)):
        mine = {name: shape for name, shape in left.items() if matches(name, pattern)}
        if shapes and number < len(given) and not any(matches(n, pattern) for n in shapes):
            raise ValueError(
                f"groups: no parameter is called {pattern!r}; there are {', '.join(shapes)}"
            )
        for name in mine:
            del left[name]
        parts += [
            (Group(moved, each.common), names)
            for moved, names in each.optimizer.parts(mine, shapes)
        ]
    if left:
        raise ValueError(
            f'groups: nothing moves {", ".join(left)}; add a pattern "*", or give the Trainer an '
            "optimizer"
        )
    parts = [(each, names) for each, names in _apart(parts, lazy) if names] or parts[:1]
    for each, _ in parts:
        if each.optimizer.full_batch and len(parts) > 1:
            raise ValueError(
                f"groups: {type(each.optimizer).__name__} searches lines for all parameters at "
                "once; give it to the Trainer, without groups"
            )
    of = {name: number for number, (_, names) in enumerate(parts) for name in names}
    members = tuple(of.get(name, NOBODY) for name in shapes)
    return Assignment(tuple(each for each, _ in parts), members)
