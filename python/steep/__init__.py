"""steep trains small and medium neural networks natively; this file names what users import."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import (
    averages,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    ops,
    optimizers,
    schedules,
)
from ._core import __version__
from .checks.foreign import explain, explain_all
from .dbn import DBN
from .device_array import DeviceArray
from .gan import GAN
from .generation import generate
from .network import Tensor
from .network.model import Input, Model, Sequential
from .rbm import RBM
from .skip_gram import SkipGram
from .threads import get_num_threads, info, set_num_threads, threads
from .training.errors import NonFiniteError
from .training.history import History
from .training.objective import Objective
from .training.trainer import Trainer
from .vae import VAE

if TYPE_CHECKING:
    from . import convert, data, lab, metrics, models
    from .importing.onnx_file import from_onnx
    from .importing.torch_module import from_torch

__all__ = [
    "DBN",
    "GAN",
    "RBM",
    "VAE",
    "DeviceArray",
    "History",
    "Input",
    "Model",
    "NonFiniteError",
    "Objective",
    "Sequential",
    "SkipGram",
    "Tensor",
    "Trainer",
    "__version__",
    "averages",
    "callbacks",
    "constraints",
    "convert",
    "data",
    "from_onnx",
    "from_torch",
    "generate",
    "get_num_threads",
    "info",
    "initializers",
    "lab",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "schedules",
    "set_num_threads",
    "threads",
]

# Names of other libraries are answered by ours, wherever a user calls.
explain(Trainer, ("fit", "step", "evaluate"))
for _kind in (DBN, GAN, RBM, VAE, Model, Sequential, SkipGram):
    explain(_kind)
for _room in (callbacks, initializers, layers, losses, optimizers, schedules):
    explain_all(_room)

# New pickles find these here; those of the time before the rooms look for modules of these names.
for _class in (History, NonFiniteError, Objective, Trainer):
    _class.__module__ = __name__
for _old, _new in {
    "built": "network.built",
    "graph": "network.layer",
    "model": "network.model",
    "history": "training.history",
    "loop": "training.errors",
    "resume": "training.place",
    "trainer": "training.trainer",
}.items():
    sys.modules[f"{__name__}.{_old}"] = import_module(f".{_new}", __name__)


_READERS = {"from_onnx": "onnx_file", "from_torch": "torch_module"}


def __getattr__(name: str) -> Any:
    """Import what training does not need when it is first asked for."""
    if name in _READERS:
        return getattr(import_module(f".importing.{_READERS[name]}", __name__), name)
    if name in ("convert", "data", "lab", "metrics", "models", "sklearn"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name the public names, those not imported yet included."""
    own = (name for name in globals() if name.startswith("__"))
    return sorted({*own, *__all__})
