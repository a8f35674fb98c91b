"""The optimizers: one small description for each algorithm, with the formula it stands for.

In every formula w are the weights, g the gradient of the loss, all operations elementwise. A
hyper-parameter may be a number, a schedule, a list of values or a function of the step. The classes
stand in the files beside, each in its file's `__all__`; what they share is in base.py, their
arithmetic is native.
"""

from collections.abc import Callable, Mapping
from typing import Any

from .. import schedules
from ..checks.described import described
from ..checks.names import choose
from . import adam, adaptive, averaged, full_batch, layerwise, moments, sgd, signs
from .adam import *  # noqa: F403
from .adaptive import *  # noqa: F403
from .averaged import *  # noqa: F403
from .base import Optimizer
from .full_batch import *  # noqa: F403
from .layerwise import *  # noqa: F403
from .moments import *  # noqa: F403
from .sgd import *  # noqa: F403
from .signs import *  # noqa: F403

__all__ = ["Optimizer", "from_config", "get"]
__all__ += sgd.__all__
__all__ += adaptive.__all__
__all__ += adam.__all__
__all__ += moments.__all__
__all__ += signs.__all__
__all__ += averaged.__all__
__all__ += layerwise.__all__
__all__ += full_batch.__all__

# By name: every class in small letters, and forms and spellings that the field has names for.
TABLE: dict[str, Callable[..., Optimizer]] = {
    name.lower(): vars(room)[name]
    for room in (sgd, adaptive, adam, moments, signs, averaged, layerwise)
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
    optimizer: Optimizer = described("optimizer", known, config, schedules.from_config)
    return optimizer
