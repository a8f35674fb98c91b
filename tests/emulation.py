"""The emulation of a GPU from Python: its settings and what it counted. No test lives here."""

import ctypes
from contextlib import contextmanager

from steep import _core

EMULATED = "emulated" in _core.info()["cuda"]
STANDARD = {
    "order": 0, "lazy": 1, "limit": 8 << 30, "device": 90, "sms": 4, "broken": 0,
    "shared": 227 << 10,
}  # fmt: skip
_native = ctypes.CDLL(_core.__file__) if EMULATED else None


@contextmanager
def emulating(**settings):
    """Emulate another GPU, or another order of threads, for a while."""
    try:
        for name, value in settings.items():
            _native.emulation_set(name.encode(), ctypes.c_long(value))
        yield
    finally:
        _native.emulation_forgive()
        for name in settings:
            _native.emulation_set(name.encode(), ctypes.c_long(STANDARD[name]))


def counted(name):
    """Return how often something happened so far, or the bytes in use."""
    _native.emulation_count.restype = ctypes.c_long
    return _native.emulation_count(name.encode())
