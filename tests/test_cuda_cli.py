"""`steep train --device cuda`: the CPU's bytes, runs that change devices, who reads a GPU's run.

Skipped where there is neither a GPU nor its emulation. What is said without one: test_cli.
"""

import json
from pathlib import Path

import devices
import numpy as np
import pytest
from steep import _core, cli
from steep.commands import job
from steep.commands.trained import Trained
from test_cli import data_of, refused, rows

pytestmark = devices.NEEDED
SMALL = ("--units", "9,8", "--epochs", "4", "--batch-size", "16")
KIND, PRICE = (("table.csv", "--target", target, *SMALL) for target in ("kind", "price"))
RECIPES = {
    "mlp": (*KIND, "--model", "mlp", "--dropout", "0.2", "--clip-norm", "0.5"),
    "stopped": (*PRICE, "--model", "mlp", "--patience", "1", "--l2", "0.01"),
    "folds": (*PRICE, "--model", "mlp", "--cv", "2"),
    "images": ("images.npz", *SMALL, "--augment", "flip,shift=1"),
    "autoencoder": ("images.npz", "--model", "autoencoder", "--epochs", "2"),
    "vae": ("images.npz", "--model", "vae", "--epochs", "2"),
    "lstm": (
        "text.txt", "--model", "lstm", "--stateful", "--units", "6", "--context", "7",
        "--epochs", "2", "--batch-size", "4",
    ),
}  # fmt: skip
# Models with convolutions, which sum in another order there.
BY_BOUNDS = {
    "tabm": (*PRICE, "--members", "2", "--epochs", "1"),
    "realmlp": (*KIND, "--model", "realmlp", "--epochs", "1"),
    "dcgan": ("images.npz", "--model", "dcgan", "--epochs", "1"),
    "unet": ("images.npz", "--model", "unet", "--epochs", "1"),
}


@pytest.fixture(autouse=True)
def _small_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    a, b = random.normal(5, 3, 90).round(3), random.choice(["x", "y"], 90)
    lines = [
        f"{p},{q},{10 * p:.2f},{'big' if p > 5 else 'small'}" for p, q in zip(a, b, strict=True)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,price,kind", *lines]) + "\n")
    images = random.integers(0, 256, (40, 8, 8), np.uint8)
    np.savez("images.npz", X=images, y=np.arange(40) % 2)
    (tmp_path / "text.txt").write_text("to be, or not to be, that is the question: " * 8)


def train(out, *options):
    """Run and return the trained weights, what each epoch measured and the result."""
    assert cli.main(["train", *options, "--out", out, "--json", "--threads", "1"]) == 0
    return left(out)


def left(out):
    result = json.loads(Path(out, "metrics.json").read_text())
    epochs = rows(f"{out}/history.csv")
    for row in epochs:
        row.pop("seconds")
    return data_of(f"{out}/weights.safetensors"), epochs, result


def device_of(out):
    return json.loads(Path(out, "config.json").read_text())["recipe"]["device"]


@pytest.fixture
def trained_on(monkeypatch):
    """Return where networks trained, one word for each call of fit."""
    found, fit = [], job.Trainer.fit

    def watched(self, *given, **options):
        history = fit(self, *given, **options)
        found.append(self.net.device)
        return history

    monkeypatch.setattr(job.Trainer, "fit", watched)
    return found


@pytest.fixture
def without_gpu(monkeypatch):
    """Return what makes this a machine without a GPU: whatever asks for one is refused."""
    return lambda: monkeypatch.setattr(_core, "cuda_status", lambda: "no GPU today")


@pytest.mark.parametrize("name", RECIPES)
def test_same_bytes_as_the_cpu(name, trained_on, capsys):
    here = train("here", *RECIPES[name])
    calls = trained_on.copy()
    assert set(calls) == {"cpu"}
    there = train("there", *RECIPES[name], "--device", "cuda")
    assert trained_on[len(calls) :] == ["cuda"] * len(calls)
    assert there[1:] == here[1:]
    devices.same(there[0], here[0])
    assert (device_of("here"), device_of("there")) == ("cpu", "cuda")
    assert "- device: cuda" in Path("there/README.md").read_text()


@pytest.mark.parametrize("name", BY_BOUNDS)
def test_models_with_convolutions_train_there(name, trained_on, capsys):
    weights, _, result = train("there", *BY_BOUNDS[name], "--device", "cuda")
    assert set(trained_on) == {"cuda"}
    assert all(np.isfinite(value).all() for value in weights.values())
    assert all(np.isfinite(value) for value in result["test"].values())


@pytest.mark.parametrize("first", ["cpu", "cuda"])
@pytest.mark.parametrize("name", ["mlp", "stopped", "vae"])
def test_a_run_goes_on_elsewhere(name, first, trained_on, monkeypatch, capsys):
    """Interrupted after an epoch, gone on with on the other device: as if nothing had been."""
    whole = train("whole", *RECIPES[name])
    trained_on.clear()
    second = {"cpu": "cuda", "cuda": "cpu"}[first]
    with monkeypatch.context() as patch:
        patch.setattr(job._Keep, "on_epoch_end", interrupting(job._Keep.on_epoch_end))
        options = [*RECIPES[name], "--device", first, "--quiet"]
        assert cli.main(["train", *options, "--out", "cut"]) == 130
    assert device_of("cut") == first
    again = train("cut", "--resume", "--device", second)
    assert trained_on == [second]
    assert again[1:] == whole[1:]
    devices.same(again[0], whole[0])
    # It stays there without being told: `steep train --out cut --resume` is what it prints.
    assert device_of("cut") == second
    if name == "mlp":
        train("cut", "--resume", "--epochs", "6")
        assert trained_on == [second, second]


def interrupting(on_epoch_end):
    def stop(self):
        on_epoch_end(self)
        raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("target", ["kind", "price"])
def test_predictions_are_made_where_it_is_said(target, monkeypatch, capsys):
    train("run", "table.csv", "--target", target, *SMALL, "--model", "mlp", "--device", "cuda")
    asked, load = [], Trained.load.__func__

    def watched(cls, *given):
        made = load(cls, *given)
        asked.append(made.net.device)
        return made

    monkeypatch.setattr(Trained, "load", classmethod(watched))
    for command in ("predict", "evaluate"):
        said = []
        for more in ([], ["--device", "cpu"], ["--device", "cuda"]):
            capsys.readouterr()
            assert cli.main([command, "run", "table.csv", *more]) == 0
            said.append(capsys.readouterr().out)
        assert said[0] == said[1] == said[2] != ""
    assert asked == ["cpu", "cpu", "cuda"] * 2


def test_a_machine_without_a_gpu_reads_a_run_of_one(without_gpu, trained_on, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("matplotlib")
    train("run", *RECIPES["mlp"], "--device", "cuda")
    train("digits", *RECIPES["images"], "--device", "cuda")
    train("vae", *RECIPES["vae"], "--device", "cuda")
    train("text", *RECIPES["lstm"], "--device", "cuda")
    without_gpu()
    for words in (
        ["predict", "run", "table.csv"],
        ["evaluate", "run", "table.csv"],
        ["export", "run", "run.onnx"],
        ["export", "run", "whole.onnx", "--with-table"],
        ["export", "digits", "digits.onnx"],
        ["report", "run"],
        ["report", "digits"],
        ["report", "vae"],
        ["report", "text"],
        ["generate", "text", "to be", "--length", "5"],
    ):
        assert cli.main(words) == 0, capsys.readouterr().err
    assert "<th>device</th><td>cuda</td>" in Path("run/report.html").read_text()
    before = {path: path.read_bytes() for path in Path("run").iterdir()}
    capsys.readouterr()
    said = "steep train: --device cuda: no GPU today. Use --device cpu.\n"
    assert refused(capsys, "train", "--out", "run", "--resume", "--epochs", "5") == said
    assert {path: path.read_bytes() for path in Path("run").iterdir()} == before
    trained_on.clear()
    train("run", "--resume", "--epochs", "5", "--device", "cpu")
    assert trained_on == ["cpu"]
