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
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
        if kind is None:
            self.check()  # pressed at the very end

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed since the last check."""
        if self._pressed:
            self._pressed = False
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._pressed or not self._waits:
            raise KeyboardInterrupt
        self._pressed = True
