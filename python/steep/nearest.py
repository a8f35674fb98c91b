"""Words that have vectors, by the angles between them. How the vectors are learned is elsewhere."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks.numbers import whole
from .data.sentences import listed

Array = NDArray[Any]


class WordVectors:
    """Questions to a vocabulary and a table with a row for each of its words."""

    units: int
    vocabulary: tuple[str, ...]
    _index: dict[str, int]
    _inputs: Array

    def __len__(self) -> int:
        """Return the number of words."""
        return len(self.vocabulary)

    def __contains__(self, word: object) -> bool:
        """Say whether a word has a vector."""
        return word in self._index

    def __getitem__(self, word: str) -> Array:
        """Return the vector of a word, (units,)."""
        return self._inputs[self._place(word), : self.units].copy()

    @property
    def vectors(self) -> Array:
        """(words, units): the input vectors, a row for each word of `vocabulary`."""
        return self._inputs[:, : self.units].copy()

    def similarity(self, a: str, b: str) -> float:
        """Return the cosine of the angle between the vectors of two words.

        Raises
        ------
        ValueError
            If a word is not in the vocabulary.
        """
        first, second = self._directions([a, b])
        return float(first @ second)

    def most_similar(
        self, positive: str | Sequence[str], n: int = 10, *, negative: str | Sequence[str] = ()
    ) -> list[tuple[str, float]]:
        """Return the words nearest to a word, or to a sum of words, and the cosines.

        ``most_similar(["king", "woman"], negative="man")`` is nearest to king - man + woman, all of
        them at length 1; the words that are given are left out.

        Parameters
        ----------
        positive, negative
            A word, or several, which are added and subtracted.
        n
            How many.

        Raises
        ------
        TypeError, ValueError
            If a word is not in the vocabulary, or none is given.
        """
        plus, minus = _words("positive", positive), _words("negative", negative)
        if not plus and not minus:
            raise ValueError("most_similar: expects at least one word")
        n = whole("most_similar", "n", n)
        goal = self._directions(plus).sum(axis=0) - self._directions(minus).sum(axis=0)
        cosines = self._directions() @ (goal / max(float(np.linalg.norm(goal)), 1e-300))
        given = {self._index[word] for word in (*plus, *minus)}
        best = [int(k) for k in np.argsort(-cosines, kind="stable") if int(k) not in given]
        return [(self.vocabulary[k], float(cosines[k])) for k in best[:n]]

    def doesnt_match(self, words: Sequence[str]) -> str:
        """Return the word whose direction is farthest from the mean of all their directions.

        Raises
        ------
        TypeError, ValueError
            If a word is not in the vocabulary, or there are fewer than two.
        """
        given = _words("words", words)
        if len(given) < 2:
            raise ValueError(f"doesnt_match: expects at least two words, got {given}")
        all_of_them = self._directions(given)
        return given[int(np.argmin(all_of_them @ all_of_them.sum(axis=0)))]

    def _name(self, vocabulary: tuple[str, ...]) -> None:
        self.vocabulary = vocabulary
        self._index = {word: k for k, word in enumerate(vocabulary)}

    def _ready(self) -> None:
        if not self.vocabulary:
            raise RuntimeError(f"{type(self).__name__}: was not trained yet; call fit first")

    def _place(self, word: Any) -> int:
        self._ready()
        if word not in self._index:
            raise ValueError(f"{word!r} is none of the {len(self)} words of the vocabulary")
        return self._index[word]

    def _directions(self, words: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Return rows of length 1, of all words or of some; of a vector of zeros, zeros."""
        rows = slice(None) if words is None else np.array([self._place(w) for w in words], int)
        found = self._inputs[rows, : self.units].astype(np.float64)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        unit: NDArray[np.float64] = found / np.where(lengths == 0.0, 1.0, lengths)
        return unit


def _words(name: str, given: Any) -> list[str]:
    found = [given] if isinstance(given, str) else list(given) if listed(given) else None
    if found is None or not all(isinstance(word, str) for word in found):
        raise TypeError(f"{name} must be a word or several, got {given!r}")
    return found
