"""The worked examples of CONTRIBUTING.md: how many files they touch, and what the rule promises."""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILER = next((c for c in ("g++", "clang++", "c++") if shutil.which(c)), None)

PROGRAM = """
#include <cmath>
#include <cstdio>
#include "sign_sgd.h"
using Rule = steep::STEEP_ISA::rules::SignSGD;
template <class T> void step(T w, T g) {
  Rule::step(w, g, static_cast<T*>(nullptr), Rule::Knobs<T>{T(0.25)});
  std::printf("%d %g\\n", int(std::isfinite(w)), double(w));
}
template <class T> void all() {
  step<T>(1, 2);
  step<T>(1, -2);
  step<T>(0, 0);
  step<T>(1, std::nan(""));
  step<T>(1, T(INFINITY));
  step<T>(1, -T(INFINITY));
}
int main() { all<float>(); all<double>(); }
"""


def recipe(title):
    path = ROOT / "CONTRIBUTING.md"
    if not path.is_file():
        pytest.skip("the sources are not here")
    return re.search(rf"^## {title}\n.*?(?=^## )", path.read_text(), re.M | re.S)[0]


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler here")
def test_f48_the_worked_example_hides_no_nan(tmp_path):
    block = re.search(r"^ *```cpp file=\S*sign_sgd.h\n(.*?)^ *```$", recipe("Add an update rule"),
                      re.M | re.S)  # fmt: skip
    (tmp_path / "sign_sgd.h").write_text(textwrap.dedent(block[1]))
    source = tmp_path / "program.cpp"
    source.write_text(PROGRAM)
    options = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", f"-I{ROOT / 'csrc'}"]
    subprocess.run([COMPILER, *options, source, "-o", tmp_path / "program"], check=True)
    run = subprocess.run([tmp_path / "program"], check=True, capture_output=True, text=True)
    lines = [line.split() for line in run.stdout.splitlines()]
    assert [line[0] == "1" for line in lines] == [True, True, True, False, False, False] * 2
    assert [float(line[1]) for line in lines[:3] + lines[6:9]] == [0.75, 1.25, 0] * 2


@pytest.mark.parametrize(
    ("title", "files"), [("Add an update rule", 6), ("Add an activation", 6), ("Add a loss", 6)]
)
def test_f48_a_recipe_touches_few_files(title, files):
    touched = set(re.findall(r"^ *```\w+ file=(\S+)", recipe(title), re.M))
    assert len(touched) == files
    new = set(re.findall(r"^ *```\w+ file=(\S+)$", recipe(title), re.M))
    assert all((ROOT / path).is_file() for path in touched - new)
