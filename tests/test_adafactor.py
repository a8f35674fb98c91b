"""Adafactor on whole networks: its slots, every edge of its blocks, and forms that are refused.

Against PyTorch's it stands in test_torch_optim.py, on vectors step by step in test_rules_native.py.
"""

from itertools import product

import numpy as np
import pytest
import reference
import steep
from steep import lab
from steep.layers import Conv2D, Dense, Flatten, Reshape
from steep.optimizers import Adafactor
from steep.schedules import Linear

RANDOM = np.random.default_rng(7)


def built(net, shape, optimizer, precision="float64", **more):
    made = steep.Trainer(net, "mse", optimizer, seed=2, precision=precision, **more)
    made._run.settings.build((shape,))
    return made


def images(optimizer, **more):
    net = steep.Sequential(
        Reshape((5, 5, 2)), Conv2D(70, 3, activation="tanh", name="conv"), Flatten(),
        Dense(3, name="head"),
    )  # fmt: skip
    return built(net, (50,), optimizer, **more)


def test_a_matrix_has_a_number_a_row_and_one_a_column():
    made = images(Adafactor())
    found = made._run.settings.slots(made._run.settings.shapes())
    assert found == {
        "r": {"conv.weight": (18,), "head.weight": (1750,)},
        "c": {"conv.weight": (70,), "head.weight": (3,)},
        "v": {"conv.bias": (70,), "head.bias": (3,)},
    }


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("inputs", "outputs"), [*product((1, 7, 63, 64, 65, 130), (1, 3, 4, 5, 16, 33, 65))]
)
def test_every_size_steps_by_the_formula(inputs, outputs, threads):
    """Narrow matrices are stored turned over; blocks have 64 rows and 32 columns."""
    optimizer = Adafactor(Linear(0.1, 0.05, 4), eps1=1e-4, clip=0.8, weight_decay=0.1)
    made = built(steep.Sequential(Dense(outputs, use_bias=False)), (inputs,), optimizer)
    name = "dense.weight"
    w, slots = made.net.state_dict()[name], reference.first_slots(optimizer)
    X, Y = RANDOM.standard_normal((9, inputs)), RANDOM.standard_normal((9, outputs))
    with steep.threads(threads):
        for step in range(4):
            g = made.gradients(X, Y)[1][name]
            made.step(X, Y)
            w, slots = reference.move(w, slots, g, reference.knobs_at(optimizer, step, 0))
            np.testing.assert_allclose(made.net.state_dict()[name], w, rtol=0, atol=1e-12)
    found = made._run.session().copy_out()[1]
    for slot in ("r", "c"):
        np.testing.assert_allclose(found[slot][name], slots[slot], rtol=1e-12, atol=0)


def test_a_convolution_is_its_matrix():
    optimizer = Adafactor(0.1, weight_decay=0.1)
    made = images(optimizer)
    X, Y = RANDOM.standard_normal((9, 50)), RANDOM.standard_normal((9, 3))
    w, slots = made.net.state_dict()["conv.weight"], reference.first_slots(optimizer)
    for step in range(3):
        g = made.gradients(X, Y)[1]["conv.weight"]
        made.step(X, Y)
        w, slots = reference.move(w, slots, g, reference.knobs_at(optimizer, step, 0))
    np.testing.assert_allclose(made.net.state_dict()["conv.weight"], w, rtol=0, atol=1e-12)


def test_small_matrices_keep_all_of_their_moments():
    made = images(Adafactor(factors_from=4))
    found = made._run.settings.slots(made._run.settings.shapes())
    assert set(found["r"]) == {"conv.weight"}
    assert found["v"]["head.weight"] == (1750, 3)


def test_like_optax_factors_from_128_on():
    optimizer = Adafactor(like="optax")
    assert optimizer.factors_from == 128 and not optimizer.relative_step
    parts = optimizer.parts({"large": (128, 200), "small": (127, 200), "taps": (3, 3, 100, 200)})
    assert [names for _, names in parts] == [["large"], ["small", "taps"]]


@pytest.mark.parametrize(("like", "axes"), [("torch", (3, 3, 2, 7)), ("optax", (3, 3, 128, 128))])
def test_other_axes_of_a_convolution_are_refused(like, axes):
    with pytest.raises(ValueError, match=r"factors other axes of conv\.weight .* leave like out"):
        Adafactor(like=like).parts({"conv.weight": axes})
    Adafactor(like=like, factored=False).parts({"conv.weight": axes})


def test_clipping_scales_the_gradient_first():
    """The direction does not feel it, the slots do."""
    X, Y = RANDOM.standard_normal((9, 50)), RANDOM.standard_normal((9, 3))
    plain, clipped = images(Adafactor(eps1=0.0)), images(Adafactor(eps1=0.0), clip_norm=1e-3)
    for made in (plain, clipped):
        made.step(X, Y)
    for name, w in plain.net.state_dict().items():
        np.testing.assert_allclose(clipped.net.state_dict()[name], w, rtol=1e-9, atol=1e-12)
    rows = [made._run.session().copy_out()[1]["r"]["conv.weight"] for made in (plain, clipped)]
    assert rows[1].sum() < 1e-3 * rows[0].sum()


def test_a_descent_has_no_matrix():
    paths = [
        lab.descend(Adafactor(0.1, factored=factored), lambda w: w, [1.0, -2.0, 3.0], 5)
        for factored in (True, False)
    ]
    assert paths[0].tobytes() == paths[1].tobytes()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Adafactor(beta2_decay=0.1), r"beta2_decay must be in \(-inf, 0\]"),
        (lambda: Adafactor(clip=0.0), "clip must be in"),
        (lambda: Adafactor(factors_from=0), "factors_from must be at least 1"),
        (lambda: Adafactor(like="optax", relative_step=True), "means relative_step=False"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
    with pytest.raises(TypeError, match="eps1 must be a number"):
        Adafactor(eps1=Linear(0.1, 0.2, 3))
