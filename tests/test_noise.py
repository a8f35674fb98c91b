"""What noise draws: known answers, NumPy's numbers, the same for any batch, thread and resume."""

import math

import engine
import numpy as np
import pytest
import reference
import steep
from steep import layers, ops
from test_units import SEED, STEP, losses, trained

SHAPES = [(1, 1), (7, 17), (33, 64), (3, 300)]
# Philox4x32-10 of counter 0 and key 0 (Random123's known answers), and Box-Muller of its pairs.
WORDS = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
NORMAL = [0.9911376799, -0.9246625877, -0.6176089595, -0.4820685875]


def test_normal_numbers_of_known_words():
    seed = 0x9E3779B97F4A7C15  # which gives step 0 the key 0
    assert reference.drawn(seed, 0, 0, 1, 4).tolist() == [WORDS]
    np.testing.assert_allclose(reference.drawn_normal(seed, 0, 0, 1, 4)[0], NORMAL, atol=5e-11)
    net = engine.network(
        lambda g, x: g.normal_like(g.add_row(x, g.parameter("p", (4,), False)), True), (4,),
        precision="float64",
    )  # fmt: skip
    session = engine.session(net, seed=seed, mean=False)
    loss, _ = session.gradients([np.zeros((1, 4))], np.zeros((1, 4)), None, 0.0, 0.0)
    assert loss == pytest.approx(np.mean(np.square(NORMAL)), abs=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian_noise_adds_normal_numbers(shape):
    x = np.random.default_rng(1).standard_normal(shape)
    y = x + 0.3 * reference.drawn_normal(SEED, STEP, 0, *shape)
    loss, gradient = trained(lambda g, z: g.gaussian_noise(z, 0.3), x, np.ones(shape))
    want, dy = losses(y, np.ones(shape))
    assert loss == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(gradient, dy, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_reparameterize_draws_by_mean_and_log_variance(shape):
    x = np.random.default_rng(1).standard_normal(shape)
    n = reference.drawn_normal(SEED, STEP, 0, *shape)
    spread = np.exp(0.5 * (0.7 * x - 1))
    loss, gradient = trained(
        lambda g, z: g.reparameterize(z, g.affine(z, 0.7, -1.0), False), x, np.ones(shape)
    )
    want, dz = losses(x + spread * n, np.ones(shape))
    assert loss == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(
        gradient, dz * (1 + 0.7 * 0.5 * spread * n), rtol=1e-9, atol=1e-12 * np.abs(dz).max()
    )


def test_reparameterize_of_known_noise():
    """mean (.5, -1), log variance (0, .6), noise (.3, -.7): the numbers of the formula."""
    mean, log_variance, noise = np.array([0.5, -1.0]), np.array([0.0, 0.6]), np.array([0.3, -0.7])
    net = engine.network(
        lambda g, eye, n: g.add(
            g.matmul(eye, g.parameter("m", (1, 2), False)),
            g.multiply(
                g.activation(
                    g.affine(g.matmul(eye, g.parameter("v", (1, 2), False)), 0.5, 0.0), "exp"
                ),
                n,
            ),
        ),
        (1,), (2,), precision="float64", weights={"m": mean[None], "v": log_variance[None]},
    )  # fmt: skip
    X = [np.ones((1, 1)), noise[None]]
    np.testing.assert_allclose(net.predict(X, 1)[0], [[0.8, -1.9449011653]], atol=5e-11)
    session = engine.session(net, mean=False)
    _, found = session.gradients(X, np.zeros((1, 2)), None, 0.0, 0.0)  # of the mean of squares
    np.testing.assert_allclose(2 * found["m"], [[1.6, -3.8898023306]], atol=1e-10)
    np.testing.assert_allclose(2 * found["v"], [[0.24, 1.8377393775]], atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_uniform_and_bernoulli_follow_their_words(shape):
    x = np.random.default_rng(1).random(shape)
    unit = (reference.drawn(SEED, STEP, 0, *shape) + 0.5) / 2**32
    zeros = np.zeros(shape)
    for op, wanted in (
        (lambda g, z: g.uniform_like(z, -2.0, 1.0, False), 3 * unit - 2),
        (lambda g, z: g.bernoulli(z, False), (unit < x).astype(float)),
    ):
        loss, gradient = trained(op, x, zeros)
        assert loss == pytest.approx(losses(wanted, zeros)[0], rel=1e-12)
        assert not gradient.any()  # nothing comes back through what was drawn


def drawing(function):
    """Return a network that draws in predictions."""

    class Draw(layers.Layer):
        def call(self, x):
            return function(x)

    return steep.Sequential(Draw())


def test_normal_numbers_are_those_of_float64_and_have_their_moments():
    net = drawing(lambda x: ops.normal_like(x, sample=True)).build(1000)
    X = np.zeros((2000, 1000), np.float32)
    n = net.predict(X, seed=3)
    wanted = reference.drawn_normal(3, 0, 0, 4, 1000)
    radius = 7.0  # what a float's roundings are of: at most sqrt(66 log 2)
    assert np.abs(n[:4] - wanted).max() < 4 * radius * 2.0**-24
    count = n.size
    n = n.astype(np.float64).ravel()
    assert abs(n.mean()) < 4 / math.sqrt(count)
    assert abs(n.var() - 1) < 4 * math.sqrt(2 / count)
    assert abs((n**3).mean()) < 4 * math.sqrt(15 / count)
    assert abs((n**4).mean() - 3) < 4 * math.sqrt(96 / count)
    assert abs(np.mean(n[:-1] * n[1:])) < 4 / math.sqrt(count)
    assert 4.5 < np.abs(n).max() <= math.sqrt(66 * math.log(2))


def test_shares_of_bernoulli_are_their_probabilities():
    net = drawing(lambda p: ops.bernoulli(p, sample=True)).build(5)
    p = np.array([0.0, 1.0, 0.25, 0.9, 2.0**-12], np.float32)
    drawn = net.predict(np.tile(p, (400_000, 1)), seed=1)
    assert set(np.unique(drawn)) <= {0.0, 1.0}
    assert drawn[:, 0].max() == 0.0
    assert drawn[:, 1].min() == 1.0
    share = drawn.mean(axis=0, dtype=np.float64)
    assert np.all(np.abs(share - p) <= 4 * np.sqrt(p * (1 - p) / len(drawn)))
    unclear = drawing(lambda p: ops.bernoulli(ops.log(p), sample=True)).build(5)
    assert np.isnan(unclear.predict(np.full((1, 5), -1.0, np.float32))).all()


def test_predictions_draw_by_seed_and_place_whatever_the_batch():
    net = drawing(lambda x: ops.normal_like(x, sample=True)).build(9)
    X = np.zeros((50, 9), np.float32)
    wanted = net.predict(X, seed=5)
    assert len(np.unique(wanted)) == wanted.size
    for size in (1, 7, 50):
        np.testing.assert_array_equal(net.predict(X, batch_size=size, seed=5), wanted)
    assert not np.array_equal(net.predict(X, seed=6), wanted)
    np.testing.assert_array_equal(net.predict(X[:20], seed=5), wanted[:20])


def test_predictions_take_the_mean_where_they_do_not_sample():
    X = np.random.default_rng(0).random((5, 6)).astype(np.float32)
    for function, wanted in (
        (ops.normal_like, 0 * X),
        (lambda x: ops.uniform_like(x, 1.0, 2.0), 0 * X + 1.5),
        (ops.bernoulli, X),
        (lambda x: ops.gaussian_noise(x, 3.0), X),
    ):
        np.testing.assert_array_equal(drawing(function).build(6).predict(X), wanted)
    halves = steep.Sequential(layers.Reparameterize()).build(6)
    np.testing.assert_array_equal(halves.predict(X), X[:, :3])


def autoencoder():
    body = [layers.Dense(33, "relu"), layers.GaussianNoise(0.1), layers.Dense(10)]
    return steep.Sequential(*body, layers.Reparameterize(), layers.Dense(20), input_shape=20)


def end(threads, pause=None, batch_size=64):
    X = np.random.default_rng(0).standard_normal((300, 20)).astype(np.float32)
    with steep.threads(threads):
        trainer = steep.Trainer(autoencoder(), "mse", "adam", seed=4)
        if pause is None:
            trainer.fit(X, X, epochs=3, batch_size=batch_size, progress=False)
        else:
            trainer.fit(X, X, epochs=1, batch_size=batch_size, progress=False)
            trainer.save(pause)
            trainer = steep.Trainer.load(pause)
            trainer.fit(X, X, epochs=2, batch_size=batch_size, progress=False)
    return {name: w.tobytes() for name, w in trainer.net.state_dict().items()}


def test_bytes_do_not_depend_on_threads_and_resume_goes_on(tmp_path):
    wanted = end(1)
    for threads in (2, 3, 8):
        assert end(threads) == wanted
    assert end(2, tmp_path / "pause.npz") == wanted


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda x: ops.uniform_like(x, 2.0, 1.0), "low <= high"),
        (lambda x: ops.gaussian_noise(x, -1.0), "std"),
        (lambda x: ops.reparameterize(x, ops.slice(x, 0, 2)), "one shape"),
        (lambda x: ops.gradient_reversal(x, math.nan), "scale"),
    ],
)
def test_what_does_not_fit_is_refused(function, error):
    with pytest.raises(ValueError, match=error):
        drawing(function).build(6)
    with pytest.raises(ValueError, match="side by side"):
        steep.Sequential(layers.Reparameterize()).build(5)
