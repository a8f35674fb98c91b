"""The program `steep`: picks the command, turns errors into one line. Commands live beside it."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from .commands import BAD_INPUT, INTERRUPTED


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        known = [word for action in self._actions for word in _words(action)]
        near: list[str] = []
        for word in message.replace("'", " ").split():
            name = word.partition("=")[0].rstrip(",")
            if name not in known:
                near = near or get_close_matches(name, known, n=1, cutoff=0.7)
        hint = f"; did you mean {near[0]}?" if near and "argument --" not in message else ""
        self.exit(BAD_INPUT, f"{self.prog}: {message}{hint} (`{self.prog} --help` lists all)\n")


def _words(action: argparse.Action) -> list[str]:
    names = action.choices if isinstance(action, argparse._SubParsersAction) else ()
    return [*action.option_strings, *(names or ())]


class _Patient:
    """A stream whose reader may go: then nothing is written any more, and the work goes on."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, where somebody reads."""
        try:
            return int(self._stream.write(text) or 0)
        except BrokenPipeError:
            return self._leave()

    def flush(self) -> None:
        """Flush, where somebody reads."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._leave()

    def _leave(self) -> int:
        # At the end Python flushes once more, into what is here then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def build_parser() -> argparse.ArgumentParser:
    """Describe the whole command line."""
    from . import __version__  # noqa: PLC0415  (so that Ctrl-C is heard while it is imported)
    from .commands import (  # noqa: PLC0415  (as above)
        bench,
        evaluate,
        export,
        generate,
        info,
        predict,
        report,
        train,
    )

    parser = _Parser(prog="steep", description="Trains neural networks natively.")
    parser.add_argument("--version", action="version", version=f"steep {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (train, predict, evaluate, generate, export, report, bench, info):
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit code: 0, 2 for anything the user can mend, 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    streams = sys.stdout, sys.stderr
    try:
        sys.stdout, sys.stderr = map(_patient, streams)
        if arguments[:1] == ["bench"]:
            # bench has its own options, which this parser does not know.
            return _guarded("bench", lambda: _bench(arguments[1:]))
        return _guarded(arguments[0] if arguments else "", lambda: _run(arguments))
    finally:
        sys.stdout, sys.stderr = streams


def _run(arguments: list[str]) -> int:
    parser = build_parser()
    options, more = parser.parse_known_args(arguments)
    if more:  # said by the command's own parser, which knows what was meant
        commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
        commands.choices[options.command].error(f"unrecognized arguments: {' '.join(more)}")
    return int(options.run(options))


def _bench(arguments: list[str]) -> int:
    from .commands import bench  # noqa: PLC0415  (so that --help is quick)

    return bench.run(arguments)


def _patient(stream: Any) -> Any:
    """Return a stream that takes every name a file may have, and outlives its reader."""
    if stream is None:
        return None
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return _Patient(stream)


def _guarded(command: str, run: Callable[[], int]) -> int:
    try:
        return run()
    except KeyboardInterrupt:
        print(f"steep {command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError, RuntimeError, ImportError, MemoryError) as error:
        line = " ".join(str(error).split()) or "not enough memory"
        print(f"steep {command}: {line}", file=sys.stderr)
        return BAD_INPUT
