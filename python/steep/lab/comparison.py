"""Compares optimizers by their paths on a surface and their losses on a small network.

The door for users is `steep.optimizers.compare`; the picture is drawn in picture.py.
"""

import copy
import math
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from .. import data as data_sets
from .. import layers
from ..checks.numbers import whole
from ..network.model import Sequential
from ..optimizers import Optimizer, get
from ..training.errors import NonFiniteError
from ..training.trainer import Trainer
from .compared import OnNetwork, OnSurface, rate
from .descend import DivergedError, descend
from .picture import draw
from .surfaces import Surface, surface_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOZEN = (
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta",
    "adam", "nadam", "adabelief", "adan", "lion", "schedulefreeadamw",
)  # fmt: skip
FACTORS = tuple(10.0 ** (k / 2) for k in range(-6, 9))  # of a rate, to try

Chosen = str | type[Optimizer] | Optimizer


Fared = TypeVar("Fared", OnSurface, OnNetwork)


@dataclass(frozen=True)
class Comparison:
    """What `steep.optimizers.compare` found: numbers, and their picture.

    Attributes
    ----------
    surface : dict of str to OnSurface
        Paths and losses by name; empty without a surface. Methods for full batches are not there.
    network : dict of str to OnNetwork
        Losses by name; empty without epochs.
    ground : Surface or None
        The surface.
    figure : matplotlib.figure.Figure
        The picture, drawn when it is first asked for.
    """

    surface: Mapping[str, OnSurface]
    network: Mapping[str, OnNetwork]
    ground: Surface | None

    @cached_property
    def figure(self) -> "Figure":
        """The picture, drawn when it is first asked for."""
        return draw(self.surface, self.network, self.ground)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture; the ending of `path`, as ``.png`` or ``.svg``, chooses the format.

        Raises
        ------
        ImportError
            If matplotlib is missing; the message says how to get it.
        """
        self.figure.savefig(path, dpi=100)

    def __str__(self) -> str:
        """Return a table: the rate of each and its last loss, on the surface and on the network."""
        names = dict.fromkeys([*self.surface, *self.network])
        width = max(map(len, names))
        lines = []
        for name in names:
            ends = [where.get(name) for where in (self.surface, self.network) if where]
            lines.append("  ".join([f"{name:{width}}", *map(_ending, ends)]).rstrip())
        return "\n".join(lines)


def _ending(end: OnSurface | OnNetwork | None) -> str:
    if end is None:
        return f"{'-':>8}  {'':9}"
    if end.diverged is not None:
        return f"{rate(end.optimizer):>8}: diverged at step {end.diverged}"
    return f"{rate(end.optimizer):>8}: {end.loss[-1]:<9.3g}"


def compare(
    optimizers: Mapping[str, Chosen] | Iterable[Chosen] | Chosen | None,
    *,
    surface: Any,
    start: ArrayLike | None,
    limits: Any,
    steps: int,
    net: Any,
    loss: Any,
    data: tuple[Any, Any] | None,
    epochs: int,
    batch_size: int,
    seed: int,
    tune: bool | None,
) -> Comparison:
    """Return how the optimizers fare; arguments are those of `steep.optimizers.compare`."""
    tried = {name: _rates(given, tune) for name, given in _named(optimizers).items()}
    steps, epochs = whole("compare", "steps", steps), whole("compare", "epochs", epochs, 0)
    ground = None if surface is None else surface_of(surface, start, limits)
    walked: dict[str, OnSurface] = {}
    if ground is not None:
        walked = {
            name: _best([_walk(one, ground, steps) for one in made])
            for name, made in tried.items()
            if not made[0].full_batch  # they search lines for values, which rules never ask for
        }
    trained: dict[str, OnNetwork] = {}
    if epochs:
        task = _task(net, loss, data, epochs, batch_size, seed)
        trained = {n: _best([_train(o, task) for o in made]) for n, made in tried.items()}
    if not (walked or trained):
        raise ValueError("compare: nothing to do; give epochs, or a surface and a rule that steps")
    return Comparison(walked, trained, ground)


def _named(given: Mapping[str, Chosen] | Iterable[Chosen] | Chosen | None) -> dict[str, Chosen]:
    """Return what to compare by given names, those of optimizers, or of their classes."""
    if given is None:
        given = DOZEN
    if isinstance(given, Mapping):
        named = dict(given)
    else:
        alone = isinstance(given, (str, type, Optimizer))
        several: Sequence[Any] = [given] if alone else list(given)  # type: ignore[arg-type]
        seen: Counter[str] = Counter()
        named = {}
        for one in several:
            name = one if isinstance(one, str) else type(get(one)).__name__
            seen[name] += 1
            named[name if seen[name] == 1 else f"{name} {seen[name]}"] = one
    if not named:
        raise ValueError("compare: expects at least one optimizer, got none")
    return named


def _rates(given: Chosen, tune: bool | None) -> list[Optimizer]:
    """Return an optimizer at every rate that is tried; those that nobody set are looked for."""
    made = get(given)
    if tune is None:
        tune = not isinstance(given, Optimizer)
    lr = getattr(made, "lr", None)
    if not tune or not isinstance(lr, float) or made.full_batch:
        return [made]
    with warnings.catch_warnings():  # of rates too low or too high, which nobody chose
        warnings.simplefilter("ignore", UserWarning)
        return [replace(made, lr=lr * factor) for factor in FACTORS]  # type: ignore[call-arg]


def _best(fared: list[Fared]) -> Fared:
    """Return the one that ended lowest, of equals that of the smallest rate."""
    return min(fared, key=lambda end: math.inf if end.diverged is not None else float(end.loss[-1]))


def _walk(optimizer: Optimizer, ground: Surface, steps: int) -> OnSurface:
    """Follow an optimizer on the surface as far as numbers go; the point is one parameter."""
    diverged = None
    try:
        path = descend(optimizer, ground.grad, ground.start, steps)
    except DivergedError as error:
        path, diverged = error.path, error.step + 1
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        loss = np.array([float(ground.value(point)) for point in path])
    finite = np.isfinite(loss)
    if not finite[0]:
        raise ValueError(f"compare: the surface at start {ground.start.tolist()} is {loss[0]}")
    if not finite.all():
        diverged = int(np.argmin(finite))
        path, loss = path[:diverged], loss[:diverged]
    return OnSurface(optimizer, path, loss, diverged)


class _Task(NamedTuple):
    """What is trained, and how."""

    net: Any
    loss: Any
    X: Any
    y: Any
    epochs: int
    batch_size: int
    seed: int


def _task(net: Any, loss: Any, data: Any, *how: int) -> _Task:
    """Return a small network and the bundled digits, or the given."""
    if data is None:
        data = data_sets.load("digits")[0]
    elif net is None:
        raise ValueError("compare: data of your own needs net=, a network for it")
    elif not isinstance(data, (tuple, list)) or len(data) != 2:
        raise TypeError(f"compare: data must be a pair (X, y), got {type(data).__name__}")
    if net is None:
        body = (layers.Flatten(), layers.Dense(32, "relu"), layers.Dense(10))
        net = Sequential(layers.Rescale(1 / 16), *body)
    return _Task(net, loss, *data, *how)


def _train(optimizer: Optimizer, task: _Task) -> OnNetwork:
    """Train a copy of the network; its loss is that on all data, as it stands between epochs."""
    net, X, y = copy.deepcopy(task.net), task.X, task.y
    if not net.built:
        net.build(np.shape(X)[1:], seed=task.seed)
    trainer = Trainer(net, task.loss, optimizer, metrics=(), seed=task.seed)
    losses = [trainer.evaluate(X, y)["loss"]]
    if not math.isfinite(losses[0]):
        raise ValueError(f"compare: the loss of the network before training is {losses[0]}")
    diverged = None
    size = None if optimizer.full_batch else task.batch_size
    try:
        trainer.fit(X, y, epochs=task.epochs, batch_size=size, validation=(X, y), progress=False)
    except NonFiniteError as error:
        diverged = error.step
    losses += trainer.history.history.get("val_loss", [])
    finite = np.isfinite(losses)
    if not finite.all():  # the weights of that epoch are finite, what they give is not
        epoch = int(np.argmin(finite))
        losses, diverged = losses[:epoch], epoch * (trainer.steps // trainer.epoch)
    return OnNetwork(optimizer, np.array(losses), diverged)
