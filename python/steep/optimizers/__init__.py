"""The optimizers: one small description for each algorithm, with the formula it stands for.

In every formula w are the weights, g the gradient of the loss, all operations elementwise. A
hyper-parameter may be a number, a schedule, a list of values or a function of the step. Only the
list of optimizers stands here; what they share is in base.py, their arithmetic is native.
"""

from collections.abc import Callable, Mapping
from typing import Any

from .. import schedules
from ..checks.names import choose
from .adam import Adam, Adamax, AdamW, AMSGrad, NAdam
from .adaptive import AdaDelta, AdaGrad, RMSProp
from .base import Optimizer
from .sgd import SGD

__all__ = [
    "SGD",
    "AMSGrad",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RMSProp",
    "from_config",
    "get",
]

TABLE: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": lambda lr=0.01, momentum=0.9, **rest: SGD(lr, momentum, **rest),
    "nesterov": lambda lr=0.01, momentum=0.9, **rest: SGD(lr, momentum, True, **rest),
    "adagrad": AdaGrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
    "amsgrad": AMSGrad,
    "adamax": Adamax,
    "nadam": NAdam,
    "adadelta": AdaDelta,
}


def get(optimizer: object, **arguments: Any) -> Optimizer:
    """Return an optimizer from its name (``"adam"``), or the given one.

    Parameters
    ----------
    optimizer
        A name (``"momentum"`` and ``"nesterov"`` are SGD with 0.9), an `Optimizer`, or one of the
        classes.
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
    return choose("optimizer", optimizer, TABLE)(**arguments)


def from_config(config: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer that `Optimizer.get_config` described.

    Raises
    ------
    ValueError
        If it names no known optimizer or its arguments do not fit.
    """
    arguments = dict(config)
    known = {name.lower(): made for name, made in TABLE.items() if isinstance(made, type)}
    made = choose("optimizer", arguments.pop("optimizer", ""), known)
    try:
        optimizer: Optimizer = made(
            **{name: schedules.from_config(value) for name, value in arguments.items()}
        )
    except TypeError as error:
        raise ValueError(f"saved optimizer {config.get('optimizer')}: {error}") from error
    return optimizer
