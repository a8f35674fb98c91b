"""The program `steep`: what it prints, which files it writes, and how it refuses."""

import csv
import dataclasses
import functools
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import steep
from steep import _core, cli, data
from steep.commands import recipe as recipes
from steep.commands import zoo

SHORT = ["--units", "16", "--epochs", "3", "--quiet"]
FILES = {
    "README.md", "config.json", "curve.png", "history.csv", "metrics.json",
    "trainer.safetensors", "weights.safetensors",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEEP_DATA", raising=False)


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 3, 300), rng.choice(["x", "y"], 300)
    price = 100 + 10 * a + np.where(b == "x", 30, 0)
    kind = np.where(a + 2 * (b == "x") > 6, "big", "small")
    lines = [f"{p},{q},{r},{s}" for p, q, r, s in zip(a, b, price, kind, strict=True)]
    path = tmp_path / "table.csv"
    path.write_text("a,b,price,kind\n" + "\n".join(lines) + "\n")
    return str(path)


def refused(capsys, *arguments):
    """Exit code 2 and one line on stderr, which is returned."""
    try:
        code = cli.main(list(arguments))
    except SystemExit as error:  # argparse
        code = error.code
    streams = capsys.readouterr()
    assert code == 2
    assert streams.out == ""
    assert streams.err.count("\n") == 1
    assert streams.err.startswith("steep")
    return streams.err


def data_of(path):
    from safetensors.numpy import load_file

    return load_file(path)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


# -- the main job --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_train_digits_reaches_097(tmp_path, capsys, seed):
    start = time.perf_counter()
    assert cli.main(["train", "--seed", str(seed), "--out", "run"]) == 0
    assert time.perf_counter() - start < 30
    out = capsys.readouterr().out
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["samples"] == 364
    assert metrics["test"]["accuracy"] >= 0.97
    assert f"test accuracy {metrics['test']['accuracy']:.4f}" in out.replace("test loss", "")
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    assert (tmp_path / "run/curve.png").read_bytes()[:4] == b"\x89PNG"


def test_the_folder_is_named_after_data_and_time(tmp_path):
    for _ in range(2):
        assert cli.main(["train", "digits", *SHORT]) == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(names) == 2
    assert all(name.startswith("digits-") for name in names)


def test_weights_in_the_folder_are_the_trained_network(tmp_path):
    assert cli.main(["train", *SHORT, "--out", "run", "--seed", "5"]) == 0
    config = json.loads((tmp_path / "run/config.json").read_text())
    recipe = recipes.Recipe.from_json(config["recipe"])
    assert (recipe.units, recipe.epochs, recipe.seed) == ((16,), 3, 5)
    net = recipes.build_network(recipe, data.open_dataset("digits"))
    net.load_weights(tmp_path / "run/weights.safetensors")
    (_, _), (X, y) = data.load("digits")
    accuracy = (net.predict(X).argmax(axis=1) == y).mean()
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["test"]["accuracy"] == pytest.approx(accuracy, abs=1e-9)
    trainer = steep.Trainer.load(tmp_path / "run/trainer.safetensors")
    for name, value in trainer.net.state_dict().items():
        np.testing.assert_array_equal(value, net.state_dict()[name])
    history = rows(tmp_path / "run/history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "lr"} <= set(history[0])


def test_same_seed_same_bytes_and_config_repeats_it(tmp_path):
    for out, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        assert cli.main(["train", *SHORT, "--seed", seed, "--threads", "2", "--out", out]) == 0
    a, b, c = (tmp_path / out / "weights.safetensors" for out in "abc")
    assert a.read_bytes() == b.read_bytes() != c.read_bytes()


def test_every_option_reaches_the_trainer(tmp_path):
    options = (
        "--model mlp --units 12,8 --epochs 2 --batch-size 50 --optimizer nesterov --lr 0.02 "
        "--momentum 0.8 --schedule step --dropout 0.1 --l1 1e-5 --l2 1e-4 --clip-norm 1.5 "
        "--seed 3 --threads 1 --early-stopping --patience 4 --validation 0.2 --quiet --out run"
    )
    assert cli.main(["train", "digits", *options.split()]) == 0
    trainer = steep.Trainer.load(tmp_path / "run/trainer.safetensors")
    saved = json.loads((tmp_path / "run/config.json").read_text())
    assert trainer.optimizer.get_config()["optimizer"] == "SGD"
    assert saved["optimizer"] == trainer.optimizer.get_config()
    assert saved["data"]["samples"] == {"train": 1146, "validation": 287, "test": 364}
    limits = {"l1": 1e-5, "l2": 1e-4, "clip_norm": 1.5, "clip_value": None}
    assert {name: getattr(trainer, name) for name in limits} == limits
    assert saved["recipe"]["patience"] == 4
    assert next(row["lr"] for row in rows(tmp_path / "run/history.csv")) == "0.002"


@pytest.mark.parametrize("name", sorted(recipes.SCHEDULES))
def test_every_schedule_begins_and_ends_where_it_should(name):
    schedule = recipes.SCHEDULES[name](0.1, 1000)
    if name == "constant":
        assert schedule == 0.1
        return
    first, last = schedule(0), schedule(999)
    assert first == pytest.approx(0.004 if name == "onecycle" else 0.1)
    assert 0 <= last <= 0.1 * 0.0101


@pytest.mark.parametrize("name", sorted(steep.optimizers.TABLE))
def test_every_optimizer_by_name(name):
    assert cli.main(["train", "--optimizer", name, *SHORT, "--out", name]) == 0


# -- tables and other data -----------------------------------------------------------------------


def test_csv_regression_in_the_units_of_the_data(tmp_path, table, capsys):
    options = ["--target", "price", "--drop", "kind", "--quiet", "--out", "run"]
    assert cli.main(["train", table, *options]) == 0
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())["test"]
    assert metrics["r2"] > 0.98
    assert metrics["rmse"] < 5  # the target's deviation is about 34
    assert "test rmse" in capsys.readouterr().out
    saved = json.loads((tmp_path / "run/config.json").read_text())["data"]
    assert saved["task"] == "regression"
    assert saved["preprocessing"]["columns"] == ["a", "b=x", "b=y"]
    assert saved["target"]["deviation"] == pytest.approx(34, abs=5)


def test_csv_classification(tmp_path, table):
    options = ["--target", "kind", "--drop", "price", "--quiet", "--out", "run"]
    assert cli.main(["train", table, *options]) == 0
    assert json.loads((tmp_path / "run/metrics.json").read_text())["test"]["accuracy"] > 0.9
    saved = json.loads((tmp_path / "run/config.json").read_text())["data"]
    assert saved["classes"] == ["big", "small"]


def test_npz_and_the_linear_model(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    np.savez(tmp_path / "d.npz", X=X, y=(X[:, 0] > X[:, 1]).astype(int))
    options = ["--model", "linear", "--epochs", "30", "--lr", "0.05", "--quiet", "--out", "run"]
    assert cli.main(["train", "d.npz", *options]) == 0
    assert json.loads((tmp_path / "run/metrics.json").read_text())["test"]["accuracy"] > 0.93


# -- images --------------------------------------------------------------------------------------


def folder_of_pictures(folder, count=25):
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 120)):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            image = rng.integers(low, low + 130, (9, 6, 3)).astype(np.uint8)
            Image.fromarray(image).save(folder / name / f"{k}.png")
    return folder.name


def test_a_folder_of_class_folders(tmp_path, capsys):
    folder = folder_of_pictures(tmp_path / "pictures")
    options = "--size 8,5 --augment flip,shift=1,cutout=2,fill=100 --epochs 30 --out run"
    assert cli.main(["train", folder, *options.split()]) == 0
    assert (
        "pictures: 35 training, 5 validation, 10 test samples of 8x5x3" in capsys.readouterr().out
    )
    assert json.loads((tmp_path / "run/metrics.json").read_text())["test"]["accuracy"] >= 0.9
    saved = json.loads((tmp_path / "run/config.json").read_text())
    assert saved["data"]["classes"] == ["dark", "light"]
    recipe = recipes.Recipe.from_json(saved["recipe"])
    assert (recipe.size, recipe.augment) == ((8, 5), "flip,shift=1,cutout=2,fill=100")
    made = recipes.build_augment(recipe, data.open_dataset(folder, size=(8, 5)))
    assert made == data.Augment(flip=True, shift=1, cutout=2, fill=100.0)


def test_augmentation_reaches_training(tmp_path):
    left = []
    for out, how in (("a", "none"), ("b", "flip"), ("c", "flip"), ("d", "flip,shift=1")):
        assert cli.main(["train", *SHORT, "--augment", how, "--out", out]) == 0
        left.append((tmp_path / out / "weights.safetensors").read_bytes())
    assert left[1] == left[2]
    assert len(set(left)) == 3
    assert cli.main(["train", *SHORT, "--out", "e"]) == 0
    assert (tmp_path / "e/weights.safetensors").read_bytes() == left[0]


@pytest.fixture
def small_lenet(monkeypatch):
    """A builder in the place of steep.models' own: it is quick, and notes what it was asked for."""
    asked = []

    def build(*arguments, classes=10, **options):
        asked.append((*arguments, classes, options))
        return steep.Sequential(Shape(asked), steep.layers.Flatten(), steep.layers.Dense(classes))

    for name in ("lenet5", "resnet_cifar"):
        monkeypatch.setattr(steep.models, name, build, raising=False)
    return asked


class Shape(steep.layers.Layer):
    """Notes the shape it sees."""

    def __init__(self, asked):
        super().__init__()
        self.asked = asked

    def call(self, x):
        self.asked.append(x.shape)
        return x


def test_image_models_get_images_with_channels(tmp_path, small_lenet):
    grey, colour = data.open_dataset("digits"), folder_of_pictures(tmp_path / "pictures")
    lenet = recipes.complete(recipes.Recipe(model="LeNet5"), 1000)
    net = recipes.build_network(lenet, grey)
    assert small_lenet == [(10, {}), (8, 8, 1)]
    assert net.predict(grey.test[0][:3]).shape == (3, 10)  # images as stored
    small_lenet.clear()
    plain = recipes.complete(recipes.Recipe(colour, model="plain32"), 1000)
    recipes.build_network(plain, data.open_dataset(colour))
    assert small_lenet == [(32, 2, {"plain": True}), (9, 6, 3)]


def test_image_models_have_settings_of_their_own(small_lenet):
    del small_lenet
    made = recipes.complete(recipes.Recipe("fashion-mnist", model="resnet20"), 54000)
    assert (made.optimizer, made.momentum, made.batch_size) == ("momentum", 0.9, 128)
    assert (made.schedule, made.l2, made.augment) == ("onecycle", 5e-4, "flip,shift=2")
    assert made.units == ()
    other = recipes.complete(
        recipes.Recipe("fashion-mnist", model="resnet20", optimizer="adam", augment="none"), 54000
    )
    assert (other.momentum, other.lr, other.l2, other.augment) == (None, None, 0.0, "none")
    recipes.build_optimizer(other, 54000)
    lenet = recipes.complete(recipes.Recipe("fashion-mnist", model="lenet5", epochs=2), 54000)
    assert (lenet.epochs, lenet.augment) == (2, "flip")
    rate = recipes.build_optimizer(lenet, 54000).lr
    assert max(rate(step) for step in range(0, 844, 4)) == pytest.approx(lenet.lr, rel=1e-3)


def test_every_image_model_is_named_after_a_builder():
    """A builder that steep.models has is offered; none other is."""
    for name, entry in zoo.ENTRIES.items():
        assert (name in recipes.names()) == hasattr(steep.models, entry.builder)
        made = zoo.settings(name, "digits")
        assert {"lr", "epochs", "batch_size", "optimizer", "schedule", "l2"} <= set(made)
        assert set(made) <= {field.name for field in dataclasses.fields(recipes.Recipe)}


def test_a_run_of_an_image_model_goes_on(tmp_path, monkeypatch):
    build = lambda classes: steep.models.mlp(8, classes)  # noqa: E731
    monkeypatch.setattr(steep.models, "lenet5", build, raising=False)
    options = ["--model", "lenet5", "--augment", "shift=1", "--epochs", "4", "--quiet"]
    assert cli.main(["train", *options, "--out", "whole"]) == 0
    assert cli.main(["train", *options, "--out", "run"]) == 0
    for name in FILES - {"config.json"}:
        (tmp_path / "run" / name).unlink()
    assert cli.main(["train", "--out", "run", "--resume", "--quiet"]) == 0
    a, b = (tmp_path / out / "weights.safetensors" for out in ("whole", "run"))
    assert a.read_bytes() == b.read_bytes()


def test_image_models_need_images(tmp_path, capsys, small_lenet):
    del small_lenet
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "t.npz", X=rng.normal(size=(60, 4)), y=np.arange(60) % 2)
    assert "--model lenet5: needs images, the samples here have shape (4,)" in refused(
        capsys, "train", "t.npz", "--model", "lenet5"
    )
    assert "augment: needs images" in refused(capsys, "train", "t.npz", "--augment", "flip")
    for option in (["--units", "4"], ["--dropout", "0.5"]):
        message = refused(capsys, "train", "--model", "lenet5", *option)
        assert "--model lenet5: takes no --units" in message
    assert [path.name for path in tmp_path.iterdir()] == ["t.npz"]


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["tarin"], "invalid choice: 'tarin'"),
        (["train", "digit"], 'did you mean "digits"'),
        (["train", "--optimizer", "adm"], 'unknown optimizer "adm"; did you mean "adam"'),
        (["train", "--model", "mpl"], 'did you mean "mlp"'),
        (["train", "--schedule", "cosin"], 'did you mean "cosine"'),
        (["train", "--task", "guess"], "invalid choice: 'guess'"),
        (["train", "--epochs", "0"], "argument --epochs: expected 1 or more, got 0"),
        (["train", "--epochs", "x"], "argument --epochs: invalid"),
        (["train", "--units", "12,-3"], "argument --units: expected 1 or more"),
        (["train", "--augment", "flop"], '--augment: "flop" is none of flip, shift=PIXELS'),
        (["train", "--augment", "flip=1"], '--augment: "flip=1" is none of'),
        (["train", "--augment", "flip,shift=x"], '--augment: "shift=x" is none of'),
        (["train", "--augment", "shift=-1"], "shift must be at least 0"),
        (["train", "--augment", "shift=8"], "shift must be less than height and width"),
        (["train", "--size", "8"], "argument --size: expected HEIGHT,WIDTH"),
        (["train", "--size", "8,8"], "--size scales the picture files"),
        (["train", "--lr", "-1"], "lr"),
        (["train", "--lr", "nan"], "lr"),
        (["train", "--dropout", "1"], "rate"),
        (["train", "--l2", "-0.1"], "l2"),
        (["train", "--clip-norm", "-2"], "clip_norm"),
        (["train", "--momentum", "0.5"], "--momentum: not an option of adam"),
        (["train", "--validation", "1.5"], "validation=1.5"),
        (["train", "--early-stopping", "--validation", "0"], "needs a validation part"),
        (["train", "--model", "linear", "--units", "4"], "takes no --units"),
        (["train", "--no-such"], "unrecognized arguments: --no-such"),
        (["train", "none.csv", "--target", "y"], "none.csv"),
        (["train", "fashion-mnist", "--root", "none"], "apt-get install dataset-fashion-mnist"),
        (["train", "--target", "y"], "--target and --drop name columns"),
        (["train", "--resume"], "name the run folder with --out"),
        (["train", "--resume", "--out", "none"], "no run is here"),
        (["train", "--threads", "0"], "argument --threads: expected 1 or more"),
        (["train", "--device", "gpu"], "argument --device: invalid choice: 'gpu'"),
        (["predict", "run", "none.csv", "--device", "gpu"], "argument --device: invalid choice"),
    ],
)
def test_wrong_words_are_refused_in_one_line(tmp_path, capsys, arguments, message):
    assert message in refused(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_a_gpu_that_is_not_here_is_missed_before_data_are_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_core, "cuda_status", lambda: "built for the CPU only")
    for command, *words in (
        ["train", "none.csv", "--target", "y"],
        ["predict", "run", "none.csv"],
        ["evaluate", "run", "none.csv"],
    ):
        said = f"steep {command}: --device cuda: built for the CPU only. Use --device cpu.\n"
        assert refused(capsys, command, *words, "--device", "cuda") == said
    assert list(tmp_path.iterdir()) == []
    assert cli.main(["train", *SHORT, "--out", "run"]) == 0
    before = {path: path.read_bytes() for path in Path("run").iterdir()}
    capsys.readouterr()
    resume = ["train", "--out", "run", "--resume"]
    assert "--device cuda: built for" in refused(capsys, *resume, "--device", "cuda")
    assert {path: path.read_bytes() for path in Path("run").iterdir()} == before
    # A run of a file that names no device, or none there is.
    config = json.loads(Path("run/config.json").read_text())
    assert config["recipe"].pop("device") == "cpu"
    Path("run/config.json").write_text(json.dumps(config))
    assert cli.main([*resume, "--quiet"]) == 0
    capsys.readouterr()
    config["recipe"]["device"] = "cudo"
    Path("run/config.json").write_text(json.dumps(config))
    assert 'unknown device "cudo"; did you mean "cuda"' in refused(capsys, *resume)


def test_a_csv_file_without_target(table, capsys):
    said = refused(capsys, "train", table)
    assert "--target COLUMN; the columns are 'a', 'b', 'price', 'kind'." in said
    assert "the columns are 'a', 'b', 'price', 'kind'" in refused(
        capsys, "train", table, "--target", "prise"
    )


def test_folders_that_cannot_take_a_run(tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("kept")
    assert "is not empty" in refused(capsys, "train", "--out", "full")
    assert (tmp_path / "full/mine.txt").read_text() == "kept"
    assert "cannot be written" in refused(capsys, "train", "--out", "full/mine.txt")
    assert "cannot be written" in refused(capsys, "train", "--out", "full/mine.txt/below")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path, capsys):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "cannot be written (Permission denied)" in refused(
        capsys, "train", "--out", "locked/run"
    )


def test_without_matplotlib_one_line_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["train", *SHORT, "--out", "run"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "curve.png" in line]
    assert len(lines) == 1
    assert "pip install" in lines[0]
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES - {"curve.png"}


def test_curve_needs_an_epoch_and_takes_what_there_is(tmp_path):
    from steep import plots

    plots.learning_curve({"loss": [1.0, 0.5], "val_loss": [np.nan, 0.6]}, tmp_path / "a.svg")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    with pytest.raises(ValueError, match="no epochs"):
        plots.learning_curve({"loss": []}, tmp_path / "b.png")


def test_a_loss_that_is_not_finite_leaves_the_last_good_weights(tmp_path, capsys):
    wild = ["--optimizer", "sgd", "--lr", "1e30", "--units", "8", "--quiet", "--out", "run"]
    message = refused(capsys, "train", *wild)
    assert "is not finite" in message
    assert "Saved in run" in message
    weights = data_of(tmp_path / "run/weights.safetensors")
    assert all(np.isfinite(value).all() for value in weights.values())


# -- interrupting and going on -------------------------------------------------------------------


def program(*arguments, **more):
    return subprocess.Popen(
        [sys.executable, "-m", "steep", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


LONG = ["train", "--units", "32", "--epochs", "60", "--seed", "2", "--threads", "1"]


@functools.cache
def whole_run(*more):
    """Return the weights of the same run when nobody stops it."""
    with tempfile.TemporaryDirectory() as folder:
        run = program(*LONG, *more, "--quiet", "--out", f"{folder}/whole")
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, out + err
        return Path(folder, "whole/weights.safetensors").read_bytes()


def wait_for(path, process):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("how", "more"),
    [
        (signal.SIGINT, []),
        (signal.SIGKILL, []),
        (signal.SIGINT, ["--early-stopping", "--patience", "60"]),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path, how, more):
    stopped = program(*LONG, *more, "--out", "stopped")
    wait_for(tmp_path / "stopped/trainer.safetensors", stopped)
    stopped.send_signal(how)
    out, err = stopped.communicate(timeout=60)
    if how == signal.SIGINT:
        assert stopped.returncode == 130, out + err
        assert "steep train --out stopped --resume" in out
        assert "Traceback" not in err
        assert (tmp_path / "stopped/weights.safetensors").exists()
    resumed = program("train", "--out", "stopped", "--resume", "--quiet")
    out, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, out + err
    assert (tmp_path / "stopped/weights.safetensors").read_bytes() == whole_run(*more)
    assert len(rows(tmp_path / "stopped/history.csv")) == 60


def test_a_run_stopped_before_its_first_checkpoint_begins_again(tmp_path):
    for out in ("a", "b"):
        assert cli.main(["train", *SHORT, "--out", out]) == 0
    for name in FILES - {"config.json"}:
        (tmp_path / "b" / name).unlink()
    assert cli.main(["train", "--out", "b", "--resume", "--quiet"]) == 0
    a, b = (tmp_path / out / "weights.safetensors" for out in "ab")
    assert a.read_bytes() == b.read_bytes()


def test_resume_takes_no_other_settings(tmp_path, capsys):
    assert cli.main(["train", *SHORT, "--out", "run"]) == 0
    capsys.readouterr()
    message = refused(capsys, "train", "--out", "run", "--resume", "--lr", "1", "--epochs", "9")
    assert "leave out --epochs, --lr" in message
    assert "is a run on digits" in refused(capsys, "train", "x.csv", "--out", "run", "--resume")
    before = (tmp_path / "run/weights.safetensors").read_bytes()
    assert cli.main(["train", "--out", "run", "--resume", "--quiet"]) == 0  # nothing is left to do
    assert (tmp_path / "run/weights.safetensors").read_bytes() == before
    capsys.readouterr()
    (tmp_path / "run/config.json").write_text("{")
    assert "config.json: damaged" in refused(capsys, "train", "--out", "run", "--resume")


# -- the other commands --------------------------------------------------------------------------


def test_info_lists_version_and_extras(capsys):
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    for word in ("version", "isa", "threads", "cuda", "processor", "matplotlib", "tensorboardX"):
        assert word in out
    assert f"numpy         {np.__version__}\n" in out
    assert f" {platform.python_version()}\n" in out
    assert steep.__version__ in out


def test_python_m_steep_is_the_same_program():
    process = program("train", "--optimizer", "adm")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith('steep train: unknown optimizer "adm"')


def test_help_names_every_data_source(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for word in ("fashion-mnist", "--target", "--root", ".npz", "--resume"):
        assert word in out


# -- steep export --------------------------------------------------------------------------------


def test_a_run_is_exported(tmp_path, capsys):
    pytest.importorskip("onnx")
    assert cli.main(["train", *SHORT, "--out", "run"]) == 0
    capsys.readouterr()
    assert cli.main(["export", "run", "net.onnx"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("net.onnx: from (batch, 8, 8) to (batch, 10)\npixels: divided by 16")
    assert "outputs are logits of the classes 0, 1, 2" in out
    net = steep.Trainer.load(tmp_path / "run/trainer.safetensors").net
    (_, _), (X, _) = data.load("digits")
    found = steep.from_onnx(tmp_path / "net.onnx").predict(X)
    np.testing.assert_allclose(found, net.predict(X), rtol=1e-5, atol=1e-5)


def test_a_regression_says_its_units(table, capsys):
    pytest.importorskip("onnx")
    assert cli.main(["train", table, "--target", "price", *SHORT, "--out", "run"]) == 0
    assert cli.main(["export", "run", "net.onnx"]) == 0
    assert "outputs are standardised: value = " in capsys.readouterr().out


def test_what_is_no_run_is_not_exported(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert "config.json is missing" in refused(capsys, "export", "empty", "net.onnx")
    (tmp_path / "empty/config.json").write_text('{"recipe": {}}')
    assert "has no trained network" in refused(capsys, "export", "empty", "net.onnx")
    (tmp_path / "empty/config.json").write_text('{"recipe": {"model": "vae"}}')
    (tmp_path / "empty/trainer.safetensors").touch()
    assert "a vae is two networks" in refused(capsys, "export", "empty", "net.onnx")
    assert not (tmp_path / "net.onnx").exists()
