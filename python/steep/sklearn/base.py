"""What the four estimators share: the way from data to a trained network, and predictions from it.

What network and optimizer that is, `mlp` and `net` say; labels and losses are `kinds`.
"""

import warnings
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..checks.arrays import Array
from ..checks.columns import fitting_columns
from ..checks.names import choose
from ..checks.numbers import FRACTION, NOT_NEGATIVE, flag, number, whole
from ..network import devices
from ..network.network import Network
from ..optimizers import Optimizer
from ..training.epochs import opened
from ..training.trainer import Trainer
from . import training
from .kinds import LOSSES
from .samples import Samples, few_threads, inputs, merged, weighted

AUTO = 200  # samples of a batch, as in scikit-learn


def keep(estimator: Any, given: dict[str, Any]) -> None:
    """Keep the parameters that ``__init__`` got, its `locals()`, as scikit-learn wants them."""
    vars(estimator).update({k: v for k, v in given.items() if k not in ("self", "__class__")})


class Estimator(BaseEstimator):
    """An estimator around a network, `net_`, and what trains it."""

    _images: ClassVar[bool] = False
    _adaptive = False
    net_: Network

    # -- what `mlp` and `net` say ---------------------------------------------------------------

    def _check(self) -> None:
        """Refuse parameters of wrong kind or range."""
        who = type(self).__name__
        for name in ("shuffle", "warm_start", "early_stopping"):
            flag(who, name, getattr(self, name))
        whole(who, "max_iter", self.max_iter)
        number(who, "tol", self.tol, NOT_NEGATIVE)
        if self.n_iter_no_change != np.inf:
            whole(who, "n_iter_no_change", self.n_iter_no_change)
        number(who, "validation_fraction", self.validation_fraction, FRACTION)
        if not (isinstance(self.batch_size, str) and self.batch_size == "auto"):
            whole(who, "batch_size", self.batch_size)
        choose("precision", self.precision, {"float32": 0, "float64": 0})
        devices.named(self.device)

    def _begin(self, X: Array, outputs: int, random: np.random.RandomState) -> None:
        """Make `net_` with its first weights."""
        raise NotImplementedError

    def _import(self) -> None:
        """Bring to `net_` what users changed."""

    def _export(self, dtype: Any) -> None:
        """Show what was learned as attributes."""

    def _optimizer_made(self) -> Any:
        """Return what trains: an optimizer or its name."""
        raise NotImplementedError

    def _penalties(self) -> dict[str, Any]:
        """Return settings of the trainer beside loss and optimizer."""
        return {}

    def _set_step(self, course: training.Course, samples: Samples, size: int, seen: int) -> None:
        """Set what depends on the size of batches, and on how many samples an epoch sees."""

    def _epoch_ended(self, course: training.Course) -> None:
        """Note the rate of the next epoch."""

    def _penalised(self) -> list[str]:
        """Return the names of the weights that the penalty takes."""
        return []

    @property
    def _penalty(self) -> float:
        return 0.0

    @property
    def _full_batch(self) -> bool:
        made = self._optimizer_made()
        return isinstance(made, Optimizer) and made.full_batch

    @property
    def _method(self) -> str:
        return type(self._optimizer_made()).__name__

    # -- training -------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Estimator":
        """Train until nothing improves or `max_iter` is reached.

        Parameters
        ----------
        X : (N, n) array, sparse matrix or table
            Samples.
        y : (N,) or (N, K)
            Their labels or values.
        sample_weight : (N,), optional
            Weights >= 0; a sample of weight 2 counts as two, one of weight 0 as none.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If parameters or data do not fit, or the training diverges.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool) -> "Estimator":
        self._check()
        first = not self._known() or not (self.warm_start or incremental)
        X, y, labels = self._pair(X, y, first=first, incremental=incremental)
        weights = self._weigh(labels, sample_weight, incremental)
        samples = weighted(X, y, weights)
        random = check_random_state(self.random_state)
        if first:
            self.n_outputs_, self.n_iter_, self.t_ = self._width(y), 0, 0
            self._begin(X, self.n_outputs_, random)
            self._know_columns()
            if not self._full_batch:
                training.begin_record(self)
        self._import()
        if self._full_batch:
            self._settle(samples)
        else:
            self._train(samples, random, incremental)
        self._export(X.dtype)
        return self

    def _know_columns(self) -> None:
        """Have `net_` know the columns by their names; one that was trained on others refuses."""
        if hasattr(self, "feature_names_in_"):
            known = (*self.net_._columns, None)[0]
            self.net_._note_columns([fitting_columns("X", tuple(self.feature_names_in_), known)])

    def _known(self) -> bool:
        """Say whether there is anything to go on from."""
        return hasattr(self, "net_")

    def _settle(self, samples: Samples) -> None:
        """Fit by a method for full batches."""
        samples = merged(samples) if self._alone() else samples
        trainer = self._trainer(0)
        self._set_step(training.Course(trainer, None), samples, len(samples.X), 0)
        with self._threads(len(samples.X)):
            training.settle(self, trainer, samples, getattr(self, "max_fun", None))

    def _train(self, samples: Samples, random: np.random.RandomState, incremental: bool) -> None:
        """Fit by batches."""
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        held = None
        if self.early_stopping:
            samples, held = self._split(samples, random)
        seed = int(random.randint(2**31 - 1))
        course = getattr(self, "_optimizer", None)
        if course is None or not incremental or course.trainer.net is not self.net_:
            course = self._optimizer = training.Course(self._trainer(seed), self._first_rate())
        size, seen = self._size(len(samples.X)), len(samples.X)
        single = size >= seen  # one batch: its order is nobody's concern
        if single and self._alone():
            samples = merged(samples)
            size = len(samples.X)
        self._set_step(course, samples, size, seen)
        given = (course.trainer._run, *samples, size)
        shuffle = self.shuffle and not single
        with self._threads(size), opened(*given, shuffle=shuffle) as epochs:
            work = training.Work(samples, seen, held, incremental)
            training.train(self, course, epochs, work)
        course.begun = True

    def _trainer(self, seed: int) -> Trainer:
        loss, factor, self._reported = self._loss()
        self._factor = factor
        weights = None if factor == 1 else {getattr(loss, "name", loss): factor}
        return Trainer(
            self.net_,
            loss,
            self._optimizer_made(),
            metrics=(),
            loss_weights=weights,
            reduction="weighted_mean",
            precision=self.precision,
            device=self.device,
            seed=seed,
            **self._penalties(),
        )

    def _loss(self) -> tuple[Any, float, float]:
        """Return the loss, what multiplies it in training, and what where it is reported."""
        name, factor, reported = LOSSES[self._loss_name]
        return name, float(factor(self.n_outputs_)), float(reported(self.n_outputs_))

    def _first_rate(self) -> Any:
        return None

    def _alone(self) -> bool:
        """Say whether the network takes samples one by one, so that equal ones may be merged."""
        return not self.net_._sample_groups

    def _size(self, samples: int) -> int:
        """Return how many samples a batch has."""
        if isinstance(self.batch_size, str):
            return min(AUTO, samples)
        if self.batch_size > samples:
            warnings.warn(
                f"batch_size={self.batch_size} is larger than the sample size, {samples}: it is "
                "clipped",
                stacklevel=5,
            )
        return min(int(self.batch_size), samples)

    def _split(self, samples: Samples, random: np.random.RandomState) -> tuple[Samples, Samples]:
        """Hold samples out for early stopping, as scikit-learn does."""
        single = self._loss_name == "log_loss" and samples.y.ndim == 1
        given = [samples.X, samples.y] + ([] if samples.weights is None else [samples.weights])
        parts = train_test_split(
            *given,
            random_state=random,
            test_size=self.validation_fraction,
            stratify=np.where(samples.y > 0, "True", "False") if single else None,
        )
        if len(parts[1]) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        return training.held_out(samples, parts)

    def _threads(self, rows: int) -> Any:
        """Return the context that trains on so many samples at a time, backward pass included."""
        return few_threads(3.0 * self.net_.multiply_adds * rows)

    # -- use ------------------------------------------------------------------------------------

    def _raw(self, X: Array) -> Array:
        """Return what the network gives, as float32 or float64."""
        found: Array = self.net_.predict(X)
        return found

    def _outputs(self, X: Any) -> Array:
        """Return what the network gives for X of users, (N, outputs) in the type of X."""
        check_is_fitted(self)
        X = inputs(self, X, images=self._images)
        self._import()
        with few_threads():
            z = self._raw(X)
        return z.reshape(len(X), -1).astype(X.dtype, copy=False)
