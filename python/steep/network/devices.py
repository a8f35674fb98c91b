"""Which devices networks can live on, what says that one is missing; libraries pip brought."""

import ctypes
import importlib.util
import os
from contextlib import suppress
from pathlib import Path

from .. import _core
from ..checks.names import choose

NAMES = ("cpu", "cuda")

# Where the extra cuda13 puts NVIDIA's libraries.
_LIBRARIES = {
    "STEEP_CUBLASLT": ("nvidia.cu13", "libcublasLt.so.13"),
    "STEEP_CUDNN": ("nvidia.cudnn", "libcudnn.so.9"),
}


def named(device: str) -> str:
    """Return the device of this name; ValueError where there is no such word."""
    return choose("device", device, {name: name for name in NAMES})


def check() -> None:
    """Raise RuntimeError, saying why and what to do, where there is no CUDA device."""
    if why := missing():
        raise RuntimeError(f'device="cuda": {why}. Use device="cpu".')


def missing() -> str:
    """Return why there is no CUDA device, "" where there is one."""
    load_libraries()
    return _core.cuda_status()


def load_libraries() -> None:
    """Load the libraries that are "on" in the environment from packages: the core asks by name."""
    for variable, (package, name) in _LIBRARIES.items():
        if os.environ.get(variable) != "on":
            continue
        with suppress(OSError):
            ctypes.CDLL(name, mode=os.RTLD_NOW | os.RTLD_NOLOAD)
            continue  # another package's copy
        with suppress(ModuleNotFoundError, OSError):
            spec = importlib.util.find_spec(package)
            for folder in (spec and spec.submodule_search_locations) or ():
                if (path := Path(folder) / "lib" / name).is_file():
                    ctypes.CDLL(str(path))
