"""LSUV: variances measured by hand, networks of every shape, what stays, what it is good for."""

import math

import numpy as np
import pytest
import steep
from steep import data, initializers, lab, layers, ops

RANDOM = np.random.default_rng(0)
X = (3 * RANDOM.standard_normal((200, 20)) + 1).astype(np.float32)
IMAGES = RANDOM.standard_normal((24, 8, 8, 3)).astype(np.float32)
BENDS = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}


def deep(activation, depth=12, width=24, classes=5, **named):
    stack = [layers.Dense(width, activation, name=f"d{k}", **named) for k in range(depth)]
    return steep.Sequential(*stack, layers.Dense(classes, name=f"d{depth}"))


def signals(net, activation, X):
    """Return what each dense layer gives before its activation, in float64."""
    state, found, h = net.state_dict(), [], X.astype(np.float64)
    for k in range(len(net.layers)):
        bias = state.get(f"d{k}.bias", np.zeros(1)).astype(np.float64)
        found.append(h @ state[f"d{k}.weight"].astype(np.float64) + bias)
        h = BENDS[activation](found[-1])
    return found


@pytest.mark.parametrize("activation", BENDS)
@pytest.mark.parametrize("init", [0.01, 3.0])
def test_every_variance_is_1(activation, init):
    net = deep(activation, init=initializers.Normal(init)).build(20)
    told = lab.lsuv(net, X)
    assert [one.name for one in told] == [f"d{k}.weight" for k in range(13)]
    for one, signal in zip(told, signals(net, activation, X), strict=True):
        assert signal.var() == pytest.approx(one.variance, abs=1e-6)
        assert one.variance == pytest.approx(1, abs=1e-12 if one.tries else 0.1)
        assert one.tries <= 1
    assert sum(one.tries for one in told) > 6


def test_weights_are_orthogonal_up_to_their_scale():
    net = deep("tanh", depth=3)
    lab.lsuv(net, X, seed=5)
    for weight in net.state_dict().values():
        if weight.ndim == 2:
            w = weight.astype(np.float64)
            square = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
            np.testing.assert_allclose(square / square[0, 0], np.eye(len(square)), atol=1e-6)
    drawn = initializers.Orthogonal().values(initializers.Place((20, 24), 20, 24, 1, 5, 0))
    ratio = net.state_dict()["d0.weight"] / drawn
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-6)


def test_weights_may_stay_what_they_are_up_to_their_scale():
    net = deep("relu", depth=3).build(20, seed=7)
    before = net.state_dict()
    lab.lsuv(net, X, orthogonal=False)
    for name, w in net.state_dict().items():
        ratio = w / np.where(before[name] == 0, 1, before[name])
        np.testing.assert_allclose(ratio, ratio.ravel()[0], rtol=1e-6)


def test_biases_count_and_take_more_than_one_try():
    net = deep("tanh", depth=3).build(20)
    state = net.state_dict()
    state = {k: w + 0.7 * RANDOM.standard_normal(w.shape) * (w.ndim == 1) for k, w in state.items()}
    net.load_state_dict(state)
    told = lab.lsuv(net, X, tol=0.01)
    for one, signal in zip(told, signals(net, "tanh", X), strict=True):
        assert signal.var() == pytest.approx(one.variance, abs=1e-6)
        assert abs(one.variance - 1) <= 0.01
    assert max(one.tries for one in told) > 1
    short = lab.lsuv(net, X, tol=1e-9, tries=1)
    assert {one.tries for one in short} == {1}
    assert max(abs(one.variance - 1) for one in short) > 0.01


def test_a_variance_near_enough_is_left_alone():
    net = steep.Sequential(layers.Dense(40, init=2 * np.eye(20, 40))).build(20)
    near = X / np.sqrt(4 * X.var() / 2)  # half of the outputs are 0, the others 2x
    scaled = near / np.sqrt(np.var(near @ (2 * np.eye(20, 40)))) * 1.04
    (one,) = lab.lsuv(net, scaled, orthogonal=False)
    assert one.tries == 0
    assert one.variance == pytest.approx(1.04**2, rel=1e-5)
    np.testing.assert_array_equal(net.state_dict()["dense.weight"], 2 * np.eye(20, 40))


# ---- Networks of every shape: the tensors before activations are looked at as outputs. ----


def image_parts():
    """Return a network, and one of the same layers that gives what each product makes."""
    image = steep.Input((8, 8, 3))
    conv = layers.Conv2D(6, 3, use_bias=False)
    norm, wide, narrow = layers.BatchNorm(), layers.Conv2D(6, 3, groups=2), layers.Conv2D(4, 1)
    shared, last = layers.Conv2D(6, (1, 3)), layers.Dense(5)
    first = conv(image)
    h = layers.ReLU()(norm(first))
    left, right = wide(h), narrow(h)
    joined = layers.Tanh()(ops.concat([left, right]))
    back = layers.Conv2D(6, 1)
    short = back(joined)
    once = shared(h + short)
    twice = shared(layers.ReLU()(once))
    out = last(layers.GlobalAvgPool2D()(twice + once))
    return steep.Model(image, out), steep.Model(image, [first, left, right, short, once, out])


def test_branches_normalisation_groups_and_shared_layers():
    net, parts = image_parts()
    net.build(seed=3)
    state = net.state_dict()
    state["batch_norm.running_mean"] += 0.3
    state["batch_norm.running_var"] *= 2
    net.load_state_dict(state)
    told = lab.lsuv(net, IMAGES)
    after = net.state_dict()
    parts.build()
    parts.load_state_dict(dict(zip(parts.state_dict(), after.values(), strict=True)))
    for one, made in zip(told, parts.predict(IMAGES), strict=True):
        assert made.astype(np.float64).var() == pytest.approx(1, abs=1e-5), one
    assert len(told) == 6
    for name, w in after.items():
        if w.ndim == 1:
            np.testing.assert_array_equal(w, state[name])


def test_frequencies_stay():
    """Their phases alone vary by more than 1: no scale would make the sum's variance 1."""
    X = np.random.default_rng(2).standard_normal((300, 4)).astype(np.float32)
    net = steep.Sequential(layers.PeriodicEmbedding(5), layers.Dense(6, "relu"), layers.Dense(1))
    net.build((4,))
    before = net.state_dict()
    found = lab.lsuv(net, X)
    assert [one.name for one in found] == [
        "periodic_embedding.weight",
        "dense.weight",
        "dense_1.weight",
    ]
    after = net.state_dict()
    for name in ("periodic_embedding.frequency", "periodic_embedding.phase"):
        np.testing.assert_array_equal(after[name], before[name])
    assert not np.array_equal(
        after["periodic_embedding.weight"], before["periodic_embedding.weight"]
    )


def test_residual_blocks_of_the_zoo():
    net = steep.models.resnet_cifar(20)
    told = lab.lsuv(net, IMAGES)
    weights = [name for name, w in net.state_dict().items() if w.ndim > 1]
    assert [one.name for one in told] == weights
    assert all(one.variance == pytest.approx(1, abs=0.1) for one in told)


def test_two_inputs_and_an_own_layer():
    class Gate(layers.Layer):
        def call(self, x):
            return x @ self.parameter("w", (x.shape[0], 7)) * self.parameter("scale", (7,), 2.0)

    a, b = steep.Input(20), steep.Input(3)
    net = steep.Model([a, b], layers.Dense(4)(ops.concat([Gate()(a), layers.Dense(3)(b)])))
    told = lab.lsuv(net, [X, X[:, :3]])
    assert [one.name for one in told] == ["gate.w", "dense.weight", "dense_1.weight"]
    assert np.var(X @ net.state_dict()["gate.w"]) == pytest.approx(1, abs=1e-5)


def test_a_part_of_a_network_is_set_in_the_whole():
    inner = deep("tanh", depth=2)
    whole = steep.Sequential(layers.Dense(20), inner).build(20)
    before = whole.state_dict()
    lab.lsuv(inner, X)
    assert signals(inner, "tanh", X)[1].var() == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(whole.state_dict()["dense.weight"], before["dense.weight"])
    changed = [k for k, w in whole.state_dict().items() if not np.array_equal(w, before[k])]
    assert len(changed) == 3


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_bytes_for_any_number_of_threads(threads):
    with steep.threads(threads):
        net = steep.models.convnet(classes=3)
        lab.lsuv(net, np.tile(IMAGES, (20, 1, 1, 1)), seed=4)
        again = steep.models.convnet(classes=3)
        other = steep.models.convnet(classes=3)
        lab.lsuv(other, np.tile(IMAGES, (20, 1, 1, 1)), seed=5)
    with steep.threads(2):
        lab.lsuv(again, np.tile(IMAGES, (20, 1, 1, 1)), seed=4)
    kept = [b"".join(w.tobytes() for w in n.state_dict().values()) for n in (net, again, other)]
    assert kept[0] == kept[1] != kept[2]


# ---- What it is good for: as deep, from small weights, nothing is learned. ----


@pytest.mark.parametrize("activation", BENDS)
def test_a_deep_network_trains_from_it(activation):
    (digits, labels), _ = data.load("digits")
    digits = digits.reshape(-1, 64) / 16
    digits -= digits.mean(axis=0)
    losses = {}
    for start in ("small", "lsuv"):
        net = deep(activation, depth=20, width=32, classes=10, init=initializers.Normal(0.02))
        if start == "lsuv":
            lab.lsuv(net, digits[:512])
        trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.Adam(2e-3), seed=0)
        history = trainer.fit(digits, labels, epochs=8, batch_size=32, progress=False).history
        losses[start] = history["loss"][-1]
    assert losses["small"] > 0.99 * math.log(10)  # that of guessing
    assert losses["lsuv"] < 0.6


# ---- What is refused. ----


def dead():
    """Return a network whose second layer gets nothing but zeros."""
    net = deep("relu", depth=2).build(20)
    net.load_state_dict({k: w - 1e4 * (k == "d0.bias") for k, w in net.state_dict().items()})
    return net


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: lab.lsuv(deep("relu"), 0 * X),
            ValueError,
            r'outputs of Dense "d0" have variance 0',
        ),
        (lambda: lab.lsuv(dead(), X), ValueError, 'Dense "d1" have variance 0 on X'),
        (lambda: lab.lsuv(deep("relu"), X[:0]), ValueError, "no samples|at least one|empty"),
        (lambda: lab.lsuv(deep("relu"), X * np.inf), ValueError, "holds inf|holds nan"),
        (lambda: lab.lsuv(deep("relu").build(19), X), ValueError, "19"),
        (lambda: lab.lsuv(deep("relu"), X, tol=0), ValueError, "lsuv: tol must be in"),
        (lambda: lab.lsuv(deep("relu"), X, tries=0), ValueError, "lsuv: tries must be at least 1"),
        (lambda: lab.lsuv(deep("relu"), X, orthogonal=1), TypeError, "orthogonal must be True or"),
        (lambda: lab.lsuv(deep("relu"), X, seed=-1), ValueError, "seed must be in"),
        (lambda: lab.lsuv(layers.Dense(3), X), TypeError, "net must be a network, got Dense"),
        (
            lambda: lab.lsuv(steep.Sequential(layers.ReLU()), X),
            ValueError,
            "no matrices or filters",
        ),
    ],
)
def test_nonsense_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_refusal_leaves_the_network_as_it_was():
    net = dead()
    before = net.state_dict()
    with pytest.raises(ValueError, match="variance 0"):
        lab.lsuv(net, X)
    assert all(np.array_equal(w, before[name]) for name, w in net.state_dict().items())
    fresh = deep("relu")
    with pytest.raises(ValueError, match="variance 0"):
        lab.lsuv(fresh, 0 * X)
    assert not fresh.built
