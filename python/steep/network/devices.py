"""Which devices networks can live on, and what says that one is not there."""

from .. import _core


def check() -> None:
    """Raise RuntimeError, saying why and what to do, where there is no CUDA device."""
    why = _core.cuda_status()
    if why:
        raise RuntimeError(f'device="cuda": {why}. Use device="cpu".')
