"""What a comparison keeps of each optimizer: numbers alone. They are found in comparison.py."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..optimizers import Optimizer


class OnSurface(NamedTuple):
    """How one optimizer fared on the surface.

    Attributes
    ----------
    optimizer
        As it was run, with the rate that was found.
    path : (k+1, 2)
        The points; k is `steps`, or fewer where it diverged.
    loss : (k+1,)
        The surface there.
    diverged
        The step that was not finite, counted from 1, or None.
    """

    optimizer: Optimizer
    path: NDArray[np.float64]
    loss: NDArray[np.float64]
    diverged: int | None


class OnNetwork(NamedTuple):
    """How one optimizer fared on the network.

    Attributes
    ----------
    optimizer
        As it was run, with the rate that was found.
    loss : (k+1,)
        Of the trained network on all data, before the first epoch and after each; k is `epochs`, or
        fewer where it diverged or a method for full batches had nothing left to gain.
    diverged
        The step that was not finite, counted from 1, or None.
    """

    optimizer: Optimizer
    loss: NDArray[np.float64]
    diverged: int | None


def rate(optimizer: Optimizer) -> str:
    """Return the learning rate in two digits; what no single number tells has none."""
    value = getattr(optimizer, "lr", None)
    return f"{value:.2g}" if isinstance(value, float) else "-"
