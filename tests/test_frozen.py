"""Frozen weights: nothing moves them, nothing is computed or kept for them."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import steep
from cases_rules import RULES
from steep import layers, losses, optimizers

RANDOM = np.random.default_rng(11)
X = RANDOM.normal(size=(40, 8)).astype(np.float32)
Y = RANDOM.integers(0, 3, 40)
IMAGES = RANDOM.normal(size=(24, 6, 6, 3)).astype(np.float32)


def dense(seed=1):
    net = steep.Sequential(
        layers.Dense(9, "relu", name="first"),
        layers.BatchNorm(name="norm"),
        layers.Dense(7, "tanh", name="second"),
        layers.Dense(3, name="head"),
    )
    return net.build(8, seed=seed)


def images():
    net = steep.Sequential(
        layers.Conv2D(4, 3, name="stem"),
        layers.BatchNorm(name="norm"),
        layers.PReLU(name="bend"),
        layers.Conv2D(5, 3, stride=2, name="body"),
        layers.Flatten(),
        layers.Dense(3, name="head"),
    )
    return net.build((6, 6, 3), seed=1)


def kept(net, *names):
    return {name: net.state_dict()[name].tobytes() for name in names or net.frozen}


@pytest.mark.parametrize("name", RULES)
def test_bytes_stay_under_every_rule(name):
    """A thousand steps, with everything that moves weights besides gradients."""
    optimizer, net = RULES[name].optimizer, dense()
    net.freeze("first", "norm", "head.bias")
    before = kept(net)
    full = optimizer.full_batch
    options = {} if full else {"l1": 1e-4, "clip_norm": 1.0, "decay_bias": True, "average": "ema"}
    if not full and "weight_decay" in {*optimizer.ranges}:
        optimizer = replace(optimizer, weight_decay=0.01)
    made = steep.Trainer(net, losses.MeanSquaredError(), optimizer, l2=1e-3, **options)
    start = kept(net, "second.weight")
    made.fit(X, np.eye(3)[Y], batch_size=40 if full else 8, epochs=30 if full else 200,
             progress=False)  # fmt: skip
    assert kept(net) == before
    assert kept(net, "second.weight") != start
    slots = made._run.session().copy_out()[1]
    assert not {*net.frozen} & {name for found in slots.values() for name in found}


@pytest.mark.parametrize("pattern", ["norm", "norm.running_mean", "norm.running_var"])
def test_batch_normalisation_among_them_goes_by_its_running_statistics(pattern):
    net = dense()
    steep.Trainer(net, "cross_entropy", "adam").fit(X, Y, progress=False)
    net.freeze(pattern)
    made = steep.Trainer(net, "cross_entropy", "sgd", precision="float64")
    loss = made.evaluate(X, Y)["loss"]
    assert made.gradients(X, Y)[0] == pytest.approx(loss, rel=1e-12)
    net.unfreeze()
    loose = steep.Trainer(net, "cross_entropy", "sgd", precision="float64")
    assert loose.gradients(X, Y)[0] != pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize(
    ("make", "patterns"),
    [
        (dense, ["norm"]),
        (dense, ["first"]),
        (dense, ["*.weight"]),
        (dense, ["norm.bias", "head"]),
        (images, ["norm"]),
        (images, ["stem"]),
        (images, ["stem", "norm", "bend"]),
        (images, ["*.weight"]),
        (images, ["body", "bend"]),
    ],
)
def test_gradients_of_the_others_are_central_differences(make, patterns):
    net = make()
    x = IMAGES if make is images else X
    net.freeze(*patterns)
    made = steep.Trainer(net, "cross_entropy", "sgd", precision="float64")
    y = Y[: len(x)]
    _, found = made.gradients(x, y)
    trained = [n for n in net.state_dict() if "running" not in n and n not in net.frozen]
    assert sorted(found) == sorted(trained)
    state = {name: value.copy() for name, value in net.state_dict().items()}
    for name in trained:
        for at in RANDOM.integers(0, state[name].size, 3):
            losses_ = []
            for step in (1e-6, -1e-6):
                moved = {k: v.copy() for k, v in state.items()}
                moved[name].reshape(-1)[at] += step
                net.load_state_dict(moved)
                losses_.append(made.gradients(x, y)[0])
            net.load_state_dict(state)
            slope = (losses_[0] - losses_[1]) / 2e-6
            assert found[name].reshape(-1)[at] == pytest.approx(slope, rel=1e-5, abs=1e-8), name


def test_what_lies_below_is_not_computed():
    """The head's training is that of the head alone on what comes before it."""
    net = dense()
    net.freeze("first", "norm", "second")
    made = steep.Trainer(net, "cross_entropy", "sgd", clip_norm=0.05)
    whole = steep.Trainer(dense(), "cross_entropy", "sgd", clip_norm=0.05)
    assert made.memory(1000)["arena"] < whole.memory(1000)["arena"]
    features = steep.Sequential(*net.layers[:3]).build(8)
    features.load_state_dict({k: v for k, v in net.state_dict().items() if "head" not in k})
    head = steep.Sequential(layers.Dense(3, name="head")).build(7)
    head.load_state_dict({k: v for k, v in net.state_dict().items() if "head" in k})
    alone = steep.Trainer(head, "cross_entropy", "sgd", clip_norm=0.05)
    Z = features.predict(X)
    made.fit(X, Y, batch_size=10, epochs=3, progress=False)
    alone.fit(Z, Y, batch_size=10, epochs=3, progress=False)
    np.testing.assert_allclose(net.predict(X), head.predict(Z), rtol=1e-5, atol=1e-6)


def test_layers_and_what_is_inside_them():
    net = dense()
    net.layers[0].trainable = False
    assert net.frozen == ("first.weight", "first.bias")
    inner = steep.Sequential(layers.Dense(4), layers.Dense(5), name="inner")
    outer = steep.Sequential(inner, layers.Dense(2, name="out")).build(3)
    inner.trainable = False
    assert outer.frozen == tuple(n for n in outer.state_dict() if n.startswith("inner"))
    inner.trainable = True
    inner.freeze("dense_1")
    assert outer.frozen == ("inner.dense_1.weight", "inner.dense_1.bias")
    outer.trainable = False
    assert len(outer.frozen) == 6
    with pytest.raises(TypeError, match="trainable"):
        inner.trainable = "no"


def test_freezing_and_freeing():
    net = dense()
    net.freeze()
    net.unfreeze("head", "*.bias")
    assert net.frozen == (
        "first.weight", "norm.weight", "norm.running_mean", "norm.running_var", "second.weight",
    )  # fmt: skip
    net.unfreeze()
    assert net.frozen == ()
    for pattern in ("heed", "*.gamma", ""):
        with pytest.raises((ValueError, TypeError), match=r"no weight is called|takes names"):
            net.freeze(pattern)
    later = steep.Sequential(layers.Dense(2, name="a"))
    later.freeze("b")  # of what is not known yet
    with pytest.raises(ValueError, match="no weight is called 'b'"):
        steep.Trainer(later, "mse", "sgd").fit(X, X[:, :2], progress=False)


def test_nothing_left_to_train_and_changes_on_the_way_are_refused():
    net = dense()
    net.freeze()
    with pytest.raises(ValueError, match="trains nothing"):
        steep.Trainer(net, "cross_entropy", "sgd").fit(X, Y, progress=False)
    net.unfreeze("head")
    made = steep.Trainer(net, "cross_entropy", "sgd")
    made.gradients(X, Y)
    net.unfreeze()  # no step is done yet
    made.step(X, Y)
    assert len(made.gradients(X, Y)[1]) == 8
    net.freeze("head")
    with pytest.raises(RuntimeError, match="other weights were frozen when its 1 steps"):
        made.step(X, Y)
    net.unfreeze("head")
    made.step(X, Y)


@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.Adam(), optimizers.ConjugateGradient(), optimizers.LBFGS(),
        optimizers.NewtonCG(),
    ],
    ids=lambda optimizer: optimizer.rule,
)  # fmt: skip
def test_copies_pickles_and_checkpoints_know(optimizer, tmp_path):
    """The state of a method for full batches lies where a checkpoint finds it, too."""
    net = dense()
    net.freeze("first")
    made = steep.Trainer(net, "cross_entropy", optimizer)
    made.fit(X, Y, progress=False)
    made.save(tmp_path / "t")
    others = [
        copy.deepcopy(made), pickle.loads(pickle.dumps(made)), steep.Trainer.load(tmp_path / "t"),
        steep.Trainer.load(tmp_path / "t", net=dense(5)),
    ]  # fmt: skip
    made.fit(X, Y, progress=False)
    for other in others:
        assert other.net.frozen == net.frozen
        other.fit(X, Y, progress=False)
        assert kept(other.net, *net.state_dict()) == kept(net, *net.state_dict())


def test_a_frozen_part_still_passes_gradients_on():
    """A critic that stands still teaches what comes before it."""
    critic = steep.Sequential(layers.Dense(6, "tanh"), layers.Dense(1), name="critic")
    actor = steep.Sequential(layers.Dense(5), name="actor")
    both = steep.Sequential(actor, critic).build(8)
    critic.freeze()
    before = kept(both)
    made = steep.Trainer(both, "mean", optimizers.Adam(0.01))
    first = made.evaluate(X)["loss"]
    made.fit(X, epochs=20, progress=False)
    assert made.evaluate(X)["loss"] < first - 0.1
    assert kept(both) == before
