"""steep trains small and medium neural networks natively; this file names what users import."""

from . import callbacks, data, lab, layers, losses, models, ops, optimizers, schedules
from ._core import __version__
from .graph import Tensor
from .history import History
from .loop import NonFiniteError
from .model import Input, Model, Sequential
from .threads import get_num_threads, info, set_num_threads, threads
from .trainer import Trainer

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
