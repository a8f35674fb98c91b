"""The emulation shows bugs that are planted in kernels, and nothing in their right twins.

Each bug says what shows it: the plain run, ASan, UBSan or TSan. Needs the sources and g++.
"""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOM = ROOT / "csrc" / "cuda"
BUGS = ROOT / "tests" / "cuda" / "bugs.cu"
FLAGS = ["-std=c++20", "-O1", "-g", "-mavx2", "-mfma", "-ffp-contract=off", "-w",
         "-DSTEEP_ISA=cuda", f"-I{ROOT / 'csrc'}", f"-I{ROOM / 'emulation'}"]  # fmt: skip
# What shows each bug. plain: a result that is NaN, an error, a signal, or other than the twin's;
# orders: results that depend on the order of threads or branches.
SHOWN = {
    "raw": ("plain", "tsan"), "war": ("orders", "tsan"), "warp": ("plain", "tsan"),
    "shuffled": ("tsan",), "global_bounds": ("asan",), "shared_bounds": ("asan",),
    "misaligned": ("ubsan",),
    "uninitialised": ("plain",), "divergent": ("plain",), "early_return": ("plain",),
    "across_blocks": ("orders", "tsan"), "counted": ("tsan",), "read_too_early": ("plain",),
    "two_streams": ("plain",), "pinned_reuse": ("plain",), "host_touches": ("plain",),
    "capture_malloc": ("plain",), "unjoined": ("plain",), "fragments_early": ("plain", "tsan"),
    "fragments_in_a_branch": ("orders",), "graph_race": ("orders",), "memory": ("plain",),
}  # fmt: skip

pytestmark = [
    pytest.mark.skipif(not BUGS.is_file() or not ROOM.is_dir(), reason="the sources are not here"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not here"),
]


def build(folder, kind):
    """Compile the bugs and the emulation; TSan does not look at the emulation's own accesses."""
    sanitizer = {"plain": [], "asan": ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"],
                 "tsan": ["-fsanitize=thread"]}[kind]  # fmt: skip
    machine = ["-DEMULATION_TSAN"] if kind == "tsan" else sanitizer
    objects = []
    for source in [BUGS, *sorted((ROOM / "emulation").glob("*.cpp"))]:
        objects.append(folder / f"{kind}_{source.stem}.o")
        flags = sanitizer if source == BUGS else machine
        command = ["g++", *FLAGS, *flags, "-x", "c++", "-c", source, "-o", objects[-1]]
        subprocess.run(command, check=True, timeout=300)
    program = folder / kind
    subprocess.run(["g++", *sanitizer, *objects, "-o", program], check=True, timeout=300)
    return program


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bugs")
    kinds = ("plain", "asan", "tsan")
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(kinds, pool.map(lambda kind: build(folder, kind), kinds), strict=True))


def run(program, name, good, order=0):
    """Return what it printed and how it ended, and its complaints."""
    tsan = "exitcode=66 atexit_sleep_ms=0"
    env = {**os.environ, "EMULATION_ORDER": str(order),
           "ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": tsan}  # fmt: skip
    done = subprocess.run(
        [program, name, *(["good"] if good else [])],
        capture_output=True, text=True, env=env, timeout=120, check=False,
    )  # fmt: skip
    return (done.returncode, done.stdout), done.stderr


def complaints(programs, name, good):
    """Return which ways of looking find something."""
    found = set()
    results = {run(programs["plain"], name, good, order)[0] for order in range(5)}
    twin = run(programs["plain"], name, True)[0]
    if len(results) > 1:
        found.add("orders")
    elif results != {twin}:
        found.add("plain")
    if any("nan" in said for _, said in results):
        found.add("plain")
    said = run(programs["asan"], name, good)[1]
    if "AddressSanitizer" in said:
        found.add("asan")
    if "runtime error:" in said:
        found.add("ubsan")
    if "WARNING: ThreadSanitizer: data race" in run(programs["tsan"], name, good)[1]:
        found.add("tsan")
    return found


@pytest.mark.parametrize("name", SHOWN)
def test_a_planted_bug_is_shown_and_its_right_twin_is_not(name, programs):
    assert complaints(programs, name, good=True) == set()
    assert complaints(programs, name, good=False) >= set(SHOWN[name])
