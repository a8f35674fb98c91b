"""Faults of files: how they are written, what a callback leaves behind, what a reader believes."""

import json
import math
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest
import steep
from steep import callbacks, layers
from steep.files import checkpoint

ROOT = os.geteuid() == 0


def network(units=4, seed=1):
    return steep.Sequential(layers.Dense(units)).build(3, seed=seed)


def fitted(**options):
    X, y = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32), np.arange(40) % 3
    trainer = steep.Trainer(steep.Sequential(layers.Dense(3)), "cross_entropy", "adam")
    trainer.fit(X, y, progress=False, **options)
    return trainer, X, y


def child(code, *arguments, **options):
    """Run a script in a process of its own, which may die."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=120, check=False, **options
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# -- F40, F58: writing -----------------------------------------------------------------------------


def test_f40_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "store" / "real")
    (tmp_path / "again").symlink_to("link")
    (tmp_path / "new").symlink_to(tmp_path / "store" / "not-yet")
    network().save_weights(tmp_path / "plain")
    want = (tmp_path / "plain").read_bytes()
    for name, target in {"link": "real", "again": "real", "new": "not-yet"}.items():
        (tmp_path / "store" / "real").write_bytes(b"old")
        network().save_weights(tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "store" / target).read_bytes() == want
    assert names(tmp_path / "store") == ["not-yet", "real"]
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match=r"cannot write here.*round"):
        network().save_weights(tmp_path / "round")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o400])
def test_f40_an_existing_file_keeps_its_mode(mode, tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"old")
    path.chmod(mode)
    trainer, _, _ = fitted()
    trainer.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert steep.Trainer.load(path).steps == trainer.steps


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_f40_a_new_file_obeys_the_umask(mask, tmp_path):
    before = os.umask(mask)
    try:
        network().save_weights(tmp_path / "w")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "w").stat().st_mode) == 0o666 & ~mask


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_f40_an_existing_file_keeps_its_owner(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    network().save_weights(path)
    now = path.stat()
    assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (1234, 2345, 0o640)


def test_f40_f58_many_threads_save_to_one_path(tmp_path):
    """Each saves a network of its own size; the file is always one of them, whole."""
    nets = [network(units) for units in (1, 40, 300)]
    failures = []

    def save(net):
        try:
            for _ in range(30):
                net.save_weights(tmp_path / "w")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=save, args=(net,)) for net in nets]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (tmp_path / "w").exists():
            assert checkpoint.read_weights(tmp_path / "w")[0]["dense.bias"].size in (1, 40, 300)
    assert not failures
    assert names(tmp_path) == ["w"]


KILLED = """
import os, signal, sys, numpy as np
from steep.files import checkpoint
os.getpid = lambda: 1  # as the first process of a container
checkpoint.os = os
fsync = os.fsync
def die(descriptor):
    os.kill(int(open("/proc/self/stat").read().split()[0]), signal.SIGKILL)
os.fsync = die
checkpoint.write(sys.argv[1], {"a": np.ones(1000)}, {})
"""


def test_f40_what_killed_writers_left_is_swept(tmp_path):
    path = tmp_path / "w"
    network().save_weights(path)
    before = path.read_bytes()
    for _ in range(3):
        assert child(KILLED, path).returncode == -signal.SIGKILL
    assert len(names(tmp_path)) >= 2, "the case must leave something behind"
    assert path.read_bytes() == before
    network(7).save_weights(path)
    assert names(tmp_path) == ["w"]
    assert checkpoint.read_weights(path)[0]["dense.bias"].size == 7


HELD = """
import os, sys, numpy as np
from steep.files import checkpoint
os.getpid = lambda: 1
fsync = os.fsync
def wait(descriptor):
    os.fsync = fsync
    print("writing", flush=True)
    sys.stdin.readline()
os.fsync = wait
checkpoint.write(sys.argv[1], {"a": np.full(1000, float(sys.argv[2]))}, {})
print("done", flush=True)
"""


def test_f40_f58_a_living_writer_is_left_alone(tmp_path):
    """Two processes with one number, in the middle of writing, while a third one saves."""
    path, others = tmp_path / "w", []
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    for value in (1, 2):
        command = [sys.executable, "-c", HELD, str(path), str(value)]
        pipe = subprocess.PIPE
        others.append(subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True))
        assert others[-1].stdout.readline() == "writing\n"
    beside = names(tmp_path)
    assert len(beside) == 2, "each has a name of its own"
    for other in others[::-1]:
        checkpoint.write(path, {"a": np.zeros(3)}, {})
        assert set(names(tmp_path)) & set(beside)
        out, _ = other.communicate("go\n", timeout=60)
        assert (out, other.returncode) == ("done\n", 0)
        assert checkpoint.read(path)[0]["a"].shape == (1000,)
    assert names(tmp_path) == ["w"]


SAVING = """
import os, sys, numpy as np
from steep.files import checkpoint
os.getpid = lambda: 1
size = int(sys.argv[2])
print("begin", flush=True)
while True:
    checkpoint.write(sys.argv[1], {"a": np.full(size, float(size))}, {})
"""


def test_f58_containers_with_one_process_number_killed_while_saving(tmp_path):
    """Three writers of different sizes without end, one of them killed now and then."""
    path, rng = tmp_path / "w", np.random.default_rng(0)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    sizes = (1000, 20_000, 300_000)

    def start(size):
        command = [sys.executable, "-c", SAVING, str(path), str(size)]
        run = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert run.stdout.readline() == b"begin\n"
        return run

    writers = [start(size) for size in sizes]
    try:
        for _ in range(8):
            time.sleep(rng.random() * 0.05)
            k = int(rng.integers(3))
            assert writers[k].poll() is None, writers[k].stderr.read()
            writers[k].kill()
            writers[k].communicate()
            if path.exists():
                held = checkpoint.read(path)[0]["a"]
                assert held.size in sizes
                assert (held == held.size).all()
            writers[k] = start(sizes[k])
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    checkpoint.write(path, {"a": np.zeros(1)}, {})
    assert names(tmp_path) == ["w"]


def test_f40_other_files_are_not_swept(tmp_path):
    """Names that only look alike, fresh files of another machine, and what belongs to others."""
    kept = [
        ".w.tmp", ".w.backup.tmp", ".w.00000000-0123456789abcdef.tmp", ".w.4711.tmp",
        ".w.x.4712.tmp", "w.1.tmp", ".v.4713.tmp",
    ]  # fmt: skip
    for name in kept:
        (tmp_path / name).write_bytes(b"theirs")
    old = time.time() - 7200
    for name in (".w.11111111-0123456789abcdef.tmp", ".w.4714.tmp"):
        (tmp_path / name).write_bytes(b"left behind long ago")
        os.utime(tmp_path / name, (old, old))
    os.mkfifo(tmp_path / ".w.4715.tmp")
    os.utime(tmp_path / ".w.4715.tmp", (old, old))
    network().save_weights(tmp_path / "w")
    assert names(tmp_path) == sorted([*kept, "w", ".w.4715.tmp"])


def test_f40_a_name_of_any_length(tmp_path):
    for name in ("x" * 255, "ü" * 127):
        network().save_weights(tmp_path / name)
        assert names(tmp_path) == [name]
        (tmp_path / name).unlink()


def test_f40_pipes_and_devices_are_no_files(tmp_path):
    """A pipe of the test's own: on a real device a failure would take it from the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match=rf"cannot write here: is no regular file.*/{name}"):
            network().save_weights(tmp_path / name)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert names(tmp_path) == ["link", "pipe"]


FULL = """
import resource, signal, sys, numpy as np, steep
from steep.files import checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))  # a disk with room for 5000 bytes
try:
    checkpoint.write(sys.argv[1], {"a": np.ones(100000)}, {})
except OSError as error:
    print(error)
"""


def test_f40_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "w"
    network().save_weights(path)
    before = path.read_bytes()
    run = child(FULL, path)
    assert "cannot write here" in run.stdout, run.stderr
    assert str(path) in run.stdout
    assert names(tmp_path) == ["w"]
    assert path.read_bytes() == before


def test_f40_settings_of_a_run_are_written_the_same_way(tmp_path):
    from steep.commands import run_folder

    (tmp_path / "there").mkdir()
    for write, name in ((run_folder.write_json, "c"), (run_folder.write_history, "h")):
        path = tmp_path / name
        path.symlink_to(tmp_path / "there" / name)
        (tmp_path / "there" / name).write_bytes(b"")
        (tmp_path / "there" / name).chmod(0o600)
        write(path, {"loss": [1.0]})
        assert path.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "loss" in path.read_text()


# -- F53: a log on a full disk ---------------------------------------------------------------------

LOGGED = """
import resource, signal, sys, numpy as np, steep
from steep import callbacks, layers
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
X, y = np.random.default_rng(0).normal(size=(40, 6)), np.arange(40) % 3
trainer = steep.Trainer(steep.Sequential(layers.Dense(3)), "cross_entropy", "adam")
try:
    trainer.fit(X, y, epochs=20, callbacks=[callbacks.CSVLog(sys.argv[1])], progress=False)
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [10, 100, 333, 400, 501])
def test_f53_a_log_has_whole_lines_where_the_disk_is_full(room, tmp_path):
    path = tmp_path / "log.csv"
    run = child(LOGGED, path, room)
    assert str(path) in run.stdout, run.stdout + run.stderr
    assert "cannot write here" in run.stdout
    text = path.read_text() if path.exists() else ""
    assert text == "" or text.endswith("\n")
    assert len({line.count(",") for line in text.splitlines()}) <= 1
    assert len(text) > room - 120, "as many lines as there is room for"
    assert names(tmp_path) in ([], ["log.csv"])


# -- F33, F34: what a refused fit leaves -----------------------------------------------------------


def refuse():
    raise ValueError("refused")


def refusing():
    return types.SimpleNamespace(on_train_begin=refuse)


def test_f33_a_refused_fit_leaves_the_log(tmp_path):
    trainer, X, y = fitted(epochs=2, callbacks=[callbacks.CSVLog(tmp_path / "log")])
    before = (tmp_path / "log").read_bytes()
    assert before.count(b"\n") == 3
    other = steep.Trainer(steep.Sequential(layers.Dense(3)), "cross_entropy", "adam")
    with pytest.raises(ValueError, match="refused"):
        other.fit(X, y, callbacks=[callbacks.CSVLog(tmp_path / "log"), refusing()], progress=False)
    assert (tmp_path / "log").read_bytes() == before
    assert names(tmp_path) == ["log"]
    trainer.fit(X, y, callbacks=[callbacks.CSVLog(tmp_path / "log")], progress=False)
    assert (tmp_path / "log").read_bytes().count(b"\n") == 4


def test_f33_a_log_that_cannot_be_written_is_refused_at_the_beginning(tmp_path):
    for given in (callbacks.CSVLog(tmp_path), callbacks.CSVLog(tmp_path / "no" / "log")):
        with pytest.raises(OSError, match="cannot write here"):
            fitted(callbacks=[given])


def test_f33_a_log_removed_while_training_is_whole_again(tmp_path):
    path = tmp_path / "log"

    def remove(epoch):
        if epoch == 1:
            path.unlink()

    given = [callbacks.CSVLog(path), types.SimpleNamespace(on_epoch_end=remove)]
    fitted(epochs=4, callbacks=given)
    lines = path.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1", "2", "3"]


def test_f33_a_refused_fit_makes_no_event_file(tmp_path):
    pytest.importorskip("tensorboardX")
    with pytest.raises(ValueError, match="refused"):
        fitted(callbacks=[callbacks.TensorBoard(tmp_path / "events"), refusing()])
    assert names(tmp_path) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="no folder"):
        fitted(callbacks=[callbacks.TensorBoard(tmp_path / "file")])


def test_f34_an_end_without_a_beginning_changes_nothing(tmp_path):
    trainer, X, y = fitted()
    stopping = callbacks.EarlyStopping("loss")
    saving = callbacks.Checkpoint(tmp_path / "c")
    log, events = callbacks.CSVLog(tmp_path / "log"), callbacks.TensorBoard(tmp_path / "events")
    trainer.fit(X, y, epochs=2, callbacks=[stopping], progress=False)
    trainer.step(X, y)
    before = trainer.net.state_dict()
    stopping.on_train_end(trainer)  # a second time; its best weights are those of the fit before
    saving.on_train_end(trainer)
    for _ in range(2):
        log.on_train_end()
        events.on_train_end()
    assert all(np.array_equal(v, before[k]) for k, v in trainer.net.state_dict().items())
    assert names(tmp_path) == []


# -- F57: fields of a path -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "x{epoch.__class__}", "x{epoch[0]}", "x{step:>1000000000}", "x{step:1000000000}",
        "x{step:021d}", "x{step:{epoch}}", "x{epoch!r}", "x{0}", "x{}", "x{", "x}", "x{loss}",
        "x{epoch:x}", "x{epoch:.3f}", "x{step:,}",
    ],
)  # fmt: skip
def test_f57_only_the_documented_fields(path):
    with pytest.raises(ValueError, match="Checkpoint: path may contain"):
        callbacks.Checkpoint(path)


def test_f57_documented_fields_work(tmp_path):
    for path in ("a{epoch:03d}", "b{step}", "c{{epoch}}", "d{step:020d}", "e{epoch:d}"):
        fitted(callbacks=[callbacks.Checkpoint(tmp_path / path)])
    assert names(tmp_path) == ["a001", "b2", "c{epoch}", "d" + "2".zfill(20), "e1"]


# -- F41: kinds of numbers -------------------------------------------------------------------------


def safetensors_file(path, kind, shape, data, name="dense.weight"):
    header = {name: {"dtype": kind, "shape": shape, "data_offsets": [0, len(data)]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_f41_bfloat16_is_widened(tmp_path):
    """All 65536 bit patterns, against NumPy's float32 with the same upper half."""
    bits = np.arange(65536, dtype="<u2")
    safetensors_file(tmp_path / "w", "BF16", [256, 256], bits.tobytes())
    found = checkpoint.read_weights(tmp_path / "w")[0]["dense.weight"]
    assert (found.dtype, found.shape) == (np.float32, (256, 256))
    assert np.array_equal(found.view(np.uint32).ravel(), bits.astype(np.uint32) << 16)


def test_f41_bfloat16_from_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    state = {"dense.weight": torch.randn(3, 4), "dense.bias": torch.tensor([1e38, -0.0, 3e-39, 1])}
    state = {name: value.to(torch.bfloat16) for name, value in state.items()}
    save_file(state, tmp_path / "w")
    net = network()
    net.load_weights(tmp_path / "w")
    for name, value in net.state_dict().items():
        assert value.tobytes() == state[name].float().numpy().tobytes()


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "F8_E8M0"])
def test_f41_kinds_that_are_not_read_are_named(kind, tmp_path):
    safetensors_file(tmp_path / "w", kind, [2], b"\0\0")
    with pytest.raises(ValueError, match=f"/w: dense.weight is of type {kind}.*Convert") as caught:
        network().load_weights(tmp_path / "w")
    assert "damaged" not in str(caught.value)


# -- F54, F55: sizes that a file only claims -------------------------------------------------------


def claimed(path, change, tensors=None):
    """Write a sound checkpoint whose description (and tensors) somebody changed."""
    trainer, _, _ = fitted()
    trainer.save(path)
    held, about = checkpoint.read(path)
    change(about)
    checkpoint.write(path, held | (tensors or {}), about)


def units(n):
    def change(about):
        about["net"]["config"]["layers"][0]["config"]["units"] = n

    return change


LOADED = """
import resource, sys, time, steep
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (3 << 30),) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
try:
    steep.Trainer.load(sys.argv[1])
except ValueError as error:
    print(str(error)[:300])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - start)
"""


@pytest.mark.parametrize("n", [10**7, 10**8, 10**9, 2**40, 2**62])
def test_f54_f55_units_that_are_not_there(n, tmp_path):
    claimed(tmp_path / "c", units(n))
    run = child(LOADED, tmp_path / "c")
    assert run.returncode == 0, run.stderr
    said, used = run.stdout.strip().splitlines()
    assert str(tmp_path / "c") in said
    kilobytes, seconds = used.split()
    assert int(kilobytes) < 50_000
    assert float(seconds) < 2.0


def test_f54_an_empty_tensor_has_no_rows_to_list(tmp_path):
    empty = {"history/steps/loss": np.empty((10**9, 0))}
    claimed(tmp_path / "c", lambda about: None, empty)
    with pytest.raises(ValueError, match=r"/c: .*1000000000"):
        steep.Trainer.load(tmp_path / "c")


def test_f54_layers_within_layers_that_stand_in_two_places(tmp_path):
    """Each line doubles the network of the line before: 2^40 layers in 40 lines."""

    def change(about):
        inner = {"layer": "ReLU", "number": 99, "config": {}}
        for k in range(100, 140):
            both = [inner, {"same": inner["number"]}]
            inner = {"layer": "Sequential", "number": k, "config": {"layers": both}}
        about["net"]["config"]["layers"].append(inner)

    claimed(tmp_path / "c", change)
    start = time.process_time()
    with pytest.raises(ValueError, match="/c: its 43 layers would run"):
        steep.Trainer.load(tmp_path / "c")
    assert time.process_time() - start < 2.0


def nested(depth):
    def change(about):
        value = {"schedule": "Constant", "value": 0.1}
        for _ in range(depth):
            value = {"schedule": "Warmup", "then": value, "over": 2}
        about["optimizer"]["lr"] = value

    return change


@pytest.mark.parametrize("depth", [150, 300, 450])
def test_f54_deep_descriptions_are_refused_by_name(depth, tmp_path):
    claimed(tmp_path / "c", nested(depth))
    try:
        steep.Trainer.load(tmp_path / "c")
    except ValueError as error:
        assert str(tmp_path / "c") in str(error)


def put(*keys):
    *way, last, value = keys

    def change(about):
        for key in way:
            about = about[key]
        about[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("place", "epoch", -1), put("place", "steps", 1.5), put("place", "steps", 10**30),
        put("place", "steps", 2**50), put("place", "epoch", 0),
        put("place", "batch", 7), put("place", "right", math.nan), put("place", "epoch", True),
        put("place", "layout", [0, 0, True]), put("place", "layout", [10, 11, True]),
        put("history", ["loss", "loss"]), put("history", ["loss", "accuracy", "made up"]),
        put("callbacks", [1]), put("callbacks", [{"dict": {"callback": "EarlyStopping"}}]),
        put("callbacks", [{"dict": {"callback": 3, "state": None}}]),
        put("shapes", [[2**40]]), put("shapes", [[-1]]), put("shapes", [[6], [6]]),
    ],
)  # fmt: skip
def test_f54_parts_that_do_not_fit_together(change, tmp_path):
    claimed(tmp_path / "c", change)
    with pytest.raises(ValueError, match="/c: "):
        steep.Trainer.load(tmp_path / "c")


def test_f54_histories_of_different_lengths(tmp_path):
    claimed(tmp_path / "c", lambda about: None, {"history/epochs/loss": np.ones(5)})
    with pytest.raises(ValueError, match=r"/c: history: columns of \[1, 5\] epochs"):
        steep.Trainer.load(tmp_path / "c")


def test_f55_a_refused_load_leaves_the_given_network(tmp_path):
    """Weights that fit, slots that do not: nothing is converted, nothing is set."""
    trainer, _, _ = fitted()
    claimed(tmp_path / "c", lambda about: None, {"slots/m/dense.bias": np.ones(4, np.float32)})
    for net in (steep.Sequential(layers.Dense(3)).build(6, seed=5), trainer.net):
        before = {name: value.tobytes() for name, value in net.state_dict().items()}
        with pytest.raises(ValueError, match=r"slots/m: dense.bias: expects shape \(3,\)"):
            steep.Trainer.load(tmp_path / "c", net=net)
        assert {name: value.tobytes() for name, value in net.state_dict().items()} == before
    unbuilt = steep.Sequential(layers.Dense(3))
    with pytest.raises(ValueError, match="slots/m"):
        steep.Trainer.load(tmp_path / "c", net=unbuilt)
    assert not unbuilt.built


def test_f55_a_load_refused_late_leaves_the_given_network_unbuilt(tmp_path):
    """A state of a callback that names an array which is not there is found last of all."""
    state = {"dict": {"callback": "EarlyStopping", "state": {"array": "config/none"}}}
    claimed(tmp_path / "c", put("callbacks", [state]))
    unbuilt = steep.Sequential(layers.Dense(3))
    with pytest.raises(ValueError, match="/c: lacks 'config/none'"):
        steep.Trainer.load(tmp_path / "c", net=unbuilt)
    assert not unbuilt.built
    unbuilt.build(6, seed=9)
    want = steep.Sequential(layers.Dense(3)).build(6, seed=9).state_dict()
    assert all(np.array_equal(v, want[k]) for k, v in unbuilt.state_dict().items())


def test_f55_initial_weights_are_not_drawn_where_they_come_from_the_file(tmp_path, monkeypatch):
    trainer, X, _ = fitted()
    trainer.save(tmp_path / "c")

    def draw(*given, **options):
        raise AssertionError("drawn")

    monkeypatch.setattr("steep.network.initializers.draw", draw)
    again = steep.Trainer.load(tmp_path / "c")
    assert np.array_equal(again.net.predict(X), trainer.net.predict(X))


@pytest.mark.parametrize("kind", ["EarlyStopping", "ReduceOnPlateau"])
@pytest.mark.parametrize(
    "state", [{}, None, {"best": "x"}, {"best": [1]}, {"best": 1, "wait": math.inf, "cooling": 0}]
)
def test_f54_states_of_callbacks_that_are_none(kind, state):
    callback = getattr(callbacks, kind)("loss")
    before = callback.state_dict()
    with pytest.raises(ValueError, match=f"{kind}: the checkpoint's state of it"):
        callback.load_state_dict(state)
    assert callback.state_dict() == before
