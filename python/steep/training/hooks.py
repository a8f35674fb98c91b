"""How `fit` calls its callbacks: checks them, binds their arguments, keeps their state.

What a callback may be stands in `callbacks`.
"""

import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from .. import _core
from .place import Place

HOOKS = ("on_train_begin", "on_epoch_end", "on_step_end", "on_train_end")
Logs = Mapping[str, float]


class Recorder(Protocol):
    """What a fit asks of `callbacks.Recorder`: how often, and that it takes what was recorded."""

    every: int

    def _take_recorded(self, session: _core.Session) -> None:
        """Add what the session has recorded since."""
        ...


class Callbacks:
    """The callbacks of one `fit`: checks them, calls them in order, those that save last.

    `trainer` is only handed to them; that one of them said "stop" is noted at `place`.
    """

    def __init__(
        self, given: Any, trainer: object, place: Place, recorder: Recorder | None = None
    ) -> None:
        given = () if given is None else given
        items = list(given) if isinstance(given, Iterable) else [given]
        if recorder is not None and not hasattr(recorder, "_take_recorded"):
            raise TypeError(f"fit: record takes a steep.callbacks.Recorder, got {recorder!r}")
        items += [] if recorder is None or recorder in items else [recorder]
        for item in items:
            if isinstance(item, type):
                raise TypeError(f"callbacks: got the class {item.__name__}; write its parentheses")
            if not _hooked(item) and not hasattr(item, "_between_calls"):
                raise TypeError(f"callbacks: {item!r} has none of {', '.join(HOOKS)}")
        self._items = sorted(items, key=lambda item: bool(getattr(item, "last", False)))
        recorders = [item for item in items if hasattr(item, "_take_recorded")]
        if len(recorders) > 1:
            raise ValueError(f"fit: one Recorder records a training, got {len(recorders)}")
        self.recorder: Recorder | None = recorders[0] if recorders else None
        # Those of the lab alone, whose epochs may go by unseen.
        self._between = [item._between_calls for item in items if hasattr(item, "_between_calls")]
        self._trainer, self._place = trainer, place
        self._hooks = {hook: self._bind(hook) for hook in HOOKS}
        self._every = [
            max(1, int(getattr(item, "every", 1)))
            for item in self._items
            if hasattr(item, "on_step_end") and getattr(item, "every", 1) != 0
        ]

    def call(self, hook: str, number: int, logs: Logs) -> bool:
        """Call one hook of every callback; say whether one of them returned "stop"."""
        stop = False
        name = "step" if hook == "on_step_end" else "epoch"
        for method, wants, every in self._hooks[hook]:
            if hook == "on_step_end" and (every == 0 or number % every):
                continue
            known = {"trainer": self._trainer, name: number, "logs": dict(logs)}
            if _invoke(method, wants, known, hook) == "stop":
                stop = True
                if self._place.call is not None:  # those that save come later
                    self._place.call.stopped = True
        return stop

    def between_calls(self) -> bool:
        """Let those look that need no end of an epoch; say whether one wants to stop."""
        stops = [look() == "stop" for look in self._between]
        if any(stops) and self._place.call is not None:
            self._place.call.stopped = True
        return any(stops)

    def end(self, epoch: int, logs: Logs) -> None:
        """Call `on_train_end` of every callback, whatever the others do; raise what came first."""
        first: BaseException | None = None
        for method, wants, _ in self._hooks["on_train_end"]:
            known = {"trainer": self._trainer, "epoch": epoch, "logs": dict(logs)}
            try:
                _invoke(method, wants, known, "on_train_end")
            except BaseException as error:
                first = first or error
        if first is not None:
            raise first

    @property
    def present(self) -> bool:
        """Whether there is any callback that wants to be called between epochs."""
        return any(item is not self.recorder and _hooked(item) for item in self._items)

    def steps_until(self, step: int) -> int | None:
        """Return how many steps may pass before `on_step_end` is due, None for any number."""
        return min((every - step % every for every in self._every), default=None)

    def state(self) -> list[dict[str, Any]]:
        """Return the state of those that have one."""
        return [
            {"callback": type(item).__name__, "state": item.state_dict()}
            for item in self._items
            if hasattr(item, "state_dict") and hasattr(item, "load_state_dict")
        ]

    def restore(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Give every callback the state that one of its kind saved."""
        left = list(saved)
        for item in self._items:
            match = next((s for s in left if s["callback"] == type(item).__name__), None)
            if match is not None and hasattr(item, "load_state_dict"):
                left.remove(match)
                item.load_state_dict(match["state"])

    def _bind(self, hook: str) -> list[tuple[Callable[..., Any], tuple[str, ...] | None, int]]:
        bound = []
        for item in self._items:
            method = getattr(item, hook, None)
            if callable(method):
                bound.append((method, _wants(method), int(getattr(item, "every", 1))))
        return bound


def _hooked(item: object) -> bool:
    return any(callable(getattr(item, hook, None)) for hook in HOOKS)


def _wants(method: Callable[..., Any]) -> tuple[str, ...] | None:
    """Return which of the known arguments a hook takes by name; None: all, by position."""
    if isinstance(method, types.MethodType) and inspect.isfunction(method.__func__):
        return _taken_by_method(method.__func__)
    return _taken(method)


def _taken(hook: Callable[..., Any]) -> tuple[str, ...] | None:
    parameters = inspect.signature(hook).parameters.values()
    known = {"trainer", "epoch", "step", "logs"}
    needed = {p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    return tuple(p.name for p in parameters if p.name in known) if needed <= known else None


@functools.lru_cache
def _taken_by_method(function: types.FunctionType) -> tuple[str, ...] | None:
    # To read a signature takes longer than a small step; bound to anything, it is the same.
    return _taken(types.MethodType(function, function))


def _invoke(
    method: Callable[..., Any], wants: tuple[str, ...] | None, known: dict[str, Any], hook: str
) -> Any:
    if wants is None:
        if hook in ("on_train_begin", "on_train_end"):
            return method(known["trainer"], known["logs"])
        return method(*known.values())
    return method(**{name: known[name] for name in wants if name in known})
