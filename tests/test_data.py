"""The readers and the bundled images: what they give, and what they refuse with which words."""

import gzip
import io
import struct

import numpy as np
import pytest
from steep import data
from steep.data.split import shuffled

IDX_TYPES = [("u1", 0x08), ("i1", 0x09), ("i2", 0x0B), ("i4", 0x0C), ("f4", 0x0D), ("f8", 0x0E)]


def idx_bytes(array, code):
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


# -- digits and fashion-mnist --------------------------------------------------------------------


def test_digits_are_the_documented_split():
    (X, y), (Xt, yt) = data.load("digits")
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((1433, 8, 8), np.uint8, (1433,), np.int64)
    assert (Xt.shape, Xt.dtype, yt.shape, yt.dtype) == ((364, 8, 8), np.uint8, (364,), np.int64)
    assert X.max() == Xt.max() == 16
    # The source's class sizes; the first sample of every class opens the test part.
    sizes = np.bincount(y, minlength=10) + np.bincount(yt, minlength=10)
    assert sizes.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(yt).tolist() == [-(-n // 5) for n in sizes]
    assert yt[:10].tolist() == list(range(10))
    # The source's first line.
    assert Xt[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert Xt[0, 7].tolist() == [0, 0, 6, 13, 10, 0, 0, 0]


def fashion_folder(folder, dot="-", zipped=True):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 30), ("t10k", 10)):
        images = rng.integers(0, 256, (n, 28, 28)).astype("u1")
        labels = np.arange(n).astype("u1") % 10
        for kind, rank, array in (("images", 3, images), ("labels", 1, labels)):
            raw = idx_bytes(array, 0x08)
            name = f"{part}-{kind}{dot}idx{rank}-ubyte" + (".gz" if zipped else "")
            (folder / name).write_bytes(gzip.compress(raw) if zipped else raw)
    return folder


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("zipped", [True, False])
def test_fashion_mnist_from_a_folder(tmp_path, monkeypatch, dot, zipped):
    root = fashion_folder(tmp_path / "fashion-mnist", dot, zipped)
    (X, y), (Xt, yt) = data.load("fashion-mnist", root=root)
    assert (X.shape, X.dtype, y.dtype) == ((30, 28, 28), np.uint8, np.int64)
    assert yt.tolist() == list(range(10))
    for place in (root, tmp_path):
        monkeypatch.setenv("STEEP_DATA", str(place))
        np.testing.assert_array_equal(data.load("fashion-mnist")[1][0], Xt)


def test_missing_fashion_mnist_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("STEEP_DATA", str(tmp_path))
    for root in (None, tmp_path):
        with pytest.raises(FileNotFoundError, match="apt-get install dataset-fashion-mnist"):
            data.load("fashion-mnist", root=root)
    folder = fashion_folder(tmp_path / "half")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match="t10k-labels-idx1-ubyte"):
        data.load("fashion-mnist", root=folder)


def test_images_and_labels_that_differ_are_refused(tmp_path):
    folder = fashion_folder(tmp_path / "f", zipped=False)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(29, "u1"), 0x08))
    with pytest.raises(ValueError, match="30 train images but 29 labels"):
        data.load("fashion-mnist", root=folder)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(30, "i4"), 0x0C))
    with pytest.raises(ValueError, match="holds int32 of shape"):
        data.load("fashion-mnist", root=folder)


def test_unknown_set_names_the_nearest():
    with pytest.raises(ValueError, match='did you mean "digits"'):
        data.load("digit")
    with pytest.raises(ValueError, match="takes no root"):
        data.load("digits", root="x")


# -- IDX -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "code"), IDX_TYPES)
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (0, 5)])
def test_read_idx_gives_what_was_written(tmp_path, kind, code, shape):
    array = (np.random.default_rng(1).normal(size=shape) * 50).astype(kind)
    for name, raw in (("a", idx_bytes(array, code)), ("b", gzip.compress(idx_bytes(array, code)))):
        (tmp_path / name).write_bytes(raw)
        back = data.read_idx(tmp_path / name)
        assert back.dtype == array.dtype
        assert back.dtype.isnative
        np.testing.assert_array_equal(back, array)


GOOD = idx_bytes(np.arange(12, dtype="u1").reshape(3, 4), 0x08)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"PK\3\4" + GOOD, "not an IDX file: it begins with 504b0304"),
        (b"\0\0\x0a\1" + GOOD[4:], "not an IDX file"),
        (b"\0\0\x08\0" + GOOD[4:], "declares 0 dimensions"),
        (b"\0\0\x08\xff" + GOOD[4:], "declares 255 dimensions"),
        (GOOD[:9], "ends within its header"),
        (GOOD[:-1], "holds only 11"),
        (GOOD + b"x", "holds more"),
        (struct.pack(">HBB3I", 0, 0x0E, 3, *[2**32 - 1] * 3) + GOOD, "holds fewer"),
        (gzip.compress(GOOD)[:-9], "damaged gzip file"),
        (gzip.compress(GOOD[:-1]), "holds only 11"),
        (gzip.compress(struct.pack(">HBBI", 0, 8, 1, 2**32 - 1)), "holds fewer"),
        (b"\x1f\x8b" + GOOD, "damaged gzip file"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, raw, message):
    path = tmp_path / "x"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        data.read_idx(path)


def test_missing_idx_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.read_idx(tmp_path / "none")


# -- CSV -----------------------------------------------------------------------------------------

HOUSES = 'size,"street, kind",price\n50.5,lane,1.5\n60,avenue,2.25\n1e2, lane ,-3\n'


def test_csv_numbers_text_and_names(tmp_path):
    table = data.read_csv(write(tmp_path / "h.csv", HOUSES), "price")
    assert table.features == ("size", "street, kind=avenue", "street, kind=lane")
    assert table.numeric.tolist() == [True, False, False]
    np.testing.assert_array_equal(table.X, [[50.5, 0, 1], [60, 1, 0], [100, 0, 1]])
    assert table.target.task == "regression"
    np.testing.assert_array_equal(table.target.y, [1.5, 2.25, -3])


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_dialects(tmp_path, mark, bom, end):
    text = bom + end.join(["a,b,kind", "1,2,x", "", "3,4,y", "5,6,x", "7,8,y"]).replace(",", mark)
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    for file in (path, packed):
        table = data.read_csv(file, "kind")
        np.testing.assert_array_equal(table.X, [[1, 2], [3, 4], [5, 6], [7, 8]])
        assert table.target.classes == ("x", "y")
        assert table.target.y.tolist() == [0, 1, 0, 1]


def test_csv_without_header_counts_columns(tmp_path):
    path = write(tmp_path / "n.csv", "1,2,7.5\n3,4,8.5\n")
    for target in ("2", 2, -1):
        table = data.read_csv(path, target)
        assert table.features == ("0", "1")
        np.testing.assert_array_equal(table.target.y, [7.5, 8.5])
    numbered = write(tmp_path / "m.csv", "0,1,y\n1,2,7.5\n3,4,8.5\n")
    assert data.read_csv(numbered, "y").features == ("0", "1")  # the target names the header
    assert len(data.read_csv(path, "7.5", header=True).X) == 1


def test_csv_row_numbers_and_dropped_columns_are_left_out(tmp_path):
    path = write(tmp_path / "p.csv", ",id,a,y\n0,k9,1,0.5\n1,,2,1.5\n2,z,3,2.5\n")
    table = data.read_csv(path, "y", drop=["id"])
    assert table.features == ("a",)


def test_csv_text_after_the_sampled_rows(tmp_path):
    rows = "".join(f"{'abc'[i % 3]},{i}.5\n" for i in range(3000))
    table = data.read_csv(write(tmp_path / "l.csv", "a,y\n" + rows + "odd,1\n"), "y")
    assert table.features == ("a=a", "a=b", "a=c", "a=odd")
    assert table.X.sum() == 3001


MANY = "".join(f"t{i},{i}.5\n" for i in range(80))
TYPO = "".join(f"{i},1\n" for i in range(2000)) + "x7,2\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "a header but no rows"),
        ("a,b\n1,2\n3\n", "line 3, 1 cells, expected 2"),
        ("a,b\n1,2\n3,4,5\n", "line 3, 3 cells, expected 2"),
        ("a,b\n1,NA\n", "column 'b': the value is missing in every row"),
        ("a,b\n,1\n?,2\n", "no column is left to learn 'b' from. 'a': no value in any row"),
        ("a,b\n1,2\n-inf,4\n", "line 3, column 'a': '-inf' is not a finite number"),
        ("a,b\n" + MANY, "no column is left.*'a': 80 different texts in 80 rows"),
        ("a,b\n" + TYPO, "line 2002, column 'a': 'x7' in a column of numbers"),
        ("b\n1\n", "no column is left"),
        ("a,c\n1,2\n", "no target column 'b'; the columns are 'a', 'c'"),
        ("b,b,a\n1,2,3\n", "names 2 columns"),
        ("a,b\n1,x\n2,x\n", "holds only .*x.*two classes"),
        ("a,b\n1,x\n2,y\n3,z\n", "3 different values in 3 samples: these are no classes"),
    ],
)
def test_bad_csv_is_refused_by_line_and_column(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        data.read_csv(write(tmp_path / "bad.csv", text), "b")


def test_csv_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "b.csv"
    path.write_bytes(b"a,b\n1\0,2\n2,3\n")
    with pytest.raises(ValueError, match="line 2: holds a byte 0"):
        data.read_csv(path, "b")
    path.write_bytes(gzip.compress(b"a,b\n1,2\n" * 999)[:40])
    with pytest.raises(ValueError, match="damaged gzip"):
        data.read_csv(path, "b")


# -- targets, splits, scaling --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["no", "yes", "no", "no"], ("no", "yes")),
        ([True, False, True], (False, True)),
        ([5, 3, 3, 5], (3, 5)),
        ([1.0, 0.0, 1.0, 0.0], (0, 1)),
        ([1, 2, 3, 4], None),
        ([0.5, 1.0, 0.5, 1.0], None),
        ([1e20, 0.0, 1e20, 0.0], None),
        (list(range(21)) * 9, None),
        (list(range(20)) * 9, tuple(range(20))),
    ],
)
def test_task_follows_the_target(values, classes):
    target = data.read_target(values, "y")
    assert target.classes == classes
    if classes is not None:
        assert [classes[i] for i in target.y] == list(values)


def test_task_can_be_said():
    assert data.read_target([5, 3, 3, 5], "y", "regression").classes is None
    assert data.read_target([*range(30)] * 2, "y", "classification").classes == tuple(range(30))
    with pytest.raises(ValueError, match=r"sample 1 is 0\.5, expected whole"):
        data.read_target([1.0, 0.5], "y", "classification")
    with pytest.raises(ValueError, match="holds text"):
        data.read_target(["a", "b"], "y", "regression")
    with pytest.raises(ValueError, match="sample 1 is nan"):
        data.read_target([1.0, np.nan], "y")


def test_shuffle_is_fixed_for_ever():
    golden, wrap = 0x9E3779B97F4A7C15, 2**64 - 1

    def mix(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & wrap
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & wrap
        return z ^ (z >> 31)

    for seed in (0, 7, -1, 2**63):
        start = mix((seed + golden) & wrap)
        keys = [mix((start + i * golden) & wrap) for i in range(1, 101)]
        assert shuffled(100, seed).tolist() == sorted(range(100), key=keys.__getitem__)
    assert shuffled(10, 0).tolist() == [5, 7, 8, 2, 9, 0, 3, 1, 6, 4]
    assert sorted(shuffled(1000, 5).tolist()) == list(range(1000))
    assert shuffled(50, 1).tolist() != shuffled(50, 2).tolist()


def test_split_is_stratified_complete_and_repeatable():
    classes = np.repeat([0, 1, 2], [600, 300, 100])
    parts = data.split(1000, test=0.2, validation=0.1, seed=3, classes=classes)
    assert [len(part) for part in parts] == [700, 100, 200]
    assert sorted(np.concatenate(parts).tolist()) == list(range(1000))
    for part in parts:
        share = np.bincount(classes[part]) / len(part)
        np.testing.assert_allclose(share, [0.6, 0.3, 0.1], atol=0.011)
    again = data.split(1000, test=0.2, validation=0.1, seed=3, classes=classes)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    with pytest.raises(ValueError, match="below 1"):
        data.split(10, test=0.5, validation=0.5)
    with pytest.raises(ValueError, match="too few"):
        data.split(2, test=0.2)


def test_scaling_uses_the_training_part_only(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(3, 7, (200, 2)), rng.normal(40, 9, 200)
    lines = [f"{a},{'u' if a > 3 else 'v'},{b},{t}" for (a, b), t in zip(X, y, strict=True)]
    path = write(tmp_path / "t.csv", "a,kind,b,y\n" + "\n".join(lines))
    made = data.open_dataset(str(path), target="y", seed=4)
    train = made.train[0]
    assert (train.dtype, made.train[1].shape) == (np.float32, (140, 1))
    np.testing.assert_allclose(train[:, [0, 3]].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(train[:, [0, 3]].std(axis=0), 1, atol=1e-6)
    assert set(np.unique(train[:, 1:3])) == {0.0, 1.0}
    mean, deviation = made.target_scale
    parts = data.split(200, test=0.2, validation=0.1, seed=4)
    np.testing.assert_allclose(made.test[1][:, 0] * deviation + mean, y[parts[2]], rtol=1e-5)
    assert mean == pytest.approx(y[parts[0]].mean())


@pytest.mark.parametrize("target", ["y", "z"])
def test_values_too_large_for_float32_are_refused(tmp_path, target):
    rows = "".join(f"{i}.5,{i % 7}.25,1e{300 + i % 9}\n" for i in range(40))
    path = write(tmp_path / "t.csv", "x,y,z\n" + rows)
    with pytest.raises(ValueError, match="too large"):
        data.open_dataset(str(path), target=target)


def test_named_sets_keep_their_test_part_and_their_bytes():
    made = data.open_dataset("digits", validation=0.1, seed=1)
    assert [len(made.train[0]), len(made.validation[0]), len(made.test[0])] == [1290, 143, 364]
    assert made.train[0].dtype == np.uint8
    assert made.scale == 1 / 16
    assert data.open_dataset("digits", validation=0).validation is None


# -- npz -----------------------------------------------------------------------------------------


def npz(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_npz_one_array_or_ready_parts(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 3)), np.arange(100) % 4 + 3
    made = data.open_dataset(npz(tmp_path / "a.npz", X=X, y=y))
    assert made.classes == (3, 4, 5, 6)
    assert [len(p[0]) for p in (made.train, made.validation, made.test)] == [70, 10, 20]
    given = data.open_dataset(
        npz(tmp_path / "b.npz", X_train=X[:60], y_train=y[:60], X_test=X[60:], y_test=y[60:])
    )
    assert [len(p[0]) for p in (given.train, given.validation, given.test)] == [54, 6, 40]
    np.testing.assert_array_equal(given.test[1], y[60:] - 3)
    pixels = (rng.random((50, 4, 4)) * 255).astype(np.uint8)
    images = data.open_dataset(npz(tmp_path / "c.npz", X=np.asfortranarray(pixels), y=y[:50]))
    assert images.train[0].dtype == np.uint8
    assert images.scale == 1 / images.train[0].max()
    kept = data.split(50, seed=0, classes=y[:50])[0]
    np.testing.assert_array_equal(images.train[0], pixels[kept])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"A": [1.0]}, "expected arrays X and y, or X_train.*it holds A"),
        ({"X": np.ones((3, 2))}, "holds X but no y"),
        ({"X": np.ones((3, 2)), "y": np.ones(4)}, r"X has shape \(3, 2\) and y \(4,\)"),
        ({"X": np.ones((0, 2)), "y": np.ones(0)}, "at least 1"),
        ({"X": np.full((3, 2), "a"), "y": np.ones(3)}, "holds <U1, expected numbers"),
        ({"X": np.ones((3, 2)), "y": np.array([1, None, 2], object)}, "type object"),
        ({"X": np.ones((3, 2)), "y": np.array([1j, 2, 3])}, "type complex128"),
        ({"X": np.array([[1.0], [np.nan]] * 9), "y": np.arange(18.0)}, r"element \(1, 0\) is nan"),
    ],
)
def test_bad_npz_is_refused(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        data.open_dataset(npz(tmp_path / "x.npz", **arrays))


def test_npz_that_claims_more_than_it_holds(tmp_path):
    import zipfile

    header = io.BytesIO()
    claim = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 100)}
    np.lib.format.write_array_header_1_0(header, claim)
    for body, message in ((header.getvalue(), "declares shape"), (b"junk", "not a NumPy array")):
        with zipfile.ZipFile(tmp_path / "h.npz", "w") as archive:
            archive.writestr("X.npy", body)
            archive.writestr("y.npy", body)
        with pytest.raises(ValueError, match=message):
            data.read_npz(tmp_path / "h.npz")
    (tmp_path / "t.npz").write_bytes(b"not a zip")
    with pytest.raises(ValueError, match=r"not a readable \.npz"):
        data.read_npz(tmp_path / "t.npz")


def test_open_dataset_says_what_to_do(tmp_path):
    path = str(write(tmp_path / "t.csv", HOUSES))
    with pytest.raises(ValueError, match="name the column to learn with --target"):
        data.open_dataset(path)
    with pytest.raises(ValueError, match="--target and --drop name columns"):
        data.open_dataset("digits", target="x")
    with pytest.raises(ValueError, match="--root names the folder"):
        data.open_dataset("digits", root="x")
    with pytest.raises(FileNotFoundError, match="no such file"):
        data.open_dataset(str(tmp_path / "none.bin"))
    with pytest.raises(FileNotFoundError):
        data.open_dataset(str(tmp_path / "none.csv"), target="a")
    with pytest.raises(ValueError, match="did you mean"):
        data.open_dataset("fashion_mnist")
    folder = fashion_folder(tmp_path / "mine")
    made = data.open_dataset(str(folder))
    assert (made.name, made.classes) == ("mine", tuple(range(10)))
