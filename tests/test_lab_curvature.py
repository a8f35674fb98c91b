"""Curvature by Lanczos and Hutchinson against the dense Hessian of small networks."""

import numpy as np
import pytest
import steep
from steep import lab, layers


def trainer(*parts, loss="mse", inputs=3, **options):
    net = steep.Sequential(*parts)
    net.build((inputs,), seed=2)
    return steep.Trainer(net, loss, "sgd", **options)


def batch(samples=30, inputs=3, outputs=2, seed=1):
    random = np.random.default_rng(seed)
    return random.standard_normal((samples, inputs)), random.standard_normal((samples, outputs))


def dense(trained, X, y, product="hvp"):
    """Return the whole matrix, a column for each unit vector."""
    shapes = {name: g.shape for name, g in trained.gradients(X, y)[1].items()}
    sizes = [int(np.prod(s)) for s in shapes.values()]
    columns = []
    for unit in np.eye(sum(sizes)):
        parts = np.split(unit, np.cumsum(sizes)[:-1])
        v = {n: p.reshape(s) for (n, s), p in zip(shapes.items(), parts, strict=True)}
        found = getattr(trained, product)(X, y, v)
        columns.append(np.concatenate([found[n].ravel() for n in shapes]))
    return np.array(columns)


@pytest.mark.parametrize("matrix", ["hessian", "gauss_newton"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
def test_both_ends_of_the_spectrum(loss, precision, matrix):
    X, y = batch()
    X = X.astype(precision)
    y = (y > 0).astype(float) if loss != "mse" else y
    trained = trainer(
        layers.Dense(6, "tanh"), layers.Dense(2), loss=loss, precision=precision, l2=0.01
    )
    A = dense(trained, X, y, {"hessian": "hvp", "gauss_newton": "gnvp"}[matrix])
    np.testing.assert_allclose(A, A.T, atol=1e-12)
    values = np.linalg.eigvalsh(A)
    found = lab.curvature(trained, X, y, k=3, matrix=matrix, tol=1e-10)
    np.testing.assert_allclose(found.largest, values[::-1][:3], rtol=1e-8)
    np.testing.assert_allclose(found.smallest, values[:3], atol=1e-8 * values[-1])
    for value, v in zip(found.largest, found.directions, strict=True):
        flat = np.concatenate([part.ravel() for part in v.values()])
        np.testing.assert_allclose(A @ flat, value * flat, atol=1e-6 * values[-1])
        assert np.linalg.norm(flat) == pytest.approx(1)
    assert np.isnan(found.trace)
    assert found.products <= len(A)


def test_defaults_are_within_a_percent():
    X, y = batch(200, 8)
    trained = trainer(layers.Dense(20, "gelu"), layers.Dense(2), inputs=8)
    values = np.linalg.eigvalsh(dense(trained, X, y))
    found = lab.curvature(trained, X, y)
    assert found.largest[0] == pytest.approx(values[-1], rel=1e-4)
    assert found.smallest[0] == pytest.approx(values[0], rel=0.01)
    assert found.products < len(values) / 2


def test_the_trace_and_the_density():
    X, y = batch(60)
    trained = trainer(layers.Dense(6, "tanh"), layers.Dense(2))
    A = dense(trained, X, y)
    found = lab.curvature(trained, X, y, probes=40, points=400, seed=3)
    assert abs(found.trace - np.trace(A)) < 4 * found.trace_error
    spread = np.sqrt(2 * ((A**2).sum() - (np.diag(A) ** 2).sum()) / 40)  # of vectors of signs
    assert found.trace_error == pytest.approx(spread, rel=0.4)
    step = found.values[1] - found.values[0]
    assert found.density.sum() * step == pytest.approx(1, rel=1e-3)
    mean = (found.density * found.values).sum() * step  # of all eigenvalues
    assert mean == pytest.approx(found.trace / len(A), rel=1e-3)
    plain = lab.curvature(trained, X, y, probes=40, seed=3)
    assert plain.trace == pytest.approx(found.trace, rel=1e-12)


def test_a_matrix_of_few_eigenvalues_is_done_early():
    X = np.eye(3)[np.zeros(5, int)]
    trained = trainer(layers.Dense(1, use_bias=False))
    found = lab.curvature(trained, X, np.ones(5), k=3)  # its Hessian is diag(2, 0, 0)
    np.testing.assert_allclose(found.largest, [2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(found.smallest, [0, 0, 2], atol=1e-12)


def test_looking_changes_nothing():
    X, y = batch()
    trained = trainer(layers.Dense(4, "relu"), layers.BatchNorm(), layers.Dense(2))
    before = {k: w.tobytes() for k, w in trained.net.state_dict().items()}
    lab.curvature(trained, X, y, probes=2, points=10)
    assert {k: w.tobytes() for k, w in trained.net.state_dict().items()} == before


REFUSED = [
    ({"k": 0}, "k must be at least 1"),
    ({"k": 1000}, "k=1000, but there are 12 weights"),
    ({"matrix": "fisher"}, "matrix"),
    ({"points": 5}, "need probes"),
    ({"tol": 0.0}, "tol"),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED)
def test_what_does_not_fit_is_refused(wrong, message):
    X, y = batch()
    with pytest.raises(ValueError, match=message):
        lab.curvature(trainer(layers.Dense(2), layers.Dense(2, use_bias=False)), X, y, **wrong)
