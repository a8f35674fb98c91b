"""Transposed convolutions and tied weights: known numbers, PyTorch, padding, what is refused."""

import engine
import numpy as np
import pytest
import reference
import steep
from hypothesis import given, settings
from hypothesis import strategies as st
from steep import layers, ops
from test_gradients import LIMIT

pytestmark = pytest.mark.usefixtures("padding_stays_zero")


def sines(shift, *shape, size=0.5):
    return size * np.sin(shift + np.arange(np.prod(shape))).reshape(shape)


X = sines(0, 1, 2, 2, 1, size=1.0)


def spread(weight, padding, more=None):
    """Return a transposed convolution of stride 2 of X in float64."""
    net = engine.network(
        lambda g, t: ops_of(g, t, weight.shape, padding, more),
        X.shape[1:], precision="float64", weights={"w": weight},
    )  # fmt: skip
    return net.predict([X], 8)[0]


def ops_of(graph, x, shape, padding, more):
    w = graph.parameter("w", shape, True)
    cut, added = steep.network.windows.cut_sides(
        "test", steep.network.windows.padding_of("test", padding), more, graph.shape(x)[:2],
        kernel=shape[:2], stride=(2, 2),
    )  # fmt: skip
    return graph.conv2d_transpose(x, w, padding=cut, output_padding=added, stride=(2, 2))


def test_numbers_of_kernel_3_stride_2():
    """PyTorch's (1, 1) and Keras' "same" are the same numbers, a pixel further on."""
    w = sines(1, 3, 3, 2, 1)
    valid = spread(w, "valid")
    assert valid.shape == (1, 5, 5, 2)
    row = [0.3825737006, 0.0641600301, -0.1998203065, 0.2835566030, -0.4721557478]
    np.testing.assert_allclose(valid[0, 2, :, 0], row, atol=5e-11)
    assert valid.sum() == pytest.approx(-0.0611085408, abs=1e-9)
    cut = spread(w, 1, more=(1, 1))
    assert cut.shape == (1, 4, 4, 2)
    row = [0, 0.2764175801, 0.1733928738, -0.4207313720]
    np.testing.assert_allclose(cut[0, 0, :, 0], row, atol=5e-11)
    row = [0.0641600301, -0.1998203065, 0.2835566030, -0.4721557478]
    np.testing.assert_allclose(cut[0, 1, :, 0], row, atol=5e-11)
    assert cut.sum() == pytest.approx(-2.2035659161, abs=1e-9)
    same = spread(w, "same")
    assert same.shape == (1, 4, 4, 2)
    np.testing.assert_allclose(same[0, 0, :, 0], [0, 0, 0.3540367091, 0.0593741961], atol=5e-11)
    row = [0.3825737006, 0.0641600301, -0.1998203065, 0.2835566030]
    np.testing.assert_allclose(same[0, 2, :, 0], row, atol=5e-11)
    assert same.sum() == pytest.approx(1.9907306642, abs=1e-9)


def test_gradients_of_kernel_3_stride_2():
    """Of sum y^2/2 where padding is "same"."""
    w = sines(1, 3, 3, 2, 1)
    net = engine.network(
        lambda g, x: ops_of(
            g, g.reshape(g.multiply_row(x, g.parameter("x", (4,), False)), (2, 2, 1)),
            w.shape, "same", None,
        ),
        (4,), precision="float64", weights={"w": w, "x": X.ravel()},
    )  # fmt: skip
    session = engine.session(net, mean=False)
    _, found = session.gradients([np.ones((1, 4))], np.zeros((1, 4, 4, 2)), None, 0.0, 0.0)
    scale = 16  # the loss is the mean of 32 squares
    dx = [[-0.1543879202, 1.0929086149], [1.2073907031, -0.0409483423]]
    np.testing.assert_allclose(scale * found["x"].reshape(2, 2), dx, atol=1e-9)
    dw = [
        [0.6175862566, 0.1483177236, -0.1816960906],
        [0.4465852931, 0.3203829886, -0.3712545765],
        [-0.1681429901, 0.2386046540, 0],
    ]
    np.testing.assert_allclose(scale * found["w"][:, :, 0, 0], dw, atol=1e-9)


def test_numbers_of_kernel_4_stride_2():
    """Here PyTorch and Keras agree."""
    w = sines(1, 4, 4, 1, 1)
    ints = spread(w, 1)
    same = spread(w, "same")
    np.testing.assert_array_equal(ints, same)
    row = [0, -0.4034534769, -0.1175600172, 0.2764175801]
    np.testing.assert_allclose(same[0, 0, :, 0], row, atol=5e-11)
    assert same.sum() == pytest.approx(-0.0320269816, abs=1e-9)


def test_numbers_of_tied_weights():
    """tanh(x W) W^T for x = (1, -1, .5): the output, its error, and the gradient of W."""
    x, w = np.array([[1, -1, 0.5]]), sines(1, 3, 2)

    def tied(graph, inputs):
        weight = graph.parameter("w", (3, 2), True)
        hidden = graph.activation(graph.matmul(inputs, weight), "tanh")
        return graph.matmul(hidden, weight, transposed=True)

    net = engine.network(tied, (3,), precision="float64", weights={"w": w})
    y = net.predict([x], 1)[0]
    np.testing.assert_allclose(y, [[0.3385988327, -0.2355337995, -0.1425655416]], atol=5e-11)
    loss, found = engine.session(net).gradients([x], x, None, 0.0, 0.0)
    assert loss == pytest.approx(0.4782501837, abs=5e-11)
    dw = [
        [0.0066571956, -0.4791187326],
        [0.0009007374, 0.5232962306],
        [-0.0195409864, -0.3732362607],
    ]
    np.testing.assert_allclose(found["w"], dw, atol=5e-11)


@st.composite
def shapes(draw):
    """Images, windows, strides, padding, groups of a transposed convolution that fit together."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    kernel, stride, dilation = pair(1, 5), pair(1, 4), pair(1, 3)
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    more = tuple(draw(st.integers(0, max(n, m) - 1)) for n, m in zip(stride, dilation, strict=True))
    image = pair(1, 6)
    reach = [(image[k] - 1) * stride[k] + (kernel[k] - 1) * dilation[k] + more[k] for k in (0, 1)]
    padding = tuple(draw(st.integers(0, min(reach[k] // 2, kernel[k] + 1))) for k in (0, 1))
    depthwise = draw(st.booleans()) and groups > 1
    inside, filters = (1, 1) if depthwise else pair(1, 20)
    return image, kernel, stride, dilation, padding, more, groups, inside, filters


@given(shapes(), st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_values_and_gradients_are_pytorchs(shape, seed, samples):
    torch = pytest.importorskip("torch")
    (h, w), kernel, stride, dilation, padding, more, groups, inside, filters = shape
    channels = groups * inside
    random = np.random.default_rng(seed)
    x = random.standard_normal((samples, h, w, channels))
    weight = random.standard_normal((*kernel, filters, channels))
    bias = random.standard_normal(groups * filters)

    def build(graph, eye):
        image = graph.matmul(eye, graph.parameter("x", (samples, h * w * channels), True))
        return graph.conv2d_transpose(
            graph.reshape(image, (h, w, channels)),
            graph.parameter("w", weight.shape, True), graph.parameter("b", bias.shape, False),
            stride=stride, padding=(padding[0], padding[0], padding[1], padding[1]),
            output_padding=more, dilation=dilation, groups=groups,
        )  # fmt: skip

    start = {"x": x.reshape(samples, -1), "w": weight, "b": bias}
    net = engine.network(build, (samples,), precision="float64", weights=start)
    eye = np.eye(samples)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = torch.nn.functional.conv_transpose2d(
        leaves[0].permute(0, 3, 1, 2).contiguous(),
        leaves[1].permute(3, 2, 0, 1).contiguous(), leaves[2], stride, padding,
        more, groups, dilation,
    ).permute(0, 2, 3, 1)  # fmt: skip
    found = net.predict([eye], samples)[0]
    assert found.shape == y.shape
    close = {"rtol": 1e-11, "atol": 1e-11 * max(1.0, float(y.detach().abs().max()))}
    np.testing.assert_allclose(found, y.detach().numpy(), **close)
    np.testing.assert_allclose(
        found,
        reference.conv2d_transpose(
            x, weight, bias, stride=stride, dilation=dilation, groups=groups, output_padding=more,
            padding=(padding[0], padding[0], padding[1], padding[1]),
        ),
        **close,
    )  # fmt: skip
    target = random.standard_normal(tuple(y.shape))
    ((y - torch.from_numpy(target)) ** 2).mean(dim=(1, 2, 3)).sum().backward()
    _, got = engine.session(net, mean=False).gradients([eye], target, None, 0.0, 0.0)
    for name, leaf in zip(("x", "w", "b"), leaves, strict=True):
        wanted = leaf.grad.numpy().reshape(got[name].shape)
        bound = 1e-10 * max(1.0, np.abs(wanted).max())
        np.testing.assert_allclose(got[name], wanted, rtol=1e-9, atol=bound)


@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("filters", [1, 3, 16, 17, 32])
@pytest.mark.parametrize("stride", [1, 2])
def test_float32_takes_the_cheaper_ways_and_is_float64s(kernel, filters, stride):
    """Winograd, narrow and panel loops, each with a bias and an activation."""
    random = np.random.default_rng(0)
    x = random.standard_normal((5, 6, 7, 16))
    body = layers.Conv2DTranspose(filters, kernel, stride, activation="relu")
    net = steep.Sequential(body).build((6, 7, 16), seed=1)
    state = net.state_dict()
    state["conv2d_transpose.bias"] = random.standard_normal(filters).astype(np.float32)
    net.load_state_dict(state)
    found = net.predict(x.astype(np.float32))
    more = (stride - kernel) if stride > kernel else 0
    total = max(kernel - stride, 0)
    wanted = np.maximum(
        reference.conv2d_transpose(
            x.astype(np.float32).astype(np.float64),
            state["conv2d_transpose.weight"].astype(np.float64),
            state["conv2d_transpose.bias"].astype(np.float64),
            stride=(stride, stride), padding=(total // 2, total - total // 2) * 2,
            output_padding=(more, more),
        ),
        0,
    )  # fmt: skip
    assert found.shape == wanted.shape == (5, 6 * stride, 7 * stride, filters)
    terms = 16 * kernel * kernel + 1
    assert np.abs(found - wanted).max() <= 4 * terms * 2.0**-24 * np.abs(wanted).max()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_gradients_add_up_where_the_input_is_read_twice(groups):
    def build(graph, x):
        w = graph.parameter("w", (6, 3 * 4 * 4), True)
        image = graph.reshape(graph.activation(graph.matmul(x, w), "tanh"), (3, 4, 4))
        u = graph.parameter("u", (3, 3, 4 // groups, 4), True)
        y = graph.conv2d_transpose(image, u, padding=(1, 1, 1, 1), groups=groups)
        return graph.reshape(graph.add(y, image), (48,))

    assert small_error(build) < LIMIT


@pytest.mark.parametrize("units", [1, 3, 4, 5, 17, 40])
def test_gradients_add_up_where_a_tied_input_is_read_twice(units):
    """x W^T + x V, of wide and of narrow W."""

    def build(graph, x):
        hidden = graph.activation(graph.matmul(x, graph.parameter("e", (6, units), True)), "gelu")
        w = graph.parameter("w", (7, units), True)
        y = graph.matmul(hidden, w, graph.parameter("b", (7,), False), transposed=True)
        return graph.add(y, graph.matmul(hidden, graph.parameter("v", (units, 7), True)))

    assert small_error(build) < LIMIT


def small_error(build):
    net = engine.network(build, (6,), precision="float64")
    random = np.random.default_rng(1)
    for name, shape in net.parameters():
        net.set(name, 0.5 * random.standard_normal(shape))
    x = random.standard_normal((5, 6))
    y = random.standard_normal(net.predict([x], 5)[0].shape)
    return engine.differences(net, engine.session(net), ([x], y))


class Tied(layers.Layer):
    """An autoencoder of one weight, as a user writes it."""

    def call(self, x):
        w = self.parameter("weight", (x.shape[0], 9), "xavier")
        return ops.activation(x @ w, "tanh") @ w.T + self.parameter("back", x.shape)


def test_a_transpose_in_a_layer_is_tied_dense():
    x = np.random.default_rng(0).standard_normal((40, 13)).astype(np.float32)
    encoder = layers.Dense(9, "tanh", use_bias=False)
    nets = [steep.Sequential(Tied()), steep.Sequential(encoder, layers.TiedDense(encoder, 13))]
    weights = sines(3, 13, 9).astype(np.float32)
    for net in nets:
        net.build(13)
        names = list(net.state_dict())
        assert len(names) == 2
        net.load_state_dict({names[0]: weights, names[1]: np.zeros(13, np.float32)})
        steep.Trainer(net, "mse", "momentum").fit(x, x, epochs=3, batch_size=8, progress=False)
    for one, other in zip(*(net.state_dict().values() for net in nets), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)  # the bias is fused or added


def test_tied_layers_are_saved_and_stay_tied(tmp_path):
    x = np.random.default_rng(0).standard_normal((40, 13)).astype(np.float32)
    encoder = layers.Dense(5, "tanh")
    trainer = steep.Trainer(steep.Sequential(encoder, layers.TiedDense(encoder, 13)), "mse", "adam")
    trainer.fit(x, x, epochs=1, progress=False)
    trainer.save(tmp_path / "tied.npz")
    again = steep.Trainer.load(tmp_path / "tied.npz")
    for one in (trainer, again):
        one.fit(x, x, epochs=1, progress=False)
    assert len(again.net.state_dict()) == 3
    for name, w in trainer.net.state_dict().items():
        np.testing.assert_array_equal(again.net.state_dict()[name], w)


def asked(function, shape=(6,)):
    class Asking(layers.Layer):
        def call(self, x):
            return function(self, x)

    return steep.Sequential(Asking()).build(shape)


@pytest.mark.parametrize(
    ("function", "kind", "error"),
    [
        (lambda a, x: x + a.parameter("w", (6, 3)).T, TypeError, "w.T can only stand in y @ w.T"),
        (lambda a, x: x @ a.parameter("w", (6, 3)).T, ValueError, "transposed weights"),
        (lambda a, x: x @ x.T, TypeError, "no transpose"),
        (lambda a, x: x @ a.parameter("w", (6,)).T, TypeError, "no transpose"),
    ],
)
def test_what_is_no_transpose_is_refused(function, kind, error):
    with pytest.raises(kind, match=error):
        asked(function)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"padding": "same", "output_padding": 1}, "output_padding"),
        ({"stride": 2, "padding": 1, "output_padding": 2}, "below the stride 2"),
        ({"padding": 4}, "leaves nothing"),
        ({"groups": 3}, "must divide the 4 filters"),
        ({"filters": 6, "groups": 3}, "must divide the 2 channels"),
        ({"padding": "full"}, "padding"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(arguments, error):
    with pytest.raises(ValueError, match=error):
        made = layers.Conv2DTranspose(**{"filters": 4, "kernel": 3, **arguments})
        steep.Sequential(made).build((3, 3, 2))
    with pytest.raises(TypeError, match="expects the Dense"):
        layers.TiedDense(layers.Conv2D(3, 1), 4)
    encoder = layers.Dense(5)
    with pytest.raises(ValueError, match=r"expects \(5,\), the outputs of"):
        steep.Sequential(layers.TiedDense(encoder, 4)).build(3)


def test_first_weights_keep_the_variance_of_a_signal():
    """Every output reads kernel^2 * channels / stride^2 numbers."""
    x = np.random.default_rng(0).standard_normal((20, 8, 8, 64)).astype(np.float32)
    net = steep.Sequential(layers.Conv2DTranspose(64, 4, 2, init="lecun_normal")).build((8, 8, 64))
    inner = net.predict(x)[:, 3:-3, 3:-3]
    assert 0.8 < inner.var() / x.var() < 1.2
    narrow = steep.Sequential(layers.Dense(7), layers.TiedDense(layers.Dense(7, init="he"), 300))
    weights = narrow.build(5).state_dict()
    spread = [w for w in weights.values() if w.shape == (300, 7)]
    assert 0.9 < spread[0].std() / np.sqrt(2 / 7) < 1.1
