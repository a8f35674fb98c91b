"""Layers of sequences: PyTorch's, those of images one pixel wide, causality, what is refused.

Gradients are a law over `cases_layers.LAYERS`, random networks with them one of `laws`.
"""

import numpy as np
import pytest
import steep
from cases import PRECISIONS, UNIT
from steep import layers

RANDOM = np.random.default_rng(11)


@pytest.mark.parametrize(
    ("channels", "filters", "kernel", "stride", "padding", "dilation", "groups"),
    [
        (1, 1, 1, 1, 0, 1, 1), (3, 5, 3, 1, 1, 1, 1), (4, 6, 4, 2, 3, 1, 2), (5, 5, 3, 1, 2, 2, 5),
        (16, 33, 3, 1, 1, 1, 1), (2, 7, 9, 3, 4, 1, 1), (17, 16, 2, 1, 0, 3, 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("length", [9, 64])
def test_conv1d_is_pytorchs(  # noqa: PLR0917 - as a convolution is written
    channels, filters, kernel, stride, padding, dilation, groups, length
):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Conv1d(
        channels, filters, kernel, stride, padding, dilation, groups, dtype=torch.float64
    )
    net = steep.Sequential(
        layers.Conv1D(filters, kernel, stride, padding, groups, dilation, name="c")
    )
    net.build((length, channels))
    net._convert("float64")
    assert net.state_dict()["c.weight"].shape == (kernel, channels // groups, filters)
    weight, bias = (p.detach().numpy() for p in theirs.parameters())
    net.load_state_dict({"c.weight": weight.transpose(2, 1, 0), "c.bias": bias})
    X = RANDOM.standard_normal((5, length, channels))
    x = torch.tensor(X.transpose(0, 2, 1))
    y = theirs(x)
    (y * y).sum().div(2).backward()
    trainer = steep.Trainer(net, "mse", "sgd", precision="float64", reduction="sum")
    out = net.predict(X)
    assert out == pytest.approx(y.detach().numpy().transpose(0, 2, 1), rel=1e-12, abs=1e-13)
    _, found = trainer.gradients(X, np.zeros_like(out))
    scale = out[0].size / 2  # the loss of a sample is the mean of squares
    wanted = [theirs.weight.grad.numpy().transpose(2, 1, 0), theirs.bias.grad.numpy()]
    for gradient, mine in zip(wanted, (found["c.weight"], found["c.bias"]), strict=True):
        assert mine * scale == pytest.approx(gradient, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", ["conv", "max", "mean"])
def test_a_sequence_is_an_image_one_pixel_wide(kind, precision):
    """The same bytes, predictions and a training's weights."""
    X, y = RANDOM.standard_normal((40, 19, 6)), RANDOM.integers(0, 3, 40)
    one, two = {
        "conv": (layers.Conv1D(20, 3, 2, (2, 1), 2, 2, "relu"),
                 layers.Conv2D(20, (3, 1), (2, 1), (2, 1, 0, 0), 2, (2, 1), "relu")),
        "max": (layers.MaxPool1D(4, 2, "same"), layers.MaxPool2D((4, 1), (2, 1), "same")),
        "mean": (layers.AvgPool1D(3, 1, 1, True), layers.AvgPool2D((3, 1), 1, (1, 0), True)),
    }[kind]  # fmt: skip
    states = []
    for body, shape in ((one, (19, 6)), (two, (19, 1, 6))):
        first = layers.Conv1D if body is one else layers.Conv2D
        kernel = 3 if body is one else (3, 1)
        net = steep.Sequential(
            first(6, kernel, activation="tanh", name="a"), body, layers.Flatten(), layers.Dense(3)
        )
        trainer = steep.Trainer(net, "cross_entropy", "adam", precision=precision, seed=3)
        trainer.fit(X.reshape(40, *shape), y, epochs=2, batch_size=16, progress=False)
        states.append([net.predict(X.reshape(40, *shape)), *net.state_dict().values()])
    for a, b in zip(*states, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(("stride", "dilation", "kernel"), [(1, 1, 3), (2, 1, 5), (1, 4, 2)])
def test_causal_outputs_see_nothing_that_comes_later(stride, dilation, kernel):
    net = steep.Sequential(layers.Conv1D(4, kernel, stride, "causal", 1, dilation)).build((20, 3))
    X = RANDOM.standard_normal((1, 20, 3)).astype(np.float32)
    before = net.predict(X)
    assert before.shape == (1, -(-20 // stride), 4)
    for t in range(20):
        later = X.copy()
        later[:, t] += 1.0
        moved = np.any(net.predict(later) != before, axis=(0, 2))
        sees = {
            i for i in range(len(moved)) for p in range(kernel) if i * stride - p * dilation == t
        }
        assert set(np.flatnonzero(moved)) == sees


def test_pools_and_means_of_all():
    X = RANDOM.standard_normal((4, 9, 3)).astype(np.float32)

    def of(layer):
        return steep.Sequential(layer).predict(X)

    assert of(layers.GlobalMaxPool1D()).tobytes() == X.max(axis=1).tobytes()
    assert of(layers.GlobalAvgPool1D()) == pytest.approx(X.mean(axis=1), abs=8 * UNIT["float32"])
    windows = np.lib.stride_tricks.sliding_window_view(X, 3, axis=1)[:, ::3]
    assert of(layers.MaxPool1D(3)).tobytes() == windows.max(axis=-1).tobytes()
    assert of(layers.AvgPool1D(3)) == pytest.approx(windows.mean(axis=-1), abs=1e-6)
    image = X.reshape(4, 3, 3, 3)
    largest = steep.Sequential(layers.GlobalMaxPool2D()).predict(image)
    assert largest.tobytes() == image.max(axis=(1, 2)).tobytes()


def test_pools_are_pytorchs():
    torch = pytest.importorskip("torch")
    X = RANDOM.standard_normal((3, 23, 5)).astype(np.float32)
    x = torch.tensor(X.transpose(0, 2, 1))
    for ours, theirs in (
        (layers.MaxPool1D(4, 3, 2), torch.nn.MaxPool1d(4, 3, 2)),
        (layers.AvgPool1D(4, 3, 2, True), torch.nn.AvgPool1d(4, 3, 2)),
        (layers.AvgPool1D(4, 3, 2), torch.nn.AvgPool1d(4, 3, 2, count_include_pad=False)),
    ):
        found = steep.Sequential(ours).predict(X)
        assert found == pytest.approx(theirs(x).numpy().transpose(0, 2, 1), abs=1e-6)


def test_one_axis_counts_as_one_channel():
    net = steep.Sequential(layers.Conv1D(4, 3), layers.MaxPool1D(2), layers.GlobalMaxPool1D())
    assert net.build((10,)).output_shapes == ((4,),)
    assert steep.Sequential(layers.AvgPool1D(2)).build((10,)).output_shapes == ((5, 1),)


def test_weights_before_relu_begin_as_hes_through_batch_normalisation_too():
    conv = layers.Conv1D(64, 5, name="c")
    for rest in ((layers.ReLU(),), (layers.BatchNorm(), layers.ReLU())):
        net = steep.Sequential(conv, *rest).build((8, 40))
        assert net.state_dict()["c.weight"].std() == pytest.approx(np.sqrt(2 / 200), rel=0.02)
    net = steep.Sequential(conv, layers.Tanh()).build((8, 40))
    bound = np.sqrt(6 / (200 + 320))
    assert np.abs(net.state_dict()["c.weight"]).max() == pytest.approx(bound, rel=0.01)


def test_identity_kernels_hand_a_sequence_on():
    X = RANDOM.standard_normal((2, 7, 3)).astype(np.float32)
    for padding, kernel in (("same", 3), ("same", 1)):
        net = steep.Sequential(layers.Conv1D(3, kernel, padding=padding, init="dirac"))
        assert net.predict(X).tobytes() == X.tobytes()
    delta = steep.Sequential(layers.Conv1D(5, 3, init="delta_orthogonal", name="c")).build((7, 3))
    weight = delta.state_dict()["c.weight"]
    assert weight[1] @ weight[1].T == pytest.approx(np.eye(3), abs=1e-6)
    assert not weight[[0, 2]].any()


REFUSED = {
    "axes": (lambda: layers.Conv1D(2, 3), (4, 4, 2), r"expects a sequence .*Put Reshape"),
    "pool axes": (lambda: layers.MaxPool1D(2), (4, 4, 2), r"expects a sequence"),
    "window": (lambda: layers.Conv1D(2, 5, padding="valid"), (4, 2), "5 steps does not fit into 4"),
    "pool window": (lambda: layers.AvgPool1D(5), (4, 2), "5 steps does not fit into 4 steps"),
    "groups": (lambda: layers.Conv1D(4, 3, groups=2), (4, 3), "2 groups must divide the 3"),
    "filters": (lambda: layers.Conv1D(3, 3, groups=2), (4, 4), "must divide the 3 filters"),
    "padding": (lambda: layers.Conv1D(3, 3, padding="casual"), (4, 4), '"causal" or ints'),
    "causal pool": (lambda: layers.MaxPool1D(3, padding="causal"), (4, 4), '"valid" or ints'),
    "pair": (lambda: layers.Conv1D(3, 3, padding=(1, 2, 3)), (4, 4), "padding"),
    "wide": (lambda: layers.MaxPool1D(2, padding=2), (4, 4), "below the size of the window"),
    "pairs": (lambda: layers.Conv1D(3, (3, 1)), (4, 4), "kernel must be an int"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name):
    make, shape, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError), match=message):
        steep.Sequential(make()).build(shape)


def test_weights_of_another_rank_are_refused():
    class Wrong(layers.Layer):
        def call(self, x):
            return steep.ops.conv1d(x, self.parameter("w", (3, 1, 2, 4)))

    with pytest.raises(ValueError, match=r"expects a weight \(kernel, channels / groups, filters"):
        steep.Sequential(Wrong()).build((7, 2))
