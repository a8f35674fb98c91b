"""`Epochs`: a fit that is taken epoch by epoch, as the estimators of `steep.sklearn` do.

Between two native calls it does as little as it can, and calls nobody. Callbacks, validation and
progress are `loop`'s.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import history
from .knobs import Knobs
from .place import layout_of
from .run import Run

LITTLE = 2**26  # bytes that are not looked for
BUDGET = 0.25  # seconds a native call may take: Ctrl-C waits that long


class Epochs:
    """Epochs of one run over the same data, each a call; use `opened`."""

    def __init__(
        self, run: Run, X: Any, y: Any, weights: Any, batch_size: int, *, shuffle: bool
    ) -> None:
        with run.untouched():
            data = run.data(X, y, weights)
        run.place.layout = layout_of(data.samples, batch_size, shuffle)
        run.place.loaded = False
        if run.memory(batch_size)["total"] > LITTLE:
            run.refuse_too_large(batch_size)
        self._run, self._session, self._knobs = run, run.session(), Knobs(run.settings)
        self.batches = -(-data.samples // batch_size)
        self._known = len(run.history.steps["loss"])
        self._first, self._losses = run.epoch, list[float]()
        self._seconds = list[float]()
        self._session.set_data(*data, batch_size, shuffle, False, None, 0)
        if self._session.progress["batch"]:
            self._session.begin_epoch(next=False)  # one that was cut short, of other data

    def run(self) -> float:
        """Train for one epoch; return the mean of its losses, weighted as the trainer has it.

        Raises
        ------
        NonFiniteError
            If a loss or gradient is not finite; the weights are those from before that step.
        """
        session, batches = self._session, self.batches
        step, epoch, batch = session.steps, session.epoch, 0
        while batch < batches:
            rows = self._knobs.rows(step, epoch, batch, batches, batches * 4096)
            done = session.run(rows[: batches - batch], self._known, BUDGET)
            if done <= 0 and session.fault is not None:
                self._run.refuse_fault()
            step, batch = step + done, batch + done
        at = session.progress
        loss, _, _, weight, _ = at["sums"][0]
        self._losses.append(loss / weight if weight else 0.0)
        self._seconds.append(at["seconds"])
        session.begin_epoch(next=True)
        return self._losses[-1]

    def close(self) -> None:
        """Let go of the data, and write what the epochs left into the trainer's history."""
        self._session.release_data()
        columns = {"loss": self._losses, "seconds": self._seconds}
        history.extend(self._run.history, self._first, columns, len(self._losses))
        self._run.record()


@contextmanager
def opened(
    run: Run, X: Any, y: Any, weights: Any, batch_size: int, *, shuffle: bool
) -> Iterator[Epochs]:
    """Give the epochs of a run; nobody else trains it or takes its weights meanwhile.

    Raises
    ------
    TypeError, ValueError
        If the data fit neither the network nor the loss.
    """
    with run.training("fit"):
        epochs = Epochs(run, X, y, weights, batch_size, shuffle=shuffle)
        try:
            with run.settings.net._in_use():
                yield epochs
        finally:
            epochs.close()
