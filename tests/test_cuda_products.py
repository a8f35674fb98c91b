"""Products with derivatives by themselves on the GPU, or its emulation: the CPU's bytes.

What they are: test_derivatives. Trainings that ask for them: test_cuda_second_order.
"""

import copy

import devices
import numpy as np
import pytest
import steep
from devices import data, net, same
from emulation import EMULATED, counted, emulating
from steep import lab, layers, losses, ops
from steep.losses.composed import OfOps
from test_cuda_second_order import BOTH, LOSSES, NETS, targets, values

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")


def trainer(device, made, loss="mse", **options):
    return steep.Trainer(made(), loss, "sgd", device=device, seed=3, **options)


def directions(trained, X, y, weights=None, seed=5):
    """Return a direction of the weights, and one of the outputs."""
    random = np.random.default_rng(seed)
    gradients = trained.gradients(X, y, weights)[1]
    v = {name: random.standard_normal(gradients[name].shape) for name in sorted(gradients)}
    return v, random.standard_normal(trained.jvp(X, {}).shape)


def products(trained, X, y, weights=None):
    """Return all that there are."""
    v, u = directions(trained, X, y, weights)
    names = ("hvp",) if isinstance(trained.loss, OfOps) else ("hvp", "gnvp")
    second = [getattr(trained, name)(X, y, v, weights) for name in names]
    return *second, trained.jvp(X, v), trained.vjp(X, u)


def both(X, y, made, weights=None, **options):
    """Expect the same bytes of both devices, and something in them."""
    found = [products(trainer(device, made, **options), X, y, weights) for device in BOTH]
    same(found[1], found[0])
    *_, along, gradient = found[0]
    arrays = [*found[0][0].values(), *gradient.values(), along]
    assert all(np.isfinite(a).all() for a in arrays)
    assert any(a.any() for a in gradient.values())
    assert along.any()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("columns", [2, 17])
def test_every_loss(name, columns):
    kind, loss = LOSSES[name]
    made = lambda: steep.Sequential(layers.Dense(5, "tanh"), layers.Dense(columns))  # noqa: E731
    both(data(40, 6)[0], targets(kind, 40, columns), made, loss=loss)


@pytest.mark.parametrize("made", NETS)
def test_networks_of_every_kind(made):
    both(data(40)[0], values(40), NETS[made])


def images(shape, samples=5, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((samples, *shape)).astype(np.float32)


def convolved(*parts):
    return lambda: steep.Sequential(layers.Activation("tanh"), *[p() for p in parts],
                                    layers.Flatten(), layers.Dense(3))  # fmt: skip


def conv(*args, **options):
    return lambda: layers.Conv2D(*args, **options)


def back(*args, **options):
    return lambda: layers.Conv2DTranspose(*args, **options)


CONVOLUTIONS = {
    "of one pixel": ((5, 6, 4), conv(7, 1)),
    "same": ((6, 7, 3), conv(5, 3)),
    "valid": ((6, 7, 3), conv(5, 3, padding="valid")),
    "even, padded on one side": ((5, 6, 3), conv(4, (2, 4), padding=(1, 0, 2, 1))),
    "one filter, whose pixels share a vector": ((6, 8, 3), conv(1, 3)),
    "few filters, which do not": ((6, 7, 2), conv(6, 3)),
    "more than a panel": ((5, 4, 3), conv(40, 3)),
    "tiles of 3 by 3 with whole lanes": ((6, 6, 16), conv(16, 3)),
    "strides": ((9, 8, 3), conv(5, 3, 2)),
    "strides beyond the kernel": ((9, 8, 3), conv(5, (1, 2), 3, padding="valid")),
    "dilated": ((9, 8, 3), conv(5, 3, dilation=2)),
    "dilated with strides": ((11, 9, 2), conv(5, (2, 3), (2, 1), dilation=(3, 2))),
    "groups": ((6, 7, 6), conv(9, 3, groups=3)),
    "groups, padded strips": ((21, 30, 16), conv(6, 3, groups=2)),
    "groups of many filters": ((5, 4, 4), conv(68, 2, 2, groups=2)),
    "groups of one pixel": ((1, 1, 6), conv(9, 1, groups=3)),
    "every channel alone": ((6, 7, 5), conv(5, 3, groups=5)),
    "every channel alone, wide": ((4, 23, 3), conv(3, (2, 6), groups=3)),
    "every channel alone, strides": ((9, 8, 18), conv(18, 3, 2, dilation=2, groups=18)),
    "every channel alone, one pixel": ((1, 1, 6), conv(6, 1, groups=6)),
    "without a bias": ((6, 7, 3), conv(5, 3, use_bias=False)),
    "relu": ((6, 7, 3), conv(5, 3, activation="relu")),
    "gelu, kept before": ((6, 7, 3), conv(5, 3, activation="gelu")),
    "relu, every channel alone": ((6, 7, 3), conv(3, 3, groups=3, activation="relu")),
    "back": ((4, 5, 3), back(5, 3)),
    "back, strides": ((4, 5, 3), back(5, 3, 2, activation="relu")),
    "back, more": ((4, 5, 3), back(4, (4, 3), (3, 2), padding=1, output_padding=1)),
    "back, groups": ((4, 5, 6), back(9, 3, 2, groups=3, activation="tanh")),
    "back, every channel alone": ((4, 5, 5), back(5, 3, 2, groups=5)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("samples", [1, 11])
def test_convolutions(name, samples):
    """Between two others, so that gradients pass through; in several parts of the batch."""
    shape, made = CONVOLUTIONS[name]
    both(images(shape, samples), values(samples, 3), convolved(made, conv(3, 1)))


def test_gradients_in_many_parts():
    """More than 64 rows of sums, of 8 images each, and of 64."""
    one = convolved(conv(2, 1), conv(2, 1, groups=2))
    both(images((1, 1, 2), 530), values(530, 3), one)
    both(images((2, 2, 2), 530), values(530, 3), convolved(conv(2, 2, groups=2)))


def test_sequences():
    parts = (layers.Conv1D(6, 3, activation="tanh"), layers.Conv1D(4, 2, 2), layers.Flatten())
    made = lambda: steep.Sequential(*copy.deepcopy(parts), layers.Dense(3))  # noqa: E731
    both(images((12, 5), 9), values(9, 3), made)


def framed():
    start = steep.Input((5, 6, 3))
    x = layers.Conv2D(4, 3, activation="tanh")(start)
    wide = layers.ZeroPad2D((2, 1, 0, 3), channels=(1, 2))(x)
    y = layers.Conv2D(2, 2)(wide)
    both = ops.concat([layers.Flatten()(y), layers.Flatten()(x)])
    return steep.Model(start, layers.Dense(3)(both))


WINDOWS = {
    "largest": lambda: layers.MaxPool2D(2),
    "largest, over each other": lambda: layers.MaxPool2D(3, 2, padding=1),
    "largest, apart": lambda: layers.MaxPool2D((1, 2), 3),
    "means": lambda: layers.AvgPool2D(2),
    "means, over each other": lambda: layers.AvgPool2D(3, 1, padding="same"),
    "means with the padding": lambda: layers.AvgPool2D((3, 2), 2, padding=1, count_padding=True),
    "largest of all": layers.GlobalMaxPool2D,
    "means of all": layers.GlobalAvgPool2D,
    "larger": lambda: layers.UpSample2D((2, 3)),
    "neighbours": lambda: layers.LocalResponseNorm(3, 0.3, 0.6, 1.5),
    "all neighbours": lambda: layers.LocalResponseNorm(21),
    "in a frame": lambda: layers.ZeroPad2D((1, 2, 0, 1), channels=(2, 1)),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name):
    """What slides over images; of ReLU's zeros many are the largest."""
    part = WINDOWS[name]
    made = lambda: steep.Sequential(  # noqa: E731
        layers.Conv2D(5, 2, activation="relu"), layers.BatchNorm(), layers.ReLU(),
        part(), layers.Flatten(), layers.Dense(3),
    )  # fmt: skip
    both(images((7, 6, 2), 9), values(9, 3), made)


NORMS = {
    "batch norm": lambda: [layers.BatchNorm(), layers.ReLU()],
    "batch norm of parts": lambda: [layers.BatchNorm(virtual_batch=4)],
    "batch norm of a residual": lambda: [
        layers.Residual(layers.Conv2D(5, 3), layers.BatchNorm()), layers.ReLU()
    ],
    "layer norm": lambda: [layers.LayerNorm()],
    "group norm": lambda: [layers.Conv2D(6, 1), layers.GroupNorm(3)],
    "instance norm": lambda: [layers.InstanceNorm()],
}  # fmt: skip


@pytest.mark.parametrize("name", NORMS)
def test_norms_of_images(name):
    made = lambda: steep.Sequential(  # noqa: E731
        layers.Conv2D(5, 3), *NORMS[name](), layers.Flatten(), layers.Dense(3)
    )
    both(images((5, 6, 2), 9), values(9, 3), made)


def test_images_in_frames_and_branches():
    both(images((5, 6, 3)), values(5, 3), framed)


def test_weights_penalties_and_numbers_of_the_step():
    X, y = data(40, 6)[0], values(40, 3)
    made = lambda: net(layers.Dense(7, "tanh"), layers.Dense(3))  # noqa: E731
    weights = np.random.default_rng(1).random(40)
    wide = lambda: steep.Sequential(layers.Dense(7, "tanh"), layers.Dense(3))  # noqa: E731
    for reduction in ("mean", "weighted_mean", "sum"):
        for given in (None, weights):
            both(X, y, wide, given, reduction=reduction, l2=0.3, l1=0.1)
    both(X, values(40), made, l2=lambda step: 0.1 + step, decay_bias=True)


def test_several_outputs_and_losses():
    """Products are of their sum; J is that of the first."""

    def heads():
        start = steep.Input(6)
        x = layers.Dense(7, "tanh")(start)
        return steep.Model(start, {"a": layers.Dense(2)(x), "b": layers.Dense(9)(x)})

    X, y = data(40, 6)[0], {"a": values(40, 2), "b": targets("labels", 40, 9)}
    loss = {"a": losses.MeanSquaredError(), "b": losses.CrossEntropy()}
    found = []
    for device in BOTH:
        made = trainer(device, heads, loss=loss, loss_weights={"a": lambda step: 0.5, "b": 2.0})
        v = {name: w + 0.1 for name, w in made.net.build().state_dict().items()}
        found.append([made.hvp(X, y, v), made.gnvp(X, y, v)])
    same(*found)
    assert any(a.any() for a in found[0][0].values())


def test_losses_of_positions():
    random = np.random.default_rng(2)
    X, y = random.standard_normal((20, 6, 4)).astype(np.float32), random.integers(0, 3, (20, 6))
    made = lambda: steep.Sequential(layers.Dense(4, "tanh"), layers.Dense(3))  # noqa: E731
    weights = random.random((20, 6)).astype(np.float32)
    for given in (None, weights):
        both(X, y, made, given, loss=losses.CrossEntropy(ignore=1))


@pytest.mark.parametrize("columns", [3, 16, 17, 40])
def test_an_odd_number_of_positions(columns):
    """Half a warp takes one: the other half of the last has none."""
    X = np.random.default_rng(2).standard_normal((11, 3, 4)).astype(np.float32)
    made = lambda: steep.Sequential(  # noqa: E731
        layers.Dense(columns), layers.Softmax(), layers.Dense(columns), layers.LayerNorm(),
        layers.Flatten(), layers.Dense(2),
    )  # fmt: skip
    both(X, values(11, 2), made)


def test_other_batches_and_steps_between_them():
    """A larger batch makes room anew, a step moves the point."""
    X, y = data(90, 6)[0], values(90)
    made = lambda: net(layers.Dense(9, "tanh"), layers.Dropout(0.3))  # noqa: E731
    found = []
    for device in BOTH:
        all_of = []
        trained = trainer(device, made)
        for rows in (20, 90, 7):
            all_of.append(products(trained, X[:rows], y[:rows]))
            trained.step(X, y)
        found.append(all_of)
    same(found[1], found[0])


def test_nothing_moves_along_nothing():
    X, y = data(20, 6)[0], values(20)
    made = trainer("cuda", lambda: net(layers.Dense(4, "tanh")))
    assert not any(a.any() for a in made.hvp(X, y, {}).values())
    assert not made.jvp(X, {}).any()


def test_a_network_without_weights():
    X = values(20)
    made = trainer("cuda", lambda: steep.Sequential(layers.Activation("tanh")))
    assert made.hvp(X, X, {}) == made.gnvp(X, X, {}) == made.vjp(X, X) == {}
    assert not made.jvp(X, {}).any()


def test_what_is_looked_at_stays():
    X, y = data(40, 6)[0], values(40)
    made = trainer("cuda", lambda: net(layers.Dense(5), layers.BatchNorm(), layers.Dropout(0.5)))
    made.fit(X, y, epochs=1, progress=False)
    before, steps = made.net.state_dict(), made.steps
    first = products(made, X, y)
    same(products(made, X, y), first)
    same(made.net.state_dict(), before)
    assert made.steps == steps


def test_arrays_that_lie_there_already():
    X, y = data(40, 6)[0], values(40)
    there = steep.Sequential(layers.Activation("linear")).build((6,)).to("cuda").predict
    made = trainer("cuda", lambda: net(layers.Dense(5, "tanh")))
    wanted = products(made, X, y)
    same(products(made, there(X), y), wanted)


def test_the_spectrum_of_a_network_with_images():
    X, y = images((6, 6, 2), 12), targets("labels", 12, 3)
    made = convolved(conv(4, 3, activation="tanh"), lambda: layers.MaxPool2D(2))
    found = [
        lab.curvature(trainer(device, made, loss="cross_entropy"), X, y, k=2, steps=12, probes=2)
        for device in BOTH
    ]
    same(*found)
    assert found[0].largest[0] > 0


WANTS = {
    "recurrent": lambda: steep.Sequential(layers.GRU(4), layers.Dense(2)),
    "attention": lambda: steep.Sequential(layers.MultiHeadAttention(2), layers.Dense(2)),
}


@pytest.mark.parametrize("op", WANTS)
def test_what_has_no_derivatives_is_refused_by_name(op):
    X = np.random.default_rng(1).standard_normal((5, 6, 4)).astype(np.float32)
    made = trainer("cuda", WANTS[op])
    said = rf'^\w+.*: device="cuda": no kernel for the derivatives of {op}\w* that a product wants'
    with pytest.raises(ValueError, match=said):
        made.jvp(
            X, {name: np.zeros_like(w) for name, w in made.net.build((6, 4)).state_dict().items()}
        )


@emulated
@pytest.mark.parametrize(
    "settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 1}, {"sms": 132}]
)
def test_no_result_depends_on_who_computes_it(settings):
    X, y = images((8, 9, 4), 19), values(19, 3)
    made = convolved(
        conv(20, 3, activation="relu"), lambda: layers.MaxPool2D(3, 2, padding=1),
        conv(20, 3, groups=2), conv(20, 3, groups=20), back(3, 3, 2),
        lambda: layers.LocalResponseNorm(3), lambda: layers.UpSample2D(2),
        lambda: layers.AvgPool2D(3, 2), lambda: layers.ZeroPad2D(1),
    )  # fmt: skip
    wanted = products(trainer("cuda", made), X, y)
    with emulating(**settings):
        same(products(trainer("cuda", made), X, y), wanted, str(settings))


@emulated
def test_a_second_product_allocates_nothing():
    X, y = images((6, 6, 2), 12), values(12, 3)
    made = trainer("cuda", convolved(conv(4, 3)))
    products(made, X, y)
    before = counted("allocations")
    products(made, X, y)
    assert counted("allocations") == before


@emulated
def test_out_of_memory_leaves_the_network_usable():
    made = trainer("cuda", lambda: net(layers.Dense(7, "tanh")))
    X, y = data(60, 6)[0], values()
    wanted = products(made, X, y)
    big, theirs = np.zeros((20000, 6), np.float32), np.zeros((20000, 5), np.float32)
    v = directions(made, X, y)[0]
    for room in (1 << 20, 6 << 20):
        with (
            emulating(limit=counted("bytes") + room),
            pytest.raises(RuntimeError, match="MiB wanted"),
        ):
            made.hvp(big, theirs, v)
    same(products(made, X, y), wanted)
