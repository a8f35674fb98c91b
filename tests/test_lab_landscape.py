"""Landscapes: values are those of the trainer, directions as described, pictures show the data."""

import numpy as np
import pytest
import steep
from steep import lab, layers
from steep.lab import landscape_picture

RANDOM = np.random.default_rng(2)
X = RANDOM.standard_normal((80, 6, 6, 1)).astype(np.float32)
Y = (X[:, :3].sum((1, 2, 3)) > 0).astype(int)


def trained(epochs=4, every="epoch", **options):
    net = steep.Sequential(
        layers.Conv2D(3, 3, activation="relu"), layers.BatchNorm(), layers.Flatten(),
        layers.Dense(2),
    ).build((6, 6, 1), seed=1)  # fmt: skip
    trainer = steep.Trainer(net, "cross_entropy", "adam", **options)
    walked = lab.Trajectory(every)
    trainer.fit(X, Y, epochs=epochs, batch_size=16, callbacks=[walked], progress=False)
    return trainer, walked


@pytest.mark.parametrize("directions", ["random", "pca"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_values_are_those_of_evaluate_and_the_trainer_is_as_before(directions, precision, tmp_path):
    trainer, walked = trained(precision=precision)
    trainer.save(tmp_path / "before")
    found = lab.landscape(trainer, X, Y, directions=directions, trajectory=walked, points=5)
    trainer.save(tmp_path / "after")
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()
    assert found.loss.shape == (5, 5)
    end = trainer.net.state_dict()
    for i, j in ((0, 0), (1, 3), (4, 2)):
        u, v = found.directions
        moved = {n: end[n].astype(float) + found.x[j] * u[n] + found.y[i] * v[n] for n in u}
        trainer.net.load_state_dict({**end, **moved})
        assert found.loss[i, j] == trainer.evaluate(X, Y)["loss"]
    assert not {n for n in found.directions[0] if "running" in n}


def test_the_number_of_workers_changes_nothing():
    trainer, _ = trained(1)
    one = lab.landscape(trainer, X, Y, points=4, workers=1)
    three = lab.landscape(trainer, X, Y, points=4, workers=3)
    assert one.loss.tobytes() == three.loss.tobytes()
    other = lab.landscape(trainer, X, Y, points=4, seed=1)
    assert one.loss.tobytes() != other.loss.tobytes()
    odd = lab.landscape(trainer, X, Y, points=3)
    assert odd.loss[1, 1] == trainer.evaluate(X, Y)["loss"]
    np.testing.assert_array_equal(odd.x, [-1, 0, 1])


def test_random_directions_have_the_length_of_each_filter():
    trainer, _ = trained(1)
    found, end = lab.landscape(trainer, X, Y, points=2), trainer.net.state_dict()
    for direction in found.directions:
        for name, part in direction.items():
            if end[name].ndim == 1:
                assert not part.any(), name
                continue
            axes = tuple(range(part.ndim - 1))
            wanted = np.linalg.norm(end[name].reshape(-1, part.shape[-1]), axis=0)
            np.testing.assert_allclose(np.sqrt((part**2).sum(axes)), wanted, rtol=1e-6)
    assert np.isnan(found.explained).all()
    assert found.path.shape == (0, 2)


def flat(point, names):
    return np.concatenate([np.asarray(point[n], float).ravel() for n in names])


def test_principal_components_are_those_of_the_trajectory():
    trainer, walked = trained(3, every=2)
    assert len(walked.points) == 1 + 3 * 5 // 2
    found = lab.landscape(trainer, X, Y, directions="pca", trajectory=walked, points=3)
    u, v = (flat(d, found.directions[0]) for d in found.directions)
    moves = np.array([flat(p, found.directions[0]) for p in walked.points])
    moves -= flat(trainer.net.state_dict(), found.directions[0])
    _, values, rows = np.linalg.svd(moves, full_matrices=False)
    assert abs(u @ rows[0]) == pytest.approx(1)
    assert abs(v @ rows[1]) == pytest.approx(1)
    np.testing.assert_allclose(found.explained, values[:2] ** 2 / (values**2).sum())
    np.testing.assert_allclose(found.path, moves @ np.column_stack([u, v]), atol=1e-9)
    for side, along in zip((found.x, found.y), found.path.T, strict=True):
        assert side[0] < along.min()
        assert side[-1] > along.max()


def test_a_quadratic_is_seen_as_it_is():
    """Mean square error of a linear network: the loss on any plane is a quadratic."""
    A = RANDOM.standard_normal((50, 3))
    trainer = steep.Trainer(
        steep.Sequential(layers.Dense(1)), "mse", steep.optimizers.SGD(0.1), precision="float64"
    )
    walked = lab.Trajectory(every=3)
    trainer.fit(A, A @ [1.0, -2.0, 0.5] + 0.1, epochs=8, callbacks=walked, progress=False)
    found = lab.landscape(
        trainer, A, A @ [1.0, -2.0, 0.5] + 0.1, directions="pca", trajectory=walked, points=7
    )
    x, y = np.meshgrid(found.x, found.y)
    basis = np.stack([x**2, y**2, x * y, x, y, np.ones_like(x)], -1).reshape(-1, 6)
    fitted = basis @ np.linalg.lstsq(basis, found.loss.ravel(), rcond=None)[0]
    np.testing.assert_allclose(fitted, found.loss.ravel(), atol=1e-10)


def test_training_is_as_without_a_trajectory():
    watched, _ = trained(2, every=1)
    plain = steep.Trainer(trained(1)[0].net, "cross_entropy", "adam")
    plain.net.build((6, 6, 1), seed=1)
    plain.fit(X, Y, epochs=2, batch_size=16, progress=False)
    for name, value in watched.net.state_dict().items():
        assert value.tobytes() == plain.net.state_dict()[name].tobytes()


def test_what_is_refused():
    trainer, walked = trained(1)
    with pytest.raises(ValueError, match='"pca" needs a trajectory of two points'):
        lab.landscape(trainer, X, Y, directions="pca")
    with pytest.raises(ValueError, match="lies on a line"):
        lab.landscape(trainer, X, Y, directions="pca", trajectory=walked.points)
    other = [{"a": np.zeros(3)}] * 3
    with pytest.raises(ValueError, match=r"point 0 has no .*weight of its shape"):
        lab.landscape(trainer, X, Y, trajectory=other)
    with pytest.raises(ValueError, match="unknown directions"):
        lab.landscape(trainer, X, Y, directions="pcs")
    with pytest.raises(ValueError, match="no weights yet"):
        lab.landscape(steep.Trainer(steep.Sequential(layers.Dense(1)), "mse", "sgd"), X, Y)
    with pytest.raises(ValueError, match="every must be"):
        lab.Trajectory(0)


def test_the_picture_shows_heights_and_path():
    pytest.importorskip("matplotlib")
    trainer, walked = trained()
    found = lab.landscape(trainer, X, Y, directions="pca", trajectory=walked, points=6)
    figure = found.plot()
    axes, bar = figure.axes
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    np.testing.assert_array_equal(lines["training"], found.path)
    np.testing.assert_array_equal(lines["start"][0], found.path[0])
    np.testing.assert_array_equal(lines["trained"], [[0, 0]])
    share = f"{100 * found.explained[0]:.0f} %"
    assert axes.get_xlabel() == f"first principal component, {share} of the variance"
    assert bar.get_ylabel() == "loss"
    filled = axes.collections[0]
    brightness = filled.cmap(filled.norm(filled.cvalues))[:, :3].mean(1)
    assert (np.diff(brightness) <= 0).all()  # low is bright
    heights, log = landscape_picture.levels_of(found.loss)
    assert log == (found.loss.max() > 10 * found.loss.min())
    assert heights[0] == pytest.approx(found.loss.min())
    plain = lab.landscape(trainer, X, Y, points=3).plot().axes[0]
    assert plain.get_ylabel() == "second random direction"
    assert landscape_picture.levels_of(np.array([-1.0, np.nan, 3.0]))[1] is False
