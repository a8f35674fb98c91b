"""Several objectives, positions, draws and numbers of the step on the GPU: the CPU's bytes."""

import devices
import numpy as np
import pytest
import steep
from devices import data, left, net, same, told, trained
from steep import layers, losses, ops, optimizers, schedules

pytestmark = devices.NEEDED
BOTH = ("cpu", "cuda")


def goals(device, *, every=1, last=None, loss="cross_entropy", more=None, **options):
    """Two objectives over one network, each with layers of its own."""
    made = net(layers.Dense(17, "tanh"), layers.BatchNorm(), layers.Dropout(0.2)).build(
        (30,), seed=3
    )
    of = [(made.layers[0], optimizers.Adam(0.01)), (made.layers[-1], last or "momentum")]
    aims = [
        steep.Objective(loss, trains=part, optimizer=rule, name=name, every=n, **(more or {}))
        for (part, rule), name, n in zip(of, ("first", "second"), (1, every), strict=True)
    ]
    return steep.Trainer(made, objectives=aims, device=device, seed=4, **options)


@pytest.mark.parametrize("options", [{}, {"every": 3}, {"more": {"clip_norm": 0.3, "l2": 1e-3}}])
def test_several_objectives(options):
    X, y = data()
    found = []
    for device in BOTH:
        made = goals(device, **options)
        history = made.fit(X, y, epochs=5, batch_size=16, progress=False)
        gradients = [made.gradients(X, y, objective=name) for name in ("first", "second")]
        found.append((left(made, history), gradients, made.evaluate(X, y)))
    same(*found)


@pytest.mark.parametrize("step", [0, 11])
def test_faults_name_their_objective_and_find_back(step):
    X, y = data()
    found = []
    for device in BOTH:
        rate = lambda at: 1e38 if at == step else 0.01  # noqa: E731
        made = goals(device, last=optimizers.SGD(rate))
        with pytest.raises(steep.NonFiniteError) as error:
            made.fit(X, y, epochs=5, batch_size=16, progress=False)
        found.append((told(error.value), made.steps, left(made, made.history)[:2]))
    assert found[0][:2] == found[1][:2]
    same(found[1][2], found[0][2])


def mlps():
    return (
        steep.Sequential(layers.Dense(9, "relu"), layers.BatchNorm(), layers.Dense(6)),
        steep.Sequential(layers.Dense(9, layers.LeakyReLU(0.2)), layers.Dense(1)),
    )


@pytest.mark.parametrize("options", [{}, {"d_steps": 2, "loss": "wgan", "clip": 0.1}])
def test_two_networks_against_each_other(options):
    X = np.random.default_rng(0).standard_normal((70, 6)).astype(np.float32)
    found = []
    for device in BOTH:
        made = steep.GAN(*mlps(), latent=4, seed=1, device=device, **options)
        history = made.fit(X, epochs=4, batch_size=16, progress=False)
        found.append((left(made.trainer, history), made.sample(7, seed=3)))
    same(*found)


def test_a_variational_autoencoder():
    X = np.random.default_rng(2).random((70, 6)).astype(np.float32)
    found = []
    for device in BOTH:
        encoder = steep.Sequential(layers.Dense(9, "tanh"), layers.Dense(6))
        decoder = steep.Sequential(layers.Dense(9, "tanh"), layers.Dense(6))
        weight = schedules.Linear(0.0, 1.0, 12)
        made = steep.VAE(encoder, decoder, latent=3, kl_weight=weight, seed=1, device=device)
        history = made.fit(X, epochs=4, batch_size=16, progress=False)
        found.append((left(made.trainer, history), made.reconstruct(X), made.evaluate(X)))
    same(*found)


class Drawn(layers.Layer):
    def call(self, x):
        chance = ops.affine(ops.activation(x, "sigmoid"), 1.0, 0.0)
        noise = ops.uniform_like(x, -0.5, 0.7, sample=True) + ops.normal_like(x)
        return x * ops.bernoulli(chance, sample=True) + noise


BITS = (np.random.default_rng(5).random((70, 17)) > 0.6).astype(np.float32)


@pytest.mark.parametrize(
    "options", [{}, {"persistent": True, "k": 2, "hidden": 33}, {"visible": "gaussian", "lr": 1e-2}]
)
def test_boltzmann_machines(options):
    found = []
    for device in BOTH:
        made = steep.RBM(**{"hidden": 9, **options}, seed=2, device=device)
        history = made.fit(BITS, epochs=3, batch_size=16, progress=False)
        assert made.net.device == device
        found.append((left(made.trainer, history), made.transform(BITS), made.sample(3, steps=9)))
    same(*found)


def test_machines_on_top_of_each_other():
    made = [steep.DBN([17, 9, 4], device=device).fit(BITS, progress=False) for device in BOTH]
    same(*(each.transform(BITS) for each in made))
    same(*(each.network(3).predict(BITS) for each in made))


def generators():
    """What makes samples and has files of its own: makers by device."""
    two = lambda *units: steep.Sequential(*map(layers.Dense, units))  # noqa: E731
    return {
        "rbm": lambda device: steep.RBM(9, seed=1, device=device),
        "gan": lambda device: steep.GAN(two(9, 17), two(9, 1), latent=4, seed=1, device=device),
        "vae": lambda device: steep.VAE(two(9, 8), two(9, 17), latent=4, seed=1, device=device),
    }


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize("name", generators())
def test_files_of_generators_cross_devices(name, first, tmp_path):
    """They go on where the one that loads computes, which need not have the device of the file."""
    make, second = generators()[name], BOTH[1 - BOTH.index(first)]
    whole, half, other = make("cpu"), make(first), make(second)
    half.fit(BITS, epochs=2, batch_size=16, progress=False)
    half.save(tmp_path / "half")
    other.load(tmp_path / "half")
    assert other.net.device == other.trainer.device == second
    other.fit(BITS, epochs=2, batch_size=16, progress=False)
    for _ in range(2):
        whole.fit(BITS, epochs=2, batch_size=16, progress=False)
    same(left(other.trainer, other.trainer.history), left(whole.trainer, whole.trainer.history))


def test_what_is_drawn_in_training_and_in_predictions():
    X, y = data(90)
    found = []
    for device in BOTH:
        made = net(layers.Dense(11, "tanh"), Drawn(), layers.GaussianNoise(0.2))
        trainer, what = trained(device, X, y, made=made)
        found.append((what, made.predict(X, batch_size=40, seed=5), trainer.evaluate(X, y)))
    same(*found)


def test_a_reversal_by_a_schedule():
    X, y = data()
    ramp = schedules.SigmoidRamp(1.0, 9)
    found = [
        trained(d, X, y, made=net(layers.Dense(9, "tanh"), layers.GradientReversal(ramp)))[1]
        for d in BOTH
    ]
    same(*found)


SHAPES = [(2, 2), (3, 3), (5, 15), (4, 16), (3, 17), (2, 3, 5), (7, 1), (130, 33)]
REDUCTIONS = ["mean", "sum", "weighted_mean"]


def positions(shape):
    return steep.Sequential(
        layers.Dense(int(np.prod(shape))), layers.Reshape(shape), layers.Dense(shape[-1])
    )


def compare(shape, y, loss, weights=None, **options):
    X = np.random.default_rng(0).standard_normal((len(y), 6)).astype(np.float32)
    found = []
    for device in BOTH:
        made = positions(shape)
        options = {"rule": optimizers.SGD(0.01), **options}
        trainer, what = trained(
            device, X, y, 2, made=made, loss=loss, sample_weight=weights, **options
        )
        few = (X[:9], y[:9], None if weights is None else weights[:9])
        found.append((what, trainer.gradients(*few), trainer.evaluate(X, y)))
    same(*found)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_classes_of_positions(shape, reduction):
    random = np.random.default_rng(1)
    y = random.integers(-1, max(shape[-1], 2), (40, *shape[:-1])).clip(-1, shape[-1] - 1)
    if shape[-1] > 1:
        compare(shape, y, losses.CrossEntropy(ignore=-1), reduction=reduction)
        compare(shape, np.abs(y), losses.CrossEntropy(label_smoothing=0.1),
                random.random((40, *shape[:-1])), reduction=reduction)  # fmt: skip


@pytest.mark.parametrize("loss", ["mse", "huber", "binary_cross_entropy", "hinge"])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (7, 1), (130, 17)])
def test_values_of_positions_with_weights(shape, loss):
    random = np.random.default_rng(1)
    y = random.integers(0, 2, (40, *shape)).astype(float)
    for reduction in REDUCTIONS:
        compare(shape, y, loss, random.random((40, *shape[:-1])), reduction=reduction)
