"""TF32 and bfloat16 on the GPU, or on its emulation: what tensor cores round, and what they do not.

Numbers that rounding leaves alone give the CPU's bytes in every pass; others are held to a float64
truth whose factors are rounded, as docs/cuda.md says.
"""

import copy
import pickle

import devices
import numpy as np
import pytest
import steep
import trainings
from devices import data, dense, left, play, same, trained, trainer_of
from emulation import EMULATED, emulating
from steep import layers, losses, models, ops, optimizers

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
BITS = {"tf32": 10, "bfloat16": 7}  # behind the point
both = pytest.mark.parametrize("precision", BITS)


def rounded(x, precision):
    """Round to the nearest number of so many bits: of two, TF32 away from 0, bfloat16 to even."""
    drop = 23 - BITS[precision]
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    half = np.uint64(1 << (drop - 1))
    up = half if precision == "tf32" else half - 1 + (bits >> np.uint64(drop) & np.uint64(1))
    return ((bits + up) >> np.uint64(drop) << np.uint64(drop)).astype(np.uint32).view(np.float32)


def linear(y, t):
    """Return a loss whose gradient by y is t."""
    return ops.sum(y * t, axis=-1, keepdims=True)


def passes(net, X, t, **options):
    """Return outputs and gradients of sum(y*t)."""
    trainer = steep.Trainer(net, linear, "sgd", reduction="sum", **options)
    gradients = trainer.gradients(X, t)[1]
    return net.predict(X), gradients


def whole(random, *shape):
    """Return small whole numbers, most of them 0, so that no sum reaches 2^8."""
    return random.choice([-1.0, 0, 0, 0, 1], shape).astype(np.float32)


def fill(net, values):
    net.load_state_dict({name: values(value.shape) for name, value in net.state_dict().items()})
    return net


def check_whole_numbers(make, inputs, samples, precision):
    random = np.random.default_rng(samples)
    net = fill(make().build(inputs), lambda shape: whole(random, *shape))
    X = whole(random, samples, *inputs)
    t = whole(random, *net.predict(X).shape)
    wanted = passes(copy.deepcopy(net), X, t)
    same(passes(net, X, t, precision=precision, device="cuda"), wanted)


@both
@pytest.mark.parametrize(
    ("samples", "inputs", "hidden", "outputs"),
    [(1, 1, 5, 5), (17, 33, 9, 31), (65, 40, 130, 7), (130, 70, 65, 3), (600, 20, 700, 6)],
)
def test_products_of_whole_numbers_are_exact(samples, inputs, hidden, outputs, precision):
    def make():
        return steep.Sequential(layers.Dense(hidden, "relu"), layers.Dense(outputs))

    check_whole_numbers(make, (inputs,), samples, precision)


# Enough rows for the largest tile of each width; fewer, and it is the next one.
TILES = [
    (15400, 37, 10), (15400, 37, 30), (3900, 37, 30), (3900, 37, 60), (7700, 37, 60),
    (15400, 21, 60), (15400, 21, 100),
]  # fmt: skip


@pytest.mark.parametrize("shape", TILES)
@pytest.mark.parametrize("precision", ["float32", *BITS])
def test_every_tile(shape, precision):
    """See with_tile in product.cuh: forward, and dW, which is deep where the other is tall."""
    samples, inputs, outputs = shape
    if precision != "float32":
        check_whole_numbers(
            lambda: steep.Sequential(layers.Dense(outputs)), (inputs,), samples, precision
        )
        return
    random = np.random.default_rng(outputs)
    X, t = (random.standard_normal((samples, n)).astype(np.float32) for n in (inputs, outputs))
    net = steep.Sequential(layers.Dense(outputs, "relu")).build((inputs,), seed=1)
    same(*(passes(copy.deepcopy(net), X, t, **named) for named in ({}, {"device": "cuda"})))


CONVOLUTIONS = {
    "plain": lambda: layers.Conv2D(9, 3, activation="relu"),
    "strided": lambda: layers.Conv2D(12, 5, 2, padding=1),
    "groups": lambda: layers.Conv2D(12, 3, groups=3),
    "alone": lambda: layers.Conv2D(6, 3, groups=6),
    "transposed": lambda: layers.Conv2DTranspose(7, 3, 2, activation="relu"),
    "wide": lambda: layers.Conv2D(40, 1),
}


@both
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_of_whole_numbers_are_exact(kind, precision):
    def make():
        return steep.Sequential(
            layers.Conv2D(6, 1), CONVOLUTIONS[kind](), layers.Flatten(), layers.Dense(5)
        )

    check_whole_numbers(make, (9, 10, 2), 13, precision)


@pytest.mark.parametrize("filters", [16, 30, 60, 72])
@pytest.mark.parametrize("channels", [3, 8])
@pytest.mark.parametrize("precision", ["float32", *BITS])
def test_convolutions_in_every_tile(filters, channels, precision):
    """Of channels that are read four at once, and one by one; forward and back."""

    def make():
        return steep.Sequential(
            layers.Conv2D(channels, 1), layers.Conv2D(filters, 3, padding=1),
            layers.Flatten(),
        )  # fmt: skip

    check_whole_numbers(make, (31, 32, 1), 16, precision)


class Gram(layers.Layer):
    """Products of the rows of a sample with each other."""

    def call(self, x):
        return ops.batch_matmul(x, x, transpose_b=True)


@both
@pytest.mark.parametrize("shape", [(5, 3), (40, 6), (3, 9, 7)])
def test_products_of_two_tensors_of_whole_numbers_are_exact(shape, precision):
    def make():
        return steep.Sequential(layers.FeatureScale(), Gram(), layers.Flatten(), layers.Dense(5))

    check_whole_numbers(make, shape, 13, precision)


@both
@pytest.mark.parametrize(("samples", "k", "n"), [(5, 7, 6), (70, 130, 40), (33, 784, 66)])
def test_products_are_those_of_rounded_factors(samples, k, n, precision):
    random = np.random.default_rng(k)
    net = steep.Sequential(layers.Dense(n, use_bias=False)).build((k,), seed=1)
    X, t = (random.standard_normal((samples, m)).astype(np.float32) for m in (k, n))
    y, gradients = passes(net, X, t, precision=precision, device="cuda")
    w = net.state_dict()
    (name,) = w
    factors = {"y": (X, w[name]), "dw": (X.T, t)}
    for what, found in (("y", y), ("dw", gradients[name])):
        a, b = (rounded(x, precision).astype(np.float64) for x in factors[what])
        bound = 2**-24 * (a.shape[1] + 1) * (abs(a) @ abs(b))
        assert (abs(found - a @ b) <= bound).all(), what
        exact = np.matmul(*(x.astype(np.float64) for x in factors[what]))
        assert (abs(found - exact) > bound).any(), f"{what}: nothing was rounded"


def identity(values, precision):
    """Return what a product by the unit matrix makes of numbers."""
    X = np.resize(np.asarray(values, np.float32), (-(-len(values) // 8), 8))
    net = steep.Sequential(layers.Dense(8, use_bias=False)).build((8,))
    (name,) = net.state_dict()
    net.load_state_dict({name: np.eye(8, dtype=np.float32)})
    t = np.zeros((1, 8), np.float32)
    y = passes(net, X[:1], t, precision=precision, device="cuda") and net.predict(X)
    return y.ravel()[: len(values)]


@both
def test_numbers_are_rounded_to_the_nearest(precision):
    """Between two, at and around the middle; up to the next power of two; the smallest normal."""
    unit = np.float32(2.0 ** -BITS[precision])
    middle = np.array([1 + unit / 2, 1 + unit * 3 / 2, 2 - unit / 2], np.float32)
    tried = [1, 1 + unit, 2**-126, 2**100, 3e38 if precision == "tf32" else 1e38]
    tried += [f(m, to) for m in middle for to in (-9, 9) for f in (lambda m, _: m, np.nextafter)]
    tried += list(np.random.default_rng(0).standard_normal(200) * 10.0 ** np.arange(-30, 20, 0.25))
    tried = np.array([*tried, *(-x for x in tried)], np.float32)
    same(identity(tried, precision), rounded(tried, precision))


@both
def test_few_outputs_stay_exact(precision):
    """Up to four, where a fragment would be nearly empty; so do channels that stand alone."""
    X = data()[0]
    random = np.random.default_rng(1)
    t = random.standard_normal((len(X), 3)).astype(np.float32)
    found = []
    for options in ({}, {"precision": precision, "device": "cuda"}):
        net = steep.Sequential(layers.Dense(3)).build((30,), seed=2)
        found.append(passes(net, X, t, **options))
    same(*found)


# Of a short training: how far the loss of any step is from that in float32, by the first one.
LOSS = {"tf32": 2e-3, "bfloat16": 2e-2}


def close(there, here, bound):
    np.testing.assert_allclose(there, here, rtol=0, atol=bound * here[0])


def small():
    conv = layers.Conv2D
    body = [conv(8, 3, padding=1), layers.BatchNorm(), layers.ReLU(), layers.MaxPool2D(2)]
    net = steep.Sequential(*body, conv(8, 3), layers.GlobalAvgPool2D(), layers.Dense(5))
    return trainings.setup(net, (10, 9, 2), samples=43)


def lenet():
    made = trainings.setup(models.lenet5(trainings.CLASSES), (28, 28, 1), samples=33)
    made.fit, made.rule = {"batch_size": 16, "epochs": 2}, optimizers.SGD(1e-3)
    return made


@both
@pytest.mark.parametrize("make", [small, lenet])
def test_trainings_go_as_in_float32(make, precision):
    there, here = (play(make(), "cuda", precision=p) for p in (precision, "float32"))
    close(there[0][4], here[0][4], LOSS[precision])
    assert list(there[0][4]) != list(here[0][4])


@both
def test_a_dense_network_learns(precision):
    X, y = data()
    options = {"clip_norm": 0.3, "l2": 1e-3, "average": "ema"}
    trainer, there = trained("cuda", X, y, 12, precision=precision, **options)
    _, here = trained("cuda", X, y, 12, **options)
    close(there[4], here[4], LOSS[precision])
    assert there[4][-1] < there[4][0]
    assert all(value.dtype == np.float32 for value in trainer.net.state_dict().values())


@emulated
@both
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 132}])
def test_no_result_depends_on_who_computes_it(settings, precision):
    X, y = data()
    wanted = play(small(), "cuda", precision=precision), trained("cuda", X, y, precision=precision)
    with emulating(**settings):
        same(play(small(), "cuda", precision=precision), wanted[0], str(settings))
        same(trained("cuda", X, y, precision=precision)[1], wanted[1][1], str(settings))


@both
def test_checkpoints_go_on_where_they_were_and_on_the_cpu(precision, tmp_path):
    X, y = data()
    whole = trained("cuda", X, y, 4, precision=precision)[1]
    begun, _ = trained("cuda", X, y, 2, precision=precision)
    begun.save(tmp_path / "half")
    again = steep.Trainer.load(tmp_path / "half")
    assert (again.device, again.precision) == ("cuda", precision)
    history = again.fit(X, y, epochs=2, batch_size=32, progress=False)
    same(left(again, history)[:2], whole[:2])
    here = steep.Trainer.load(tmp_path / "half", device="cpu")
    assert (here.device, here.precision, here.net.device) == ("cpu", "float32", "cpu")
    same(here.net.state_dict(), begun.net.state_dict())
    here.fit(X, y, epochs=1, batch_size=32, progress=False)


@both
def test_networks_leave_the_device_in_float32(precision):
    X, y = data()
    trainer, _ = trained("cuda", X, y, 1, precision=precision)
    net = trainer.net
    assert f"({precision})" in str(net.summary())
    there = net.predict(X)
    twins = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    steep.lab.gradient_flow(net, X, y, "cross_entropy")
    moved = net.to("cpu").predict(X)
    assert there.tobytes() != moved.tobytes()
    for twin in twins:
        assert (twin.device, twin.predict(X).tobytes()) == ("cpu", moved.tobytes())
    with pytest.raises(RuntimeError, match="was built again or converted"):
        trainer.fit(X, y, epochs=1, progress=False)


def test_what_is_refused():
    for precision in BITS:
        with pytest.raises(ValueError, match=f'precision="{precision}" .* use device="cuda"'):
            steep.Trainer(dense(), "cross_entropy", "adam", precision=precision)
    for device in ("cpu", "cuda"):
        with pytest.raises(ValueError, match="precision"):
            steep.Trainer(dense(), "cross_entropy", "adam", precision="float16", device=device)
    with pytest.raises(ValueError, match="infinite in float32"):
        trainer = steep.Trainer(dense(), "cross_entropy", "sgd", precision="tf32", device="cuda")
        trainer.fit(np.full((4, 30), 1e39), np.zeros(4, int), epochs=1, progress=False)


@both
def test_faults_name_their_layer(precision):
    X, y = data()
    trainer = steep.Trainer(
        dense(), losses.CrossEntropy(), optimizers.SGD(1e38), precision=precision,
        device="cuda",
    )  # fmt: skip
    with pytest.raises(steep.NonFiniteError, match=r"Dense|loss"):
        trainer.fit(X, y, epochs=5, batch_size=32, progress=False)


@both
def test_objectives_and_generators(precision):
    def generated():
        random = np.random.default_rng(0)
        X = random.uniform(-1, 1, (24, 8, 8, 1)).astype(np.float32)
        nets = models.dcgan((8, 8, 1), latent=6, filters=4, depth=2)
        made = steep.GAN(*nets, latent=6, seed=1, device="cuda", precision=precision)
        history = made.fit(X, epochs=1, batch_size=12, progress=False)
        return left(made.trainer, history)

    same(generated(), generated())
    assert trainer_of(small(), "cuda", precision=precision).precision == precision
