"""`steep train text.txt` and `steep generate`: parts of a text, run folders, what is refused."""

import json
import subprocess
import sys

import numpy as np
import pytest
import steep
from steep import cli
from steep.commands import recipe as recipes
from steep.commands import texts, train
from test_cli import FILES, refused

SENTENCE = "to be, or not to be, that is the question: "
SHORT = ["--context", "16", "--units", "32", "--epochs", "2", "--quiet"]


@pytest.fixture(autouse=True)
def text(tmp_path, monkeypatch):
    """Return the name of a text in a folder of its own, where the test is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(SENTENCE * 40, encoding="utf-8")
    return "text.txt"


def characters(data, rows):
    return "".join(data.classes[k] for k in rows.ravel())


def test_the_end_is_held_out_and_the_middle_validates(tmp_path):
    letters = "".join(chr(97 + k % 26) for k in range(1000))
    (tmp_path / "abc.txt").write_text(letters)
    data = texts.opened("abc.txt", "gpt", 9, 0.2)
    X, y = data.train
    assert X.shape == y.shape == ((700 - 10) // 2 + 1, 9)  # windows at every second place
    assert characters(data, X[3]) == letters[6:15]
    assert characters(data, y[3]) == letters[7:16]
    for (X, y), part in ((data.validation, letters[700:900]), (data.test, letters[900:])):
        n = (len(part) - 1) // 9
        assert characters(data, X) == part[: 9 * n]
        assert characters(data, y) == part[1 : 9 * n + 1]
    assert texts.opened("abc.txt", "gpt", 9, 0.0).validation is None


def test_rows_of_a_text_that_keep_their_states(text, tmp_path, capsys):
    """One run, resumed in the middle, and what it writes: past its context, too."""
    options = ["--model", "lstm", "--stateful", "--batch-size", "8", "--lr", "0.01", *SHORT]
    options[options.index("--epochs") + 1] = "40"
    assert cli.main(["train", text, *options, "--out", "run"]) == 0
    capsys.readouterr()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["recipe"]["stateful"] is True
    data = train.opened(recipes.Recipe.from_json(config["recipe"]))
    whole = SENTENCE * 40
    n = (1376 - 1) // 8 // 16  # pieces of a row
    assert len(data.train[0]) == 8 * n
    for row in (0, 3, 7):
        read = characters(data, data.train[0][row::8])
        assert read == whole[16 * n * row : 16 * n * (row + 1)]
    assert cli.main(["generate", "run", "or not to", "--temperature", "0", "--length", "60"]) == 0
    assert capsys.readouterr().out == (SENTENCE * 3)[7:76] + "\n"
    for name in FILES - {"config.json"}:
        (tmp_path / "run" / name).rename(tmp_path / name)
    assert cli.main(["train", "--out", "run", "--resume", "--quiet"]) == 0
    a, b = (tmp_path / out / "weights.safetensors" for out in ("", "run"))
    assert a.read_bytes() == b.read_bytes()


def test_where_no_states_are_kept_none_are_asked_for(text, capsys):
    for arguments, message in (
        (["--model", "gpt"], "--model gpt: takes no --stateful; --model lstm does."),
        (["--model", "lstm", "--batch-size", "90"], "reads 90 rows of 16 at once: 1376 characters"),
    ):
        assert message in refused(capsys, "train", text, "--stateful", *SHORT, *arguments)
    assert "takes no --stateful" in refused(capsys, "train", "--stateful")


@pytest.mark.parametrize("model", ["gpt", "lstm"])
def test_a_run_on_a_text_writes_on(text, tmp_path, capsys, model):
    options = ["--context", "16", "--units", "32", "--epochs", "12", "--lr", "0.01", "--quiet"]
    assert cli.main(["train", text, "--model", model, *options, "--out", "run"]) == 0
    assert "test loss" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    page = (tmp_path / "run" / "README.md").read_text()
    assert 'steep generate run "PROMPT"' in page
    assert "- context: 16" in page
    result = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert result["test"]["accuracy"] > 2 * result["guessing"]["value"]
    assert cli.main(["generate", "run", "or not to", "--temperature", "0", "--length", "12"]) == 0
    assert capsys.readouterr().out == SENTENCE[7:28] + "\n"
    drawn = []
    for seed in ("1", "1", "2"):
        hot = ["--temperature", "9", "--seed", seed, "--top-k", "5"]
        assert cli.main(["generate", "run", "t", "--length", "40", *hot]) == 0
        drawn.append(capsys.readouterr().out)
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(made) == 42 for made in drawn)


def test_the_result_is_that_of_the_test_part(text, tmp_path):
    assert cli.main(["train", text, "--model", "lstm", *SHORT, "--out", "run"]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    data = train.opened(recipes.Recipe.from_json(config["recipe"]))
    assert config["data"]["classes"] == list(data.classes)
    net = steep.models.char_lstm(len(data.classes), 32, 1, 16).build()
    net.load_weights(tmp_path / "run" / "weights.safetensors")
    z = net.predict(data.test[0]).astype(np.float64)
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    loss = -np.log(np.take_along_axis(p, data.test[1][..., None].astype(int), -1)).mean()
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert found["loss"] == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize("model", ["gpt", "lstm"])
def test_a_run_on_a_text_goes_on(text, tmp_path, model):
    options = ["--model", model, *SHORT]
    assert cli.main(["train", text, *options, "--out", "whole"]) == 0
    assert cli.main(["train", text, *options, "--out", "run"]) == 0
    for name in FILES - {"config.json"}:
        (tmp_path / "run" / name).unlink()
    assert cli.main(["train", "--out", "run", "--resume", "--quiet"]) == 0
    a, b = (tmp_path / out / "weights.safetensors" for out in ("whole", "run"))
    assert a.read_bytes() == b.read_bytes()


def test_a_text_has_a_report(text, tmp_path):
    pytest.importorskip("matplotlib")
    assert cli.main(["train", text, "--model", "gpt", *SHORT, "--out", "run"]) == 0
    assert cli.main(["report", "run"]) == 0
    assert "accuracy" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--context", "300"], "text.txt: is too short, its parts have 1376, 172, 172 characters"),
        (["--target", "price"], "--model gpt: takes a text; leave out --target"),
        (["--delimiter", ";", "--size", "4,4"], "leave out --size, --delimiter"),
        (["--units", "32,16"], "--units 32,16: --model gpt has layers of one width"),
        (["--validation", "0.7"], "--validation: expects a share from 0 to 0.5"),
        (["--cv", "3"], "--cv: takes a table"),
        (["--augment", "flip"], "augment: needs images"),
        (["--members", "3"], "takes no --members"),
    ],
)
def test_what_a_text_cannot_be_trained_with_is_refused(text, tmp_path, capsys, arguments, message):
    assert message in refused(capsys, "train", text, "--model", "gpt", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_what_is_no_text_is_refused(tmp_path, capsys):
    (tmp_path / "latin.txt").write_bytes("K\u00f6nig".encode("latin-1"))
    (tmp_path / "empty.txt").touch()
    for name, message in (
        ("none.txt", "none.txt: no such file. --model lstm takes a text"),
        ("latin.txt", "latin.txt: no text in UTF-8"),
        ("empty.txt", "empty.txt: no text in UTF-8 (Text: is empty)"),
    ):
        assert message in refused(capsys, "train", name, "--model", "lstm")
    assert "--model mlp: takes no --context" in refused(capsys, "train", "--context", "9")


def test_a_prompt_must_be_known_and_a_run_must_write(text, capsys):
    assert cli.main(["train", text, "--model", "gpt", *SHORT, "--out", "run"]) == 0
    assert cli.main(["train", "--units", "4", "--epochs", "1", "--quiet", "--out", "digits"]) == 0
    capsys.readouterr()
    for arguments, message in (
        (["run", "to bé?"], "PROMPT: 'é', '?' never came in text.txt"),
        (["run", ""], "PROMPT: is empty"),
        (["digits", "a"], "digits: is a run of mlp, which writes no text"),
        (["none", "a"], "none: no run is here"),
        (["run", "to", "--temperature", "-1"], "temperature"),
        (["run", "to", "--length", "0"], "--length"),
        (["run", "to", "--stride", "17"], "stride must be 1 to 16, the context, got 17"),
    ):
        assert message in refused(capsys, "generate", *arguments)


def test_the_program_prints_texts_of_any_letters(tmp_path):
    (tmp_path / "text.txt").write_text("äöü ßé " * 100, encoding="utf-8")
    run = [sys.executable, "-m", "steep"]
    train_it = [*run, "train", "text.txt", "--model", "lstm", *SHORT, "--out", "run"]
    subprocess.run(train_it, check=True, capture_output=True)
    made = subprocess.run(
        [*run, "generate", "run", "äöü", "--length", "9"], check=True, capture_output=True
    )
    assert made.stdout.decode().startswith("äöü")
    assert len(made.stdout.decode().rstrip("\n")) == 12
