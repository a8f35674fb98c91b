"""Random and mutated files for every reader: they are read, or refused in words; never a crash.

STEEP_FUZZ_EXAMPLES sets the number of examples of each test; the default keeps the suite short.
"""

import gzip
import os
import struct
import tracemalloc

import hypothesis.strategies as st
import numpy as np
import pytest
import steep
from hypothesis import HealthCheck, example, given, settings
from steep import data, layers

FUZZ = settings(
    max_examples=int(os.environ.get("STEEP_FUZZ_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
REFUSALS = (ValueError, OSError)
MOST_MEMORY = 64 << 20  # bytes; the files are a few hundred


@st.composite
def mutated(draw, seeds):
    """A good file with some bytes changed, cut out or put in; or bytes of no kind at all."""
    raw = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(raw)))
        kind = draw(st.sampled_from(["set", "cut", "put", "end", "big"]))
        if kind == "set" and at < len(raw):
            raw[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del raw[at : at + draw(st.integers(1, 40))]
        elif kind == "put":
            raw[at:at] = draw(st.binary(min_size=1, max_size=12))
        elif kind == "end":
            del raw[at:]
        elif kind == "big":
            raw[at : at + 4] = b"\xff\xff\xff\xff"
    return bytes(raw)


def files(seeds):
    return st.one_of(mutated(seeds), mutated([gzip.compress(s) for s in seeds]), st.binary())


def read_or_refuse(path, raw, read):
    """Either a result or a refusal that says something, within a little memory."""
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        return read(path)
    except REFUSALS as error:
        assert str(error).strip()
        return None
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST_MEMORY, f"{peak} bytes for a file of {len(raw)}"


IDX = [
    struct.pack(">HBB2I", 0, 0x08, 2, 3, 4) + bytes(range(12)),
    struct.pack(">HBBI", 0, 0x0D, 1, 3) + np.arange(3, dtype=">f4").tobytes(),
    struct.pack(">HBB3I", 0, 0x0B, 3, 1, 2, 2) + np.arange(4, dtype=">i2").tobytes(),
]


@FUZZ
@given(raw=files(IDX))
@example(raw=struct.pack(">HBB3I", 0, 0x0E, 3, *[2**32 - 1] * 3))
def test_idx(tmp_path, raw):
    array = read_or_refuse(tmp_path / "x", raw, data.read_idx)
    if array is not None and raw[:2] != b"\x1f\x8b":
        assert array.nbytes == len(raw) - 4 - 4 * array.ndim


CSV = [
    b"a,b,y\n1,2,3\n4,5,6\n7,8,9.5\n",
    b'a;"b;c";y\r\n1;x;p\r\n2;"y ""q""";q\r\n3;x;p\r\n4;x;q\r\n',
    "\ufeffa\tb\ty\n1e3\t-2\tä\n0.5\t3\tö\n1\t1\tä\n2\t2\tö\n".encode(),
    b"1,2,3\n4,5,6\n",
]
CELLS = st.one_of(
    st.floats().map(repr),
    st.sampled_from(["", "nan", "1_0", "0x10", "1e999", "-", "True", '"', "a,b", " 7 ", "\0", "7"]),
    st.text(max_size=5),
)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=12).map(
    lambda rows: "\n".join(",".join(row) for row in rows).encode("utf-8", "replace")
)


@FUZZ
@given(raw=st.one_of(files(CSV), TABLES), target=st.sampled_from(["y", "2", "-1", 0]))
@example(raw=b"a,1e20\nb,0\na,0\nb,0", target="-1")  # whole, but no int64
def test_csv(tmp_path, raw, target):
    table = read_or_refuse(tmp_path / "t.csv", raw, lambda path: data.read_csv(path, target))
    if table is not None:
        assert table.X.shape == (len(table.target.y), len(table.features))
        assert np.isfinite(table.X).all()
        assert np.isfinite(table.target.y).all()


def npz_bytes(folder, packed):
    path = folder / "seed.npz"
    save = np.savez_compressed if packed else np.savez
    save(path, X=np.arange(12.0).reshape(6, 2), y=np.arange(6) % 2)
    return path.read_bytes()


@pytest.fixture(scope="module")
def npz_seeds(tmp_path_factory):
    return [npz_bytes(tmp_path_factory.mktemp("npz"), packed) for packed in (False, True)]


@FUZZ
@given(choice=st.data())
def test_npz(tmp_path, npz_seeds, choice):
    raw = choice.draw(st.one_of(mutated(npz_seeds), st.binary()))
    arrays = read_or_refuse(tmp_path / "x.npz", raw, data.read_npz)
    if arrays is not None:
        assert all(
            len(arrays[f"y{key[1:]}"]) == len(arrays[key]) for key in arrays if key[0] == "X"
        )


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    net = steep.Sequential(layers.Dense(4, "relu"), layers.Dense(2))
    net.build((3,), seed=1)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    net.save_weights(path)
    return net, path.read_bytes()


@FUZZ
@given(choice=st.data())
def test_weights_are_loaded_or_left_as_they_are(tmp_path, network, choice):
    net, good = network
    raw = choice.draw(st.one_of(mutated([good]), st.binary()))
    before = net.state_dict()
    loaded = read_or_refuse(
        tmp_path / "w.safetensors", raw, lambda path: net.load_weights(path) or True
    )
    after = net.state_dict()
    if loaded:
        assert all(np.isfinite(value).all() for value in after.values())
        net.load_state_dict(before)
    else:
        assert all(np.array_equal(before[name], after[name]) for name in before)


@FUZZ
@given(choice=st.data())
def test_checkpoints_are_loaded_or_refused(tmp_path, checkpoint, choice):
    raw = choice.draw(st.one_of(mutated([checkpoint]), st.binary()))
    read_or_refuse(tmp_path / "t.safetensors", raw, steep.Trainer.load)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    net = steep.Sequential(layers.Dense(4, "relu"), layers.Dense(2))
    trainer = steep.Trainer(net, loss="cross_entropy", optimizer="adam", seed=0)
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    trainer.fit(X, y, epochs=1, batch_size=8, progress=False)
    path = tmp_path_factory.mktemp("trainer") / "t.safetensors"
    trainer.save(path)
    return path.read_bytes()
