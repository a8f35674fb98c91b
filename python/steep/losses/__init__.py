"""The losses: small descriptions with their formulas; the training arithmetic is native.

Called on arrays they compute the same in float64 NumPy, for teaching and for checks. The classes
stand in the files beside, each in its file's `__all__`.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..checks.described import described
from ..checks.names import choose
from . import composed, native
from .base import Loss
from .composed import *  # noqa: F403
from .composed import COMPOSED, Custom
from .native import *  # noqa: F403
from .native import TABLE

__all__ = ["Loss", "from_config", "get"]
__all__ += native.__all__
__all__ += composed.__all__


def get(loss: object) -> Loss:
    """Return a loss from its name (``"cross_entropy"``), its class, or the given one.

    Raises
    ------
    ValueError
        If the name is not known; names the nearest one.
    TypeError
        If it is none of these.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        return loss()
    if inspect.isroutine(loss):
        return Custom(loss)
    if not isinstance(loss, str):
        raise TypeError(f"loss: expects a name or one of steep.losses, got {loss!r}")
    return choose("loss", loss, TABLE | COMPOSED)()


def from_config(
    config: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None
) -> Loss:
    """Return the loss that `Loss.get_config` described; `functions` are those of `Custom` by name.

    Raises
    ------
    ValueError
        If it names no known loss or its arguments do not fit, or a function is missing.
    """
    if config.get("loss") != Custom.name:
        return described("loss", TABLE | COMPOSED, config)
    label, target = str(config["label"]), config["target"]
    if functions is None or label not in functions:
        raise ValueError(
            f"its loss {label!r} is a function, which no file holds: pass "
            f"custom_objects={{{label!r}: function}}"
        )
    return Custom(functions[label], None if target is None else tuple(target), label)
