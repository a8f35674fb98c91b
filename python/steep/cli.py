"""The program `steep`: picks the command, turns errors into one line. Commands live beside it."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from .commands import BAD_INPUT, INTERRUPTED, bench, info, train

COMMANDS = (train, bench, info)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (`{self.prog} --help` lists all)\n")


def build_parser() -> argparse.ArgumentParser:
    """Describe the whole command line."""
    parser = _Parser(prog="steep", description="Trains neural networks natively.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
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
    if arguments[:1] == ["bench"]:
        # bench has its own options, which this parser does not know.
        return _guarded("bench", lambda: bench.run(arguments[1:]))
    options = build_parser().parse_args(arguments)
    return _guarded(options.command, lambda: int(options.run(options)))


def _guarded(command: str, run: Callable[[], int]) -> int:
    try:
        return run()
    except KeyboardInterrupt:
        print(f"steep {command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        line = " ".join(str(error).split())
        print(f"steep {command}: {line}", file=sys.stderr)
        return BAD_INPUT
