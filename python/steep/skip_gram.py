"""`SkipGram`: words as vectors, learned from the words around them. The steps are native."""

import math
import time
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .checks.names import choose
from .checks.numbers import NOT_NEGATIVE, POSITIVE, Range, flag, number, whole
from .checks.numbers import seed as checked_seed
from .data.sentences import numbered
from .files import checkpoint
from .layers import Embedding
from .nearest import WordVectors
from .training.errors import NonFiniteError
from .training.history import History
from .training.progress import Progress

Array = NDArray[Any]
_BLOCK = 10_000  # centres between two rates, at most
_RATES = 32  # of an epoch, at least
_LANE = 16  # the core's rows are a multiple of it
_UNIT = 1 << 20  # most units
_PRECISIONS = {"float32": np.float32, "float64": np.float64}


class SkipGram(WordVectors):
    """Word embeddings by skip-gram with negative sampling (Mikolov et al. 2013).

    For each word v and each word u at most r places away, where r is drawn from 1 to `window`, a
    step of gradient descent on -log s(u.v) - sum log s(-n.v), s the logistic function and n the
    output vectors of `negatives` words drawn with probability p(word)^power; one that is u counts
    for nothing. A word of frequency f is kept in an epoch with probability sqrt(subsample/f) +
    subsample/f, as in the authors' program; the paper has the root alone. Input vectors begin as
    U(-.5/units, .5/units), output vectors at 0; the rate falls along a line from `lr` to `lr_end`
    over the epochs of a call of `fit`.

    What is drawn is a function of the seed, the epoch and the place in the text. Pairs follow each
    other as in the text, each step on the vectors that the last one left: one thread does them, and
    the bytes are the same whatever the number of threads.

    Parameters
    ----------
    units
        Length of a vector.
    window
        Most places from a word to one that it is to predict, on each side.
    negatives
        Words drawn for each pair.
    min_count
        Words that are rarer are left out, as if they were not there.
    subsample
        Words more frequent than this share are thinned out; 0: none.
    power
        Of the frequency, in the draw of negatives; 0: all alike.
    lr, lr_end
        Step sizes at the beginning and at the end.
    seed
        Of first vectors, windows, negatives and what is thinned out.
    precision
        ``"float32"`` or ``"float64"``.

    Attributes
    ----------
    vocabulary
        The words, the most frequent first; empty before `fit`.
    counts
        How often each occurred in the first text.
    history
        What `fit` returns; it grows.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """

    def __init__(
        self,
        units: int = 100,
        window: int = 5,
        negatives: int = 5,
        min_count: int = 5,
        *,
        subsample: float = 1e-3,
        power: float = 0.75,
        lr: float = 0.025,
        lr_end: float = 1e-4,
        seed: int = 0,
        precision: str = "float32",
    ) -> None:
        where = "SkipGram"
        self.units = whole(where, "units", units, high=_UNIT)
        self.window = whole(where, "window", window, high=_UNIT)
        self.negatives = whole(where, "negatives", negatives, high=1000)
        self.min_count = whole(where, "min_count", min_count)
        self.subsample = number(where, "subsample", subsample, Range(0.0, 1.0, high_open=False))
        self.power = number(where, "power", power, Range(0.0, 4.0, high_open=False))
        self.lr = number(where, "lr", lr, POSITIVE, single=True)
        self.lr_end = number(where, "lr_end", lr_end, NOT_NEGATIVE, single=True)
        self.seed = checked_seed(seed)
        self.precision = precision
        self._kind = np.dtype(choose("SkipGram: precision", precision, _PRECISIONS))
        self.history = History()
        self.vocabulary: tuple[str, ...] = ()
        self.counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._index: dict[str, int] = {}
        self._inputs = self._outputs = np.zeros((0, self._width()), self._kind)
        self._epochs = 0

    def __repr__(self) -> str:
        return (
            f"SkipGram({self.units}, window={self.window}, negatives={self.negatives}, "
            f"{len(self.vocabulary)} words)"
        )

    def fit(self, words: Any, epochs: int = 5, *, progress: bool = True) -> History:
        """Learn from a text; called again, it goes on with the words and counts of the first text.

        Parameters
        ----------
        words
            A `data.Text`, a list of words, or sentences as lists of words: then no pair reaches
            from one into another.
        epochs
            Passes over the text.
        progress
            Whether losses are written, as `Trainer.fit` does it, words a second as samples.

        Returns
        -------
        History
            With ``loss``, the mean over an epoch's pairs, ``pairs``, ``lr`` and ``seconds``.

        Raises
        ------
        TypeError, ValueError
            If these are no words, or fewer than two different ones are frequent enough.
        NonFiniteError
            If the rate is too large; the vectors are those from before the epoch.
        """
        epochs = whole("SkipGram.fit", "epochs", epochs)
        progress = flag("SkipGram.fit", "progress", progress)
        ids, ends, found = numbered("SkipGram", words)
        if not self.vocabulary:
            self._begin(np.bincount(ids, minlength=len(found)), found)
        known = np.fromiter((self._index.get(word, -1) for word in found), np.int32, len(found))
        ids = known[ids]
        kept = np.concatenate([[0], np.cumsum(ids >= 0)])
        native = _core.SkipGram(
            ids[ids >= 0], kept[ends], self._keep(), self.counts**self.power, self.window,
            self.negatives, self.seed,
        )  # fmt: skip
        shown = Progress(progress, len(ids), self._epochs, self._epochs + epochs)
        try:
            for epoch in range(epochs):
                self._epoch(native, epoch / epochs, (epoch + 1) / epochs, shown)
        finally:
            shown.close()
        return self.history

    def _begin(self, counts: NDArray[np.int64], found: Sequence[str]) -> None:
        frequent = np.flatnonzero(counts >= self.min_count).tolist()
        places = sorted(frequent, key=lambda k: (-int(counts[k]), found[k]))
        if len(places) < 2:
            raise ValueError(
                f"SkipGram: expects at least 2 words that occur min_count={self.min_count} times, "
                f"got {len(places)} of {len(found)}"
            )
        self._name(tuple(found[k] for k in places))
        self.counts = counts[places]
        shape = (len(places), self._width())
        self._inputs, self._outputs = np.zeros(shape, self._kind), np.zeros(shape, self._kind)
        drawn = np.asarray(_core.uniform(self.seed, 0, len(places) * self.units))
        self._inputs[:, : self.units] = (drawn.reshape(-1, self.units) - 0.5) / self.units

    def _keep(self) -> NDArray[np.float64]:
        if self.subsample == 0.0:
            return np.ones(len(self.counts))
        share = self.counts / self.counts.sum()
        rare = self.subsample / share
        keep: NDArray[np.float64] = np.minimum(1.0, np.sqrt(rare) + rare)
        return keep

    def _epoch(self, native: Any, first: float, last: float, shown: Progress) -> None:
        """Do an epoch on copies, so that it is there whole or not at all."""
        start = time.perf_counter()
        inputs, outputs = self._inputs.copy(), self._outputs.copy()
        kept = native.begin(self._epochs)
        block = max(1, min(_BLOCK, kept // _RATES))
        loss, pairs, lr = 0.0, 0, self.lr
        for low in range(0, kept, block):
            done = first + (last - first) * low / kept
            lr = self.lr + (self.lr_end - self.lr) * done
            terms, more = native.step(inputs, outputs, lr, low, min(low + block, kept))
            loss, pairs = loss + terms, pairs + more
            if shown.due:
                shown.update(
                    self._epochs, low * shown.samples // kept, {"loss": loss / max(pairs, 1)}
                )
        if not (math.isfinite(loss) and np.isfinite(inputs).all() and np.isfinite(outputs).all()):
            raise NonFiniteError(self._epochs + 1, self._epochs + 1, "update", "SkipGram's vectors")
        self._inputs, self._outputs, self._epochs = inputs, outputs, self._epochs + 1
        row = {"loss": loss / max(pairs, 1), "pairs": pairs, "lr": lr}
        for key, value in (row | {"seconds": time.perf_counter() - start}).items():
            self.history.history.setdefault(key, []).append(value)
        shown.epoch_end(self._epochs - 1, {"loss": row["loss"]})

    def layer(self) -> Embedding:
        """Return an `Embedding` that begins with the vectors; ids are places in `vocabulary`."""
        self._ready()
        return Embedding(len(self), self.units, init=self.vectors)

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one safetensors file: both tables, words, counts and settings.

        Raises
        ------
        RuntimeError
            If there is nothing to save yet.
        OSError
            If it cannot be written; says which file.
        """
        self._ready()
        tensors = {
            "inputs": self.vectors, "outputs": self._outputs[:, : self.units],
            "counts": self.counts,
        }  # fmt: skip
        checkpoint.write(path, tensors, {"format": "skip_gram", **self._about()})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "SkipGram":
        """Return what `save` wrote; `fit` goes on with the next epoch. The history is not kept.

        Raises
        ------
        OSError, ValueError
            If it cannot be read, is damaged, or is another kind of file.
        """
        tensors, about = checkpoint.read(path)
        if about.get("format") != "skip_gram":
            raise ValueError(f"{path}: was not written by SkipGram.save")
        try:
            made = cls(**about["settings"])
            made._take(tensors, about)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path}: does not fit together ({error})") from None
        return made

    def _about(self) -> dict[str, Any]:
        names = (
            "units", "window", "negatives", "min_count", "subsample", "power", "lr", "lr_end",
            "seed", "precision",
        )  # fmt: skip
        settings = {name: getattr(self, name) for name in names}
        return {
            "settings": settings, "epochs": self._epochs, "vocabulary": list(self.vocabulary)
        }  # fmt: skip

    def _take(self, tensors: Mapping[str, Array], about: Mapping[str, Any]) -> None:
        words = about["vocabulary"]
        if not all(isinstance(word, str) for word in words) or len(set(words)) != len(words):
            raise ValueError("its vocabulary is no list of different words")
        counts = tensors["counts"]
        if counts.shape != (len(words),) or counts.dtype != np.int64 or (counts < 1).any():
            raise ValueError("its counts are no counts of its words")
        for name in ("inputs", "outputs"):
            table = tensors[name]
            if table.shape != (len(words), self.units) or table.dtype != self._kind:
                raise ValueError(f"{name} has shape {table.shape} and type {table.dtype}")
            if not np.isfinite(table).all():
                raise ValueError(f"{name} is not finite")
            padded = np.zeros((len(words), self._width()), self._kind)
            padded[:, : self.units] = table
            setattr(self, f"_{name}", padded)
        self._epochs = whole("", "epochs", about["epochs"], 0)
        self.counts = counts
        self._name(tuple(words))

    def _width(self) -> int:
        return -(-self.units // _LANE) * _LANE
