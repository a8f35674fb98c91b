"""Layers on images: shapes, names, initial weights, the values of small cases, what is refused."""

import math
import warnings

import numpy as np
import pytest
import steep
from steep import layers, ops
from steep.layers import AvgPool2D, BatchNorm, Conv2D, MaxPool2D, ZeroPad2D
from steep.network import windows

RNG = np.random.default_rng(5)


def built(shape, *parts, seed=0):
    return steep.Sequential(*parts).build(shape, seed=seed)


def out_shape(shape, *parts):
    return built(shape, *parts).output_shapes[0]


SHAPES = {
    (7, 9, 3): {
        Conv2D(5, 3): (7, 9, 5),
        Conv2D(5, 3, 2): (4, 5, 5),
        Conv2D(5, (2, 5), (3, 1)): (3, 9, 5),
        Conv2D(5, 3, padding="valid"): (5, 7, 5),
        Conv2D(5, 3, padding="valid", dilation=(3, 2)): (1, 5, 5),
        Conv2D(5, 3, padding=2): (9, 11, 5),
        Conv2D(5, 3, padding=(0, 1)): (5, 9, 5),
        Conv2D(5, 3, padding=(1, 2, 0, 3)): (8, 10, 5),
        Conv2D(6, 3, groups=3): (7, 9, 6),
        MaxPool2D(2): (3, 4, 3),
        MaxPool2D(3, 2, "same"): (4, 5, 3),
        MaxPool2D((3, 2), 1): (5, 8, 3),
        AvgPool2D(3, 2, 1): (4, 5, 3),
        ZeroPad2D((1, 0, 2, 3), channels=(0, 4)): (8, 14, 7),
        ZeroPad2D(2): (11, 13, 3),
        layers.GlobalAvgPool2D(): (3,),
        layers.LocalResponseNorm(): (7, 9, 3),
        BatchNorm(): (7, 9, 3),
        layers.Flatten(): (189,),
    },
    (8, 6): {
        Conv2D(5, 3): (8, 6, 5),
        MaxPool2D(2): (4, 3, 1),
        layers.GlobalAvgPool2D(): (1,),
        ZeroPad2D(1): (10, 8, 1),
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_output_shapes(shape):
    for layer, expected in SHAPES[shape].items():
        assert out_shape(shape, layer) == expected, layer


@pytest.mark.parametrize("size", range(1, 12))
def test_same_is_that_of_tensorflow(size):
    """ceil(size/stride) outputs; what is odd goes to the end."""
    for kernel in range(1, 6):
        for stride in range(1, 4):
            for dilation in (1, 2):
                top, bottom, left, right = windows.sides(
                    "x", "same", (size, 9), kernel=(kernel, 1), stride=(stride, 1),
                    dilation=(dilation, 1),
                )  # fmt: skip
                reach = (kernel - 1) * dilation + 1
                outputs = math.ceil(size / stride)
                assert (size + top + bottom - reach) // stride + 1 == outputs
                assert bottom - top in (0, 1)
                assert top + bottom == max(0, (outputs - 1) * stride + reach - size)
                assert (left, right) == (0, 0)


def test_names_and_order_of_weights():
    net = built((8, 8, 4), Conv2D(6, 3, groups=2), BatchNorm(), Conv2D(2, (1, 5), name="last"))
    shapes = {name: w.shape for name, w in net.state_dict().items()}
    assert list(shapes.items()) == [
        ("conv2d.weight", (3, 3, 2, 6)),
        ("conv2d.bias", (6,)),
        ("batch_norm.weight", (6,)),
        ("batch_norm.bias", (6,)),
        ("batch_norm.running_mean", (6,)),
        ("batch_norm.running_var", (6,)),
        ("last.weight", (1, 5, 6, 2)),
        ("last.bias", (2,)),
    ]
    assert net.num_parameters == 3 * 3 * 2 * 6 + 6 + 12 + 5 * 6 * 2 + 2
    assert net.multiply_adds == 64 * (3 * 3 * 2 * 6 + 5 * 6 * 2)
    state = net.state_dict()
    assert (state["batch_norm.weight"] == 1).all()
    assert (state["batch_norm.running_var"] == 1).all()
    assert not state["batch_norm.running_mean"].any()


FANS = {
    "he before ReLU": ([Conv2D(64, 3, activation="relu")], math.sqrt(2 / 72)),
    "he through BatchNorm": ([Conv2D(64, 3), BatchNorm(), layers.ReLU()], math.sqrt(2 / 72)),
    "he by groups": ([Conv2D(64, 3, groups=4, activation="relu")], math.sqrt(2 / 18)),
    "xavier": ([Conv2D(64, 3)], math.sqrt(2 / (72 + 9 * 64))),
    "xavier by groups": ([Conv2D(64, 3, groups=4, activation="tanh")], math.sqrt(2 / (18 + 144))),
    "xavier_in": ([Conv2D(64, 3, init="xavier_in")], math.sqrt(2 / 72)),
}


@pytest.mark.parametrize("name", FANS)
def test_initial_weights_have_the_variance_of_their_fans(name):
    parts, std = FANS[name]
    weight = built((6, 6, 8), *parts, seed=3).state_dict()["conv2d.weight"]
    error = std * math.sqrt(1 / weight.size)  # two standard errors, normal; uniform has less
    assert abs(weight.std() - std) < 2 * error
    assert abs(weight.mean()) < 4 * error


def test_summary_names_the_distribution_of_a_convolution():
    text = built((6, 6, 8), Conv2D(64, 3, groups=4, activation="relu")).summary()
    assert f"he: normal, std {math.sqrt(2 / 18):.4g}" in text


def test_a_convolution_by_hand():
    """A 2x2 kernel over 3x3 pixels: correlation, not turned round."""
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]])[..., None, None]
    net = built((3, 3), Conv2D(1, 2, padding="valid", init=kernel))
    X = np.arange(9.0).reshape(1, 3, 3)
    want = [[0 + 2 + 9 + 16, 1 + 4 + 12 + 20], [3 + 8 + 18 + 28, 4 + 10 + 21 + 32]]
    assert net.predict(X)[0, :, :, 0].tolist() == want
    same = built((3, 3), Conv2D(1, 2, init=kernel)).predict(X)[0, :, :, 0]
    assert same[:2, :2].tolist() == want
    assert same[2, 2] == 8.0  # zeros below and to the right


def test_pools_by_hand():
    X = np.array([[1.0, -2.0, 3.0], [-4.0, -5.0, -6.0], [7.0, 8.0, -9.0]])[None]
    largest = built((3, 3), MaxPool2D(2, 2, "same")).predict(X)[0, :, :, 0]
    assert largest.tolist() == [[1.0, 3.0], [8.0, -9.0]]  # padding never wins
    mean = built((3, 3), AvgPool2D(2, 2, "same")).predict(X)[0, :, :, 0]
    assert mean.tolist() == [[-2.5, -1.5], [7.5, -9.0]]
    counted = built((3, 3), AvgPool2D(2, 2, "same", count_padding=True)).predict(X)[0, :, :, 0]
    assert counted.tolist() == [[-2.5, -0.75], [3.75, -2.25]]
    assert built((3, 3), layers.GlobalAvgPool2D()).predict(X)[0] == pytest.approx(-7 / 9)


def test_zero_pad_by_hand():
    X = RNG.normal(size=(2, 3, 4, 2)).astype(np.float32)
    got = built((3, 4, 2), ZeroPad2D((1, 2, 0, 3), channels=(2, 1))).predict(X)
    want = np.pad(X, ((0, 0), (1, 2), (0, 3), (2, 1)))
    assert np.array_equal(got, want)


def test_batch_norm_in_training_and_inference():
    """Training takes the batch, inference the running averages, which move by 1 - momentum."""
    net = built((5, 4, 3), BatchNorm(momentum=0.8, eps=0.01), layers.Flatten())
    X = (RNG.normal(size=(6, 5, 4, 3)) * [1.0, 2.0, 3.0] + [5.0, -1.0, 0.0]).astype(np.float32)
    before = net.predict(X)
    np.testing.assert_allclose(before, X.reshape(6, -1) / math.sqrt(1.01), rtol=1e-5)

    trainer = steep.Trainer(net, "mse", steep.optimizers.SGD(0.0))
    normalised = (X - X.mean((0, 1, 2))) / np.sqrt(X.var((0, 1, 2)) + 0.01)
    loss = trainer.step(X, np.zeros((6, 60), np.float32))
    assert loss == pytest.approx(np.mean(normalised.astype(float) ** 2), rel=1e-5)
    state = net.state_dict()
    np.testing.assert_allclose(
        state["batch_norm.running_mean"], 0.2 * X.mean((0, 1, 2)), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        state["batch_norm.running_var"], 0.8 + 0.2 * X.var((0, 1, 2), ddof=1), rtol=1e-5
    )
    after = net.predict(X)
    want = (X - state["batch_norm.running_mean"]) / np.sqrt(state["batch_norm.running_var"] + 0.01)
    np.testing.assert_allclose(after, want.reshape(6, -1), rtol=1e-4, atol=1e-5)


def test_running_variance_of_the_population():
    """As ONNX and Keras have it: what training normalised by."""
    net = built((5, 4, 3), BatchNorm(0.8, unbiased=False), layers.Flatten())
    X = RNG.normal(size=(2, 5, 4, 3)).astype(np.float32)
    steep.Trainer(net, "mse", steep.optimizers.SGD(0.0)).step(X, np.zeros((2, 60), np.float32))
    running = net.state_dict()["batch_norm.running_var"]
    np.testing.assert_allclose(running, 0.8 + 0.2 * X.var((0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(7,), (3, 2, 20)])
@pytest.mark.parametrize("unbiased", [True, False])
def test_virtual_batches_are_normalised_by_themselves(shape, unbiased):
    """Groups of 4 of 10 samples, the last of 2; running averages follow one after the other."""
    norm = BatchNorm(0.6, 1e-3, unbiased, virtual_batch=4)
    net = built(shape, norm, *[layers.Flatten()] * (len(shape) > 1))
    X = (3 + 2 * RNG.normal(size=(10, *shape))).astype(np.float64)
    axes = tuple(range(len(shape)))
    wanted, mean, var = [], 0.0, 1.0
    for part in (X[:4], X[4:8], X[8:]):
        wanted.append((part - part.mean(axes)) / np.sqrt(part.var(axes) + 1e-3))
        mean = 0.6 * mean + 0.4 * part.mean(axes)
        var = 0.6 * var + 0.4 * part.var(axes, ddof=int(unbiased))
    target = RNG.normal(size=(10, math.prod(shape)))
    trainer = steep.Trainer(net, "mse", steep.optimizers.SGD(0.0), precision="float64")
    loss = trainer.step(X, target)
    y = np.concatenate(wanted).reshape(10, -1)
    assert loss == pytest.approx(np.mean((y - target) ** 2), rel=1e-12)
    state = net.state_dict()
    np.testing.assert_allclose(state["batch_norm.running_mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(state["batch_norm.running_var"], var, rtol=1e-12)


@pytest.mark.parametrize("virtual", [None, 10, 11, 2**31 - 1])
def test_a_virtual_batch_as_large_as_the_batch_is_the_batch(virtual):
    X, y = RNG.normal(size=(10, 6)), RNG.integers(0, 3, 10)
    found = []
    for size in (None, virtual):
        net = built((6,), layers.Dense(5), BatchNorm(virtual_batch=size), layers.Dense(3), seed=1)
        trainer = steep.Trainer(net, "cross_entropy", "adam")
        trainer.fit(X, y, epochs=2, batch_size=10, shuffle=False, progress=False)
        found.append(net.state_dict())
    assert all(np.array_equal(value, found[1][name]) for name, value in found[0].items())


def test_a_virtual_batch_of_one_vector_is_warned_about():
    X, y = RNG.normal(size=(9, 6)), RNG.integers(0, 3, 9)
    for virtual, warned in ((4, True), (1, True), (3, False), (None, False)):
        net = built((6,), BatchNorm(virtual_batch=virtual), layers.Dense(3))
        trainer = steep.Trainer(net, "cross_entropy", "sgd")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trainer.fit(X, y, epochs=1, batch_size=9, progress=False)
        assert warned == any("1 sample has no variance" in str(w.message) for w in caught)


def test_evaluate_and_gradients_leave_running_statistics_alone():
    net = built((4, 4, 2), Conv2D(3, 3), BatchNorm(), layers.Flatten(), layers.Dense(2))
    before = net.state_dict()
    trainer = steep.Trainer(net, "cross_entropy", "sgd")
    X, y = RNG.normal(size=(8, 4, 4, 2)), np.arange(8) % 2
    trainer.evaluate(X, y)
    trainer.gradients(X, y)
    net.predict(X)
    after = net.state_dict()
    assert all(np.array_equal(value, after[name]) for name, value in before.items())


def test_batch_norm_of_vectors():
    net = built((6,), layers.Dense(4), BatchNorm(), layers.ReLU(), layers.Dense(2))
    assert "he" in net.summary()
    trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.SGD(0.1))
    X, y = RNG.normal(size=(16, 6)), np.arange(16) % 2
    losses = [trainer.step(X, y) for _ in range(5)]
    assert losses[-1] < losses[0]


def test_local_response_norm_is_its_formula():
    net = built((2, 3, 7), layers.LocalResponseNorm(3, 0.3, 0.6, 1.5))
    X = RNG.normal(size=(4, 2, 3, 7)).astype(np.float32)
    squares = np.pad(X.astype(float) ** 2, ((0, 0),) * 3 + ((1, 1),))
    near = squares[..., :-2] + squares[..., 1:-1] + squares[..., 2:]
    np.testing.assert_allclose(net.predict(X), X / (1.5 + 0.3 * near) ** 0.6, rtol=1e-5)


def test_functional_form_on_images():
    image = steep.Input((9, 8))
    left = Conv2D(4, 3, activation="relu")(image)
    right = ops.max_pool(left, 3, 1, 1)
    both = ops.concat([left, right])
    pooled = ops.global_avg_pool(ops.avg_pool(ops.zero_pad(both, 1), 2))
    net = steep.Model(image, pooled)
    X = RNG.normal(size=(2, 9, 8))
    assert both.shape == (9, 8, 8)
    assert net.predict(X).shape == (2, 8)
    again = steep.Model.from_config(net.config())
    again.load_state_dict(net.state_dict())
    assert np.array_equal(again.predict(X), net.predict(X))


def test_a_layer_of_the_users_own_with_a_convolution():
    class Smooth(layers.Layer):
        def call(self, x):
            weight = self.parameter("kernel", (3, 3, 1, x.shape[2]), init=1 / 9, decay=False)
            return ops.lrn(ops.conv2d(x, weight, groups=x.shape[2]))

    with pytest.warns(UserWarning, match="stay equal"):
        net = built((5, 5, 3), Smooth(), layers.Flatten(), layers.Dense(2))
    assert next(iter(net.state_dict())) == "smooth.kernel"
    assert net.multiply_adds == 25 * 27 + 75 * 2


class Blocks:
    """Stands for a graph and notes which block each op belongs to."""

    def __init__(self, graph):
        self.graph, self.seen = graph, []

    def __getattr__(self, name):
        if name == "recompute":
            return self.seen.append
        return getattr(self.graph, name)


def test_recomputed_blocks_are_numbered_and_the_outer_one_stays_whole():
    from steep.network.scope import Scope

    def block(*parts, recompute=True):
        return layers.Residual(*parts, recompute=recompute)

    scope = Scope()
    scope.graph = Blocks(scope.graph)
    net = steep.Sequential(
        block(Conv2D(2, 3)), block(Conv2D(2, 3), block(Conv2D(2, 3)), Conv2D(2, 1)),
        block(Conv2D(2, 3), recompute=False),
    )  # fmt: skip
    net._lower([scope.input((4, 4, 2))])
    assert scope.graph.seen == [1, 0, 2, 0]


REFUSED = [
    (784, [Conv2D(8, 3, name="conv1")], r'Conv2D "conv1": expects an image \(height, width, '
     r"channels\), got \(784,\). Put Reshape\(\(28, 28, 1\)\) before it."),
    (3072, [MaxPool2D(2)], r'MaxPool2D "max_pool2d": .* Put Reshape\(\(32, 32, 3\)\)'),
    (50, [layers.GlobalAvgPool2D()], r"Put Reshape\(\(height, width, channels\)\) before it"),
    ((2, 3, 4, 5), [AvgPool2D(2)], r"expects an image .* got \(2, 3, 4, 5\)"),
    ((4, 9, 3), [Conv2D(8, 5, padding="valid")],
     'Conv2D "conv2d": a window of 5 rows does not fit into 4 rows. Use padding="same"'),
    ((9, 4, 3), [Conv2D(8, 3, dilation=4, padding=1)], "9 columns does not fit into 4 columns"),
    ((2, 2, 3), [MaxPool2D(3)], "MaxPool2D.*a window of 3 rows does not fit into 2"),
    ((8, 8, 3), [MaxPool2D(2, padding=2)], "padding must be below the size of the window"),
    ((8, 8, 3), [Conv2D(8, 3, groups=2)], "2 groups must divide the 3 channels of its input"),
    ((8, 8, 3), [layers.Residual(Conv2D(6, 3, 2))],
     r"the body gives \(4, 4, 6\), the way past it \(8, 8, 3\). Give a shortcut layer such as "
     r"Conv2D\(6, 1, stride=2\)"),
    ((9, 12, 3), [layers.Residual(Conv2D(3, 3, (1, 2)))], r"Conv2D\(3, 1, stride=\(1, 2\)\)"),
    ((8, 8, 3), [layers.Residual(Conv2D(3, 3, padding="valid"))], 'padding="same" in its layers'),
    ((8, 8, 3), [layers.Residual(layers.Flatten(), layers.Dense(3))], "makes the shapes equal"),
    ((8, 8, 3), [layers.Branches(Conv2D(2, 3), Conv2D(2, 3, 2))],
     r'Branches "branches": concat expects equal shapes but for the last axis'),
    ((8, 8, 3), [layers.Branches(Conv2D(2, 3), Conv2D(3, 3), join="add")], "give equal shapes"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "parts", "message"), REFUSED)
def test_what_does_not_fit_is_refused_with_a_remedy(shape, parts, message):
    with pytest.raises(ValueError, match=message):
        built(shape, *parts)


ARGUMENTS = [
    (lambda: Conv2D(0, 3), ValueError, "filters must be at least 1, got 0"),
    (lambda: Conv2D(4, 2.5, name="a"), TypeError, 'Conv2D "a": kernel must be an int, got 2.5'),
    (
        lambda: Conv2D(4, (3, 3, 3)),
        ValueError,
        "kernel must be an int or a pair",
    ),
    (lambda: Conv2D(4, 3, 0), ValueError, "stride must be at least 1"),
    (lambda: Conv2D(4, 3, padding="full"), ValueError, 'padding must be "same", "valid" or ints'),
    (lambda: Conv2D(4, 3, padding=-1), ValueError, "padding must be at least 0"),
    (lambda: Conv2D(4, 3, padding=(1, 2, 3)), ValueError, r"\(top, bottom, left, right\), got"),
    (lambda: Conv2D(4, 3, groups=3), ValueError, "3 groups must divide the 4 filters"),
    (lambda: Conv2D(4, 3, use_bias="no"), TypeError, "use_bias must be True or False"),
    (lambda: MaxPool2D(0), ValueError, "size must be at least 1"),
    (lambda: AvgPool2D(2, count_padding=1), TypeError, "count_padding must be True or False"),
    (lambda: BatchNorm(momentum=1.5), ValueError, r"BatchNorm .*: momentum must be in \[0, 1\]"),
    (lambda: BatchNorm(eps=0), ValueError, "eps must be in"),
    (lambda: BatchNorm(unbiased=1), TypeError, "unbiased must be True or False, got 1"),
    (lambda: BatchNorm(virtual_batch=0), ValueError, "virtual_batch must be at least 1, got 0"),
    (lambda: layers.LocalResponseNorm(bias=0.0), ValueError, "bias must be in"),
    (lambda: layers.LocalResponseNorm(2.5), TypeError, "size must be an int"),
    (lambda: ZeroPad2D("same"), ValueError, "padding must be ints"),
    (lambda: ZeroPad2D(channels=-1), ValueError, "channels must be at least 0"),
    (lambda: layers.Residual(Conv2D(4, 3), recompute=1), TypeError, "recompute must be True"),
]


@pytest.mark.parametrize(("make", "error", "message"), ARGUMENTS)
def test_arguments_out_of_range(make, error, message):
    with pytest.raises(error, match=message):
        make()
