"""Turns any source of data into parts a network can train on: split, scaled, described.

The sources are read elsewhere; networks and training know nothing of this file.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .csv_file import read_csv
from .image_folder import class_folders, images
from .image_sets import FASHION_CLASSES, NAMES, has_idx, load, load_idx_folder
from .npz_file import read_npz
from .split import split
from .table import Table, Target, read_target

Arrays: TypeAlias = tuple[NDArray[Any], NDArray[Any]]
TABLE_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".data")
TEST_SHARE = 0.2
PARTS = ("train", "test")  # folders of class folders, where the test part is fixed
VALIDATION = ("val", "valid", "validation")


@dataclass(frozen=True)
class Dataset:
    """Data ready for ``Trainer.fit``.

    Attributes
    ----------
    name : str
        Short name, fit for a folder.
    train, test : tuple of ndarray
        ``(X, y)``; X uint8 as stored, or float32; y int64 (N,) classes or float32 (N, 1) values.
    validation : tuple of ndarray or None
        The same, cut from the training data.
    classes : tuple or None
        The classes in the order of their indices; None for regression.
    scale : float
        Factor that brings X to about [0, 1] or unit variance, to be the network's first layer.
    target_scale : tuple of float
        (mean, deviation): a regression target is standardised, value = mean + deviation * y.
    preprocessing : dict
        What was done to X, as JSON.
    """

    name: str
    train: Arrays
    validation: Arrays | None
    test: Arrays
    classes: tuple[Any, ...] | None
    scale: float = 1.0
    target_scale: tuple[float, float] = (0.0, 1.0)
    preprocessing: dict[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """``"classification"`` or ``"regression"``."""
        return "regression" if self.classes is None else "classification"


def open_dataset(
    source: str,
    *,
    root: str | os.PathLike[str] | None = None,
    target: str | None = None,
    task: str | None = None,
    drop: tuple[str, ...] = (),
    size: tuple[int, int] | None = None,
    validation: float = 0.1,
    seed: int = 0,
) -> Dataset:
    """Open a named data set, a CSV file, an .npz file, or a folder of IDX files or class folders.

    Parameters
    ----------
    source : str
        ``"digits"``, ``"fashion-mnist"``, or a path.
    root : str or path, optional
        Folder of the IDX files of fashion-mnist.
    target, drop : str, tuple of str
        Columns of a CSV file: what to learn, what to leave out.
    size : tuple of int, optional
        (height, width) to scale the picture files of class folders to, see :func:`images`.
    task : {"classification", "regression"}, optional
        Overrides what the target's values say.
    validation : float
        Share of all samples (of the training part, where the test part is fixed).
    seed : int
        Chooses the split.

    Returns
    -------
    Dataset
        Training, validation and test parts. The test part is fixed for named sets and for folders
        ``train`` and ``test`` (and perhaps ``val``) of class folders, a fifth of the samples
        otherwise.

    Raises
    ------
    FileNotFoundError
        No such data; the message says what to do.
    ValueError
        The data or the arguments do not fit.
    """
    kind = _kind(source)
    if kind != "table" and (target is not None or drop):
        raise ValueError(f"{source}: --target and --drop name columns of a CSV file.")
    if root is not None and source != "fashion-mnist":
        raise ValueError(f"{source}: --root names the folder of fashion-mnist's files.")
    if size is not None and kind != "pictures":
        raise ValueError(f"{source}: --size scales the picture files of a folder of class folders.")
    if task == "regression" and kind in ("pictures", "idx", "named"):
        raise ValueError(f"{source}: its labels are classes, so --task regression does not fit.")
    if kind == "table":
        if target is None:
            raise ValueError(f"{source}: name the column to learn with --target COLUMN.")
        table = read_csv(source, target, task=task, drop=drop)
        return _from_table(_stem(source), table, validation, seed)
    if kind == "npz":
        return _from_npz(source, task, validation, seed)
    if kind == "pictures":
        return _from_pictures(source, size, validation, seed)
    parts = load_idx_folder(source) if kind == "idx" else load(source, root)
    return _from_images(source, *parts, validation, seed)


def _kind(source: str) -> str:
    """Say what a source is; what is no file is a name, known or not."""
    if source.lower().endswith(TABLE_ENDINGS):
        return "table"
    if source.lower().endswith(".npz"):
        return "npz"
    if source in NAMES or not ("/" in source or Path(source).exists()):
        return "named"
    if Path(source).is_dir():
        return "idx" if has_idx(source) else "pictures"
    if not Path(source).exists():
        raise FileNotFoundError(f"{source}: no such file.")
    raise ValueError(f"{source}: expected a .csv, .tsv or .npz file or a folder.")


def _stem(source: str) -> str:
    return Path(source).name.split(".")[0] or "data"


def _from_images(source: str, train: Arrays, test: Arrays, validation: float, seed: int) -> Dataset:
    classes = FASHION_CLASSES if source == "fashion-mnist" else tuple(range(_classes(train, test)))
    X, y = train
    kept, held, _ = split(len(X), test=0, validation=validation, seed=seed, classes=y)
    # Without a held part the images are used where they lie.
    part = (X[kept], y[kept]) if len(held) else (X, y)
    scale, done = _pixel_scale(part[0])
    valid = (X[held], y[held]) if len(held) else None
    return Dataset(_stem(source), part, valid, test, classes, scale, preprocessing=done)


def _from_pictures(
    source: str, size: tuple[int, int] | None, validation: float, seed: int
) -> Dataset:
    inside = {place.name: place for place in class_folders(source)}
    fixed = set(PARTS) <= set(inside) <= {*PARTS, *VALIDATION}
    given = {name: images(place, size) for name, place in inside.items()} if fixed else {}
    X, y, classes = given["train"] if fixed else images(source, size)
    for name, part in given.items():
        if part[2] != classes or part[0].shape[1:] != X.shape[1:]:
            raise ValueError(
                f"{source}: folders train and {name} differ: classes {classes} of shape "
                f"{X.shape[1:]}, {part[2]} of shape {part[0].shape[1:]}."
            )
    held_out = [part[:2] for name, part in given.items() if name in VALIDATION]
    kept, held, tested = split(
        len(X),
        test=0.0 if fixed else TEST_SHARE,
        validation=0.0 if held_out else validation,
        seed=seed,
        classes=y,
    )
    scale, done = _pixel_scale(X)
    parts = [
        (X, y) if len(kept) == len(X) else (X[kept], y[kept]),
        held_out[0] if held_out else (X[held], y[held]),
        given["test"][:2] if fixed else (X[tested], y[tested]),
    ]
    return _assemble(_stem(source), parts, classes, scale, done)


def _classes(*parts: Arrays) -> int:
    return 1 + max(int(y.max()) for _, y in parts)


def _pixel_scale(X: NDArray[np.uint8]) -> tuple[float, dict[str, Any]]:
    largest = max(int(X.max()), 1)
    return 1.0 / largest, {"pixels": f"divided by {largest} in the network's first layer"}


def _from_table(name: str, table: Table, validation: float, seed: int) -> Dataset:
    y = table.target.y
    labels = y if table.target.classes else None
    parts = split(len(y), test=TEST_SHARE, validation=validation, seed=seed, classes=labels)
    mean, deviation = _moments(table.X[parts[0]], axis=0)
    mean, deviation = np.where(table.numeric, mean, 0.0), np.where(table.numeric, deviation, 1.0)
    X = _standardised(table.X, mean, deviation, name)
    done = {
        "columns": list(table.features),
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
    }
    return _assemble(name, [(X[i], y[i]) for i in parts], table.target.classes, 1.0, done)


def _from_npz(source: str, task: str | None, validation: float, seed: int) -> Dataset:
    arrays = read_npz(source)
    parts, target = _npz_parts(source, arrays, task, validation, seed)
    name, X = _stem(source), parts[0][0]
    if X.dtype == np.uint8:
        scale, done = _pixel_scale(X)
        return _assemble(name, parts, target.classes, scale, done)
    # A table has a mean for each column; images have one for all pixels.
    mean, deviation = _moments(X.astype(np.float64), axis=0 if X.ndim == 2 else None)
    done = {"mean": mean.tolist(), "deviation": deviation.tolist()}
    parts = [(_standardised(X, mean, deviation, name), y) for X, y in parts]
    return _assemble(name, parts, target.classes, 1.0, done)


def _npz_parts(
    source: str, arrays: dict[str, NDArray[Any]], task: str | None, validation: float, seed: int
) -> tuple[list[Arrays], Target]:
    """Training, validation and test parts of what the file holds, all encoded alike."""
    keys = [key for key in ("", "_train", "_val", "_test") if f"X{key}" in arrays]
    if "_train" in keys:
        keys = [key for key in keys if key]
    for key in keys[1:]:
        if arrays[f"X{key}"].shape[1:] != arrays[f"X{keys[0]}"].shape[1:]:
            raise ValueError(f"{source}: X{key} and X{keys[0]} differ in the shape of a sample.")
    for key in keys:
        _refuse_not_finite(arrays[f"X{key}"], f"{source}, X{key}")
    joined = np.concatenate([arrays[f"y{key}"] for key in keys])
    target = read_target(joined, f"{source}, y", task)
    ends = np.cumsum([0, *(len(arrays[f"X{key}"]) for key in keys)])
    given = {
        key: (arrays[f"X{key}"], target.y[ends[i] : ends[i + 1]]) for i, key in enumerate(keys)
    }
    X, y = given[keys[0]]
    kept, held, tested = split(
        len(X),
        test=0.0 if "_test" in given else TEST_SHARE,
        validation=0.0 if "_val" in given else validation,
        seed=seed,
        classes=y if target.classes else None,
    )
    return [
        (X[kept], y[kept]),
        given.get("_val", (X[held], y[held])),
        given.get("_test", (X[tested], y[tested])),
    ], target


def _refuse_not_finite(X: NDArray[Any], where: str) -> None:
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(X))[0])
        raise ValueError(f"{where}: element {place} is {X[place]}. Remove or fill such samples.")


def _moments(X: NDArray[Any], axis: int | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and standard deviation; a deviation of 0 counts as 1, so constants become 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = np.asarray(X.mean(axis=axis)), np.asarray(X.std(axis=axis))
    tiny = deviation <= 1e-12 * np.abs(mean)
    return mean, np.where(tiny, 1.0, deviation)


def _standardised(
    X: NDArray[Any], mean: NDArray[Any], deviation: NDArray[Any], where: str
) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        scaled: NDArray[np.float32] = ((X - mean) / deviation).astype(np.float32)
    if not np.isfinite(scaled).all():
        raise ValueError(f"{where}: holds values too large for float32. Scale such columns first.")
    return scaled


def _assemble(
    name: str,
    parts: list[Arrays],
    classes: tuple[Any, ...] | None,
    scale: float,
    done: dict[str, Any],
) -> Dataset:
    target_scale = (0.0, 1.0)
    if classes is None:
        mean, deviation = _moments(parts[0][1], axis=0)
        target_scale = (float(mean), float(deviation))
        target = f"{name}, target"
        parts = [(X, _standardised(y, mean, deviation, target)[:, None]) for X, y in parts]
    valid = parts[1] if len(parts[1][0]) else None
    return Dataset(name, parts[0], valid, parts[2], classes, scale, target_scale, done)
