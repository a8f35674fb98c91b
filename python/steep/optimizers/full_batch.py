"""Methods for full batches: a step is an iteration on all samples, along a line that is searched.

They are for small networks and small data; their algorithms are native, in `minimize/` of the core.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from ..checks.described import settle
from ..checks.names import choose
from ..checks.numbers import NOT_NEGATIVE, POSITIVE, Range, Ranges, whole
from ..schedules.base import Number
from .base import Optimizer
from .clock import Clock, Value

__all__ = [
    "LBFGS",
    "ConjugateGradient",
    "LevenbergMarquardt",
    "NewtonCG",
]

FORMS = ("PR+", "FR", "HS", "DY")  # in the order of the core

_WOLFE = Range(0.0, 1.0, low_open=True)


@dataclass(frozen=True, repr=False)
class FullBatch(Optimizer):
    """A method that takes one iteration on all samples for a step, and an epoch.

    ``fit`` ends where nothing is left to gain. The objective is smooth: the penalty l2 is part of
    it; l1 and clipping are refused.

    Parameters
    ----------
    tol
        Settled where no element of the gradient is larger.
    change
        Settled after an iteration that lowered the objective f by no more than change*max(|f|, 1).
    """

    tol: Number = field(default=1e-5, kw_only=True)
    change: Number = field(default=2.220446049250313e-09, kw_only=True)

    ranges: ClassVar[Ranges] = {"tol": NOT_NEGATIVE, "change": NOT_NEGATIVE}
    full_batch = True

    def __post_init__(self) -> None:
        """Check the numbers; refuse a decay beside the step, which no line has."""
        super().__post_init__()
        if self.weight_decay != 0.0:
            raise ValueError(
                f"{type(self).__name__}: weight_decay={self.weight_decay!r} is not part of an "
                "objective; take the penalty l2 of the Trainer"
            )

    def _columns(self, clock: Clock) -> dict[str, Value]:
        columns = super()._columns(clock) | {"sign": self._sign}
        if "lr" in self.ranges:
            columns["lr"] = self._at("lr", clock)  # never negative: the objective is turned over
        return columns


@dataclass(frozen=True, repr=False)
class Searching(FullBatch):
    """A method that searches each line for a step that fulfils Wolfe's strong conditions.

    The search is by More and Thuente (1994): f(w + a*d) <= f(w) + c1*a*g.d, |g(w + a*d).d| <=
    c2*|g.d|.

    Parameters
    ----------
    lr
        The step a that is tried first, > 0.
    c1, c2
        Of the conditions, in (0, 1), c1 < c2.
    """

    lr: Number = 1.0
    c1: Number = field(default=1e-3, kw_only=True)
    c2: Number = field(default=0.9, kw_only=True)

    ranges: ClassVar[Ranges] = {"lr": POSITIVE, "c1": _WOLFE, "c2": _WOLFE}

    def __post_init__(self) -> None:
        """Check the numbers, and that a step can fulfil both conditions."""
        super().__post_init__()
        if isinstance(self.c1, float) and isinstance(self.c2, float) and self.c1 >= self.c2:
            raise ValueError(
                f"{type(self).__name__}: c1 must be less than c2, got {self.c1} and {self.c2}"
            )


@dataclass(frozen=True, repr=False)
class LBFGS(Searching):
    """A step along -H g, H from the last steps and changes of g (Liu & Nocedal 1989).

    H is applied by two loops over the last pairs s = w - w_before, y = g - g_before, from the last
    one back and forth again; between them g is multiplied by s.y / y.y of the last (Nocedal 1980).
    The line search chooses a::

        d = -H g
        w = w + a*d

    Parameters
    ----------
    lr
        The step a that is tried first, > 0; of the very first direction, lr / ``|g|``.
    history
        How many pairs are kept, at least 1.
    """

    history: int = 10

    rule = "lbfgs"

    @property
    def _vectors(self) -> int:
        return self.history

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        settle(self, history=whole("LBFGS", "history", self.history))


@dataclass(frozen=True, repr=False)
class ConjugateGradient(Searching):
    """Steps along directions that undo little of each other (Fletcher & Reeves 1964).

    The line search chooses a::

        d = -g + beta*d
        w = w + a*d

    With g0 the gradient before, y = g - g0 and d the direction before, beta is of `form`:
    ``"PR+"`` max(0, g.y / g0.g0) (Polak & Ribiere 1969), ``"FR"`` g.g / g0.g0 (Fletcher & Reeves
    1964), ``"HS"`` max(0, g.y / d.y) (Hestenes & Stiefel 1952), ``"DY"`` g.g / d.y (Dai & Yuan
    1999). Where d would not go down, and at first, it is -g.

    Parameters
    ----------
    lr
        The step a that is tried first, > 0, in units of the step that would gain what the last one
        did; of -g, lr / ``|g|``.
    form
        Of beta, as above.
    """

    form: str = "PR+"
    c2: Number = field(default=0.1, kw_only=True)

    rule = "conjugate_gradient"

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        settle(self, form=choose("ConjugateGradient form", self.form, {k: k for k in FORMS}))

    def _columns(self, clock: Clock) -> dict[str, Value]:
        return super()._columns(clock) | {"form": float(FORMS.index(self.form))}


@dataclass(frozen=True, repr=False)
class NewtonCG(Searching):
    """Newton's step, its system solved by conjugate gradients (Dembo & Steihaug 1983).

    H is the Hessian; the line search chooses a::

        p = -H^-1 g
        w = w + a*p

    The system is solved until ``|H p + g| <= min(1/2, sqrt(|g|))*|g|``, or until a direction of
    negative curvature shows: p is then what there was before it, -g where it is the first. Each of
    its steps is a product with the Hessian, as `Trainer.hvp`.

    Parameters
    ----------
    lr
        The step a that is tried first, > 0; Newton's own is 1.
    """

    rule = "newton_cg"


@dataclass(frozen=True, repr=False)
class LevenbergMarquardt(FullBatch):
    """A damped step of Gauss and Newton (Levenberg 1944, Marquardt 1963).

    G is their matrix, in the place of the Hessian::

        p = -(G + mu*I)^-1 g
        w = w + lr*p

    For the loss ``"mse"``: G is 2 J^T J / N, J the Jacobian of the outputs, plus the penalty's
    part. With gain the share of the gain that the model foretold, mu = mu*max(1/3, 1 - (2*gain -
    1)^3) after a step that goes down; else mu = nu*mu, nu = 2*nu, and p anew (Nielsen 1999). G is
    formed by a product for each weight and kept whole: for networks of at most 2000 weights.

    Parameters
    ----------
    lr
        The part of p that is taken, > 0.
    damping
        The first mu, > 0, in units of the curvature g.Gg / g.g.
    """

    lr: Number = 1.0
    damping: Number = 1e-3

    ranges: ClassVar[Ranges] = {"lr": POSITIVE, "damping": POSITIVE}
    rule = "levenberg_marquardt"
    _LIMIT: ClassVar[int] = 2000

    def _check_fits(self, loss: str, weights: int) -> None:
        if loss != "mse":
            raise ValueError(
                f'LevenbergMarquardt: is for the loss "mse", got "{loss}"; take NewtonCG or LBFGS'
            )
        if weights > self._LIMIT:
            raise ValueError(
                f"LevenbergMarquardt: solves for at most {self._LIMIT} weights at once, the "
                f"network has {weights}; take NewtonCG or LBFGS"
            )
