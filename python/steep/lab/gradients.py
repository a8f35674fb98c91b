"""Checks and demonstrations of gradients: central differences, chains, and a closed-form oracle."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import numbers
from ..losses import Loss
from ..training.trainer import Trainer

# Balances truncation, h^2, against rounding, eps/h, of a central difference in float64.
_EPS = float(np.finfo(np.float64).eps)
_STEP = _EPS ** (1.0 / 3.0)
_FLOOR = 1e-10  # a gradient this small is compared absolutely
_DOUBTFUL = 1e-8  # relative error from which on a kink is looked for
_TRIES = 5
_ASIDE = 0.01  # how far weights are moved away from a kink


def check_gradients(
    net: Any,
    X: ArrayLike,
    y: ArrayLike,
    loss: Loss | str,
    *,
    entries: int | None = 64,
    seed: int = 0,
    **trainer: Any,
) -> float:
    """Return the largest relative error of the gradients against central differences, in float64.

    Where a kink is in the way (a ReLU at exactly 0, as zero biases make it) there is no derivative;
    the check is then made beside it, all weights moved at random by about 0.01.

    Parameters
    ----------
    net, X, y, loss
        A network, one batch, and a loss, as `Trainer` takes them. The check is made on a copy in
        float64: nothing of the network is touched, and one that is not built stays so.
    entries
        How many entries of each parameter to check, drawn at random; None: all.
    seed
        Of that choice.
    **trainer
        Further arguments of `Trainer`: l1, l2, reduction.

    Returns
    -------
    Largest of |gradient - difference| / (largest |gradient| of the same parameter), about 1e-9
    where the gradients are right; 1e-7 is a fair limit.
    """
    errors = gradient_errors(net, X, y, loss, entries=entries, seed=seed, **trainer)
    return max(errors.values(), default=0.0)


def gradient_errors(
    net: Any,
    X: ArrayLike,
    y: ArrayLike,
    loss: Loss | str,
    *,
    entries: int | None = 64,
    seed: int = 0,
    **trainer: Any,
) -> dict[str, float]:
    """Return the error of `check_gradients` for each parameter, by name."""
    if entries is not None:
        entries = numbers.whole("check_gradients", "entries", entries)
    seed = numbers.seed(seed)
    net = copy.deepcopy(net)
    checker = Trainer(net, loss, "sgd", precision="float64", seed=seed, **trainer)

    def objective() -> float:
        return float(checker.gradients(X, y)[0])

    objective()  # builds the copy where the network was not built
    before = net.state_dict()
    random = np.random.default_rng(seed)
    for _ in range(_TRIES):
        gradients = checker.gradients(X, y)[1]
        checks = {
            name: _Check(net, objective, name, gradient) for name, gradient in gradients.items()
        }
        errors = {
            name: check.error(_choose(random, gradients[name].size, entries))
            for name, check in checks.items()
        }
        if not any(check.kinked for check in checks.values()):
            break
        net.load_state_dict(
            {name: w + _ASIDE * random.standard_normal(w.shape) for name, w in before.items()}
        )
    return errors


def _choose(random: np.random.Generator, size: int, entries: int | None) -> NDArray[np.int64]:
    if entries is None or entries >= size:
        return np.arange(size, dtype=np.int64)
    return random.choice(size, entries, replace=False).astype(np.int64)


class _Check:
    """Compares one parameter's gradient with differences of the objective around its values."""

    def __init__(
        self, net: Any, objective: Callable[[], float], name: str, gradient: NDArray[Any]
    ) -> None:
        self.net, self.objective = net, objective
        self.state = net.state_dict()
        self.values = self.state[name].reshape(-1)
        self.gradient = np.asarray(gradient, dtype=np.float64).reshape(-1)
        self.scale = max(float(np.abs(self.gradient).max(initial=0.0)), _FLOOR)
        self.kinked = False

    def error(self, entries: NDArray[np.int64]) -> float:
        """Return the largest relative error of some entries; notes whether a kink made one."""
        worst = 0.0
        for entry in entries.tolist():
            at = float(self.values[entry])
            step = _STEP * max(1.0, abs(at))
            above, below = self._moved(entry, at + step), self._moved(entry, at - step)
            difference = (above - below) / ((at + step) - (at - step))
            error = abs(difference - float(self.gradient[entry])) / self.scale
            if error > _DOUBTFUL and self._has_kink(entry, step, (above, below)):
                self.kinked = True
            worst = max(worst, error)
        self.net.load_state_dict(self.state)
        return worst

    def _has_kink(self, entry: int, step: float, ends: tuple[float, float]) -> bool:
        """Second differences shrink as h^2 where the objective is smooth, as h across a kink."""
        at = float(self.values[entry])
        middle = self._moved(entry, at)
        half = self._moved(entry, at + step / 2), self._moved(entry, at - step / 2)
        excess = (sum(ends) - 2 * middle) - 4 * (sum(half) - 2 * middle)
        return abs(excess) > 64 * _EPS * abs(middle)

    def _moved(self, entry: int, value: float) -> float:
        """Return the objective with one entry moved."""
        kept = float(self.values[entry])
        self.values[entry] = value
        self.net.load_state_dict(self.state)
        self.values[entry] = kept
        return self.objective()


def chain_gradients(factors: Sequence[float]) -> NDArray[np.float64]:
    """Return what is left of a gradient after each layer of a chain: the running products.

    Factors below 1 let it vanish (0.05 five times is 3.125e-7), factors above 1 let it explode
    (15 five times is 759375).

    Parameters
    ----------
    factors
        The derivative of each layer, from the last layer to the first.
    """
    left = np.cumprod(np.asarray(factors, dtype=np.float64))
    return np.asarray(left, dtype=np.float64)


def count_derivatives(samples: int, weights: int, epochs: int = 1) -> int:
    """Return how many partial derivatives of a single sample's loss descent needs.

    Every epoch takes one for each sample and each weight, whatever the batch size: 10,000 samples
    and 10 weights cost 100,000 an epoch.

    Parameters
    ----------
    samples, weights, epochs
        Counts.

    Raises
    ------
    TypeError, ValueError
        If one is no int, or below 1.
    """
    given = {"samples": samples, "weights": weights, "epochs": epochs}
    return math.prod(numbers.whole("count_derivatives", name, n) for name, n in given.items())


def least_squares(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the w and b that minimise |X w + b - y|^2, in closed form.

    The oracle of every linear regression by descent; of all minima, the one of least norm.

    Parameters
    ----------
    X : (N, n)
        Samples in rows.
    y : (N,) or (N, m)
        Targets.

    Returns
    -------
    w : (n,) or (n, m)
    b : () or (m,)

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    inputs, targets = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if inputs.ndim != 2 or targets.ndim not in {1, 2} or len(inputs) != len(targets):
        raise ValueError(
            f"least_squares: X must be (N, n) and y (N,) or (N, m), "
            f"got {inputs.shape} and {targets.shape}"
        )
    middle, level = inputs.mean(axis=0), targets.mean(axis=0)
    w = np.asarray(np.linalg.lstsq(inputs - middle, targets - level)[0], dtype=np.float64)
    return w, np.asarray(level - middle @ w, dtype=np.float64)
