"""Which column of a sweep's rows says how good a member is, and which way. No rows are made."""

import math
import threading
from collections.abc import Mapping
from typing import Any

COLUMNS = ("val_accuracy", "val_loss", "accuracy", "loss")  # the first that there is


class Scores:
    """A column, by name or the first of `COLUMNS`, and a mode: "max", "min", "auto".

    It is settled by the first member that trained.
    """

    def __init__(self, column: str | None, mode: str) -> None:
        self.column, self.mode = column, mode
        self._lock = threading.Lock()

    def check(self, row: Mapping[str, Any]) -> None:
        """Settle on a column; refuse rows that have none.

        Raises
        ------
        ValueError
            If nothing measures it.
        """
        with self._lock:
            if self.column is None:
                self.column = next((name for name in COLUMNS if name in row), None)
            if self.column not in row:
                raise ValueError(
                    f"sweep: score: nothing measures {self.column!r}; measured are {', '.join(row)}"
                )
            if self.mode == "auto":
                self.mode = "max" if "accuracy" in str(self.column) else "min"

    def worth(self, row: Mapping[str, Any]) -> float:
        """Return what members are compared by, the larger the better; failed ones come last."""
        if "error" in row:
            return -math.inf
        self.check(row)
        score = float(row[str(self.column)])
        return (-score if self.mode == "min" else score) if math.isfinite(score) else -math.inf
