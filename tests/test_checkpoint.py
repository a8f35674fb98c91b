"""Checkpoints: atomic files, exact resumption, SIGKILL, and files that are no checkpoints."""

import json
import os
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import steep
from hypothesis import given, settings
from hypothesis import strategies as st
from steep import callbacks, layers, losses, ops, optimizers, schedules
from steep.files import checkpoint

OPTIMIZERS = {
    "sgd": optimizers.SGD(0.1),
    "momentum": optimizers.SGD(0.1, schedules.Linear(0.5, 0.9, 4, unit="epoch")),
    "nesterov": optimizers.SGD(schedules.Exponential(0.1, 0.01), 0.9, nesterov=True),
    "adagrad": optimizers.AdaGrad(),
    "rmsprop": optimizers.RMSProp(),
    "rmsprop_nesterov": optimizers.RMSProp(momentum=0.9, nesterov=True),
    "adam": optimizers.Adam(schedules.Warmup(schedules.Cosine(1e-2, 40), 5)),
    "adam_epoch": optimizers.Adam(bias_time="epoch"),
    "adamw": optimizers.AdamW(),
    "amsgrad": optimizers.AMSGrad(),
    "adamax": optimizers.Adamax(),
    "nadam": optimizers.NAdam(),
    "adadelta": optimizers.AdaDelta(),
}


def trainer(optimizer="adam", **options):
    net = steep.Sequential(
        layers.Dense(16, "relu"), layers.Dropout(0.2, redraw="epoch"), layers.Dense(5)
    )
    options = {"l2": 1e-3, "clip_norm": 1.0, "seed": 3} | options
    loss = losses.CrossEntropy(label_smoothing=0.1)
    return steep.Trainer(net, loss, OPTIMIZERS.get(optimizer, optimizer), **options)


class Die(Exception):
    pass


class DieAt:
    def __init__(self, step):
        self.step = step

    def on_step_end(self, step):
        if step == self.step:
            raise Die


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_resumed_is_the_same_file_as_uninterrupted(name, precision, small, tmp_path):
    X, y = small
    stopping = callbacks.EarlyStopping(patience=2)
    common = {"epochs": 4, "validation": (X[:50], y[:50]), "progress": False}
    whole = trainer(name, precision=precision)
    whole.fit(X, y, callbacks=[stopping], **common)
    whole.save(tmp_path / "whole")
    part = trainer(name, precision=precision)
    saving = callbacks.Checkpoint(tmp_path / "part", every=7)
    with pytest.raises(Die):
        part.fit(X, y, callbacks=[callbacks.EarlyStopping(patience=2), saving, DieAt(24)], **common)
    rest = steep.Trainer.load(tmp_path / "part")
    assert (rest.steps, rest.epoch, rest.finished) == (21, 2, False)
    rest.fit(X, y, callbacks=[callbacks.EarlyStopping(patience=2)], **common)
    rest.save(tmp_path / "rest")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "rest").read_bytes()


@pytest.mark.parametrize("step", [1, 9, 10, 11, 39])
def test_resumed_at_any_step(step, small, tmp_path):
    X, y = small
    path = tmp_path / "c"
    whole = trainer()
    whole.fit(X, y, epochs=4, progress=False)

    class SaveAt:
        def on_step_end(self, trainer, step_):
            pass

        def __init__(self):
            self.every = step

    SaveAt.on_step_end = lambda self, trainer, step: trainer.save(path) or "stop"
    part = trainer()
    saved = SaveAt()
    with pytest.raises(Die):
        part.fit(X, y, epochs=4, callbacks=[saved, DieAt(step)], progress=False)
    rest = steep.Trainer.load(path)
    assert rest.steps == step
    rest.fit(X, y, epochs=4, progress=False)
    for name, value in whole.net.state_dict().items():
        assert np.array_equal(value, rest.net.state_dict()[name])
    assert rest.history.history["loss"] == whole.history.history["loss"]
    assert rest.history.steps == whole.history.steps


SCRIPT = """
import os, sys, numpy as np, steep
from steep import callbacks, layers
path = sys.argv[1]
rng = np.random.default_rng(0)
X = rng.normal(size=(512, 64)).astype(np.float32)
y = np.argmax(X[:, :10], axis=1)
if os.path.exists(path):
    trainer = steep.Trainer.load(path)
else:
    net = steep.Sequential(layers.Dense(64, "relu"), layers.Dropout(0.2), layers.Dense(10))
    trainer = steep.Trainer(net, "cross_entropy", "adam", seed=5)
stopping = callbacks.EarlyStopping(patience=1000)
saving = callbacks.Checkpoint(path, every=int(sys.argv[2]))
print("begin", trainer.steps, flush=True)
trainer.fit(X, y, epochs=int(sys.argv[3]), batch_size=8, validation=(X[:64], y[:64]),
            callbacks=[saving, stopping], progress=False)
print("end", trainer.steps, flush=True)
"""


def _start(path, every, epochs):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", SCRIPT, str(path), str(every), str(epochs)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def test_killed_and_started_again_ends_with_the_same_bytes(tmp_path):
    epochs = 60
    whole = _start(tmp_path / "whole", 50, epochs)
    assert f"end {64 * epochs}" in whole.communicate(timeout=120)[0]
    path, killed = tmp_path / "killed", 0
    while True:
        before = path.stat().st_ino if path.exists() else None
        run = _start(path, 50, epochs)
        while killed < 4 and run.poll() is None:
            if path.exists() and path.stat().st_ino != before:  # another checkpoint is in place
                time.sleep(0.003 * killed)
                run.send_signal(signal.SIGKILL)
                killed += 1
                break
            time.sleep(0.001)
        if "end" in run.communicate(timeout=120)[0]:
            break
    assert killed == 4
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "killed").read_bytes()


def test_same_number_of_epochs_finishes_the_call_any_other_counts_anew(small, tmp_path):
    X, y = small

    def cut():
        t = trainer()
        saving = callbacks.Checkpoint(tmp_path / "c")
        with pytest.raises(Die):
            t.fit(X, y, epochs=5, callbacks=[saving, DieAt(25)], progress=False)
        return steep.Trainer.load(tmp_path / "c")

    t = cut()
    assert (t.epoch, t.steps) == (2, 20)
    t.fit(X, y, epochs=5, progress=False)
    assert t.epoch == 5
    t.fit(X, y, epochs=5, progress=False)
    assert t.epoch == 10
    t = cut()
    t.fit(X, y, epochs=2, progress=False)
    assert t.epoch == 4
    t.save(tmp_path / "done")
    t = steep.Trainer.load(tmp_path / "done")
    t.fit(X, y, epochs=2, progress=False)
    assert t.epoch == 6


def test_the_last_file_of_a_finished_fit_is_complete(small, tmp_path):
    X, y = small
    t = trainer()
    t.fit(X, y, epochs=3, callbacks=[callbacks.Checkpoint(tmp_path / "c")], progress=False)
    again = steep.Trainer.load(tmp_path / "c")
    assert again.finished
    again.fit(X, y, epochs=3, progress=False)  # that very call, which is over
    assert again.epoch == 3
    again.fit(X, y, epochs=3, progress=False)
    assert again.epoch == 6
    again = steep.Trainer.load(tmp_path / "c")
    again.fit(X, y, epochs=1, progress=False)
    assert again.epoch == 4


def test_a_checkpoint_in_mid_epoch_warns_of_other_data(small, tmp_path):
    X, y = small
    t = trainer()
    with pytest.raises(Die):
        saving = callbacks.Checkpoint(tmp_path / "c", every=4)
        t.fit(X, y, epochs=2, callbacks=[saving, DieAt(6)], progress=False)
    t = steep.Trainer.load(tmp_path / "c")
    with pytest.warns(UserWarning, match=r"batch 4 .*\(300, 32, True, False\)"):
        t.fit(X[:200], y[:200], epochs=1, progress=False)
    assert t.epoch == 1


def test_everything_survives(small, tmp_path):
    X, y = small
    t = trainer("nesterov", l1=1e-5, clip_value=0.5, decay_bias=True, reduction="sum")
    t.fit(X, y, epochs=2, progress=False)
    t.save(tmp_path / "c")
    u = steep.Trainer.load(tmp_path / "c")
    common = ("l1", "l2", "clip_norm", "clip_value")
    for name in ("loss", "optimizer", "metrics", "decay_bias", "reduction", "precision", *common):
        assert getattr(t, name) == getattr(u, name), name
    assert (u.seed, u.epoch, u.steps) == (3, 2, 20)
    assert repr(u.net) == repr(t.net)
    assert u.history.steps == t.history.steps
    assert {k: v for k, v in u.history.history.items() if k != "seconds"} == {
        k: v for k, v in t.history.history.items() if k != "seconds"
    }
    assert u.evaluate(X, y) == t.evaluate(X, y)
    assert u.step(X[:9], y[:9]) == t.step(X[:9], y[:9])


class Twist(layers.Layer):
    def __init__(self, start, table=None):
        super().__init__()
        self.start, self.table = start, table

    def call(self, x):
        return x * self.parameter("twist", x.shape, init=self.start)


def graph():
    a, b = steep.Input((12,)), steep.Input((8,))
    shared = layers.Dense(8, "tanh", name="shared")
    both = ops.concat([shared(a), b]) * 2 + 1
    twin = layers.Dense(16, init="xavier_in")
    block = layers.Residual(twin, layers.ReLU(), twin, name="block", activation="elu")
    out = layers.Branches(layers.Dense(5), steep.Sequential(layers.Dense(5)), join="add")
    return steep.Model([a, b], out(block(both)), name="two")


def test_graphs_shared_layers_and_arrays_survive(small, tmp_path):
    X, y = small
    t = steep.Trainer(graph(), "cross_entropy", "adam")
    t.fit([X[:, :12], X[:, 12:]], y, progress=False)
    t.save(tmp_path / "c")
    u = steep.Trainer.load(tmp_path / "c")
    assert list(u.net.state_dict()) == list(t.net.state_dict())
    parts = [X[:, :12], X[:, 12:]]
    assert np.array_equal(u.net.predict(parts), t.net.predict(parts))
    given = steep.Sequential(layers.Dense(5, init=np.ones((20, 5)) * [1, 2, 3, 4, 5]))
    t = steep.Trainer(given, "cross_entropy", "sgd")
    t.step(X, y)
    t.save(tmp_path / "c")
    u = steep.Trainer.load(tmp_path / "c").net
    assert np.array_equal(u.predict(X), given.predict(X))


def test_custom_layers_come_by_name_or_with_the_network(small, tmp_path):
    X, y = small
    make = [lambda: steep.Sequential(Twist(2.0, {"a": [1, 2]}), layers.Dense(5))]
    make.append(lambda: steep.Sequential(Twist(2.0, object()), layers.Dense(5)))
    for net in make:
        t = steep.Trainer(net(), "cross_entropy", "adam")
        t.fit(X, y, progress=False)
        t.save(tmp_path / "c")
        u = steep.Trainer.load(tmp_path / "c", net=net())
        assert np.array_equal(u.net.predict(X), t.net.predict(X))
        if net is make[0]:
            with pytest.raises(ValueError, match=r'unknown layer "Twist".*custom_objects'):
                steep.Trainer.load(tmp_path / "c")
            u = steep.Trainer.load(tmp_path / "c", custom_objects={"Twist": Twist})
            assert np.array_equal(u.net.predict(X), t.net.predict(X))
        else:
            with pytest.raises(ValueError, match=r"object cannot be saved.*pass net="):
                steep.Trainer.load(tmp_path / "c")


def test_another_network_is_refused_and_unchanged(small, tmp_path):
    X, y = small
    t = trainer()
    t.fit(X, y, progress=False)
    t.save(tmp_path / "c")
    t.net.save_weights(tmp_path / "w")
    other = steep.Sequential(layers.Dense(17, "relu"), layers.Dense(5)).build(20)
    before = other.state_dict()
    with pytest.raises(ValueError, match=r"dense.weight: expects shape \(20, 17\), got \(20, 16\)"):
        other.load_weights(tmp_path / "w")
    with pytest.raises(ValueError, match=r"expects shape \(20, 17\), got \(20, 16\)"):
        steep.Trainer.load(tmp_path / "c", net=other)
    with pytest.raises(ValueError, match=r"missing.*unknown"):
        steep.Sequential(layers.Dense(5, name="a")).build(20).load_weights(tmp_path / "w")
    assert all(np.array_equal(v, other.state_dict()[k]) for k, v in before.items())


def test_a_schedule_that_is_code_is_refused_before_training(small, tmp_path):
    X, y = small
    t = trainer(optimizers.SGD(lambda step: 0.1))
    with pytest.raises(ValueError, match="cannot be saved"):
        t.fit(X, y, callbacks=[callbacks.Checkpoint(tmp_path / "c")], progress=False)
    assert t.steps == 0
    t.fit(X, y, progress=False)
    with pytest.raises(ValueError, match="cannot be saved"):
        t.save(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


# -- files -----------------------------------------------------------------------------------------


def test_weights_are_a_plain_safetensors_file(tmp_path):
    from safetensors.numpy import load_file, save_file

    net = steep.Sequential(layers.Dense(4), layers.Dense(2)).build(3, seed=1)
    net.save_weights(tmp_path / "w.safetensors")
    read = load_file(tmp_path / "w.safetensors")
    assert all(np.array_equal(read[k], v) for k, v in net.state_dict().items())
    save_file({k: v.astype(np.float64) * 2 for k, v in read.items()}, tmp_path / "theirs")
    net.load_weights(tmp_path / "theirs")
    assert all(np.array_equal(net.state_dict()[k], 2 * v) for k, v in read.items())


def test_a_trainer_file_gives_its_weights(small, tmp_path):
    X, y = small
    t = trainer()
    t.fit(X, y, progress=False)
    t.save(tmp_path / "c")
    net = trainer().net.build(20)
    net.load_weights(tmp_path / "c")
    assert np.array_equal(net.predict(X), t.net.predict(X))
    t.net.save_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="no checkpoint of a trainer"):
        steep.Trainer.load(tmp_path / "w")


def test_writing_leaves_nothing_beside_and_keeps_the_old_file_on_failure(tmp_path, monkeypatch):
    net = steep.Sequential(layers.Dense(4)).build(3)
    net.save_weights(tmp_path / "w")
    before = (tmp_path / "w").read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="cannot write here: No space left"):
        net.save_weights(tmp_path / "w")
    assert [p.name for p in tmp_path.iterdir()] == ["w"]
    assert (tmp_path / "w").read_bytes() == before


def test_missing_files_are_file_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        steep.Trainer.load(tmp_path / "no")
    with pytest.raises(FileNotFoundError):
        steep.Sequential(layers.Dense(4)).build(3).load_weights(tmp_path / "no")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 6)).astype(np.float32), np.arange(40) % 3
    t = steep.Trainer(steep.Sequential(layers.Dense(3)), "cross_entropy", "adam")
    t.fit(X, y, progress=False)
    path = tmp_path_factory.mktemp("saved") / "c"
    t.save(path)
    return path


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 7, b"\xff" * 64, b"PK\x03\x04" + b"\0" * 99, b"\x80\x04\x95.", b"X,y\n1,2\n"],
)
def test_foreign_files_are_refused(data, saved):
    path = saved.with_name("foreign")
    path.write_bytes(data)
    net = steep.Sequential(layers.Dense(3)).build(6)
    before = net.state_dict()
    for read in (steep.Trainer.load, net.load_weights):
        with pytest.raises(ValueError, match="damaged, or no safetensors file"):
            read(path)
    assert all(np.array_equal(v, net.state_dict()[k]) for k, v in before.items())


def test_truncated_files_are_refused(saved):
    data = saved.read_bytes()
    path = saved.with_name("cut")
    for size in range(0, len(data), 97):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match="damaged"):
            steep.Trainer.load(path)


@settings(max_examples=150, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(where, bit, saved):
    data = bytearray(saved.read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    path = saved.with_name("flipped")
    path.write_bytes(data)
    try:
        t = steep.Trainer.load(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:  # 1e-8 became 1E-8, say: the meaning is the same
        t.save(path)
        assert path.read_bytes() == saved.read_bytes()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_description_of_anything_is_refused_or_works(data, saved):
    """Every entry of the description replaced by anything: ValueError or a trainer, never else."""
    tensors, about = checkpoint.read(saved)
    place = about
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else [0]))
        below = place[key]
        if not isinstance(below, dict) or not below or data.draw(st.booleans()):
            break
        place = below
    place[key] = data.draw(JSON)
    path = saved.with_name("odd")
    checkpoint.write(path, tensors, json.loads(json.dumps(about)))
    try:
        steep.Trainer.load(path)
    except (ValueError, RuntimeError) as error:
        assert str(path) in str(error) or isinstance(error, RuntimeError)


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}})
    (tmp_path / "f").write_bytes(struct.pack("<Q", len(header)) + header.encode())
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.read(tmp_path / "f")
    header = json.dumps({"a": {"dtype": "F8_E5M2", "shape": [2], "data_offsets": [0, 2]}})
    (tmp_path / "f").write_bytes(struct.pack("<Q", len(header)) + header.encode() + b"\0\0")
    with pytest.raises(ValueError, match="F8_E5M2"):
        checkpoint.read(tmp_path / "f")
