"""Groups of parameters: which optimizer moves which, by patterns of their names. No steps."""

import dataclasses
from collections.abc import Iterator, Mapping
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
Given: TypeAlias = Mapping[str, Mapping[str, Any]]  # what each pattern changes, checked


@dataclass(frozen=True)
class Group:
    """An optimizer with the penalties and limits of the parameters it moves."""

    optimizer: Optimizer
    common: Mapping[str, Any]  # PENALTIES and LIMITS, numbers or schedules; None is no limit


@dataclass(frozen=True)
class Assignment:
    """The groups that move something, and the group of each parameter."""

    groups: tuple[Group, ...]
    members: tuple[int, ...]

    @property
    def made_with(self) -> tuple[Any, ...]:
        """What a native session is made with: with something else it is another one."""
        return self.rules, self.members, self.kept, self.sparse

    @property
    def sparse(self) -> list[bool]:
        """Of each group, whether rows without a gradient are left alone."""
        return [getattr(group.optimizer, "sparse", False) for group in self.groups]

    @property
    def rules(self) -> list[str]:
        """The native rule of each group."""
        return [group.optimizer.rule for group in self.groups]

    @property
    def kept(self) -> int:
        """How many vectors of each kind a method for full batches keeps."""
        return self.groups[0].optimizer._vectors if len(self.groups) == 1 else 0

    def slots(self, shapes: Mapping[str, Shape], average: bool) -> dict[str, dict[str, Shape]]:
        """Return the shape of every slot, by its name and its parameter's."""
        members, each = list(self.members), list(shapes.values())
        found = _core.slot_shapes(self.rules, members, each, average, self.kept)
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
    rate = getattr(optimizer, "lr")  # noqa: B009 - not all of them have one
    slower = (
        schedules.Product((rate, factor))
        if isinstance(rate, Schedule) or isinstance(factor, Schedule)
        else rate * factor
    )
    changed: dict[str, Any] = {"lr": slower}
    for name in optimizer.others:
        changed[name] = _slower(pattern, getattr(optimizer, name), factor)
    return dataclasses.replace(optimizer, **changed)


def every(
    optimizer: Optimizer | None, given: Given, shared: Mapping[str, Any]
) -> Iterator[tuple[str, Group]]:
    """Yield the patterns with their groups, in order; last, for all others, the trainer's own."""
    for pattern, changes in given.items():
        yield pattern, group(pattern, changes, optimizer, shared)
    if optimizer is not None:
        yield "*", Group(optimizer, shared)


def assign(
    optimizer: Optimizer | None,
    given: Given,
    shared: Mapping[str, Any],
    shapes: Mapping[str, Shape],
) -> Assignment:
    """Return who moves each parameter: the first pattern that its name matches.

    A pattern is the name of a layer, for all of its parameters, or has ``*`` and ``?``.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or a parameter is matched by none; names them.
    """
    left = dict(shapes)
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
    parts = [(each, names) for each, names in parts if names] or parts[:1]
    for each, _ in parts:
        if each.optimizer.full_batch and len(parts) > 1:
            raise ValueError(
                f"groups: {type(each.optimizer).__name__} searches lines for all parameters at "
                "once; give it to the Trainer, without groups"
            )
    of = {name: number for number, (_, names) in enumerate(parts) for name in names}
    return Assignment(tuple(each for each, _ in parts), tuple(of[name] for name in shapes))
