"""Networks: building, names, shapes, prediction against NumPy, state, custom layers, copies."""

import copy
import pickle
import subprocess
import sys

import cases
import numpy as np
import pytest
import reference
import steep
from steep import layers, models, ops

RNG = np.random.default_rng(1)


def dense(x, state, name):
    return x @ state[f"{name}.weight"].astype(np.float64) + state[f"{name}.bias"].astype(np.float64)


def relu(x):
    return np.maximum(x, 0.0)


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


class Scale(layers.Layer):
    def __init__(self, start=1.0, name=None):
        super().__init__(name)
        self.start = start

    def call(self, x):
        return x * self.parameter("scale", x.shape, init=self.start, decay=False)


def test_names_and_shapes_follow_the_definition():
    net = steep.Sequential(
        layers.Dense(7, "relu"), layers.Dense(5, name="mid"), layers.Dense(3, use_bias=False)
    ).build((4,))
    shapes = {name: value.shape for name, value in net.state_dict().items()}
    assert shapes == {
        "dense.weight": (4, 7),
        "dense.bias": (7,),
        "mid.weight": (7, 5),
        "mid.bias": (5,),
        "dense_1.weight": (5, 3),
    }
    assert list(shapes)[2] == "mid.weight"
    assert net.num_parameters == 4 * 7 + 7 + 7 * 5 + 5 + 5 * 3


def test_a_named_container_prefixes_what_is_inside():
    block = layers.Residual(layers.Dense(4), name="block")
    net = steep.Sequential(layers.Dense(4), block, layers.Residual(layers.Dense(4))).build(4)
    assert [n for n in net.state_dict() if n.endswith("weight")] == [
        "dense.weight",
        "block.dense.weight",
        "dense_1.weight",
    ]


def test_two_layers_of_one_name_are_refused():
    net = steep.Sequential(layers.Dense(4, name="a"), layers.Dense(4, name="a"))
    with pytest.raises(ValueError, match='two layers are named "a"'):
        net.build(4)


@pytest.mark.parametrize("rows", [1, 7, 16, 33])
def test_predict_is_the_formula(rows):
    net = steep.Sequential(layers.Dense(17, "relu"), layers.Dense(3)).build((5,), seed=4)
    X = RNG.normal(size=(rows, 5))
    s = net.state_dict()
    want = dense(relu(dense(X, s, "dense")), s, "dense_1")
    close(net.predict(X), want)
    close(net.predict(X, batch_size=4), want)


@pytest.mark.parametrize("name", cases.ACTIVATIONS)
def test_activations(name):
    row, alone = cases.ACTIVATIONS[name], layers.Activation(name)
    X = np.linspace(max(-4, row.low), 4, 22).reshape(2, 11)
    net = steep.Sequential(layers.Dense(11, name, init=np.eye(11), use_bias=False)).build(11)
    close(net.predict(X), row.f(X, alone.alpha))
    close(steep.Sequential(alone).predict(X), row.f(X, alone.alpha))


def test_activations_of_other_names():
    X = np.linspace(-4, 4, 22).reshape(2, 11)
    for name, want in (("swish", X / (1 + np.exp(-X))), ("softmax", reference.softmax(X))):
        close(steep.Sequential(layers.Activation(name)).predict(X), want)
        net = steep.Sequential(layers.Dense(11, name, init=np.eye(11), use_bias=False)).build(11)
        close(net.predict(X), want)


@pytest.mark.parametrize(
    ("layer", "want"),
    [
        (layers.LeakyReLU(0.5), lambda x: np.where(x > 0, x, 0.5 * x)),
        (layers.ELU(2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0)))),
        (layers.ReLU(), relu),
        (layers.Rescale(1 / 255, -0.5), lambda x: x / 255 - 0.5),
        (layers.Dropout(0.5), lambda x: x),
        (layers.Dropout(0.25, scale_at="test"), lambda x: 0.75 * x),
        (layers.Residual(layers.ReLU()), lambda x: x + relu(x)),
        (layers.Residual(layers.Tanh(), activation="relu"), lambda x: relu(np.tanh(x) + x)),
        (layers.Branches(layers.ReLU(), layers.Tanh(), join="add"), lambda x: relu(x) + np.tanh(x)),
        (
            layers.Branches(layers.ReLU(), layers.Tanh()),
            lambda x: np.concatenate([relu(x), np.tanh(x)], axis=1),
        ),
    ],
)
def test_layers_without_weights(layer, want):
    X = RNG.normal(size=(6, 10))
    close(steep.Sequential(layer).predict(X), want(X))


def test_flatten_and_reshape_keep_c_order():
    X = RNG.normal(size=(3, 2, 3, 4)).astype(np.float32)
    assert np.array_equal(steep.Sequential(layers.Flatten()).predict(X), X.reshape(3, -1))
    net = steep.Sequential(layers.Flatten(), layers.Reshape((4, -1)))
    assert np.array_equal(net.predict(X), X.reshape(3, 4, 6))


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.int64, np.float16, bool])
def test_dtypes_keep_their_values(dtype):
    X = (RNG.uniform(0, 200, size=(9, 6))).astype(dtype)
    close(steep.Sequential(layers.Rescale(2.0)).predict(X), 2.0 * X.astype(np.float64))


def test_any_strides_and_memmap(tmp_path):
    base = RNG.normal(size=(40, 12)).astype(np.float32)
    net = steep.Sequential(layers.Dense(3)).build(6)
    want = net.predict(np.ascontiguousarray(base[::-2, ::2]))
    assert np.array_equal(net.predict(base[::-2, ::2]), want)
    assert np.array_equal(net.predict(np.asfortranarray(base[::-2, ::2])), want)
    base[::-2, ::2].copy().tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", dtype=np.float32, mode="r", shape=(20, 6))
    assert np.array_equal(net.predict(mapped), want)
    assert np.array_equal(net.predict(want := base[:20, :6].tolist()), net.predict(np.array(want)))


def test_functional_form_with_two_inputs_and_a_shared_layer():
    a, b = steep.Input((4,)), steep.Input((4,))
    shared = layers.Dense(5, "tanh", name="shared")
    both = ops.concat([shared(a), shared(b)])
    net = steep.Model([a, b], layers.Dense(2)((2 * both - 1) * both + both / 4)).build(seed=3)
    A, B = RNG.normal(size=(2, 7, 4))
    s = net.state_dict()
    assert list(s) == ["shared.weight", "shared.bias", "dense.weight", "dense.bias"]
    h = np.concatenate([np.tanh(dense(A, s, "shared")), np.tanh(dense(B, s, "shared"))], axis=1)
    close(net.predict([A, B]), dense((2 * h - 1) * h + h / 4, s, "dense"))


def test_several_outputs():
    x = steep.Input(3)
    h = layers.Dense(4, "relu", name="h")(x)
    net = steep.Model(x, [layers.Dense(2, name="p")(h), -h])
    X = RNG.normal(size=(5, 3))
    p, q = net.predict(X)
    s = net.state_dict()
    close(q, -relu(dense(X, s, "h")))
    close(p, dense(-q, s, "p"))


def test_functional_mistakes_show_at_once():
    x, other = steep.Input((2, 3)), steep.Input((5,))
    with pytest.raises(ValueError, match=r"\(5,\).*\(4,\)|\(4,\).*\(5,\)"):
        layers.Dense(4)(other) + other
    with pytest.raises(ValueError, match="not listed"):
        steep.Model(x, layers.Dense(2)(other))
    with pytest.raises(TypeError, match="symbolic"):
        layers.Dense(4)(np.zeros((2, 3)))


def test_custom_layer_in_ten_lines():
    net = steep.Sequential(Scale(3.0, name="s"), Scale()).build(4)
    X = RNG.normal(size=(2, 4))
    close(net.predict(X), 3 * X)
    assert list(net.state_dict()) == ["s.scale", "scale.scale"]
    assert repr(Scale(2.0)) == "Scale(start=2.0)"


def test_custom_layer_with_a_matrix_and_a_nested_layer():
    class Gate(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.inner = layers.Dense(units, "sigmoid")
            self.units = units

        def call(self, x):
            w = self.parameter("weight", (x.shape[0], self.units), "xavier")
            b = self.parameter("bias", self.units, init=0.5)
            return (x @ w + b) * self.inner(x)

    net = steep.Sequential(Gate(3)).build(5)
    s = net.state_dict()
    X = RNG.normal(size=(4, 5))
    gate = 1 / (1 + np.exp(-dense(X, s, "dense")))
    close(net.predict(X), (X @ s["gate.weight"] + 0.5) * gate)


def test_initial_weights_are_a_function_of_the_seed():
    def state(seed):
        return (
            steep.Sequential(layers.Dense(9, "relu"), layers.Dense(3)).build(6, seed).state_dict()
        )

    a, b, other = state(5), state(5), state(6)
    assert all(np.array_equal(a[n], b[n]) for n in a)
    assert not np.array_equal(a["dense.weight"], other["dense.weight"])
    assert not np.array_equal(a["dense.weight"].ravel()[:9], a["dense_1.weight"].ravel()[:9])
    assert not a["dense.bias"].any()


def test_default_initialisers_follow_the_activation():
    cases = [
        (steep.Sequential(layers.Dense(500, "relu"), layers.Dense(9)), "he"),
        (steep.Sequential(layers.Dense(500), layers.LeakyReLU(0.1), layers.Dense(9)), "he"),
        (steep.Sequential(layers.Dense(500, layers.GELU()), layers.Dense(9)), "he"),
        (steep.Sequential(layers.Dense(500, "tanh"), layers.Dense(9)), "xavier"),
        (steep.Sequential(layers.Dense(500), layers.Tanh(), layers.Dense(9)), "xavier"),
    ]
    for net, name in cases:
        w = net.build(300).state_dict()["dense.weight"]
        if name == "he":
            assert abs(w.std() / np.sqrt(2 / 300) - 1) < 0.01
            assert np.abs(w).max() > 3 * w.std()
        else:
            bound = np.sqrt(6 / 800)
            assert 0.99 * bound < np.abs(w).max() <= bound
        assert f"{name}:" in net.summary().splitlines()[2]


def test_equal_hidden_units_are_warned_of_but_not_equal_outputs():
    with pytest.warns(UserWarning, match="stay equal"):
        steep.Sequential(layers.Dense(4, init=0.5), layers.Dense(2)).build(3)
    steep.Sequential(layers.Dense(2, init="zeros")).build(3)


def test_state_round_trip_and_copies_are_copies():
    a = steep.Sequential(layers.Dense(6, "relu"), layers.Dense(2)).build(4, seed=1)
    b = steep.Sequential(layers.Dense(6, "relu"), layers.Dense(2)).build(4, seed=2)
    b.load_state_dict(a.state_dict())
    X = RNG.normal(size=(3, 4))
    assert np.array_equal(a.predict(X), b.predict(X))
    a.state_dict()["dense.weight"][:] = 0
    assert a.state_dict()["dense.weight"].any()


def test_strict_loading_changes_nothing_on_error():
    net = steep.Sequential(layers.Dense(6), layers.Dense(2)).build(4)
    before = net.state_dict()
    good = dict(before)
    bad = [
        ({k: v for k, v in good.items() if k != "dense.bias"}, "missing dense.bias"),
        (good | {"more": np.zeros(2)}, "unknown more"),
        (good | {"dense_1.weight": np.zeros((2, 6))}, r"dense_1.weight.*\(6, 2\).*\(2, 6\)"),
        (good | {"dense_1.bias": np.array([np.nan, 0])}, "dense_1.bias.*NaN"),
    ]
    for state, message in bad:
        changed = {k: v + 1 if k == "dense.weight" else v for k, v in state.items()}
        with pytest.raises(ValueError, match=message):
            net.load_state_dict(changed)
    with pytest.raises(TypeError, match="expects numbers"):
        net.load_state_dict(good | {"dense.bias": np.array(["a"] * 6)})
    assert all(np.array_equal(v, net.state_dict()[k]) for k, v in before.items())


def test_what_is_there_by_name_is_loaded(tmp_path):
    body = steep.Sequential(layers.Dense(6, name="first"), name="body")
    whole = steep.Sequential(body, layers.Dense(2)).build(4, seed=1)
    state, other = whole.state_dict(), steep.Sequential(layers.Dense(6, name="first")).build(4)
    other.load_state_dict(state, prefix="body.")
    assert (other.state_dict()["first.weight"] == state["body.first.weight"]).all()
    wider = steep.Sequential(layers.Dense(6, name="first"), layers.Dense(3, name="new")).build(4)
    before = wider.state_dict()
    whole.save_weights(tmp_path / "w")
    wider.load_weights(tmp_path / "w", strict=False, prefix="body.")
    after = wider.state_dict()
    assert (after["first.weight"] == state["body.first.weight"]).all()
    assert (after["new.weight"] == before["new.weight"]).all()
    x = steep.Input(4)
    fresh = steep.Model(x, layers.Dense(3)(layers.Dense(6, name="first")(x)))
    fresh.load_state_dict(after, strict=False)  # which builds it, as seed 0 would
    assert (fresh.state_dict()["dense.weight"] != 0).any()
    with pytest.raises(ValueError, match=r"none of this network is there behind 'head\."):
        other.load_state_dict(state, prefix="head.")
    with pytest.raises(ValueError, match="none of this network"):
        other.load_state_dict({"more": np.zeros(2)}, strict=False)
    with pytest.raises(ValueError, match=r"first.weight: expects shape \(4, 6\)"):
        other.load_state_dict({"first.weight": np.zeros((4, 5))}, strict=False)
    with pytest.raises(ValueError, match=r"missing new\.weight"):
        wider.load_state_dict(state, prefix="body.")
    with pytest.raises(TypeError, match="strict must be True or False"):
        other.load_state_dict(state, strict=0)


def test_deepcopy_and_pickle_keep_weights():
    net = steep.Sequential(layers.Dense(6, "relu"), layers.Dense(2)).build(4, seed=9)
    X = RNG.normal(size=(3, 4))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert np.array_equal(twin.predict(X), net.predict(X))
    fresh = copy.deepcopy(steep.Sequential(layers.Dense(2)))
    assert not fresh.built


def test_a_built_network_inside_another_keeps_its_weights():
    base = steep.Sequential(layers.Dense(6, "relu")).build(4, seed=9)
    whole = steep.Sequential(base, layers.Dense(2)).build(4, seed=1)
    assert np.array_equal(whole.state_dict()["dense.weight"], base.state_dict()["dense.weight"])
    assert "taken over" in whole.summary()


def test_models_mlp():
    net = models.mlp((8, 6), classes=3, activation="tanh", dropout=0.1).build((4, 5))
    assert [v.shape for v in net.state_dict().values()] == [
        (20, 8), (8,), (8, 6), (6,), (6, 3), (3,),
    ]  # fmt: skip


def test_summary_is_a_table():
    text = steep.Sequential(layers.Flatten(), layers.Dense(128, "relu")).build((28, 28)).summary()
    assert "dense (Dense)" in text
    assert "(784,)" in text
    assert f"{784 * 128 + 128:,}" in text


def test_import_is_quick_and_leaves_the_slow_packages_alone():
    code = (
        "import sys, steep; "
        "print([m for m in ('tqdm', 'safetensors', 'matplotlib', 'torch') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_env()
    )
    assert out.stdout.strip() == "[]"


def _env():
    import os

    return os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_symbolic_tensors_stay_usable_through_copies(again):
    x = again(steep.Input((3,)))
    assert steep.Model(x, layers.Dense(2)(x + 1.0)).build().output_shapes == ((2,),)


def test_notebooks_show_the_summary():
    net = steep.Sequential(steep.layers.Dense(2, name="a<b"))
    assert net._repr_html_() is None
    shown = net.build((3,))._repr_html_()
    assert shown.startswith("<pre>") and "a&lt;b" in shown and "parameters 8" in shown
