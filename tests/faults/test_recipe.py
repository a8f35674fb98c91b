"""The worked example of CONTRIBUTING.md, compiled as it is written, against what it promises."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILER = next((c for c in ("g++", "clang++", "c++") if shutil.which(c)), None)

PROGRAM = """
#include <array>
#include <cmath>
#include <cstdio>
#include "base/math.h"
namespace steep::STEEP_ISA {
%s
}
using Lion = steep::STEEP_ISA::Lion;
template <class T> void step(T w, T g, T m) {
  const Lion::Knobs<T> k{T(0.25), T(0.5), T(0.5), T(0.75), T(0.25)};
  Lion::step(w, g, &m, k);
  std::printf("%%d %%g %%g\\n", int(std::isfinite(w)), double(w), double(m));
}
template <class T> void all() {
  step<T>(1, 2, 1);
  step<T>(1, -2, 1);
  step<T>(0, 0, 0);
  step<T>(1, std::nan(""), 0);
  step<T>(1, T(INFINITY), 0);
  step<T>(1, -T(INFINITY), 0);
}
int main() { all<float>(); all<double>(); }
"""


def recipe():
    path = ROOT / "CONTRIBUTING.md"
    if not path.is_file():
        pytest.skip("the sources are not here")
    return path.read_text()


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler here")
def test_f48_the_worked_example_hides_no_nan(tmp_path):
    code = re.search(r"```cpp\n(.*?)```", recipe(), re.S)
    source = tmp_path / "lion.cpp"
    source.write_text(PROGRAM % code[1])
    options = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", f"-I{ROOT / 'csrc'}"]
    subprocess.run([COMPILER, *options, source, "-o", tmp_path / "lion"], check=True)
    run = subprocess.run([tmp_path / "lion"], check=True, capture_output=True, text=True)
    lines = [line.split() for line in run.stdout.splitlines()]
    finite = [line[0] == "1" for line in lines]
    assert finite == [True, True, True, False, False, False] * 2
    numbers = [[float(x) for x in line[1:]] for line in lines[:3] + lines[6:9]]
    assert numbers == [[0.75, 1.25], [1.25, 0.25], [0, 0]] * 2


@pytest.mark.parametrize("table", ["RULES", "CASES", "FORMULAS", "SCALE_FREE"])
def test_f48_every_table_a_rule_needs_is_named(table):
    """Those whose rows the suite compares with `_core.rules()`."""
    text = recipe()
    part = text[text.index("## Add an update rule") : text.index("## Add an activation")]
    assert f"`{table}`" in part
    found = [
        p
        for p in (ROOT / "tests").glob("*.py")
        if re.search(rf"^{table}\b.*= ", p.read_text(), re.M)
    ]
    assert any(f"`tests/{path.name}`" in part for path in found)
