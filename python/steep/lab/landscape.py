"""`landscape`: the loss of a trained network on a plane through its weights. Training is elsewhere.

Directions are random and filter-normalised (Li et al. 2018), or those in which the training moved.
"""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..checks.names import choose
from ..checks.numbers import POSITIVE, number, whole
from ..checks.numbers import seed as checked_seed
from ..plots import saved
from ..training.trainer import Trainer
from .landscape_picture import draw
from .workers import count_of, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]
Weights = dict[str, NDArray[Any]]
WAYS = {"random": "random", "pca": "pca"}


class Trajectory:
    """Callback: keeps the weights a network had, for `landscape` to draw its path.

    Each point takes the bytes of all weights.

    Parameters
    ----------
    every
        ``"epoch"``, or a number of steps.

    Attributes
    ----------
    points : list of dict
        Weights by the names of ``net.state_dict()``, before the first step and at every so many.
    """

    def __init__(self, every: str | int = "epoch") -> None:
        by_epoch = isinstance(every, str)
        if by_epoch:
            choose("Trajectory every", str(every), {"epoch": 0})
        self.every = 0 if by_epoch else whole("Trajectory", "every", every)
        self.points: list[Weights] = []

    def on_train_begin(self, trainer: Trainer) -> None:
        """Keep where it begins, unless it goes on."""
        if not self.points and trainer.net.built:
            self._keep(trainer)

    def on_step_end(self, trainer: Trainer) -> None:
        """Keep every so many steps."""
        if self.every:
            self._keep(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Keep every epoch."""
        if not self.every:
            self._keep(trainer)

    def _keep(self, trainer: Trainer) -> None:
        self.points.append(dict(trainer.net.state_dict()))


@dataclass(frozen=True, repr=False)
class Landscape:
    """What `landscape` found: w = w* + x*u + y*v, where w* are the trained weights.

    Attributes
    ----------
    x, y : (points,)
        Where along each direction.
    loss : (points, points)
        The loss at ``(x[j], y[i])`` in row i; infinite or NaN where no number could hold it.
    path : (k, 2)
        The trajectory on the plane, each point by its nearest one there; empty without one.
    directions : two dicts
        u and v by names of weights.
    explained : (2,)
        Share of the trajectory's variance along each direction; NaN of random ones.
    """

    x: Vector
    y: Vector
    loss: Vector
    path: Vector
    directions: tuple[Weights, Weights]
    explained: Vector

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the loss, bright where it is low, the trained weights and the path.

        Parameters
        ----------
        path
            Where to save the picture, too; its ending chooses the format.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        return saved(draw(self.x, self.y, self.loss, self.path, self.explained), path)


def landscape(
    trainer: Trainer,
    X: Any,
    y: Any = None,
    *,
    directions: str = "random",
    trajectory: Trajectory | Sequence[Mapping[str, Any]] | None = None,
    points: int = 25,
    span: float = 1.0,
    sample_weight: Any = None,
    batch_size: int = 256,
    workers: int | None = None,
    seed: int = 0,
) -> Landscape:
    """Return the loss of a trained network on a plane through its weights (Li et al. 2018).

    The grid is evaluated natively on copies, on all threads; nothing of the trainer changes. The
    loss is that of ``trainer.evaluate``: without penalties, and with the running statistics of
    normalisation as they are.

    Parameters
    ----------
    trainer
        A trained trainer.
    X, y, sample_weight
        Samples, as ``Trainer.evaluate`` takes them.
    directions
        ``"random"``: drawn, each filter and each unit's weights scaled to the length of the trained
        ones, so that pictures of different networks compare; biases and scales stay as they are.
        ``"pca"``: the first two principal components of the trajectory about its end.
    trajectory
        A `Trajectory` that was among the callbacks of `fit`, or its points; drawn as the path.
    points
        Along each side of the grid.
    span
        Of random directions: how far the plane reaches each way; 1 doubles each filter. Of a
        trajectory: 1 adds a quarter of its width to each side.
    batch_size
        Of an evaluation.
    workers
        How many points are evaluated at once; None: as many as steep uses threads.
    seed
        Of random directions.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, the network is not built, or a trajectory is missing, too short
        for a plane, or of another network.
    """
    way = choose("directions", directions, WAYS)
    points = whole("landscape", "points", points, 2)
    span = number("landscape", "span", span, POSITIVE)
    if not trainer.net.built:
        raise ValueError("landscape: the network has no weights yet; train it before")
    end = _trained(trainer)
    known = _known(end, trajectory)
    if way == "random":
        u, v = _random(end, checked_seed(seed))
        explained = np.full(2, np.nan)
    else:
        u, v, explained = _components(end, known)
    path = _projected(known, u, v)
    x, height = _sides(path if way == "pca" else path[:0], span, points)
    loss = _evaluate(
        trainer, end, (u, v), places=[(a, b) for b in height for a in x],
        measure=lambda one: one.evaluate(X, y, batch_size, sample_weight=sample_weight)["loss"],
        workers=count_of("landscape", workers),
    )  # fmt: skip
    named = _named(end, u), _named(end, v)
    return Landscape(x, height, np.array(loss).reshape(points, points), path, named, explained)


def _trained(trainer: Trainer) -> Weights:
    """Return the weights that are trained, by name; statistics and frozen ones are not."""
    net = trainer.net
    return {n: w for n, w in net.state_dict().items() if net._native.trained(n)}


def _flat(weights: Mapping[str, Any], names: Mapping[str, Any]) -> Vector:
    return np.concatenate([np.asarray(weights[name], np.float64).ravel() for name in names])


def _named(like: Weights, flat: Vector) -> Weights:
    """Return a flat vector by names."""
    found, at = {}, 0
    for name, value in like.items():
        found[name] = flat[at : at + value.size].reshape(value.shape)
        at += value.size
    return found


def _random(end: Weights, seed: int) -> tuple[Vector, Vector]:
    """Return two directions, normal, each filter as long as the trained one's."""
    random = np.random.default_rng(seed)

    def drawn() -> Vector:
        parts = []
        for weight in end.values():
            part = np.zeros(weight.shape)
            if weight.ndim > 1:
                part = random.standard_normal(weight.shape)
                axes = tuple(range(weight.ndim - 1))  # the last one counts filters and units
                wanted = np.sqrt((weight.astype(np.float64) ** 2).sum(axes))
                part *= wanted / np.sqrt((part**2).sum(axes))
            parts.append(part.ravel())
        return np.concatenate(parts)

    return drawn(), drawn()


def _known(end: Weights, trajectory: Any) -> Vector:
    """Return the trajectory as rows, relative to the end."""
    given = getattr(trajectory, "points", trajectory)
    rows = []
    for k, point in enumerate(() if given is None else given):
        wrong = [n for n, w in end.items() if np.shape(point.get(n)) != w.shape]
        if wrong:
            raise ValueError(f"landscape: trajectory: point {k} has no {wrong[0]} of its shape")
        rows.append(_flat(point, end))
    return np.array(rows).reshape(len(rows), sum(w.size for w in end.values())) - _flat(end, end)


def _components(end: Weights, known: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the first two principal components about the end, of length 1, and their shares.

    By the products of points with each other: there are far fewer points than weights.
    """
    if len(known) < 2:
        raise ValueError(
            'landscape: directions="pca" needs a trajectory of two points at least; give fit '
            "callbacks=[lab.Trajectory()], and that one here"
        )
    values, vectors = np.linalg.eigh(known @ known.T)
    values = np.maximum(values[::-1], 0.0)
    if values[1] <= 1e-14 * values[0] or values[0] == 0.0:
        raise ValueError("landscape: the trajectory lies on a line; it spans no plane")
    u, v = (known.T @ vectors[:, -1 - k] / np.sqrt(values[k]) for k in (0, 1))
    return u, v, values[:2] / values.sum()


def _projected(known: Vector, u: Vector, v: Vector) -> Vector:
    """Return the nearest point of the plane to each point of the trajectory."""
    if not len(known):
        return np.empty((0, 2))
    return np.asarray(np.linalg.lstsq(np.column_stack([u, v]), known.T, rcond=None)[0].T)


def _sides(path: Vector, span: float, points: int) -> tuple[Vector, Vector]:
    """Return where along each direction: around the path, or around the trained weights."""
    if not len(path):
        side = np.linspace(-span, span, points)
        return side, side.copy()
    reached = np.concatenate([path, np.zeros((1, 2))])
    low, high = reached.min(0), reached.max(0)
    beyond = 0.25 * span * (high - low)
    x, y = (np.linspace(*ends, points) for ends in zip(low - beyond, high + beyond, strict=True))
    return x, y


def _evaluate(
    trainer: Trainer, end: Weights, plane: tuple[Vector, Vector], *, places: Any, measure: Any,
    workers: int,
) -> list[float]:  # fmt: skip
    """Return the loss at each place, on as many copies of the network as there are workers."""
    start, (u, v) = _flat(end, end), plane
    free = [copy.deepcopy(trainer) for _ in range(min(workers, len(places)))]

    def at(place: tuple[float, float]) -> float:
        one = free.pop()
        try:
            moved = _named(end, start + place[0] * u + place[1] * v)
            one.net.load_state_dict({**one.net.state_dict(), **moved})
            return float(measure(one))
        finally:
            free.append(one)

    return spread(at, places, workers)
