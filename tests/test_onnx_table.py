"""A table's recipe as ONNX: strings, numbers and dates in, what `steep predict` gives out."""

import csv
import datetime as dt

import numpy as np
import pytest
import steep
from steep import cli, data, layers
from steep.commands.trained import Trained

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

N = 160
MISSING = {"size": (3, 40), "town": (5, 50, 51), "when": (9,), "open": (2, 31), "grade": (7,)}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A table with a column of every kind, gaps in all."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = []
    for k in range(N):
        when = dt.datetime(1969, 11, 3, 5) + dt.timedelta(days=int(rng.integers(0, 40000)) / 2)
        size, town = rng.lognormal(3, 1), "abcdefghijklmnop"[min(15, int(rng.exponential(3)))]
        row = {
            "size": f"{size:.3f}", "town": f"town {town}", "when": when.isoformat(sep=" "),
            "open": "yes" if rng.random() < 0.5 else "No", "grade": str(int(rng.integers(1, 5))),
            "output": f"{rng.normal():.4f}",
        }  # fmt: skip
        gone = {name: "" for name, at in MISSING.items() if k in at}
        row |= gone | ({"town": "NA"} if k == 50 else {})
        rows.append(row | {
            "kind": "ab"[size > 20] + "xy"[town > "c"], "price": f"{size + 3:.2f}",
            "count": str(int(size)), "code": str(int(size > 20)),
        })  # fmt: skip
    with open("t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def fed(table, rows):
    """Return what the session of an exported table is given for rows of texts."""
    found = {}
    for column in table.columns:
        cells = [row[column.name] for row in rows]
        if column.kind == "date":
            whole = [np.datetime64(cell.replace(" ", "T")) if cell else None for cell in cells]
            found[column.name] = [np.nan if w is None else w.astype("M8[us]").astype(float) / 1e6
                                  for w in whole]  # fmt: skip
        elif (column.kind == "number" and not column.words) or getattr(column, "numeric", False):
            found[column.name] = [float(cell) if cell else np.nan for cell in cells]
        elif column.features:
            found[column.name] = cells
    return {
        name: np.array(values, object if isinstance(values[0], str) else np.float64)[:, None]
        for name, values in found.items()
    }


def session(path):
    onnx.checker.check_model(path, full_check=True)
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def cells():
    with open("t.csv", newline="") as file:
        return list(csv.DictReader(file))


def unseen(rows):
    """Return rows with texts, dates and numbers that no training row has."""
    strange = {"town": "Atlantis", "grade": "9", "when": "2104-02-29 23:59:59", "size": "1e6"}
    return [*rows, {**rows[0], **strange}, {**rows[1], **strange, "open": "", "size": ""}]


TARGETS = {
    "kind": ["price", "count", "code"],
    "price": ["kind", "count", "code"],
    "count": ["kind", "price", "code"],
    "code": ["kind", "price", "count"],
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("model", ["tabm", "realmlp", "mlp"])
def test_it_gives_what_predict_gives(target, model):
    words = [
        "train",
        "t.csv",
        "--target",
        target,
        "--model",
        model,
        "--epochs",
        "3",
        "--out",
        "run",
    ]
    words += ["--categorical", "grade", "--quiet"]
    if target == "count":
        words += ["--task", "regression"]
    for name in TARGETS[target]:
        words += ["--drop", name]
    assert cli.main(words) == 0
    assert cli.main(["export", "run", "net.onnx", "--with-table"]) == 0
    made, rows = Trained.load("run"), unseen(cells())
    kinds = {column.name: column.kind for column in made.table.columns}
    assert kinds["when"] == "date"
    assert kinds["town"] == kinds["grade"] == "category"
    wanted = made.predict(made.table.encode({name: [row[name] for row in rows] for name in kinds}))
    found = session("net.onnx").run(None, fed(made.table, rows))
    if made.table.classes is None:
        np.testing.assert_allclose(found[0], wanted, rtol=2e-5, atol=2e-5 * np.abs(wanted).max())
        assert target != "count" or found[0].min() >= 0
        return
    names, p = found
    np.testing.assert_allclose(p, wanted, atol=2e-6)
    assert names.tolist() == [made.table.classes[k] for k in wanted.argmax(axis=1)]


def test_features_are_those_of_encode_to_the_last_bits():
    """Every month, leap years and days before 1970 among them."""
    table = data.Table.learn("t.csv", "price", categorical=["grade"], scale="robust", squash=True)
    net = steep.Sequential(layers.Dense(1, use_bias=False, name="sum")).build(len(table.features))
    rows = cells()
    start, one = dt.datetime(1900, 1, 1), dt.timedelta(hours=29)
    days = [(start + k * 61 * one).isoformat(sep=" ") for k in range(N)]
    rows = [{**row, "when": day} for row, day in zip(rows, days, strict=True)]
    X = table.encode({c.name: [row[c.name] for row in rows] for c in table.columns})
    for k in range(X.shape[1]):
        pick = np.zeros((X.shape[1], 1), np.float32)
        pick[k] = 1
        net.load_state_dict({"sum.weight": pick})
        net.to_onnx("one.onnx", table)
        found = session("one.onnx").run(None, fed(table, rows))[0]
        wanted = table.goal.values(X[:, k : k + 1])
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6, err_msg=table.features[k])


def test_what_does_not_fit_is_refused():
    table = data.Table.learn("t.csv", "price")
    net = steep.Sequential(layers.Dense(1)).build(3)
    with pytest.raises(ValueError, match=r"the network takes and gives \[\(3,\), \(1,\)\]"):
        net.to_onnx("one.onnx", table)
    named = {"dense.bias": [1.5, 2.0, 0.1], "y": [0.3, 0.5, 0.1]}
    table = data.Table.learn(named, "y")
    net = steep.Sequential(layers.Dense(1)).build(1)
    with pytest.raises(ValueError, match="columns have names of weights"):
        net.to_onnx("one.onnx", table)
