"""The named image sets: where their files lie, how they are split. The format lives in idx.py."""

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..checks.names import choose
from .idx import read_idx

Part: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.int64]]

NAMES = ("digits", "fashion-mnist")
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
HOW_TO_GET = (
    "Install it with `apt-get install dataset-fashion-mnist`, or download the four IDX files of "
    "https://github.com/zalandoresearch/fashion-mnist and name their folder: root= in Python, "
    "--root on the command line, or the environment variable STEEP_DATA."
)


def load(name: str, root: str | os.PathLike[str] | None = None) -> tuple[Part, Part]:
    """Load an image set by name: ``(X_train, y_train), (X_test, y_test)``, values as stored.

    Parameters
    ----------
    name : str
        ``"digits"``: 1797 real 8x8 scans (UCI optical digits, CC BY 4.0), part of the package;
        uint8 (N, 8, 8), values 0 to 16. Of each class, in the order of the source, images
        0, 5, 10, ... are the test part (364), the others the training part (1433).
        ``"fashion-mnist"``: 60000 + 10000 images; uint8 (N, 28, 28), values 0 to 255.
    root : str or path, optional
        Folder of the four IDX files of fashion-mnist (or MNIST or any relative of it), gzipped or
        not. Without it: ``$STEEP_DATA``, then the folder of Debian's ``dataset-fashion-mnist``.

    Returns
    -------
    tuple of tuple of ndarray
        Images uint8 (N, H, W) and labels int64 (N,), for training and for testing.

    Raises
    ------
    ValueError
        Unknown name, or files that do not fit together.
    FileNotFoundError
        The files are missing; the message says how to get them.
    """
    known = choose("data set", name, {n: n for n in NAMES})
    if known == "fashion-mnist":
        return load_idx_folder(_fashion_folder(root))
    if root is not None:
        raise ValueError('data.load("digits"): takes no root, its images are in the package.')
    return _digits()


def load_idx_folder(folder: str | os.PathLike[str]) -> tuple[Part, Part]:
    """Read a folder of four IDX files named as MNIST's: train and t10k, images and labels.

    Parameters
    ----------
    folder : str or path
        Holds ``{train,t10k}-{images-idx3,labels-idx1}-ubyte``, each plain or ``.gz``.

    Returns
    -------
    tuple of tuple of ndarray
        As of :func:`load`.

    Raises
    ------
    FileNotFoundError
        A file is missing.
    ValueError
        A file is damaged, or images and labels do not fit together.
    """
    folder = Path(folder)
    return _part(folder, "train"), _part(folder, "t10k")


def has_idx(folder: str | os.PathLike[str]) -> bool:
    """Say whether a folder holds IDX files, at its top."""
    return any(path.is_file() for path in Path(folder).glob("*idx[0-9]-ubyte*"))


def _digits() -> tuple[Part, Part]:
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"].astype(np.int64)
    place = np.empty(len(labels), np.int64)  # position of each image within its class
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        place[members] = np.arange(len(members))
    test = place % 5 == 0
    return (images[~test], labels[~test]), (images[test], labels[test])


def _fashion_folder(root: str | os.PathLike[str] | None) -> Path:
    if root is not None:
        places = [Path(root)]
    elif os.environ.get("STEEP_DATA"):
        base = Path(os.environ["STEEP_DATA"])
        places = [base, base / "fashion-mnist"]
    else:
        places = [DEBIAN_FOLDER]
    for place in places:
        if _find(place, "train", "images", 3):
            return place
    raise FileNotFoundError(f"fashion-mnist: no IDX files in {places[0]}. {HOW_TO_GET}")


def _find(folder: Path, part: str, kind: str, rank: int) -> Path | None:
    for dot in "-.":  # as published, and as some unpackers rename it
        for ending in ("", ".gz"):
            path = folder / f"{part}-{kind}{dot}idx{rank}-ubyte{ending}"
            if path.is_file():
                return path
    return None


def _part(folder: Path, part: str) -> Part:
    arrays: list[NDArray[Any]] = []
    for kind, rank in (("images", 3), ("labels", 1)):
        path = _find(folder, part, kind, rank)
        if path is None:
            inside = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
            there = f" (it has {', '.join(inside[:8])})" if inside else ""
            raise FileNotFoundError(
                f"{folder}: no {part}-{kind}-idx{rank}-ubyte[.gz] in this folder{there}. Four "
                f"files belong together: images and labels of train and t10k. {HOW_TO_GET}"
            )
        array = read_idx(path)
        if array.ndim != rank or array.dtype != np.uint8:
            raise ValueError(
                f"{path}: holds {array.dtype} of shape {array.shape}, "
                f"expected uint8 with {rank} dimension(s)."
            )
        arrays.append(array)
    images, labels = arrays
    if len(images) != len(labels) or not len(images):
        raise ValueError(
            f"{folder}: {len(images)} {part} images but {len(labels)} labels; "
            "the files do not belong together."
        )
    return images, labels.astype(np.int64)
