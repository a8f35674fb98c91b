"""Draws inputs and states bounds for the tests of kernels; `u` is the rounding of one operation."""

import numpy as np
from cases import TINY, UNIT


def draw(seed, *shape, precision="float32", low=-1.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(precision)


def within(got, want, bound):
    """Say whether |got - want| <= bound everywhere; all float64."""
    error = np.abs(np.asarray(got, np.float64) - want)
    worst = np.max(error - bound)
    assert worst <= 0, f"error {error.flat[np.argmax(error - bound)]:.3g} above the bound"


def matmul(graph, x, n, m, bias=True):
    weight = graph.parameter("w", (n, m), True)
    return graph.matmul(x, weight, graph.parameter("b", (m,), False) if bias else -1)


def sum_bound(precision, terms, size):
    """A sum of products, in any order: n roundings at most of the sum of magnitudes (Higham)."""
    return (terms + 1) * UNIT[precision] * size + TINY[precision]
