"""`steep train`, `predict`, `evaluate` on tables, end to end; streams, folders and full disks."""

import csv
import errno
import json
import os
import shlex
import subprocess
import sys
import threading

import numpy as np
import pytest
from steep import cli, data
from steep.commands import measures, run_folder
from steep.commands.trained import Trained
from steep.data.split import folds
from steep.files import atomic
from tables import SHORT, lines, refusal, trained, write

N = 200


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 3, N).round(3), rng.choice(["x", "y", "z"], N)
    price = (100 + 10 * a + np.where(b == "x", 30, 0)).round(2)
    kind = np.where(a + 2 * (b == "x") > 6, "big", "small")
    row = lambda k: f"{k},{a[k]},{b[k]},{price[k]},{kind[k]}"  # noqa: E731
    write(tmp_path / "t.csv", lines(N, row, "Id,a,b,price,kind"))


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def said(capsys, *arguments):
    capsys.readouterr()
    assert cli.main([str(word) for word in arguments]) == 0
    return capsys.readouterr().out


# -- predict and evaluate ----------------------------------------------------------------------


def test_predictions_are_those_of_the_run(capsys):
    result = trained(capsys, "t.csv", "kind", "--drop", "price", "--epochs", "40")
    assert result["test"]["accuracy"] > 0.9
    out = said(capsys, "predict", "run", "t.csv", "-o", "out.csv", "--copy", "Id", "--copy", "b")
    assert out == "out.csv: 200 predictions of 'kind'\n"
    rows, given = rows_of("out.csv"), rows_of("t.csv")
    assert list(rows[0]) == ["Id", "b", "kind", "kind=big", "kind=small"]
    assert [row["Id"] for row in rows] == [row["Id"] for row in given]
    assert [row["b"] for row in rows] == [row["b"] for row in given]
    for row in rows:
        p = {name: float(row[f"kind={name}"]) for name in ("big", "small")}
        assert sum(p.values()) == pytest.approx(1, abs=1e-5)
        assert row["kind"] == max(p, key=p.get)
    made = data.open_dataset("t.csv", target="kind", drop=["price"])
    run = Trained.load("run")
    p = run.predict(made.test[0])
    assert measures.classification(p, made.test[1]) == pytest.approx(
        {k: v for k, v in result["test"].items()}
    )


def test_regression_is_in_the_units_of_the_data(capsys):
    result = trained(
        capsys, "t.csv", "price", "--drop", "kind", "--epochs", "150", "--patience", "50"
    )
    assert result["test"]["rmse"] < 8
    assert result["guessing"]["metric"] == "rmse"
    assert result["guessing"]["value"] > 20
    said(capsys, "predict", "run", "t.csv", "-o", "out.csv")
    rows, given = rows_of("out.csv"), rows_of("t.csv")
    assert list(rows[0]) == ["price"]
    error = [float(a["price"]) - float(b["price"]) for a, b in zip(rows, given, strict=True)]
    assert np.sqrt(np.mean(np.square(error))) < 8
    shown = said(capsys, "evaluate", "run", "t.csv")
    assert f"rmse               {np.sqrt(np.mean(np.square(error))):.4f}" in shown


def test_evaluation_has_intervals_and_a_matrix(capsys):
    trained(capsys, "t.csv", "kind", "--drop", "price", "--epochs", "40")
    found = json.loads(said(capsys, "evaluate", "run", "t.csv", "--json"))
    assert found["samples"] == N
    assert np.sum(found["confusion"]) == N
    for name in ("accuracy", "balanced_accuracy", "log_loss", "auc"):
        low, high = found["metrics"][name]["interval"]
        assert low <= found["metrics"][name]["value"] <= high
        assert low < high or found["metrics"][name]["value"] in (0, 1)
    shown = said(capsys, "evaluate", "run", "t.csv")
    assert "true   big  small  recall" in shown
    assert shown.startswith("t.csv: 200 rows\naccuracy ")


def test_predictions_go_to_the_screen_and_say_json(capsys):
    trained(capsys, "t.csv", "kind")
    assert said(capsys, "predict", "run", "t.csv").startswith("kind,kind=big,kind=small\n")
    found = json.loads(said(capsys, "predict", "run", "t.csv", "-o", "o.csv", "--json"))
    assert found == {"out": "o.csv", "rows": N, "columns": ["kind", "kind=big", "kind=small"]}


def test_a_table_without_names_is_predicted_without_its_target(tmp_path, capsys):
    write(tmp_path / "n.csv", lines(N, lambda k: f"{k % 7},{'ab'[k % 2]},{k * 5 % 13}"))
    trained(capsys, "n.csv", "1")
    write(tmp_path / "new.csv", "3,4\n5,6\n7,1\n")
    assert len(said(capsys, "predict", "run", "new.csv").splitlines()) == 4
    whole = said(capsys, "predict", "run", "n.csv")
    write(tmp_path / "less.csv", lines(N, lambda k: f"{k % 7},{k * 5 % 13}"))
    assert said(capsys, "predict", "run", "less.csv") == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n1\n", "new.csv: lacks 'b', 'price', which the table was learned with"),
        ("a,b,price\n1,x,much\n2,x,3\n", "new.csv, line 2, column 'price': 'much' in a column"),
        ("a,b,price\n1,x\n", "new.csv, line 2, 2 cells, expected 3"),
        ("", "new.csv: is empty"),
    ],
)
def test_new_rows_that_do_not_fit_are_refused(tmp_path, capsys, text, message):
    trained(capsys, "t.csv", "kind")
    write(tmp_path / "new.csv", text)
    assert message in refusal(capsys, "predict", "run", "new.csv", "-o", "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_other_refusals_of_predict_and_evaluate(tmp_path, capsys):
    assert "none: no run is here" in refusal(capsys, "predict", "none", "t.csv")
    assert cli.main(["train", "digits", *SHORT, "--quiet", "--out", "d"]) == 0
    assert "d: is a run on digits, which is no table" in refusal(capsys, "predict", "d", "t.csv")
    trained(capsys, "t.csv", "kind")
    assert "no column 'z' to copy" in refusal(capsys, "predict", "run", "t.csv", "--copy", "z")
    assert "No such file" in refusal(capsys, "predict", "run", "nope.csv")
    said = refusal(capsys, "predict", "run", "t.csv", "-o", "no/such/out.csv")
    assert "no/such/out.csv" in said
    write(tmp_path / "new.csv", "a,b,price\n1,x,3\n")
    assert "new.csv: lacks the target 'kind'" in refusal(capsys, "evaluate", "run", "new.csv")
    write(tmp_path / "new.csv", "a,b,price,kind\n1,x,3,huge\n")
    said = refusal(capsys, "evaluate", "run", "new.csv")
    assert "new.csv, line 2, column 'kind': 'huge' is no class that was learned" in said
    (tmp_path / "run/table.json").write_text("{")
    assert "table.json: not the recipe" in refusal(capsys, "predict", "run", "t.csv")


# -- train -------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["mlp", "linear", "resnet-tabular", "tabm"])
@pytest.mark.parametrize("target", ["kind", "price"])
def test_models_of_tables(capsys, model, target):
    words = ["train", "t.csv", "--target", target, "--model", model, "--out", "run", "--json"]
    found = json.loads(said(capsys, *words, "--drop", "price" if target == "kind" else "kind"))
    assert found["test"]["accuracy" if target == "kind" else "r2"] > 0.8
    said(capsys, "predict", "run", "t.csv", "-o", "out.csv")


def test_the_best_epoch_is_kept_by_default(capsys):
    found = trained(capsys, "t.csv", "kind", "--epochs", "60", "--lr", "0.05", "--patience", "5")
    assert found["best_epoch"] < found["epochs"] < 60
    history = rows_of("run/history.csv")
    losses = [float(row["val_loss"]) for row in history]
    assert found["best_epoch"] == 1 + int(np.argmin(losses))
    assert found["validation"]["log_loss"] == pytest.approx(min(losses), rel=1e-5)
    plain = trained(capsys, "t.csv", "kind", "--no-early-stopping", "--epochs", "12", out="b")
    assert (plain["epochs"], plain.get("best_epoch")) == (12, None)
    none = trained(capsys, "t.csv", "kind", "--validation", "0", "--epochs", "12", out="c")
    assert (none["epochs"], none.get("validation")) == (12, None)


def test_cross_validation_tests_every_row_once(capsys):
    found = trained(capsys, "t.csv", "kind", "--drop", "price", "--epochs", "20", "--cv", "4")["cv"]
    assert found["folds"] == 4
    values = found["values"]["accuracy"]
    assert len(values) == 4
    mean, deviation = found["metrics"]["accuracy"]
    assert (mean, deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert json.loads(_text("run/metrics.json"))["cv"] == found
    parts = folds(N, 4, seed=0, classes=np.arange(N) % 2)
    assert sorted(np.concatenate(parts).tolist()) == list(range(N))
    assert {int(np.sum(part % 2)) for part in parts} == {25}
    shown = said(capsys, "train", "t.csv", "--target", "kind", *SHORT, "--cv", "2", "--out", "b")
    assert "fold 2/2: accuracy" in shown
    assert "2 folds: accuracy" in shown


def test_the_folder_explains_itself(capsys):
    trained(capsys, "t.csv", "kind", "--cv", "2")
    page = _text("run/README.md")
    for words in (
        "# t\n", "Trained by steep on `t.csv`, target `kind`",
        "| Id | left out |  | counts the rows |", "| a | number |", "- model: mlp", "- seed: 0",
        "| test | accuracy | 0.", "| 2 folds | accuracy", "steep predict run NEW.csv",
        "steep evaluate run LATER.csv", "`table.json`",
    ):  # fmt: skip
        assert words in page
    assert "export" not in page


def _text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_json_is_all_that_is_printed(capsys):
    capsys.readouterr()
    words = ["train", "t.csv", "--target", "kind", *SHORT, "--cv", "2", "--json", "--out", "run"]
    assert cli.main(words) == 0
    streams = capsys.readouterr()
    assert set(json.loads(streams.out)) >= {
        "folder",
        "samples",
        "test",
        "validation",
        "cv",
        "epochs",
    }
    assert streams.err == ""


# -- going on ----------------------------------------------------------------------------------


def test_c7_a_run_goes_on_from_another_folder(tmp_path, capsys, monkeypatch):
    trained(capsys, "t.csv", "kind")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    said(capsys, "train", "--out", "../run", "--resume", "--quiet")
    said(capsys, "train", "../t.csv", "--out", "../run", "--resume", "--quiet")
    (tmp_path / "t.csv").rename(tmp_path / "moved.csv")
    assert "t.csv" in refusal(capsys, "train", "--out", "../run", "--resume")
    said(capsys, "train", "../moved.csv", "--out", "../run", "--resume", "--quiet")
    write(tmp_path / "moved.csv", _text(tmp_path / "moved.csv").replace("big", "huge"))
    message = refusal(capsys, "train", "../moved.csv", "--out", "../run", "--resume")
    assert "has changed since the run began" in message


def test_c8_a_finished_run_can_be_trained_longer(capsys):
    assert trained(capsys, "t.csv", "kind", "--epochs", "3")["epochs"] == 3
    assert "leave out --epochs" in refusal(
        capsys, "train", "--out", "run", "--resume", "--epochs", "2"
    )
    found = json.loads(said(capsys, "train", "--out", "run", "--resume", "--epochs", "6", "--json"))
    assert found["epochs"] == 6
    history = rows_of("run/history.csv")
    assert [row["epoch"] for row in history] == list("123456")
    assert float(history[5]["lr"]) < float(history[4]["lr"]) > 0
    again = json.loads(said(capsys, "train", "--out", "run", "--resume", "--json"))
    assert again["epochs"] == 6


# -- streams, folders, disks -------------------------------------------------------------------


def program(*arguments, **more):
    return subprocess.Popen(
        [sys.executable, "-m", "steep", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more,
    )  # fmt: skip


def test_c4_training_outlives_its_reader(tmp_path):
    words = ["train", "t.csv", "--target", "kind", "--epochs", "300", "--no-early-stopping"]
    words += ["--model", "mlp"]
    process = program(*words, "--out", "run", env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert (tmp_path / "run/weights.safetensors").exists()
    assert len(rows_of("run/history.csv")) == 300


def test_c5_names_that_the_terminal_does_not_have(tmp_path):
    (tmp_path / "t.csv").rename(tmp_path / "données é.csv")
    words = ["train", "données é.csv", "--target", "kind", *SHORT, "--out", "ö"]
    process = program(*words, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert "donn\\xe9es" in out
    assert (tmp_path / "ö/README.md").exists()


def test_c6_runs_that_begin_together_have_folders_of_their_own():
    made, start = [], threading.Barrier(8)

    def begin():
        start.wait()
        made.append(run_folder.create(None, "digits"))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8


def test_c37_a_full_disk_costs_checkpoints_only(tmp_path, capsys, monkeypatch):
    real, full = atomic.replace, {"now": True}

    def replace(path, *arguments, **options):
        if full["now"] and path.name == run_folder.HISTORY:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, *arguments, **options)

    from steep.commands import job

    keep = job.Job.save

    def save(self, interrupted=False):
        full["now"] = False
        keep(self, interrupted)

    monkeypatch.setattr(atomic, "replace", replace)
    monkeypatch.setattr(job.Job, "save", save)
    assert cli.main(["train", "t.csv", "--target", "kind", *SHORT, "--quiet", "--out", "run"]) == 0
    err = capsys.readouterr().err
    assert "no checkpoint:" in err
    assert "training goes on" in err
    assert (tmp_path / "run/weights.safetensors").exists()


def test_c36_an_interrupt_while_everything_is_imported_is_one_line():
    code = (
        "import sys, steep.cli as cli\n"
        "class Find:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'steep.commands.train': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Find())\n"
        "sys.exit(cli.main(['train']))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert (process.returncode, process.stdout) == (130, "")
    assert process.stderr == "steep train: interrupted\n"


# -- measures ----------------------------------------------------------------------------------


def test_measures_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1], 300)
    p[::7] = [0.5, 0.5]
    y = (rng.random(300) < p[:, 1]).astype(np.int64)
    found = measures.classification(p, y)
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(y, p[:, 1]))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p))
    guess = p.argmax(axis=1)
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(y, guess))
    values, truth = rng.normal(size=50), rng.normal(size=50)
    found = measures.regression(values, truth)
    assert found["r2"] == pytest.approx(metrics.r2_score(truth, values))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, values))


def test_intervals_are_as_wide_as_theory_has_them():
    rng = np.random.default_rng(0)
    y = np.zeros(400, np.int64)
    right = rng.random(400) < 0.8
    p = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    low, high = measures.intervals(measures.classification, p, y)["accuracy"]
    share = right.mean()
    wide = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert (low, high) == pytest.approx((share - wide, share + wide), abs=0.006)


# -- odd ways ------------------------------------------------------------------------------------


def test_commands_of_a_run_folder_with_blanks_are_quoted(capsys):
    """What its README has under "Go on" runs as it stands."""
    said(capsys, "train", "t.csv", "--target", "price", "--out", "my runs/a $b", "--epochs", "2",
         "--model", "linear")  # fmt: skip
    with open("my runs/a $b/README.md", encoding="utf-8") as file:
        block = file.read().split("```sh\n")[1].split("```")[0]
    names = {"NEW.csv": "t.csv", "LATER.csv": "t.csv", "PREDICTED.csv": "out.csv"}
    for line in block.splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == "steep"
        said(capsys, *(names.get(word, word) for word in words))
    assert len(rows_of("out.csv")) == N


@pytest.mark.parametrize("name", ["out.xlsx", "out.Parquet", "out.json"])
def test_predictions_are_no_files_of_other_kinds(capsys, name):
    said(capsys, "train", "t.csv", "--target", "price", "--out", "run", "--epochs", "2",
         "--model", "linear")  # fmt: skip
    assert cli.main(["predict", "run", "t.csv", "-o", name]) == 2
    assert f"-o {name}: predictions are written as CSV" in capsys.readouterr().err
    assert not os.path.exists(name)


def test_a_file_with_lists_in_it(capsys):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = {"a": [*range(60)], "l": [[1, 2]] * 60, "t": [k % 9 / 2 for k in range(60)]}
    parquet.write_table(pa.table(values | {"s": [{"x": 1}] * 60}), "t.parquet")
    given = ["train", "t.parquet", "--target", "t", "--epochs", "2", "--model", "linear"]
    given += ["--keep", "a"]
    assert cli.main(given) == 2
    assert "t.parquet, column 'l': holds ndarray in row 0, expected" in capsys.readouterr().err
    said(capsys, *given, "--drop", "l,s", "--out", "run")
    said(capsys, "predict", "run", "t.parquet", "-o", "out.csv")
    assert cli.main(["predict", "run", "t.parquet", "--copy", "s"]) == 2
    assert "column 's': holds dict in row 0" in capsys.readouterr().err


def test_a_folder_with_a_table_names_it(capsys):
    os.mkdir("data")
    os.rename("t.csv", "data/t.csv")
    assert cli.main(["train", "data"]) == 2
    assert "Of a table name the file: 't.csv' is there." in capsys.readouterr().err
