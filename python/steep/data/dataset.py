"""Turns any source of data into parts a network can train on: split, scaled, described.

The sources are read elsewhere; networks and training know nothing of this file.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .csv_file import Reading
from .frame import Frame
from .image_folder import class_folders, images, parts_of
from .image_sets import FASHION_CLASSES, NAMES, has_idx, load, load_idx_folder
from .npz_file import read_npz
from .sources import open_frame
from .sources import stem as _stem
from .split import folds, split
from .table import Table, columns_of, learn_goal, position
from .target import Target, read_target

Arrays: TypeAlias = tuple[NDArray[Any], NDArray[Any]]
TABLE_ENDINGS = (
    ".csv", ".tsv", ".txt", ".data", ".parquet", ".pq", ".feather", ".arrow", ".ipc", ".xlsx",
    ".xlsm",
)  # fmt: skip
PACKED = (".gz", ".bz2", ".xz")
TEST_SHARE = 0.2
READING = ("header", "delimiter", "decimal", "encoding", "skip")


@dataclass(frozen=True, repr=False)
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
    table : Table or None
        What was done to the columns of a table.
    """

    name: str
    train: Arrays
    validation: Arrays | None
    test: Arrays
    classes: tuple[Any, ...] | None
    scale: float = 1.0
    target_scale: tuple[float, float] = (0.0, 1.0)
    preprocessing: dict[str, Any] = field(default_factory=dict)
    table: Table | None = None

    @property
    def task(self) -> str:
        """``"classification"`` or ``"regression"``."""
        return "regression" if self.classes is None else "classification"

    def __repr__(self) -> str:
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        counts = ", ".join(f"{len(part[0])} {name}" for name, part in parts.items() if part)
        kind = "regression" if self.classes is None else f"{len(self.classes)} classes"
        shape = "x".join(map(str, self.train[0].shape[1:]))
        return f"Dataset({self.name!r}: {counts} samples of {shape}, {kind})"


def open_dataset(
    source: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    target: str | int | None = None,
    task: str | None = None,
    drop: Sequence[str | int] = (),
    size: tuple[int, int] | None = None,
    validation: float = 0.1,
    seed: int = 0,
    **table: Any,
) -> Dataset:
    """Open a named data set, a table, an .npz file, or a folder of IDX files or class folders.

    Parameters
    ----------
    source : str or path
        ``"digits"``, ``"fashion-mnist"``, or a path.
    root : str or path, optional
        Folder of the IDX files of fashion-mnist.
    target, drop : str or int, sequence of such
        Columns of a table: what to learn, what to leave out.
    size : tuple of int, optional
        (height, width) to scale the picture files of class folders to, see :func:`images`.
    task : {"classification", "regression"}, optional
        Overrides what the target's values say.
    validation : float
        Share of all samples (of the training part, where the test part is fixed).
    seed : int
        Chooses the split.
    **table
        Of a table, as :meth:`Table.learn` has it: `keep`, `categorical`, `squash`, `missing`,
        `header`, `delimiter`, `decimal`, `encoding`, `skip`.

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
    source = os.path.expanduser(os.fspath(source))
    if has_idx(raw := os.path.join(source, "raw")):
        source = raw  # where torchvision puts them
    kind = _kind(source, target is not None)
    if kind != "table" and (target is not None or drop or table):
        raise ValueError(f"{source}: --target and --drop name columns of a table.")
    if root is not None and source != "fashion-mnist":
        raise ValueError(f"{source}: --root names the folder of fashion-mnist's files.")
    if size is not None and kind != "pictures":
        raise ValueError(f"{source}: --size scales the picture files of a folder of class folders.")
    if task == "regression" and kind in ("pictures", "idx", "named"):
        raise ValueError(f"{source}: its labels are classes, so --task regression does not fit.")
    if kind == "table":
        if target is None:
            what = f"name the column to learn with --target COLUMN; {_columns(source, table)}."
            raise ValueError(f"{source}: {what}")
        return _from_table(source, target, validation, seed, {"task": task, "drop": drop, **table})
    if kind == "npz":
        return _from_npz(source, task, validation, seed)
    if kind == "pictures":
        return _from_pictures(source, size, validation, seed)
    parts = load_idx_folder(source) if kind == "idx" else load(source, root)
    return _from_images(source, *parts, validation, seed)


def _kind(source: str, wanted: bool) -> str:
    """Say what a source is; what is no file is a name, known or not. `wanted`: a column of it."""
    path, name = Path(source), source.lower()
    if path.is_dir():
        return "idx" if has_idx(source) else "pictures"
    ending = next((name.removesuffix(end) for end in PACKED if name.endswith(end)), name)
    if name.endswith(".npz"):
        return "npz"
    if ending.endswith(TABLE_ENDINGS):
        return "table"
    if path.exists() and source not in NAMES:
        if wanted:
            return "table"
        raise ValueError(
            f"{source}: expected a .csv, .tsv or .npz file or a folder; for a table of another "
            "ending name the column to learn with --target."
        )
    if "/" in source or (wanted and source not in NAMES):
        raise FileNotFoundError(f"{source}: no such file.")
    return "named"


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
    inside = parts_of(source)
    top = class_folders(inside.get("train", source))
    if len(top) == 1:
        deeper = " It holds folders itself: name it instead." if class_folders(top[0]) else ""
        what = f"has only one class folder, {top[0].name}; learning needs two.{deeper}"
        raise ValueError(f"{source}: {what}")
    given = {part: images(place, size) for part, place in inside.items()}
    X, y, classes = given["train"] if given else images(source, size)
    for part, (other, _, names) in given.items():
        if names != classes or other.shape[1:] != X.shape[1:]:
            raise ValueError(
                f"{source}: folders {inside['train'].name} and {inside[part].name} differ: classes "
                f"{classes} of shape {X.shape[1:]}, {names} of shape {other.shape[1:]}."
            )
    kept, held, tested = split(
        len(X),
        test=0.0 if "test" in given else TEST_SHARE,
        validation=0.0 if "validation" in given else validation,
        seed=seed,
        classes=y,
    )
    scale, done = _pixel_scale(X)
    parts = [
        (X, y) if len(kept) == len(X) else (X[kept], y[kept]),
        given["validation"][:2] if "validation" in given else (X[held], y[held]),
        given["test"][:2] if "test" in given else (X[tested], y[tested]),
    ]
    return _assemble(_stem(source), parts, classes, scale, done)


def _classes(*parts: Arrays) -> int:
    return 1 + max(int(y.max()) for _, y in parts)


def _pixel_scale(X: NDArray[np.uint8]) -> tuple[float, dict[str, Any]]:
    largest = max(int(X.max()), 1)
    return 1.0 / largest, {"pixels": f"divided by {largest} in the network's first layer"}


def _from_table(
    source: str, target: str | int, validation: float, seed: int, options: dict[str, Any]
) -> Dataset:
    frame, y, options = _open_table(source, target, options)
    labels = y if y.dtype == np.int64 else None
    parts = split(len(y), test=TEST_SHARE, validation=validation, seed=seed, classes=labels)
    return table_dataset(_stem(source), frame, target, parts, options)


def _columns(source: str, options: dict[str, Any]) -> str:
    """Say what columns a table has."""
    how = {k: v for k, v in options.items() if k in READING}
    return columns_of(open_frame(source, Reading(**how)))


def table_folds(
    source: str,
    target: str | int,
    count: int,
    *,
    validation: float,
    seed: int,
    options: dict[str, Any],
) -> Iterator[Dataset]:
    """Give the data of each fold of a cross-validation; arguments as of `open_dataset`."""
    frame, y, options = _open_table(source, target, options)
    labels = y if y.dtype == np.int64 else None
    for tested in folds(len(y), count, seed=seed, classes=labels):
        others = np.setdiff1d(np.arange(len(y)), tested)
        kept, held, _ = split(
            len(others),
            test=0.0,
            validation=validation,
            seed=seed,
            classes=None if labels is None else labels[others],
        )
        yield table_dataset(
            _stem(source), frame, target, (others[kept], others[held], tested), options
        )


def _open_table(
    source: str, target: str | int, options: dict[str, Any]
) -> tuple[Frame, NDArray[Any], dict[str, Any]]:
    """Return the rows that have a target, the target, and the options that `learn` takes."""
    how = {k: v for k, v in options.items() if k in READING}
    options = {k: v for k, v in options.items() if k not in READING}
    missing = tuple(options.get("missing", ()))
    frame = open_frame(source, Reading(target=target, missing=missing, **how))
    y, present = learn_goal(frame, target, options.get("task"), missing)
    if not present.all():
        name = frame.names[position(frame, target, "target")]
        note = f"{int((~present).sum())} rows without {name!r} are left out"
        frame = replace(frame.take(np.flatnonzero(present)), notes=(*frame.notes, note))
    return frame, y[present], options


def table_dataset(
    name: str,
    frame: Frame,
    target: str | int,
    parts: Sequence[NDArray[np.int64]],
    options: dict[str, Any],
) -> Dataset:
    """Learn the columns of a table on the training rows, and encode all parts (positions) by it."""
    table = Table.learn(frame, target, rows=parts[0], **options)
    made = [table.apply(frame.take(part)) for part in parts]
    goal = table.goal
    assert goal
    return Dataset(
        name,
        made[0],
        made[1] if len(parts[1]) else None,
        made[2],
        goal.classes,
        1.0,
        (goal.mean, goal.deviation),
        {"columns": list(table.features), "notes": list(table.notes)},
        table,
    )


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
