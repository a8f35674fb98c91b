"""`find_lr`: the learning rate range test, on a copy of a trainer. How trainers train is theirs."""

import copy
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..checks.numbers import POSITIVE, Range, number, whole
from ..plots import blank, saved
from ..schedules.base import evaluate
from ..training.errors import NonFiniteError
from ..training.trainer import Trainer
from .spaces import fit_options

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]
DIVERGED = 4.0  # times the lowest smoothed loss: the sweep ends there
_UNKNOWN = ("epochs", "callbacks", "validation", "progress")  # of fit: they have no meaning here


@dataclass(frozen=True)
class RateTest:
    """What `find_lr` found; ``print`` says the suggestion.

    Attributes
    ----------
    lr, loss : (k,)
        The rate of each step, and the loss of its batch before it.
    smoothed : (k,)
        The loss, smoothed without a lag; what is far above the first losses is cut there.
    suggestion : float
        The rate at which the smoothed loss falls fastest, by the logarithm of the rate; NaN where
        it never fell.
    diverged : bool
        Whether the sweep ended because the loss rose, rather than at the highest rate.
    """

    lr: Vector
    loss: Vector
    smoothed: Vector
    suggestion: float
    diverged: bool

    def __str__(self) -> str:
        """Return the suggestion in words."""
        how = "diverged" if self.diverged else "ended"
        return f"suggested rate {self.suggestion:.3g}; the sweep {how} at {self.lr[-1]:.3g}"

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the loss over the rate, and the suggestion.

        Parameters
        ----------
        path
            Where to save the picture, too; its ending chooses the format.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        figure = blank(5.6, 3.8)
        axes = figure.add_subplot()
        axes.plot(self.lr, self.loss, ".", color="#999999", markersize=4, label="each batch")
        axes.plot(self.lr, self.smoothed, color="#0072B2", linewidth=2, label="smoothed")
        if math.isfinite(self.suggestion):
            label = f"suggestion {self.suggestion:.2g}"
            axes.axvline(self.suggestion, color="#D55E00", linestyle="--", label=label)
        low, high = float(self.smoothed.min()), float(self.smoothed[0])
        top = high + 0.6 * (high - low or 1.0)
        axes.set_ylim(min(low, float(self.loss.min())) - 0.1 * (top - low), top)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss of the batch")
        axes.grid(True, color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        return saved(figure, path)


def find_lr(
    trainer: Trainer,
    X: Any,
    y: Any = None,
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    smoothing: float = 0.8,
    **fit: Any,
) -> RateTest:
    """Look for a learning rate: train a copy while the rate grows from step to step (Smith 2017).

    The rate goes from `lowest` to `highest` by equal factors, unless the smoothed loss rises above
    four times its lowest value, or is no number any more. Nothing of the trainer changes.

    Parameters
    ----------
    trainer
        Any trainer whose optimizer has a rate; where groups have rates of their own, all keep their
        proportions.
    X, y
        Samples, as ``Trainer.fit`` takes them.
    lowest, highest
        The ends of the sweep.
    steps
        How many updates it has, at least 10.
    batch_size
        As the training will have it: larger batches bear larger rates.
    smoothing
        Share of the average so far in each smoothed loss, in [0, 1); taken forward and backward, so
        that it does not lag behind the rate.
    fit
        What ``Trainer.fit`` takes beside: `sample_weight`, `augment`, ....

    Returns
    -------
    RateTest
        ``.suggestion``, the curve, ``.plot()``.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, or the optimizer has no learning rate.
    """
    lowest = number("find_lr", "lowest", lowest, POSITIVE)
    highest = number("find_lr", "highest", highest, Range(lowest, math.inf, low_open=True))
    steps = whole("find_lr", "steps", steps, 10)
    smoothing = number("find_lr", "smoothing", smoothing, Range(0.0, 1.0))
    options = fit_options("find_lr", {**fit, "batch_size": batch_size}) | {"progress": False}
    for name in _UNKNOWN:
        if name in fit:
            raise ValueError(f"find_lr: {name} has no meaning in a sweep of {steps} steps")
    made = copy.deepcopy(trainer)
    rates = np.geomspace(lowest, highest, steps)
    _follow(made, rates)
    place, first, diverged = made._run.place, made.steps, False
    place.call, place.loaded = None, False  # of a fit that the trainer stands in
    watch = _Watch(first, steps, smoothing)
    try:
        while made.steps - first < steps and not watch.diverged:
            made.fit(X, y, callbacks=[watch], **options)
    except NonFiniteError:
        diverged = True
    loss = np.array(made.history.steps["loss"][first : first + steps], np.float64)
    if not len(loss):
        raise ValueError(f"find_lr: not one step could be done at lowest={lowest:g}; lower it")
    lr = rates[: len(loss)]
    first_ones = float(np.median(loss[: max(1, len(loss) // 10)]))
    cut = first_ones + 0.5 * (first_ones - float(loss.min()))  # one huge loss would hide the others
    smoothed = smooth(np.minimum(loss, cut), smoothing)
    return RateTest(lr, loss, smoothed, _steepest(lr, smoothed), diverged or watch.diverged)


def _follow(trainer: Trainer, rates: Vector) -> None:
    """Let every learning rate of a trainer follow the sweep, in their proportions."""
    settings, first = trainer._run.settings, trainer.steps
    if any("lr" not in aim.optimizer.ranges or aim.optimizer.full_batch for aim in settings.aims):
        raise ValueError(f"find_lr: {settings.optimizer!r} has no learning rate that a sweep sets")
    now = np.array([float(first)]), np.array([float(trainer.epoch)])
    main = float(np.ravel(evaluate(settings.rate, *now))[0])

    def change(rate: Any) -> Callable[[int], float]:
        share = float(np.ravel(evaluate(rate, *now))[0]) / main if main else 1.0
        # Tables of rates go on to the end of an epoch, which the sweep may not reach.
        return lambda step: share * float(rates[min(max(step - first, 0), len(rates) - 1)])

    for name, value in settings.with_rates(change).items():
        if value:
            setattr(trainer, name, value)


class _Watch:
    """Callback: ends the sweep after its last step, or when the loss has risen too far."""

    def __init__(self, first: int, steps: int, smoothing: float) -> None:
        self.last, self.keep = first + steps, smoothing
        self.sum = self.weight = 0.0
        self.lowest, self.diverged = math.inf, False

    def on_step_end(self, trainer: Trainer, step: int) -> str | None:
        """Follow the smoothed loss."""
        self.sum = self.keep * self.sum + (1 - self.keep) * trainer.history.steps["loss"][-1]
        self.weight = self.keep * self.weight + 1 - self.keep
        smoothed = self.sum / self.weight
        self.lowest = min(self.lowest, smoothed)
        self.diverged = smoothed > DIVERGED * self.lowest > 0.0
        return "stop" if self.diverged or step >= self.last else None


def smooth(values: Vector, keep: float) -> Vector:
    """Return exponential averages, the mean of the one forward and the one backward."""

    def forward(given: Vector) -> Vector:
        found, total, weight = np.empty(len(given)), 0.0, 0.0
        for k, value in enumerate(given):
            total, weight = keep * total + (1 - keep) * value, keep * weight + 1 - keep
            found[k] = total / weight
        return found

    return 0.5 * (forward(values) + forward(values[::-1])[::-1])


def _steepest(lr: Vector, smoothed: Vector) -> float:
    """Return the rate of the fastest fall before the minimum; NaN where there is none.

    Slopes are those of lines through several steps: noise between two is steeper than any fall.
    """
    lowest, reach = int(np.argmin(smoothed)), max(2, len(lr) // 12)
    places, logs = np.arange(reach, min(lowest + 1, len(lr) - reach)), np.log(lr)
    if not len(places):
        return math.nan
    around = places[:, None] + np.arange(-reach, reach + 1)
    away = logs[around] - logs[places][:, None]
    slopes = (away * smoothed[around]).sum(1) / (away**2).sum(1)
    k = int(np.argmin(slopes))
    return float(lr[places[k]]) if slopes[k] < 0.0 else math.nan
