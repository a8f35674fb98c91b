"""Numbers and arrays at the door of the core: ranges, equal types, and whose memory labels are."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference
import steep
from hypothesis import given, settings
from hypothesis import strategies as st
from steep import _core, layers
from steep.network import scope

# ---- F17: numbers of activations, dropout and losses. ----


def test_f17_elu_of_negative_alpha_is_refused_by_name():
    """Its derivative is found from y, which is positive on both sides then."""
    with pytest.raises(ValueError, match=r"^Activation: alpha must be in \[0, inf\), got -1"):
        steep.Sequential(
            layers.Dense(3), layers.Activation("elu", alpha=-1), layers.Dense(1)
        ).build(2)


@pytest.mark.parametrize(
    ("kind", "alpha"),
    [("elu", 0.0), ("elu", 0.3), *(("leaky_relu", alpha) for alpha in (-1.5, -0.2, 0.0, 0.3))],
)
def test_f17_gradients_are_right_for_every_alpha_that_is_taken(kind, alpha):
    random = np.random.default_rng(0)
    f, slope = reference.ACTIVATIONS[kind]
    X, y = random.standard_normal((40, 1)), random.standard_normal((40, 7))
    net = steep.Sequential(layers.Dense(7, layers.Activation(kind, alpha))).build(1)
    trainer = steep.Trainer(net, "mse", "sgd", precision="float64")
    net.load_state_dict({k: random.standard_normal(v.shape).astype(np.float32)
                         for k, v in net.state_dict().items()})  # fmt: skip
    weight, bias = (v.astype(float) for v in net.state_dict().values())
    _, found = trainer.gradients(X, y)
    z = X @ weight + bias
    dz = 2 * (f(z, alpha) - y) / y.size * slope(z, alpha)
    np.testing.assert_allclose(found["dense.weight"], X.T @ dz, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(found["dense.bias"], dz.sum(axis=0), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("below", [2.0**-25, 2.0**-32, 2.0**-33, 2.0**-40, 2.0**-53])
def test_f17_dropout_so_near_1_that_nothing_is_kept_is_refused(below):
    with pytest.raises(ValueError, match=r"^Dropout .*: rate must be in \[0, 1\)"):
        steep.Sequential(layers.Dense(3), layers.Dropout(1 - below), layers.Dense(1)).build(2)


def test_f17_dropout_near_1_drops():
    net = steep.Sequential(layers.Dropout(1 - 2.0**-24), layers.Dense(1)).build(1000)
    trainer = steep.Trainer(net, "mse", "sgd")
    _, found = trainer.gradients(np.ones((50, 1000)), np.ones(50))
    assert np.count_nonzero(found["dense.weight"]) <= 2


# ---- F50: what starts as He says. ----


def test_f50_the_trait_stands_beside_the_functor():
    """Before these weights start with He's variance; every header says whether it is one."""
    headers = Path(__file__).parents[2] / "csrc" / "activations"
    if not headers.is_dir():
        pytest.skip("the sources are not here")
    said = {}
    for path in headers.glob("*.h"):
        name = re.search(r'kName = "(\w+)"', path.read_text())
        trait = re.search(r"kReluLike = (true|false);", path.read_text())
        if name:
            assert trait, path.name
            said[name[1]] = trait[1] == "true"
    assert set(said) == set(_core.activations())
    assert {name for name, yes in said.items() if yes} == set(_core.relu_like())
    assert set(scope.RELU_LIKE) == set(_core.relu_like())
    assert {"relu", "silu"} <= set(scope.RELU_LIKE)
    assert not {"tanh", "linear"} & set(scope.RELU_LIKE)


# ---- F30: types that are equal, not the same object. ----


def again(a):
    return pickle.loads(pickle.dumps(a))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "float16", ">f4", ">f8", "int64"])
def test_f30_arrays_that_were_pickled_are_taken(dtype):
    random = np.random.default_rng(0)
    X = random.integers(0, 9, (30, 4)).astype(dtype)
    y = random.integers(0, 3, 30).astype("int32")
    results = []
    for load in (lambda a: a, again, lambda a: np.array(a, np.dtype(again(a.dtype)))):
        trainer = steep.Trainer(steep.Sequential(layers.Dense(3)), "cross_entropy", "sgd", seed=1)
        trainer.fit(load(X), load(y), epochs=2, progress=False, sample_weight=load(np.ones(30)))
        results.append((trainer.net.predict(load(X)).tobytes(), trainer.evaluate(load(X), load(y))))
    assert results[0] == results[1] == results[2]


def test_f30_the_core_compares_types_by_value():
    for dtype in ("float32", "float64"):
        a = again(np.ones((4, 4), dtype))
        assert _core.all_finite(a)
        out = again(np.zeros((4, 4), dtype))
        _core.gemm(a, a, out)
        np.testing.assert_array_equal(out, 4)
        sweep = _core.Sweep("sgd", again(np.zeros(3, dtype)))
        assert sweep.w.dtype == dtype


# ---- F21: labels are ours. ----


LABELS = """
import numpy as np, steep
from steep import layers
class Writes:
    def on_step_end(self, step):
        if self.on: y[:] = {value}
random = np.random.default_rng(0)
X, labels = random.standard_normal((64, 4)), random.integers(0, {outputs}, 64).astype(np.int32)
weights = []
for on in (False, True):
    y, writes = labels.copy(), Writes()
    writes.on = on
    net = steep.Sequential(layers.Dense({outputs}))
    trainer = steep.Trainer(net, "cross_entropy", "sgd", seed=1)
    trainer.fit(X, y, epochs=3, batch_size=8, progress=False, callbacks=[writes])
    weights.append(trainer.net.state_dict()["dense.weight"].tobytes())
print("equal" if weights[0] == weights[1] else "different")
"""


@pytest.mark.parametrize("outputs", [3, 20])
@pytest.mark.parametrize("value", [100, 2_000_000_000, -1])
def test_f21_labels_written_later_reach_no_memory(outputs, value):
    """A label chooses a place in memory: the check must be of what is used then."""
    code = LABELS.format(outputs=outputs, value=value)
    child = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120
    )
    assert (child.returncode, child.stdout) == (0, "equal\n"), child.stderr


# ---- F46: what float32 does not hold. ----


@pytest.mark.parametrize("value", [1e300, -1e39])
@pytest.mark.parametrize("order", ["C", "F", "steps"])
def test_f46_what_float32_does_not_hold_is_refused_with_its_place(value, order):
    X = np.ones((5000, 4 if order == "steps" else 2))[:, :: 2 if order == "steps" else 1]
    X = np.asfortranarray(X) if order == "F" else X
    y = np.zeros((5000, 1))
    X[4321, 1] = value
    place = re.escape(f"X: holds {value} at row 4321, column 1, which is infinite in float32")
    trainer = steep.Trainer(steep.Sequential(layers.Dense(1)), "mse", "sgd")
    for use in (
        lambda: trainer.fit(X, y, progress=False),
        lambda: trainer.evaluate(X, y),
        lambda: steep.Sequential(layers.Dense(1)).build(2).predict(X),
    ):
        with pytest.raises(ValueError, match=place):
            use()
    trainer.fit(np.ones((4, 2)), np.ones((4, 1)), progress=False)
    y[7] = value
    with pytest.raises(ValueError, match=r"y: holds .* at row 7, column 0, which is infinite"):
        trainer.fit(np.ones((5000, 2)), y, progress=False)
    with pytest.raises(ValueError, match=r"sample_weight: .*1e\+"):
        trainer.fit(np.ones((5000, 2)), y * 0, sample_weight=np.abs(y[:, 0]), progress=False)


def test_f46_what_float32_holds_is_taken_and_float64_takes_more():
    most = float(np.finfo(np.float32).max)
    net = steep.Sequential(layers.Dense(1, init="zeros")).build(2)
    assert np.isfinite(net.predict(np.array([[most, -most]]))).all()
    wide = steep.Trainer(steep.Sequential(layers.Dense(1)), "mse", "sgd", precision="float64")
    wide.evaluate(np.full((3, 2), 1e100), np.zeros((3, 1)))
    wide.net.predict(np.full((3, 2), 1e100))


@given(
    st.lists(st.floats(allow_nan=True, width=64), min_size=1, max_size=70),
    st.floats(0, 1e308),
    st.integers(1, 3),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_f46_all_finite_says_what_numpy_says(values, limit, step):
    for dtype in (np.float64, np.float32):
        with np.errstate(over="ignore"):
            a = np.array(values).astype(dtype)[::step]
        known = np.float32(min(limit, 3.4028234663852886e38)) if dtype == np.float32 else limit
        assert _core.all_finite(a, limit) == bool((np.abs(a) <= known).all())
        assert _core.all_finite(a) == bool(np.isfinite(a).all())
