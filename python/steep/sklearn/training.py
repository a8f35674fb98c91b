"""The course of a fit: epochs until nothing improves, rates that fall, the best weights kept.

What an epoch is, is native; what the data are, `samples`. Rules and names of scikit-learn's MLP.
"""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..checks.arrays import Array
from ..network.network import Network
from ..schedules.base import Schedule, Times
from ..training.epochs import Epochs
from ..training.errors import NonFiniteError
from ..training.trainer import Trainer
from .samples import TOO_LARGE, Samples

SMALLEST_RATE = 1e-6  # at which an adaptive rate gives up


@dataclass(frozen=True)
class Share(Schedule):
    """The penalty alpha / (weight of a batch), by the step: the last batch may be short."""

    alpha: float
    samples: int
    size: int
    weight: float  # mean of a sample's
    first: int  # step

    def at(self, t: Times) -> Times:
        """Return l2 at steps."""
        batches = -(-self.samples // self.size)
        last = (t - self.first) % batches == batches - 1
        rows = np.where(last, self.samples - (batches - 1) * self.size, self.size)
        return self.alpha / (rows * self.weight)


@dataclass(frozen=True)
class Inverse(Schedule):
    """The rate start / (t + 1)^power of each epoch, t samples seen before it by this fit."""

    start: float
    power: float
    seen: int
    samples: int
    batches: int
    first: int  # step
    begun: bool  # whether epochs went before

    def at(self, t: Times) -> Times:
        """Return the rate at steps."""
        epoch = (t - self.first) // self.batches
        rate = self.start / (self.seen + epoch * self.samples + 1.0) ** self.power
        return rate if self.begun else np.where(epoch < 1, self.start, rate)


class Course:
    """One optimizer of an estimator: its trainer and the learning rate it has come to."""

    def __init__(self, trainer: Trainer, learning_rate: Any) -> None:
        self.trainer = trainer
        self.learning_rate = learning_rate
        self.begun = False


def begin_record(owner: Any) -> None:
    """Set what a fit tells of itself to its beginning."""
    owner.loss_curve_ = []
    owner._no_improvement_count = 0
    early = owner.early_stopping
    owner.validation_scores_ = [] if early else None
    owner.best_validation_score_ = -np.inf if early else None
    owner.best_loss_ = None if early else np.inf


class Work(NamedTuple):
    """What one call trains on."""

    samples: Samples
    seen: int  # samples that an epoch counts: merged ones each by itself
    held: Samples | None  # that early stopping is rated on
    incremental: bool  # one epoch, and no more


def train(owner: Any, course: Course, epochs: Epochs, work: Work) -> None:
    """Train an estimator until it stops; leaves its record and the best or the last weights."""
    samples, seen, held, incremental = work
    best, owner.n_iter_ = None, 0
    batches = epochs.batches
    constant = owner._constant(samples.y, samples.weights)
    penalised = owner._penalised()
    before = size_of(owner.net_, penalised)
    try:
        while owner.n_iter_ < owner.max_iter:
            loss = epochs.run()
            after = size_of(owner.net_, penalised)
            mean = ((batches + 1) * before + (batches - 1) * after) / (2 * batches)
            penalty = owner._penalty * mean * batches / samples.total
            before = after
            owner.n_iter_ += 1
            owner.t_ += seen
            owner.loss_ = owner._reported * loss + constant + penalty
            owner.loss_curve_.append(owner.loss_)
            if owner.verbose:
                print(f"Iteration {owner.n_iter_}, loss = {owner.loss_:.8f}")
            if _improved(owner, held):
                best = owner.net_.state_dict()
            owner._epoch_ended(course)
            if owner._no_improvement_count > owner.n_iter_no_change:
                if _stops(owner, course, held is not None):
                    break
                owner._no_improvement_count = 0
            if incremental:
                break
            if owner.n_iter_ == owner.max_iter:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({owner.max_iter}) reached and the "
                    "optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    except NonFiniteError as error:
        if held is None:
            raise ValueError(f"{TOO_LARGE} {error}") from error
        _diverged(owner)
    if held is not None and best is not None:
        owner.net_.load_state_dict(best)


def size_of(net: Network, names: list[str]) -> float:
    """Return the sum of the squares of some weights."""
    get, total = net._native.get, 0.0
    for name in names:
        weight = get(name)
        total += float(np.vdot(weight, weight))
    return total


def _improved(owner: Any, held: Samples | None) -> bool:
    """Count an epoch; say whether its weights are the best on the samples held out."""
    if held is None:
        loss = owner.loss_curve_[-1]
        worse = loss > owner.best_loss_ - owner.tol
        owner.best_loss_ = min(owner.best_loss_, loss)
    else:
        outputs = owner._raw(held.X)
        score = owner._rate_outputs(outputs, held.y, held.weights)
        owner.validation_scores_.append(score)
        _say(owner, f"Validation score: {score:f}")
        worse = score < owner.best_validation_score_ + owner.tol
    owner._no_improvement_count = owner._no_improvement_count + 1 if worse else 0
    if held is None or not score > owner.best_validation_score_:
        return False
    owner.best_validation_score_ = score
    return True


def _stops(owner: Any, course: Course, early: bool) -> bool:
    """Say whether a fit without improvement is over; an adaptive rate falls instead."""
    what = "Validation score" if early else "Training loss"
    _say(
        owner,
        f"{what} did not improve more than tol={owner.tol:f} for {owner.n_iter_no_change} "
        "consecutive epochs.",
    )
    if not owner._adaptive or course.learning_rate <= SMALLEST_RATE:
        return True
    course.learning_rate /= 5.0
    course.trainer.lr = course.learning_rate
    _say(owner, f"Setting learning rate to {course.learning_rate:f}")
    return False


def _diverged(owner: Any) -> None:
    """Record an epoch that was not finite; the best weights of before stay."""
    owner.n_iter_ += 1
    owner.loss_ = float("nan")
    owner.loss_curve_.append(owner.loss_)
    owner.validation_scores_.append(float("nan"))
    warnings.warn(
        f"Training diverged in iteration {owner.n_iter_}: the loss is not finite any more. The "
        "best weights before are kept; take a smaller rate or standardise the data.",
        ConvergenceWarning,
        stacklevel=6,
    )


def _say(owner: Any, text: str) -> None:
    if owner.verbose:
        print(text)


def settle(owner: Any, trainer: Trainer, samples: Samples, most: int | None) -> None:
    """Train by a method for full batches until nothing is left to gain, or `most` evaluations."""
    session = trainer._run.session()
    if most is not None:
        session.limit_evaluations(most)
    given = {"epochs": owner.max_iter, "progress": False}
    try:
        trainer.fit(samples.X, samples.y, sample_weight=samples.weights, **given)
    except NonFiniteError as error:
        raise ValueError(f"{TOO_LARGE} {error}") from error
    owner.n_iter_ = trainer.steps
    measured = trainer._run.measure(trainer._run.data(*samples))
    penalty = owner._penalty * size_of(owner.net_, owner._penalised()) / samples.total
    constant = owner._constant(samples.y, samples.weights)
    owner.loss_ = owner._reported * measured["loss"] / owner._factor + constant + penalty
    _say(owner, f"Iteration {owner.n_iter_}, loss = {owner.loss_:.8f}")
    spent = most is not None and session.evaluations > most
    if spent or not session.ended:
        limit = f"max_fun={most}" if spent else f"max_iter={owner.max_iter}"
        warnings.warn(
            f"lbfgs failed to converge after {owner.n_iter_} iteration(s): the limit {limit} was "
            "reached. Increase it or scale the data.",
            ConvergenceWarning,
            stacklevel=5,
        )


def held_out(samples: Samples, parts: list[Array]) -> tuple[Samples, Samples]:
    """Return the two parts that scikit-learn's split gave."""
    weights = parts[4:] if samples.weights is not None else [None, None]
    return Samples(parts[0], parts[2], weights[0]), Samples(parts[1], parts[3], weights[1])
