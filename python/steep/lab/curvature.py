"""How an objective is curved: eigenvalues, trace and density of its Hessian, from products."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import numbers
from ..checks.names import choose
from ..training.trainer import Trainer

_MATRICES = {"hessian": "hvp", "gauss_newton": "gnvp"}
_ENOUGH = 1e-14  # of the largest product: what is left of a vector is rounding


class Curvature(NamedTuple):
    """What `curvature` found.

    Attributes
    ----------
    largest : (k,)
        Largest eigenvalues, in falling order.
    smallest : (k,)
        Smallest eigenvalues, in rising order; negative ones are ways down from a saddle.
    trace
        The sum of all eigenvalues as Hutchinson estimates it, NaN without `probes`.
    trace_error
        Its standard error; NaN of fewer than two probes.
    values : (points,)
        Where the spectrum's density was asked for, in rising order; empty without `points`.
    density : (points,)
        The density there: its integral is 1.
    directions : list of k dicts
        Eigenvectors of `largest`, of length 1, by the names of ``trainer.gradients``.
    products
        How many products with the matrix it took.
    """

    largest: NDArray[np.float64]
    smallest: NDArray[np.float64]
    trace: float
    trace_error: float
    values: NDArray[np.float64]
    density: NDArray[np.float64]
    directions: list[dict[str, NDArray[np.float64]]]
    products: int


def curvature(
    trainer: Trainer,
    X: Any,
    y: Any,
    *,
    k: int = 1,
    matrix: str = "hessian",
    steps: int = 100,
    tol: float = 1e-6,
    probes: int = 0,
    points: int = 0,
    sample_weight: Any = None,
    seed: int = 0,
) -> Curvature:
    """Return the ends of the spectrum of a trainer's Hessian on some samples (Lanczos 1950).

    Lanczos' method with full reorthogonalisation, products by `Trainer.hvp`, in float64. A rate of
    plain descent above 2/largest oscillates.

    Parameters
    ----------
    trainer
        A trainer; nothing of it is changed.
    X, y, sample_weight
        Samples, as `Trainer.fit` takes them.
    k
        How many eigenvalues at each end, of at most as many as there are weights.
    matrix
        ``"hessian"`` or ``"gauss_newton"``.
    steps
        Most steps of Lanczos; fewer where the values at the ends have converged.
    tol
        Converged where the residual |A v - value v| is at most tol times the largest |value|.
    probes
        Random vectors of signs for the trace (Hutchinson 1989), and of the density; 0 for none.
    points
        At how many places the density is given, by stochastic Lanczos quadrature of the probes
        (Golub & Meurant 1994), each value smeared over a hundredth of the spectrum; 0 for none.
    seed
        Of all random vectors.

    Raises
    ------
    TypeError, ValueError
        If something does not fit; a density without probes.
    """
    k, steps = numbers.whole("curvature", "k", k), numbers.whole("curvature", "steps", steps)
    probes = numbers.whole("curvature", "probes", probes, 0)
    points = numbers.whole("curvature", "points", points, 0)
    tol = numbers.number("curvature", "tol", tol, numbers.POSITIVE)
    if points and not probes:
        raise ValueError("curvature: points of a density need probes, at least 1")
    product = _Product(trainer, X, y, sample_weight, choose("matrix", matrix, _MATRICES))
    if k > product.size:
        raise ValueError(f"curvature: k={k}, but there are {product.size} weights")
    random = np.random.default_rng(numbers.seed(seed))
    ends = _Lanczos(product, random.standard_normal(product.size))
    ends.run(min(steps, product.size), k, tol)
    found = ends.values
    traces, runs = [], []
    for _ in range(probes):
        signs = random.choice([-1.0, 1.0], product.size)
        if points:
            run = _Lanczos(product, signs)
            run.run(min(steps, product.size), 0, tol)
            runs.append(run)
            traces.append(product.size * run.moment)
        else:
            traces.append(float(signs @ product(signs)))
    values, density = _density(runs, found, points)
    error = float(np.std(traces, ddof=1) / np.sqrt(probes)) if probes > 1 else np.nan
    return Curvature(
        found[::-1][:k].copy(),
        found[:k].copy(),
        float(np.mean(traces)) if probes else np.nan,
        error,
        values,
        density,
        [product.named(ends.vector(-1 - i)) for i in range(min(k, len(found)))],
        product.count,
    )


class _Product:
    """Products of flat vectors with the matrix of one trainer and batch."""

    def __init__(self, trainer: Trainer, X: Any, y: Any, weights: Any, name: str) -> None:
        self._given, self._weights = (X, y), weights
        self._ask = getattr(trainer, name)
        shapes = {n: a.shape for n, a in self._ask(X, y, {}, weights).items()}
        self._shapes, self.count = shapes, 0
        self.size = sum(int(np.prod(shape)) for shape in shapes.values())

    def __call__(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        self.count += 1
        found = self._ask(*self._given, self.named(v), self._weights)
        return np.concatenate([found[name].ravel() for name in self._shapes])

    def named(self, v: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return a flat vector as a direction."""
        parts, at = {}, 0
        for name, shape in self._shapes.items():
            size = int(np.prod(shape))
            parts[name] = v[at : at + size].reshape(shape)
            at += size
        return parts


class _Lanczos:
    """A tridiagonal matrix with the ends of the other's spectrum, grown vector by vector."""

    def __init__(self, product: _Product, start: NDArray[np.float64]) -> None:
        self.product = product
        self.basis = [start / np.linalg.norm(start)]
        self.diagonal: list[float] = []
        self.beside: list[float] = []
        self._solve()

    @property
    def moment(self) -> float:
        """v.Av of the first vector, of length 1."""
        return self.diagonal[0]

    def run(self, steps: int, k: int, tol: float) -> None:
        """Grow until `k` values at each end have converged (0: all steps), or no more is left."""
        size = 0.0
        while len(self.diagonal) < steps:
            w = self.product(self.basis[-1])
            size = max(size, float(np.linalg.norm(w)))
            self.diagonal.append(float(w @ self.basis[-1]))
            done = np.array(self.basis)
            for _ in range(2):  # twice is enough (Giraud, Langou & Rozloznik 2005)
                w -= done.T @ (done @ w)
            left = float(np.linalg.norm(w))
            self._solve()
            if left <= _ENOUGH * len(w) * size:
                if len(self.diagonal) >= min(steps, k):
                    return
                w = self._another(done)  # the space is closed, and more are asked for
                left = 0.0
            elif self._converged(left, k, tol):
                return
            self.beside.append(left)
            self.basis.append(w / np.linalg.norm(w))

    def vector(self, index: int) -> NDArray[np.float64]:
        """Return the eigenvector of ``values[index]``."""
        known = np.array(self.basis[: len(self.diagonal)])
        found = self.vectors[:, index] @ known
        return np.asarray(found / np.linalg.norm(found))

    def _solve(self) -> None:
        n = len(self.diagonal)
        tridiagonal = np.diag(self.diagonal) + np.diag(self.beside[: n - 1], 1)
        tridiagonal += np.diag(self.beside[: n - 1], -1)
        self.values, self.vectors = np.linalg.eigh(tridiagonal)

    def _converged(self, left: float, k: int, tol: float) -> bool:
        """Say whether the residuals of `k` values at each end are small."""
        if k == 0 or len(self.values) < 2 * k:
            return False
        residuals = left * np.abs(self.vectors[-1])
        ends = np.concatenate([residuals[:k], residuals[-k:]])
        return bool((ends <= tol * np.abs(self.values).max()).all())

    def _another(self, done: NDArray[np.float64]) -> NDArray[np.float64]:
        random = np.random.default_rng(len(done))
        w = np.asarray(random.standard_normal(done.shape[1]), np.float64)
        for _ in range(2):
            w = w - done.T @ (done @ w)
        return w


def _density(
    runs: list[_Lanczos], ends: NDArray[np.float64], points: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places and the mean of the runs' quadratures there, each value a narrow bell."""
    if not points:
        return np.empty(0), np.empty(0)
    low = min([float(ends[0])] + [float(r.values[0]) for r in runs])
    high = max([float(ends[-1])] + [float(r.values[-1]) for r in runs])
    width = max((high - low) / 100.0, 1e-12)
    places = np.linspace(low - 5 * width, high + 5 * width, points)
    density = np.zeros(points)
    for run in runs:
        weights = run.vectors[0] ** 2
        away = (places[:, None] - run.values[None, :]) / width
        density += np.exp(-0.5 * away**2) @ weights / (width * np.sqrt(2 * np.pi))
    return places, density / len(runs)
