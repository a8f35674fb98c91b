"""Normalisation by channels: its values, its gradient, and that reading images may include it."""

import engine
import numpy as np
import pytest
import steep
from steep import data, lab, layers

MEAN, STD = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)


def images(shape, samples=20, dtype="uint8"):
    return np.random.default_rng(0).integers(0, 256, (samples, *shape)).astype(dtype)


def truth(X, mean=MEAN, std=STD):
    return (X.astype(np.float64) - mean) / std


@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 4, 3), (7, 5, 3), (16, 16, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_values(shape, dtype):
    """Fused into the reading as the first layer, and not fused after another one."""
    X = images(shape, dtype=dtype)
    for before in ([], [layers.Rescale(1.0, 0.0)], [layers.ReLU()], [layers.Rescale(1 / 255)]):
        net = steep.Sequential(*before, layers.Normalize(MEAN, STD), input_shape=shape)
        scale = 255 if before and getattr(before[0], "scale", 1) != 1 else 1
        np.testing.assert_allclose(net.predict(X), truth(X / scale), rtol=1e-5, atol=2e-6)


def test_one_channel_takes_plain_numbers():
    X = images((28, 28, 1))
    net = steep.Sequential(layers.Normalize(72.9, 90.0), input_shape=(28, 28, 1))
    np.testing.assert_allclose(net.predict(X), truth(X, 72.9, 90.0), rtol=1e-5, atol=1e-6)


def test_gradients_pass_it():
    X, y = images((4, 5, 3), 8) / 50.0, np.arange(8) % 3
    net = steep.Sequential(
        layers.Flatten(), layers.Dense(6), layers.Normalize([1.0] * 6, [0.5, 1, 2, 3, 0.25, 4]),
        layers.Dense(3, "tanh"), layers.Dense(3),
    )  # fmt: skip
    assert lab.check_gradients(net, X, y, "cross_entropy") < 1e-7


def test_gradients_of_two_readers_are_added():
    x = steep.Input((6,))
    h = layers.Dense(4)(x)
    out = layers.Dense(2)(layers.Normalize([1.0, 2, 3, 4], [2.0, 3, 4, 5])(h) + h)
    X = np.random.default_rng(0).normal(size=(9, 6))
    error = lab.check_gradients(steep.Model([x], out), X, np.arange(9) % 2, "cross_entropy")
    assert error < 1e-7


def test_the_mean_as_fill_becomes_0():
    X = np.full((6, 8, 8, 3), (10, 20, 30), np.uint8)
    change = data.Augment(shift=3, cutout=4, fill=(50.0, 60.0, 70.0))
    build = lambda g, x: g.matmul(  # noqa: E731
        g.reshape(g.affine_channels(x, [0.5] * 3, [-25.0, -30.0, -35.0]), (192,)),
        g.parameter("w", (192, 1), True),
    )
    net = engine.network(build, (8, 8, 3))
    session = engine.session(net, "mae")
    session.set_data([X], np.ones((6, 1)), None, 1, False, augment=change._settings([(8, 8, 3)]))
    engine.train(session, engine.table(steep.optimizers.SGD(1.0), 1), 6)
    assert set(np.unique(net.get("w"))) == {-20.0, 0.0}


def test_it_is_saved_with_the_network(tmp_path):
    X, y = images((4, 4, 3), 40), np.arange(40) % 2
    trainer = steep.Trainer(
        steep.Sequential(layers.Normalize(MEAN, STD), layers.Flatten(), layers.Dense(2)),
        "cross_entropy", "adam",
    )  # fmt: skip
    trainer.fit(X, y, epochs=2, progress=False)
    trainer.save(tmp_path / "t")
    again = steep.Trainer.load(tmp_path / "t")
    assert again.net.predict(X).tobytes() == trainer.net.predict(X).tobytes()
    assert list(trainer.net.state_dict()) == ["dense.weight", "dense.bias"]


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((1.0, 2.0), (1.0,), "mean has 2 numbers, std 1"),
        (0.0, 0.0, "std must be in"),
        ((0.0, np.nan), (1.0, 1.0), "mean must be in"),
    ],
)
def test_wrong_numbers(mean, std, message):
    with pytest.raises(ValueError, match=message):
        layers.Normalize(mean, std)


def test_another_number_of_channels():
    with pytest.raises(ValueError, match="expects numbers for 4 channels, got 3"):
        steep.Sequential(layers.Normalize(MEAN, STD), input_shape=(5, 4)).build()
