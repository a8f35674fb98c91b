"""Labels that are texts stay apart, whatever they are, from the reader to the predictions.

A table takes blanks around a text for no part of it, and some words for missing.
"""

import csv
import io
import json

import numpy as np
import pytest
from steep import data
from steep.cli import main
from steep.data import csv_file, number_text

SEEDS = range(8)
PARTS = (
    "a", "A", "b", "\0", " ", "\u00a0", "\u200b", "é", "e\u0301", "ß", "ss", "1", "01", "1.0", "-0",
    "nan", "None", "x" * 400, "日本", "🙂", "🙂\u200d🙂", "'", "=", ";", "\u202e", "\ufeff", "ﬁ",
    "İ",
)  # fmt: skip


def labels_of(seed, count=7):
    """Different labels, most of which differ from another by a trifle."""
    rng = np.random.default_rng(seed)
    drawn = ["a", "a\0", "a\0\0", "b"] if seed % 2 else ["nan", "1", "01"]
    while len(drawn) < count:
        near = drawn[rng.integers(len(drawn))] if rng.random() < 0.6 else ""
        drawn.append(near + "".join(rng.choice(PARTS, rng.integers(1, 3))))
        drawn = [*dict.fromkeys(drawn)]
    return drawn


def in_file(seed):
    """Return labels without what no file of texts holds: a byte 0 in one is refused by its line."""
    return [*dict.fromkeys(label.replace("\0", "") for label in labels_of(seed))]


def rows_of(labels, seed, each=6):
    rows = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(labels)), each))
    return [labels[k] for k in rows]


def in_table(label):
    """Return what a table makes of a label; None where it is missing."""
    label = label.strip()
    return None if label.lower() in number_text.MISSING else label


def of_lists(given):
    return given


def of_objects(given):
    return {name: np.array(values, object) for name, values in given.items()}


def of_pandas(given):
    return pytest.importorskip("pandas").DataFrame(given)


def of_pandas_strings(given):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"x": given["x"], "t": pandas.array(given["t"], dtype="string")})


def of_categories(given):
    return of_pandas(given).astype({"t": "category"})


def of_polars(given):
    return pytest.importorskip("polars").DataFrame(given)


def of_arrow(given):
    return pytest.importorskip("pyarrow").table(given)


HANDS = (
    of_lists, of_objects, of_pandas, of_pandas_strings, of_categories, of_polars, of_arrow,
)  # fmt: skip


def checked(table, source, wanted):
    """See that a table keeps apart what differs, and gives every row's label back."""
    _, y = table.apply(source)
    kept = [label for label in wanted if label is not None]
    assert set(table.classes) == set(kept)
    assert [table.classes[k] for k in y] == kept
    decoded = table.decode(np.eye(len(table.classes))[y])
    assert decoded.tolist() == kept


@pytest.mark.parametrize("hands", HANDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_table_keeps_labels_apart(hands, seed, tmp_path):
    rows = rows_of(labels_of(seed), seed)
    given = hands({"x": [float(k % 5) for k in range(len(rows))], "t": rows})
    table = data.Table.learn(given, "t", task="classification")
    checked(table, given, [in_table(row) for row in rows])
    table.save(tmp_path / "table.json")
    checked(data.Table.load(tmp_path / "table.json"), given, [in_table(row) for row in rows])


@pytest.mark.parametrize("seed", SEEDS)
def test_categories_stay_apart(seed):
    """Texts to learn from, too: one feature each."""
    rows = rows_of(labels_of(seed), seed)
    given = {"c": rows, "t": [k % 2 for k in range(len(rows))]}
    table = data.Table.learn(given, "t", categorical=["c"], keep=["c"])
    X, _ = table.apply(given)
    wanted = [in_table(row) for row in rows]
    same = np.array([[a == b for a in wanted] for b in wanted])
    assert np.array_equal((X[:, None] == X[None]).all(-1), same)


@pytest.mark.parametrize("engine", ["pyarrow", "pandas", "rows"])
@pytest.mark.parametrize("seed", SEEDS)
def test_files_keep_labels_apart(engine, seed, tmp_path, monkeypatch):
    if engine != "rows":
        pytest.importorskip(engine)
    for other in {"pyarrow", "pandas"} - {engine}:
        monkeypatch.setattr(csv_file, f"_by_{other}", unwilling)
    rows = rows_of(in_file(seed), seed)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([("x", "t"), *((k % 5 + 0.5, row) for k, row in enumerate(rows))])
    path = tmp_path / "t.csv"
    path.write_text(text.getvalue(), "utf-8", newline="")
    table = data.Table.learn(path, "t", task="classification")
    checked(table, path, [in_table(row) for row in rows])


def unwilling(*_):
    raise ValueError("not this one")


@pytest.mark.parametrize("seed", SEEDS)
def test_targets_keep_labels_apart(seed):
    rows = rows_of(labels_of(seed), seed)
    forms = [rows, tuple(rows), np.array(rows, object), [[row] for row in rows]]
    if hasattr(np.dtypes, "StringDType"):
        forms.append(np.array(rows, np.dtypes.StringDType()))
    for given in forms:
        found = data.read_target(given, "y")
        assert [found.classes[k] for k in found.y] == rows
        assert list(found.classes) == sorted(set(rows))
    bytes_ = [row.encode() for row in rows]
    found = data.read_target(bytes_, "y")
    assert [found.classes[k] for k in found.y] == bytes_


def test_numbers_among_texts_are_told():
    with pytest.raises(TypeError, match=r"got text \('a'\) at row 1"):
        data.read_target([1, "a", 1, "a"], "y")


@pytest.mark.parametrize("seed", SEEDS)
def test_estimators_keep_labels_apart_or_say_why_not(seed):
    sklearn = pytest.importorskip("steep.sklearn")
    labels = [label for label in labels_of(seed) if label]
    rows = rows_of(labels, seed)
    X = np.array([[float(labels.index(row) == k) for k in range(len(labels))] for row in rows])
    ends = [label for label in labels if label.endswith("\0")]
    for given in (rows, np.array(rows, object)):
        net = sklearn.MLPClassifier(8, solver="lbfgs", alpha=1e-4, max_iter=500, random_state=0)
        if ends:
            with pytest.raises(ValueError, match=r"y: the label .* ends with NUL"):
                net.fit(X, given)
            with pytest.raises(ValueError, match=r"classes: the label .* ends with NUL"):
                sklearn.MLPClassifier().partial_fit(X, given, classes=labels)
            continue
        net.fit(X, given)
        assert sorted(net.classes_.tolist()) == sorted(labels)
        assert net.predict(X).tolist() == rows


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_the_command_line_gives_labels_back(seed, tmp_path, capsys):
    labels = [*dict.fromkeys(t for t in map(in_table, in_file(seed)) if t is not None)]
    rows = rows_of(labels, seed, each=20)
    path, run, out = (str(tmp_path / name) for name in ("t.csv", "run", "out.csv"))
    numbers = [[f"{float(labels.index(row) == k) * 3 + j % 7 * 0.01:g}" for k in range(len(labels))]
               for j, row in enumerate(rows)]  # fmt: skip
    head = [f"x{k}" for k in range(len(labels))]
    table = [[*head, "t"], *([*n, r] for n, r in zip(numbers, rows, strict=True))]
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(table)
    given = ["train", path, "--target", "t", "--task", "classification", "--model", "linear"]
    assert main([*given, "--out", run, "--epochs", "60", "--lr", "0.1"]) == 0
    assert main(["predict", run, path, "-o", out]) == 0
    with open(out, encoding="utf-8", newline="") as file:
        header, *found = csv.reader(file)
    assert header == ["t", *(f"t={label}" for label in sorted(labels))]
    assert [row[0] for row in found] == rows
    capsys.readouterr()
    assert main(["evaluate", run, path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == sorted(labels)
    for name in ("t", f"t={sorted(labels)[0]}"):
        assert main(["predict", run, path, "-o", out, "--copy", name]) == 2
        assert "is a column of predictions" in capsys.readouterr().err


def test_long_labels_take_no_width():
    """A text of a million characters is not held once for each row."""
    rows = ["x" * 1_000_000, "y"] * 500
    target = data.read_target(rows, "y")
    assert target.classes == ("x" * 1_000_000, "y")
    assert (
        data.Table.learn({"a": list(range(1000)), "t": rows}, "t", keep=["a"]).classes
        == target.classes
    )
