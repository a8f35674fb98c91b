"""Convolutions, pools and normalisations on the GPU, or on its emulation.

As close to the CPU as float32 lets two orders of sums be, and the same bytes whoever computes them.
The bounds are those of docs/cuda.md.
"""

import devices
import numpy as np
import pytest
import steep
import trainings
from devices import left, play, same, told, trainer_of
from emulation import EMULATED, emulating
from steep import layers, losses, models, optimizers

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
TRAININGS = {n: make for n, make in trainings.trainings().items() if devices.by_bounds(n)}
LOSS = 1e-5  # of each step of a training, relative
GRADIENT = 1e-5  # of a batch, relative to the largest of the network's
OUTPUT = 1e-5  # of a network as it begins, relative to the largest


def flat(x):
    """Return the arrays of nested dictionaries and tuples."""
    parts = x.values() if isinstance(x, dict) else x if isinstance(x, (list, tuple)) else None
    return [np.asarray(x)] if parts is None else [one for part in parts for one in flat(part)]


def distance(a, b):
    """Return the largest difference, relative to the largest number of all."""
    pairs = list(zip(flat(a), flat(b), strict=True))
    largest = max(np.abs(x).max() for x, _ in pairs)
    return max(np.abs(np.subtract(x, y)).max() for x, y in pairs) / largest


def first(x, samples):
    return [one[:samples] for one in x] if isinstance(x, list) else x[:samples]


def begun(made, device):
    """Return gradients of the first samples and outputs for them."""
    trainer = trainer_of(made, device)
    gradients = trainer.gradients(first(made.X, 16), first(made.y, 16))
    return gradients[1], made.net.predict(first(made.X, 16))


def check(make):
    there = begun(make(), "cuda")
    here = begun(make(), "cpu")
    assert distance(here[0], there[0]) < GRADIENT
    assert distance(here[1], there[1]) < OUTPUT
    there, here = (play(make(), device) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(there[0][4], here[0][4], rtol=LOSS)


@pytest.mark.parametrize("name", TRAININGS)
def test_close_to_the_cpu_or_a_refusal_by_name(name):
    try:
        check(TRAININGS[name])
    except ValueError as error:
        assert 'device="cuda": ' in str(error)
        assert "yet" in str(error)
        pytest.skip(str(error))


def segmented():
    """Pixels with classes, of which some do not count."""
    random = np.random.default_rng(0)
    y = random.integers(-1, 3, (20, 16, 12))
    made = models.unet(depth=2, filters=4, classes=3, convolutions=1, batch_norm=True)
    X = random.standard_normal((20, 16, 12, 2)).astype(np.float32)
    fit = {"batch_size": 8, "epochs": 2}
    return trainings.Setup(
        made, X, y, losses.CrossEntropy(ignore=-1), optimizers.SGD(0.05), {}, fit
    )


def test_a_network_of_pixels_with_classes():
    check(segmented)


def generated(device):
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (40, 8, 8, 1)).astype(np.float32)
    nets = models.dcgan((8, 8, 1), latent=6, filters=4, depth=2)
    rules = (optimizers.SGD(0.02, 0.5), optimizers.SGD(0.02, 0.5))
    made = steep.GAN(*nets, latent=6, optimizers=rules, seed=1, device=device)
    history = made.fit(X, epochs=2, batch_size=16, progress=False)
    return left(made.trainer, history)


def test_two_networks_against_each_other():
    there, here = generated("cuda"), generated("cpu")
    np.testing.assert_allclose(there[4], here[4], rtol=LOSS)
    assert distance(here[0], there[0]) < 1e-4


def images():
    """All kinds of kernels that sum over pixels or samples."""
    conv = layers.Conv2D
    body = [
        conv(9, 3, activation="tanh"), layers.BatchNorm(), layers.MaxPool2D(3, 2), layers.ReLU(),
        conv(12, 3, 2, groups=3), layers.LocalResponseNorm(3), conv(12, 3, groups=12),
        layers.BatchNorm(virtual_batch=5), layers.AvgPool2D(2, 1, padding=1), layers.Dropout(0.2),
        layers.Conv2DTranspose(7, 3, 2), layers.UpSample2D(2), layers.SpectralNorm(conv(6, 2)),
        layers.GlobalAvgPool2D(),
    ]  # fmt: skip
    net = steep.Sequential(*body, layers.Dense(trainings.CLASSES))
    return trainings.setup(net, (12, 11, 2), samples=43)


def test_all_kinds_of_layers():
    check(images)


@emulated
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 132}])
def test_no_result_depends_on_who_computes_it(settings):
    wanted = play(images(), "cuda")
    with emulating(**settings):
        same(play(images(), "cuda"), wanted, str(settings))


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_batches_of_any_size(batch):
    """Gradients of kernels are summed over groups of images: of a part, one and several."""

    def make():
        made = trainings.setup(models.lenet5(trainings.CLASSES), (28, 28, 1), samples=65)
        made.fit = {"batch_size": batch, "epochs": 1}
        made.X, made.y = made.X[: batch + 1], made.y[: batch + 1]
        return made

    there, here = (play(make(), device) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(there[0][4], here[0][4], rtol=LOSS)


def test_equal_and_missing_numbers_in_pools():
    """Of equal numbers the first gets the gradient; a NaN is a largest number."""
    X = np.round(np.random.default_rng(0).standard_normal((39, 6, 7, 3)) * 2 + 1).astype(np.float32)
    found = []
    for device in ("cpu", "cuda"):
        pool = layers.MaxPool2D(3, 2, padding=1)
        net = steep.Sequential(layers.Activation("log"), pool).build((6, 7, 3)).to(device)
        made = trainings.setup(
            steep.Sequential(pool, layers.Flatten(), layers.Dense(trainings.CLASSES)), (6, 7, 3),
            samples=39,
        )  # fmt: skip
        made.X = X
        found.append([np.isnan(net.predict(X)), play(made, device)])
    assert found[0][0].any()
    assert not found[0][0].all()
    same(*found)


def test_running_statistics_that_are_not_finite_end_a_step():
    X = np.full((20, 3), 1e30, np.float32)
    X[::2] = -1e30
    said = []
    for device in ("cpu", "cuda"):
        net = steep.Sequential(layers.BatchNorm(), layers.Dense(5))
        trainer = steep.Trainer(net, "cross_entropy", "sgd", device=device, seed=1)
        with pytest.raises(steep.NonFiniteError) as error:
            trainer.fit(X, np.zeros(20, int), epochs=1, batch_size=10, progress=False)
        said.append((told(error.value), trainer.steps, trainer.net.state_dict()))
    assert said[0][:2] == said[1][:2]
    same(said[1][2], said[0][2])
