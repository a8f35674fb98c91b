"""Networks on the GPU, or on its emulation: the same bytes as on the CPU, or a refusal by name.

Skipped where neither is there. What the emulation itself can see: test_emulation.
"""

import gc
import os

import devices
import numpy as np
import pytest
import steep
import trainings
from devices import data, dense, left, net, play, same, told, trained
from emulation import EMULATED, counted, emulating
from steep import _core, layers, losses, ops, optimizers

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
ALL = trainings.trainings()
TRAININGS = {name: make for name, make in ALL.items() if not devices.by_bounds(name)}


@pytest.mark.parametrize("name", TRAININGS)
def test_same_bytes_as_the_cpu_or_a_refusal_by_name(name, monkeypatch):
    """Of what stays in one block by graphs, too."""
    try:
        there, by = play(TRAININGS[name](), "cuda", told=True)
    except ValueError as error:
        assert 'device="cuda": ' in str(error)
        assert "yet" in str(error) or "float32" in str(error)
        pytest.skip(str(error))
    here = play(TRAININGS[name](), "cpu")
    same(there, here, name)
    if by == "one block":
        monkeypatch.setenv("STEEP_RESIDENT", "off")
        same(play(TRAININGS[name](), "cuda"), here, f"{name} by graphs")


@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 5, 16, 17, 40])
def test_every_width_of_outputs(outputs):
    """Few outputs are dot products, more than sixteen classes half a warp a row."""
    random = np.random.default_rng(outputs)
    X, y = random.standard_normal((99, 37)).astype(np.float32), random.integers(0, outputs, 99)
    loss = losses.CrossEntropy(label_smoothing=0.1) if outputs > 1 else losses.MeanSquaredError()
    y = y if outputs > 1 else random.standard_normal((99, 1))
    found = [
        trained(d, X, y, loss=loss, made=steep.Sequential(layers.Dense(outputs)))[1]
        for d in ("cpu", "cuda")
    ]
    same(*found)


@pytest.mark.parametrize("batch", [1, 63, 65, 257, 600])
def test_sums_over_any_number_of_rows(batch):
    X, y = data(700)
    found = []
    for device in ("cpu", "cuda"):
        trainer = steep.Trainer(dense(), "cross_entropy", "sgd", device=device)
        found.append(left(trainer, trainer.fit(X, y, epochs=1, batch_size=batch, progress=False)))
    same(*found)


@pytest.mark.parametrize("kind", ["uint8", "float64", "turned", "strided"])
def test_data_of_every_kind(kind):
    X, y = data(kind=kind if kind in ("uint8", "float64") else "float32")
    X = np.asfortranarray(X) if kind == "turned" else X[:, ::2] if kind == "strided" else X
    weights = np.random.default_rng(1).random(len(y))
    for options in ({}, {"shuffle": False}, {"sample_weight": weights}):
        same(trained("cuda", X, y, **options)[1], trained("cpu", X, y, **options)[1], kind)


def test_weighted_means_and_sums():
    X, y = data()
    weights = np.random.default_rng(1).random(len(y))
    for reduction in ("sum", "weighted_mean"):
        options = {"sample_weight": weights, "reduction": reduction, "rule": optimizers.SGD(1e-3)}
        same(trained("cuda", X, y, **options)[1], trained("cpu", X, y, **options)[1], reduction)


def test_steps_of_single_batches():
    X, y = data()
    found = []
    for device in ("cpu", "cuda"):
        trainer = steep.Trainer(dense(), "cross_entropy", "adam", device=device)
        steps = [trainer.step(X[i : i + 30], y[i : i + 30]) for i in (0, 30, 0, 60)]
        found.append((steps, trainer.net.state_dict(), trainer.gradients(X[:40], y[:40])))
    same(*found)


def test_gradients_with_penalties():
    X, y = data()
    found = []
    for device in ("cpu", "cuda"):
        trainer = steep.Trainer(dense(), "cross_entropy", "sgd", l1=0.01, l2=0.1, device=device)
        found.append(trainer.gradients(X, y))
    same(*found)


@pytest.mark.parametrize("first", ["cpu", "cuda"])
def test_checkpoints_cross_devices(first, tmp_path):
    X, y = data()
    rule = optimizers.SGD(0.05, 0.9, nesterov=True)
    whole = trained("cpu", X, y, 5, rule=rule)[1]
    begun, _ = trained(first, X, y, 2, rule=rule)
    begun.save(tmp_path / "half")
    second = {"cpu": "cuda", "cuda": "cpu"}[first]
    gone_on = steep.Trainer.load(tmp_path / "half", device=second)
    assert (gone_on.device, gone_on.net.device) == (second, second)
    gone_on.fit(X, y, epochs=3, batch_size=32, progress=False)
    same(left(gone_on, gone_on.history)[0], whole[0])
    same(left(gone_on, gone_on.history)[1], whole[1])
    assert steep.Trainer.load(tmp_path / "half").device == first


def test_a_network_moves_with_its_parts():
    X, _ = data()
    inner = steep.Sequential(layers.Dense(7, "relu"))
    whole = steep.Sequential(inner, layers.Dense(5)).build((30,))
    before = whole.predict(X), inner.predict(X)
    assert whole.to("cuda") is whole
    assert (whole.device, inner.device) == ("cuda", "cuda")
    same((whole.predict(X), inner.predict(X)), before)
    inner.to("cpu")
    assert whole.device == "cpu"
    same(whole.predict(X, batch_size=7), before[0])


@pytest.mark.parametrize(
    ("rate", "clip"), [(1e25, None), (1e25, 1.0), (1e38, None)], ids=["loss", "clipped", "update"]
)
def test_faults_find_back_to_the_last_good_weights(rate, clip):
    X, y = data()
    found = []
    for device in ("cpu", "cuda"):
        made = net(layers.Dense(8, "square"))
        rule = optimizers.SGD(lambda step: rate if step == 12 else 0.01)
        trainer = steep.Trainer(made, "cross_entropy", rule, clip_norm=clip, device=device)
        with pytest.raises(steep.NonFiniteError) as error:
            trainer.fit(X, y, epochs=9, batch_size=32, progress=False)
        found.append((told(error.value), trainer.steps, left(trainer, trainer.history)[:2]))
    assert found[0][:2] == found[1][:2]
    same(found[1][2], found[0][2])


def test_a_loss_that_overflows_is_no_layer_of_the_way_back():
    X, y = data()[0], np.zeros((150, 5))
    y[40] = 1e25
    found = []
    for device in ("cpu", "cuda"):
        trainer = steep.Trainer(dense(), "mse", optimizers.SGD(1e-3), device=device)
        with pytest.raises(steep.NonFiniteError) as error:
            trainer.fit(X, y, epochs=1, batch_size=30, shuffle=False, progress=False)
        found.append(told(error.value))
    assert found[0] == found[1]
    assert found[0][2] == "loss"


def test_float64_is_refused():
    X, y = data()
    with pytest.raises(ValueError, match="float32"):
        trained("cuda", X, y, precision="float64")


def frozen():
    made = dense().build((30,), seed=3)
    made.freeze("*1.weight", "*2.bias")
    return made


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.3, "l2": 1e-3, "average": "ema"}])
def test_frozen_weights(options):
    X, y = data()
    made = {device: frozen() for device in ("cpu", "cuda")}
    assert len(made["cpu"].frozen) == 2
    before = {name: made["cuda"].state_dict()[name] for name in made["cuda"].frozen}
    found = [trained(d, X, y, made=made[d], **options)[1] for d in made]
    same(*found)
    same({name: made["cuda"].state_dict()[name] for name in before}, before)


BOUNDS = {
    "clip": steep.constraints.Clip(0.1),
    "non_negative": "non_negative",
    "max_norm": steep.constraints.MaxNorm(0.7),
    "unit_norm": "unit_norm",
}


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize(
    "options",
    [
        {"rule": "adam"},
        {"rule": optimizers.SGD(0.1, 0.9, nesterov=True)},
        {"rule": optimizers.SGD(0.1, 0.9, nesterov=True), "average": "ema", "clip_norm": 0.3},
        {"rule": optimizers.ScheduleFreeSGD(0.3)},
        {"rule": "sgd", "average": steep.averages.Lookahead(every=3)},
    ],
    ids=["plain", "ahead", "ahead, average", "schedule-free", "pulled"],
)
def test_bounds_of_weights(bound, options):
    """Of single weights and of columns, in panels, as rows of W^T and as a vector."""
    X, y = data()
    found = []
    for device in ("cpu", "cuda"):
        parts = [layers.Dense(n, "tanh", constraint=BOUNDS[bound]) for n in (70, 3, 40)]
        found.append(trained(device, X, y, made=net(*parts), **options)[1])
    same(*found)


@pytest.mark.parametrize("rule", ["lamb", "lars", "adafactor", "muon"])
@pytest.mark.parametrize(
    "options",
    [{"clip_norm": 0.3}, {"clip_norm": 1e-25}, {"average": "ema", "l1": 1e-3}],
    ids=["clipped", "to nearly nothing", "averaged"],
)
def test_rules_of_two_passes(rule, options):
    """Many panels and rows of tasks, few outputs, bounds of columns."""
    X, y = data()
    found = []
    for device in ("cpu", "cuda"):
        parts = [
            layers.Dense(170, "relu"),
            layers.Dense(3),
            layers.Dense(40, constraint="max_norm"),
        ]
        found.append(trained(device, X, y, made=net(*parts), rule=rule, **options)[1])
    same(*found)


def heads():
    start = steep.Input(30)
    body = layers.Dense(9, "tanh")(start)
    return steep.Model(start, {"class": layers.Dense(3)(body), "value": layers.Dense(2)(body)})


def test_several_losses():
    """Each with weights of its own, of samples and by step."""
    X, _ = data()
    random = np.random.default_rng(2)
    y = {"class": random.integers(0, 3, 150), "value": random.standard_normal((150, 2))}
    weights = {"value": random.random(150)}
    rates = {"class": lambda step: 1 / (1 + step), "value": 2.5}
    options = {"loss_weights": rates, "metrics": {"class": "accuracy"}, "rule": "adam"}
    by = {"class": losses.CrossEntropy(), "value": losses.Huber()}
    for reduction in ("mean", "weighted_mean", "sum"):
        found = []
        for device in ("cpu", "cuda"):
            trainer, what = trained(
                device, X, y, made=heads(), loss=by, sample_weight=weights, reduction=reduction,
                **options,
            )  # fmt: skip
            gradients = trainer.gradients(X[:50], {name: t[:50] for name, t in y.items()})
            found.append((what, gradients, trainer.evaluate(X, y)))
        same(*found)


@pytest.mark.parametrize("loss", [losses.Mean(), lambda y, t: losses_of(y - t)])
def test_losses_of_ops(loss):
    X, _ = data()
    y = None if isinstance(loss, losses.Mean) else np.random.default_rng(1).random((150, 5))
    found = [trained(d, X, y, loss=loss, rule="sgd")[1] for d in ("cpu", "cuda")]
    same(*found)


def losses_of(difference):
    return ops.activation(difference, "softplus") * difference


def positions():
    return steep.Sequential(
        layers.Dense(35), layers.Reshape((7, 5)), layers.Softmax(), layers.Flatten(),
        layers.Dense(5),
    )  # fmt: skip


def test_softmax_of_positions():
    X, y = data()
    same(*[trained(d, X, y, made=positions())[1] for d in ("cpu", "cuda")])


OPS = {
    "quotient": lambda x: x / (1.5 + x * x),
    "powers": lambda x: x**3 + (1 + x * x) ** 0.5 + (1 + x * x) ** -2 + (2 + x * x) ** 1.3,
    "bounds": lambda x: ops.clip(x, -0.5, 0.7) + ops.maximum(x, 0.1 * x) - ops.minimum(x, -x),
    "axes": lambda x: (
        ops.slice(ops.reshape(x, (8, 3)), 2, 6, axis=0)
        * ops.mean(ops.reshape(x, (4, 2, 3)), axis=1)
        - ops.sum(ops.reshape(x, (4, 6)), axis=1, keepdims=True)
    ),
}


@pytest.mark.parametrize("name", OPS)
def test_arithmetic_of_elements_and_axes(name):
    X, y = data()

    class Own(layers.Layer):
        def call(self, x):
            return OPS[name](x)

    found = []
    for device in ("cpu", "cuda"):
        made = net(layers.Dense(24, "tanh"), Own(), layers.Flatten())
        found.append(trained(device, X, y, made=made, rule="sgd")[1])
    same(*found)


def test_every_op_of_the_core_has_kernels():
    """Another op without one is an oversight: csrc/cuda/ops says what an op launches."""
    assert not _core.cuda_lacks()


def test_a_forked_process_is_told_so():
    """A context does not survive a fork; the parent's goes on."""
    X, y = data()
    wanted = trained("cuda", X, y, 1)[1]
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        try:
            trained("cuda", X, y, 1)
        except RuntimeError as error:
            said = str(error)
        finally:
            os.write(writes, said.encode())
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    assert "forked from one that used the GPU; start it anew" in said
    same(trained("cuda", X, y, 1)[1], wanted)


# ---- What only the emulation can show ----


@emulated
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 132}])
def test_no_result_depends_on_who_computes_it(settings):
    """Not on the order of threads, blocks and branches, nor on the number of multiprocessors."""
    X, y = data()
    options = {"clip_norm": 0.3, "l2": 1e-3, "average": "ema"}
    wanted = trained("cuda", X, y, **options)[1]
    with emulating(**settings):
        same(trained("cuda", X, y, **options)[1], wanted, str(settings))


@emulated
@pytest.mark.parametrize("one_block", ["on", "off"])
def test_a_second_run_allocates_nothing(one_block, monkeypatch):
    monkeypatch.setenv("STEEP_RESIDENT", one_block)
    X, y = data(480)
    trainer, _ = trained("cuda", X, y)
    launches = "launches" if one_block == "on" else "graph_launches"
    before = counted("allocations"), counted(launches)
    trainer.fit(X, y, epochs=40, batch_size=32, progress=False)
    assert counted("allocations") == before[0]
    assert counted(launches) >= before[1] + 40, "it trained"


@emulated
def test_out_of_memory_names_bytes_and_leaves_the_network_usable():
    X, y = data()
    made = dense().build((30,))
    wanted = made.predict(X)
    with emulating(limit=counted("bytes") + (1 << 20)):
        trainer = steep.Trainer(made, "cross_entropy", "adam", device="cuda")
        big = np.zeros((40000, 30), np.float32)
        with pytest.raises(RuntimeError, match=r"MiB wanted, \S+ [KM]iB of \S+ MiB free"):
            trainer.fit(big, np.zeros(40000, int), epochs=1, batch_size=40000, progress=False)
    same(made.predict(X), wanted)
    trainer.fit(X, y, epochs=1, progress=False)


@emulated
def test_a_broken_device_asks_for_a_new_process():
    X, y = data()
    trainer, _ = trained("cuda", X, y, 1)
    said = r"cudaErrorIllegalAddress .*start a new process. The last checkpoint is whole"
    with emulating(broken=1), pytest.raises(RuntimeError, match=said):
        trainer.fit(X, y, epochs=1, progress=False)


@emulated
@pytest.mark.parametrize(
    ("device", "said"),
    [(0, "no NVIDIA driver"), (1, "for CUDA 12.0, 13.0 or newer"), (2, "sees no GPU"), (75, "7.5")],
)
def test_why_there_is_no_device(device, said):
    with emulating(device=device):
        assert said in _core.info()["cuda"]
        with pytest.raises(RuntimeError, match=said) as error:
            steep.Trainer(dense(), "cross_entropy", "adam", device="cuda")
        assert 'Use device="cpu"' in str(error.value)
        with pytest.raises(RuntimeError, match=said):
            dense().build((30,)).to("cuda")


@emulated
def test_dropped_networks_free_their_memory():
    X, y = data()
    trained("cuda", X, y)
    gc.collect()
    before = counted("bytes")
    trained("cuda", X, y)
    gc.collect()
    assert counted("bytes") == before
