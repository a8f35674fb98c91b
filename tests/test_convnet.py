"""The plain convolutional network: its layers and sizes, three steps, what it refuses, its name."""

from itertools import pairwise

import numpy as np
import pytest
import steep
from steep import layers, models
from steep.commands import recipe as recipes
from steep.commands import zoo


def kinds(net):
    return [type(layer).__name__ for layer in net.layers]


def test_size_as_its_docstring_has_it():
    net = models.convnet().build((28, 28, 1))
    first, second = 9 * 32 + 32, 9 * 32 * 64 + 64
    dense = 49 * 64 * 128 + 128 + 128 * 10 + 10
    assert net.num_parameters == first + second + dense
    assert net.multiply_adds == (784 * 9 * 32 + 196 * 9 * 32 * 64 + 49 * 64 * 128 + 128 * 10)
    for figure in (net.num_parameters, net.multiply_adds):
        assert f"{figure:,}" in models.convnet.__doc__


def test_layers_follow_the_arguments():
    net = models.convnet((4, 6, 8), (9, 5), 3, kernel=(5, 3), dropout=0.25)
    block, dense = ["Conv2D", "MaxPool2D"], ["Dropout", "Dense"]
    assert kinds(net) == [*block * 3, "Flatten", *dense * 3]
    net.build((17, 11, 2))
    shapes = {name: w.shape for name, w in net.state_dict().items() if w.ndim > 1}
    assert list(shapes.values()) == [
        (5, 3, 2, 4),
        (5, 3, 4, 6),
        (5, 3, 6, 8),
        (2 * 1 * 8, 9),  # 17x11, 8x5, 4x2, 2x1
        (9, 5),
        (5, 3),
    ]
    assert kinds(models.convnet(4, ())) == [*block, "Flatten", "Dense"]
    assert kinds(models.convnet(4, 7)) == [*block, "Flatten", "Dense", "Dense"]


def test_it_is_the_network_written_out():
    """Equal to its layers called one after the other, on images with and without channels."""
    net = models.convnet((3, 5), (7,), 4, kernel=5).build((12, 12), seed=3)
    same = steep.Sequential(
        layers.Conv2D(3, 5, padding="same", activation="relu"),
        layers.MaxPool2D(2, 2),
        layers.Conv2D(5, 5, padding="same", activation="relu"),
        layers.MaxPool2D(2, 2),
        layers.Flatten(),
        layers.Dense(7, "relu"),
        layers.Dense(4),
    ).build((12, 12, 1), seed=8)
    same.load_state_dict(dict(zip(same.state_dict(), net.state_dict().values(), strict=True)))
    X = np.random.default_rng(0).normal(size=(6, 12, 12)).astype(np.float32)
    np.testing.assert_array_equal(net.predict(X), same.predict(X[..., None]))


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_steps_on_one_batch(dropout):
    random = np.random.default_rng(1)
    X, y = random.normal(size=(8, 28, 28)).astype(np.float32), np.arange(8)
    net = models.convnet(dropout=dropout).build((28, 28), seed=0)
    trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.SGD(1e-3))
    losses = [trainer.evaluate(X, y)["loss"]]
    for _ in range(3):
        trainer.step(X, y)
        losses.append(trainer.evaluate(X, y)["loss"])
    assert all(later < earlier for earlier, later in pairwise(losses)), losses


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"filters": (32, 0)}, ValueError, "convnet: filters must be at least 1, got 0"),
        ({"filters": (32, 1.5)}, TypeError, "convnet: filters must be an int, got 1.5"),
        ({"units": (-1,)}, ValueError, "convnet: units must be at least 1, got -1"),
        ({"classes": "ten"}, TypeError, "convnet: classes must be an int, got 'ten'"),
        ({"dropout": 1.0}, ValueError, r"convnet: dropout must be in \[0, 1\), got 1.0"),
        ({"dropout": None}, TypeError, "convnet: dropout must be a number"),
        ({"kernel": 0}, ValueError, "kernel"),
    ],
)
def test_refusals(arguments, error, words):
    with pytest.raises(error, match=words):
        models.convnet(**arguments)


def test_the_command_line_builds_it():
    recipe = recipes.complete(recipes.Recipe("fashion-mnist", model="cnn"), 54000)
    assert recipe.model in zoo.known()
    assert recipe.units == ()
    parts = zoo.build("cnn", (28, 28), 10)
    assert kinds(parts[-1])[:4] == ["Conv2D", "MaxPool2D"] * 2
    assert steep.Sequential(*parts).build((28, 28)).predict(np.zeros((2, 28, 28))).shape == (2, 10)
