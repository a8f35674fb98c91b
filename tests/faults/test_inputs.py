"""Data as users have it: every kind of number is read, what is none is named."""

import datetime
import decimal
import fractions
import io
import pickle

import numpy as np
import pytest
import steep
from steep import layers

RNG = np.random.default_rng(0)
X = RNG.integers(-8, 9, (24, 3)).astype(np.float64) / 4  # exact in float16, too
LABELS = np.arange(24) % 3
VALUES = X[:, :1] * 2 - 1


def trained(X, y, weights=None, loss="cross_entropy", **options):
    """Return what comes out of the four ways in: fit, evaluate, predict, gradients."""
    net = steep.Sequential(layers.Dense(3 if loss == "cross_entropy" else 1))
    trainer = steep.Trainer(net, loss, "sgd", seed=3, **options)
    trainer.fit(X, y, sample_weight=weights, batch_size=8, progress=False)
    found = [*trainer.evaluate(X, y, sample_weight=weights).values(), *net.predict(X).ravel()]
    found += [v for g in trainer.gradients(X, y, weights)[1].values() for v in g.ravel()]
    return np.array(found)


def pickled(a):
    return pickle.loads(pickle.dumps(a))


def loaded(a):
    """As `numpy.load` of an object array and `pandas.read_pickle` give it: a dtype of its own."""
    file = io.BytesIO()
    np.save(file, a)
    return np.load(io.BytesIO(file.getvalue()))


WAYS = {
    "pickle": pickled,
    "pickle of objects": lambda a: pickled(a.astype(object)),
    "save": loaded,
    "same kind, other object": lambda a: a.astype(pickled(a.dtype)),
    "copied back": lambda a: np.frombuffer(pickled(a).tobytes(), pickled(a.dtype)).reshape(a.shape),
    "list": lambda a: a.tolist(),
    "objects": lambda a: a.astype(object),
    "decimal": np.vectorize(lambda v: decimal.Decimal(float(v)), otypes="O"),
    "fraction": np.vectorize(lambda v: fractions.Fraction(float(v)), otypes="O"),
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    **{code: (lambda a, code=code: a.astype(code)) for code in ("f2", ">f2", ">f4", ">f8", "g")},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_f30_every_form_of_the_same_numbers_trains_the_same(way, loss):
    y = LABELS.astype(float) if loss == "cross_entropy" else VALUES
    weights = 1 + LABELS / 4
    want = trained(X, y, weights, loss)
    form = WAYS[way]
    np.testing.assert_array_equal(trained(form(X), y, weights, loss), want)
    np.testing.assert_array_equal(trained(X, form(y), weights, loss), want)
    np.testing.assert_array_equal(trained(X, y, form(weights), loss), want)


@pytest.mark.parametrize("kind", ["i1", "u1", ">i2", "u4", ">i8", "u8", "O"])
def test_f30_labels_of_every_kind_of_integer(kind):
    np.testing.assert_array_equal(trained(X, LABELS.astype(kind)), trained(X, LABELS))


def test_f30_pickled_float32_is_read_in_place_and_checked():
    single = pickled(X.astype(np.float32))
    np.testing.assert_array_equal(trained(single, LABELS), trained(X.astype(np.float32), LABELS))
    single[5, 2] = np.nan
    with pytest.raises(ValueError, match="X: holds nan at row 5, column 2"):
        trained(single, LABELS)


class Frame:
    """What this library sees of a table: columns, their kinds, and one array of them all."""

    def __init__(self, array, columns, dtypes=None):
        self.array, self.columns = array, columns
        self.dtypes = ["Float64"] * len(columns) if dtypes is None else dtypes

    def __array__(self, dtype=None, copy=None):
        return self.array


class Series(Frame):
    """One named column."""

    def __init__(self, array, name):
        self.array, self.name = array, name


class NAType:
    """Called as the missing value of pandas is."""


def objects(row=None, column=None, value=None):
    out = X.astype(object)
    if row is not None:
        out[row, column] = value
    return out


def test_f36_tables_of_numbers_flags_and_decimals():
    want = trained(X, LABELS)
    np.testing.assert_array_equal(trained(Frame(objects(), list("abc")), LABELS), want)
    np.testing.assert_array_equal(trained(X, Series(LABELS.astype(object), "kind")), want)
    flags = X.copy()
    flags[:, 1] = flags[:, 1] > 0
    mixed = flags.astype(object)
    mixed[:, 1] = flags[:, 1] > 0  # what NumPy makes of a column of booleans beside floats
    assert type(mixed[0, 1]) is not float
    np.testing.assert_array_equal(
        trained(Frame(mixed, list("abc")), LABELS), trained(flags, LABELS)
    )


DAY = datetime.date(2020, 1, 1)
# entry, error, what the message says of it
BAD = [
    ("oslo", TypeError, r"expects real numbers, got text \('oslo'\) at {}; encode it"),
    (b"oslo", TypeError, r"expects real numbers, got text \(b'oslo'\) at {}; encode it"),
    ("1.5", TypeError, r"expects real numbers, got text \('1.5'\) at {}; encode it"),
    (None, ValueError, "the value at {} is missing; fill or drop"),
    (NAType(), ValueError, "the value at {} is missing; fill or drop"),
    (float("nan"), ValueError, "holds nan at {}; clean"),
    (decimal.Decimal("Infinity"), ValueError, "holds inf at {}; clean"),
    (DAY, TypeError, r"expects real numbers, got an object \(date\) at {}; subtract"),
    (
        np.datetime64("2020-01-01"),
        TypeError,
        r"expects real numbers, got an object \(datetime64\) at {}; subtract",
    ),
    (DAY - DAY, TypeError, r"expects real numbers, got an object \(timedelta\) at {}; subtract"),
    ((1.0, 2.0), TypeError, r"expects real numbers, got an object \(tuple\) at {}; np.stack"),
    (1j, TypeError, r"expects real numbers, got an object \(complex\) at {}; convert it"),
    (object(), TypeError, r"expects real numbers, got an object \(object\) at {}; convert it"),
]


IDS = [str(row[0]).split(" at 0x")[0] for row in BAD]  # the same in every process


@pytest.mark.parametrize(("entry", "error", "message"), BAD, ids=IDS)
def test_f36_what_is_no_number_is_named_with_its_column(entry, error, message):
    given = np.empty((24, 3), object)
    given[:] = objects()
    given[7, 1] = entry
    where = r"row 7, column 1 \('age'\)"
    with pytest.raises(error, match="X: " + message.format(where)):
        trained(Frame(given, ["id", "age", "city"]), LABELS)
    with pytest.raises(error, match="X: " + message.format("row 7, column 1")):
        steep.Sequential(layers.Dense(3)).predict(given)
    target = np.empty(24, object)
    target[:] = VALUES.ravel()
    target[7] = entry
    with pytest.raises(error, match="y: " + message.format("row 7 of 'price'")):
        trained(X, Series(target, "price"), loss="mse")


@pytest.mark.parametrize("kind", ["datetime64[ns]", "Date", "Datetime(time_unit='us')", "Duration"])
def test_f36_columns_of_dates_are_named_even_where_a_library_counts_their_days(kind):
    table = Frame(X, ["a", "when", "b"], ["float64", kind, "float64"])
    with pytest.raises(TypeError, match=r"X: .*got .* in column 1 \('when'\); subtract a first"):
        trained(table, LABELS)


NAMES = np.array(["cat", "dog", "eel"])[LABELS]


@pytest.mark.parametrize(
    "given",
    [
        NAMES,
        NAMES.tolist(),
        tuple(NAMES.tolist()),
        NAMES.astype(object),
        NAMES.astype("S"),
        Series(NAMES, "animal"),
        Series(NAMES.astype(object), "animal"),
        Frame(NAMES.astype(object)[:, None], ["animal"]),
    ],
    ids=lambda given: f"{type(given).__name__} {getattr(given, 'dtype', '')}",
)
def test_f36_text_labels_get_one_advice(given):
    for loss, out in (("cross_entropy", 3), ("binary_cross_entropy", 1)):
        trainer = steep.Trainer(steep.Sequential(layers.Dense(out)), loss, "sgd")
        with pytest.raises(
            TypeError, match=r"y: labels must be whole numbers from 0, got .*;"
        ) as e:
            trainer.fit(X, given, progress=False)
        assert "names, y = np.unique(y, return_inverse=True) numbers them" in str(e.value)
        if isinstance(given, Frame) and np.asarray(given).dtype == object:
            assert "'animal'" in str(e.value)


def test_f36_pandas():
    pd = pytest.importorskip("pandas")
    want = trained(X, LABELS)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for kind in ("float64", "Float64", object):
        np.testing.assert_array_equal(trained(frame.astype(kind), pd.Series(LABELS)), want)
    for kind in ("Int64", "UInt8", "category", object):
        np.testing.assert_array_equal(trained(X, pd.Series(LABELS).astype(kind)), want)
    coded = pd.get_dummies(frame.assign(c=NAMES))
    assert {"bool", "float64"} == set(map(str, coded.dtypes))
    np.testing.assert_array_equal(
        trained(coded, LABELS), trained(np.asarray(coded, np.float64), LABELS)
    )
    flags = (frame > 0).astype("boolean")
    np.testing.assert_array_equal(trained(flags, LABELS), trained((X > 0).astype(float), LABELS))
    missing = frame.astype("Float64")
    missing.iloc[3, 1] = pd.NA
    with pytest.raises(ValueError, match=r"X: .*row 3, column 1 \('b'\)"):
        trained(missing, LABELS)
    with pytest.raises(TypeError, match=r"X: .*text \('cat'\) at row 0, column 2 \('c'\)"):
        trained(frame.assign(c=pd.Categorical(NAMES)), LABELS)
    dates = frame.assign(b=pd.date_range("2020", periods=24))
    for table in (dates, dates[["b"]]):
        with pytest.raises(TypeError, match=r"X: .*got datetime64.* in column \d \('b'\)"):
            trained(table, LABELS)
    for labels in (pd.Series(NAMES), pd.Categorical(NAMES), pd.Index(NAMES)):
        with pytest.raises(TypeError, match=r"y: labels must be whole numbers.*np.unique"):
            trained(X, labels)


def test_f36_callbacks_none():
    trainer = steep.Trainer(steep.Sequential(layers.Dense(3)), "cross_entropy", "sgd")
    trainer.fit(X, LABELS, callbacks=None, progress=False)
    assert trainer.epoch == 1


def test_f37_predict_on_no_rows():
    a, b = steep.Input((3,)), steep.Input((2,))
    two = steep.Model([a, b], [layers.Dense(4)(a), layers.Dense(5)(b)]).build()
    one, image = steep.Sequential(layers.Dense(4)).build(3), steep.Sequential(layers.Conv2D(6, 3))
    for rows in (X[:0], np.empty((0, 3), np.uint8), Frame(objects()[:0], list("abc"))):
        got = one.predict(rows)
        assert (got.shape, got.dtype) == ((0, 4), np.float32)
    assert image.predict(np.empty((0, 5, 7, 2))).shape == (0, 5, 7, 6)
    assert [y.shape for y in two.predict([X[:0], X[:0, :2]])] == [(0, 4), (0, 5)]
    with pytest.raises(ValueError, match=r'Dense "dense": expects 3 inputs, got \(0, 2\)'):
        one.predict(X[:0, :2])
    with pytest.raises(ValueError, match="X: has no features"):
        steep.Sequential(layers.Dense(4)).predict(np.empty((0, 0)))
    with pytest.raises(ValueError, match="X: has no samples"):
        trained(X[:0], LABELS[:0])


def test_f17_f46_numbers_beyond_float32_are_refused_with_their_place():
    big = X.copy()
    big[9, 2] = -1e300
    where = r"X: holds -1e\+300 at row 9, column 2, which is infinite in float32.*float64"
    for net in (steep.Sequential(layers.Dense(3)), steep.Sequential(layers.Dense(3)).build(3)):
        with pytest.raises(ValueError, match=where):
            net.predict(big)
        with pytest.raises(ValueError, match=where):
            steep.network.inputs.features(big, net, precision="float32")
    largest = float(np.finfo(np.float32).max)
    assert np.isfinite(np.float32(largest * (1 + 2.0**-26)))
    big[9, 2] = largest * (1 + 2.0**-26)  # rounds to the largest
    steep.network.inputs.features(big, net, precision="float32")
    big[9, 2] = 2.0**128
    with pytest.raises(ValueError, match="row 9, column 2"):
        steep.network.inputs.features(big, net, precision="float32")
    big[9, 2] = 1e100
    assert np.isfinite(trained(big, VALUES, loss="mae", precision="float64")).all()
    target = VALUES.copy()
    target[4] = 1e39
    mse = steep.losses.get("mse")
    with pytest.raises(ValueError, match=r"y: holds 1e\+39 at row 4, column 0, which is"):
        steep.network.inputs.targets(target, 24, mse, (1,), precision="float32")
    assert steep.network.inputs.targets(target, 24, mse, (1,), precision="float64") is not None


@pytest.mark.parametrize("size", [1e-300, 1e-50, 1e-31, 1e31, 1e300])
def test_f17_sample_weights_that_vanish_in_float32_are_refused(size):
    with pytest.raises(ValueError, match=r"sample_weight: the largest is .*Divide all by the larg"):
        trained(X, LABELS, np.full(24, size))


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e20])
def test_f17_sample_weights_that_are_taken_count(size):
    """The gradient is linear in the weights, whatever their size."""
    net = steep.Sequential(layers.Dense(3)).build(3, seed=1)
    trainer = steep.Trainer(net, "cross_entropy", "sgd")
    weights = np.linspace(0.5, 1, 24)
    _, plain = trainer.gradients(X, LABELS, weights)
    _, scaled = trainer.gradients(X, LABELS, weights * size)
    for name, gradient in plain.items():
        np.testing.assert_allclose(scaled[name] / size, gradient, rtol=2e-5, atol=1e-7)


def test_f17_small_weights_beside_large_ones_are_welcome():
    weights = np.where(LABELS == 0, 1e-80, 1.0)
    gone = np.where(LABELS == 0, 0.0, 1.0)
    np.testing.assert_array_equal(trained(X, LABELS, weights), trained(X, LABELS, gone))
