"""Spectral normalisation: known numbers, PyTorch's steps, laws of its vector, what is refused."""

import numpy as np
import pytest
import steep
from steep import layers

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((70, 6)).astype(np.float32)
Y = RANDOM.standard_normal((70, 3)).astype(np.float32)


def test_numbers_of_one_iteration():
    """W = [[2, 0, 1], [1, 3, -1]] as (out, in), u = (.6, .8), a step of rate 0."""
    w = np.array([[2.0, 0, 1], [1, 3, -1]]).T
    dense = layers.Dense(2, use_bias=False, init=w)
    trainer = steep.Trainer(
        steep.Sequential(layers.SpectralNorm(dense)), "mse", "sgd", precision="float64"
    )
    trainer.net.build(3)
    state = trainer.net.state_dict()
    weight, u = state
    assert (weight, u) == ("dense.weight", "spectral_norm.u")
    trainer.optimizer = steep.optimizers.SGD(0.0)
    trainer.net.load_state_dict({weight: w, u: np.array([0.6, 0.8])})
    np.testing.assert_allclose(np.eye(3) @ w / 3.2387954425, trainer.net.predict(np.eye(3)),
                               atol=1e-6)  # fmt: skip
    trainer.step(np.eye(3), np.zeros((3, 2)))
    after = trainer.net.state_dict()
    np.testing.assert_allclose(after[u], [0.3747891755, 0.9271100657], atol=5e-8)
    np.testing.assert_array_equal(after[weight], w)
    trainer.fit(np.eye(3), np.zeros((3, 2)), epochs=60, progress=False)
    outputs = trainer.net.predict(np.eye(3))
    assert np.linalg.norm(w, 2) == pytest.approx(3.3409995002, abs=5e-11)
    np.testing.assert_allclose(outputs, w / 3.3409995002, atol=1e-12)


@pytest.mark.parametrize("units", [1, 3, 4, 5, 40])
@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_steps_are_pytorchs(units, iterations):
    """Those of its first form, which begins with v as the paper does."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    inner = torch.nn.Linear(6, units).double()
    theirs = torch.nn.utils.spectral_norm(inner, n_power_iterations=iterations)
    net = steep.Sequential(layers.SpectralNorm(layers.Dense(units), iterations)).build(6)
    trainer = steep.Trainer(net, "mse", steep.optimizers.SGD(0.5), precision="float64")
    x, y = X.astype(float), np.resize(Y.astype(float), (70, units))
    trainer.gradients(x, y)  # to have it in float64
    start = (theirs.weight_orig.T, theirs.bias, theirs.weight_u)
    net.load_state_dict(
        {name: t.detach().numpy().copy() for name, t in zip(net.state_dict(), start, strict=True)}
    )
    update = torch.optim.SGD(theirs.parameters(), 0.5)
    for _ in range(5):
        update.zero_grad()
        torch.nn.functional.mse_loss(theirs(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        update.step()
        trainer.step(x, y)
    end = (theirs.weight_orig.T, theirs.bias, theirs.weight_u)
    for found, wanted in zip(net.state_dict().values(), end, strict=True):
        np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=1e-9, atol=1e-11)


def critic():
    body = [
        layers.Reshape((2, 3, 1)),
        layers.SpectralNorm(layers.Conv2D(20, 2, activation="relu")),
        layers.Flatten(),
        layers.SpectralNorm(layers.Dense(130, "relu"), 2),
        layers.SpectralNorm(layers.Dense(3, use_bias=False)),
    ]
    return steep.Trainer(steep.Sequential(*body), "mse", "adam", seed=3)


def test_norms_of_what_multiplies_are_1_in_the_end():
    trainer = critic()
    trainer.fit(X, Y, epochs=30, progress=False)
    state = trainer.net.state_dict()
    flat = steep.Sequential(layers.SpectralNorm(layers.Dense(130))).build(120)
    names = ("dense.weight", "dense.bias", "spectral_norm_1.u")
    flat.load_state_dict(dict(zip(flat.state_dict(), (state[n] for n in names), strict=True)))
    bias = state["dense.bias"]
    norm = np.linalg.norm(flat.predict(np.eye(120, dtype=np.float32)) - bias, 2)
    assert 1.0 <= norm * (1 + 1e-6) <= 1.05


def test_bytes_do_not_depend_on_threads_and_resume_goes_on(tmp_path):
    def end(threads, pause=None):
        with steep.threads(threads):
            trainer = critic()
            trainer.fit(X, Y, epochs=1 if pause else 3, batch_size=16, progress=False)
            if pause:
                trainer.save(pause)
                trainer = steep.Trainer.load(pause)
                trainer.fit(X, Y, epochs=2, batch_size=16, progress=False)
        return {name: w.tobytes() for name, w in trainer.net.state_dict().items()}

    wanted = end(1)
    for threads in (2, 3, 8):
        assert end(threads) == wanted
    assert end(2, tmp_path / "pause.npz") == wanted


def test_looks_leave_the_vector_alone():
    trainer = critic()
    trainer.fit(X, Y, epochs=1, progress=False)
    before = {name: w.tobytes() for name, w in trainer.net.state_dict().items()}
    trainer.evaluate(X, Y)
    trainer.gradients(X, Y)
    trainer.net.predict(X)
    assert {name: w.tobytes() for name, w in trainer.net.state_dict().items()} == before


def test_only_dense_layers_and_convolutions_have_it():
    for other in (layers.ReLU(), layers.Conv2DTranspose(2, 3), "dense"):
        with pytest.raises(TypeError, match="expects a Dense or a Conv2D"):
            layers.SpectralNorm(other)


def test_the_vector_of_a_frozen_layer_stays():
    layer = layers.SpectralNorm(layers.Dense(5, "tanh"), name="s")
    net = steep.Sequential(layer, layers.Dense(2)).build(4, seed=1)
    net.freeze("s")
    before = net.state_dict()
    random = np.random.default_rng(0)
    trainer = steep.Trainer(net, "mse", "sgd")
    trainer.fit(random.random((20, 4)), random.random((20, 2)), epochs=3, progress=False)
    for name, value in net.state_dict().items():
        assert np.array_equal(value, before[name]) == name.startswith("s."), name
