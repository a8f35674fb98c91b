"""Newton-Schulz in panels: against plain products to the bit, against float64, at every edge."""

import numpy as np
import pytest
import steep
from cases import PRECISIONS, UNIT
from steep import _core

AUTHORS = {"a": 3.4445, "b": -4.775, "c": 2.0315}
# Multiplying by b and c rounds nothing, so it does not matter whether a compiler fuses the sum.
EXACT = {"a": 3.0, "b": -4.0, "c": 2.0}
EDGES = (1, 2, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65)
# Very tall, very wide, past the rows added at a time, several units each way, a part of a
# panel, and the least that is tall.
SHAPES = (
    (784, 128),
    (128, 784),
    (128, 10),
    (10, 128),
    (1100, 40),
    (40, 2100),
    (300, 290),
    (520, 520),
    (48, 32),
    (47, 32),
)

NARROW = 4  # columns up to which a Store keeps the transpose


def matrix(shape, precision="float32"):
    return np.random.default_rng([*shape, 5]).normal(size=shape).astype(precision)


def run(matrices, **how):
    native = _core.Orthogonal(matrices)
    native.run(**how)
    return native.get()


def normalised(u):
    """Return what the iteration begins with: no step of it."""
    return run([u], steps=0)[0]


def mirrored(square):
    """Return the square with what is below its diagonal, in blocks of 16, from above."""
    low, high = (np.arange(len(square)) // 16)[:, None], np.arange(len(square)) // 16
    return np.where(low > high, square.T, square)


def by_products(u, steps, a, b, c):
    """Return the iteration by whole products in u's own precision.

    Three steps at a time where a matrix is at least half as long again as it is wide; products
    between them are symmetric up to rounding, and half of each counts.
    """
    rows, columns = u.shape
    turned = rows < columns or rows == columns <= NARROW
    x = normalised(u)
    x = np.ascontiguousarray(x.T if turned else x)

    def times(left, right, transposed=True):
        out = np.empty((left.shape[1 if transposed else 0], right.shape[1]), x.dtype)
        _core.gemm(left, right, out, transposed, False)
        return out

    def polynomial(square):
        p = x.dtype.type(c) * times(square, square) + x.dtype.type(b) * square
        p[np.diag_indices_from(p)] += x.dtype.type(a)
        return mirrored(p)

    joined = 3 if 2 * x.shape[0] >= 3 * x.shape[1] else 1
    for first in range(0, steps, joined):
        square = times(x, x)
        p = q = polynomial(square)
        for _ in range(min(joined, steps - first) - 1):
            square = mirrored(times(mirrored(times(square, p)), p))
            p = polynomial(square)
            q = mirrored(times(q, p))
        x = times(x, q, transposed=False)
    return x.T if turned else x


def truth(u, steps, a, b, c):
    """Return the authors' formula in float64, in their orientation: the short side first."""
    x = u.astype(np.float64)
    x = x / (np.linalg.norm(x) + 1e-7)
    x = x.T if u.shape[0] > u.shape[1] else x
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if u.shape[0] > u.shape[1] else x


def bound(shape, steps, precision):
    """Return how far the matrix may be from the truth, as a part of its own length.

    A step has up to five sums of at most n = max(shape) terms; their roundings grow with its root
    (Higham & Mary 2019), and |a| + |b| + |c| is about 10. It multiplies an error that is there by
    the largest slope of a s + b s^3 + c s^5 where singular values are, |s| <= 1.2: 4. First comes
    the scaling: the length is summed in 16 lanes, and four more roundings, the reference's too.
    """
    scaling = np.sqrt(np.prod(shape) / 16) + 4
    grown = sum(4**i for i in range(steps))
    return (scaling * 4**steps + 30 * np.sqrt(max(shape)) * grown) * UNIT[precision]


def check(u, got, steps):
    want = truth(u, steps, **AUTHORS)
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    assert error <= bound(u.shape, steps, u.dtype.name), (u.shape, steps, error)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("rows", EDGES)
def test_edges_are_plain_products_to_the_bit(rows, precision):
    every = [matrix((rows, columns), precision) for columns in EDGES]
    for steps in (1, 2, 5):
        for u, got in zip(every, run(every, steps=steps, **EXACT), strict=True):
            np.testing.assert_array_equal(got, by_products(u, steps, **EXACT), err_msg=u.shape)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_plain_products_to_the_bit(shape, precision):
    u = matrix(shape, precision)
    for steps in (1, 2):
        np.testing.assert_array_equal(
            run([u], steps=steps, **EXACT)[0], by_products(u, steps, **EXACT)
        )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("steps", [0, 1, 4, 5])
def test_the_authors_formula(steps, precision):
    every = [matrix(shape, precision) for shape in (*SHAPES, *((n, 33) for n in EDGES))]
    for u, got in zip(every, run(every, steps=steps, **AUTHORS), strict=True):
        check(u, got, steps)


def test_singular_values_come_near_one():
    """What it is for: the authors' coefficients leave them between 0.5 and 1.5."""
    s = np.linalg.svd(run([matrix((256, 64))])[0].astype(np.float64), compute_uv=False)
    assert s.min() > 0.5 and s.max() < 1.5


@pytest.mark.parametrize("precision", PRECISIONS)
def test_matrices_without_full_rank(precision):
    one = np.outer(np.arange(1, 71), np.arange(1, 41)).astype(precision)
    twice = np.repeat(matrix((100, 20), precision), 2, axis=1)
    empty = matrix((50, 60), precision)
    empty[:, 7:50] = 0
    every = [one, twice, empty]
    for u, got in zip(every, run(every, **AUTHORS), strict=True):
        check(u, got, 5)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("steps", [0, 4, 5])
def test_zeros_stay_zeros(steps, precision):
    every = [np.zeros(shape, precision) for shape in ((1, 1), (33, 17), (17, 33), (100, 64))]
    for eps in (1e-7, 0.0):
        assert not any(x.any() for x in run(every, steps=steps, eps=eps))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_eps_is_added_to_the_length(precision):
    u = np.full((4, 9), 0.5, precision)  # length 3
    np.testing.assert_array_equal(run([u], steps=0, eps=1.0)[0], u / 4)
    np.testing.assert_array_equal(run([u], steps=0, eps=0.0)[0], u * u.dtype.type(1 / 3))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("steps", [1, 4, 5])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_seen_in_its_own_matrix_only(bad, steps, precision):
    shapes = ((40, 17), (17, 40), (5, 5), (64, 32))
    every = [matrix(shape, precision) for shape in shapes]
    native = _core.Orthogonal(every)
    native.run(steps=steps)
    good = native.get()
    for i, u in enumerate(every):
        broken = u.copy()
        broken[-1, 0] = bad
        native.set([*every[:i], broken, *every[i + 1 :]])
        native.run(steps=steps)
        for j, got in enumerate(native.get()):
            if j == i:
                assert np.isnan(got).any()
            else:
                np.testing.assert_array_equal(got, good[j])
        native.set(every)  # nothing of it stays in padding or in scratch memory
        native.run(steps=steps)
        for got, want in zip(native.get(), good, strict=True):
            np.testing.assert_array_equal(got, want)


MANY = (
    (520, 130),
    (64, 32),
    (10, 128),
    (33, 700),
    (288, 64),
    (3, 2),
    (400, 400),
    (300, 290),
    (90, 90),
)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_same_bytes_for_any_number_of_threads_and_any_company(precision):
    every = [matrix(shape, precision) for shape in MANY]
    with steep.threads(1):
        alone = [run([u])[0] for u in every]
    for count in (1, 2, 3, 8):
        with steep.threads(count):
            for got, want in zip(run(every), alone, strict=True):
                np.testing.assert_array_equal(got, want)
            for got, want in zip(run(every[::-1])[::-1], alone, strict=True):
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_transpose_goes_the_same_way(precision):
    """Where the length is the same to the bit: the squares of these add up without rounding.

    A square matrix is worked on as it lies.
    """
    rng = np.random.default_rng(1)
    for shape in (shape for shape in MANY if shape[0] != shape[1]):
        u = rng.integers(-9, 10, shape).astype(precision)
        got, turned = run([u])[0], run([np.ascontiguousarray(u.T)])[0]
        np.testing.assert_array_equal(got, turned.T)


def test_scratch_memory_is_that_of_what_is_done_together():
    one = _core.Orthogonal([matrix((512, 512))]).bytes
    assert one >= 3 * 4 * 512 * 512
    assert _core.Orthogonal([matrix((512, 512))] * 20).bytes == one


def test_refuses_what_it_cannot_take():
    u = matrix((3, 4))
    with pytest.raises(ValueError, match="at least one matrix"):
        _core.Orthogonal([])
    with pytest.raises(ValueError, match="matrix 1 must have two axes"):
        _core.Orthogonal([u, u[0]])
    with pytest.raises(ValueError, match="matrix 0 must have two axes and an element"):
        _core.Orthogonal([u[:0]])
    with pytest.raises(TypeError, match="must all be float32 or all float64"):
        _core.Orthogonal([u, u.astype("f8")])
    with pytest.raises(TypeError, match="must all be float32 or all float64"):
        _core.Orthogonal([u.astype("i4")])
    native = _core.Orthogonal([u])
    with pytest.raises(ValueError, match="expects 1 matrices, got 2"):
        native.set([u, u])
    with pytest.raises(ValueError, match=r"matrix 0 has shape \(4, 3\), before \(3, 4\)"):
        native.set([u.T])
    with pytest.raises(ValueError, match="steps must be 0 or more, got -1"):
        native.run(steps=-1)
