"""Drives workers over seeds: restarts those that die or hang, makes failing inputs small."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from . import worker

TESTS = Path(__file__).resolve().parents[1]
PATIENCE = 60.0  # seconds without an answer: a hang, even where the machine is busy
CODE = f"import sys; sys.path.insert(0, {str(TESTS)!r}); from fuzz import worker; worker.main()"
TRIES = 150  # readings spent on making one failing input small
BATCH = 250  # inputs a worker is asked for at a time


class Worker:
    """A process that reads inputs; starts again where it died."""

    def __init__(self, code=CODE):
        self._code, self._process, self._rest = code, None, b""

    def ask(self, *question):
        """Ask; the answers come by `answer`."""
        if self._process is None:
            env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            self._process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-c", self._code],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=env,
            )  # fmt: skip
            self._rest = b""
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self, patience=PATIENCE):
        """Return the next answer; where none comes, end the process and say how it went."""
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], patience)
            more = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
            if not more:
                return None, "fault", self._end("hangs" if not ready else "")
            self._rest += more
        line, self._rest = self._rest.split(b"\n", 1)
        return tuple(json.loads(line))

    def close(self):
        if self._process is not None:
            self._end("")

    def _end(self, how):
        process, self._process = self._process, None
        if how:
            process.kill()
        process.stdin.close()
        process.stdout.close()
        status = process.wait()
        self._log.seek(0)
        said = self._log.read()[-2000:].decode(errors="replace")
        self._log.close()
        return how or f"died with {status}: {said}"


def run(reader, first, last, found, *, keep=None, code=CODE, patience=PATIENCE, most=20):
    """Read the inputs of some seeds; count outcomes in `found`, yield (seed, words, files)."""
    helper, seed, faults = Worker(code), first, 0
    try:
        while seed < last and faults < most:
            end = min(last, seed + BATCH)
            helper.ask(reader, seed, end)
            while seed < end:
                answered, outcome, words = helper.answer(patience)
                found[outcome] += 1
                seed += 1
                if outcome == "fault":
                    faults += 1
                    yield seed - 1, words, small(reader, seed - 1, words, keep, code)
                if answered is None:
                    break
    finally:
        helper.close()


def small(reader, seed, words, keep, code=CODE):
    """Return the files of a failing input with as much cut out as leaves the failure as it is."""
    files = worker.files_of(reader, seed)
    helper, place = Worker(code), Path(tempfile.mkdtemp(prefix="fuzz-small"))
    tries = iter(range(TRIES))

    def fails(candidate):
        if next(tries, None) is None:
            return False
        folder = place / "input"
        shutil.rmtree(folder, ignore_errors=True)
        worker.write(folder, candidate)
        helper.ask(reader, seed, str(folder))
        _, outcome, other = helper.answer(PATIENCE)
        return outcome == "fault" and _kind(other) == _kind(words)

    try:
        for name in sorted(files):
            files = _cut(files, name, fails)
    finally:
        helper.close()
        shutil.rmtree(place, ignore_errors=True)
    if keep is not None:
        worker.write(Path(keep) / f"{reader}-{seed}", files)
    return files


def _cut(files, name, fails):
    """Leave out pieces of one file, large ones first, as long as it still fails."""
    without = {other: data for other, data in files.items() if other != name}
    if without and fails(without):
        return without
    piece = len(files[name]) // 2
    while piece >= 1:
        place = 0
        while place < len(files[name]):
            data = files[name][:place] + files[name][place + piece :]
            if fails(files | {name: data}):
                files = files | {name: data}
            else:
                place += piece
        piece //= 2
    return files


def _kind(words):
    """Return what two faults of one kind have in common."""
    return words.split(":")[0][:40] if not words.startswith("took") else "took"


def main(arguments):
    """Run what the command line asks for; return the exit code."""
    first, last = (int(part) for part in arguments.seeds.split(":"))
    faults = 0
    for reader in arguments.reader or list(worker.READERS):
        found = Counter()
        for seed, words, files in run(reader, first, last, found, keep=arguments.keep):
            faults += 1
            print(f"\n{reader} seed {seed}: {words}", flush=True)
            for name, data in files.items():
                print(f"  {name}: {len(data)} bytes: {data[:300]!r}", flush=True)
        counts = ", ".join(f"{found[kind]} {kind}" for kind in ("read", "refused", "fault"))
        print(f"{reader}: seeds {first}:{last}, {counts}", flush=True)
    print(f"fuzz: seeds {first}:{last}, {faults} failures")
    return 1 if faults else 0
