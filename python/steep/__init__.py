"""steep trains small and medium neural networks natively; this file names what users import."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from . import callbacks, layers, losses, ops, optimizers, schedules
from ._core import __version__
from .network.graph import Tensor
from .network.model import Input, Model, Sequential
from .threads import get_num_threads, info, set_num_threads, threads
from .training.history import History
from .training.loop import NonFiniteError
from .training.trainer import Trainer

if TYPE_CHECKING:
    from . import data, lab, models

__all__ = [
    "History",
    "Input",
    "Model",
    "NonFiniteError",
    "Sequential",
    "Tensor",
    "Trainer",
    "__version__",
    "callbacks",
    "data",
    "get_num_threads",
    "info",
    "lab",
    "layers",
    "losses",
    "models",
    "ops",
    "optimizers",
    "schedules",
    "set_num_threads",
    "threads",
]

# Pickles of the time before the rooms look their classes up by these modules' names.
for _room, _names in (
    ("network", ("built", "graph", "model")),
    ("saving", ("resume",)),
    ("training", ("history", "loop", "trainer")),
):
    for _name in _names:
        sys.modules[f"{__name__}.{_name}"] = import_module(f".{_room}.{_name}", __name__)


def __getattr__(name: str) -> ModuleType:
    """Import what training does not need when it is first asked for."""
    if name in ("data", "lab", "models"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name the public names, those not imported yet included."""
    return sorted({*globals(), *__all__})
