"""Symmetric skips between an encoder and a decoder, in the functional form (Ronneberger 2015)."""

import numpy as np
import steep
from steep import layers, ops


class Concat(layers.Layer):
    """Joins channels."""

    def call(self, x, skip):
        return ops.concat([x, skip])


def unet(channels=3):
    x = steep.Input((12, 8, channels))
    skips, h = [], x
    for filters in (16, 32):
        h = layers.Conv2D(filters, 3, activation="tanh")(h)
        skips.append(h)
        h = layers.Conv2D(filters, 3, stride=2, activation="tanh")(h)
    for filters, skip in zip((32, 16), reversed(skips), strict=True):
        h = Concat()(layers.UpSample2D(2)(h), skip)
        h = layers.Conv2D(filters, 3, activation="tanh")(h)
    return steep.Model(x, layers.Flatten()(layers.Conv2D(1, 1)(h)))


def test_upsampling_repeats_pixels():
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 5)).astype("f")
    net = steep.Sequential(layers.UpSample2D((2, 3))).build((3, 2, 5))
    np.testing.assert_allclose(net.predict(x), x.repeat(2, axis=1).repeat(3, axis=2), rtol=1e-6)


def test_gradients_through_symmetric_skips():
    random = np.random.default_rng(1)
    net = unet()
    net.build((12, 8, 3))
    X, y = random.standard_normal((3, 12, 8, 3)), random.standard_normal((3, 96))
    assert steep.lab.check_gradients(net, X, y, "mse", entries=12) < 1e-7


def test_it_learns_to_copy_an_image():
    random = np.random.default_rng(2)
    X = random.standard_normal((64, 12, 8, 1)).astype("f")
    net = unet(1)
    trainer = steep.Trainer(net, "mse", steep.optimizers.Adam(3e-3), seed=1)
    history = trainer.fit(X, X.reshape(64, -1), epochs=40, batch_size=16, progress=False)
    assert history.history["loss"][-1] < 0.2 * history.history["loss"][0]
