"""Folders of pictures and files of arrays as people have them; W1 and C12 to C18 of the list."""

import shutil
import struct
import warnings

import numpy as np
import pytest
from steep import cli, data

Image = pytest.importorskip("PIL.Image")


def pictures(folder, names=("ants", "bees"), count=12):
    rng = np.random.default_rng(len(str(folder)))
    for name in names:
        (folder / name).mkdir(parents=True)
        for k in range(count):
            pixels = rng.integers(0, 255, (6, 5, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k}.png")


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (("train", "val"), (19, 24, 5)), (("Train", "Test"), (22, 2, 24)),
        (("training", "testing"), (22, 2, 24)), (("train", "valid", "test"), (24, 24, 24)),
        (("train",), (17, 2, 5)), (("TRAIN", "dev"), (19, 24, 5)),
    ],
)  # fmt: skip
def test_w1_parts_are_never_classes(tmp_path, names, sizes):
    for name in names:
        pictures(tmp_path / "set" / name)
    made = data.open_dataset(str(tmp_path / "set"))
    assert made.classes == ("ants", "bees")
    assert tuple(len(p[0]) for p in (made.train, made.validation, made.test)) == sizes


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train", "test", "unlabeled"), "unlabeled: has no classes to learn from. Move it"),
        (("train", "test", "cats"), "cats: is no part of a data set"),
        (("val", "test"), r"has parts \(test, val\) but none to train on"),
        (("train", "training"), "training: is a second part beside train"),
    ],
)
def test_w1_parts_that_do_not_fit_are_refused(tmp_path, names, message):
    for name in names:
        pictures(tmp_path / "set" / name)
    with pytest.raises(ValueError, match=message):
        data.open_dataset(str(tmp_path / "set"))


def test_w1_a_part_of_pictures_alone_is_refused(tmp_path):
    pictures(tmp_path / "set" / "train")
    shutil.copytree(tmp_path / "set/train/ants", tmp_path / "set/test")
    with pytest.raises(ValueError, match="test: has no class folders as the other parts do"):
        data.open_dataset(str(tmp_path / "set"))


def test_w1_classes_may_be_called_like_parts(tmp_path):
    pictures(tmp_path / "set", ("test", "train"))
    assert data.open_dataset(str(tmp_path / "set")).classes == ("test", "train")


def test_c12_one_class_folder_is_named(tmp_path):
    pictures(tmp_path / "one", ("ants",))
    with pytest.raises(
        ValueError, match="one: has only one class folder, ants; learning needs two"
    ):
        data.open_dataset(str(tmp_path / "one"))
    pictures(tmp_path / "around" / "inner")
    with pytest.raises(ValueError, match=r"one class folder, inner; .*name it instead"):
        data.open_dataset(str(tmp_path / "around"))


def test_c13_large_pictures_are_read_without_a_word(tmp_path, monkeypatch):
    pictures(tmp_path / "set")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(data.images(tmp_path / "set")[0]) == 24
    assert Image.MAX_IMAGE_PIXELS == 10


def test_c14_what_windows_leaves_in_folders_is_no_picture(tmp_path):
    pictures(tmp_path / "set")
    for name in ("Thumbs.db", "desktop.ini"):
        (tmp_path / "set/ants" / name).write_bytes(b"x")
    assert len(data.images(tmp_path / "set")[0]) == 24


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("X_train", "y_train", "X_test", "y_test"),
        ("data_train", "target_train", "data_test", "target_test"),
    ],
)
def test_c15_arrays_by_the_names_of_others(tmp_path, names):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 255, (40, 4, 4)).astype(np.uint8), np.arange(40)[:, None] % 2
    parts = dict(zip(names, (X[:30], y[:30], X[30:], y[30:]), strict=True))
    np.savez(tmp_path / "a.npz", **parts)
    made = data.open_dataset(tmp_path / "a.npz")
    assert (len(made.train[0]), len(made.test[0]), made.classes) == (27, 10, (0, 1))


def test_c15_names_that_nobody_knows_are_listed(tmp_path):
    np.savez(tmp_path / "a.npz", np.ones((3, 2)))
    with pytest.raises(ValueError, match="it holds arr_0"):
        data.open_dataset(tmp_path / "a.npz")


def test_c16_labels_in_objects_are_told_their_own_cure(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.ones((3, 2)), y=np.array(["a", "b", "a"], object))
    with pytest.raises(ValueError, match=r"array 'y': .* or y\.astype\(str\) where it holds texts"):
        data.open_dataset(tmp_path / "a.npz")


def test_c17_channels_first_are_recognised(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).integers(0, 255, (40, 3, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", X=X, y=np.arange(40) % 2)
    assert cli.main(["train", "a.npz", "--model", "cnn"]) == 2
    err = capsys.readouterr().err
    assert "samples of (3, 28, 28) have their channels first" in err
    assert "X.transpose(0, 2, 3, 1)" in err


def idx(folder, prefix=""):
    folder.mkdir(parents=True)
    for part, count in (("train", 30), ("t10k", 10)):
        images = np.arange(count * 16, dtype=np.uint8).reshape(count, 4, 4)
        head = struct.pack(">HBB3I", 0, 8, 3, *images.shape)
        (folder / f"{prefix}{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        labels = (np.arange(count) % 3).astype(np.uint8)
        head = struct.pack(">HBBI", 0, 8, 1, count)
        (folder / f"{prefix}{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())


def test_c18_folders_of_idx_files(tmp_path):
    idx(tmp_path / "MNIST" / "raw")
    assert data.open_dataset(tmp_path / "MNIST").classes == (0, 1, 2)
    idx(tmp_path / "emnist", "emnist-letters-")
    with pytest.raises(FileNotFoundError, match="it has emnist-letters-t10k-images-idx3-ubyte, "):
        data.open_dataset(tmp_path / "emnist")
