"""Reads one `.ts` file (the UEA & UCR archives' format of series). No data set lives here."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import numbers

WORDS = {"true": True, "false": False}
COMMENTS = ("#", "%")
NOTHING = ("?", "nan", "")
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Series:
    """Series of one file, padded to the longest.

    Attributes
    ----------
    X : ndarray
        float32 (N, steps, channels); 0 after the end of a series, NaN where a value is missing.
    lengths : ndarray
        int32 (N,): steps of each series.
    y : ndarray or None
        int32 (N,), positions in `classes`; float64 (N,) of files with a ``@targetLabel``; None of
        files without either.
    classes : tuple of str
        Labels in the order of their numbers, or of the alphabet; empty if there are none.
    """

    X: NDArray[np.float32]
    lengths: NDArray[np.int32]
    y: NDArray[Any] | None
    classes: tuple[str, ...]


def read_ts(path: str | os.PathLike[str], *, steps: int | None = None) -> Series:
    """Read a `.ts` file: a header of ``@name value`` lines, then one series a line.

    A line holds channels, separated by ``:``, each a list of numbers separated by commas; last
    comes the class or the target, if the header promises one. Lines that begin with ``#`` or
    ``%`` are comments.

    Parameters
    ----------
    path : str or path
        The file, UTF-8.
    steps : int, optional
        Pad to so many steps, for files whose longest series differ; by default to the longest.

    Returns
    -------
    Series
        In the order of the file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Not such a file, or with time stamps; the message names the line. Or a series is longer
        than `steps`.

    Notes
    -----
    Source: A. Bagnall et al. (2018), "The UEA multivariate time series classification archive".
    """
    name = os.fspath(path)
    with open(path, encoding="utf-8-sig") as file:
        try:
            lines = iter(enumerate(file.read().split("\n"), 1))
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}: not a .ts file: {error}") from None
    header = _header(name, lines)
    series: list[NDArray[np.float32]] = []
    ends: list[tuple[int, str | None]] = []
    for number, line in lines:
        if not line.strip() or line.startswith(COMMENTS):
            continue
        values, end = _series(f"{name}, line {number}", line, header)
        if series and values.shape[1] != series[0].shape[1]:
            raise ValueError(
                f"{name}, line {number}: has {values.shape[1]} channels, "
                f"those before it have {series[0].shape[1]}"
            )
        series.append(values)
        ends.append((number, end))
    if not series:
        raise ValueError(f"{name}: holds no series after @data")
    y, classes = _targets(name, ends, header)
    lengths = np.array([len(values) for values in series], np.int32)
    return Series(_padded(name, series, steps), lengths, y, classes)


def _header(name: str, lines: Iterator[tuple[int, str]]) -> dict[str, list[str]]:
    """Return the header's lines by name in lower case, up to and without @data."""
    header: dict[str, list[str]] = {}
    for number, line in lines:
        words = line.split()
        if not words or line.startswith(COMMENTS):
            continue
        if not words[0].startswith("@"):
            raise ValueError(
                f"{name}, line {number}: expected a line of the header that begins with @, "
                f"got {line[:40]!r}; series come after @data"
            )
        if words[0].lower() == "@data":
            break
        header[words[0][1:].lower()] = words[1:]
    else:
        raise ValueError(f"{name}: not a .ts file: it has no line @data")
    for key in ("timestamps", "classlabel", "targetlabel"):
        said = (header.get(key) or ["false"])[0].lower()
        if said not in WORDS:
            raise ValueError(f"{name}: @{key} is true or false, got {said!r}")
    if _says(header, "timestamps"):
        raise ValueError(f"{name}: has time stamps; read_ts reads evenly spaced values")
    return header


def _says(header: dict[str, list[str]], key: str) -> bool:
    return WORDS[(header.get(key) or ["false"])[0].lower()]


def _series(
    where: str, line: str, header: dict[str, list[str]]
) -> tuple[NDArray[np.float32], str | None]:
    """Return the values (steps, channels) of a line, and its label."""
    parts = line.split(":")
    end = None
    if _says(header, "classlabel") or _says(header, "targetlabel"):
        end = parts.pop().strip()
        if not parts:
            raise ValueError(f"{where}: has no series before its label {end!r}")
    channels = [_numbers(where, part) for part in parts]
    if any(len(channel) != len(channels[0]) for channel in channels):
        lengths = ", ".join(str(len(channel)) for channel in channels)
        raise ValueError(f"{where}: its channels differ in length: {lengths} values")
    return np.stack(channels, axis=1), end


def _numbers(where: str, part: str) -> NDArray[np.float32]:
    values = []
    for text in part.split(","):
        word = text.strip()
        try:
            value = math.nan if word.lower() in NOTHING else float(word)
        except ValueError:
            value = math.inf
        if abs(value) > LARGEST or "_" in word:
            raise ValueError(f"{where}: expected a number of float32, got {word[:40]!r}")
        values.append(value)
    return np.array(values, np.float32)


def _targets(
    name: str, ends: list[tuple[int, str | None]], header: dict[str, list[str]]
) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    """Return labels or values, and the classes."""
    if _says(header, "classlabel"):
        named = header["classlabel"][1:]
        for number, end in ends:
            if named and end not in named:
                raise ValueError(
                    f"{name}, line {number}: class {end!r} is not among those of the header, "
                    f"{', '.join(named[:10])}"
                )
        classes = tuple(sorted(set(named) or {str(end) for _, end in ends}, key=_order))
        place = {label: k for k, label in enumerate(classes)}
        return np.array([place[str(end)] for _, end in ends], np.int32), classes
    if not _says(header, "targetlabel"):
        return None, ()
    found = []
    for number, end in ends:
        try:
            found.append(float(str(end)))
        except ValueError:
            raise ValueError(f"{name}, line {number}: the target {end!r} is no number") from None
    return np.array(found), ()


def _order(label: str) -> tuple[bool, float, str]:
    """Numbers come first, by size, so that files whose headers differ in order agree."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label


def _padded(name: str, series: list[NDArray[np.float32]], steps: int | None) -> NDArray[np.float32]:
    longest = max(len(values) for values in series)
    if steps is not None and numbers.whole("read_ts", "steps", steps) < longest:
        raise ValueError(f"{name}: its longest series has {longest} steps, more than steps={steps}")
    X = np.zeros((len(series), steps or longest, series[0].shape[1]), np.float32)
    for row, values in zip(X, series, strict=True):
        row[: len(values)] = values
    return X
