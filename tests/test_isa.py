"""Every instruction set passes what the best one passes: kernels and equal bytes.

STEEP_MAX_ISA is read once, so each set gets a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import steep

HERE = Path(__file__).parent
FILES = (
    "test_kernels.py",
    "test_kernels_rows.py",
    "test_rules_native.py",
    "test_images.py",
    "test_determinism.py",
    "test_newton_schulz.py",
    "test_skip_gram.py",
)


def run(isa, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "STEEP_MAX_ISA": isa},
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
def test_the_laws_hold_for_every_instruction_set(isa):
    used = run(isa, "-c", "from steep import _core; print(_core.info()['isa'])")
    assert used.returncode == 0, used.stderr
    if used.stdout.strip() != isa:
        pytest.skip(f"this processor or build has no {isa}")
    if isa == steep._core.info()["isa"]:
        return  # the files themselves ran with it
    files = [str(HERE / name) for name in FILES]
    done = run(
        isa,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "not any_rule",
        *files,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_unknown_instruction_sets_are_refused_by_name():
    done = run("sse9", "-c", "from steep import _core; _core.info()")
    assert done.returncode != 0
    assert "STEEP_MAX_ISA: expects baseline, avx2, avx512 or amx" in done.stderr
