"""Recurrent layers on the GPU, or on its emulation: the CPU's bytes, both ways through the steps.

A block takes its rows through all of them where U is small enough, with U in shared memory as far
as it fits; of a larger U every step is a product by itself.
"""

import devices
import numpy as np
import pytest
import steep
from devices import left, same, told
from emulation import EMULATED, counted, emulating
from steep import layers, models, optimizers
from stopping import StopAt

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
BOTH = ("cpu", "cuda")
CELLS = {
    "tanh": layers.SimpleRNN,
    "relu": lambda units, **more: layers.SimpleRNN(units, activation="relu", **more),
    "lstm": layers.LSTM,
    "gru": layers.GRU,
    "gru before": lambda units, **more: layers.GRU(units, reset_after=False, **more),
}
cells = pytest.mark.parametrize("cell", CELLS)
PARTLY = {"lstm": 130, "gru": 150, "gru before": 150}  # units whose U does not fit altogether
LARGE = {"tanh": 290, "relu": 290, "lstm": 145, "gru": 167, "gru before": 167}  # by steps


def data(samples=70, steps=6, features=5, seed=0):
    random = np.random.default_rng(seed)
    X = random.standard_normal((samples, steps, features)).astype(np.float32)
    return X, random.integers(0, 5, samples)


def stack(cell, units, **more):
    """Two layers, so that the lower one gets gradients of all steps and gives none to its input."""
    return lambda: steep.Sequential(
        CELLS[cell](units, return_sequences=True, **more), CELLS[cell](units, **more),
        layers.Dense(5),
    )  # fmt: skip


def both(make, X, y, *, batch=32, fit=None, **options):
    """Expect the same of a training on both devices, and of what the network then says."""
    found = []
    for device in BOTH:
        trainer = steep.Trainer(make(), "cross_entropy", "adam", seed=3, device=device, **options)
        fitting = {"epochs": 2, "batch_size": batch, "progress": False, **(fit or {})}
        history = trainer.fit(X, y, **fitting)
        found.append((left(trainer, history), trainer.net.predict(X), trainer.evaluate(X, y)))
    same(*found)
    return found[1]


@cells
@pytest.mark.parametrize("units", [1, 3, 4, 5, 32, 33, 40])
@pytest.mark.parametrize(
    "options",
    [{}, {"recurrent_dropout": 0.3}, {"reverse": True}, {"use_bias": False}],
    ids=["plain", "dropped", "reverse", "no bias"],
)
def test_same_bytes_as_the_cpu(cell, units, options):
    """Of few gates W and U are stored as W^T."""
    both(stack(cell, units, **options), *data())


@pytest.mark.parametrize(("cell", "units"), [*PARTLY.items(), *LARGE.items()])
@pytest.mark.parametrize("options", [{}, {"recurrent_dropout": 0.3, "reverse": True}])
def test_any_size_of_u(cell, units, options):
    both(stack(cell, units, **options), *data(40, 4, 3), fit={"epochs": 1})


@cells
@pytest.mark.parametrize("batch", [150, 300, 600, 1500])
def test_any_number_of_rows(cell, batch):
    """A thread has one, two or four of them, and a block several groups of threads."""
    both(stack(cell, 3), *data(1520, 3, 2), batch=batch, fit={"epochs": 1})


@pytest.mark.parametrize("steps", [1, 2, 300])
def test_any_number_of_steps(steps):
    for cell in CELLS:
        both(stack(cell, 6), *data(20, steps, 2), fit={"epochs": 1})


def with_lengths(cell, units, states=False, **more):
    """Layers of counted steps, one of them backwards, with and without states to begin with."""

    def made():
        x, counts = steep.Input((6, 5)), steep.Input(())
        h = CELLS[cell](units, return_sequences=True, **more)(x, counts)
        h = CELLS[cell](units, return_sequences=True, reverse=True, **more)(h, counts)
        h, *last = CELLS[cell](units, return_sequences=True, return_state=True, **more)(h, counts)
        y, *_ = CELLS[cell](units, return_state=True, **more)(h, counts, *(last if states else ()))
        return steep.Model([x, counts], layers.Dense(5)(y))

    return made


def counted_data(samples=70):
    X, y = data(samples)
    lengths = np.random.default_rng(1).integers(1, 7, samples)
    X[np.arange(6) >= lengths[:, None]] = 1e30
    return [X, lengths], y


@cells
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"hold": True, "states": True}, {"recurrent_dropout": 0.4, "states": True}]
)
def test_lengths_and_states(cell, large, options):
    X, y = counted_data(40)
    both(with_lengths(cell, LARGE[cell] if large else 7, **options), X, y, fit={"epochs": 1})


@pytest.mark.parametrize("cell", ["lstm", "gru before"])
@pytest.mark.parametrize("large", [False, True])
def test_what_lies_behind_a_length_changes_nothing(cell, large):
    X, y = counted_data(30)
    behind = X[0] == np.float32(1e30)
    found = []
    for value in (1e30, -1e38, 0.5):
        X[0][behind] = value
        made = with_lengths(cell, LARGE[cell] if large else 7)().build(seed=1)
        trainer = steep.Trainer(made, "cross_entropy", "adam", device="cuda")
        found.append((trainer.gradients(X, y), made.to("cuda").predict(X)))
    same(found[0], found[2])
    same(found[1], found[2])


def test_lengths_of_no_steps_are_refused():
    X, y = counted_data()
    X[1][3] = 0
    trainer = steep.Trainer(with_lengths("lstm", 4)(), "cross_entropy", "adam", device="cuda")
    with pytest.raises(ValueError, match="from 1 to 6"):
        trainer.fit(X, y, progress=False)
    assert trainer.steps == 0


@pytest.mark.parametrize("merge", ["concat", "add", "multiply", "average"])
def test_both_ways(merge):
    def made():
        inner = layers.Bidirectional(layers.LSTM(7, return_sequences=True))
        return steep.Sequential(
            inner, layers.Bidirectional(layers.GRU(4), merge=merge), layers.Dense(5)
        )

    both(made, *data())


def keeping(cell="gru", units=8):
    counts, x = steep.Input(()), steep.Input((6, 5))
    h = layers.Bidirectional(layers.LSTM(9, return_sequences=True))(x, counts)
    h = CELLS[cell](units, stateful=True, recurrent_dropout=0.2)(h, counts)
    return steep.Model([x, counts], layers.Dense(5)(h))


@pytest.mark.parametrize(("cell", "units"), [("gru", 8), ("lstm", 145), ("tanh", 2)])
def test_states_go_on_from_batch_to_batch(cell, units):
    X, y = counted_data(70)
    fit = {"shuffle": False, "epochs": 3}
    both(lambda: keeping(cell, units), X, y, batch=30, fit=fit)
    both(lambda: keeping(cell, units), X, y, batch=10, fit={**fit, "accumulate": 3})


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize("step", [1, 3])
def test_states_are_resumed_on_the_other_device(first, step, tmp_path):
    X, y = counted_data(70)
    fit = {"batch_size": 30, "shuffle": False, "progress": False, "epochs": 3}
    whole = steep.Trainer(keeping().build(seed=1), "cross_entropy", "adam", seed=2)
    wanted = left(whole, whole.fit(X, y, **fit))
    begun = steep.Trainer(keeping().build(seed=1), "cross_entropy", "adam", seed=2, device=first)
    with pytest.raises(KeyboardInterrupt):
        begun.fit(X, y, callbacks=[StopAt(step, tmp_path / "half", KeyboardInterrupt)], **fit)
    second = {"cpu": "cuda", "cuda": "cpu"}[first]
    gone_on = steep.Trainer.load(tmp_path / "half", device=second)
    same(left(gone_on, gone_on.fit(X, y, **fit))[:2], wanted[:2])


OPTIONS = {
    "parts": ({"fit": {"accumulate": 3}}, 10),
    "uphill": ({"sam": 0.05}, 32),
    "clipped": ({"clip_norm": 0.3, "l2": 1e-3, "average": "ema"}, 32),
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("cell", ["lstm", "gru before"])
def test_steps_of_every_kind(name, cell):
    """Masks are drawn by the rows of a part; states follow what went well."""
    options, batch = OPTIONS[name]
    X, y = counted_data(70)
    both(with_lengths(cell, 6, recurrent_dropout=0.3), X, y, batch=batch, **options)


def test_steps_of_one_net_have_the_states_of_another():
    """An encoder's last states begin a decoder, and the gradient goes through them."""

    def made():
        start = steep.Input((6, 5))
        first, second = (steep.ops.slice(start, k, k + 3, 0) for k in (0, 3))
        _, *last = layers.LSTM(6, return_state=True)(first)
        return steep.Model(start, layers.Dense(5)(layers.LSTM(6)(second, *last)))

    both(made, *data())


def test_a_model_of_the_zoo():
    X, y = data(40, 9, 4)
    both(lambda: models.lstm_classifier(5, 12, 2, both_ways=True), X, y)


@pytest.mark.parametrize("rate", [1e30, 1e38])
def test_faults_find_back_to_the_last_good_weights(rate):
    X, y = data()
    found = []
    for device in BOTH:
        made = steep.Sequential(layers.SimpleRNN(8, activation="relu"), layers.Dense(5))
        rule = optimizers.SGD(lambda step: rate if step == 5 else 0.01)
        trainer = steep.Trainer(made, "cross_entropy", rule, device=device)
        with pytest.raises(steep.NonFiniteError) as error:
            trainer.fit(X, y, epochs=9, batch_size=32, progress=False)
        found.append((told(error.value), trainer.steps, left(trainer, trainer.history)[:2]))
    assert found[0][:2] == found[1][:2]
    same(found[1][2], found[0][2])


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
@pytest.mark.parametrize(("cell", "units"), [("lstm", 9), ("gru", 167), ("gru before", 7)])
def test_tensor_cores(cell, units, precision):
    """Products of all steps by W, and by a large U, are rounded; the loss stays near float32's."""
    X, y = counted_data(40)
    bound = {"tf32": 2e-3, "bfloat16": 2e-2}[precision]
    found = []
    for how in ("float32", precision):
        made = with_lengths(cell, units, states=True)().build(seed=1)
        trainer = steep.Trainer(made, "cross_entropy", "adam", precision=how, device="cuda")
        trainer.fit(X, y, epochs=2, batch_size=16, progress=False)
        found.append(np.array(trainer.history.steps["loss"]))
    assert (abs(found[1] - found[0]) <= bound * found[0][0]).all()
    assert (found[1] != found[0]).any(), "nothing was rounded"


# ---- What only the emulation can show ----

SETTINGS = [
    {"order": 1}, {"order": 5}, {"order": 7, "sms": 132}, {"lazy": 0}, {"shared": 48 << 10},
]  # fmt: skip


@emulated
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("cell", "units"), [("lstm", 60), ("gru before", 70), ("gru", 167)])
def test_no_result_depends_on_who_computes_it(cell, units, settings):
    """Not on the order of threads and blocks, nor on how much of U fits into shared memory."""
    X, y = counted_data(40)
    wanted = both(with_lengths(cell, units, recurrent_dropout=0.2), X, y, fit={"epochs": 1})
    with emulating(**settings):
        found = both(with_lengths(cell, units, recurrent_dropout=0.2), X, y, fit={"epochs": 1})
    same(found, wanted)


@emulated
def test_a_second_run_allocates_nothing():
    X, y = counted_data(70)
    trainer = steep.Trainer(keeping(), "cross_entropy", "adam", device="cuda")
    fit = {"batch_size": 30, "shuffle": False, "progress": False}
    trainer.fit(X, y, epochs=2, **fit)
    before = counted("allocations"), counted("graph_launches")
    trainer.fit(X, y, epochs=20, **fit)
    assert counted("allocations") == before[0]
    assert counted("graph_launches") >= before[1] + 20, "it trained"
