"""Texts in all their forms as numbers of words and ends of sentences. What learns: `skip_gram`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .text import Text

Array = NDArray[Any]


def numbered(where: str, words: Any) -> tuple[Array, NDArray[np.int64], Sequence[str]]:
    """Return a number for each word of a text, where sentences end, and the words by number.

    Parameters
    ----------
    where
        Who asks, as errors say it.
    words
        A `Text`, words, or sentences of words.

    Raises
    ------
    TypeError
        If these are no words.
    """
    if isinstance(words, Text):
        return words.tokens, np.array([len(words)], np.int64), words.vocabulary
    if not listed(words):
        raise TypeError(
            f"{where}: expects a data.Text, words, or sentences of words, got "
            f"{type(words).__name__}; str.split() makes words of a string"
        )
    given = list(words)
    sentences = [given] if given and all(isinstance(word, str) for word in given) else given
    if not all(listed(sentence) for sentence in sentences):
        raise TypeError(f"{where}: expects words (strings) or sentences, not both, nor numbers")
    flat: list[Any] = []
    ends = np.zeros(len(sentences), np.int64)
    for k, sentence in enumerate(sentences):
        flat += sentence
        ends[k] = len(flat)
    index = {word: k for k, word in enumerate(dict.fromkeys(flat))}
    if not all(isinstance(word, str) for word in index):
        raise TypeError(f"{where}: words must be strings")
    ids = np.fromiter(map(index.__getitem__, flat), np.int32, len(flat))
    return ids, ends, list(index)


def listed(given: Any) -> bool:
    """Say whether something lists others: no string, no table."""
    return isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping))
