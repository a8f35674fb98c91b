"""Threads and facts about this build: how many are used, and what `info` says. No training."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import _core
from .inputs import count


def set_num_threads(n: int) -> None:
    """Use at most `n` threads from now on; the results do not depend on it.

    Parameters
    ----------
    n
        At least 1. At the start it is what the process may use (affinity, cgroup), or
        ``STEEP_NUM_THREADS``.

    Raises
    ------
    TypeError, ValueError
        If `n` is no positive int.
    """
    _core.set_num_threads(count("set_num_threads: n", n))


def get_num_threads() -> int:
    """Return how many threads are used at most."""
    return _core.get_num_threads()


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Use at most `n` threads inside a ``with`` block, then as many as before."""
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        _core.set_num_threads(before)


class Info(dict[str, Any]):
    """A dict that prints as a table."""

    def __repr__(self) -> str:
        width = max(len(key) for key in self)
        return "\n".join(f"{key:<{width}}  {_text(value)}" for key, value in self.items())


def info() -> Info:
    """Return what this build is and uses: version, instruction set, threads, CUDA or why not."""
    facts = Info(_core.info())
    limits = {k: os.environ[k] for k in ("STEEP_NUM_THREADS", "STEEP_MAX_ISA") if k in os.environ}
    if limits:
        facts["environment"] = ", ".join(f"{name}={value}" for name, value in limits.items())
    return facts


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
