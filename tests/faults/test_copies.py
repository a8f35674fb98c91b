"""Copies and pickles of networks: long ones, deep ones, parts of others. Row F32."""

import copy
import io
import json
import pickle
import sys

import numpy as np
import pytest
import steep
from steep import layers
from steep.saving.config import Encoder
from wholes import X, chain, coder, same


def nest(depth):
    net = steep.Sequential(layers.Dense(4))
    for k in range(depth):
        shape = 4 if k == depth - 1 else None
        net = steep.Sequential(net, layers.Dense(4), input_shape=shape)
    return net


def nest_of_blocks(depth):
    block = layers.Dense(4)
    for k in range(depth):
        block = layers.Residual(block) if k % 2 else layers.Branches(block, join="add")
    return steep.Sequential(block, input_shape=4)


def joblib_copy(net):
    import joblib

    file = io.BytesIO()
    joblib.dump(net, file)
    file.seek(0)
    return joblib.load(file)


def trainer_copy(net):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        steep.Trainer(net, "mse", "sgd").save(f"{folder}/t")
        return steep.Trainer.load(f"{folder}/t").net


COPIES = {
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "pickle_in_python": lambda net: pickle.loads(pickle._dumps(net)),
    "deepcopy": copy.deepcopy,
    "joblib": joblib_copy,
    "checkpoint": trainer_copy,
}


LARGE = {
    "functional": lambda: chain(300),
    "nested": lambda: nest(200),
    "blocks": lambda: nest_of_blocks(200),
}


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("how", COPIES)
def test_f32_long_and_deep_networks_are_copied(kind, how):
    if how == "joblib":
        pytest.importorskip("joblib")
    x = np.ones((2, 4), np.float32)
    for build in (False, True):
        net = LARGE[kind]()
        if build:
            net.build((4,), seed=5)
        elif how == "checkpoint":
            continue
        twin = COPIES[how](net)
        assert twin.built == build
        assert np.array_equal(twin.predict(x), net.predict(x))
        assert list(twin.state_dict()) == list(net.state_dict())
        assert twin.summary() == net.summary()
        assert repr(twin).startswith(type(net).__name__)


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize(
    "how", [pickle.dumps, pickle._dumps, copy.deepcopy, Encoder().encode, repr]
)
def test_f32_copies_do_not_depend_on_the_recursion_limit(kind, how):
    net, limit = LARGE[kind](), sys.getrecursionlimit()
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    sys.setrecursionlimit(depth + 260)
    try:
        json.dumps(how(net)) if how.__name__ == "encode" else how(net)
    finally:
        sys.setrecursionlimit(limit)


def test_f32_what_is_described_ahead_is_counted_where_it_runs():
    check_size = pytest.importorskip("steep.saving.described").check_size
    for make in LARGE.values():
        check_size(Encoder().encode(make()))
    level = {"layer": "Dense", "number": 0, "config": {"units": 4}}
    inner = [level]
    for number in range(1, 40):  # each level runs the one below twice
        twice = [{"same": number - 1}] * 2
        inner.append({"layer": "Sequential", "number": number, "config": {"layers": twice}})
    bomb = {"layer": "Sequential", "number": 40, "config": {"layers": [{"same": 39}]}}
    with pytest.raises(ValueError, match="would run"):
        check_size(bomb | {"inner": inner})


def test_f32_too_many_layers_inside_each_other_are_refused_by_number():
    with pytest.raises(ValueError, match="more than 250 layers stand inside each other"):
        nest(300).build((4,))

    class Deep(layers.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, x):
            def further():  # takes more of the stack than steep's own layers do
                def on():
                    return self.inner(x)

                return on()

            return further()

    layer = layers.Dense(4)
    for _ in range(240):
        layer = Deep(layer)
    net = steep.Sequential(layer)
    with pytest.raises(ValueError, match="Python's stack ends"):
        net.build((4,))
    assert not net.built


def test_f32_shared_layers_stay_shared_in_copies():
    layer = layers.Dense(4)
    net = steep.Sequential(layer, steep.Sequential(layer), nest(30)).build((4,))
    for name, how in COPIES.items():
        if name == "joblib":
            pytest.importorskip("joblib")
        twin = how(net)
        assert list(twin.state_dict()) == list(net.state_dict())
        assert twin.layers[0] is twin.layers[1].layers[0]


@pytest.mark.parametrize("how", ["pickle", "pickle_in_python", "deepcopy", "joblib"])
@pytest.mark.parametrize("order", ["part first", "whole first"])
def test_f4_copied_together_a_part_stays_one(how, order):
    if how == "joblib":
        pytest.importorskip("joblib")
    enc, _, auto = coder()
    auto.build((8,), seed=4)
    pair = (enc, auto) if order == "part first" else (auto, enc)
    twins = COPIES[how](pair)
    part, whole = twins if order == "part first" else twins[::-1]
    assert same(whole.state_dict(), auto.state_dict())
    part.load_state_dict({k: v + 1 for k, v in part.state_dict().items()})
    assert np.array_equal(whole.state_dict()["enc.dense.weight"], part.state_dict()["dense.weight"])
    assert not same(part.state_dict(), enc.state_dict())


def test_f4_copies_are_faithful_to_weights_that_are_not_finite():
    enc, _, auto = coder()
    auto.build((8,))
    auto._native.assign([("enc.dense.bias", np.full(3, np.nan, np.float32))])
    for twin in (copy.deepcopy(auto), pickle.loads(pickle.dumps(enc)), copy.copy(enc)):
        assert any(np.isnan(value).all() for value in twin.state_dict().values())


def test_f4_a_part_copied_alone_is_its_own():
    enc, _, auto = coder()
    auto.build((8,), seed=4)
    before = auto.state_dict()
    twins = [copy.deepcopy(enc), pickle.loads(pickle.dumps(enc)), copy.copy(enc), copy.copy(auto)]
    for twin in twins[:3]:
        assert np.array_equal(twin.predict(X), enc.predict(X))
        assert len(twin.state_dict()) == 2
    for twin in twins:
        twin.load_state_dict({k: v + 1 for k, v in twin.state_dict().items()})
    assert same(auto.state_dict(), before)
    assert np.array_equal(enc.state_dict()["dense.weight"], before["enc.dense.weight"])


def test_f4_a_pickle_holds_shared_weights_once():
    wide = steep.Sequential(layers.Dense(200), name="wide")
    whole = steep.Sequential(steep.Sequential(wide, name="outer"), layers.Dense(1)).build((500,))
    assert len(pickle.dumps((wide, whole))) < 1.1 * whole.num_parameters * 4
