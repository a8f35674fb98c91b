"""Checks and demonstrations of gradients: central differences, chains, and a closed-form oracle."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..losses import Loss
from ..trainer import Trainer

# Balances truncation, h^2, against rounding, eps/h, of a central difference in float64.
_STEP = float(np.finfo(np.float64).eps) ** (1.0 / 3.0)
_FLOOR = 1e-10  # a gradient this small is compared absolutely


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

    Parameters
    ----------
    net, X, y, loss
        A network, one batch, and a loss, as `Trainer` takes them. The network's weights and
        precision are the same afterwards.
    entries
        How many entries of each parameter to check, drawn at random; None: all.
    seed
        Of that choice.
    **trainer
        Further arguments of `Trainer`: l1, l2, reduction.

    Returns
    -------
    Largest of |gradient - difference| / (largest |gradient| of the same parameter). About 1e-9 for
    smooth functions; 1e-7 is a fair limit. A kink (ReLU at 0) nearer than 1e-5 spoils it.
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
    precision = net.native.precision if net.built else "float32"
    checker = Trainer(net, loss, "sgd", precision="float64", seed=seed, **trainer)

    def objective() -> float:
        return float(checker.gradients(X, y)[0])

    _, gradients = checker.gradients(X, y)
    before = net.state_dict()
    chosen = np.random.default_rng(seed)
    try:
        return {
            name: _error(net, objective, name, gradient, _choose(chosen, gradient.size, entries))
            for name, gradient in gradients.items()
        }
    finally:
        net.load_state_dict(before)
        net.native.convert(precision)


def _choose(generator: np.random.Generator, size: int, entries: int | None) -> NDArray[np.int64]:
    if entries is None or entries >= size:
        return np.arange(size)
    return generator.choice(size, entries, replace=False)


def _error(
    net: Any,
    objective: Callable[[], float],
    name: str,
    gradient: NDArray[Any],
    entries: NDArray[np.int64],
) -> float:
    """Compare some entries of one parameter's gradient with differences of the objective."""
    state = net.state_dict()
    values = state[name].reshape(-1)
    given = np.asarray(gradient, dtype=np.float64).reshape(-1)
    scale = max(float(np.abs(given).max(initial=0.0)), _FLOOR)
    worst = 0.0
    for entry in entries.tolist():
        at = float(values[entry])
        step = _STEP * max(1.0, abs(at))
        around = []
        for moved in (at + step, at - step):
            values[entry] = moved
            net.load_state_dict(state)
            around.append(objective())
        values[entry] = at
        difference = (around[0] - around[1]) / ((at + step) - (at - step))
        worst = max(worst, abs(difference - float(given[entry])) / scale)
    net.load_state_dict(state)
    return worst


def chain_gradients(factors: Sequence[float]) -> NDArray[np.float64]:
    """Return what is left of a gradient after each layer of a chain: the running products.

    Factors below 1 let it vanish (0.05 five times is 3.125e-7), factors above 1 let it explode
    (15 five times is 759375).

    Parameters
    ----------
    factors
        The derivative of each layer, from the last layer to the first.
    """
    return np.cumprod(np.asarray(factors, dtype=np.float64))


def count_derivatives(samples: int, weights: int, epochs: int = 1) -> int:
    """Return how many partial derivatives of a single sample's loss descent needs.

    Every epoch takes one for each sample and each weight, whatever the batch size: 10,000 samples
    and 10 weights cost 100,000 an epoch.

    Parameters
    ----------
    samples, weights, epochs
        Counts.
    """
    return samples * weights * epochs


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
