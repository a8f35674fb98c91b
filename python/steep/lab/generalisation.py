"""Second looks at generalisation: errors by the number of samples, bias and variance by capacity.

Every point is trained several times, on other samples and seeds, several at once.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..checks.columns import columns_of, fitting_columns
from ..checks.numbers import seed as checked_seed
from ..checks.numbers import whole
from ..plots import saved
from ..training.trainer import Trainer
from .generalisation_picture import draw_capacity, draw_learning
from .spaces import fit_options
from .workers import count_of, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class LearningCurve:
    """What `learning_curve` found, by the number of samples that were learnt from.

    Attributes
    ----------
    sizes : (k,)
        Numbers of samples.
    train, validation : (k, repeats)
        The score on the samples learnt from, and on the validation samples, of every repeat.
    score
        Its name: ``"loss"`` or ``"accuracy"``.
    """

    sizes: NDArray[np.int64]
    train: Vector
    validation: Vector
    score: str

    @property
    def gap(self) -> Vector:
        """How much worse the validation samples fare, mean over the repeats, (k,)."""
        worse = self.validation - self.train
        return np.asarray((worse if self.score == "loss" else -worse).mean(1))

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw both scores over the number of samples, and their gap.

        Parameters
        ----------
        path
            Where to save the picture, too; its ending chooses the format.
        """
        return saved(draw_learning(self.sizes, self.train, self.validation, self.score), path)


@dataclass(frozen=True)
class CapacityCurve:
    """What `capacity_curve` found, by capacity: the error of a model, taken apart.

    The mean over the repeats of the mean squared error on validation samples is bias2 + variance.
    Noise of the targets is within bias2. Of classes, outputs are probabilities, targets 0 and 1,
    and squares are added over the classes (Brier's score).

    Attributes
    ----------
    widths : tuple
        As they were given.
    train, validation : (k, repeats)
        Mean squared error on the samples learnt from, and on the validation samples.
    bias2 : (k,)
        Of the mean prediction: what more samples would not mend.
    variance : (k,)
        Of the predictions about their mean: how much they hang on the samples drawn.
    """

    widths: tuple[Any, ...]
    train: Vector
    validation: Vector
    bias2: Vector
    variance: Vector

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw errors, squared bias and variance over the capacity.

        Parameters
        ----------
        path
            Where to save the picture, too; its ending chooses the format.
        """
        made = draw_capacity(self.widths, self.train, self.validation, (self.bias2, self.variance))
        return saved(made, path)


def learning_curve(
    make_trainer: Callable[[int], Trainer],
    X: Any,
    y: Any,
    sizes: Iterable[int],
    *,
    validation: tuple[Any, Any],
    repeats: int = 5,
    epochs: int = 10,
    workers: int | None = None,
    seed: int = 0,
    **fit: Any,
) -> LearningCurve:
    """Train on more and more samples, and measure on them and on validation samples.

    Where both curves meet at a high error, more samples do not help: the model is too simple or
    badly trained. A gap that falls as samples come is overfitting that more of them would mend.

    Parameters
    ----------
    make_trainer
        Takes the number of a repeat, to be the trainer's seed, and returns a new trainer; it is
        called by several threads.
    X, y
        Arrays to draw samples from, without replacement, others in every repeat.
    sizes
        How many are learnt from.
    validation
        ``(Xv, yv)``.
    repeats
        How often each size is trained.
    epochs
        Of each training.
    workers
        How many are trained at once; None: as many as steep uses threads.
    seed
        Of the samples drawn.
    fit
        What ``Trainer.fit`` takes beside: `batch_size`, ....

    Returns
    -------
    LearningCurve
        Accuracies where the trainer measures them, else losses; ``.plot()`` draws them.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit.
    NonFiniteError
        If a training diverges.
    """
    _same_columns(X, validation)
    who, X, y = "learning_curve", np.asarray(X), np.asarray(y)
    counts = [whole(who, "sizes", n, 1, len(X)) for n in sizes]
    repeats, epochs = whole(who, "repeats", repeats), whole(who, "epochs", epochs)
    options = fit_options(who, fit) | {"epochs": epochs}

    def one(job: tuple[int, int]) -> tuple[dict[str, float], dict[str, float]]:
        size, repeat = job
        trainer, drawn = _made(who, make_trainer(repeat)), _drawn(seed, repeat, len(X))[:size]
        trainer.fit(X[drawn], y[drawn], **options)
        return trainer.evaluate(X[drawn], y[drawn]), trainer.evaluate(*validation)

    seed = checked_seed(seed)
    jobs = [(size, repeat) for size in counts for repeat in range(repeats)]
    found = spread(one, jobs, count_of(who, workers))
    score = "accuracy" if all("accuracy" in held for _, held in found) else "loss"
    both = np.array([[train[score], held[score]] for train, held in found], np.float64)
    train, held = both.reshape(-1, repeats, 2).transpose(2, 0, 1)
    return LearningCurve(np.array(counts), train, held, score)


def capacity_curve(
    make_trainer: Callable[[Any, int], Trainer],
    X: Any,
    y: Any,
    widths: Iterable[Any],
    *,
    validation: tuple[Any, Any],
    samples: int | None = None,
    repeats: int = 10,
    epochs: int = 10,
    workers: int | None = None,
    seed: int = 0,
    **fit: Any,
) -> CapacityCurve:
    """Train models of growing capacity on repeated samples, and take their error apart.

    A simple model errs by its bias, a complex one by its variance (Geman, Bienenstock & Doursat
    1992, "Neural networks and the bias/variance dilemma").

    Parameters
    ----------
    make_trainer
        Takes a width and the number of a repeat, to be the trainer's seed, and returns a new
        trainer; it is called by several threads.
    X, y
        Arrays to draw samples from: values (N,) or (N, k), or labels (N,).
    widths
        Capacities: units, layers, or anything that `make_trainer` understands.
    validation
        ``(Xv, yv)``.
    samples
        How many are learnt from, drawn without replacement; None: half of X.
    repeats
        How often each width is trained, at least 2.
    epochs
        Of each training.
    workers
        How many are trained at once; None: as many as steep uses threads.
    seed
        Of the samples drawn.
    fit
        What ``Trainer.fit`` takes beside: `batch_size`, ....

    Returns
    -------
    CapacityCurve
        Errors, bias and variance; ``.plot()`` draws them.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit.
    NonFiniteError
        If a training diverges.
    """
    _same_columns(X, validation)
    who, X, y = "capacity_curve", np.asarray(X), np.asarray(y)
    repeats, epochs = whole(who, "repeats", repeats, 2), whole(who, "epochs", epochs)
    samples = max(1, len(X) // 2) if samples is None else samples
    samples = whole(who, "samples", samples, 1, len(X))
    options, tried = fit_options(who, fit) | {"epochs": epochs}, tuple(widths)
    Xv, yv = np.asarray(validation[0]), np.asarray(validation[1])

    def one(job: tuple[Any, int]) -> tuple[Any, Any]:
        width, repeat = job
        trainer = _made(who, make_trainer(width, repeat))
        drawn = _drawn(seed, repeat, len(X))[:samples]
        trainer.fit(X[drawn], y[drawn], **options)
        said, wanted = _answers(trainer, X[drawn], y[drawn])
        return _square(said - wanted).mean(), _answers(trainer, Xv, yv)

    seed = checked_seed(seed)
    jobs = [(width, repeat) for width in tried for repeat in range(repeats)]
    found = spread(one, jobs, count_of(who, workers))
    train = np.array([error for error, _ in found]).reshape(-1, repeats)
    held, parts = [], []
    for k in range(len(tried)):
        answers = [each for _, each in found[k * repeats : (k + 1) * repeats]]
        said, wanted = np.array([s for s, _ in answers]), answers[0][1]
        mean = said.mean(0)
        held.append(_square(said - wanted).mean(1))
        parts.append((_square(mean - wanted).mean(), _square(said - mean).mean()))
    bias2, variance = np.array(parts).T
    return CapacityCurve(tried, train, np.array(held), bias2, variance)


def _same_columns(X: Any, validation: Any) -> None:
    """Refuse tables whose columns are not those of X: what is drawn of it has no names."""
    fitting_columns("validation: X", columns_of(validation[0]), columns_of(X))


def _drawn(seed: int, repeat: int, count: int) -> NDArray[np.int64]:
    """Return the order in which a repeat takes its samples."""
    return np.random.default_rng((seed, repeat)).permutation(count)


def _made(who: str, made: Any) -> Trainer:
    if not isinstance(made, Trainer):
        raise TypeError(f"{who}: make_trainer must return a Trainer, got {type(made).__name__}")
    return made


def _answers(trainer: Trainer, X: Any, y: Any) -> tuple[Vector, Vector]:
    """Return outputs and targets as rows: of classes as probabilities, and 0 and 1."""
    z = np.asarray(trainer.net.predict(X), np.float64).reshape(len(X), -1)
    if trainer.loss.name == "cross_entropy":
        z = np.exp(z - z.max(1, keepdims=True))
        z /= z.sum(1, keepdims=True)
        wanted = np.eye(z.shape[1])[y] if y.ndim == 1 else np.asarray(y, np.float64)
    else:
        wanted = np.asarray(y, np.float64).reshape(len(y), -1)
        if trainer.loss.name == "binary_cross_entropy":
            z = 1.0 / (1.0 + np.exp(-z))
    return z, wanted


def _square(errors: Vector) -> Vector:
    """Return the sum of squares over the outputs of each sample."""
    return np.asarray((errors**2).sum(-1))
