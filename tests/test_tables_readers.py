"""How files write tables: marks, names, encodings, gaps; by every reader that is installed.

Numbers in the names of tests are rows of the list of what people's files did to earlier versions.
"""

import bz2
import gzip
import importlib.util
import lzma
import os
import threading

import numpy as np
import pytest
from fuzz import readers, tables
from fuzz.mutate import raw
from steep import data
from steep.data import csv_file
from steep.data.csv_file import Reading
from tables import lines, write

ENGINES = {
    "own": None,
    "pandas": csv_file._by_pandas,
    "pyarrow": csv_file._by_pyarrow,
}
HERE = [name for name in ENGINES if name == "own" or importlib.util.find_spec(name)]


def read(raw, engine, monkeypatch=None, **reading):
    """Return names and columns of text as one engine cuts them, or the words of a refusal."""
    ours = csv_file._by_rows
    cut = ENGINES[engine]

    def only(data, found, source):
        if cut and found.regular and csv_file._is_plain(data, found.delimiter):
            try:
                return cut(csv_file._after_lines(data, found.lines), found)
            except Exception:
                pass
        return ours(data, found, source)

    before, csv_file._cut = csv_file._cut, only
    try:
        frame = csv_file.read(raw, "f.csv", Reading(**reading))
    except ValueError as error:
        return str(error)
    finally:
        csv_file._cut = before
    return {c.name: [c.texts[code] for code in c.values.tolist()] for c in frame.columns}


@pytest.fixture(params=HERE)
def engine(request):
    return request.param


def body(count=30, mark=","):
    return lines(count, lambda k: mark.join([str(k * 7 % 11), "uvw"[k % 3], "pq"[k % 2]]))


PLAIN = read(("a,b,t\n" + body()).encode(), "own")


# -- marks between cells -----------------------------------------------------------------------


@pytest.mark.parametrize("mark", [",", ";", "\t", "|", " ", "   "])
def test_c23_marks_between_cells(engine, mark):
    assert read((f"a{mark}b{mark}t\n" + body(mark=mark)).encode(), engine) == PLAIN


def test_w5_the_mark_is_that_which_cuts_all_rows_alike(engine):
    text = '"name, first, last";t\n' + lines(30, lambda k: f"{k};{'pq'[k % 2]}")
    assert list(read(text.encode(), engine)) == ["name, first, last", "t"]
    text = lines(30, lambda k: f"0,{k};1,25;2,75;{'ab'[k % 2]}")
    found = read(text.encode(), engine)
    assert list(found) == ["0", "1", "2", "3"]
    assert found["3"] == ["a", "b"] * 15
    assert read(text.encode(), engine, delimiter=",")["0"] == ["0"] * 30


def test_marks_can_be_said(tmp_path):
    text = lines(20, lambda k: f"{k}:{k % 3}.5:{'ab'[k % 2]}", "p:q:t")
    path = write(tmp_path / "t.csv", text)
    assert data.read_csv(path, "t", delimiter=":", keep="p").features == ("p", "q")
    assert list(read(text.encode(), "own", delimiter=":")) == ["p", "q", "t"]
    for wrong in ("", "ab", "\n", '"'):
        with pytest.raises(ValueError, match="must be one character"):
            data.read_csv(path, "t", delimiter=wrong)


# -- quotes, blanks, lines ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('"x, 1"', "x, 1"), ('"x\n1"', "x\n1"), ('"say ""x"""', 'say "x"'), ('5" pipe', '5" pipe'),
        (' "x, 1"', "x, 1"), ("\u00a0x ", "x"), ('""', ""), ("'x'", "'x'"), ("x#1", "x#1"),
    ],
)  # fmt: skip
def test_c28_cells_in_quotes_and_blanks(engine, cell, value):
    text = "a,b,t\n" + body() + f"3,{cell},p\n"
    found = read(text.encode(), engine)
    assert found["b"] == [*PLAIN["b"], value]
    assert found["t"] == [*PLAIN["t"], "p"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "\n\n", ",,\n , ,\n", "  \n"])
def test_c29_ends_of_lines_and_of_files(engine, end, last):
    text = ("a,b,t\n" + body() + last).replace("\n", end)
    assert read(text.encode(), engine) == PLAIN
    assert read(text.rstrip().encode(), engine) == PLAIN


def test_c27_cells_of_any_length(engine):
    text = "a,b,t\n" + body() + f"3,{'x' * 200_000},p\n"
    assert len(read(text.encode(), engine)["b"][-1]) == 200_000


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2", "f.csv, line 32, 2 cells, expected 3. Correct this row"),
        ("1,u,p,q", "f.csv, line 32, 4 cells, expected 3."),
        ("Total", "f.csv, line 32, 1 cells, expected 3."),
    ],
)
def test_rows_of_another_length_are_refused_by_line(engine, row, message):
    assert message in read(("a,b,t\n" + body() + row + "\n1,u,p\n").encode(), engine)


def test_c24_trailing_marks_and_headers_without_the_names_of_rows(engine):
    trailing = body().replace("\n", ",\n")
    for head in ("a,b,t\n", "a,b,t,\n"):
        assert read((head + trailing).encode(), engine) == PLAIN
    named = lines(30, lambda k: f"r{k}," + body().splitlines()[k])
    found = read(("a,b,t\n" + named).encode(), engine)
    assert list(found) == ["column 0", "a", "b", "t"]
    assert {name: found[name] for name in "abt"} == PLAIN


# -- what stands before the table --------------------------------------------------------------


@pytest.mark.parametrize(
    "before",
    ["# made by a lab\n# in 2020\n", "Report of 2020\n", "Report of 2020,,\n\n", "\n\n", "sep=,\n"],
)
def test_c26_lines_before_the_table(engine, before):
    assert read((before + "a,b,t\n" + body()).encode(), engine) == PLAIN


def test_c26_sep_says_the_mark_and_skip_the_lines(engine):
    assert read(("sep=|\na|b|t\n" + body(mark="|")).encode(), engine) == PLAIN
    text = "any,thing\nat,all,here,too\na,b,t\n" + body()
    assert read(text.encode(), engine, skip=2) == PLAIN


def test_w2_a_row_of_units_is_no_data(engine):
    text = "kilo,length,t\nkg,cm,class\n" + lines(30, lambda k: f"{k}.5,{k * 3},{'ab'[k % 2]}")
    found = read(text.encode(), engine)
    assert len(found["t"]) == 30
    frame = csv_file.read(text.encode(), "f", Reading())
    assert frame.notes == ("line 2 left out: a second heading",)


# -- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "rows", "target"),
    [
        ("country,2019,2020,2021", lambda k: f"{'xyz'[k % 3]},{k},{k * 2},{k * 3}", "2021"),
        ("label,0,1,2", lambda k: f"{'xyz'[k % 3]},{k},{k * 2},{k * 3}", "label"),
        ("a,1,target", lambda k: f"{k % 7},{k * 3}.5,{'ab'[k % 2]}", "2"),
        ("Id,2019", lambda k: f"{k},{k % 5}", "2019"),
    ],
)
def test_w4_names_may_be_numbers(engine, head, rows, target):
    found = read(lines(30, rows, head).encode(), engine, target=target)
    assert list(found) == head.split(",")
    assert len(next(iter(found.values()))) == 30


def test_w4_a_file_of_texts_without_names_keeps_its_first_row(engine):
    rows = lambda k: f"{'uvw'[k % 3]},{'xy'[k % 2]},{'rs'[k % 2]}"  # noqa: E731
    found = read(lines(30, rows).encode(), engine)
    assert list(found) == ["0", "1", "2"]
    assert len(found["0"]) == 30
    assert list(read(lines(30, rows, "a,b,c").encode(), engine)) == ["a", "b", "c"]


def test_w4_names_can_be_said(engine):
    text = lines(30, lambda k: f"{k},{k % 5}", "7,8")
    assert len(read(text.encode(), engine)["0"]) == 31
    assert list(read(text.encode(), engine, header=True)) == ["7", "8"]
    assert len(read(("a,b,t\n" + body()).encode(), engine, header=False)["0"]) == 31


def test_two_columns_of_one_name_stay_two(engine):
    found = read(("a,a,t,\n" + lines(30, lambda k: f"{k},{k % 5},p,{k}")).encode(), engine)
    assert list(found) == ["a", "a.1", "t", "column 3"]


# -- bytes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_c25_encodings_are_found(engine, encoding):
    text = "größe,b,t\n" + body() + "3,é,p\n"
    found = read(text.encode(encoding), engine)
    assert list(found) == ["größe", "b", "t"]
    assert found["b"][-1] == "é"


def test_c25_a_guess_is_said_and_overruled():
    text = ("a,b,t\n" + body() + "3,ÿþ,p\n").encode("latin-1")
    frame = csv_file.read(text, "f", Reading())
    assert frame.notes == ("line 32 is not UTF-8: read as Windows-1252 (--encoding says other)",)
    assert read(b"a,b,t\n" + body().encode() + "3,ж,p\n".encode("cp1251"), "own",
                encoding="cp1251")["b"][-1] == "ж"  # fmt: skip
    assert "f.csv, line 32: not utf-8 text" in read(text, "own", encoding="utf-8")
    assert "encoding 'klingon' is unknown" in read(text, "own", encoding="klingon")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_c38_packed_files_are_known_by_their_bytes(tmp_path, pack):
    plain = ("a,b,t\n" + body()).encode()
    (tmp_path / "t.csv").write_bytes(pack(plain))
    (tmp_path / "plain.csv").write_bytes(plain)
    want = data.read_csv(tmp_path / "plain.csv", "t")
    np.testing.assert_array_equal(data.read_csv(tmp_path / "t.csv", "t").X, want.X)
    (tmp_path / "t.csv").write_bytes(pack(plain)[:-9])
    with pytest.raises(ValueError, match=r"t\.csv: damaged (gzip|bzip2|xz) file"):
        data.read_csv(tmp_path / "t.csv", "t")


def test_c38_pipes_and_homes(tmp_path, monkeypatch):
    text = "a,b,t\n" + body()
    write(tmp_path / "t.csv", text)
    monkeypatch.setenv("HOME", str(tmp_path))
    want = data.read_csv("~/t.csv", "t")
    os.mkfifo(tmp_path / "pipe.csv")
    writer = threading.Thread(target=(tmp_path / "pipe.csv").write_text, args=(text,))
    writer.start()
    np.testing.assert_array_equal(data.read_csv(tmp_path / "pipe.csv", "t").X, want.X)
    writer.join()


# -- numbers as people write them --------------------------------------------------------------


def values(cells, **reading):
    """Return a column as numbers, behind another one and before a target, in a file with ;"""
    rows = [f"{cell};{'ab'[k % 2]}" for k, cell in enumerate(cells)]
    frame = csv_file.read(("c;t\n" + "\n".join(rows)).encode(), "f.csv", Reading(**reading))
    table = data.Table.learn(frame, "t", keep="c")
    column = table.columns[0]
    assert column.kind == "number", column.said()
    X = table._encoded(frame, np.float64)[:, 0]
    return (X * column.deviation + column.mean).tolist()


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["3,5", "4,25", "-0,5"], [3.5, 4.25, -0.5]),
        (["1.234,5", "12,25", "1.234.567,0"], [1234.5, 12.25, 1234567]),
        (["1,100", "2,200.5", "300"], [1100, 2200.5, 300]),
        (["1,100,000", "2,200", "12"], [1.1e6, 2200, 12]),
        (["1 234,5", "12,0", "3"], [1234.5, 12, 3]),
        (["1'234.5", "12", "3"], [1234.5, 12, 3]),
        (["7.5%", "12%", "0"], [7.5, 12, 0]),
        (["$3.50", "$1,200", "-$2"], [3.5, 1200, -2]),
        (["3,50 €", "12,00 €", "1.000,00 €"], [3.5, 12, 1000]),
        (["EUR 3", "EUR 4.5", "EUR 5"], [3, 4.5, 5]),
        (["(3.5)", "2", "1"], [-3.5, 2, 1]),
        (["1e3", "+2.", ".5"], [1000, 2, 0.5]),
        (["3,5", "n.a.", "-"], [3.5, 3.5, 3.5]),
    ],
)
def test_w3_ways_of_writing_numbers(cells, numbers):
    np.testing.assert_allclose(values(cells * 12), numbers * 12, rtol=1e-12, atol=1e-9)


def test_w3_a_file_has_one_decimal_mark():
    rows = lines(30, lambda k: f"1.{k:03d};{k},5;{'ab'[k % 2]}", "c;d;t")
    frame = csv_file.read(rows.encode(), "f", Reading())
    assert frame.decimal == ","
    assert data.Table.learn(frame, "t", keep="c").columns[0].mean == pytest.approx(1014.5)
    said = csv_file.read(rows.replace(",5", "").encode(), "f", Reading(decimal=","))
    assert data.Table.learn(said, "t", keep="c").columns[0].mean == pytest.approx(1014.5)


@pytest.mark.parametrize(
    "odd", ["5,4", "１２", "٣٤", "0x10", "1_000", "12 kg", "1,2,3", "€3", "x7"]
)
def test_w3_c19_what_does_not_follow_the_others_is_named(tmp_path, odd):
    path = write(
        tmp_path / "t.csv", lines(50, lambda k: f"{k % 7}.5;{'ab'[k % 2]}", "c;t") + f"{odd};a\n"
    )
    with pytest.raises(
        ValueError, match=rf"t\.csv, line 52, column 'c': '{odd}' in a column of nu"
    ):
        data.read_csv(path, "t")
    assert data.read_csv(path, "t", missing=[odd]).features == ("c", "c is missing")
    assert f"c={odd}" in data.read_csv(path, "t", categorical=["c"]).features


def test_w3_targets_with_decimal_commas_are_values(tmp_path):
    path = write(tmp_path / "t.csv", lines(30, lambda k: f"{k % 7};{k},5", "x;t"))
    target = data.read_csv(path, "t").target
    assert target.classes is None
    assert target.y.tolist() == [k + 0.5 for k in range(30)]


# -- other kinds of files and frames -----------------------------------------------------------


def frame_of(pd):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "n": [1.5, None, 3.0] * 20,
            "whole": list(range(0, 120, 2)),
            "text": ["u", None, "w"] * 20,
            "flag": [True, False, True] * 20,
            "when": pd.to_datetime("2020-01-01") + pd.to_timedelta(np.arange(60) * 5, unit="D"),
            "noise": rng.normal(size=60),
            "t": ["p", "q"] * 30,
        }
    )


FEATURES = (
    "n", "n is missing", "whole", "text=u", "text=w", "text is missing", "flag",
    "when: days since the first",
)  # fmt: skip


def test_data_frames_of_pandas():
    pd = pytest.importorskip("pandas")
    frame = frame_of(pd)
    table = data.Table.learn(frame, "t")
    assert table.features[:8] == FEATURES
    for other in (
        frame.astype({"n": "Float64", "whole": "Int64", "text": "category", "flag": "boolean"}),
        frame.astype(object),
        frame.convert_dtypes(),
        frame.set_index(np.arange(60)[::-1]),
    ):
        np.testing.assert_array_equal(table.encode(other), table.encode(frame))
        assert data.Table.learn(other, "t").features == table.features


def test_a_frame_and_its_csv_file_are_the_same(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = frame_of(pd)
    frame.to_csv(tmp_path / "t.csv", index=False)
    table = data.Table.learn(frame, "t")
    np.testing.assert_allclose(table.encode(tmp_path / "t.csv"), table.encode(frame), atol=1e-6)
    frame.to_csv(tmp_path / "i.csv")
    again = data.Table.learn(tmp_path / "i.csv", "t")
    assert again.features == table.features
    assert again.columns[0].said() == "counts the rows"


def test_frames_of_polars_and_of_arrow():
    pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    frame = frame_of(pd)
    table = data.Table.learn(frame, "t")
    arrow = pa.Table.from_pandas(frame)
    for other in (pl.from_arrow(arrow), arrow, pl.from_arrow(arrow).with_columns(
        pl.col("text").cast(pl.Categorical))):  # fmt: skip
        np.testing.assert_array_equal(table.encode(other), table.encode(frame))
        assert data.Table.learn(other, "t").features == table.features


@pytest.mark.parametrize("kind", ["parquet", "feather", "xlsx"])
def test_files_of_other_kinds(tmp_path, kind):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl" if kind == "xlsx" else "pyarrow")
    frame = frame_of(pd)
    path = tmp_path / f"t.{kind}"
    write = {"parquet": "to_parquet", "feather": "to_feather", "xlsx": "to_excel"}[kind]
    getattr(frame, write)(path, **({"index": False} if kind == "xlsx" else {}))
    table = data.Table.learn(frame, "t")
    np.testing.assert_allclose(table.encode(path), table.encode(frame), atol=1e-6)
    renamed = path.rename(tmp_path / "renamed.csv")  # known by its bytes
    assert data.Table.learn(renamed, "t").features == table.features
    raw = renamed.read_bytes()
    for end in (10, len(raw) // 2, len(raw) - 3):
        renamed.write_bytes(raw[:end])
        with pytest.raises(ValueError, match=r"renamed\.csv: (not a readable|is a zip file)"):
            data.Table.learn(renamed, "t")


@pytest.mark.parametrize("wrong", [3, [1, 2], np.zeros((3, 2)), None])
def test_what_is_no_table_is_refused(wrong):
    with pytest.raises(TypeError, match="expects a path, a DataFrame or a dict of columns"):
        data.Table.learn(wrong, "t")


def test_cells_of_other_kinds_are_named():
    frame = {"c": [1.0, [2], 3.0], "t": [1.5, 2.5, 4.0]}
    with pytest.raises(ValueError, match="dict, column 'c': holds list in row 1, expected numbers"):
        data.Table.learn(frame, "t")
    with pytest.raises(ValueError, match="columns have different lengths"):
        data.Table.learn({"c": [1.0], "t": [1.5, 2.5]}, "t")


# -- files that nobody meant to write ----------------------------------------------------------


def damaged(seed):
    """Return the bytes of a file that was changed at random."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:
        return raw(rng, readers.CSV[int(rng.integers(len(readers.CSV)))], readers.CSV)
    return tables.table(rng)


@pytest.mark.parametrize("engine", [name for name in HERE if name != "own"])
def test_readers_agree_on_a_mark_of_order_within_a_file(engine):
    text = "a;b\n\ufeff;3\n1;4\n"
    assert read(text.encode(), engine)["a"] == ["\ufeff", "1"]


@pytest.mark.parametrize("engine", [name for name in HERE if name != "own"])
def test_readers_agree_on_damaged_files(engine):
    for seed in range(200):
        assert read(damaged(seed), engine) == read(damaged(seed), "own"), seed


def test_damaged_files_are_learned_or_refused_by_name(tmp_path):
    path, found = tmp_path / "t.csv", 0
    for seed in range(300):
        path.write_bytes(damaged(seed))
        try:
            table = data.Table.learn(path, -1)
            assert np.isfinite(table.apply(path)[0]).all()
            found += 1
        except ValueError as error:
            assert str(path) in str(error), (seed, error)
    assert found > 5


ODD = {
    "list": (lambda pd, n: [[1, 2]] * n, "holds list in row 0"),
    "Interval": (lambda pd, n: pd.cut(np.arange(n), 4), "holds Interval in row 0"),
    "Period": (lambda pd, n: pd.period_range("2020", periods=n, freq="M"), "holds Period in row 0"),
    "complex": (lambda pd, n: np.full(n, 1j), "holds complex128"),
    "time": (
        lambda pd, n: [1.5, *pd.date_range("2020", periods=n - 1).time],
        "holds time in row 1",
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_column_of_no_kind_is_refused_where_it_is_used(kind, tmp_path, capsys):
    """It may be left out, as any other, and is ignored by a table that does not know it."""
    pd = pytest.importorskip("pandas")
    made, message = ODD[kind]
    plain = pd.DataFrame({"a": np.arange(40) % 7, "t": ["x", "y"] * 20})
    frame = plain.assign(odd=made(pd, 40))
    table = data.Table.learn(frame, "t", drop=["odd"])
    assert table.features == ("a",)
    for given in ({}, {"categorical": ["odd"]}):
        with pytest.raises(ValueError, match=rf"column 'odd': {message}, expected .* \(drop=\)"):
            data.Table.learn(frame, "t", **given)
    with pytest.raises(ValueError, match=f"column 'odd': {message}"):
        data.Table.learn(frame, "odd")
    X, y = data.Table.learn(plain, "t").apply(frame)
    assert X.shape == (40, 1) and y.shape == (40,)
    known = data.Table.learn(plain.assign(odd=plain.a + 0.5), "t")
    with pytest.raises(ValueError, match=f"column 'odd': {message}"):
        known.encode(frame)


def test_rows_and_queries_are_no_tables():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pd.DataFrame({"a": np.arange(40) % 7, "b": ["u", "v"] * 20, "t": ["x", "y"] * 20})
    table = data.Table.learn(frame, "t")
    for row in (frame.iloc[0], frame.a, frame.b, pl.Series([1, 2])):
        with pytest.raises(
            TypeError, match=r"got Series. One row of a frame is frame.iloc\[\[0\]\]"
        ):
            table.encode(row)
    assert table.encode(frame.iloc[[0]]).shape == (1, 3)
    lazy = pl.from_pandas(frame).lazy()
    with pytest.raises(TypeError, match=r"is a LazyFrame.* give what its collect\(\) returns"):
        table.encode(lazy)
    np.testing.assert_array_equal(table.encode(lazy.collect()), table.encode(frame))


@pytest.mark.parametrize("outputs", [[0.1, 0.9], [[0.1, 0.9, 0.2]], np.zeros((2, 3, 2))])
def test_outputs_of_other_shapes_are_not_decoded(outputs):
    table = data.Table.learn({"a": [*range(7)] * 6, "t": ["x", "y"] * 21}, "t")
    with pytest.raises(ValueError, match=r"decode: expects \(N, 2\), got \("):
        table.decode(outputs)


@pytest.mark.parametrize(
    "content, kind",
    [
        (b'{"a": [1, 2], "t": [1, 2]}', "JSON"),
        (b'\n [{"a": 1}]', "JSON"),
        (b"<!DOCTYPE html>\n<html>a,b</html>", "a web page"),
        (b"  <html><body>", "a web page"),
        (b"SQLite format 3\0" + bytes(100), "a database of SQLite"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, kind):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"t\.csv: is {kind}.*no table\. Save it as"):
        data.Table.learn(tmp_path / "t.csv", "t")
