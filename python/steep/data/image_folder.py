"""Reads a folder of class folders of picture files into one array. Pillow decodes the files."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import memory
from ..checks.numbers import whole

if TYPE_CHECKING:
    from PIL import Image

GREY, COLOUR = ("1", "L"), ("P", "LA", "PA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
TURNED = (5, 6, 7, 8)  # values of the tag Orientation that change height and width over
ORIENTATION = 0x0112
# Pillow knows more; some of them it hands to other programs (EPS to Ghostscript).
FORMATS = (
    "PNG", "JPEG", "MPO", "GIF", "BMP", "DIB", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000", "TGA",
    "PCX", "ICO",
)  # fmt: skip
# A header alone can claim any size. More pixels than this must be there: a byte of a file becomes
# 1032 at most in a PNG, and fewer in a photograph.
FREE_PIXELS = 1 << 24
PIXELS_PER_BYTE = 1032
PARTS = {
    **dict.fromkeys(("train", "training", "train_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing", "test_set"), "test"),
    **dict.fromkeys(("unlabeled", "unlabelled", "extra", "unsup"), "unlabelled"),
}
TABLES = frozenset({".csv", ".tsv", ".parquet", ".feather", ".xlsx"})
NO_IMAGES = frozenset({"thumbs.db", "desktop.ini"})  # what Windows leaves in folders


def images(
    folder: str | os.PathLike[str], size: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Read a folder of class folders: ``X, y, names = data.images("flowers", size=(64, 64))``.

    Every folder in `folder` is a class; all files below it, folders in it included, are its images.
    Classes and files come in the order of their names; names that begin with a dot are skipped, and
    so are files beside the class folders. Read are PNG, JPEG, GIF, BMP, PPM, TIFF, WebP, AVIF, JPEG
    2000, TGA, PCX and ICO, as far as the installed Pillow does: ``pip install "steep[images]"``.

    Parameters
    ----------
    folder
        Holds the class folders.
    size
        (height, width) to scale all images to; None where all have one size already.

    Returns
    -------
    X : ndarray
        uint8 (N, H, W, C), values 0 to 255: C is 1 where all files are grey, else 3 (RGB).
        Transparency is left out; a camera's note which side is up is followed.
    y : ndarray
        int64 (N,), the number of the class.
    names : tuple of str
        The names of the classes.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    ValueError
        No class folders, a class without files, a file that is no image or claims more pixels than
        its bytes can hold (named), or images of two sizes (both named).
    MemoryError
        The images together do not fit into memory; the message says how large they are.
    ImportError
        Pillow is missing.
    """
    wanted = None if size is None else _size(size)
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder.")
    names, files, labels = _listed(folder)
    channels, shape = _inspect(files, wanted)
    room, need = memory.available(), len(files) * shape[0] * shape[1] * channels
    if room is not None and need > room:
        raise MemoryError(
            f"{folder}: {len(files)} images of {_by(shape)} need {memory.readable(need)}, "
            f"{memory.readable(room)} are free. Scale them down: size=(height, width)."
        )
    X = np.empty((len(files), *shape, channels), np.uint8)
    for into, path in zip(X, files, strict=True):
        into[...] = _pixels(path, channels, wanted)
    return X, np.array(labels, np.int64), names


def class_folders(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the folders in a folder, in the order of their names, hidden ones left out."""
    return sorted(p for p in Path(folder).iterdir() if p.is_dir() and not p.name.startswith("."))


def parts_of(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the folders that are the parts of a data set: train, and perhaps validation and test.

    None where a folder holds the classes themselves. A folder that is named like a part and itself
    holds folders is never a class.

    Raises
    ------
    ValueError
        Parts among other folders, two of one kind, or none to train on.
    """
    inside = class_folders(folder) if Path(folder).is_dir() else []
    known = {place: PARTS.get(place.name.casefold()) for place in inside}
    if not any(part and class_folders(place) for place, part in known.items()):
        return {}
    found: dict[str, Path] = {}
    for place, part in known.items():
        if part is None or part == "unlabelled" or part in found:
            why = {None: "is no part of a data set", "unlabelled": "has no classes to learn from"}
            said = why.get(part, f"is a second part beside {found.get(part or '', place).name}")
            raise ValueError(f"{place}: {said}. Move it elsewhere; the parts are train, val, test.")
        if not class_folders(place):
            raise ValueError(f"{place}: has no class folders as the other parts do. Move it away.")
        found[part] = place
    if "train" not in found:
        names = ", ".join(place.name for place in inside)
        raise ValueError(f"{folder}: has parts ({names}) but none to train on, called train.")
    return found


def _size(size: Any) -> tuple[int, int]:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise TypeError(f"images: size must be (height, width), got {size!r}")
    return whole("images", "height", size[0]), whole("images", "width", size[1])


def _listed(folder: Path) -> tuple[tuple[str, ...], list[Path], list[int]]:
    """Names of the classes, files, and the class of each file."""
    classes = class_folders(folder)
    if not classes:
        tables = [file.name for file in sorted(folder.iterdir()) if file.suffix.lower() in TABLES]
        hint = f" Of a table name the file: {tables[0]!r} is there." if tables else ""
        raise ValueError(
            f"{folder}: has no class folders. Put the images of each class into one.{hint}"
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, place in enumerate(classes):
        found = sorted(
            path
            for path in place.rglob("*")
            if path.is_file()
            and path.name.lower() not in NO_IMAGES
            and not any(part.startswith(".") for part in path.relative_to(place).parts)
        )
        if not found:
            raise ValueError(f"{place}: holds no files. Remove this folder, or fill it.")
        files += found
        labels += [label] * len(found)
    return tuple(place.name for place in classes), files, labels


def _pillow() -> Any:
    try:
        from PIL import Image  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise ImportError(
            'data.images: reading picture files needs Pillow: pip install "steep[images]"'
        ) from error
    return Image


def _formats(module: Any) -> list[str]:
    """Return those formats that this Pillow reads."""
    module.init()
    return [name for name in FORMATS if name in module.OPEN]


def _open(path: Path) -> tuple["Image.Image", Any]:
    """Read a file's header, not its pixels: the image, and its tag Orientation."""
    module = _pillow()
    try:
        image: Image.Image = _header(module, path)
        # Asked for tags that a PNG's header lacks, Pillow would decode the pixels.
        tags = {} if image.format == "PNG" and "exif" not in image.info else image.getexif()
    except Exception as error:  # damaged files make Pillow raise many kinds
        raise ValueError(
            f"{path}: not an image that can be read ({error}). Remove it, or hide it by a dot "
            "before its name."
        ) from None
    most = FREE_PIXELS + PIXELS_PER_BYTE * path.stat().st_size
    if image.width * image.height > most:
        image.close()
        raise ValueError(
            f"{path}: claims {_by((image.height, image.width))} pixels, more than its "
            f"{path.stat().st_size} bytes are believed to hold. Remove it, or convert it."
        )
    if image.mode not in (*GREY, *COLOUR):
        image.close()
        raise ValueError(
            f"{path}: its pixels are of kind {image.mode!r}, expected 8 bits a channel. Convert it."
        )
    return image, tags.get(ORIENTATION)


def _header(module: Any, path: Path) -> Any:
    """Open a file without Pillow's limit of pixels; ours counts the bytes of the file, too."""
    limit, module.MAX_IMAGE_PIXELS = module.MAX_IMAGE_PIXELS, None
    try:
        return module.open(path, formats=_formats(module))
    finally:
        module.MAX_IMAGE_PIXELS = limit


def _inspect(files: list[Path], wanted: tuple[int, int] | None) -> tuple[int, tuple[int, int]]:
    """Read the headers only: channels and (height, width) of all images."""
    channels, first = 1, wanted
    for path in files:
        image, orientation = _open(path)
        with image:
            if image.mode in COLOUR:
                channels = 3
            shape = image.height, image.width
            if orientation in TURNED:
                shape = shape[1], shape[0]
        if first is None:
            first = shape
        if wanted is None and shape != first:
            raise ValueError(
                f"{files[0]} is {_by(first)}, {path} is {_by(shape)} (height x width); name one "
                "size for all: size=(height, width), --size on the command line."
            )
    assert first is not None
    return channels, first


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _pixels(path: Path, channels: int, wanted: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Return one image as (H, W, channels)."""
    from PIL import Image, ImageOps  # noqa: PLC0415  (an extra; _inspect has found it)

    image, orientation = _open(path)
    with image:
        try:
            upright = image if orientation is None else ImageOps.exif_transpose(image)
            upright = upright.convert("L" if channels == 1 else "RGB")
            if wanted is not None and (upright.height, upright.width) != wanted:
                upright = upright.resize((wanted[1], wanted[0]), Image.Resampling.BILINEAR)
        except Exception as error:  # as in _open
            raise ValueError(f"{path}: is damaged ({error}). Copy it again.") from None
    return np.asarray(upright, np.uint8).reshape(upright.height, upright.width, channels)
