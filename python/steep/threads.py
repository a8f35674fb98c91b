"""Threads and facts about this build: how many are used, and what `info` says. No training."""

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import _core
from .checks.numbers import whole
from .network import devices


class _Limits(threading.local):
    """The limits of the ``with threads(n)`` blocks a thread is in, the innermost last."""

    def __init__(self) -> None:
        self.blocks: list[list[int]] = []


_limits = _Limits()


def set_num_threads(n: int) -> None:
    """Use at most `n` threads from now on; the results do not depend on it.

    It holds for the whole process, threads of Python that begin later included; only inside a
    ``with threads(n)`` block that block's number holds.

    Parameters
    ----------
    n
        From 1 to 4096. At the start it is what the process may use (affinity, cgroup), or
        ``STEEP_NUM_THREADS``.

    Raises
    ------
    TypeError, ValueError
        If `n` is no int, or out of range.
    """
    _core.set_num_threads(whole("set_num_threads", "n", n, 1, _core.MAX_THREADS))


def get_num_threads() -> int:
    """Return how many threads are used at most by what the calling thread does."""
    return _core.get_num_threads()


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Use at most `n` threads inside a ``with`` block, then as many as before.

    It is a setting of the thread of Python that enters the block: others, and those it starts,
    do not see it. Blocks nest, the innermost one decides. Tasks of asyncio share a thread, and so
    such settings: a block around an ``await`` holds for whatever runs meanwhile.

    Parameters
    ----------
    n
        From 1 to 4096.

    Raises
    ------
    TypeError, ValueError
        If `n` is no int, or out of range.
    """
    block = [whole("threads", "n", n, 1, _core.MAX_THREADS)]
    blocks = _limits.blocks
    blocks.append(block)
    _core.limit_threads(block[0])
    try:
        yield
    finally:
        # By identity: blocks of tasks or generators may end in another order than they began.
        blocks[:] = [other for other in blocks if other is not block]
        _core.limit_threads(_limits.blocks[-1][0] if _limits.blocks else 0)


class Info(dict[str, Any]):
    """A dict that prints as a table."""

    def __repr__(self) -> str:
        width = max(len(key) for key in self)
        return "\n".join(f"{key:<{width}}  {_text(value)}" for key, value in self.items())


def info() -> Info:
    """Return what this build is and uses: version, instruction set, threads, CUDA or why not.

    And what it runs on: processor, versions of Python and NumPy.
    """
    devices.load_libraries()
    facts = Info(_core.info())
    facts["processor"] = _processor()
    facts["python"] = f"{platform.python_implementation()} {platform.python_version()}"
    facts["numpy"] = np.__version__
    limits = {k: os.environ[k] for k in ("STEEP_NUM_THREADS", "STEEP_MAX_ISA") if k in os.environ}
    if limits:
        facts["environment"] = ", ".join(f"{name}={value}" for name, value in limits.items())
    return facts


def _processor() -> str:
    """Return the name of the processor, of its kind where the system tells no name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = (line.partition(":") for line in file)
            found = [text.strip() for name, _, text in lines if name.strip() == "model name"]
    except OSError:
        found = []
    return "".join(found[:1]) or platform.processor() or platform.machine()


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
