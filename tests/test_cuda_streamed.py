"""Data streamed to the GPU through two buffers: the bytes of data that lie there, and the CPU's.

Forced by STEEP_CUDA_DATA, whose number is the bytes of a buffer: for a batch, for some, for all.
"""

import types

import devices
import numpy as np
import pytest
import steep
import trainings
from devices import data, dense, left, net, play, same, told
from emulation import counted, emulating
from foreign import Tensor, emulated
from steep import layers, optimizers

pytestmark = devices.NEEDED
ALL = trainings.trainings()
NAMES = [name for name in ALL if not devices.by_bounds(name)]
SIZES = ["1", "12000", "streamed"]  # of a buffer: a batch, some batches, all there are


@pytest.fixture
def stream(monkeypatch):
    """Return a function that says how data go to the GPU from here on."""
    return lambda how: monkeypatch.setenv("STEEP_CUDA_DATA", str(how))


def fitted(device, X, y, *, made=None, loss="cross_entropy", rule="adam", fit=None, **options):
    trainer = steep.Trainer(made or dense(), loss, rule, device=device, seed=3, **options)
    fit = {"epochs": 3, "batch_size": 16, **(fit or {})}
    history = trainer.fit(X, y, progress=False, **fit)
    return left(trainer, history), trainer.net.predict(X), trainer.evaluate(X, y)


def all_ways(stream, X, y, *, sizes=SIZES, made=dense, **options):
    """Expect the same of data that lie there, that are streamed, and on the CPU."""
    wanted = fitted("cpu", X, y, made=made(), **options)
    for how in ("resident", *sizes):
        stream(how)
        same(fitted("cuda", X, y, made=made(), **options), wanted, how)


@pytest.mark.parametrize("name", NAMES[:: max(1, len(NAMES) // 40)])
def test_same_bytes_as_the_cpu(name, stream):
    """All kinds of trainings, a batch at a time."""
    stream(1)
    try:
        there = play(ALL[name](), "cuda")
    except ValueError as error:
        pytest.skip(str(error))
    same(there, play(ALL[name](), "cpu"), name)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float64", "int64", "turned", "strided"])
def test_data_of_every_kind(kind, stream):
    X, y = data(kind=kind if kind in ("uint8", "float64") else "float32")
    X = (100 * abs(X)).astype(kind) if kind in ("uint16", "int64") else X
    X = np.asfortranarray(X) if kind == "turned" else X[:, ::2] if kind == "strided" else X
    weights = np.random.default_rng(1).random(len(y))
    for fit in ({}, {"shuffle": False}, {"sample_weight": weights}, {"class_weight": "balanced"}):
        all_ways(stream, X, y, fit=fit, sizes=["1", "5000"])


def test_values_positions_and_their_weights(stream):
    X, _ = data(90)
    random = np.random.default_rng(1)
    made = lambda: steep.Sequential(layers.Dense(28), layers.Reshape((7, 4)))  # noqa: E731
    y, weights = random.integers(0, 4, (90, 7)), random.random((90, 7))
    for fit in ({}, {"sample_weight": weights}, {"accumulate": 3, "sample_weight": weights}):
        all_ways(stream, X, y, made=made, loss=steep.losses.CrossEntropy(ignore=2), fit=fit)
    all_ways(stream, X, random.random((90, 5)), loss="mse", reduction="sum", rule="sgd")


def test_several_inputs_and_targets(stream):
    random = np.random.default_rng(2)
    X = [random.random((70, 9)), random.integers(0, 9, (70, 4)).astype(np.uint8)]
    y = {"a": random.integers(0, 3, 70), "b": random.random((70, 2))}

    def made():
        one, two = steep.Input(9), steep.Input(4)
        both = steep.ops.concat([layers.Dense(5, "tanh")(one), layers.Dense(6)(two)])
        return steep.Model([one, two], {"a": layers.Dense(3)(both), "b": layers.Dense(2)(both)})

    all_ways(stream, X, y, made=made, loss={"a": "cross_entropy", "b": "mse"}, sizes=["1", "4000"])


def test_windows_that_share_numbers(stream):
    tokens = np.random.default_rng(0).integers(0, 11, 200)
    windows = np.lib.stride_tricks.sliding_window_view(tokens, 9)
    X, y = windows[:, :-1], windows[:, 1:]
    made = lambda: steep.Sequential(layers.Embedding(11, 6), layers.Dense(11))  # noqa: E731
    all_ways(stream, X, y, made=made, sizes=["1", "3000"])


def test_changed_images(stream):
    random = np.random.default_rng(0)
    X, y = trainings.numbers("uint8", (50, 9, 8, 3), random), random.integers(0, 5, 50)
    augment = steep.data.Augment(flip=True, shift=2, cutout=3, fill=[3.3, 1.0, -2.0])
    made = lambda: net(layers.Flatten(), layers.Dense(20, "relu"))  # noqa: E731
    for fit in ({"augment": augment}, {"augment": augment, "shuffle": False, "accumulate": 2}):
        all_ways(stream, X, y, made=made, fit=fit)


@pytest.mark.parametrize("rule", ["lamb", optimizers.SGD(0.05, 0.9, nesterov=True)])
def test_rules_clipping_averages_and_uphill(rule, stream):
    X, y = data()
    all_ways(stream, X, y, rule=rule, clip_norm=0.3, l2=1e-3, average="ema", sam=0.05)


def test_methods_for_full_batches(stream):
    X, y = data(96)
    all_ways(stream, X, y, made=net, rule=optimizers.LBFGS(), fit={"batch_size": 96, "epochs": 4})


def test_steps_and_gradients_of_single_batches(stream):
    X, y = data()
    found = []
    for device, how in (("cpu", ""), ("cuda", "1"), ("cuda", "streamed")):
        stream(how)
        trainer = steep.Trainer(dense(), "cross_entropy", "adam", device=device)
        steps = [trainer.step(X[i : i + 30], y[i : i + 30]) for i in (0, 30, 0, 60)]
        found.append((steps, trainer.net.state_dict(), trainer.gradients(X[:40], y[:40])))
    same(found[1], found[0])
    same(found[2], found[0])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("rate", "clip"), [(1e25, None), (1e25, 1.0), (1e38, None)])
def test_faults_find_back_to_the_last_good_weights(size, rate, clip, stream):
    X, y = data()
    found = []
    stream(size)
    for device in ("cpu", "cuda"):
        rule = optimizers.SGD(lambda step: rate if step == 32 else 0.01)
        made = net(layers.Dense(8, "square"))
        trainer = steep.Trainer(made, "cross_entropy", rule, clip_norm=clip, device=device)
        with pytest.raises(steep.NonFiniteError) as error:
            trainer.fit(X, y, epochs=9, batch_size=16, progress=False)
        found.append((told(error.value), trainer.steps, left(trainer, trainer.history)[:2]))
    same(*found)


@pytest.mark.parametrize("size", SIZES)
def test_goes_on_in_the_middle_of_an_epoch(size, stream, tmp_path):
    """Where a fit was interrupted, and a checkpoint was written."""
    X, y = data()
    stream(size)
    wanted = fitted("cpu", X, y)[0][:2]
    fit = {"batch_size": 16, "progress": False}

    def interrupt(step):
        if step == 7:
            raise KeyboardInterrupt

    begun = steep.Trainer(dense(), "cross_entropy", "adam", device="cuda", seed=3)
    with pytest.raises(KeyboardInterrupt):
        given = [types.SimpleNamespace(on_step_end=interrupt)]
        begun.fit(X, y, epochs=3, callbacks=given, **fit)
    assert begun.steps == 7
    begun.save(tmp_path / "half")
    gone_on = steep.Trainer.load(tmp_path / "half", device="cuda")
    gone_on.fit(X, y, epochs=3, **fit)
    same(left(gone_on, gone_on.history)[:2], wanted)


# ---- What only the emulation can show ----


@emulated
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"lazy": 0}])
def test_no_result_depends_on_who_computes_it(settings, stream):
    X, y = data(400)
    wanted = fitted("cpu", X, y)
    with emulating(**settings):
        for size in SIZES:
            stream(size)
            same(fitted("cuda", X, y), wanted, size)


@emulated
@pytest.mark.parametrize("mixed", [(0, 1), (1, 0)], ids=["X", "y"])
@pytest.mark.parametrize("values", [False, True])
def test_one_array_of_another_library_takes_the_same_way(mixed, values, stream):
    X, y = data()
    y = np.eye(5, dtype=np.float32)[y][:, ::-1] if values else y
    wanted = fitted("cpu", X, y)[0]
    stream(1)
    given = [Tensor(a) if m else a for a, m in zip((X, y), mixed, strict=True)]
    trainer = steep.Trainer(dense(), "cross_entropy", "adam", device="cuda", seed=3)
    same(left(trainer, trainer.fit(*given, epochs=3, batch_size=16, progress=False)), wanted)


@emulated
@pytest.mark.parametrize("size", SIZES)
def test_a_second_run_allocates_nothing(size, stream):
    X, y = data(480)
    stream(size)
    trainer = steep.Trainer(dense(), "cross_entropy", "adam", device="cuda", seed=3)
    fit = {"batch_size": 32, "progress": False}
    trainer.fit(X, y, epochs=3, **fit)
    before = counted("allocations"), counted("graph_launches")
    trainer.fit(X, y, epochs=10, **fit)
    assert counted("allocations") == before[0]
    assert counted("graph_launches") > before[1], "it trained"


@emulated
def test_what_does_not_fit_is_streamed():
    """Nothing is asked for: X alone is larger than the memory there is."""
    X, y = data(20000, 100)
    fit = {"epochs": 1, "batch_size": 256}
    wanted = fitted("cpu", X, y, fit=fit)
    before = counted("bytes")
    with emulating(limit=before + X.nbytes - 1):
        same(fitted("cuda", X, y, fit=fit), wanted)
    trainer = steep.Trainer(dense(), "cross_entropy", "adam", device="cuda", seed=3)
    before = counted("bytes")
    trainer.fit(X, y, progress=False, **fit)
    assert counted("bytes") > before + X.nbytes, "with more of it, all of it lies there"


@emulated
def test_buffers_that_do_not_fit_are_told_of(stream):
    X, y = data(4096, 300)
    made = dense().build((300,))
    wanted = made.predict(X)
    trainer = steep.Trainer(made, "cross_entropy", "adam", device="cuda")
    trainer.fit(X[:64], y[:64], epochs=1, batch_size=32, progress=False)
    stream("streamed")
    with (
        emulating(limit=counted("bytes") + (1 << 20)),
        pytest.raises(RuntimeError, match=r"MiB wanted, \S+ MiB of \S+ MiB free"),
    ):
        trainer.fit(X, y, epochs=1, batch_size=32, progress=False)
    trainer.fit(X, y, epochs=1, batch_size=32, progress=False)
    assert wanted.shape == made.predict(X).shape


def test_a_wish_that_is_none_is_refused(stream):
    X, y = data()
    for said in ("on", "0", "12k", "-1"):
        stream(said)
        with pytest.raises(ValueError, match="resident, streamed or the bytes of a buffer, got"):
            fitted("cuda", X, y)
