"""What is recorded of rows, blocks and numbers of every size, by numpy in float64."""

import numpy as np
import pytest
import steep
from steep import layers, optimizers
from steep.callbacks import Recorder

# About a vector, the vectors that are added at once, and those of two stretches.
WIDTHS = [1, 2, 3, 15, 16, 17, 31, 32, 33, 255, 256, 257, 300, 513]
ROWS = [1, 2, 3, 4, 5, 8, 9]
# Sums of 16 numbers in float32, each rounded by 2^-24 at most, and a root; the rest is in double.
TIGHT = {"float32": 16 * 2.0**-24 / 2, "float64": 1e-13}


def passed_on(width, rows, activation, precision):
    """Record one step of a network whose first layer hands its inputs to the activation."""
    random = np.random.default_rng(width * 16 + rows)
    X = (random.standard_normal((rows, width)) + 0.3).astype(precision)
    X[:, ::3] = -abs(X[:, ::3])  # units that a relu leaves dead
    net = steep.Sequential(layers.Dense(width, activation, name="a"), layers.Dense(1, name="b"))
    made = steep.Trainer(net, "mse", optimizers.SGD(1e-3), precision=precision)
    made.net.build((width,), seed=1)
    state = made.net.state_dict()
    state["a.weight"][:] = np.eye(width)
    made.net.load_state_dict(state)
    recorder = Recorder()
    made.fit(
        X, np.zeros((rows, 1)), batch_size=rows, shuffle=False, progress=False, record=recorder
    )
    return X.astype(np.float64), recorder.activations["a"]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("width", WIDTHS)
def test_rows_of_every_width(width, precision):
    for rows in ROWS:
        X, own = passed_on(width, rows, "relu", precision)
        known = np.maximum(X, 0)
        scale = abs(X).max() * 2 * TIGHT[precision]
        assert own["mean"][0] == pytest.approx(known.mean(), abs=scale)
        assert own["deviation"][0] == pytest.approx(known.std(), rel=1e-12, abs=scale)
        assert own["dead"][0] == (known == 0).all(0).mean()
        assert np.isnan(own["saturated"][0])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("width", WIDTHS)
def test_saturated_elements_are_counted(width, precision):
    for rows in ROWS:
        X, own = passed_on(width, rows, "hard_tanh", precision)
        known = np.clip(X, -1, 1)
        scale = 4 * TIGHT[precision]
        assert own["saturated"][0] == (abs(known) >= 1).sum() / known.size
        assert own["mean"][0] == pytest.approx(known.mean(), abs=scale)
        assert own["deviation"][0] == pytest.approx(known.std(), abs=scale)
        assert own["dead"][0] == 0


def length(array):
    return float(np.sqrt((np.asarray(array, np.float64) ** 2).sum()))


RULES = {
    "sgd": optimizers.SGD, "nesterov": lambda lr: optimizers.SGD(lr, momentum=0.9, nesterov=True),
    "adamw": lambda lr: optimizers.AdamW(lr, weight_decay=0.1), "lamb": optimizers.LAMB,
}  # fmt: skip


BLOCKS = [(1, 1), (3, 17), (64, 33), (65, 40), (300, 50)]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("inputs", "outputs"), BLOCKS)
def test_blocks_of_every_size(inputs, outputs, rule, precision):
    """Squares are added in the format of the weights, a few at a time, and these in double."""
    random = np.random.default_rng(inputs)
    X, y = random.standard_normal((8, inputs)), random.standard_normal((8, outputs))
    net = steep.Sequential(layers.Dense(outputs, name="a"))
    made = steep.Trainer(net, "mse", RULES[rule](0.01), precision=precision, seed=2)
    recorder = Recorder()
    made.net.build((inputs,), seed=2)
    for step in range(3):
        before = made.net.state_dict()
        gradients = made.gradients(X, y)[1]
        made.fit(X, y, batch_size=8, shuffle=False, progress=False, record=recorder)
        after = made.net.state_dict()
        for name, own in recorder.parameters.items():
            moved = after[name].astype(np.float64) - before[name]
            tight = 2 * TIGHT[precision]  # of 32 numbers
            assert own["weight_norm"][step] == pytest.approx(length(before[name]), tight)
            assert own["update_norm"][step] == pytest.approx(length(moved), tight)
            if rule != "nesterov":  # whose gradient is that of a point ahead
                rough = 1e-5 if precision == "float32" else 1e-10
                assert own["gradient_norm"][step] == pytest.approx(length(gradients[name]), rough)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("inputs", "outputs"), [*BLOCKS, (16, 16), (32, 16), (48, 16), (80, 1)])
def test_lengths_by_which_blocks_of_every_size_are_clipped(inputs, outputs, precision):
    """The vectors of a block take turns in four sums: of one vector, of each rest, of many."""
    random = np.random.default_rng(inputs)
    X, y = random.standard_normal((8, inputs)), random.standard_normal((8, outputs))
    net = steep.Sequential(layers.Dense(outputs, name="a"))
    made = steep.Trainer(net, "mse", optimizers.SGD(1), clip_norm=0.01, precision=precision)
    recorder = Recorder()
    made.net.build((inputs,), seed=2)
    gradients = made.gradients(X, y)[1]
    made.fit(X, y, batch_size=8, shuffle=False, progress=False, record=recorder)
    whole = length(np.concatenate([g.ravel() for g in gradients.values()]))
    rough = 1e-5 if precision == "float32" else 1e-10
    for name, own in recorder.parameters.items():
        norm = length(gradients[name])
        assert own["gradient_norm"][0] == pytest.approx(norm, rough)
        assert own["clipped_norm"][0] == pytest.approx(norm * 0.01 / whole, rough)


@pytest.mark.parametrize("size", [1e-30, 1e-24, 1e-19, 1e-12, 1.0, 1e12, 1e17])
@pytest.mark.parametrize("rule", ["sgd", "nesterov"])
def test_numbers_whose_squares_float32_does_not_hold(size, rule):
    """Gradients, weights and updates whose squares vanish, or are no numbers, in float32."""
    random = np.random.default_rng(5)
    X, y = random.standard_normal((4, 70)), random.integers(0, 5, 4)
    net = steep.Sequential(layers.Dense(5, name="a"))
    made = steep.Trainer(net, "cross_entropy", RULES[rule](size), seed=3)
    made.net.build((70,), seed=3)
    state = made.net.state_dict()
    state["a.weight"] *= size  # the bias is 0, and moves by `size`
    made.net.load_state_dict(state)
    recorder = Recorder()
    made.fit(X, y, batch_size=4, shuffle=False, progress=False, record=recorder)
    for name, after in made.net.state_dict().items():
        own = recorder.parameters[name]
        moved = after.astype(np.float64) - state[name]
        assert own["weight_norm"][0] == pytest.approx(length(state[name]), 1e-6)
        assert own["update_norm"][0] == pytest.approx(length(moved), 1e-6)
        assert own["update_norm"][0] > 0
