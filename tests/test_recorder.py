"""`Recorder`: its numbers by numpy in float64, what it leaves alone, what it refuses; its words."""

import math

import numpy as np
import pytest
import steep
from steep import lab, layers, optimizers
from steep.callbacks import Checkpoint, Recorder

X = np.random.default_rng(3).standard_normal((24, 6))
LABELS = np.random.default_rng(4).integers(0, 3, 24)


def network(activation="tanh"):
    return steep.Sequential(
        layers.Dense(7, activation, name="a"), layers.Dense(5, "relu", name="b"),
        layers.Dense(3, name="c"),
    )  # fmt: skip


def trainer(rule="sgd", activation="tanh", **options):
    return steep.Trainer(network(activation), "cross_entropy", rule, seed=1, **options)


def fit(made, recorder, epochs=3, **options):
    """Train on all samples at once, in their order."""
    size = options.pop("batch_size", len(X))
    made.fit(
        X, LABELS, epochs=epochs, batch_size=size, shuffle=False, progress=False,
        record=recorder, **options,
    )  # fmt: skip
    return recorder


def length(*arrays):
    return math.sqrt(sum(float((np.asarray(a, np.float64) ** 2).sum()) for a in arrays))


RULES = [
    optimizers.SGD(0.1), optimizers.SGD(0.1, momentum=0.9, nesterov=True), optimizers.Adam(0.01),
    optimizers.AdamW(0.01, weight_decay=0.1), optimizers.LAMB(0.01), optimizers.LARS(0.1),
    optimizers.Muon(0.02), optimizers.Adafactor(0.01),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_norms_are_those_of_gradients_and_weights(rule, precision):
    """|g| by `gradients()` of a twin before each step; |w| and |dw| by its weights."""
    options = {"precision": precision, "l2": 0.01, "l1": 0.001}
    recorder = fit(trainer(rule, **options), Recorder())
    twin, tight = trainer(rule, **options), 1e-5 if precision == "float32" else 1e-10
    ahead = getattr(rule, "nesterov", False)  # its gradient is that of a point ahead
    for step in range(3):
        gradients = twin.gradients(X, LABELS)[1]
        before = twin.net.state_dict()
        twin.step(X, LABELS)
        after = twin.net.state_dict()
        for name, own in recorder.parameters.items():
            known = (length(before[name]), length(after[name].astype(float) - before[name]))
            found = (own["weight_norm"][step], own["update_norm"][step])
            np.testing.assert_allclose(found, known, rtol=1e-6, atol=1e-12)
            if not ahead:
                assert own["gradient_norm"][step] == pytest.approx(length(gradients[name]), tight)
            assert own["clipped_norm"][step] == own["gradient_norm"][step]
    assert set(recorder.parameters) == set(twin.net.state_dict())


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
class EveryStep:
    """A callback that ends every native call after one step."""

    every = 1

    def on_step_end(self):
        pass


CUT = {  # steps of an epoch that are not all done in one way
    "uphill from one on": {"sam": lambda step: 0.05 if step >= 4 else 0.0},
    "uphill by turns": {"sam": lambda step: 0.05 * (step % 2)},
    "a last batch in one part": {"accumulate": 2},
}


@pytest.mark.parametrize("rule", ["sgd", "adam", "lamb"])
@pytest.mark.parametrize("options", CUT.values(), ids=CUT)
def test_rows_are_the_same_wherever_calls_end(options, rule):
    parts = options.get("accumulate", 1)
    given = {name: value for name, value in options.items() if name != "accumulate"}

    def rows(*callbacks):
        net = steep.Sequential(layers.Dense(40, "tanh"), layers.Dense(30, "relu"), layers.Dense(3))
        made = steep.Trainer(net, "cross_entropy", rule, seed=1, **given)
        size = 10 // parts  # of 24 samples
        recorder = fit(made, Recorder(), batch_size=size, accumulate=parts, callbacks=callbacks)
        numbers = [*recorder.parameters.values(), *recorder.activations.values()]
        return np.array([row for own in numbers for row in own.values()])

    np.testing.assert_array_equal(rows(EveryStep()), rows())


@pytest.mark.parametrize("limit", ["clip_norm", "clip_value", "clip_parameter"])
def test_gradients_before_and_after_clipping(limit, threads):
    bound = 1e-3 if limit == "clip_value" else 0.05
    exact = {"precision": "float64"}  # small steps are rounded in float32
    gradients = trainer(**exact).gradients(X, LABELS)[1]
    with steep.threads(threads):
        recorder = fit(trainer(**{limit: bound}, **exact), Recorder(), epochs=1)
    whole = length(*gradients.values())
    for name, own in recorder.parameters.items():
        norm = length(gradients[name])
        left = {
            "clip_norm": norm * min(1.0, bound / whole),
            "clip_value": length(np.clip(gradients[name], -bound, bound)),
            "clip_parameter": min(norm, bound),
        }[limit]
        assert own["gradient_norm"][0] == pytest.approx(norm, 1e-5)
        assert own["clipped_norm"][0] == pytest.approx(left, 1e-5)
        assert own["clipped_norm"][0] < own["gradient_norm"][0]
        assert own["update_norm"][0] == pytest.approx(0.01 * left, 1e-3)


def outputs(net, values):
    """Return what each of the two activations gives, in float64."""
    state = {name: value.astype(np.float64) for name, value in net.state_dict().items()}
    first = np.tanh(values @ state["a.weight"] + state["a.bias"])
    return first, np.maximum(first @ state["b.weight"] + state["b.bias"], 0)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_activations_by_hand(accumulate):
    made = trainer(precision="float64")
    made.net.build((6,), seed=2)
    state = made.net.state_dict()
    state["a.weight"] *= 6  # beyond the bounds of tanh for many
    state["b.bias"][:2] = -100  # two dead units
    made.net.load_state_dict(state)
    first, second = outputs(made.net, X)
    size = len(X) // accumulate
    recorder = fit(made, Recorder(), epochs=1, batch_size=size, accumulate=accumulate)
    a, b = recorder.activations["a"], recorder.activations["b"]
    assert a["mean"][0] == pytest.approx(first.mean(), 1e-9)
    assert a["deviation"][0] == pytest.approx(first.std(), 1e-9)
    assert a["saturated"][0] == (abs(first) >= 0.99).mean() > 0.1
    assert a["dead"][0] == 0
    assert b["mean"][0] == pytest.approx(second.mean(), 1e-9)
    assert b["deviation"][0] == pytest.approx(second.std(), 1e-9)
    assert b["dead"][0] == (second == 0).all(0).mean() >= 0.4
    assert np.isnan(b["saturated"]).all()


def test_a_small_deviation_beside_a_large_mean():
    made = steep.Trainer(
        steep.Sequential(layers.Dense(40, "softplus", name="a"), layers.Dense(1)),
        "mse",
        "sgd",
        seed=1,
    )
    made.net.build((6,), seed=1)
    state = made.net.state_dict()
    state["a.weight"] *= 1e-3
    state["a.bias"][:] = 100.0
    made.net.load_state_dict(state)
    given = X.astype(np.float32)
    values = np.logaddexp(0, given @ state["a.weight"] + state["a.bias"]).astype(np.float32)
    recorder = Recorder()
    made.fit(given, X[:, :1], batch_size=24, shuffle=False, progress=False, record=recorder)
    own = recorder.activations["a"]
    assert own["mean"][0] == pytest.approx(values.mean(dtype=np.float64), 1e-6)
    assert own["deviation"][0] == pytest.approx(values.std(dtype=np.float64), 1e-2)


def test_units_of_a_convolution_are_its_filters():
    images = np.random.default_rng(1).random((8, 6, 6, 2))
    net = steep.Sequential(
        layers.Conv2D(4, 3, padding="same", activation="relu", name="filters"),
        layers.Flatten(), layers.Dense(3),
    )  # fmt: skip
    net.build((6, 6, 2), seed=1)
    state = net.state_dict()
    state["filters.bias"][1] = -1e3
    net.load_state_dict(state)
    recorder = Recorder()
    made = steep.Trainer(net, "cross_entropy", "sgd")
    made.fit(images, LABELS[:8], batch_size=4, progress=False, record=recorder)
    np.testing.assert_array_equal(recorder.activations["filters"]["dead"], 0.25)
    assert [name for name in recorder.weights] == ["filters.weight", "dense.weight"]


@pytest.mark.parametrize("every", [1, 2, 5])
def test_every_so_many_steps(every):
    whole = fit(trainer(), Recorder(), 4, batch_size=5)
    some = fit(trainer(), Recorder(every), 4, batch_size=5)
    assert some.steps.tolist() == list(range(0, 20, every))
    assert str(some.rows) == str([row for row in whole.rows if row["step"] % every == 0])


def test_rows_and_frame():
    recorder = fit(trainer(), Recorder(), 2)
    rows = recorder.rows
    assert len(rows) == 2 * (6 + 2)
    assert [row["name"] for row in rows[6:8]] == ["a", "b"]
    assert rows[0]["activation"] is None and rows[7]["activation"] == "relu"
    assert rows[0]["update_ratio"] == rows[0]["update_norm"] / rows[0]["weight_norm"]
    assert math.isnan(rows[0]["dead"]) and math.isnan(rows[6]["weight_norm"])
    pytest.importorskip("pandas")
    assert list(recorder.to_frame().columns) == list(rows[0])


def test_weights_that_are_frozen_are_left_out():
    made = trainer()
    made.net.build((6,), seed=1)
    made.net.layers[0].trainable = False
    recorder = fit(made, Recorder())
    assert set(recorder.parameters) == {"b.weight", "b.bias", "c.weight", "c.bias"}
    assert set(recorder.activations) == {"a", "b"}


def test_checkpoints_keep_the_rows(tmp_path):
    whole = fit(trainer("adam"), Recorder(2), 4, batch_size=5)
    path = tmp_path / "run.safetensors"

    class Cut:
        def on_step_end(self, trainer, step):
            return "stop" if step == 7 else None

    cut = Recorder(2)
    fit(trainer("adam"), cut, 4, batch_size=5, callbacks=[Cut(), Checkpoint(path, every=7)])
    assert cut.steps.tolist() == [0, 2, 4, 6]
    again = steep.Trainer.load(path)
    again._run.place.call.stopped = False
    more = fit(again, Recorder(2), 4, batch_size=5)
    assert str(more.rows) == str(whole.rows)


def test_steps_that_were_undone_are_gone():
    """Where a step fails, what is recorded ends with the last good one."""
    made, recorder = trainer(optimizers.SGD(1e30), activation="linear"), Recorder()
    with pytest.raises(steep.NonFiniteError):
        fit(made, recorder, 20)
    assert recorder.steps.tolist() == list(range(made.steps))


def test_a_second_fit_goes_on_and_another_network_is_refused():
    made = trainer()
    recorder = fit(made, Recorder(), 2)
    fit(made, recorder, 2)
    assert recorder.steps.tolist() == [0, 1, 2, 3]
    other = steep.Trainer(steep.Sequential(layers.Dense(3)), "cross_entropy", "sgd")
    with pytest.raises(ValueError, match="rows of another network"):
        fit(other, recorder)
    assert other.steps == 0


def test_what_cannot_be_recorded_is_refused_before_the_first_step():
    made = trainer("lbfgs")
    with pytest.raises(ValueError, match="LBFGS looks at several points"):
        fit(made, Recorder())
    assert made.steps == 0
    several = [steep.Objective("cross_entropy", optimizer="sgd", name=name) for name in "pq"]
    made = steep.Trainer(network(), objectives=several)
    with pytest.raises(ValueError, match="one objective, this trainer has 2"):
        fit(made, Recorder())
    with pytest.raises(TypeError, match=r"record takes a steep\.callbacks\.Recorder, got 3"):
        fit(trainer(), 3)
    with pytest.raises(ValueError, match="one Recorder"):
        fit(trainer(), Recorder(), callbacks=[Recorder()])
    with pytest.raises(ValueError, match="every"):
        Recorder(0)
    assert Recorder().report() == "nothing was recorded"
    with pytest.raises(ValueError, match="nothing was recorded"):
        Recorder().plot()


def deep(activation, count=10):
    body = [layers.Dense(8, activation, name=f"d{k}") for k in range(count)]
    return steep.Sequential(*body, layers.Dense(3, name="last"))


def test_words_and_flow_of_a_deep_network_of_sigmoids():
    made = steep.Trainer(deep("sigmoid"), "cross_entropy", optimizers.SGD(0.1), seed=1)
    recorder = fit(made, Recorder())
    flow = lab.gradient_flow(recorder, step=0)
    wanted = lab.gradient_flow(
        deep("sigmoid"), X, LABELS, "cross_entropy", seed=1
    )  # of the same weights
    assert [one.name for one in flow] == [one.name for one in wanted]
    np.testing.assert_allclose([f.norm for f in flow], [f.norm for f in wanted], rtol=1e-4)
    np.testing.assert_allclose([f.relative for f in flow], [f.relative for f in wanted], rtol=1e-4)
    assert "d0.weight vanishes: gradient norm" in recorder.report()
    assert recorder.report().startswith("step 2:\n")
    with pytest.raises(ValueError, match="no step 7"):
        lab.gradient_flow(recorder, step=7)
    assert lab.gradient_flow(made.history, step=0) == flow


def test_the_flow_of_a_history_that_recorded_nothing_is_refused():
    made = trainer()
    history = made.fit(X, LABELS, epochs=1, progress=False)
    assert history.recorder is None
    with pytest.raises(ValueError, match=r"give fit record=Recorder"):
        lab.gradient_flow(history)


def test_words_of_dead_and_saturated_units():
    made = steep.Trainer(
        steep.Sequential(
            layers.Dense(8, "tanh", name="full"), layers.Dense(8, "relu", name="none"),
            layers.Dense(3),
        ),
        "cross_entropy", optimizers.SGD(0.1), clip_norm=1e-4,
    )  # fmt: skip
    made.net.build((6,), seed=1)
    state = made.net.state_dict()
    state["full.weight"] *= 1e4
    state["none.bias"][:6] = -100
    made.net.load_state_dict(state)
    said = fit(made, Recorder(), 1).report()
    assert "none: 75% of its units are dead" in said
    assert "full: 100% of it is saturated" in said or "full: 9" in said
    assert "is clipped: " in said


def test_the_picture_shows_what_is_recorded(tmp_path):
    pytest.importorskip("matplotlib")
    recorder = fit(trainer(), Recorder())
    figure = recorder.plot(tmp_path / "inside.png")
    assert (tmp_path / "inside.png").stat().st_size > 1000
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["a.weight", "b.weight", "c.weight"]
    for line in lines:
        own = recorder.parameters[line.get_label()]
        np.testing.assert_array_equal(line.get_ydata(), own["gradient_norm"])
    dead, saturated = figure.axes[2].get_lines(), figure.axes[3].get_lines()
    assert [line.get_label() for line in dead] == ["a", "b"]
    assert [line.get_label() for line in saturated] == ["a"]
