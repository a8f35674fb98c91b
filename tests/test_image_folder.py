"""Folders of class folders: what is read, in which order, and which file is to blame."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from steep import data


def picture(path, array, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path, **how)
    return path


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def flowers(tmp_path):
    """Two classes of 4 + 3 colour images of 6x5; returns the folder and the images in order."""
    folder, every = tmp_path / "flowers", []
    for label, (name, count) in enumerate((("aster", 4), ("rose", 3))):
        for k in range(count):
            every.append(pixels(6, 5, 3, seed=10 * label + k))
            picture(folder / name / f"{k}.png", every[-1])
    return folder, np.stack(every)


def test_images_are_read_in_the_order_of_their_names(flowers):
    folder, every = flowers
    X, y, names = data.images(folder)
    assert names == ("aster", "rose")
    assert (X.dtype, y.dtype, y.tolist()) == (np.uint8, np.int64, [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(X, every)
    assert data.images(str(folder))[2] == names


def test_hidden_files_and_files_beside_the_classes_are_skipped(flowers):
    folder, every = flowers
    for name in ("README.txt", ".hidden/a.png", "rose/.DS_Store", "rose/.cache/b.txt"):
        place = folder / name
        place.parent.mkdir(exist_ok=True)
        place.write_text("no image")
    X, _, names = data.images(folder)
    assert names == ("aster", "rose")
    np.testing.assert_array_equal(X, every)


def test_folders_within_a_class_belong_to_it(flowers):
    folder, _ = flowers
    extra = pixels(6, 5, 3, seed=99)
    picture(folder / "aster" / "more" / "deep" / "z.png", extra)
    X, y, _ = data.images(folder)
    assert y.tolist() == [0] * 5 + [1] * 3
    np.testing.assert_array_equal(X[4], extra)


def test_grey_images_have_one_channel_unless_one_is_coloured(tmp_path):
    grey = pixels(4, 3)
    picture(tmp_path / "a" / "1.png", grey)
    Image.fromarray(grey > 127).save(tmp_path / "a" / "2.png")  # one bit a pixel
    X, _, _ = data.images(tmp_path)
    assert X.shape == (2, 4, 3, 1)
    np.testing.assert_array_equal(X[0, ..., 0], grey)
    np.testing.assert_array_equal(X[1, ..., 0], 255 * (grey > 127))
    colour = pixels(4, 3, 4, seed=1)
    picture(tmp_path / "b" / "3.png", colour)  # with transparency
    X, _, _ = data.images(tmp_path)
    assert X.shape == (3, 4, 3, 3)
    for channel in range(3):
        np.testing.assert_array_equal(X[0, ..., channel], grey)
    np.testing.assert_array_equal(X[2], colour[..., :3])


def test_palettes_and_other_formats(tmp_path):
    flat = np.full((8, 8, 3), (200, 30, 90), np.uint8)
    for ending in ("png", "bmp", "ppm", "gif", "webp", "jpg"):
        image = Image.fromarray(flat)
        (tmp_path / "a").mkdir(exist_ok=True)
        image = image.quantize(4) if ending == "gif" else image
        image.save(tmp_path / "a" / f"x.{ending}")
    X, _, _ = data.images(tmp_path)
    assert X.shape == (6, 8, 8, 3)
    assert np.abs(X.astype(int) - (200, 30, 90)).max() <= 4  # jpg and webp lose a little


def test_unlike_sizes_are_refused_by_name_or_scaled(flowers):
    folder, _ = flowers
    other = picture(folder / "rose" / "9.png", pixels(5, 6, 3))
    with pytest.raises(ValueError, match=r"name one size for all") as error:
        data.images(folder)
    assert f"{folder / 'aster' / '0.png'} is 6x5" in str(error.value)
    assert f"{other} is 5x6" in str(error.value)
    X, _, _ = data.images(folder, size=(4, 7))
    assert X.shape == (8, 4, 7, 3)


def test_scaling_keeps_flat_colours_and_images_of_that_size(flowers):
    folder, every = flowers
    np.testing.assert_array_equal(data.images(folder, size=(6, 5))[0], every)
    flat = np.broadcast_to(np.array([10, 200, 90], np.uint8), (40, 30, 3))
    picture(folder / "flat" / "0.png", flat)
    X, _, names = data.images(folder, size=(6, 5))
    assert names == ("aster", "flat", "rose")
    assert (X[4] == [10, 200, 90]).all()


def test_the_note_which_side_is_up_is_followed(tmp_path):
    image = pixels(4, 6, 3)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    picture(tmp_path / "a" / "0.png", image, exif=turned)
    X, _, _ = data.images(tmp_path)
    np.testing.assert_array_equal(X[0], np.rot90(image, -1))
    picture(tmp_path / "a" / "1.png", pixels(6, 4, 3))
    assert data.images(tmp_path)[0].shape == (2, 6, 4, 3)


def test_files_that_cannot_be_read_are_named(flowers):
    folder, _ = flowers
    bad = folder / "rose" / "notes.bmp"
    for content in (b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"x" * 40):
        bad.write_bytes(content)
        with pytest.raises(ValueError, match=r"notes\.bmp: not an image that can be read"):
            data.images(folder)
    bad.unlink()
    whole = picture(folder / "rose" / "8.png", pixels(6, 5, 3)).read_bytes()
    for end in range(33, len(whole) - 24, 9):  # cut between header and end
        (folder / "rose" / "8.png").write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"8\.png: (is damaged|not an image)"):
            data.images(folder)
    Image.fromarray(pixels(6, 5).astype(np.int32)).save(folder / "rose" / "8.tif")
    (folder / "rose" / "8.png").unlink()
    with pytest.raises(ValueError, match=r"8\.tif: its pixels are of kind 'I'"):
        data.images(folder)


def test_folders_that_hold_no_classes(tmp_path):
    with pytest.raises(FileNotFoundError, match="none: no such folder"):
        data.images(tmp_path / "none")
    with pytest.raises(ValueError, match="has no class folders"):
        data.images(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: holds no files"):
        data.images(tmp_path)


@pytest.mark.parametrize("size", [32, (32,), "32,32", (0, 4), (4.0, 4), (1, 2, 3)])
def test_wrong_sizes(flowers, size):
    with pytest.raises((TypeError, ValueError), match="images: "):
        data.images(flowers[0], size=size)


def test_without_pillow_one_line_says_how_to_get_it(flowers, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'pip install "steep\[images\]"'):
        data.images(flowers[0])


def test_pillow_is_not_imported_before_it_is_used():
    code = "import sys, steep.data; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- as a data set -------------------------------------------------------------------------------


def many(folder, count, seed=0):
    for label, name in enumerate(("day", "night")):
        for k in range(count):
            image = pixels(8, 8, 3, seed=seed + 100 * label + k) // 2 + 127 * label
            picture(folder / name / f"{k:02}.png", image)
    return folder


def test_a_folder_is_split(tmp_path):
    made = data.open_dataset(str(many(tmp_path / "light", 30)))
    assert (made.name, made.classes, made.task) == ("light", ("day", "night"), "classification")
    assert [len(p[0]) for p in (made.train, made.validation, made.test)] == [42, 6, 12]
    assert made.train[0].dtype == np.uint8
    assert made.scale == 1 / made.train[0].max()
    X, y, _ = data.images(tmp_path / "light")
    kept = data.split(60, seed=0, classes=y)[0]
    np.testing.assert_array_equal(made.train[0], X[kept])
    scaled = data.open_dataset(str(tmp_path / "light"), size=(4, 5))
    assert scaled.train[0].shape[1:] == (4, 5, 3)


def test_folders_train_and_test_are_the_parts(tmp_path):
    for name, count in (("train", 20), ("val", 6), ("test", 5)):
        many(tmp_path / name, count, seed=len(name))
    made = data.open_dataset(str(tmp_path))
    assert made.classes == ("day", "night")
    assert [len(p[0]) for p in (made.train, made.validation, made.test)] == [40, 12, 10]
    picture(tmp_path / "test" / "dusk" / "0.png", pixels(8, 8, 3))
    with pytest.raises(ValueError, match="train and test differ"):
        data.open_dataset(str(tmp_path))


def test_options_that_do_not_fit(tmp_path):
    folder = str(many(tmp_path / "light", 3))
    with pytest.raises(ValueError, match="--size scales the picture files"):
        data.open_dataset("digits", size=(4, 4))
    with pytest.raises(ValueError, match="--task regression does not fit"):
        data.open_dataset(folder, task="regression")
    with pytest.raises(ValueError, match="--target and --drop"):
        data.open_dataset(folder, target="x")
