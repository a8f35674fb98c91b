"""Functions of two numbers on which optimizers are watched, with gradients; nothing walks here.

Each is a `Surface`: ``surfaces.rosenbrock((1, 1))`` is 0. Those with a number are functions that
make one: ``surfaces.quadratic(100)``.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks.names import choose
from ..checks.numbers import ANY, Range, number

Limits = tuple[tuple[float, float], tuple[float, float]]
Vector = NDArray[np.float64]
_NONE = np.empty((0, 2))
# The recurrent unit of the cliff: its steps, where it begins and what it should say.
_CLIFF_STEPS, _CLIFF_FIRST, _CLIFF_TARGET = 50, 0.5, 0.7


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
    minima : (k, 2)
        Its lowest points, where they are known; a saddle has none.
    """

    name: str
    value: Callable[[Any], Any]
    grad: Callable[[Any], Any]
    start: Vector
    limits: Limits
    minima: Vector = _NONE

    def __call__(self, w: ArrayLike) -> float:
        """Return the value at a point."""
        return float(self.value(np.asarray(w, np.float64)))


def quadratic(condition: float = 100.0, angle: float = 0.0) -> Surface:
    """Return (x'^2 + condition*y'^2)/2, where (x', y') is the point turned by an angle.

    Its curvatures are 1 and `condition`, its minimum is 0; plain descent is stable for rates below
    2/condition, and fastest, a factor of (c - 1)/(c + 1) a step, at 2/(1 + condition).

    Parameters
    ----------
    condition
        The larger curvature over the smaller one, >= 1.
    angle
        In radians; turned, no rule that scales each axis by itself finds its valley along one.
    """
    condition = number("quadratic", "condition", condition, Range(1.0, math.inf))
    angle = number("quadratic", "angle", angle, ANY)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag([1.0, condition]) @ turn.T
    return Surface(
        f"quadratic, condition {condition:g}", lambda w: 0.5 * (w @ matrix @ w),
        lambda w: matrix @ np.asarray(w), turn @ [-2.5, 0.8], ((-3.2, 3.2), (-2.4, 2.4)),
        np.zeros((1, 2)),
    )  # fmt: skip


def _rosenbrock(w: Any) -> Any:
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def _rosenbrock_grad(w: Any) -> Any:
    rise = w[1] - w[0] ** 2
    return np.array([2 * (w[0] - 1) - 400 * w[0] * rise, 200 * rise])


def _saddle(w: Any) -> Any:
    return w[0] ** 2 - w[1] ** 2 + w[1] ** 4 / 4


def _saddle_grad(w: Any) -> Any:
    return np.array([2 * w[0], w[1] ** 3 - 2 * w[1]])


_BEALE = ((1.5, 1), (2.25, 2), (2.625, 3))


def _beale(w: Any) -> Any:
    return sum((c - w[0] + w[0] * w[1] ** k) ** 2 for c, k in _BEALE)


def _beale_grad(w: Any) -> Any:
    x, y = w
    errors = [(c - x + x * y**k, k) for c, k in _BEALE]
    along = sum(2 * e * (y**k - 1) for e, k in errors)
    return np.array([along, sum(2 * e * k * x * y ** (k - 1) for e, k in errors)])


def _himmelblau(w: Any) -> Any:
    return (w[0] ** 2 + w[1] - 11) ** 2 + (w[0] + w[1] ** 2 - 7) ** 2


def _himmelblau_grad(w: Any) -> Any:
    a, b = w[0] ** 2 + w[1] - 11, w[0] + w[1] ** 2 - 7
    return np.array([4 * w[0] * a + 2 * b, 2 * a + 4 * w[1] * b])


def _monkey(w: Any) -> Any:
    return w[0] ** 3 - 3 * w[0] * w[1] ** 2


def _monkey_grad(w: Any) -> Any:
    return np.array([3 * (w[0] ** 2 - w[1] ** 2), -6 * w[0] * w[1]])


def _rastrigin(w: Any) -> Any:
    return 20 + sum(x * x - 10 * np.cos(2 * np.pi * x) for x in w)


def _rastrigin_grad(w: Any) -> Any:
    w = np.asarray(w)
    return 2 * w + 20 * np.pi * np.sin(2 * np.pi * w)


def _cliff(w: Any) -> Any:
    x = _CLIFF_FIRST
    for _ in range(_CLIFF_STEPS):
        x = w[0] * _sigmoid(x) + w[1]
    return (_sigmoid(x) - _CLIFF_TARGET) ** 2


def _cliff_grad(w: Any) -> Any:
    x, slope = _CLIFF_FIRST, np.zeros(2)  # of x by w and b: carried along with it
    for _ in range(_CLIFF_STEPS):
        s = _sigmoid(x)
        slope = np.array([s, 1.0]) + w[0] * s * (1 - s) * slope
        x = w[0] * s + w[1]
    s = _sigmoid(x)
    return 2 * (s - _CLIFF_TARGET) * s * (1 - s) * slope


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


# A bent valley, its floor nearly flat (Rosenbrock 1960).
rosenbrock = Surface(
    "rosenbrock", _rosenbrock, _rosenbrock_grad, np.array([-1.2, 1.0]),
    ((-1.8, 1.8), (-0.8, 2.4)), np.ones((1, 2)),
)  # fmt: skip
# A quadratic whose curvatures are 1 and 40.
ravine = quadratic(40.0, 0.5)._replace(
    name="ravine", start=np.array([-2.5, -0.5]), limits=((-3.5, 3.5), (-2.6, 2.6))
)
# A saddle at 0, and two minima; the start is nearly on the ridge.
saddle = Surface(
    "saddle", _saddle, _saddle_grad, np.array([1.5, 1e-3]), ((-2.0, 2.0), (-2.0, 2.0)),
    np.array([[0.0, np.sqrt(2)], [0.0, -np.sqrt(2)]]),
)  # fmt: skip
# Flat plains and sharp peaks at the corners (Beale 1958).
beale = Surface(
    "beale", _beale, _beale_grad, np.array([1.0, 1.5]), ((-0.5, 4.5), (-1.5, 2.0)),
    np.array([[3.0, 0.5]]),
)  # fmt: skip
# Four minima, equally low (Himmelblau 1972).
himmelblau = Surface(
    "himmelblau", _himmelblau, _himmelblau_grad, np.array([-0.5, -1.0]),
    ((-5.5, 5.5), (-5.5, 5.5)),
    np.array([[3.0, 2.0], [-2.805118086952745, 3.131312518250573],
              [-3.779310253377747, -3.283185991286170], [3.584428340330492, -1.848126526964404]]),
)  # fmt: skip
# Three ways down and three up, and no curvature at all at 0: room for two legs and a tail.
monkey_saddle = Surface(
    "monkey saddle", _monkey, _monkey_grad, np.array([1.2, 2e-3]), ((-1.5, 1.5), (-1.5, 1.5))
)
# A bowl with a dent at every whole number (Rastrigin 1974).
rastrigin = Surface(
    "rastrigin", _rastrigin, _rastrigin_grad, np.array([2.3, -1.4]), ((-3.2, 3.2), (-3.2, 3.2)),
    np.zeros((1, 2)),
)  # fmt: skip
# The error of one recurrent unit after 50 steps by its weight and bias (Pascanu et al. 2013, figure
# 6): a plain that ends at a wall, beside which the gradient is thousands of times as long.
cliff = Surface(
    "cliff", _cliff, _cliff_grad, np.array([5.0, -2.3]), ((4.0, 6.5), (-3.2, -2.0)),
)  # fmt: skip

SURFACES = {
    "rosenbrock": rosenbrock,
    "ravine": ravine,
    "saddle": saddle,
    "beale": beale,
    "himmelblau": himmelblau,
    "monkey_saddle": monkey_saddle,
    "rastrigin": rastrigin,
    "cliff": cliff,
}


def surface_of(given: object, start: ArrayLike | None, limits: Any) -> Surface:
    """Return a surface by name, or that of a pair (function, gradient); checked.

    Raises
    ------
    ValueError, TypeError
        If it is neither, a pair comes without `start`, or a number does not fit.
    """
    if isinstance(given, Surface):
        known = given
    elif isinstance(given, str):
        known = choose("surface", given, SURFACES)
    elif isinstance(given, tuple) and len(given) == 2 and all(map(callable, given)):
        if start is None:
            raise ValueError("compare: a surface of your own needs start=(x, y)")
        known = Surface("surface", *given, start=np.empty(2), limits=((0.0, 0.0), (0.0, 0.0)))
    else:
        raise TypeError(
            f"compare: surface must be a name ({', '.join(SURFACES)}), one of lab.surfaces, or a "
            f"pair of functions (value, gradient), got {given!r}"
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
