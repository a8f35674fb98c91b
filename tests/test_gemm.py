"""Products of plain arrays against float64, at the edges of every tile, panel, block and copy."""

import numpy as np
import pytest
import steep
from cases import UNIT
from steep import _core

EDGES = [1, 7, 13, 14, 15, 16, 17, 31, 32, 33]
# Past the 32 columns of a panel, the rows from which B is packed, a block's rows and its depth.
BLOCKS = [63, 65, 127, 129, 139, 140, 141, 159, 161, 281, 1023, 1025]
FORMS = [(False, False), (False, True), (True, False), (True, True)]
MARK = 7.0  # what must stay in the memory between rows of C


def apart(rng, rows, columns, gap, dtype):
    """Rows of normal values, each `gap` elements after the end of the one before."""
    return rng.standard_normal((rows, columns + gap)).astype(dtype)[:, :columns]


def check(m, n, depth, *, forms=FORMS, gaps=(0, 0, 0), dtype=np.float32):
    rng = np.random.default_rng([m, n, depth])
    for ta, tb in forms:
        a = apart(rng, *((depth, m) if ta else (m, depth)), gaps[0], dtype)
        b = apart(rng, *((n, depth) if tb else (depth, n)), gaps[1], dtype)
        memory = np.full((m, n + gaps[2]), MARK, dtype)
        _core.gemm(a, b, memory[:, :n], ta, tb)
        left, right = (x.astype(np.float64) for x in (a.T if ta else a, b.T if tb else b))
        error = np.abs(memory[:, :n] - left @ right)
        # Each of `depth` products and sums rounds by u at most of the magnitudes (Higham, 3.5);
        # the +1 covers the second order and the reference's own rounding.
        bound = (2 * depth + 1) * UNIT[np.dtype(dtype).name] * (np.abs(left) @ np.abs(right))
        assert np.all(error <= bound), (m, n, depth, ta, tb, float(np.max(error - bound)))
        assert np.all(memory[:, n:] == MARK), (m, n, depth, ta, tb)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", EDGES)
def test_tiles(m, dtype):
    for n in EDGES:
        for depth in (1, 2, 3, 16, 33):
            check(m, n, depth, dtype=dtype)


@pytest.mark.parametrize("size", BLOCKS)
def test_blocks(size):
    check(size, 33, 17)
    check(15, size, 17)
    check(15, 33, size)
    check(size, size, 3)


def test_many_blocks_each_way():
    check(300, 300, 2050)
    check(145, 4130, 20)


@pytest.mark.parametrize("gap", [1, 3, 16])
def test_rows_apart(gap):
    for sizes in [(17, 33, 31), (141, 257, 65), (3, 1, 1)]:
        check(*sizes, gaps=(gap, 0, 0))
        check(*sizes, gaps=(0, gap, 0))
        check(*sizes, gaps=(gap, gap + 1, gap + 2))


def test_leading_dimensions_that_share_cache_sets():
    check(130, 40, 100, gaps=(1024 - 100, 2048 - 40, 1024 - 40), forms=[(False, False)])
    check(130, 40, 100, gaps=(1024 - 130, 1024 - 100, 0), forms=[(True, True)])


def test_empty():
    a, b = np.ones((3, 0), np.float32), np.ones((0, 4), np.float32)
    out = np.full((3, 4), MARK, np.float32)
    _core.gemm(a, b, out)
    assert not out.any()
    for m, n in [(0, 4), (3, 0)]:
        _core.gemm(np.ones((m, 5), np.float32), np.ones((5, n), np.float32), np.ones((m, n), "f4"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(value):
    a, b, out = (np.ones(s, np.float32) for s in ((20, 40), (40, 50), (20, 50)))
    a[13, 39] = value
    _core.gemm(a, b, out)
    np.testing.assert_array_equal(out[13], np.full(50, value, np.float32))
    assert np.all(np.delete(out, 13, axis=0) == 40)


def test_same_bits_for_any_rows_columns_and_threads():
    """Each sum runs over depth in ascending order, whatever part of C is asked for."""
    rng = np.random.default_rng(3)
    a = rng.standard_normal((300, 1100)).astype(np.float32)
    b = rng.standard_normal((1100, 270)).astype(np.float32)
    whole = np.empty((300, 270), np.float32)
    with steep.threads(1):
        _core.gemm(a, b, whole)
    for count in (2, 3, 8):
        again = np.empty_like(whole)
        with steep.threads(count):
            _core.gemm(a, b, again)
        np.testing.assert_array_equal(again, whole)
    for rows, columns in [((0, 1), (0, 270)), ((5, 38), (16, 49)), ((290, 300), (101, 270))]:
        part = np.empty((rows[1] - rows[0], columns[1] - columns[0]), np.float32)
        _core.gemm(a[slice(*rows)], b[:, slice(*columns)], part)
        np.testing.assert_array_equal(part, whole[slice(*rows), slice(*columns)])
    for ta, tb in FORMS[1:]:
        again = np.empty_like(whole)
        _core.gemm(
            np.ascontiguousarray(a.T) if ta else a,
            np.ascontiguousarray(b.T) if tb else b,
            again,
            ta,
            tb,
        )
        np.testing.assert_array_equal(again, whole)


def test_refuses_what_it_cannot_multiply():
    a, b, out = np.ones((3, 4), "f4"), np.ones((4, 5), "f4"), np.ones((3, 5), "f4")
    with pytest.raises(ValueError, match=r"\(3, 4\) times \(3, 5\)"):
        _core.gemm(a, np.ones((3, 5), "f4"), out)
    with pytest.raises(ValueError, match="ascontiguousarray"):
        _core.gemm(np.ones((4, 3), "f4").T, b, out)
    with pytest.raises(ValueError, match="two axes"):
        _core.gemm(a[0], b, out)
    with pytest.raises(TypeError, match="float32"):
        _core.gemm(a, b.astype("f8"), out)
