"""Variational autoencoders: their bound, their noise, what they refuse, how they go on."""

import numpy as np
import pytest
import steep
from steep import layers, losses, optimizers, schedules

RANDOM = np.random.default_rng(2)
X = RANDOM.random((50, 6)).astype(np.float32)


def make(**options):
    encoder = steep.Sequential(layers.Dense(9, "tanh"), layers.Dense(6), name="encoder")
    decoder = steep.Sequential(layers.Dense(9, "tanh"), layers.Dense(6), name="decoder")
    return steep.VAE(encoder, decoder, latent=3, **{"seed": 1, **options})


def state(vae):
    return {name: value.tobytes() for name, value in vae.net.state_dict().items()}


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_loss_is_the_bound_in_nats(weight):
    vae = make(kl_weight=weight, precision="float64")
    found = vae.evaluate(X)
    codes = vae.encoder.predict(X)
    mean, v = codes[:, :3], codes[:, 3:]
    kl = 0.5 * (mean**2 + np.exp(v) - v - 1).sum(axis=1).mean()
    each = losses.BinaryCrossEntropy()(vae.net.predict(X), X)  # by the same draws
    assert found["kl"] == pytest.approx(kl, rel=1e-12)
    assert found["binary_cross_entropy"] == pytest.approx(each, rel=1e-12)
    assert found["loss"] == pytest.approx(6 * each + weight * kl, rel=1e-12)
    assert kl >= 0


def test_training_lowers_it_and_samples_repeat():
    vae = make(optimizer=optimizers.Adam(0.01))
    before = vae.evaluate(X)["loss"]
    history = vae.fit(X, epochs=30, batch_size=10, progress=False).history
    assert vae.evaluate(X)["loss"] < before
    assert {"loss", "binary_cross_entropy", "kl"} <= set(history)
    assert (vae.sample(4, seed=2) == vae.sample(4, seed=2)).all()
    assert (vae.sample(4, seed=2) != vae.sample(4, seed=3)).any()
    assert vae.encode(X).shape == (50, 3)
    made = vae.reconstruct(X)
    assert made.shape == X.shape
    assert 0 < made.min() < made.max() < 1


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mse"])
def test_same_bytes_for_any_number_of_threads(loss):
    found = []
    for threads in (1, 2, 3, 8):
        with steep.threads(threads):
            vae = make(loss=loss, kl_weight=schedules.Exponential(1.0, 0.1))
            history = vae.fit(X, epochs=3, batch_size=8, progress=False)
        found.append((state(vae), history.steps["loss"]))
    assert all(each == found[0] for each in found)


def test_it_goes_on_from_its_checkpoint(tmp_path):
    class Stop:
        every = 9

        def on_step_end(self, trainer, step, logs):
            trainer.save(tmp_path / "vae")
            return "stop"

    ramp = schedules.Polynomial(0.1, 1.0, 20)
    whole, cut, again = (make(kl_weight=ramp) for _ in range(3))
    whole.fit(X, epochs=4, batch_size=8, progress=False)
    cut.fit(X, epochs=4, batch_size=8, progress=False, callbacks=Stop())
    again.load(tmp_path / "vae")
    again.fit(X, epochs=4, batch_size=8, progress=False)
    assert state(again) == state(whole)
    assert again.trainer.history.steps == whole.trainer.history.steps


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: steep.VAE(make().encoder, make().decoder, latent=0), "latent"),
        (lambda: steep.VAE(make().encoder, make().decoder, latent=4).fit(X), "2.latent"),
        (lambda: steep.VAE(layers.Dense(2), make().decoder, latent=1), "encoder must be"),
        (lambda: make(loss="cross_entropy"), "compares no sample"),
        (lambda: make(loss="bce"), "unknown loss"),
        (lambda: make(kl_weight="much").fit(X), "weight"),
        (lambda: make().fit(2 * X), "probabilities from 0 to 1"),
        (lambda: make().fit(X[:, :5]), "expects"),
    ],
)
def test_what_does_not_fit_is_refused(act, says):
    with pytest.raises((ValueError, TypeError), match=says):
        act()
