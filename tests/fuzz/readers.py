"""The readers of files: what they are given, what they may take, what a right outcome is."""

import contextlib
import functools
import importlib.util
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import steep
from steep import callbacks, data, layers, optimizers, schedules

from . import mutate, onnx_files, pictures, safetensors_files, tables

MIB = 1 << 20
DEFLATE = 1032  # how many bytes one byte of a gzip or zip file can become
FILE = "file"


class Fault(AssertionError):
    """A reader broke the law."""


@dataclass(frozen=True)
class Reader:
    """One reader of files."""

    files: Callable[[Any], dict[str, bytes]]  # of a generator of random numbers, by path
    read: Callable[[Path, Any], Any]  # of a folder of these files; raises what the reader raises
    check: Callable[[Any, Path, Any], None]  # of what was read; raises Fault
    memory: Callable[[int, bool], int]  # bytes that may be taken, of the files' size, if packed


def require(right, what):
    if not right:
        raise Fault(what)


# -- networks --------------------------------------------------------------------------------------


def dense():
    return steep.Sequential(layers.Dense(4, "relu"), layers.Dropout(0.1), layers.Dense(2))


def images():
    return steep.Sequential(
        layers.Conv2D(3, 3), layers.BatchNorm(), layers.Residual(layers.ReLU()),
        layers.MaxPool2D(2), layers.Flatten(), layers.Dense(2, init=np.ones((12, 2)) * [0.1, 0.2]),
    )  # fmt: skip


def graph():
    x, shared = steep.Input((3,)), layers.Dense(3, "tanh")
    return steep.Model(x, layers.Dense(2)(shared(shared(x)) * 2 + 1))


class _StopAt:
    def on_step_end(self, step):
        if step == 6:
            raise InterruptedError


@functools.cache
def checkpoints():
    """Return files of three trainers; the first two stand within an epoch."""
    rng, found = np.random.default_rng(0), []
    rate = schedules.Warmup(schedules.Cosine(1e-2, 40), 5)
    rules = ("adam", optimizers.SGD(rate, 0.9, nesterov=True), "sgd")
    shapes = ((3,), (4, 4, 1), (3,))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        for net, rule, shape in zip((dense(), images(), graph()), rules, shapes, strict=True):
            X, y = rng.normal(size=(20, *shape)).astype(np.float32), np.arange(20) % 2
            given = [
                callbacks.EarlyStopping("loss"),
                callbacks.Checkpoint(path, every=5),
                _StopAt(),
            ]
            trainer = steep.Trainer(net, loss="cross_entropy", optimizer=rule, seed=0)
            with contextlib.suppress(InterruptedError):
                trainer.fit(X, y, epochs=2, batch_size=8, callbacks=given, progress=False)
            if net.input_shapes == ((4, 4, 1),):
                trainer.save(path)
            found.append(path.read_bytes())
    return found


@functools.cache
def weights():
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for net, shape in ((dense(), 3), (images(), (4, 4, 1))):
            net.build(shape, seed=1).save_weights(Path(folder) / FILE)
            found.append((Path(folder) / FILE).read_bytes())
    return found


@functools.cache
def words():
    """Return files of two models of words."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for units, precision in ((3, "float32"), (20, "float64")):
            model = steep.SkipGram(units, min_count=1, precision=precision)
            model.fit(list("abcdacb"), 1, progress=False)
            model.save(Path(folder) / FILE)
            found.append((Path(folder) / FILE).read_bytes())
    return found


def check_words(model, folder, rng):
    """What was loaded answers, learns, and can be written."""
    require(len(model.most_similar(model.vocabulary[0], 1)) == min(1, len(model) - 1), "answers")
    if model.window * model.negatives * model.units < 1 << 16:
        with contextlib.suppress(FloatingPointError):  # of any rate
            model.fit(list(model.vocabulary), 1, progress=False)
    model.save(folder / "again")
    steep.SkipGram.load(folder / "again")


def state(net):
    return {name: value.tobytes() for name, value in net.state_dict().items()}


def unchanged(net, read):
    """Read into a network; where that is refused the network must be what it was."""
    before = state(net)
    try:
        return read()
    except BaseException:
        require(state(net) == before, "a refused file changed the network")
        raise


def load_weights(folder, rng):
    net = dense().build(3, seed=3) if rng.random() < 0.5 else images().build((4, 4, 1), seed=3)
    unchanged(net, lambda: net.load_weights(folder / FILE))
    return net


def check_weights(net, folder, rng):
    require(all(np.isfinite(v).all() for v in net.state_dict().values()), "weights not finite")


def load_checkpoint(folder, rng):
    path = folder / FILE
    if rng.random() < 0.8:
        return steep.Trainer.load(path)
    net = dense().build(3, seed=3)
    return unchanged(net, lambda: steep.Trainer.load(path, net=net))


def check_checkpoint(trainer, folder, rng):
    """What was loaded can be written, loaded again, and trained."""
    net = trainer.net
    check_weights(net, folder, rng)
    trainer.save(folder / "again")
    steep.Trainer.load(folder / "again", net=net).save(folder / "twice")
    same = (folder / "again").read_bytes() == (folder / "twice").read_bytes()
    require(same, "written, loaded and written again is another file")
    sizes = [math.prod(shape) for shape in (*net.input_shapes, *net.output_shapes)]
    if max(sizes) > 4096 or net.multiply_adds > 1e6 or rng.random() < 0.5:
        return
    X = [np.ones((6, *shape), np.float32) for shape in net.input_shapes]
    y = np.arange(6) % 2 if trainer.loss.classification else np.zeros((6, *net.output_shapes[0]))
    stopping = callbacks.EarlyStopping("loss")
    with contextlib.suppress(ValueError, TypeError, FloatingPointError, MemoryError):  # in words
        trainer.fit(X, y, epochs=1, callbacks=[stopping], progress=False)


# -- data ------------------------------------------------------------------------------------------

IDX = [
    bytes([0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 4, *range(12)]),
    bytes([0, 0, 13, 1, 0, 0, 0, 3]) + np.arange(3, dtype=">f4").tobytes(),
    bytes([0, 0, 11, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2]) + np.arange(4, dtype=">i2").tobytes(),
]
CSV = [
    b"a,b,y\n1,2,3\n4,5,6\n7,8,9.5\n",
    b'a;"b;c";y\r\n1;x;p\r\n2;"y ""q""";q\r\n3;x;p\r\n4;x;q\r\n',
    "\ufeffa\tb\ty\n1e3\t-2\tä\n0.5\t3\tö\n1\t1\tä\n2\t2\tö\n".encode(),
    b"1,2,3\n4,5,6\n",
]


TS = [
    b"#c\n@timeStamps false\n@classLabel true x y\n@data\n1,2,3:4,5,6:x\n1,?:2,3:y\n",
    b"@univariate true\n@targetlabel true\n@data\n1,2,3:0.5\n4,5,6:1e-3\n",
    b"@timeStamps false\n@classLabel false\n@data\n1,2,3\n4:5:6\n",
]


def check_ts(found, folder, rng):
    require(found.X.ndim == 3 and len(found.X) == len(found.lengths), "shapes differ")
    require(found.lengths.min() >= 1 and found.lengths.max() <= found.X.shape[1], "lengths")
    require(not np.isinf(found.X).any(), "not finite")
    if found.classes:
        require(found.y.min() >= 0 and found.y.max() < len(found.classes), "labels")


def check_idx(array, folder, rng):
    raw = (folder / FILE).read_bytes()
    if raw[:2] != b"\x1f\x8b":
        require(array.nbytes == len(raw) - 4 - 4 * array.ndim, "other bytes than the file holds")


def read_csv(folder, rng):
    return data.read_csv(folder / FILE, mutate.of(rng, ("y", "2", "-1", 0, -1)))


def check_csv(table, folder, rng):
    require(table.X.shape == (len(table.target.y), len(table.features)), "shapes differ")
    require(np.isfinite(table.X).all() and np.isfinite(table.target.y).all(), "not finite")


@functools.cache
def npz_files():
    return [
        tables.npz_file(np.arange(12.0).reshape(6, 2), np.arange(6) % 2, packed)
        for packed in (False, True)
    ]


def check_npz(arrays, folder, rng):
    for key, array in arrays.items():
        if key[0] == "X":
            require(len(array) == len(arrays[f"y{key[1:]}"]), "X and y differ in length")


def read_images(folder, rng):
    return data.images(folder, mutate.of(rng, (None, None, (8, 8), (5, 9))))


def check_images(found, folder, rng):
    X, y, names = found
    require(X.ndim == 4 and X.dtype == np.uint8 and len(X) == len(y), "shapes differ")
    require(sorted(set(y.tolist())) == list(range(len(names))), "classes without images")


def one(make, goods):
    """Return files of one name, made from one of some good ones."""

    def files(rng):
        known = goods()
        return {FILE: make(rng, mutate.of(rng, known), known)}

    return files


READERS = {
    "checkpoint": Reader(
        one(safetensors_files.mutated, checkpoints),
        load_checkpoint,
        check_checkpoint,
        lambda size, packed: 64 * MIB + 64 * size,
    ),
    "weights": Reader(
        one(safetensors_files.mutated, weights),
        load_weights,
        check_weights,
        lambda size, packed: 64 * MIB + 64 * size,
    ),
    "words": Reader(
        one(safetensors_files.mutated, words),
        lambda folder, rng: steep.SkipGram.load(folder / FILE),
        check_words,
        lambda size, packed: 64 * MIB + 64 * size,
    ),
    "idx": Reader(
        one(tables.idx, lambda: IDX),
        lambda folder, rng: data.read_idx(folder / FILE),
        check_idx,
        lambda size, packed: 16 * MIB + 4 * size * (DEFLATE if packed else 1),
    ),
    # A text of one letter may become 64 columns of float64, which are joined once.
    "csv": Reader(
        one(tables.csv, lambda: CSV),
        read_csv,
        check_csv,
        lambda size, packed: 64 * MIB + 1024 * size * (DEFLATE if packed else 1),
    ),
    # Padding may take the square of a file's size.
    "ts": Reader(
        one(tables.raw, lambda: TS),
        lambda folder, rng: data.read_ts(folder / FILE),
        check_ts,
        lambda size, packed: 16 * MIB + 256 * size + 4 * size**2,
    ),
    "npz": Reader(
        one(tables.npz, npz_files),
        lambda folder, rng: data.read_npz(folder / FILE),
        check_npz,
        lambda size, packed: 16 * MIB + 4 * size * DEFLATE,
    ),
    # A picture may have 16 million pixels, whatever the size of its file: see data.images.
    "images": Reader(
        lambda rng: pictures.folder(rng, _pictures()),
        read_images,
        check_images,
        lambda size, packed: 320 * MIB + 4 * size * DEFLATE,
    ),
}

if importlib.util.find_spec("onnx"):
    # Describing an op takes what Python's objects take, whatever its weights.
    READERS["onnx"] = Reader(
        one(onnx_files.mutated, onnx_files.goods),
        onnx_files.read,
        onnx_files.check,
        lambda size, packed: 128 * MIB + 64 * size,
    )

_pictures = functools.cache(pictures.goods)

# What the first file of a kind loads, such as pandas, is no file's own memory.
with tempfile.TemporaryDirectory() as _folder:
    (Path(_folder) / FILE).write_bytes(b"a,y\n1,2\n3,4\n5,7\n")
    data.read_csv(Path(_folder) / FILE, "y")
