"""The members of a sweep: makes, trains and measures each, whatever becomes of the others.

Which members is in `strategies`, what users call in `sweep`.
"""

import copy
import inspect
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..training.trainer import Trainer
from .kept import Kept
from .scores import Scores
from .strategies import Choice
from .workers import spread

Row = dict[str, Any]
PAUSE = 10.0  # seconds between two checkpoints of a member
# What a space may choose of `fit`.
OF_FIT = ("accumulate", "augment", "batch_size", "class_weight", "drop_last", "epochs", "shuffle")


class Stopped(Exception):
    """A member has left its training because the sweep was interrupted."""


class Members:
    """Rows and trainers by choice, in the order in which they were first asked for."""

    def __init__(
        self,
        make: Callable[..., Any],
        options: Mapping[str, tuple[Any, ...]],
        *,
        data: tuple[Any, Any],
        fit: Mapping[str, Any],
        workers: int,
        scores: Scores,
        kept: Kept,
        keep: bool,
        resumes: bool,
    ) -> None:
        self.make, self.options, self.data, self.fit = make, options, data, dict(fit)
        self.workers, self.scores, self.kept = workers, scores, kept
        self.keep, self.resumes = keep, resumes
        self.asked: dict[Choice, int] = {}  # the epochs it was last asked for
        self.rows: dict[Choice, Row] = {}
        self.trainers: dict[Choice, Trainer | None] = {}
        self._takes = _takes(make, options)
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._nets: weakref.WeakKeyDictionary[Any, Choice] = weakref.WeakKeyDictionary()

    def __call__(self, choices: Sequence[Choice], epochs: int) -> list[float]:
        """Train several members up to so many epochs, at once; return how good they are."""
        for choice in choices:
            self.rows.setdefault(choice, {})
            self.asked[choice] = epochs
        return spread(lambda c: self._member(c, epochs), choices, self.workers, self._stop.set)

    def forget(self, choice: Choice) -> None:
        """Let go of a member that is not trained on."""
        if not self.keep:
            self.trainers[choice] = None

    def named(self, choice: Choice) -> Row:
        """Return a choice by names."""
        options = zip(self.options.items(), choice, strict=True)
        return {name: given[k] for (name, given), k in options}

    def _member(self, choice: Choice, epochs: int) -> float:
        named = self.named(choice)
        epochs = named.get("epochs", epochs)
        found = self.kept.row(choice, epochs)
        if found is not None:
            self.trainers.setdefault(choice, self.kept.load(choice))
        elif "error" in (before := self.rows[choice]):
            found = {name: value for name, value in before.items() if name not in self.options}
        else:
            found = self._measured(choice, named, epochs)
            self.kept.note(choice, epochs, found)
        row = named | {name: v for name, v in found.items() if name not in named}
        self.rows[choice] = row
        if not (self.keep or self.resumes):
            self.trainers[choice] = None
        return self.scores.worth(row)

    def order(self) -> list[Choice]:
        """Return the members, the best first; those that were asked to train longest lead."""
        at = {c: (self.asked[c], self.scores.worth(row)) for c, row in self.rows.items()}
        return sorted(at, key=lambda c: at[c], reverse=True)

    def _measured(self, choice: Choice, named: Row, epochs: int) -> Row:
        """Train a member and return its last metrics, and what went wrong."""
        trainer, error = self.trainers.get(choice), None
        try:
            if trainer is None:
                trainer = self.kept.load(choice) or self._made(choice, named)
            self.trainers[choice] = trainer
            self._train(trainer, choice, named, epochs)
        except Stopped:
            raise
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        found: Row = {}
        if isinstance(trainer, Trainer):
            history = trainer.history.history
            names = [name for name in history if name not in ("lr", "seconds") and history[name]]
            found = {"epochs": trainer.epoch} | {name: history[name][-1] for name in names}
        if error is None:
            self.scores.check(found)
            return found
        return found | {"error": error}

    def _made(self, choice: Choice, named: Row) -> Trainer:
        """Make a member; two that share a network would train it at once."""
        given = {name: value for name, value in named.items() if name in self._takes}
        made = self.make(given) if self._takes.whole else self.make(**given)
        if not isinstance(made, Trainer):
            raise TypeError(f"make_trainer must return a Trainer, got {type(made).__name__}")
        with self._lock:
            if self._nets.setdefault(made.net, choice) != choice:
                raise ValueError(
                    "make_trainer returned a trainer of another member's network; make a new one"
                )
        return made

    def _train(self, trainer: Trainer, choice: Choice, named: Row, epochs: int) -> None:
        """Train up to so many epochs, in the very call of `fit` that a checkpoint stands in."""
        place = trainer._run.place
        left, call = epochs - trainer.epoch, place.call
        if place.loaded and call is not None:
            if call.first + call.epochs == epochs:
                left = call.epochs
            else:
                place.call, place.loaded = None, False
        if left <= 0:
            return
        keep = _Keep(self._stop, lambda: self.kept.save(choice, trainer))
        called = copy.deepcopy(self.fit.get("callbacks", ()))
        called = [*called] if isinstance(called, (list, tuple)) else [called]
        chosen = {name: named[name] for name in OF_FIT if name in named}
        options = self.fit | chosen | {"epochs": left, "callbacks": [*called, keep]}
        trainer.fit(*self.data, **options)
        if self._stop.is_set() and trainer.epoch < epochs:
            raise Stopped
        self.kept.save(choice, trainer)


class _Keep:
    """Callback: keeps where a member stands, and stops it when the sweep is interrupted.

    It looks between native calls, which may go over many epochs.
    """

    last = True  # after the callbacks whose state it saves

    def __init__(self, stop: threading.Event, save: Callable[[], None]) -> None:
        self._stop, self._save = stop, save
        self._due = time.monotonic() + PAUSE

    def _between_calls(self) -> str | None:
        """Save, unless the last time was just now."""
        stop = self._stop.is_set()
        if stop or time.monotonic() >= self._due:
            self._save()
            self._due = time.monotonic() + PAUSE
        return "stop" if stop else None


class _Names(frozenset[str]):
    """Names of settings that are handed to `make_trainer`; `whole`: as one dict."""

    whole = False


def _takes(make: Callable[..., Any], options: Mapping[str, Any]) -> _Names:
    """Return what `make_trainer` is given: by names, or all in one dict where it has one argument.

    Raises
    ------
    TypeError
        If a name of the space is neither an argument of it nor one of `fit`.
    """
    parameters = inspect.signature(make).parameters.values()
    plain = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        own = {p.name for p in plain}
        return _Names(n for n in options if n in own or n not in OF_FIT)
    if len(plain) == 1 and plain[0].name not in options:
        whole = _Names(options)
        whole.whole = True
        return whole
    names = {p.name for p in plain if p.kind is not p.POSITIONAL_ONLY}
    for name in options:
        if name not in names and name not in OF_FIT:
            raise TypeError(
                f"sweep: space: {name!r} is neither an argument of make_trainer "
                f"({', '.join(sorted(names)) or 'it has none'}) nor of fit ({', '.join(OF_FIT)})"
            )
    return _Names(name for name in options if name in names)
