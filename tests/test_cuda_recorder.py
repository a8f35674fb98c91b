"""`Recorder` on the GPU: the CPU's rows to the bit where weights are, what there is elsewhere.

Skipped where there is neither a GPU nor its emulation.
"""

from functools import partial

import cases_rules
import devices
import numpy as np
import pytest
import steep
import trainings
from devices import data, left, same, trainer_of
from emulation import EMULATED, counted, emulating
from steep import constraints, lab, layers, optimizers
from steep.callbacks import Checkpoint, Recorder
from test_recorder_sizes import ROWS, WIDTHS

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
RULES = {name: row.optimizer for name, row in cases_rules.RULES.items()}
BOTH = ("cpu", "cuda")
# Sixteen squares in float32, each rounded by 2^-24 at most, and a root; the rest is in double.
TIGHT = 2.0**-21


def rows(recorder):
    """Return everything recorded, as bytes by name."""
    found = {"steps": recorder.steps.tobytes()}
    for kind, tables in (("p", recorder.parameters), ("a", recorder.activations)):
        for name, own in tables.items():
            found |= {f"{kind} {name} {key}": column.tobytes() for key, column in own.items()}
    return found


def recorded(make, X, y, *, loss="cross_entropy", rule="adam", fit=None, every=1, **options):
    """Train on both devices, recorded and not; expect the same bytes of all four."""
    found = []
    for device in BOTH:
        recorders = [Recorder(every), None]
        traces = []
        for recorder in recorders:
            trainer = steep.Trainer(make(), loss, rule, device=device, seed=3, **options)
            fits = fit if isinstance(fit, list) else [fit or {}]
            for more in fits:
                named = {"epochs": 2, "batch_size": 16, "record": recorder, **more}
                history = trainer.fit(X, y, progress=False, **named)
            traces.append(left(trainer, history))
            if device == "cuda" and recorder is not None:
                by = trainer._run.session().steps_by()
                assert by.startswith("graphs: ")
        same(traces[0], traces[1], f"{device}: a recorded run is a plain one")
        found.append((traces[0], rows(recorders[0])))
        assert len(recorders[0].steps)
    same(found[1], found[0], "the CPU")
    return recorders[0]


def net(activation="tanh"):
    """Return wide, narrow and normed weights, a vector, masks, and two activations."""
    return steep.Sequential(
        layers.Dense(33, activation), layers.BatchNorm(), layers.Dropout(0.2),
        layers.Dense(70, "relu"), layers.Dense(3, "tanh"), layers.Dense(5),
    )  # fmt: skip


ALL = trainings.trainings()
DENSE = {name: make for name, make in ALL.items() if not devices.by_bounds(name)}


@pytest.mark.parametrize("name", DENSE)
def test_rows_of_every_training_are_the_cpus(name):
    found = []
    for device in BOTH:
        made = DENSE[name]()
        recorder = Recorder(2)
        try:
            trainer = trainer_of(made, device)
            history = trainer.fit(made.X, made.y, progress=False, record=recorder, **made.fit)
        except ValueError as error:
            assert (
                'device="cuda": ' in str(error)
                or "record=" in str(error)
                or "float32" in str(error)
            )
            pytest.skip(str(error))
        found.append((left(trainer, history), rows(recorder)))
    same(found[1], found[0], name)


OPTIONS = {
    "plain": {},
    "penalties": {"l1": 1e-3, "l2": 1e-2},
    "single limits": {"l2": 1e-2, "clip_value": 0.01},
    "clipped": {"clip_norm": 0.1, "l2": 1e-3, "average": "ema"},
    "each clipped": {"clip_parameter": 0.02, "clip_value": 0.01},
    "clipped to next to nothing": {"clip_norm": 1e-25},
    "pulled": {"average": steep.averages.Lookahead(every=3)},
    "uphill": {"sam": 0.05},
    "parts": {"fit": {"accumulate": 3}},
    "uphill in parts": {"sam": 0.05, "fit": {"accumulate": 2}, "clip_norm": 0.1},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("rule", ["nesterov", "adamw", "lamb", "adafactor", "muon"])
def test_options(rule, options):
    X, y = data(90, 12)
    recorded(net, X, y, rule=RULES[rule], **OPTIONS[options])


@pytest.mark.parametrize("name", RULES)
def test_every_rule(name):
    recorded(net, *data(50, 12), rule=RULES[name])


@pytest.mark.parametrize("rule", ["sgd", "nesterov", "adam"])
@pytest.mark.parametrize(
    "bound", [constraints.Clip(0.1), constraints.MaxNorm(0.5), constraints.UnitNorm()], ids=str
)
def test_bounds(rule, bound):
    def make():
        return steep.Sequential(
            layers.Dense(33, "relu", constraint=bound), layers.Dense(5, constraint=bound)
        )

    recorded(make, *data(50, 12), rule=RULES[rule])
    recorded(make, *data(50, 12), rule=RULES[rule], average="ema")


def test_single_rows_of_tables_and_frozen_weights():
    def make():
        made = steep.Sequential(
            layers.Embedding(40, 6), layers.Flatten(), layers.Dense(9, "relu"), layers.Dense(5)
        ).build((4,), seed=2)
        made.freeze("dense.bias")
        return made

    X = np.random.default_rng(0).integers(0, 40, (50, 4))
    y = np.random.default_rng(1).integers(0, 5, 50)
    for sparse in (False, True):
        recorded(make, X, y, rule=optimizers.Adam(0.01, sparse=sparse))


def two(width, activation):
    return steep.Sequential(layers.Dense(width, activation), layers.Dense(5))


@pytest.mark.parametrize("width", WIDTHS)
def test_rows_and_blocks_of_every_size(width):
    for count in ROWS:
        X, y = data(count, 7)
        for activation in ("relu", "hard_tanh"):
            make = partial(two, width, activation)
            recorded(make, X, y, rule="sgd", fit={"epochs": 1, "batch_size": count})


@pytest.mark.parametrize("inputs", [1, 31, 64, 300])
@pytest.mark.parametrize("outputs", [1, 4, 5, 33])
def test_matrices_of_every_shape(inputs, outputs):
    X = np.random.default_rng(0).standard_normal((20, inputs))
    y = np.random.default_rng(1).standard_normal((20, outputs))
    for rule in ("sgd", "adam", "lamb"):
        make = lambda: steep.Sequential(layers.Dense(outputs, "softsign"))  # noqa: E731
        recorded(make, X, y, loss="mse", rule=rule)


@pytest.mark.parametrize("size", [1e-30, 1e-24, 1e-19, 1e-12, 1e12, 1e17])
@pytest.mark.parametrize("rule", ["sgd", "nesterov"])
def test_numbers_whose_squares_float32_does_not_hold(size, rule):
    rules = {
        "sgd": optimizers.SGD(size), "nesterov": optimizers.SGD(size, momentum=0.9, nesterov=True),
    }  # fmt: skip

    def make():
        made = steep.Sequential(layers.Dense(5, name="a")).build((70,), seed=3)
        state = made.state_dict()
        state["a.weight"] *= size
        made.load_state_dict(state)
        return made

    recorded(make, *data(8, 70), rule=rules[rule], fit={"epochs": 1, "batch_size": 8})


@pytest.mark.parametrize("every", [1, 3, 7, 100])
def test_every_so_many_steps_of_several_fits(every):
    """Batches of several sizes, shorter last ones; the table of rows grows, plans are made anew."""
    fits = [
        {"batch_size": 16, "epochs": 1}, {"batch_size": 7, "epochs": 3},
        {"batch_size": 64, "epochs": 2, "shuffle": False}, {"batch_size": 3, "epochs": 1},
    ]  # fmt: skip
    recorder = recorded(net, *data(75, 12), every=every, fit=fits)
    assert (recorder.steps % every == 0).all()


def test_recording_begins_and_ends_between_two_fits():
    """Of a network that stays in one block otherwise."""
    X, y = data(70, 12)
    found, by = [], []
    for device in BOTH:
        made = steep.Sequential(layers.Dense(17, "relu"), layers.Dense(5))
        trainer = steep.Trainer(made, "cross_entropy", "adam", device=device, seed=3)
        recorder = Recorder(2)
        for record in (None, recorder, None, recorder):
            history = trainer.fit(X, y, batch_size=16, progress=False, record=record)
            by.append(trainer._run.session().steps_by())
        found.append((left(trainer, history), rows(recorder)))
    same(*found)
    reason = "graphs: steps are recorded"
    assert by[4:] == ["one block", reason, "one block", reason]


@pytest.mark.parametrize("policy", ["raise", "skip", "rollback"])
def test_steps_that_fail(policy):
    """What is recorded ends with the last good step, and goes on behind the one left out."""
    X, _ = data(40, 12)
    y = np.random.default_rng(1).standard_normal((40, 5))
    y[17] = 3e38
    found = []
    for device in BOTH:
        for record in (Recorder(), None):
            trainer = steep.Trainer(net(), "mse", "adam", device=device, seed=3)
            fit = {"batch_size": 8, "epochs": 3, "nonfinite": policy, "progress": False}
            try:
                trainer.fit(X, y, record=record, **fit)
            except steep.NonFiniteError as error:
                assert policy == "raise"
                assert error.step == trainer.steps + 1
            state = left(trainer, trainer.history)
            found.append((state, rows(record) if record else found[-1][1]))
            if record:
                steps = record.steps.tolist()
    assert steps is not None
    for one in found[1:]:
        same(one, found[0], policy)


def test_updates_that_overflow():
    found = []
    for device in BOTH:
        made = steep.Sequential(layers.Dense(7), layers.Dense(5))
        trainer = steep.Trainer(made, "cross_entropy", optimizers.SGD(1e30), device=device, seed=3)
        recorder = Recorder()
        with pytest.raises(steep.NonFiniteError):
            trainer.fit(*data(40, 6), epochs=20, batch_size=8, progress=False, record=recorder)
        assert recorder.steps.tolist() == list(range(trainer.steps))
        found.append(rows(recorder))
    same(*found)


def test_a_checkpoint_goes_on_with_its_rows_on_either_device(tmp_path):
    X, y = data(60, 12)
    fit = {"epochs": 3, "batch_size": 16, "progress": False}

    def trainer(device):
        return steep.Trainer(net(), "cross_entropy", "adam", device=device, seed=3)

    whole = Recorder(2)
    trainer("cpu").fit(X, y, record=whole, **fit)

    class Cut:
        def on_step_end(self, trainer, step):
            return "stop" if step == 5 else None

    for first, then in (("cuda", "cpu"), ("cpu", "cuda")):
        path = tmp_path / f"{first}.safetensors"
        cut = [Cut(), Checkpoint(path, every=5)]
        trainer(first).fit(X, y, record=Recorder(2), callbacks=cut, **fit)
        again = steep.Trainer.load(path, device=then)
        again._run.place.call.stopped = False
        more = Recorder(2)
        again.fit(X, y, record=more, **fit)
        same(rows(more), rows(whole), f"{first} then {then}")


@emulated
@pytest.mark.parametrize(
    "settings", [{"order": 1}, {"order": 2}, {"sms": 1}, {"sms": 132}], ids=str
)
def test_rows_do_not_depend_on_the_order_of_threads_or_the_chip(settings):
    with emulating(**settings):
        recorded(net, *data(40, 12), clip_norm=0.1, fit={"accumulate": 2})
        recorded(net, *data(40, 12), rule="lamb")


@emulated
def test_a_call_waits_as_often_as_without(monkeypatch):
    """The least of several fits of few steps: where time is short they are cut into more calls."""
    monkeypatch.setenv("STEEP_RESIDENT", "off")
    X, y = data(6, 3)
    waits = []
    for record in (None, Recorder()):
        made = steep.Sequential(layers.Dense(5))
        trainer = steep.Trainer(made, "cross_entropy", "sgd", device="cuda", seed=3)
        found = []
        for _ in range(8):
            before = counted("waits")
            trainer.fit(X, y, batch_size=3, progress=False, record=record)
            found.append(counted("waits") - before)
        waits.append(min(found[1:]))
    assert waits[0] == waits[1]


@pytest.mark.parametrize("source", ["streamed", "resident"])
def test_data_that_are_streamed(source, monkeypatch):
    monkeypatch.setenv("STEEP_CUDA_DATA", source)
    recorded(net, *data(90, 12))


def test_the_flow_and_the_words_of_a_recorded_training():
    said = []
    for device in BOTH:
        body = [layers.Dense(8, "sigmoid", name=f"d{k}") for k in range(10)]
        made = steep.Sequential(*body, layers.Dense(5))
        trainer = steep.Trainer(
            made, "cross_entropy", optimizers.SGD(0.1), seed=1, clip_norm=1e-3, device=device
        )
        history = trainer.fit(*data(40, 6), batch_size=20, progress=False, record=Recorder())
        said.append((history.recorder.report(), str(lab.gradient_flow(history, step=0))))
    assert said[0] == said[1]
    assert "vanishes" in said[0][0]
    assert "is clipped" in said[0][0]


def test_what_cannot_be_recorded_is_refused_before_the_first_step():
    X, y = data(40, 6)
    made = steep.Trainer(net(), "cross_entropy", "lbfgs", device="cuda")
    with pytest.raises(ValueError, match="LBFGS looks at several points"):
        made.fit(X, y, progress=False, record=Recorder())
    several = [steep.Objective("cross_entropy", optimizer="sgd", name=name) for name in "pq"]
    made = steep.Trainer(net(), objectives=several, device="cuda")
    with pytest.raises(ValueError, match="one objective, this trainer has 2"):
        made.fit(X, y, progress=False, record=Recorder())
    assert made.steps == 0


# ---- Convolutions, and products on tensor cores: what was measured is what there is ----

OTHERS = {name: make for name, make in ALL.items() if devices.by_bounds(name)}


def length(array):
    return float(np.sqrt((np.asarray(array, np.float64) ** 2).sum()))


class Watch:
    """Notes the weights before each step, and after the last one."""

    def __init__(self):
        self.seen = {}

    def on_train_begin(self, trainer):
        self.on_step_end(trainer, trainer.steps)

    def on_step_end(self, trainer, step):
        self.seen[step] = trainer.net.state_dict()


def measured(make, **more):
    """Train twice as a Setup says, recorded by weights and not; return recorder and weights."""
    traces, watch, recorder = [], Watch(), Recorder()
    for record in (recorder, None):
        made = make()
        trainer = trainer_of(made, "cuda", **more)
        callbacks = [watch] if record else []
        fit = {**made.fit, "record": record, "callbacks": callbacks}
        history = trainer.fit(made.X, made.y, progress=False, **fit)
        traces.append(left(trainer, history))
    same(*traces)
    return recorder, watch.seen


def held(recorder, seen):
    """Expect lengths of weights and of moves that are theirs."""
    for name, own in recorder.parameters.items():
        for k, step in enumerate(recorder.steps.tolist()):
            before, after = (seen[at][name].astype(np.float64) for at in (step, step + 1))
            assert own["weight_norm"][k] == pytest.approx(length(before), TIGHT, 1e-30)
            assert own["update_norm"][k] == pytest.approx(length(after - before), 2 * TIGHT, 1e-30)


@pytest.mark.parametrize("name", OTHERS)
def test_rows_of_networks_with_convolutions(name):
    """Lengths by the weights; of the first step gradients and activations by docs/cuda.md."""
    try:
        recorder, seen = measured(OTHERS[name])
    except ValueError as error:
        assert 'device="cuda": ' in str(error) or "record=" in str(error) or "float32" in str(error)
        pytest.skip(str(error))
    held(recorder, seen)
    made, here = OTHERS[name](), Recorder()
    trainer_of(made, "cpu").fit(made.X, made.y, progress=False, record=here, **made.fit)
    assert here.steps.tolist() == recorder.steps.tolist()
    assert here.activations.keys() == recorder.activations.keys()
    there, known = recorder.parameters, here.parameters
    most = max(own["gradient_norm"][0] for own in known.values())
    for parameter, own in known.items():
        assert there[parameter]["gradient_norm"][0] == pytest.approx(
            own["gradient_norm"][0], 1e-5, most * 1e-5
        )
    for layer, own in here.activations.items():
        spread = abs(own["mean"][0]) + own["deviation"][0]
        for key in ("mean", "deviation"):
            assert recorder.activations[layer][key][0] == pytest.approx(
                own[key][0], abs=1e-5 * spread
            )


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_rows_of_products_on_tensor_cores(precision):
    def make():
        made = trainings.setup(net(), (12,), samples=50)
        made.fit["batch_size"] = 16
        return made

    held(*measured(make, precision=precision))
