"""The optimizers: one small description for each algorithm, with the formula it stands for.

In every formula w are the weights, g the gradient of the loss, all operations elementwise. A
hyper-parameter may be a number, a schedule, a list of values or a function of the step. The classes
stand in the files beside, each in its file's `__all__`; what they share is in base.py, their
arithmetic is native.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from numpy.typing import ArrayLike

from .. import schedules
from ..checks.described import described
from ..checks.names import choose
from . import adafactor, adam, adaptive, averaged, full_batch, layerwise, moments, muon, sgd, signs
from .adafactor import *  # noqa: F403
from .adam import *  # noqa: F403
from .adaptive import *  # noqa: F403
from .averaged import *  # noqa: F403
from .base import Optimizer
from .full_batch import *  # noqa: F403
from .layer_decay import layer_decay
from .layerwise import *  # noqa: F403
from .moments import *  # noqa: F403
from .muon import *  # noqa: F403
from .sgd import *  # noqa: F403
from .signs import *  # noqa: F403

__all__ = ["Optimizer", "compare", "from_config", "get", "layer_decay"]
__all__ += sgd.__all__
__all__ += adaptive.__all__
__all__ += adam.__all__
__all__ += moments.__all__
__all__ += signs.__all__
__all__ += averaged.__all__
__all__ += layerwise.__all__
__all__ += full_batch.__all__
__all__ += muon.__all__
__all__ += adafactor.__all__

# By name: every class in small letters, and forms and spellings that the field has names for.
TABLE: dict[str, Callable[..., Optimizer]] = {
    name.lower(): vars(room)[name]
    for room in (sgd, adaptive, adam, moments, signs, averaged, layerwise, muon, adafactor)
    for name in room.__all__
} | {
    "momentum": lambda lr=0.01, momentum=0.9, **rest: sgd.SGD(lr, momentum, **rest),
    "nesterov": lambda lr=0.01, momentum=0.9, **rest: sgd.SGD(lr, momentum, True, **rest),
    "sign_sgd": lambda lr=1e-3, **rest: signs.Signum(lr, 0.0, **rest),
    "schedule_free_sgd": averaged.ScheduleFreeSGD,
    "schedule_free_adamw": averaged.ScheduleFreeAdamW,
}
# Methods for full batches, by name.
METHODS: dict[str, Callable[..., Optimizer]] = {
    name.lower(): vars(full_batch)[name] for name in full_batch.__all__
}


def get(optimizer: object, **arguments: Any) -> Optimizer:
    """Return an optimizer from its name (``"adam"``), or the given one.

    Parameters
    ----------
    optimizer
        A name (``"momentum"`` and ``"nesterov"`` are SGD with 0.9, ``"sign_sgd"`` is Signum without
        a mean), an `Optimizer`, or one of the classes.
    **arguments
        Hyper-parameters for a name or class: ``get("adam", lr=0.01)``.

    Raises
    ------
    ValueError
        If the name is not known; names the nearest one.
    TypeError
        If it is none of these, or an argument does not fit.
    """
    if isinstance(optimizer, Optimizer):
        if arguments:
            raise TypeError(
                f"optimizer: {optimizer!r} is made already; set {list(arguments)} there"
            )
        return optimizer
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        return optimizer(**arguments)
    if not isinstance(optimizer, str):
        raise TypeError(f"optimizer: expects a name or one of steep.optimizers, got {optimizer!r}")
    return choose("optimizer", optimizer, TABLE | METHODS)(**arguments)


def from_config(config: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer that `Optimizer.get_config` described.

    Raises
    ------
    ValueError
        If it names no known optimizer or its arguments do not fit.
    """
    known = {name: made for name, made in (TABLE | METHODS).items() if isinstance(made, type)}
    optimizer: Optimizer = described("optimizer", known, config, read_argument)
    return optimizer


def read_argument(config: Any) -> Any:
    """Return an argument that a config holds: an optimizer, or what schedules are read from."""
    inner = isinstance(config, Mapping) and "optimizer" in config
    return from_config(config) if inner else schedules.from_config(config)


def compare(
    optimizers: Mapping[str, Any] | Iterable[Any] | str | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    surface: Any = "rosenbrock",
    start: ArrayLike | None = None,
    limits: ArrayLike | None = None,
    steps: int = 200,
    net: Any = None,
    loss: Any = "cross_entropy",
    data: tuple[Any, Any] | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    seed: int = 0,
    tune: bool | None = None,
) -> Any:
    """Run optimizers on a function of two numbers and on a small network, and draw how they fare.

    The picture has the paths on the surface, bright where it is low, the losses along them, and the
    losses of the network by epoch. All begin at one point and with the same weights. What diverges
    is drawn as far as it went, with a cross, and the legend says at which step.

    Parameters
    ----------
    optimizers
        By name, ``{"mine": Adam(0.1), "plain": "sgd"}``, or a list of optimizers and names. None: a
        dozen. Methods for full batches train the network alone, on all samples at once.
    path
        Where to save the picture; its ending chooses the format (``.png``, ``.svg``, ``.pdf``).
    surface
        One of ``lab.surfaces``, by name or itself: ``"rosenbrock"``, ``"ravine"``, a quadratic with
        curvatures 1 and 40, ``"saddle"``, ..; or a pair of functions ``(value, gradient)`` that
        take a point (2,). None: the network alone.
    start : (2,)
        Where the paths begin; each surface with a name has a start of its own.
    limits
        ((left, right), (bottom, top)) of the surface in the picture.
    steps
        Updates on the surface; each counts as an epoch.
    net, loss, data
        A network, its loss and ``(X, y)``. Left alone they are one hidden layer of 32 units and the
        bundled digits. `net` itself is not trained.
    epochs, batch_size
        Of the training; 0 epochs: the surface alone.
    seed
        Of the first weights, where `net` is not built, of the order of samples and dropout.
    tune
        Whether the rate of each optimizer is looked for, on the surface and on the network: that of
        its own rate times 10^-3, 10^-2.5, .. 10^4 with which it ends lowest. None: of those given
        by name alone, whose rate nobody chose.

    Returns
    -------
    steep.lab.Comparison
        The paths and losses by name, the picture as `figure`; ``print`` shows a table of the ends.

    Raises
    ------
    ImportError
        If `path` is given and matplotlib is missing; numbers need none.
    TypeError, ValueError
        If an argument does not fit.
    """
    # The lab trains, so it stands above this room, which no import may lead out of.
    lab = import_module("..lab.comparison", __name__)
    found = lab.compare(
        optimizers, surface=surface, start=start, limits=limits, steps=steps, net=net, loss=loss,
        data=data, epochs=epochs, batch_size=batch_size, seed=seed, tune=tune,
    )  # fmt: skip
    if path is not None:
        found.save(path)
    return found
