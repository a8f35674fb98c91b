"""Functions of two numbers on which optimizers are watched, with gradients; nothing walks here."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks.names import choose

Limits = tuple[tuple[float, float], tuple[float, float]]
_TURN = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
# Turned, so that no rule which scales each axis by itself finds its valley along one.
_RAVINE = _TURN @ np.diag([1.0, 40.0]) @ _TURN.T


class Surface(NamedTuple):
    """A function of a point (2,), its gradient (2,), where to begin, and what part is drawn.

    Attributes
    ----------
    name
        Written above the picture.
    value, grad
        Take a point (2,); give a number and a vector (2,).
    start : (2,)
        Where every path begins.
    limits
        ((left, right), (bottom, top)) of the picture.
    """

    name: str
    value: Callable[[Any], Any]
    grad: Callable[[Any], Any]
    start: NDArray[np.float64]
    limits: Limits


def _rosenbrock(w: Any) -> Any:
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def _rosenbrock_grad(w: Any) -> Any:
    rise = w[1] - w[0] ** 2
    return np.array([2 * (w[0] - 1) - 400 * w[0] * rise, 200 * rise])


def _saddle(w: Any) -> Any:
    return w[0] ** 2 - w[1] ** 2 + w[1] ** 4 / 4


def _saddle_grad(w: Any) -> Any:
    return np.array([2 * w[0], w[1] ** 3 - 2 * w[1]])


SURFACES = {
    one.name: one
    for one in (
        # Rosenbrock 1960: a bent valley, its floor nearly flat; the minimum is at (1, 1).
        Surface(
            "rosenbrock", _rosenbrock, _rosenbrock_grad, np.array([-1.2, 1.0]),
            ((-1.8, 1.8), (-0.8, 2.4)),
        ),
        # A quadratic whose curvatures are 1 and 40; the minimum is at 0.
        Surface(
            "ravine", lambda w: 0.5 * (w @ _RAVINE @ w), lambda w: _RAVINE @ w,
            np.array([-2.5, -0.5]), ((-3.5, 3.5), (-2.6, 2.6)),
        ),
        # A saddle at 0, and two minima at (0, +-sqrt 2); the start is nearly on the ridge.
        Surface(
            "saddle", _saddle, _saddle_grad, np.array([1.5, 1e-3]), ((-2.0, 2.0), (-2.0, 2.0)),
        ),
    )
}  # fmt: skip


def surface_of(given: object, start: ArrayLike | None, limits: Any) -> Surface:
    """Return a surface by name, or that of a pair (function, gradient); checked.

    Raises
    ------
    ValueError, TypeError
        If it is neither, a pair comes without `start`, or a number does not fit.
    """
    if isinstance(given, str):
        known = choose("surface", given, SURFACES)
    elif isinstance(given, tuple) and len(given) == 2 and all(map(callable, given)):
        if start is None:
            raise ValueError("compare: a surface of your own needs start=(x, y)")
        known = Surface("surface", *given, start=np.empty(2), limits=((0.0, 0.0), (0.0, 0.0)))
    else:
        raise TypeError(
            f"compare: surface must be a name ({', '.join(SURFACES)}) or a pair of functions "
            f"(value, gradient), got {given!r}"
        )
    if start is not None:
        place = _numbers("start", start, (2,))
        ((x0, x1), (y0, y1)) = known.limits
        x, y = place
        inside = x0 < x < x1 and y0 < y < y1
        known = known._replace(start=place, limits=known.limits if inside else _around(x, y))
    if limits is not None:
        (x0, x1), (y0, y1) = _numbers("limits", limits, (2, 2)).tolist()
        if not (x0 < x1 and y0 < y1):
            raise ValueError(
                f"compare: limits must be ((left, right), (bottom, top)), got {limits}"
            )
        known = known._replace(limits=((x0, x1), (y0, y1)))
    return known


def _around(x: float, y: float) -> Limits:
    """Return limits that show a start and 0, where minima like to be."""
    reach = 1.25 * max(abs(x), abs(y), 1.0)
    return (-reach, reach), (-reach, reach)


def _numbers(name: str, value: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        found = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != shape or not np.isfinite(found).all():
        raise ValueError(f"compare: {name} must be finite numbers of shape {shape}, got {value!r}")
    return found
