"""What people's own tables did to earlier versions, row by row: silent errors, gaps, refusals.

The numbers are those of the list: W for what was wrong without a word, C for crashes and messages.
"""

import numpy as np
import pytest
from steep import cli, data
from steep.data import Table
from tables import SHORT, lines, refusal, trained, write

N = 120


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def with_cell(cell, rows=N):
    """Return a file of ages and one other cell."""
    text = lines(rows, lambda k: f"{20 + k * 7 % 40},{k % 9}.5,{'ab'[k % 2]}", "age,x,t")
    return text + f"{cell},1.5,a\n"


# -- wrong without a word ----------------------------------------------------------------------

WORDS = (
    "", "None", "-", "--", ".", "#N/A", "<NA>", "NaT", "\\N", "unknown", "missing", "#DIV/0!",
    "N.A.", "1.#QNAN", "(null)", "?", "NaN", "null", "NA", "n/a", "-nan", "#NA",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("rows", [N, 1500])
def test_w2_words_for_missing_leave_a_column_of_numbers(tmp_path, word, rows):
    table = Table.learn(write(tmp_path / "t.csv", with_cell(word, rows)), "t")
    assert table.features == ("age", "age is missing", "x")
    assert table.columns[0].empty == 1


@pytest.mark.parametrize("rows", [20, N, 1500])
def test_w2_an_odd_cell_is_refused_however_many_values_there_are(tmp_path, rows):
    path = write(tmp_path / "t.csv", with_cell("old", rows))
    with pytest.raises(ValueError, match=rf"t\.csv, line {rows + 2}, column 'age': 'old' in a col"):
        Table.learn(path, "t")


def test_w2_frequent_words_among_few_numbers_are_categories(tmp_path):
    row = lambda k: f"{['0', '1', '2', '3+'][k % 4]},{'ab'[k % 2]}"  # noqa: E731
    path = write(tmp_path / "t.csv", lines(N, row, "c,t"))
    assert Table.learn(path, "t").features == ("c=0", "c=1", "c=2", "c=3+")


def test_w4_the_command_line_says_whether_there_are_names(tmp_path, capsys):
    rows = lines(N, lambda k: f"{k * 3 % 17},{k % 5}", "7,8")
    write(tmp_path / "t.csv", rows)
    assert trained(capsys, "t.csv", "1", "--task", "regression")["samples"] == 24
    assert trained(capsys, "t.csv", "8", "--header", "--task", "regression", out="b")
    assert "no target column '8'" in refusal(
        capsys, "train", "t.csv", "--target", "8", "--no-header"
    )


def test_w6_a_run_goes_on_with_its_own_data_only(tmp_path, capsys):
    row = lambda k: f"{k * 7 % 31},{'abc'[k * 150 // 151 % 3]}"  # noqa: E731
    write(tmp_path / "t.csv", lines(150, row, "x,t"))
    trained(capsys, "t.csv", "t")
    for rows in (100, 160):
        write(tmp_path / "t.csv", lines(rows, row, "x,t"))
        said = refusal(capsys, "train", "--out", "run", "--resume")
        assert f"has changed since the run began (150 samples were there, {rows} are now)" in said
    write(tmp_path / "t.csv", lines(150, row, "x,t").replace("7,", "8,", 1))
    assert "(the samples are others)" in refusal(capsys, "train", "--out", "run", "--resume")
    write(tmp_path / "t.csv", lines(150, row, "x,t"))
    assert cli.main(["train", "--out", "run", "--resume", "--quiet"]) == 0


@pytest.mark.parametrize("name", ["Id", "", "Unnamed: 0", "RowNumber", "anything"])
def test_w7_what_counts_the_rows_is_left_out(tmp_path, capsys, name):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(N, 2)).round(3)
    row = lambda k: f"{k + 1},{noise[k, 0]},{noise[k, 1]},{'abc'[3 * k // N]}"  # noqa: E731
    path = write(tmp_path / "t.csv", lines(N, row, f"{name},p,q,t"))
    assert Table.learn(path, "t", rows=np.arange(0, N, 3)).features == ("p", "q")
    assert data.open_dataset(path, target="t").preprocessing["columns"] == ["p", "q"]
    assert cli.main(["train", path, "--target", "t", *SHORT, "--out", "run"]) == 0
    assert "counts the rows" in capsys.readouterr().out


@pytest.mark.parametrize("kept", ["csv", "frame"])
def test_w8_whole_numbers_beyond_floats_are_names(tmp_path, kept):
    ids = [12345678901234567 + k % 2 for k in range(N)]
    frame = {"id": ids, "x": [k * 0.5 for k in range(N)], "t": ids}
    source = frame
    if kept == "csv":
        rows = lambda k: f"{ids[k]},{k * 0.5},{ids[k]}"  # noqa: E731
        source = write(tmp_path / "t.csv", lines(N, rows, "id,x,t"))
    table = Table.learn(source, "t")
    assert table.classes == (12345678901234567, 12345678901234568)
    assert table.features == ("id=12345678901234567", "id=12345678901234568", "x")
    X, y = table.apply(source)
    assert y.tolist() == [0, 1] * (N // 2)
    assert X[:, 1].tolist() == [0, 1] * (N // 2)


def test_w9_texts_that_name_the_rows_are_left_out(tmp_path):
    path = write(
        tmp_path / "cars.csv", lines(32, lambda k: f"car {k},{k % 7}.5,{k * 1.5}", "name,x,t")
    )
    table = Table.learn(path, "t")
    assert table.features == ("x",)
    assert "32 different texts in 32 rows: they name the rows" in str(table)


def test_what_became_of_each_column_is_printed_and_kept(tmp_path, capsys):
    path = write(tmp_path / "t.csv", with_cell(""))
    assert cli.main(["train", path, "--target", "t", *SHORT, "--out", "run"]) == 0
    shown = capsys.readouterr().out
    kept = (tmp_path / "run/README.md").read_text()
    for words in (" and a column that says so", "2 classes: a 4"):
        assert words in shown
        assert words in kept


# -- missing values ----------------------------------------------------------------------------


def holes(rng, rows=300, share=0.1):
    """Return the rows of a table with gaps of every kind in every column, the target's too."""
    x = rng.normal(size=rows).round(3)
    c = rng.choice(["u", "v", "w"], rows)
    t = np.where(x + (c == "u") > 0.3, "yes", "no")
    cells = np.array([x.astype(str), c, t], object)
    for k, words in enumerate((["", "?", "NA", "-"], ["", "?", "NA"], ["", "?"])):
        gone = rng.random(rows) < share
        cells[k, gone] = rng.choice(words, gone.sum())
    return "x,c,t\n" + "".join(",".join(row) + "\n" for row in cells.T)


def test_gaps_everywhere_train_at_once(tmp_path, capsys):
    write(tmp_path / "t.csv", holes(np.random.default_rng(0)))
    words = ["train", "t.csv", "--target", "t", "--out", "run", "--threads", "1"]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "rows without 't' are left out" in out
    assert "one-hot, 3 categories and one for missing" in out
    new = "c,x\n,1\nnever seen,?\nu,\n"
    write(tmp_path / "new.csv", new)
    assert cli.main(["predict", "run", "new.csv", "-o", "out.csv"]) == 0
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert rows[0] == "t,t=no,t=yes"
    assert len(rows) == 4
    for row in rows[1:]:
        label, *p = row.split(",")
        assert label in ("no", "yes")
        assert sum(map(float, p)) == pytest.approx(1, abs=1e-5)


def test_a_category_called_na_is_no_hindrance(tmp_path):
    row = lambda k: f"{['NA', 'DE', 'FR'][k % 3]},{'ab'[k % 2]}"  # noqa: E731
    path = write(tmp_path / "t.csv", lines(N, row, "country,t"))
    assert Table.learn(path, "t").features == ("country=DE", "country=FR", "country is missing")


def test_none_is_a_class_and_a_category(tmp_path):
    row = lambda k: f"{k * 7 % 13},{['none', 'mild', 'severe'][k % 3]}"  # noqa: E731
    path = write(tmp_path / "t.csv", lines(N, row, "x,t"))
    assert Table.learn(path, "t").classes == ("mild", "none", "severe")
    assert Table.learn(path, "x").features == ("t=mild", "t=none", "t=severe")


def test_a_target_without_any_value_is_refused(tmp_path, capsys):
    write(tmp_path / "t.csv", lines(N, lambda k: f"{k % 7},?", "x,t"))
    said = refusal(capsys, "train", "t.csv", "--target", "t")
    assert "t.csv, column 't': the value is missing in every row" in said


# -- messages ----------------------------------------------------------------------------------


def test_c3_paths_are_taken(tmp_path):
    write(tmp_path / "t.csv", with_cell("30"))
    assert data.open_dataset(tmp_path / "t.csv", target="t").classes == ("a", "b")


def test_c20_one_class_is_said_plainly(tmp_path, capsys):
    write(tmp_path / "t.csv", lines(N, lambda k: f"{k % 7},x", "x,t"))
    said = refusal(capsys, "train", "t.csv", "--target", "t")
    assert "t.csv, column 't': holds only 'x'; classification needs two classes" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope", "--target", "x"], "nope: no such file"),
        (["t.csv", "--target", "z"], "no target column 'z'; the columns are 'age', 'x', 't'"),
        (["t.csv", "--target", "t", "--drop", "t"], "drop names 't', which is the target"),
        (["t.csv", "--target", "t", "--drop", "z"], "no drop column 'z'"),
        (["t.csv", "--target", "t", "--drop", "age,x"], "no column is left to learn 't' from"),
        (
            ["t.csv", "--target", "t", "--epochs", "abc"],
            "--epochs: invalid: expected a whole number",
        ),
        (
            ["t.csv", "--target", "t", "--units", "64,a"],
            "--units: invalid: expected a whole number",
        ),
        (["t.csv", "--target", "t", "--units", ""], "--units: invalid: expected a whole number"),
        (["t.csv", "--target", "t", "--size", "8x"], "--size: invalid: expected a whole number"),
        (["t.csv", "--target", "t", "--lr", "fast"], "--lr: expected a number, got 'fast'"),
        (["t.csv", "--target", "t", "--delimiter", "ab"], "expected one character, or tab"),
        (["t.csv", "--target", "t", "--modle", "mlp"], "did you mean --model?"),
        (["t.csv", "--target", "t", "--cv", "1"], "parts must be at least 2"),
        (["t.csv", "--cv", "3"], "name the column to learn with --target"),
        (["--cv", "3"], "--cv: takes a table"),
        (
            ["t.csv", "--target", "t", "--model", "resnet-tabular", "--units", "3"],
            "takes no --units",
        ),
    ],
)
def test_c21_c22_c31_c34_refusals_say_what_to_do(tmp_path, capsys, arguments, message):
    write(tmp_path / "t.csv", with_cell("30"))
    assert message in refusal(capsys, "train", *arguments)
    assert [path.name for path in tmp_path.iterdir() if path.name != "runs"] == ["t.csv"]


def test_c34_the_version_and_words_that_are_nearly_right(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("steep 0.")
    assert "did you mean train?" in refusal(capsys, "trian")
    assert "(`steep train --help` lists all)" in refusal(capsys, "train", "--epochs")


def test_c1_a_network_that_does_not_fit_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    said = refusal(capsys, "train", "digits", "--units", "2000000,2000000")
    assert "4000148000000 weights need about" in said
    assert "are free. Take fewer units" in said


def test_c30_a_split_with_classes_of_another_length(tmp_path):
    with pytest.raises(ValueError, match="classes must have 10 entries, got 2"):
        data.split(10, classes=[0, 1])
