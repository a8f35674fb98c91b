"""`steep train --model autoencoder|vae|dcgan|unet`: pictures, how it goes on, what it refuses."""

import json
import zlib

import numpy as np
import pytest
from steep import cli
from steep.commands import makers
from steep.commands.recipe import Recipe, complete
from steep.data import open_dataset
from steep.files import png
from test_cli import FILES, refused

PICTURES = {
    "autoencoder": "reconstructions.png", "vae": "samples.png", "dcgan": "samples.png",
    "unet": "reconstructions.png",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def decoded(data):
    """Return the pixels of a PNG whose rows have no filter."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    parts, at = {}, 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert int.from_bytes(data[at + 8 + size : at + 12 + size], "big") == zlib.crc32(
            kind + body
        )
        parts[kind] = body
        at += 12 + size
    width, height = (int.from_bytes(parts[b"IHDR"][k : k + 4], "big") for k in (0, 4))
    channels = 3 if parts[b"IHDR"][9] == 2 else 1
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


def state(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.suffix == ".safetensors" or path.name in PICTURES.values()
    }


@pytest.mark.parametrize("model", PICTURES)
def test_a_run_leaves_a_picture_and_goes_on(model, tmp_path, capsys):
    assert set(PICTURES) == set(makers.MAKERS)
    options = ["--model", model, "--epochs", "3", "--quiet"]
    assert cli.main(["train", *options, "--out", "whole"]) == 0
    assert "test " in capsys.readouterr().out
    whole = tmp_path / "whole"
    assert {path.name for path in whole.iterdir()} == FILES | {PICTURES[model]}
    pixels = decoded((whole / PICTURES[model]).read_bytes())
    assert pixels.shape[2] == 1
    assert pixels.std() > 10
    measured = json.loads((whole / "metrics.json").read_text())["test"]
    assert all(np.isfinite(value) for value in measured.values())
    # Stopped after the first epoch, as by a kill, and resumed.
    recipe = json.loads((whole / "config.json").read_text())["recipe"]

    class Stop:
        def on_epoch_end(self):
            raise KeyboardInterrupt

    cut = tmp_path / "cut"
    keep, makers_fit = Stop(), makers.MAKERS[model].fit

    def fit(self, **given):
        return makers_fit(self, **{**given, "callbacks": [*given["callbacks"], keep]})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(makers.MAKERS[model], "fit", fit)
        assert cli.main(["train", *options, "--out", "cut"]) == 130
    assert json.loads((cut / "config.json").read_text())["recipe"] == recipe
    assert cli.main(["train", "--out", "cut", "--resume", "--quiet"]) == 0
    assert state(cut) == state(whole)


@pytest.mark.parametrize("model", PICTURES)
def test_wrong_data_and_options_are_refused_by_name(model, capsys):
    random = np.random.default_rng(0)
    vectors, high = random.random((40, 6)), 5.0 + random.random((40, 8, 8))
    np.savez("vectors.npz", X=vectors, y=np.arange(40) % 2)
    np.savez("high.npz", X=high, y=np.arange(40) % 2)
    say = f"--model {model}"
    assert f"{say}: needs images, the samples here have shape (6,)" in refused(
        capsys, "train", "vectors.npz", "--model", model
    )
    assert f"{say}: needs images of bytes (uint8)" in refused(
        capsys, "train", "high.npz", "--model", model
    )
    assert f"{say}: takes no --units" in refused(capsys, "train", "--model", model, "--units", "3")
    assert f"{say}: takes no --augment" in refused(
        capsys, "train", "--model", model, "--augment", "flip"
    )


def test_sizes_and_options_of_some(capsys):
    random = np.random.default_rng(0)
    np.savez("odd.npz", X=random.integers(0, 256, (40, 10, 8, 3), np.uint8), y=np.arange(40) % 2)
    for model in ("unet", "dcgan"):
        text = refused(capsys, "train", "odd.npz", "--model", model)
        assert f"--model {model}" in text
        assert "multiples of 4" in text
    for option in (["--l2", "0.1"], ["--l1", "0.1"], ["--clip-norm", "1"]):
        text = refused(capsys, "train", "--model", "dcgan", *option)
        assert f"--model dcgan: takes no {option[0]}" in text
    text = refused(capsys, "train", "--model", "dcgan", "--early-stopping")
    assert "no validation loss" in text
    assert cli.main(["train", "odd.npz", "--model", "vae", "--epochs", "1", "--out", "c"]) == 0
    with open("c/samples.png", "rb") as file:
        assert decoded(file.read()).shape[2] == 3


def test_penalties_reach_what_is_trained():
    for model in ("autoencoder", "vae", "unet"):
        recipe = complete(Recipe(model=model, l1=0.1, l2=0.2, clip_norm=3.0), 100)
        made = makers.make(recipe, open_dataset("digits"))
        assert (made.trainer.l1, made.trainer.l2, made.trainer.clip_norm) == (0.1, 0.2, 3.0)


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 4, 5, 7, 1), (2, 2, 60, 40, 3)])
def test_sheets_show_every_image(shape):
    images = np.random.default_rng(0).random(shape)
    pixels = decoded(png.encoded(png.sheet(images)))
    times = max(1, -(-png.SMALLEST // max(shape[2:4])))
    high, wide = shape[2] * times + png.GAP, shape[3] * times + png.GAP
    assert pixels.shape[:2] == (shape[0] * high + png.GAP, shape[1] * wide + png.GAP)
    for row in range(shape[0]):
        for column in range(shape[1]):
            y, x = row * high + png.GAP, column * wide + png.GAP
            found = pixels[y : y + shape[2] * times : times, x : x + shape[3] * times : times]
            wanted = images[row, column].reshape(shape[2], shape[3], -1)
            assert np.abs(found / 255.0 - wanted).max() <= 0.5 / 255 + 1e-9
    assert (pixels[: png.GAP] == png.PAPER).all()
