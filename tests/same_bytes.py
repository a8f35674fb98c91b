"""``python tests/same_bytes.py OLD NEW``: do two builds of steep train to the same bytes?

OLD and NEW are folders that hold an importable package `steep`: ``../before/python python``. Each
build plays every training of `trainings` in a process of its own, for every instruction set of this
machine and with 1, 2 and 3 threads; weights, slots, losses, predictions and evaluations are
compared as hashes. ``NEW --write FILE`` keeps them, ``NEW --against FILE`` compares with those
kept. The exit code is 1 on any difference, on any training that fails, and where NEW has a public
layer, loss or optimizer that no training uses. No training stands here.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKER = HERE / "digests.py"
PLAYED = [HERE / name for name in ("digests.py", "trainings.py", "own_layers.py")]
THREADS = (1, 2, 3)
PATIENCE = 600.0  # seconds for all trainings of one build with one instruction set


class BuildError(RuntimeError):
    """A folder holds no build that can be asked."""


@dataclass
class Played:
    """What one build said: the answer of each training by "name, instruction set"."""

    answers: dict = field(default_factory=dict)
    isas: list = field(default_factory=list)
    untried: set = field(default_factory=set)
    seconds: float = 0.0


def ask(folder, isa, order):
    """Run one worker; return the lines it answered and how it ended, "" where it ended well."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "STEEP_MAX_ISA": isa}
    environment.pop("STEEP_NUM_THREADS", None)
    process = subprocess.Popen(
        [sys.executable, str(WORKER)], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    said, noise = process.communicate(json.dumps(order))
    timer.cancel()
    lines = [json.loads(line) for line in said.splitlines(keepends=True) if line.endswith("\n")]
    code = process.returncode
    if code == 0:
        return lines, ""
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return lines, " ".join(["crashed:", name, *noise.strip().splitlines()[-1:]])


def greeting(folder, lines, end):
    """Return what a worker said of itself; refuse one that found another steep."""
    if not lines:
        raise BuildError(f"{folder}: no steep there that can be imported: {end}")
    hello = lines[0]["hello"]
    if Path(hello["path"]).resolve() != Path(folder).resolve():
        raise BuildError(f"{folder}: Python found the steep of {hello['path']}; is one installed?")
    return hello


def play(folder, names=None, threads=THREADS, isas=None, seed=0):
    """Return what a build makes of the trainings of these names, all when None.

    A crash is the answer of the training it happened in; another process goes on behind it.
    """
    folder, start = Path(folder).resolve(), time.monotonic()
    order = {"names": [], "threads": list(threads), "seed": seed}
    hello = greeting(folder, *ask(folder, "amx", order))
    if unknown := set(names or ()) - set(hello["names"]):
        raise BuildError(f"{folder}: has no training {', '.join(sorted(unknown))}")
    played = Played(isas=list(isas or hello["isas"]))
    for isa in played.isas:
        left, used, public = list(hello["names"] if names is None else names), set(), set()
        while left:
            lines, end = ask(folder, isa, {**order, "names": left})
            if greeting(folder, lines, end)["isa"] != isa:
                raise BuildError(f"{folder}: cannot run with STEEP_MAX_ISA={isa} here")
            found = {line["name"]: line for line in lines if "name" in line}
            begun = [line["begin"] for line in lines if "begin" in line]
            if end and not begun:
                raise BuildError(f"{folder}: {end}")
            for name in begun:
                played.answers[f"{name}, {isa}"] = found.get(name, {"error": end})
            public |= {name for line in lines for name in line.get("untried", ())}
            used |= {name for line in lines for name in line.get("used", ())}
            left = left[len(begun) :]
        played.untried |= public - used
    played.seconds = time.monotonic() - start
    return played


def differences(old, new):
    """Return lines on what is not the same, and the names that only the new build has."""
    wrong, fresh = [], []
    for name in {**old, **new}:
        before, after = (side.get(name, {"absent": "training"}) for side in (old, new))
        if "error" in before or "error" in after:
            both = ((text, side["error"]) for text, side in (("old", before), ("new", after))
                    if "error" in side)  # fmt: skip
            wrong += [f"{name}: {text} build: {error}" for text, error in both]
        elif "absent" in after and "absent" not in before:
            wrong.append(f"{name}: the new build has no {after['absent']}")
        elif "absent" in before:
            fresh.append(name)
        else:
            wrong += parts(name, before["parts"], after["parts"])
    return wrong, fresh


def parts(name, before, after):
    """Return a line for each number of threads with which bytes are not the same."""
    first, lines = next(iter(after.values())), []
    for threads, now in after.items():
        if now != first:
            lines.append(f"{name}: new build: {threads} threads give other bytes than 1")
        then = before.get(threads, {})
        if now != then:
            what = [part for part in now if part != "all" and now[part] != then.get(part)]
            lines.append(f"{name}, {threads} threads: other {', '.join(what)}")
    return lines


def version():
    """Return a hash of the trainings: those of another version may end in other bytes."""
    sha = hashlib.sha256()
    for path in PLAYED:
        sha.update(path.read_bytes())
    return sha.hexdigest()


def kept(path):
    """Return the answers in a file; say where it was written by other trainings."""
    found = json.loads(Path(path).read_text())
    if found["trainings"] != version():
        print(f"{path}: the trainings changed since it was written; that may be the difference")
    return found["answers"]


def parse(arguments):
    """Return the options."""
    parser = argparse.ArgumentParser("same_bytes.py", description=__doc__.split("\n")[0])
    parser.add_argument("builds", nargs="+", metavar="FOLDER", help="OLD NEW, or one build")
    parser.add_argument("--write", metavar="FILE", help="keep the hashes of the one build")
    parser.add_argument("--against", metavar="FILE", help="compare the one build with those kept")
    parser.add_argument("--only", action="append", metavar="NAME", help="this training; repeatable")
    parser.add_argument("--isa", action="append", help="this instruction set; repeatable")
    parser.add_argument("--seed", type=int, default=0, help="of the last build; it is added")
    options = parser.parse_args(arguments)
    wanted = 1 if options.write or options.against else 2
    if len(options.builds) != wanted:
        parser.error(f"expects {wanted} folder(s), got {len(options.builds)}")
    return options


def compare(old, new):
    """Print how two sets of answers differ, and return how many differences there are."""
    wrong, fresh = differences(old, new)
    for name in fresh:
        print(f"{name}: only the new build has it")
    for line in wrong:
        print(line)
    rows = {name.rpartition(", ")[0] for name in new}
    hashes = sum(len(answer.get("parts", ())) for answer in new.values())
    verdict = f"{len(wrong)} DIFFERENCES" if wrong else "the same bytes"
    print(f"{len(rows)} trainings ({hashes} hashes, {len(fresh)} only new): {verdict}")
    return len(wrong)


def main(arguments):
    """Play, keep or compare; return the exit code."""
    options = parse(arguments)
    *first, last = options.builds
    try:
        played = [play(one, options.only, isas=options.isa) for one in first]
        played.append(play(last, options.only, isas=options.isa, seed=options.seed))
    except BuildError as error:
        print(error)
        return 1
    new = played[-1]
    for folder, one in zip(options.builds, played, strict=True):
        print(f"{folder}: {', '.join(one.isas)}; {one.seconds:.0f} s")
    untried = [] if options.only else sorted(new.untried)
    for name in untried:
        print(f"{name}: is public, but no training of tests/trainings.py uses it")
    if options.write:
        print(f"{options.write}: keeps the hashes")
        text = json.dumps({"trainings": version(), "answers": new.answers}, indent=0)
        Path(options.write).write_text(text + "\n")
    old = kept(options.against) if options.against else played[0].answers
    return int(compare(old, new.answers) > 0 or bool(untried))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
