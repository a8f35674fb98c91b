"""Choices of a search: makes what they name, trains it, scores it, and keeps a row of each.

Which choices is in `strategies`, what users call in `search`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

from ..training.errors import NonFiniteError
from .strategies import Choice

Row: TypeAlias = dict[str, Any]
OWN = ("score", "epochs")  # columns beside those of the choice


def worth(row: Row, mode: str) -> tuple[int, float]:
    """Return what rows are compared by: those trained longer first; the larger the better."""
    score = -row["score"] if mode == "min" else row["score"]
    return row.get("epochs", 0), score if math.isfinite(score) else -math.inf


class Trials:
    """Makes what choices name, trains and scores it, and keeps the rows."""

    best: Row

    def __init__(
        self,
        build: Callable[..., Any],
        options: Mapping[str, tuple[Any, ...]],
        *,
        score: Callable[[Any], float] | None,
        mode: str,
        resumes: bool,
        data: tuple[Any, Any],
        validation: Any,
        fit: Mapping[str, Any],
    ) -> None:
        self.build, self.options, self.given = build, options, score
        self.mode, self.resumes = mode, resumes
        self.data, self.validation, self.fit = data, validation, fit
        self.rows: list[Row] = []
        self.trainer: Any = None  # of the best row
        self._made: dict[Choice, Any] = {}  # what may be trained on

    def __call__(self, choice: Choice, epochs: int) -> float:
        """Score a choice after so many epochs; return how good it is."""
        named = {
            name: given[k] for (name, given), k in zip(self.options.items(), choice, strict=True)
        }
        made = self._made.pop(choice, None)
        if made is None:
            made = self.build(**named)
            self._refuse(named, made)
        row = {**named, "score": self._score(named, made, epochs)}
        if self._trains(made):
            row["epochs"] = epochs
        self.rows.append(row)
        good = worth(row, self.mode)
        if len(self.rows) == 1 or good > worth(self.best, self.mode):
            self.best, self.trainer = row, made if hasattr(made, "fit") else None
        if self.resumes:
            self._made[choice] = made
        return good[1]

    def all(self, choices: Sequence[Choice], epochs: int) -> list[float]:
        """Score several choices, one after the other."""
        return [self(choice, epochs) for choice in choices]

    def forget(self, choice: Choice) -> None:
        """Let go of what is not trained on."""
        self._made.pop(choice, None)

    def _trains(self, made: Any) -> bool:
        """Say whether the epochs matter."""
        if hasattr(made, "fit"):
            return self.data[0] is not None
        return callable(made) and self.given is None

    def _refuse(self, named: Row, made: Any) -> None:
        """Refuse what cannot be trained or scored."""
        who = f"search: build returned {type(made).__name__} for {named}"
        if hasattr(made, "fit") and self.given is None:
            if self.data[0] is None:
                raise TypeError(f"{who}; give X, y and validation to train and score it")
            if self.validation is None:
                raise TypeError(f"{who}; give validation=(Xv, yv), or score, to score it")
        if self.resumes and not self._trains(made):
            raise TypeError(
                f'{who}; "halving" trains longer and longer: it wants a Trainer, with X and y, or '
                "a function of the epochs"
            )

    def _score(self, named: Row, made: Any, epochs: int) -> float:
        """Return the score of what was made, NaN where its training diverged."""
        if hasattr(made, "fit"):
            try:
                self._train(made, epochs)
            except NonFiniteError:
                return math.nan
        if self.given is not None:
            score = self.given(made)
        elif hasattr(made, "fit"):
            score = self._measure(made)
        else:
            score = made(epochs) if callable(made) else made
        if isinstance(score, bool) or not isinstance(score, Real):
            raise TypeError(f"search: the score of {named} must be a number, got {score!r}")
        return float(score)

    def _train(self, trainer: Any, epochs: int) -> None:
        """Train up to so many epochs."""
        (X, y), left = self.data, epochs - trainer.epoch
        if X is not None and left > 0:
            held = {"validation": self.validation} if "callbacks" in self.fit else {}
            trainer.fit(X, y, epochs=left, **held, **self.fit)

    def _measure(self, trainer: Any) -> float:
        """Return accuracy or loss, and settle which way is better."""
        X, y, *weights = self.validation
        measured = trainer.evaluate(X, y, sample_weight=weights[0] if weights else None)
        if self.mode == "auto":
            self.mode = "max" if "accuracy" in measured else "min"
        return float(measured.get("accuracy", measured["loss"]))
