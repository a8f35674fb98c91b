"""Texts as whole numbers: characters or words, and pieces of series. Nothing here trains."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import array
from ..checks.names import choose
from ..checks.numbers import flag, whole

Array = NDArray[Any]
LEVELS = {"char": "char", "word": "word"}
_WORDS = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


class Text:
    """A text and its tokens: characters, or words and marks.

    Parameters
    ----------
    path
        A file, UTF-8; `from_string` takes the text itself.
    level
        ``"char"``, or ``"word"``: runs of letters and digits, and every other mark by itself.
    vocabulary
        The tokens in the order of their numbers; None: those of the text, characters sorted, words
        by how often they occur.

    Attributes
    ----------
    tokens
        (N,) uint8, uint16 or int32: the text as numbers, for `windows`.
    vocabulary
        Token number k is ``vocabulary[k]``.

    Raises
    ------
    TypeError, ValueError
        If the level is unknown, the text is empty, or has what the vocabulary has not.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        level: str = "char",
        vocabulary: Sequence[str] | None = None,
    ) -> None:
        self._take(Path(path).read_text(encoding="utf-8"), level, vocabulary)

    @classmethod
    def from_string(
        cls, text: str, level: str = "char", vocabulary: Sequence[str] | None = None
    ) -> "Text":
        """Return a text that is there already."""
        made = cls.__new__(cls)
        made._take(text, level, vocabulary)
        return made

    def _take(self, text: str, level: str, vocabulary: Sequence[str] | None) -> None:
        if not isinstance(text, str):
            raise TypeError(f"Text: expects a string, got {type(text).__name__}")
        self.level = choose("Text: level", level, LEVELS)
        pieces = self._pieces(text)
        if not pieces:
            raise ValueError("Text: is empty")
        found = pieces if vocabulary is None else list(vocabulary)
        self.vocabulary = _in_order(found, self.level) if vocabulary is None else tuple(found)
        self._numbers = {token: k for k, token in enumerate(self.vocabulary)}
        if len(self._numbers) != len(self.vocabulary):
            raise ValueError("Text: a token stands twice in the vocabulary")
        self.tokens = self._encoded(pieces)

    def _pieces(self, text: str) -> Sequence[str]:
        return text if self.level == "char" else _WORDS.findall(text)

    def _encoded(self, pieces: Sequence[str]) -> Array:
        unknown = [piece for piece in dict.fromkeys(pieces) if piece not in self._numbers]
        if unknown:
            named = ", ".join(map(repr, unknown[:5]))
            raise ValueError(f"Text: {named} {_are(unknown)} not in the vocabulary of this text")
        size = len(self.vocabulary)
        kind = np.uint8 if size <= 2**8 else np.uint16 if size <= 2**16 else np.int32
        return np.fromiter((self._numbers[piece] for piece in pieces), kind, len(pieces))

    def encode(self, text: str) -> Array:
        """Return the numbers of a text's tokens.

        Raises
        ------
        ValueError
            If it has tokens that are not in the vocabulary; names them.
        """
        return self._encoded(self._pieces(text))

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of some numbers; words with a space between them."""
        pieces = [self.vocabulary[int(k)] for k in tokens]
        return "".join(pieces) if self.level == "char" else " ".join(pieces)

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"Text({len(self)} tokens, {len(self.vocabulary)} different, level={self.level!r})"


def windows(
    series: Any, length: int, step: int = 1, horizon: int = 1, every: bool = False
) -> tuple[Array, Array]:
    """Return windows over a series and what follows each: inputs and targets, nothing copied.

    Both are views of the series, which `fit` reads where it lies.

    Parameters
    ----------
    series
        (T,) or (T, features): numbers, or the tokens of a `Text`.
    length
        Of a window.
    step
        From one window to the next.
    horizon
        How far behind what it belongs to a target lies.
    every
        Whether every place of a window has a target, the number `horizon` behind it: the labels
        (N, length) of a language model. False: one target, `horizon` behind the window's last.

    Returns
    -------
    X, y
        (N, length) or (N, length, features); y (N, length, ...) of every place, else (N, ...).

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or the series is too short.
    """
    values = array("series", series)
    length, step = whole("windows", "length", length), whole("windows", "step", step)
    horizon = whole("windows", "horizon", horizon)
    if values.ndim not in (1, 2) or len(values) < length + horizon:
        raise ValueError(
            f"windows: expects a series (T,) or (T, features), T at least {length + horizon}, got "
            f"{values.shape}"
        )
    count = len(values) - length - horizon + 1
    views = np.lib.stride_tricks.sliding_window_view(values, length, axis=0)
    views = np.moveaxis(views, -1, 1)
    X = views[:count:step]
    if flag("windows", "every", every):
        return X, views[horizon : horizon + count : step]
    return X, values[length + horizon - 1 :][:count:step]


def streams(series: Any, length: int, rows: int) -> tuple[Array, Array]:
    """Return a series as rows side by side, in pieces, for layers that are stateful.

    The series is cut into `rows` parts of equal length. The first `rows` samples are the first
    pieces of all parts, the next ones their second pieces: with ``batch_size=rows`` and
    ``shuffle=False`` row r of a batch goes on where row r of the batch before ended. What does not
    fill a last piece of every part is left out.

    Parameters
    ----------
    series
        (T,) or (T, features): numbers, or the tokens of a `Text`.
    length
        Of a piece.
    rows
        Samples in a batch.

    Returns
    -------
    X, y
        (N, length) or (N, length, features), and what follows each place, of the same shape.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or the series is too short for one piece of each part.
    """
    values = array("series", series)
    length, rows = whole("streams", "length", length), whole("streams", "rows", rows)
    if values.ndim not in (1, 2) or len(values) <= length * rows:
        raise ValueError(
            f"streams: expects a series (T,) or (T, features), T at least {length * rows + 1}, got "
            f"{values.shape}"
        )
    pieces = (len(values) - 1) // (length * rows)
    more, total = values.shape[1:], pieces * length * rows
    parts = (values[k : k + total].reshape(rows, pieces, length, *more) for k in (0, 1))
    X, y = (part.swapaxes(0, 1).reshape(-1, length, *more) for part in parts)
    return X, y


def _in_order(pieces: Sequence[str], level: str) -> tuple[str, ...]:
    if level == "char":
        return tuple(sorted(set(pieces)))
    counts = Counter(pieces)
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))


def _are(items: Sequence[str]) -> str:
    return "is" if len(items) == 1 else "are"
