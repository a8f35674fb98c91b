"""First values of the weights: named distributions scaled by fan-in and fan-out.

Draws are Philox words: functions of (seed, stream, index) alone, the same on every machine.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..checks.names import choose
from ..checks.numbers import ANY, LIMIT, number

Init: TypeAlias = "str | float | NDArray[Any]"


def bound(name: str, fan_in: int, fan_out: int) -> float:
    """Return the half-width b of the uniform distribution U(-b, b) of an initialiser.

    ``"xavier"``: sqrt(6/(fan_in+fan_out)) (Glorot & Bengio 2010); ``"xavier_in"``: sqrt(6/fan_in),
    which others call He-uniform.
    """
    return choose("uniform initialiser", name, BOUNDS)(fan_in, fan_out)


def std(name: str, fan_in: int) -> float:
    """Return the standard deviation of the normal distribution of an initialiser.

    ``"he"``: sqrt(2/fan_in) (He et al. 2015).
    """
    return choose("normal initialiser", name, STDS)(fan_in)


def fans(shape: tuple[int, ...], groups: int = 1) -> tuple[int, int]:
    """Return fan-in and fan-out of one unit of (n,), (in, out) or (height, width, in/groups, out).

    Each filter reads height * width * in/groups numbers, each input is read by height * width *
    out/groups of them.
    """
    taps = math.prod(shape[:-2])
    return taps * shape[-2 if len(shape) > 1 else 0], taps * shape[-1] // groups


BOUNDS: dict[str, Callable[[int, int], float]] = {
    "xavier": lambda fan_in, fan_out: math.sqrt(6.0 / (fan_in + fan_out)),
    "xavier_in": lambda fan_in, fan_out: math.sqrt(6.0 / fan_in),
}
STDS: dict[str, Callable[[int], float]] = {"he": lambda fan_in: math.sqrt(2.0 / fan_in)}
NAMES: dict[str, str] = {name: name for name in (*STDS, *BOUNDS, "zeros")}


def draw(
    init: Init,
    shape: tuple[int, ...],
    fan_in: int,
    fan_out: int,
    *,
    seed: int,
    stream: int,
    where: str = "init",
) -> NDArray[np.float64]:
    """Return first values for one parameter; the last axis of its shape counts the units.

    Parameters
    ----------
    init
        ``"he"``, ``"xavier"``, ``"xavier_in"``, ``"zeros"``, a number, or an array of the shape.
    seed, stream
        Which random numbers: the network's seed and the parameter's own number.

    Raises
    ------
    TypeError, ValueError
        If `init` is none of these, not finite, or of another shape.

    Warns
    -----
    UserWarning
        If all units of a weight matrix start equal: they stay equal for ever.
    """
    if isinstance(init, str):
        name = choose(f"{where} initialiser", init, NAMES)
        values = _named(name, shape, (fan_in, fan_out), seed, stream)
    elif isinstance(init, np.ndarray) and init.ndim > 0:
        values = _given(where, init, shape)
    else:
        values = np.full(shape, number(where, "init", init, ANY, single=True))
    if len(shape) >= 2 and shape[-1] > 1 and bool(np.all(values == values[..., :1])):
        warnings.warn(
            f"{where}: all {shape[-1]} units start with equal weights, get equal gradients and "
            'stay equal; draw them, as with init="he" or init="xavier"',
            stacklevel=2,
        )
    return values


def _named(
    name: str, shape: tuple[int, ...], fans: tuple[int, int], seed: int, stream: int
) -> NDArray[np.float64]:
    count = math.prod(shape)
    if name == "zeros":
        return np.zeros(shape)
    if name in STDS:
        return (std(name, fans[0]) * _core.normal(seed, stream, count)).reshape(shape)
    half = bound(name, *fans)
    return (half * (2.0 * _core.uniform(seed, stream, count) - 1.0)).reshape(shape)


def _given(where: str, init: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    if init.dtype.kind not in "fiu":
        raise TypeError(f"{where}: init array must hold numbers, got dtype {init.dtype}")
    if init.shape != shape:
        raise ValueError(f"{where}: init array must have shape {shape}, got {init.shape}")
    values = np.array(init, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{where}: init array holds NaN or infinity")
    if values.size and np.abs(values).max() >= LIMIT:
        raise ValueError(
            f"{where}: init array holds {np.abs(values).max():g}, too large for float32"
        )
    return values
