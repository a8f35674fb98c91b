"""Functions of symbolic tensors by element: quotients, powers, bounds. Re-exported by `ops`.

Of two tensors one may lack leading axes, or have axes of size 1: it is repeated along them.
"""

import math

from ..checks.numbers import ANY, number
from .tensor import Tensor, alike, emit


def divide(a: Tensor, b: Tensor) -> Tensor:
    """Return a / b; equal shapes, or such that one can be repeated."""
    return emit("divide", *alike(a, b))


def maximum(a: Tensor, b: Tensor) -> Tensor:
    """Return the larger of a and b; where they are equal each has half of the gradient."""
    return emit("maximum", *alike(a, b))


def minimum(a: Tensor, b: Tensor) -> Tensor:
    """Return the smaller of a and b; where they are equal each has half of the gradient."""
    return emit("minimum", *alike(a, b))


def power(x: Tensor, exponent: float) -> Tensor:
    """Return x^exponent for a number; NaN for x < 0 unless it is whole."""
    return emit("power", x, exponent=number("power", "exponent", exponent, ANY, single=True))


def clip(x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """Return x, but at least `low` and at most `high`; beyond them no gradient comes back.

    Parameters
    ----------
    x
        Any shape.
    low, high
        Numbers, low <= high; None: no bound.

    Raises
    ------
    TypeError, ValueError
        If low > high, or a number is not finite.
    """
    least, most = (
        end if given is None else number("clip", name, given, ANY, single=True)
        for name, given, end in (("low", low, -math.inf), ("high", high, math.inf))
    )
    if least > most:
        raise ValueError(f"clip: expects low <= high, got {low} and {high}")
    return emit("clip", x, low=least, high=most)


def exp(x: Tensor) -> Tensor:
    """Return e^x."""
    return emit("activation", x, kind="exp", alpha=0.0)


def log(x: Tensor) -> Tensor:
    """Return the natural logarithm of x."""
    return emit("activation", x, kind="log", alpha=0.0)


def sqrt(x: Tensor) -> Tensor:
    """Return the square root of x; its gradient at 0 is infinite."""
    return emit("activation", x, kind="sqrt", alpha=0.0)


def square(x: Tensor) -> Tensor:
    """Return x^2."""
    return emit("activation", x, kind="square", alpha=0.0)


def absolute(x: Tensor) -> Tensor:
    """Return |x|; its gradient at 0 is 0."""
    return emit("activation", x, kind="abs", alpha=0.0)
