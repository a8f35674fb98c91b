"""cuDNN, asked without a GPU, has a deterministic plan for every convolution of the zoo."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "bench" / "cudnn_plans.py"


def script():
    spec = importlib.util.spec_from_file_location("cudnn_plans", SCRIPT)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.skipif(not SCRIPT.is_file(), reason="the sources are not here")
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not here")
def test_plans_are_found_and_are_the_same_each_time():
    """Of two networks in both formats and three passes; the whole zoo: bench/records."""
    path = script().library()
    if path is None:
        pytest.skip("the package nvidia-cudnn-cu13 is not here")
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "--nets", "lenet5", "resnet20", "--batch", "32"],
            capture_output=True, text=True, check=False, timeout=600,
            env={**os.environ, "STEEP_CUDNN": path},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        found.append(done.stdout)
    assert "a deterministic plan for every one" in found[0]
    assert found[0] == found[1]
