"""Orthogonal, identical and sparse matrices as first weights. Others: test_initializers."""

import math

import numpy as np
import pytest
import reference
import steep
from steep import layers
from steep.initializers import Dirac, Normal, Orthogonal, Sparse
from steep.network import initializers


def draw(init, shape, groups=1, seed=4, stream=2):
    fans = initializers.fans(shape, groups)
    return initializers.draw(init, shape, *fans, seed=seed, stream=stream, groups=groups)


SHAPES = [(1, 1), (1, 7), (7, 1), (5, 5), (40, 17), (17, 40), (3, 3, 4, 20), (2, 5, 3, 64)]


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal(shape):
    matrix = draw(Orthogonal(1.5), shape).reshape(-1, shape[-1])
    short = min(matrix.shape)
    square = matrix.T @ matrix if short == matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(square, 2.25 * np.eye(short), rtol=0, atol=2e-14)


def test_orthogonal_matrices_are_uniform_among_all():
    """Of Haar's measure tr(Q) has mean 0 and variance 1 (Diaconis & Shahshahani 1994), tr(Q^2) mean
    1; the first column is the normal vector itself, at length 1."""
    drawn = [draw("orthogonal", (4, 4), stream=k) for k in range(4000)]
    traces = np.array([np.trace(q) for q in drawn])
    assert abs(traces.mean()) < 5 / math.sqrt(4000)
    assert abs((traces**2).mean() - 1) < 5 * math.sqrt(2 / 4000)
    squares = np.array([np.trace(q @ q) for q in drawn])
    assert abs(squares.mean() - 1) < 5 * squares.std() / math.sqrt(4000)
    assert abs(np.mean([np.linalg.det(q) for q in drawn])) < 5 / math.sqrt(4000)
    first = reference.normal(4, 7, 4)
    column = draw("orthogonal", (4, 4), stream=7)[:, 0]
    np.testing.assert_allclose(column, first / np.linalg.norm(first), rtol=1e-13)


def test_orthogonal_values_are_those_of_every_machine():
    """Written down once: a product of reflections sums in an order of its own."""
    values = draw("orthogonal", (3, 2), seed=1, stream=0)
    known = [
        [0.38492764616051, -0.8666490421700023],
        [0.5165343469340503, -0.08272017453299196],
        [0.7648679465494315, 0.49201301855850216],
    ]
    np.testing.assert_allclose(values, known, rtol=1e-14)


def lengths(images):
    return np.sqrt((images.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))


@pytest.mark.parametrize(
    ("kernel", "groups", "channels", "filters"),
    [(3, 1, 4, 4), ((5, 1), 1, 3, 7), (4, 1, 3, 5), (3, 2, 6, 8), (2, 3, 6, 6), (1, 1, 2, 2)],
)
def test_delta_orthogonal_keeps_the_length_of_images(kernel, groups, channels, filters):
    conv = layers.Conv2D(filters, kernel, groups=groups, init="delta_orthogonal", use_bias=False)
    net = steep.Sequential(conv).build((6, 5, channels))
    X = np.random.default_rng(0).standard_normal((9, 6, 5, channels)).astype(np.float32)
    np.testing.assert_allclose(lengths(net.predict(X)), lengths(X), rtol=1e-5)
    weight = net.state_dict()["conv2d.weight"]
    assert np.count_nonzero(weight.reshape(-1, *weight.shape[2:]).any(axis=(1, 2))) == 1


@pytest.mark.parametrize(("kernel", "groups"), [(3, 1), ((5, 1), 1), (2, 1), (3, 2), (1, 3)])
def test_dirac_hands_images_on(kernel, groups):
    conv = layers.Conv2D(6, kernel, groups=groups, init="dirac")
    net = steep.Sequential(conv).build((4, 5, 6))
    X = np.random.default_rng(0).standard_normal((3, 4, 5, 6)).astype(np.float32)
    np.testing.assert_array_equal(net.predict(X), X)


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((3, 3, 4, 6), 1), ((1, 5, 6, 4), 1), ((3, 3, 2, 8), 4), ((5, 3, 3, 4), 2)],
)
def test_dirac_is_that_of_torch(shape, groups):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.init.dirac_(torch.empty(shape[3], shape[2], *shape[:2]), groups)
    ours = draw(Dirac(), shape, groups)
    np.testing.assert_array_equal(ours, theirs.numpy().transpose(2, 3, 1, 0))


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.95])
def test_sparse_has_as_many_zeros_as_that_of_torch(sparsity):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.init.sparse_(torch.empty(30, 8), sparsity).numpy().T
    ours = draw(Sparse(sparsity, 0.5), (8, 30))
    assert ((ours == 0).sum(axis=1) == (theirs == 0).sum(axis=1)).all()
    values = draw(Normal(0.5), (8, 30))
    np.testing.assert_array_equal(ours[ours != 0], values[ours != 0])


def test_sparse_zeros_do_not_depend_on_the_values():
    """Large and small numbers are zeroed alike, everywhere in a row."""
    values, zero = draw(Normal(1.0), (200, 50)), draw(Sparse(0.5, 1.0), (200, 50)) == 0
    share = zero[np.abs(values) > 1].mean()
    assert abs(share - 0.5) < 5 * 0.5 / math.sqrt((np.abs(values) > 1).sum())
    assert np.abs(zero.mean(axis=0) - 0.5).max() < 5 * 0.5 / math.sqrt(200)
