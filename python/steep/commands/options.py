"""Options that several commands share, and how their values are read from text."""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..network import devices

READING = ("header", "delimiter", "decimal", "encoding", "skip")


def adder(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> Callable[..., Any]:
    """Return what adds an option that is set only where the user says it."""
    return partial(parser.add_argument, default=argparse.SUPPRESS)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how a text file is written, where that is not found out."""
    add = adder(parser.add_argument_group("how a text file is written, where it is not found out"))
    add("--header", action="store_true", help="the first row holds names")
    add("--no-header", action="store_false", dest="header", help="it does not")
    add("--delimiter", type=_mark, metavar="C", help="mark between cells; 'tab' for a tabulator")
    add("--decimal", choices=(".", ","), help="mark between whole numbers and tenths")
    add("--encoding", metavar="NAME", help="of the text: utf-8, latin-1, utf-16, ...")
    add("--skip", type=count_or_none, metavar="N", help="lines before the table")


def reading(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the user said of the text file."""
    return {name: given[name] for name in READING if given.get(name) is not None}


def add_device(add: Callable[..., Any], what: str) -> None:
    """Add the device that computes."""
    add("--device", choices=devices.NAMES, help=f"{what} (cpu)")


def device(name: str) -> str:
    """Return a device that is here.

    Raises
    ------
    ValueError
        There is no such device.
    RuntimeError
        This build or this machine has no GPU.
    """
    chosen = devices.named(name)
    if chosen == "cuda" and (why := devices.missing()):
        raise RuntimeError(f"--device cuda: {why}. Use --device cpu.")
    return chosen


def _mark(text: str) -> str:
    mark = {"tab": "\t", "\\t": "\t", "space": " "}.get(text, text)
    if len(mark) != 1:
        raise argparse.ArgumentTypeError(f"expected one character, or tab, got {text!r}")
    return mark


def count(text: str) -> int:
    """Read a whole number from 1."""
    return _whole(text, 1)


def count_or_none(text: str) -> int:
    """Read a whole number from 0."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"invalid: expected a whole number, {least} or more, got {text!r}"
        ) from None
    if value < least:
        raise argparse.ArgumentTypeError(f"expected {least} or more, got {value}")
    return value


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None


def units(text: str) -> tuple[int, ...]:
    """Read numbers of units: ``256,128``."""
    return tuple(count(part) for part in text.split(","))


def size(text: str) -> tuple[int, int]:
    """Read height and width: ``64,64`` or ``64x64``."""
    sizes = text.lower().replace("x", ",").split(",")
    if len(sizes) != 2:
        raise argparse.ArgumentTypeError(f"expected HEIGHT,WIDTH, got {text}")
    return count(sizes[0]), count(sizes[1])
