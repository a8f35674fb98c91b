"""Initial weights: the random numbers, their distributions, and what is refused."""

import math

import numpy as np
import pytest
import reference
from steep import _core
from steep.network import initializers


def test_reference_philox_gives_the_published_answers():
    """Known answers of Random123 (Salmon et al. 2011) for philox4x32-10."""
    assert reference.philox((0,) * 4, (0,) * 2) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = reference.MASK
    assert reference.philox((ones,) * 4, (ones,) * 2) == (
        0x408F276D,
        0x41C83B0E,
        0xA20BC7C6,
        0x6D5451FD,
    )


KEYS = [(0, 0), (7, 3), (2**40 + 5, 2**33 + 1)]


@pytest.mark.parametrize(("seed", "stream"), KEYS)
@pytest.mark.parametrize("n", [0, 1, 2, 7, 64])
def test_draws_are_those_of_the_reference(seed, stream, n):
    assert _core.uniform(seed, stream, n).tolist() == reference.uniform(seed, stream, n).tolist()
    normal = _core.normal(seed, stream, n)
    np.testing.assert_allclose(normal, reference.normal(seed, stream, n), rtol=1e-13, atol=1e-15)


def test_draws_differ_by_seed_and_stream_and_do_not_depend_on_their_number():
    rows = [_core.uniform(seed, stream, 50) for seed in (0, 1, 2**32) for stream in (0, 1, 2**32)]
    assert len({row.tobytes() for row in rows}) == 9
    assert _core.uniform(0, 0, 7).tolist() == rows[0][:7].tolist()


TRUTHS = {
    "he": lambda: reference.he_std(6) * reference.normal(4, 2, 30),
    "xavier": lambda: reference.xavier_bound(6, 5) * (2 * reference.uniform(4, 2, 30) - 1),
    "xavier_in": lambda: reference.xavier_in_bound(6) * (2 * reference.uniform(4, 2, 30) - 1),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_named_initialisers_equal_the_reference(name):
    values = initializers.draw(name, (6, 5), 6, 5, seed=4, stream=2)
    np.testing.assert_allclose(values, TRUTHS[name]().reshape(6, 5), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", TRUTHS)
def test_variances(name):
    """Within five standard errors: He 2/n, Xavier 2/(n+m) and, by inputs, 2/n."""
    values = initializers.draw(name, (100, 300), 100, 300, seed=1, stream=9)
    variance = 2 / 400 if name == "xavier" else 2 / 100
    kurtosis = 3.0 if name == "he" else 1.8
    error = variance * math.sqrt((kurtosis - 1) / values.size)
    assert abs(values.var() - variance) < 5 * error
    assert abs(values.mean()) < 5 * math.sqrt(variance / values.size)


def test_numbers_and_arrays():
    given = np.arange(6).reshape(2, 3)
    values = initializers.draw(given, (2, 3), 2, 3, seed=0, stream=0)
    assert values.dtype == np.float64
    assert values.tolist() == given.tolist()
    assert not np.shares_memory(values, given)
    assert initializers.draw(0.25, (3,), 2, 3, seed=0, stream=0).tolist() == [0.25] * 3


@pytest.mark.parametrize(
    "init", ["zeros", 0.1, np.ones((4, 3)), np.arange(4.0)[:, None] + [0, 0, 0]]
)
def test_equal_units_are_warned_of(init):
    with pytest.warns(UserWarning, match="stay equal"):
        initializers.draw(init, (4, 3), 4, 3, seed=0, stream=0)


@pytest.mark.parametrize(
    ("init", "error", "words"),
    [
        ("hee", ValueError, 'Dense "a" initialiser "hee"; did you mean "he"'),
        (float("nan"), ValueError, "init must be in"),
        (None, TypeError, "init must be a number"),
        (np.ones((3, 2)), ValueError, r"must have shape \(2, 3\), got \(3, 2\)"),
        (np.full((2, 3), np.inf), ValueError, "NaN or infinity"),
        (np.full((2, 3), "a"), TypeError, "must hold numbers"),
    ],
)
def test_refusals(init, error, words):
    with pytest.raises(error, match=words):
        initializers.draw(init, (2, 3), 2, 3, seed=0, stream=0, where='Dense "a"')
