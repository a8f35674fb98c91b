"""`lab.gradient_flow`: its norms by hand, what it leaves alone, and depth with and without it."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import steep
from steep import data, lab, layers, models

ROOT = Path(__file__).parent.parent


def chain(weights):
    """Return y = w_n .. w_1 x, one number a layer."""
    made = [layers.Dense(1, use_bias=False, name=f"w{k}") for k in range(len(weights))]
    net = steep.Sequential(*made).build((1,))
    net.load_state_dict({f"w{k}.weight": [[w]] for k, w in enumerate(weights)})
    return net


def test_a_chain_of_numbers():
    """(y - t)^2 at x = 1, t = 0: dL/dw_k = 2 y (y / w_k), and relative to w_k once more."""
    weights = [2.0, -0.5, 4.0, 0.25]
    y = math.prod(weights)
    flow = lab.gradient_flow(chain(weights), [[1.0]], [[0.0]], "mse")
    assert [f.name for f in flow] == [f"w{k}.weight" for k in range(4)]
    np.testing.assert_allclose([f.norm for f in flow], [abs(2 * y * y / w) for w in weights])
    np.testing.assert_allclose([f.relative for f in flow], [2 * y * y / w**2 for w in weights])


def test_matrices_and_filters_by_hand_biases_and_norms_left_out():
    """A filter as large as the image is a matrix product, of which the gradient is X' (y - t)."""
    random = np.random.default_rng(5)
    X, t = random.standard_normal((6, 3, 4, 2)), random.standard_normal((6, 1))
    net = steep.Sequential(
        layers.Conv2D(5, (3, 4), padding="valid", name="filter"),
        layers.Flatten(),
        layers.Dense(1, name="last"),
    )
    net.build((3, 4, 2), seed=3)
    flow = lab.gradient_flow(net, X, t, "mse")
    state = {name: value.astype(float) for name, value in net.state_dict().items()}
    W, V = state["filter.weight"].reshape(-1, 5), state["last.weight"]
    rows = X.reshape(6, -1)
    hidden = rows @ W + state["filter.bias"]
    error = 2 / 6 * (hidden @ V + state["last.bias"] - t)
    dW, dV = rows.T @ (error @ V.T), hidden.T @ error
    assert [f.name for f in flow] == ["filter.weight", "last.weight"]
    for found, g, w in zip(flow, (dW, dV), (W, V), strict=True):
        norm, size = np.sqrt((g**2).sum()), np.sqrt((w**2).sum())
        assert found.norm == pytest.approx(norm, rel=1e-4)
        assert found.relative == pytest.approx(norm / size, rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_network_is_as_before(precision):
    random = np.random.default_rng(0)
    X, y = random.standard_normal((8, 6, 6, 2)), random.integers(0, 3, 8)
    net = steep.Sequential(
        layers.Conv2D(4, 3), layers.BatchNorm(), layers.ReLU(), layers.Dropout(0.5),
        layers.GlobalAvgPool2D(), layers.Dense(3),
    )  # fmt: skip
    trainer = steep.Trainer(net, "cross_entropy", "adam", precision=precision)
    trainer.fit(X, y, progress=False)
    before = net.state_dict()
    flow = lab.gradient_flow(net, X, y, "cross_entropy")
    assert len(flow) == 2
    assert lab.gradient_flow(net, X, y, "cross_entropy") == flow
    assert lab.gradient_flow(net, X, y, "cross_entropy", seed=1) != flow  # of dropout
    assert net._native.precision == precision
    for name, value in net.state_dict().items():
        assert np.array_equal(value, before[name]), name
    trainer.fit(X, y, progress=False)  # still its own


def test_further_arguments_reach_the_trainer():
    flow = lab.gradient_flow(chain([3.0]), [[1.0], [1.0]], [[3.0], [3.0]], "mse", l2=0.5)
    assert flow[0].norm == pytest.approx(1.5)  # the loss is 0, the penalty 0.25 w^2
    summed = lab.gradient_flow(chain([3.0]), [[1.0], [1.0]], [[2.0], [2.0]], "mse", reduction="sum")
    assert summed[0].norm == pytest.approx(4.0)


def test_weights_of_zero_have_no_relative_norm():
    flow = lab.gradient_flow(chain([0.0, 2.0]), [[1.0]], [[1.0]], "mse")
    assert flow[0].norm == pytest.approx(4.0)
    assert math.isnan(flow[0].relative)
    assert flow[1].norm == flow[1].relative == 0.0


def test_refusals():
    net = chain([1.0])
    with pytest.raises(ValueError, match="expects 1 inputs, got"):
        lab.gradient_flow(net, [[1.0, 2.0]], [[1.0]], "mse")
    with pytest.raises(TypeError, match="must be a steep network"):
        lab.gradient_flow("net", [[1.0]], [[1.0]], "mse")


def test_shortcuts_hand_the_gradient_on():
    """Where the bodies are 0 a block is the identity and dH/dx = dF/dx + 1 = 1 (He et al. 2016)."""
    random = np.random.default_rng(2)
    X, t = random.standard_normal((9, 4)), random.standard_normal((9, 3))

    def first(blocks):
        ends = layers.Dense(4, name="first"), layers.Dense(3, name="last")
        net = steep.Sequential(ends[0], *blocks, ends[1]).build((4,))
        net.load_state_dict(
            {
                name: np.eye(*w.shape) if name.endswith(("first.weight", "last.weight")) else 0 * w
                for name, w in net.state_dict().items()
            }
        )
        return lab.gradient_flow(net, X, t, "mse")[0]

    def body():
        return [layers.Dense(4, "relu"), layers.Dense(4)]

    alone = first([])
    assert first([layers.Residual(*body()) for _ in range(6)]) == alone
    assert first([steep.Sequential(*body()) for _ in range(6)]).norm == 0.0
    assert alone.norm > 0.1


@pytest.mark.parametrize("seed", [0, 7])
def test_plain_depth_multiplies_gradients_and_shortcuts_do_not(seed):
    """With batch normalisation they grow exponentially towards the input (Yang et al. 2019)."""
    (X, y), _ = data.load("digits")
    X = X[:128, ..., None] / 8.0 - 1.0
    grows = {}
    for depth, plain in ((20, True), (56, True), (56, False)):
        net = models.resnet_cifar(depth, plain=plain).build((8, 8, 1), seed=seed)
        flow = lab.gradient_flow(net, X, y[:128], "cross_entropy")
        assert len(flow) == depth
        grows[depth, plain] = flow[1].norm / flow[-2].norm  # both 3x3, C to C
    assert grows[56, True] > 100
    assert grows[56, True] > 10 * grows[20, True]
    assert grows[56, True] > 10 * grows[56, False]


def test_the_script_of_the_document(tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "depth.png"
    found = subprocess.run(
        [sys.executable, str(ROOT / "docs/depth.py"), "--quick", "--picture", str(picture)],
        env={**os.environ, "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = [line.split("|")[1].strip() for line in found.stdout.splitlines()[2:]]
    assert rows == ["plain 20", "plain 56", "residual 20", "residual 56"]


def test_the_report_says_what_vanishes_and_explodes():
    norms = {"first": 3.1e-7, "second": 0.5, "third": 4000.0, "last": 1.0}
    found = lab.GradientFlow(lab.GradientNorm(name, n, n) for name, n in norms.items())
    assert found.report().splitlines() == [
        "first vanishes: gradient norm 3.1e-07 of the last layer's",
        "third explodes: gradient norm 4e+03 of the last layer's",
    ]
    assert lab.GradientFlow(found[1:2] * 2).report() == "no gradient vanishes or explodes"
    dead = lab.GradientFlow([lab.GradientNorm("only", 0.0, 0.0)])
    assert dead.report().startswith("no gradient arrives")
