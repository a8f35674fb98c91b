"""Reads many inputs in one process and says of each how it went; its parent watches the clock.

Takes JSON lines, ``[reader, first, last]`` or ``[reader, seed, folder]``; answers a line for each
input: ``[seed, "read" | "refused" | "fault", words]``.
"""

import contextlib
import json
import os
import re
import resource
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from pathlib import Path

import numpy as np

from .readers import READERS

SECONDS = 5.0  # of this process's time
ROOM = 3 << 30  # bytes of address space beyond what the worker has when it begins


def generator(reader, seed, what):
    """Return the random numbers of one input, or of what is done with it."""
    return np.random.default_rng([zlib.crc32(reader.encode()), seed, what])


def files_of(reader, seed):
    return READERS[reader].files(generator(reader, seed, 0))


def write(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def outcome(reader, seed, folder):
    """Read the files in a folder; return what came of it, in one word and some more."""
    known, rng = READERS[reader], generator(reader, seed, 1)
    held = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    packed = any(data[:2] == b"\x1f\x8b" for data in held)
    most = known.memory(sum(map(len, held)), packed)
    refusal, found = "", None
    before, start = _memory("VmRSS", fresh=True), time.process_time()
    try:
        found = known.read(folder, rng)
    except (ValueError, OSError) as error:
        refusal = f"{type(error).__name__}: {error}"
        if str(folder) not in refusal:
            return "fault", f"does not name the file: {_trace(error)}"
    except BaseException as error:
        if "cuda" not in str(error) or str(folder) not in str(error):
            return "fault", _trace(error)
        refusal = str(error)
    seconds, taken = time.process_time() - start, _memory("VmHWM") - before
    if seconds > SECONDS:
        return "fault", f"took {seconds:.1f} s"
    if taken > most:
        return "fault", f"took {taken >> 20} MiB, {most >> 20} are allowed"
    if found is not None:
        try:
            known.check(found, folder, rng)
        except BaseException as error:
            return "fault", f"was read, but {_trace(error)}"
    return ("refused", refusal[:200]) if refusal else ("read", "")


def main():
    """Answer until the input ends."""
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    for line in sys.stdin:
        reader, first, last = json.loads(line)
        _limit(reader)
        seeds = range(first, last) if isinstance(last, int) else [first]
        for seed in seeds:
            with tempfile.TemporaryDirectory(prefix="fuzz") as place:
                folder = Path(place if isinstance(last, int) else last)
                if isinstance(last, int):
                    write(folder, files_of(reader, seed))
                answer = outcome(reader, seed, folder)
            out.write(json.dumps([seed, *answer]) + "\n")


def _limit(reader):
    """Warm up, once, and then let no allocation be much larger than anything should be."""
    if reader not in _warm:
        with tempfile.TemporaryDirectory() as place:
            write(Path(place), files_of(reader, 0))
            outcome(reader, 0, Path(place))
        _warm.add(reader)
        resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + ROOM, resource.RLIM_INFINITY))


_warm = set()


def _memory(which, fresh=False):
    """Return a number of bytes of this process; `fresh` begins the high-water mark anew."""
    if fresh:
        # Without it, the mark of the whole life is taken: that still finds the worst.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{which}:\s+(\d+)", text)[1]) << 10


def _trace(error):
    where = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(where))
    return f"{type(error).__name__}: {str(error)[:300]} ({places})"
