"""What a `fit` does where a step is not finite: raise, leave the step out, or go back. No checks.

The session has found the step and gone back to the weights from before it.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import NonFiniteError

if TYPE_CHECKING:
    from .run import Run

POLICIES = {name: name for name in ("raise", "skip", "rollback")}
_LEAST = 8  # steps that may fail in a row, where an epoch has fewer


class Policy:
    """The policy of one `fit`, whose epochs have so many batches."""

    def __init__(self, name: str, run: "Run", batches: int) -> None:
        self._name, self._run = name, run
        self._most = max(_LEAST, batches)
        self._kept: Any = None  # weights and slots that a roll back goes to, and their epoch

    def begin(self, epoch: int) -> None:
        """Keep the weights with which an epoch begins, or this fit, where they are finite."""
        if self._name != "rollback" or (self._kept is not None and self._kept[0] == epoch):
            return
        weights, slots, _ = self._run.session().copy_out()
        if all(np.isfinite(values).all() for values in weights.values()):
            self._kept = epoch, weights, slots

    def check(self) -> bool:
        """Say whether the session's last run met nothing; else raise, or go on after that step.

        Raises
        ------
        NonFiniteError
            As the policy wants it; or where as many steps in a row failed as an epoch has.
        """
        try:
            self._run.refuse_fault()
        except NonFiniteError:
            if self._name == "raise" or self._failed() + 1 >= self._most:
                raise
            self._go_on()
            return False
        return True

    def verify(self, always: bool = True) -> bool:
        """Say whether the optimizer's state is finite; else as `check`."""
        always = always or self._name != "raise"
        return self._run.session().verify(always) or self.check()

    def _failed(self) -> int:
        """Return how many of the last steps were left out."""
        losses, count = self._run.history.steps["loss"], 0
        while count < len(losses) and math.isnan(losses[-1 - count]):
            count += 1
        return count

    def _go_on(self) -> None:
        """Count the step as done, with no loss."""
        run, session = self._run, self._run.session()
        if self._name == "rollback" and self._kept is not None:
            _, weights, slots = self._kept
            run.settings.net._native.assign(list(weights.items()))
            session.assign_slots(slots)
        at = session.progress
        session.set_progress(at["epoch"], at["batch"] + 1, at["steps"] + 1, at["sums"])
        run.record()
