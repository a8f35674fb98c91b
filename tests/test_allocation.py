"""Law 5: a run that goes on allocates nothing, and a thousand further steps leave memory alone."""

import ctypes
import gc
import os
import shutil
import subprocess
import sys
import textwrap

import cases
import engine
import numpy as np
import pytest
import steep

PAGE = os.sysconf("SC_PAGE_SIZE")
# Stacks of workers and of the interpreter touch a page now and then; a leak of one byte in each
# step and parameter block would be far more.
NOISE = 32 * PAGE
BATCHES = 5
MOST_AT_THE_DOOR = 8  # of pybind11, for the arguments of one native call


class Heap(ctypes.Structure):
    """What glibc's mallinfo2 returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def heap():
    """Return the bytes in use in the C heap, or skip where nobody counts them."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, TypeError):
        pytest.skip("this C library has no mallinfo2")
    mallinfo2.restype = Heap
    info = mallinfo2()
    return info.uordblks + info.hblkhd


def resident():
    """Return the resident memory of this process in bytes, or skip where it is not told."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * PAGE
    except OSError:
        pytest.skip("there is no /proc/self/statm")


def running(case, **common):
    """Return a native session with its data, and a table of 1000 steps."""
    X, y = case.data()
    trainer = case.trainer()
    trainer.gradients(X[:1], y[:1])
    session = trainer._run.session()
    y = y.astype(np.int32) if y.ndim == 1 else y
    session.set_data([X], [y], [None], case.batch, True)
    knobs = engine.table(trainer.optimizer, 1000, BATCHES)
    for name, value in common.items():
        knobs[:, engine.KNOBS.index(name)] = value
    return session, knobs, trainer


@pytest.mark.parametrize("name", ["clipped", "dropout", "look_ahead", "recurrent", "tree"])
def test_a_thousand_further_steps_change_memory_by_nothing(name):
    case = cases.NETWORKS[name]
    case = cases.Case(case.body, 20, case.outputs, case.loss, 60, 13, case.rule)
    common = {"clip_norm": 0.1} if name == "clipped" else {}
    session, knobs, trainer = running(case, **common)
    with steep.threads(2):
        run = lambda: engine.train(session, knobs, BATCHES)  # noqa: E731
        for _ in range(5):  # pages of the table of the way back, which then begins anew
            run()
        gc.collect()  # what tests before this one left
        heap(), resident()
        before = heap(), resident()
        assert run()[0] == 1000
        after = heap(), resident()
    # The loop itself is Python, whose few objects come and go; 32 bytes, the smallest block there
    # is, lost in each step would be 32000.
    assert abs(after[0] - before[0]) <= 8192
    assert abs(after[1] - before[1]) <= NOISE
    assert trainer.net.num_parameters > 0


def test_memory_says_how_much_is_held():
    session, knobs, _ = running(cases.NETWORKS["plain"])
    engine.train(
        session, knobs[:10], BATCHES
    )  # threads get their scratch memory with the first run
    before = session.memory()
    engine.train(session, knobs[:10], BATCHES)
    assert session.memory() == before
    assert before["store"] >= 3 * 4 * (784 * 128 + 128 + 1280 + 10)
    assert before["arena"] >= 4 * 128 * 784


COUNTER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);
static long calls;
#define COUNTED __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED)

long allocations(void) { return __atomic_load_n(&calls, __ATOMIC_RELAXED); }
void* malloc(size_t n) { COUNTED; return __libc_malloc(n); }
void* calloc(size_t n, size_t m) { COUNTED; return __libc_calloc(n, m); }
void* realloc(void* p, size_t n) { COUNTED; return __libc_realloc(p, n); }
void* memalign(size_t a, size_t n) { COUNTED; return __libc_memalign(a, n); }
void* aligned_alloc(size_t a, size_t n) { COUNTED; return __libc_memalign(a, n); }
int posix_memalign(void** p, size_t a, size_t n) {
  COUNTED;
  *p = __libc_memalign(a, n);
  return *p ? 0 : 12;
}
"""

COUNTED = """
import ctypes, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import cases, engine, steep, test_allocation
counter = ctypes.CDLL(None).allocations
counter.restype = ctypes.c_long
for name in ("plain", "clipped", "dropout", "look_ahead", "recurrent", "tree"):
    case = cases.NETWORKS[name]
    common = {"clip_norm": 0.1} if name == "clipped" else {}
    for threads in (1, 2):
        with steep.threads(threads):
            session, knobs, _ = test_allocation.running(case, **common)
            one, all = knobs[:1], knobs[:BATCHES]
            used = []
            session.run(all, 0, 1e9)
            for rows in (one, all, one, all):
                session.begin_epoch(next=True)
                known = session.steps
                before = counter()
                assert session.run(rows, known, 1e9) == len(rows)
                used.append(counter() - before)
            assert used[0] == used[1] == used[2] == used[3], (name, threads, used)
            print(name, threads, used[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts by LD_PRELOAD")
def test_steps_call_no_allocator(tmp_path):
    """A run of many steps allocates as often as a run of one: conversion at its door, no more."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler to count allocations")
    source, library = tmp_path / "count.c", tmp_path / "count.so"
    source.write_text(COUNTER)
    built = subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", library, source],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"cannot build the counter: {built.stderr[-500:]}")
    script = textwrap.dedent(COUNTED).replace("BATCHES", "2")
    done = subprocess.run(
        [sys.executable, "-c", script, os.path.dirname(__file__)],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "undefined symbol: __libc_memalign" in done.stderr:
        pytest.skip("this C library is no glibc")
    assert done.returncode == 0, done.stderr[-3000:]
    counts = [int(line.split()[-1]) for line in done.stdout.splitlines()]
    assert len(counts) == 12
    assert len(set(counts)) == 1, "the number of threads, too, must not cost allocations"
    assert counts[0] <= MOST_AT_THE_DOOR
