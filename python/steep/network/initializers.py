"""First values of one parameter: whatever a layer was given as `init`, made an array and checked.

The distributions themselves are in `steep.initializers`.
"""

import math
import warnings
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..checks.names import choose
from ..checks.numbers import ANY, LIMIT, number
from ..initializers import NAMED, Initializer, Place

Init: TypeAlias = "str | float | NDArray[Any] | Initializer"


def fans(shape: tuple[int, ...], groups: int = 1) -> tuple[int, int]:
    """Return fan-in and fan-out of one unit of (n,), (in, out) or (height, width, in/groups, out).

    Each filter reads height * width * in/groups numbers, each input is read by height * width *
    out/groups of them.
    """
    taps = math.prod(shape[:-2])
    return taps * shape[-2 if len(shape) > 1 else 0], taps * shape[-1] // groups


def named(where: str, init: object) -> object:
    """Return the initialiser of a name; anything else as it is."""
    return choose(f"{where} initialiser", init, NAMED) if isinstance(init, str) else init


def draw(
    init: Init,
    shape: tuple[int, ...],
    fan_in: int,
    fan_out: int,
    *,
    seed: int,
    stream: int,
    groups: int = 1,
    where: str = "init",
) -> NDArray[np.float64]:
    """Return first values for one parameter; the last axis of its shape counts the units.

    Parameters
    ----------
    init
        A name, an `Initializer`, a number, or an array of the shape.
    seed, stream
        Which random numbers: the network's seed and the parameter's own number.
    groups
        Of a convolution's kernel.
    where
        The layer, for messages.

    Raises
    ------
    TypeError, ValueError
        If `init` is none of these, not finite, of another shape, or nothing for such a parameter.

    Warns
    -----
    UserWarning
        If all units of a weight matrix start equal: they compute the same, and stay equal as long
        as what follows weighs them alike.
    """
    made = named(where, init)
    if isinstance(made, Initializer):
        values = _made(where, made, Place(shape, fan_in, fan_out, groups, seed, stream))
    elif isinstance(made, np.ndarray) and made.ndim > 0:
        values = _given(where, made, shape)
    elif isinstance(made, type) and issubclass(made, Initializer):
        raise TypeError(f"{where}: init is the class {made.__name__}; write its parentheses")
    else:
        values = np.full(shape, number(where, "init", made, ANY, single=True))
    if len(shape) >= 2 and shape[-1] > 1 and _all_equal(values):
        warnings.warn(
            f"{where}: all {shape[-1]} units start with equal weights and compute the same; where "
            'the next layer weighs them alike they stay equal; draw them, as with init="he"',
            stacklevel=2,
        )
    return values


def _made(where: str, made: Initializer, place: Place) -> NDArray[np.float64]:
    try:
        values = made.values(place)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return _given(f"{where}: {type(made).__name__}", np.asarray(values), place.shape)


def _given(where: str, init: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    if init.dtype.kind not in "fiu":
        raise TypeError(f"{where}: init array must hold numbers, got dtype {init.dtype}")
    if init.shape != shape:
        raise ValueError(f"{where}: init array must have shape {shape}, got {init.shape}")
    values = np.asarray(init, dtype=np.float64)
    if values.size and not -LIMIT < values.min() <= values.max() < LIMIT:  # NaN is neither
        if not np.isfinite(values).all():
            raise ValueError(f"{where}: init array holds NaN or infinity")
        raise ValueError(
            f"{where}: init array holds {np.abs(values).max():g}, too large for float32"
        )
    return values


def _all_equal(values: NDArray[np.float64]) -> bool:
    """Say whether all units begin equal; where they are drawn, two of them tell."""
    first = values[..., 0]
    return np.array_equal(first, values[..., -1]) and bool(np.all(values == first[..., None]))
