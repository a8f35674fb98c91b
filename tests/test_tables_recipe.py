"""`data.Table`: what becomes of each kind of column, on the training rows, on others, on disk."""

import datetime
import json
from pathlib import Path

import numpy as np
import pytest
from steep import data
from tables import lines, write

N = 60


def columns(**more):
    """Return a dict of columns of N rows, and a target of two classes."""
    rng = np.random.default_rng(0)
    made = {"x": rng.normal(5, 2, N), "y": ["a", "b"] * (N // 2)}
    return {**more, **made}


def encode(values, new=None, **options):
    table = data.Table.learn({"c": values, **columns()}, "y", drop="x", **options)
    fresh = {"c": values if new is None else new}
    return table, table.encode(fresh)


# -- numbers -----------------------------------------------------------------------------------


def test_numbers_are_standardised_and_gaps_said():
    values = np.arange(N) ** 2.0
    values[[3, 7]] = np.nan
    table, X = encode(values)
    present = values[~np.isnan(values)]
    assert table.features == ("c", "c is missing")
    want = (np.where(np.isnan(values), np.median(present), values) - present.mean()) / present.std()
    np.testing.assert_allclose(X[:, 0], want, rtol=1e-6)
    assert X[:, 1].tolist() == np.isnan(values).astype(float).tolist()
    assert X.dtype == np.float32


def test_gaps_that_were_not_learned_get_the_median():
    values = np.arange(N) ** 2.0
    table, X = encode(values, [np.nan, np.median(values)])
    assert table.features == ("c",)
    assert X[0, 0] == X[1, 0]


def test_tails_are_squashed_by_choice():
    values = np.ones(N)
    values[:20] = 0
    values[0] = 1e6
    plain, squashed = encode(values)[1], encode(values, squash=True)[1]
    assert plain.max() > 7
    assert squashed.max() < 3
    z = plain[:, 0].astype(float)
    np.testing.assert_allclose(squashed[:, 0], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-5)


def test_yes_and_no_are_one_number():
    table, X = encode(["yes", "no", "No", "YES", ""] * 12)
    assert table.features == ("c", "c is missing")
    assert X[0, 0] == X[3, 0] > X[1, 0] == X[2, 0]
    assert encode([True, False, True] * 20)[0].features == ("c",)


# -- categories --------------------------------------------------------------------------------


def test_categories_have_a_column_each_and_one_for_missing():
    table, X = encode(["u", "v", "", "w"] * 15, ["w", "u", None, "never seen"])
    assert table.features == ("c=u", "c=v", "c=w", "c is missing")
    assert X.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_rare_texts_share_a_column_and_unseen_ones_join_them():
    values = [f"t{k % 12}" for k in range(48)] + [f"rare{k}" for k in range(12)]
    table, X = encode(values, ["t3", "rare5", "never seen"])
    assert len(table.features) == 13
    assert table.features[-1] == "c is other"
    assert X.argmax(axis=1).tolist() == [table.features.index("c=t3"), 12, 12]
    assert X.sum() == 3


def test_at_most_64_categories_the_most_frequent():
    values = [f"t{k:03d}" for k in range(200) for _ in range(2 + (k < 64))]
    frame = {"c": values, "y": (["a", "b"] * len(values))[: len(values)]}
    table = data.Table.learn(frame, "y")
    assert table.features == (*(f"c=t{k:03d}" for k in range(64)), "c is other")


def test_numbers_as_categories_by_choice():
    values = [k % 3 for k in range(N)]
    table, X = encode(values, ["1", "1.0", "2"], categorical="c")
    assert table.features == ("c=0", "c=1", "c=2")
    assert X.argmax(axis=1).tolist() == [1, 1, 2]
    assert encode(values)[0].features == ("c",)


def test_codes_that_begin_with_0_are_categories():
    table, X = encode([f"{k % 5:05d}" for k in range(N)], ["00003"])
    assert table.features[3] == "c=00003"
    assert X[0, 3] == 1


# -- dates -------------------------------------------------------------------------------------

DAY = datetime.date(2020, 1, 31)
WAYS = {
    "iso": "%Y-%m-%d", "german": "%d.%m.%Y", "american": "%m/%d/%Y", "british": "%d/%m/%Y",
    "named": "%d %b %Y", "long": "%B %d, %Y", "time": "%Y-%m-%dT%H:%M:%S", "short": "%d.%m.%y",
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_dates_as_people_write_them(way):
    days = [DAY + datetime.timedelta(days=k) for k in range(N)]
    table, X = encode([day.strftime(WAYS[way]) for day in days])
    other, Y = encode(np.array(days, "datetime64[D]"))
    assert table.features == other.features
    assert "c: days since the first" in table.features
    np.testing.assert_array_equal(X, Y)
    since = X[:, 0].astype(float)
    np.testing.assert_allclose(np.diff(since), since[1] - since[0], rtol=1e-4)


def test_parts_of_dates_are_on_circles_and_gaps_are_said():
    hours = np.datetime64("2020-01-01T00") + np.arange(N) * np.timedelta64(7, "h")
    hours[5] = np.datetime64("NaT", "us")
    table, X = encode(hours)
    assert {f"c: hour ({s})" for s in ("sine", "cosine")} <= set(table.features)
    assert table.features[-1] == "c is missing"
    assert X[5].tolist() == [0] * (X.shape[1] - 1) + [1]


def test_dates_later_than_those_learned_count_on():
    days = np.datetime64("2020-01-01") + np.arange(N)
    table, X = encode(days, days + np.timedelta64(N, "D"))
    first = table.encode({"c": days})[:, 0]
    step = first[1] - first[0]
    np.testing.assert_allclose(X[:, 0], first + N * step, rtol=1e-4)


# -- columns that are left out -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("c", [None] * N, "no value in any row"),
        ("c", [7] * N, "always 7"),
        ("c", ["same"] * N, "always 'same'"),
        ("c", list(range(N)), "counts the rows"),
        ("c", list(range(100, 100 + N)), "counts the rows"),
        ("PassengerId", [(k * 37) % 1009 for k in range(N)], "an identifier"),
        ("c", [f"name {k}" for k in range(N)], "60 different texts in 60 rows"),
        ("c", [f"a long text about number {k % 40} here" for k in range(N)], "free text, 7 words"),
    ],
)
def test_columns_of_no_use_are_left_out_and_said(name, values, why):
    table = data.Table.learn({name: values, **columns()}, "y")
    column = table.columns[0]
    assert (column.kind, column.features) == ("left out", ())
    assert why in str(table)
    kept = data.Table.learn({name: values, **columns()}, "y", keep=name)
    if "always" not in why and "no value" not in why:
        assert kept.columns[0].features


def test_years_that_count_by_1_are_kept():
    table = data.Table.learn({"year": list(range(1950, 1950 + N)), **columns()}, "y")
    assert table.features == ("year", "x")


def test_nothing_left_says_why_of_each():
    with pytest.raises(ValueError, match=r"no column is left to learn 'y' from\. 'c': always 7"):
        data.Table.learn({"c": [7] * N, "y": ["a", "b"] * 30}, "y")


# -- targets -----------------------------------------------------------------------------------


def test_classes_and_their_counts_are_kept():
    frame = {**columns(), "y": ["b"] * 57 + ["a", "a", "rare"]}
    table = data.Table.learn(frame, "y", rows=np.arange(59))
    assert table.classes == ("a", "b", "rare")  # though no training row has it
    assert "a 2, b 57, rare 0" in str(table)
    _, y = table.apply(frame)
    assert (y.dtype, y.tolist()[-3:]) == (np.int64, [0, 0, 2])
    assert table.decode(np.eye(3)).tolist() == ["a", "b", "rare"]


def test_a_class_that_was_not_learned_is_refused_by_name():
    table = data.Table.learn(columns(), "y")
    with pytest.raises(ValueError, match=r"dict, row 1, column 'y': 'z' is no class that was lea"):
        table.apply({"x": [1.0, 2.0], "y": ["a", "z"]})


def test_values_are_standardised_by_the_training_rows_and_come_back():
    values = np.arange(N) * 3.0 + 0.5
    frame = {**columns(), "y": values}
    table = data.Table.learn(frame, "y", rows=np.arange(40))
    X, y = table.apply(frame)
    assert (X.shape, y.shape, y.dtype) == ((N, 1), (N, 1), np.float32)
    assert y[:40].mean() == pytest.approx(0, abs=1e-6)
    assert y[:40].std() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(table.decode(y), values, rtol=1e-5)


def test_counts_are_never_below_0():
    table = data.Table.learn({**columns(), "y": np.arange(N)}, "y")
    assert "counts 0 to 59" in str(table)
    assert table.decode(np.array([[-9.0], [0.0]])).tolist() == [0.0, 29.5]


def test_rows_without_a_target_are_left_out_and_counted():
    frame = {**columns(), "y": ["a", "b", None] * 20}
    table = data.Table.learn(frame, "y")
    assert "20 rows without 'y' are left out" in str(table)
    X, y = table.apply(frame)
    assert len(X) == len(y) == 40
    assert len(table.encode(frame)) == N
    X, y = table.apply({"x": [1.0]})
    assert (X.shape, y) == ((1, 1), None)


def test_a_table_needs_no_target():
    table = data.Table.learn({"c": [1.0, 2.0, 4.0]})
    assert table.apply({"c": [2.0]})[1] is None
    with pytest.raises(ValueError, match="no target"):
        table.decode(np.zeros((1, 1)))


# -- the recipe itself -------------------------------------------------------------------------


def mixed(path):
    row = lambda k: f"{k * 7 % 11}.5,{'uvw'[k % 3]},2020-01-{1 + k % 28:02d},{k},{'ab'[k % 2]}"  # noqa: E731
    return write(path, lines(N, row, "n,t,d,Id,y"))


def test_only_training_rows_are_learned_from(tmp_path):
    path = mixed(tmp_path / "t.csv")
    rows = np.arange(0, N, 2)
    table = data.Table.learn(path, "y", rows=rows)
    one, _ = table.apply(path)
    changed = Path(path).read_text().splitlines()
    changed[2] = "9999,neu,1999-01-01,77,b"  # row 1, which is no training row
    again = data.Table.learn(write(tmp_path / "u.csv", "\n".join(changed)), "y", rows=rows)
    assert again.columns == table.columns
    np.testing.assert_array_equal(again.apply(path)[0], one)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    path = mixed(tmp_path / "t.csv")
    table = data.Table.learn(path, "y", missing=["Oops"])
    table.save(tmp_path / "table.json")
    again = data.Table.load(tmp_path / "table.json")
    assert again == table
    assert str(again) == str(table)
    np.testing.assert_array_equal(again.encode(path), table.encode(path))
    assert json.loads((tmp_path / "table.json").read_text())["target"]["name"] == "y"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"steep_table": 9}', "\x00"])
def test_files_that_are_no_recipe_are_refused(tmp_path, text):
    path = write(tmp_path / "t.json", text)
    with pytest.raises(ValueError, match=r"t\.json: not the recipe of a table"):
        data.Table.load(path)


def test_columns_are_found_by_name_and_lacking_ones_are_all_named(tmp_path):
    path = mixed(tmp_path / "t.csv")
    table = data.Table.learn(path, "y")
    rows = [line.split(",") for line in Path(path).read_text().splitlines()]
    turned = "\n".join(",".join([r[3], r[2], "?", r[1], r[0]]) for r in rows)
    other = write(tmp_path / "u.csv", turned.replace("?", "new", 1))
    np.testing.assert_array_equal(table.encode(other), table.encode(path))
    with pytest.raises(ValueError, match=r"lacks 'n', 'd', which the table was learned with"):
        table.encode({"t": ["u"], "z": [1]})


def test_what_is_printed_names_each_column(tmp_path):
    table = data.Table.learn(mixed(tmp_path / "t.csv"), "y")
    shown = str(table).splitlines()
    assert [line.split()[0] for line in shown] == ["column", "n", "t", "d", "Id", "y"]
    assert "one-hot, 3 categories" in shown[2]
    assert "counts the rows" in shown[4]
    assert repr(table) == "Table(4 columns, 7 features, target 'y')"
    wide = data.Table.learn({**{f"c{k}": [1.0, k, 3.5] for k in range(300)}})
    assert len(str(wide).splitlines()) < 110


def test_columns_may_be_said_by_position_or_together():
    frame = {"p": np.arange(N) ** 2, "q": np.arange(N) ** 3, **columns()}
    for drop in ("p", ["p"], 0, [0], "0"):
        assert data.Table.learn(frame, "y", drop=drop).features == ("q", "x")
    for drop in ("p,q", "p, q", ["p", "q"]):
        assert data.Table.learn(frame, -1, drop=drop).features == ("x",)
    with pytest.raises(ValueError, match="no drop column 'r'; the columns are 'p', 'q', 'x', 'y'"):
        data.Table.learn(frame, "y", drop="r")
    with pytest.raises(ValueError, match="drop names 'y', which is the target"):
        data.Table.learn(frame, "y", drop="y")
