"""Shows how far `fit` is: lines of epochs, on a terminal a bar below, in notebooks a curve above.

It decides nothing.
"""

import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

from .curve import Curve

_REFRESH = 0.1  # seconds between two looks at a bar
_LINES = 0.5  # seconds between two lines of epochs: short ones do not flood
WIDE = 80  # columns of a terminal, to which the rate must fit


class Progress:
    """Loss, accuracy and samples per second of a running `fit`.

    Parameters
    ----------
    shown
        False: nothing is written.
    samples
        Samples of an epoch.
    first, last
        Epochs done before, and when it is over.
    """

    def __init__(self, shown: bool, samples: int, first: int, last: int) -> None:
        self._shown, self.samples, self._first, self._last = shown, samples, first, last
        self._notebook = type(sys.stderr).__module__.startswith("ipykernel.")
        # Made first, so that it stands above the lines and a bar can take itself away.
        self._curve = Curve(first) if shown and self._notebook and last > first + 1 else None
        self._bar = self._make_bar() if shown and last > first else None
        self._start = self._next = time.perf_counter()
        self._seen = 0
        self._line_due = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to call `update`; cheap."""
        return self._bar is not None and time.perf_counter() >= self._next

    def update(self, epoch: int, samples: int, logs: Mapping[str, float]) -> None:
        """Show the epoch in progress: how many of its samples are done, and its numbers so far."""
        if self._bar is None:
            return
        self._next = time.perf_counter() + _REFRESH
        done = (epoch - self._first) * self.samples + samples
        self._bar.set_description_str(f"epoch {min(epoch + 1, self._last)}/{self._last}", False)
        self._bar.set_postfix_str(_text(logs), False)
        self._bar.update(done - self._bar.n)

    def epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Show a finished epoch, validation numbers among others."""
        if not self._shown:
            return
        self._seen += self.samples
        if self._curve is not None:
            self._curve.add(logs)
        now = time.perf_counter()
        if now < self._line_due and epoch + 1 != self._last:
            return
        self._line_due = now + _LINES
        if self._curve is not None:
            self._curve.show()
        line = f"epoch {epoch + 1}/{self._last}  {_text(logs)}"
        rate = f"  {_tqdm().format_sizeof(self._seen / max(now - self._start, 1e-9))} samples/s"
        if self._bar is None:
            print(line + rate, file=sys.stderr, flush=True)
        else:
            line = line if len(line) < WIDE else line.replace("  ", " ")
            fits = len(line) + len(rate) < WIDE
            self._bar.write(line + rate if fits else line, file=sys.stderr)
            self.update(epoch, self.samples, {})

    def close(self) -> None:
        """Take the bar away: its lines stay, and the curve, with all epochs that ended."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self._curve is not None:
            self._curve.show()

    def _make_bar(self) -> Any:
        if not self._notebook and not (sys.stderr and sys.stderr.isatty()):
            return None
        total = (self._last - self._first) * self.samples
        # A terminal may tell a width of 0, for which tqdm would show nothing.
        width = shutil.get_terminal_size().columns
        form = "{desc} {percentage:3.0f}%|{bar}| {remaining} left{postfix}"
        options = {"bar_format": form, "mininterval": _REFRESH, "leave": False}
        return _tqdm()(total=total, ncols=width, **options)


def _text(logs: Mapping[str, float]) -> str:
    shown = [k for k in logs if k not in ("lr", "seconds")]
    return "  ".join(f"{name} {logs[name]:.4f}" for name in shown)


def _tqdm() -> Any:
    from tqdm import tqdm  # type: ignore[import-untyped]  # noqa: PLC0415  (import steep is faster)

    return tqdm
