"""Holds Ctrl-C back while counters and weights are between two states. Nothing else lives here."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupt:
    """Inside ``with``, Ctrl-C waits for `check`; pressed again, it does not wait.

    Python would otherwise raise KeyboardInterrupt the moment a native call returns, before what
    the call did is counted. Outside the main thread, or with a handler of the user's own, nothing
    changes.
    """

    def __init__(self) -> None:
        self._pressed = False
        self._waits = True
        self._before: Any = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, Ctrl-C does not wait: nothing is between two states."""
        self._waits = False
        try:
            self.check()
            yield
        finally:
            self._waits = True

    def __enter__(self) -> "Interrupt":
        handler = signal.getsignal(signal.SIGINT)
        inside = isinstance(getattr(handler, "__self__", None), Interrupt)  # of another fit
        ours = handler is signal.default_int_handler or inside
        if ours and threading.current_thread() is threading.main_thread():
            self._before = handler
            try:
                signal.signal(signal.SIGINT, self._note)
            except BaseException:  # of another signal's handler, which runs in that call
                self._restore()
                raise
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        self._restore()
        if kind is None:
            self.check()  # pressed at the very end

    def _restore(self) -> None:
        """Give the handler back, whatever the handlers of other signals raise meanwhile."""
        first: BaseException | None = None
        while self._before is not None and signal.getsignal(signal.SIGINT) == self._note:
            try:
                signal.signal(signal.SIGINT, self._before)
            except BaseException as error:
                first = first or error
        self._before = None
        if first is not None:
            raise first

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed since the last check."""
        if self._pressed:
            self._pressed = False
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._pressed or not self._waits:
            raise KeyboardInterrupt
        self._pressed = True
