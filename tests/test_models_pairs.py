"""Models of two networks: a DCGAN's, a variational autoencoder's. Trainings: docs/results."""

import numpy as np
import pytest
import steep
from steep import models


def test_the_networks_of_a_dcgan():
    generator, critic = models.dcgan()
    generator.build(100)
    critic.build((28, 28, 1))
    assert (generator.num_parameters, critic.num_parameters) == (759_681, 138_689)
    assert generator.output_shapes == ((28, 28, 1),)
    assert critic.output_shapes == ((1,),)
    for net in (generator, critic):
        for name, value in net.state_dict().items():
            if name.endswith(".weight"):
                mean = 1.0 if value.ndim == 1 else 0.0
                assert value.mean() == pytest.approx(mean, abs=0.02), name
                assert value.std() == pytest.approx(0.02, rel=0.35), name


def test_a_small_dcgan_trains():
    generator, critic = models.dcgan((8, 16, 3), latent=5, filters=4, depth=3)
    game = steep.GAN(generator, critic, latent=5, seed=1)
    X = np.tanh(np.random.default_rng(0).standard_normal((20, 8, 16, 3))).astype(np.float32)
    history = game.fit(X, epochs=2, batch_size=8, progress=False).history
    assert np.isfinite(history["generator_loss"]).all()
    made = game.sample(3)
    assert made.shape == (3, 8, 16, 3)
    assert -1 <= made.min() <= made.max() <= 1


@pytest.mark.parametrize("shape", [(6, 4), 7])
def test_the_networks_of_a_variational_autoencoder(shape):
    made = steep.VAE(*models.vae(shape, 3, (9, 5)), latent=3, seed=0)
    sizes = (shape,) if isinstance(shape, int) else shape
    X = np.random.default_rng(0).random((20, *sizes)).astype(np.float32)
    before = made.evaluate(X)["loss"]
    made.fit(X, epochs=20, batch_size=5, progress=False)
    assert made.evaluate(X)["loss"] < before
    assert made.sample(2).shape == (2, *sizes)
    encoder, decoder = models.vae()
    encoder.build((28, 28))
    decoder.build(20)
    assert (encoder.num_parameters, decoder.num_parameters) == (330_040, 322_784)
    first = encoder.state_dict()["dense.weight"]
    assert np.abs(first).max() == pytest.approx(1 / 28, rel=1e-3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: models.dcgan((28, 28)), ValueError, "dcgan: expects images .height, width"),
        (lambda: models.dcgan((30, 28, 1)), ValueError, "multiples of 4"),
        (lambda: models.dcgan((28, 28, 1), 0), ValueError, "dcgan: latent must be at least 1"),
        (lambda: models.dcgan(filters=0), ValueError, "dcgan: filters must be at least 1"),
        (lambda: models.dcgan(depth=1.5), TypeError, "dcgan: depth must be an int"),
        (lambda: models.vae(latent=0), ValueError, "vae: latent must be at least 1"),
        (lambda: models.vae((0, 2)), ValueError, "vae: every axis must be at least 1"),
        (lambda: models.vae(units=(0,)), ValueError, "vae: units must be at least 1"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
