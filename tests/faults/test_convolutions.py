"""Random convolutions and pools far from the usual, against the reference; what broke memory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import test_images as images
from cases import PRECISIONS
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from steep import _core

every_precision = pytest.mark.parametrize("precision", PRECISIONS)
# STEEP_EXAMPLES: how many to try; a hunt under ASan asks for more.
generated = settings(
    max_examples=int(os.environ.get("STEEP_EXAMPLES", "150")), deadline=None, derandomize=True
)


@pytest.fixture(autouse=True, scope="module")
def checked():
    """No call may leave something in the padding."""
    _core.check_invariants(True)
    yield
    assert _core.check_invariants(False) == ""


def axis():
    """One axis: size, kernel, stride, dilation, zeros before and after; the window fits in."""

    def fits(given):
        size, kernel, _, dilation, before, after = given
        return size + before + after > (kernel - 1) * dilation

    counts = st.integers(1, 9), st.integers(1, 7), st.integers(1, 12), st.integers(1, 3)
    zeros = st.integers(0, 11), st.integers(0, 11)
    return st.tuples(*counts, *zeros).filter(fits)


def work(rows, columns, channels):
    """Elements of the padded image: keeps the reference, in loops over taps, quick."""
    return np.prod([a[0] + a[4] + a[5] for a in (rows, columns)]) * channels


@every_precision
@given(
    axis(), axis(), st.integers(1, 4), st.integers(1, 18), st.integers(1, 18), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
@generated
def test_f20_any_convolution_equals_the_reference(  # noqa: PLR0917
    precision, rows, columns, groups, inside, filters, bias, seed
):
    """Padding beyond the window, kernels above the image, strides above the kernel, groups."""
    assume(work(rows, columns, groups * inside) < 4000)
    images.conv(
        precision,
        shape=(rows[0], columns[0], groups * inside),
        kernel=(rows[1], columns[1]),
        stride=(rows[2], columns[2]),
        dilation=(rows[3], columns[3]),
        padding=(rows[4], rows[5], columns[4], columns[5]),
        groups=groups,
        filters=groups * filters,
        bias=bias,
        seed=seed,
    )


@every_precision
@given(axis(), axis(), st.integers(1, 40), st.booleans(), st.integers(0, 99))
@generated
def test_f20_any_depthwise_convolution_equals_the_reference(  # noqa: PLR0917
    precision, rows, columns, channels, bias, seed
):
    images.conv(
        precision,
        shape=(rows[0], columns[0], channels),
        kernel=(rows[1], columns[1]),
        stride=(rows[2], columns[2]),
        dilation=(rows[3], columns[3]),
        padding=(rows[4], rows[5], columns[4], columns[5]),
        groups=channels,
        filters=channels,
        bias=bias,
        seed=seed,
    )


@given(
    st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(0, 9)] * 4),
    st.sampled_from([16, 32, 48]), st.sampled_from([16, 32, 64]), st.integers(0, 99),
)  # fmt: skip
@generated
def test_f20_any_winograd_convolution_equals_the_reference(size, padding, channels, filters, seed):
    assume(all(n + sum(p) >= 3 for n, p in zip(size, (padding[:2], padding[2:]), strict=True)))
    images.conv(
        "float32",
        shape=(*size, channels),
        kernel=(3, 3),
        stride=(1, 1),
        dilation=(1, 1),
        padding=padding,
        groups=1,
        filters=filters,
        bias=True,
        seed=seed,
        tiles=True,
    )


def pool(test, precision, rows, columns, **options):
    """Run a law of pools; it lowers the zeros below the window's size, as pools ask."""
    test.hypothesis.inner_test(
        precision,
        size=(rows[0], columns[0]),
        kernel=(rows[1], columns[1]),
        stride=(rows[2], columns[2]),
        padding=(rows[4], rows[5], columns[4], columns[5]),
        **options,
    )


@every_precision
@given(axis(), axis(), st.integers(1, 40), st.booleans(), st.integers(0, 99))
@generated
def test_f20_any_pool_equals_the_reference(precision, rows, columns, channels, flag, seed):  # noqa: PLR0917
    pool(images.test_max_pool, precision, rows, columns, channels=channels, ties=flag, seed=seed)
    options = {"channels": channels, "count_padding": flag, "seed": seed}
    pool(images.test_avg_pool, precision, rows, columns, **options)


# As the row gives them: zeros longer than a row of the frame, with groups, windows of zeros only.
BROKEN = {
    "long zeros": {
        "shape": (2, 2, 64), "filters": 4, "kernel": (1, 1), "stride": (1, 8),
        "padding": (0, 0, 3, 3), "groups": 1,
    },
    "long zeros, groups": {
        "shape": (7, 4, 4), "filters": 16, "kernel": (1, 7), "stride": (7, 7),
        "padding": (1, 0, 8, 1), "groups": 4,
    },
    "zeros only": {
        "shape": (8, 8, 512), "filters": 32, "kernel": (1, 1), "stride": (32, 32),
        "padding": (0, 0, 8, 8), "groups": 1,
    },
}  # fmt: skip

SCENARIO = """
import sys
sys.path.insert(0, {tests!r})
import test_images as images
for seed in range(10):
    for precision in ("float32", "float64"):
        images.conv(precision, dilation=(1, 1), bias=True, seed=seed, **{row!r})
print("whole")
"""


@pytest.mark.parametrize("name", BROKEN)
def test_f20_numbers_are_right_and_the_heap_stays_whole(name):
    """Heap corruption ends a process, so it happens in one of its own."""
    code = SCENARIO.format(tests=str(Path(images.__file__).parent), row=BROKEN[name])
    checks = {**os.environ, "MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"}
    child = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=checks,
    )
    assert (child.returncode, child.stdout) == (0, "whole\n"), child.stderr
