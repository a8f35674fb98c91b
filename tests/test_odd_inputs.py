"""The same numbers, however a user has them, train to the same bytes; what is none is refused."""

import tempfile

import numpy as np
import pytest
import steep
from steep import data

ROWS, COLUMNS = 24, 4
random = np.random.default_rng(7)
# Whole numbers beside quarters, which float16 holds, too.
NUMBERS = (random.integers(-8, 9, (ROWS, COLUMNS)) / 4).astype(np.float32)
LABELS = random.integers(0, 3, ROWS)


def pandas():
    return pytest.importorskip("pandas")


def polars():
    return pytest.importorskip("polars")


def mapped(values):
    with tempfile.TemporaryFile() as file:
        file.write(values.tobytes())
        file.flush()
        return np.memmap(file, values.dtype, "r", shape=values.shape)


def locked(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def two_levels():
    titles = [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    return pandas().DataFrame(NUMBERS, columns=pandas().MultiIndex.from_tuples(titles))


SAMPLES = {
    "float16": lambda: NUMBERS.astype(np.float16),
    "float64": lambda: NUMBERS.astype(np.float64),
    "big-endian": lambda: NUMBERS.astype(">f4"),
    "big-endian, mapped": lambda: mapped(NUMBERS.astype(">f8")),
    "mapped": lambda: mapped(NUMBERS),
    "backwards": lambda: NUMBERS[::-1].copy()[::-1],
    "columns backwards": lambda: NUMBERS[:, ::-1].copy()[:, ::-1],
    "columns first": lambda: np.asfortranarray(NUMBERS),
    "every third row": lambda: np.repeat(NUMBERS, 3, axis=0)[::3],
    "read-only": lambda: locked(NUMBERS),
    "lists": NUMBERS.tolist,
    "objects": lambda: NUMBERS.astype(object),
    "DataFrame": lambda: pandas().DataFrame(NUMBERS),
    "DataFrame of float16": lambda: pandas().DataFrame(NUMBERS.astype(np.float16)),
    "nullable": lambda: pandas().DataFrame(NUMBERS).astype("Float32"),
    "sparse columns": lambda: pandas().DataFrame(NUMBERS).astype(pandas().SparseDtype("f4", 0)),
    "equal titles": lambda: pandas().DataFrame(NUMBERS, columns=list("aabb")),
    "titles of two levels": two_levels,
    "another index": lambda: pandas().DataFrame(NUMBERS, index=range(ROWS, 0, -1)),
    "polars": lambda: polars().DataFrame(NUMBERS),
}
TARGETS = {
    "int8": lambda: LABELS.astype(np.int8),
    "big-endian": lambda: LABELS.astype(">i8"),
    "floats": lambda: LABELS.astype(float),
    "a column": lambda: LABELS[:, None],
    "backwards": lambda: LABELS[::-1].copy()[::-1],
    "list": LABELS.tolist,
    "Series in another order": lambda: pandas().Series(LABELS, index=range(ROWS, 0, -1)),
    "nullable": lambda: pandas().array(LABELS, dtype="Int64"),
    "polars": lambda: polars().Series(LABELS),
}


def trained(X, y):
    net = steep.Sequential(steep.layers.Dense(5, "tanh"), steep.layers.Dense(3))
    trainer = steep.Trainer(net, "cross_entropy", "adam", seed=3)
    trainer.fit(X, y, epochs=2, batch_size=7, validation=(X, y), progress=False)
    losses = np.array([trainer.history.history[k] for k in ("loss", "val_loss")])
    return losses.tobytes(), net.predict(X).tobytes()


@pytest.mark.parametrize("how", SAMPLES)
def test_samples(how):
    assert trained(SAMPLES[how](), LABELS) == trained(NUMBERS, LABELS)


@pytest.mark.parametrize("how", TARGETS)
def test_targets(how):
    assert trained(NUMBERS, TARGETS[how]()) == trained(NUMBERS, LABELS)


def missing():
    frame = pandas().DataFrame(NUMBERS).astype("Float32")
    frame.iloc[3, 1] = pandas().NA
    return frame


def dated():
    days = pandas().date_range("2020", periods=ROWS, tz="Europe/Berlin")
    return pandas().DataFrame({"day": days, "x": NUMBERS[:, 0]})


REFUSED = {
    "complex column": (lambda: pandas().DataFrame({"z": NUMBERS[:, 0] * 1j}), r"column 0 \('z'\)"),
    "lazy": (lambda: polars().DataFrame(NUMBERS).lazy(), r"LazyFrame.* give what its collect\(\)"),
    "one feature": (lambda: pandas().Series(NUMBERS[:, 0]), r"One feature is X\.to_frame\(\)"),
    "generator": (lambda: (row for row in NUMBERS), r"batches go to trainer\.step"),
    "batches": (lambda: zip([NUMBERS], [LABELS], strict=True), r"batches go to trainer\.step"),
    "complex": (lambda: NUMBERS.astype(complex), "expects real numbers, got dtype complex128"),
    "missing": (missing, r"the value at row 3, column 1 \(1\) is missing"),
    "masked": (lambda: np.ma.masked_array(NUMBERS, NUMBERS > 1), "masked entries"),
    "no rows": (lambda: NUMBERS[:0], "has no samples"),
    "dates": (dated, r"got datetime64.* in column 0 \('day'\); subtract a first date"),
    "text": (lambda: pandas().DataFrame({"s": ["a\0", "🙂"] * 12}), r"got text .* \('s'\)"),
    "too few": (lambda: NUMBERS[:-1], "has 23 samples, but y has 24"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_no_samples(what):
    given, said = REFUSED[what]
    with pytest.raises((TypeError, ValueError), match=said):
        trained(given(), LABELS)


def test_one_row_trains():
    assert np.frombuffer(trained(NUMBERS[:1], LABELS[:1])[0]).shape == (4,)


@pytest.mark.parametrize("target", [("t", ""), ["t"], 1.5])
def test_a_target_that_is_no_title(target):
    frame = pandas().DataFrame({"a": [1.0, 2.0], "t": ["x", "y"]})
    with pytest.raises(TypeError, match=r"must be a column's name or its position.*'a', 't'"):
        data.Table.learn(frame, target)
