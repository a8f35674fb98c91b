"""Runs an optimizer on any gradient function, and says how the path behaves. No network is needed.

The steps are taken by the very rules that train networks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ..checks.names import choose
from ..checks.numbers import NOT_NEGATIVE, number, whole
from ..optimizers import Optimizer, get

Gradient = Callable[[Any], Any]

_ROWS = 1024  # steps of one knob table
_LONGEST_CYCLE = 16


class DivergedError(FloatingPointError):
    """A step gave a weight, or the function a gradient, that is not finite.

    Attributes
    ----------
    step : int
        Updates done before.
    path : (step+1, n)
        The points up to there, all finite.
    """

    def __init__(self, message: str, path: NDArray[Any]) -> None:
        super().__init__(message)
        self.step = len(path) - 1
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with both arguments: an exception keeps only the message by itself."""
        return type(self), (str(self), self.path)


class Minimum(NamedTuple):
    """Where `minimize` ended, and why.

    Attributes
    ----------
    w : (n,)
        The last point.
    steps
        Updates done.
    converged
        Whether the gradient or the change fell below its limit.
    reason
        ``"gradient"``, ``"change"``, ``"oscillates"`` or ``"max_steps"``.
    path : (steps+1, n)
        All points.
    """

    w: NDArray[np.float64]
    steps: int
    converged: bool
    reason: str
    path: NDArray[np.float64]


def descend(
    optimizer: Optimizer | str,
    grad: Gradient,
    start: ArrayLike,
    steps: int,
    epoch_steps: int | None = None,
    *,
    precision: str = "float64",
) -> NDArray[Any]:
    """Return the path w(0), w(1), .. w(steps) of an optimizer on a gradient function.

    Parameters
    ----------
    optimizer
        An optimizer, or its name.
    grad
        Takes a point, gives the gradient there: (n,) to (n,), or number to number where `start` is
        a number. Rules that look ahead ask at their look-ahead point.
    start
        w(0): a number or (n,).
    steps
        Number of updates.
    epoch_steps
        Updates in an epoch, for schedules by epoch and for ``bias_time="epoch"``. None: each update
        is an epoch, as in batch gradient descent.
    precision
        ``"float64"`` or ``"float32"``.

    Returns
    -------
    (steps+1, n) array; the rows are the weights w, not look-ahead points.

    Raises
    ------
    DivergedError
        If a point or gradient is not finite (a FloatingPointError; it holds the path so far).
    ValueError, TypeError
        If an argument does not fit.
    """
    steps = whole("descend", "steps", steps, 0)
    walk = _Walk(get(optimizer), grad, start, epoch_steps, precision)
    for _ in range(steps):
        walk.advance(walk.gradient())
    return np.array(walk.path)


def minimize(
    optimizer: Optimizer | str,
    grad: Gradient,
    start: ArrayLike,
    *,
    gradient_tol: float = 1e-8,
    change_tol: float = 0.0,
    max_steps: int = 10_000,
) -> Minimum:
    """Step until convergence: until |gradient| <= gradient_tol or |w - w_before| <= change_tol.

    Parameters
    ----------
    optimizer, grad, start
        As in `descend`; each update counts as an epoch.
    gradient_tol
        Largest norm of the gradient at which to stop.
    change_tol
        Largest norm of a step at which to stop; 0 stops where nothing moves any more.
    max_steps
        Give up after as many updates.

    Returns
    -------
    The last point and the reason for stopping. A path that only repeats itself is no convergence:
    its reason is ``"oscillates"``.

    Raises
    ------
    DivergedError
        If a point or gradient is not finite.
    ValueError, TypeError
        If an argument does not fit.
    """
    max_steps = whole("minimize", "max_steps", max_steps, 0)
    gradient_tol = number("minimize", "gradient_tol", gradient_tol, NOT_NEGATIVE)
    change_tol = number("minimize", "change_tol", change_tol, NOT_NEGATIVE)
    walk = _Walk(get(optimizer), grad, start, None, "float64")
    reason = "max_steps"
    for _ in range(max_steps):
        gradient = walk.gradient()
        if float(np.linalg.norm(gradient)) <= gradient_tol:
            reason = "gradient"
            break
        walk.advance(gradient)
        if float(np.linalg.norm(walk.path[-1] - walk.path[-2])) <= change_tol:
            reason = "change"
            break
    path = np.array(walk.path)
    if reason == "max_steps" and len(path) > 2 and behaviour(path) == "oscillates":
        reason = "oscillates"
    return Minimum(path[-1], len(path) - 1, reason in {"gradient", "change"}, reason, path)


def behaviour(path: ArrayLike, tolerance: float = 1e-9) -> str:
    """Say how a path of `descend` ends.

    Parameters
    ----------
    path : (steps+1, n)
        The points, at least three.
    tolerance
        Distances up to tolerance * (1 + largest weight) count as none.

    Returns
    -------
    ``"settles"``: the last points are the same. ``"oscillates"``: they repeat in a cycle of up to
    16 points. ``"diverges"``: the steps have grown all through the last half. Else ``"moves"``.

    Raises
    ------
    ValueError
        If it is no path of at least three points, or they are not finite.
    """
    tolerance = number("behaviour", "tolerance", tolerance, NOT_NEGATIVE)
    points = np.asarray(path, dtype=np.float64)
    if points.ndim != 2 or len(points) < 3:
        raise ValueError(f"behaviour: path must be (steps+1, n), steps >= 2, got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("behaviour: path must be finite; one that diverged ends before that")
    near = tolerance * (1.0 + float(np.abs(points).max()))
    moves = np.linalg.norm(np.diff(points, axis=0), axis=1)
    if moves[-1] <= near:
        return "settles"
    for period in range(2, min(_LONGEST_CYCLE, (len(points) - 1) // 2) + 1):
        late = points[-2 * period :]
        if float(np.linalg.norm(late[period:] - late[:period], axis=1).max()) <= near:
            return "oscillates"
    late_moves = moves[len(moves) // 2 :]
    if len(late_moves) >= 2 and bool(np.all(np.diff(late_moves) > 0.0)):
        return "diverges"
    return "moves"


class _Walk:
    """A sweep over one point, its step counter and the path behind it."""

    def __init__(
        self,
        optimizer: Optimizer,
        grad: Gradient,
        start: ArrayLike,
        epoch_steps: int | None,
        precision: str,
    ) -> None:
        point = np.asarray(start)
        if point.dtype.kind not in "fiu" or point.ndim > 1 or point.size == 0:
            raise ValueError(
                f"descend: start must be a number or a vector (n,) of numbers, got "
                f"{point.dtype} {point.shape}"
            )
        self.scalar = point.ndim == 0
        dtype = choose("precision", precision, {"float32": np.float32, "float64": np.float64})
        first = np.array(point.reshape(-1), dtype=dtype)
        if not np.isfinite(first).all():
            raise ValueError(f"descend: start must be finite, got {start!r}")
        if epoch_steps is not None:
            epoch_steps = whole("descend", "epoch_steps", epoch_steps)
        if optimizer.full_batch:
            raise ValueError(
                f"descend: {type(optimizer).__name__} searches lines for values, and here are only "
                "gradients; use it in a Trainer"
            )
        self.optimizer, self.grad = optimizer.parts({"point": first.shape})[0][0], grad
        self.per_epoch = float(epoch_steps or 1)
        self.step = 0
        self.path = [first.copy()]
        self.sweep = _core.Sweep(self.optimizer.rule, first)
        self._tabulate()

    def _tabulate(self) -> None:
        """Evaluate every hyper-parameter for the steps ahead."""
        steps = np.arange(self.step, self.step + _ROWS, dtype=np.float64)
        after = (steps + 1.0) / self.per_epoch
        self.knobs = self.optimizer.knobs(steps, steps / self.per_epoch, after)
        self.decay = np.broadcast_to(
            self.optimizer.decay(steps, steps / self.per_epoch), steps.shape
        )

    def gradient(self) -> NDArray[Any]:
        """Ask the function at the point the rule wants."""
        point = np.array(self.sweep.point)
        with np.errstate(over="ignore", invalid="ignore"):  # reported below, with the step
            given = np.asarray(self.grad(point[0] if self.scalar else point))
        if self.scalar and given.size == 1:
            given = given.reshape(1)
        if given.shape != point.shape:
            raise ValueError(
                f"descend: grad must return shape {() if self.scalar else point.shape}, "
                f"got {given.shape}"
            )
        gradient = np.ascontiguousarray(given, dtype=point.dtype)
        if not np.isfinite(gradient).all():
            self._fail(f"the gradient at {point.tolist()} is {gradient.tolist()}")
        return gradient

    def advance(self, gradient: NDArray[Any]) -> None:
        """Take one step."""
        row = self.step % _ROWS
        if row == 0 and self.step:
            self._tabulate()
        finite = self.sweep.step(gradient, self.knobs[row], 1.0, float(self.decay[row]))
        w = np.array(self.sweep.w)
        if not (finite and np.isfinite(w).all()):
            self._fail(f"the step from {self.path[-1].tolist()} is not finite")
        self.step += 1
        self.path.append(w)

    def _fail(self, what: str) -> None:
        raise DivergedError(
            f"descend: diverged at step {self.step}: {what}; lower the learning rate",
            np.array(self.path),
        )
