"""The house keeps its order: who includes whom, and that every file says what lives in it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
NATIVE = sorted(p for p in (ROOT / "csrc").rglob("*") if p.suffix in (".h", ".cpp", ".cu"))
PYTHON = sorted(p for top in ("python", "tests", "bench") for p in (ROOT / top).rglob("*.py"))
FORMULAS = {"rules", "activations", "losses"}
# What each room may include besides itself; `list.h` of the formulas gives plan their names.
MAY_INCLUDE = {
    "base": set(),
    "rules": {"base"},
    "activations": {"base"},
    "losses": {"base"},
    "graph": {"base", *FORMULAS},
    "backend": {"base", *FORMULAS},
    "data": {"base", "backend"},
    "plan": {"base", *FORMULAS, "graph", "backend", "data"},
    "bind": {"base", "graph", "backend", "data", "plan"},
}


def room(path):
    return path.relative_to(ROOT / "csrc").parts[0]


def includes(path):
    return re.findall(r'^#\s*include\s+["<]([^">]+)[">]', path.read_text(), re.MULTILINE)


def name(path):
    return str(path.relative_to(ROOT))


def test_there_is_a_house():
    assert {room(path) for path in NATIVE} == set(MAY_INCLUDE)
    assert len(PYTHON) > 20


def test_includes_follow_the_order_of_the_rooms():
    against = [
        f"{name(path)}: {included}"
        for path in NATIVE
        for included in includes(path)
        if included.split("/")[0] in set(MAY_INCLUDE) - {room(path)} - MAY_INCLUDE[room(path)]
    ]
    assert not against


def test_only_bind_includes_python():
    everywhere = [path for path in NATIVE if room(path) != "bind"]
    python = ("pybind11", "Python.h", "numpy/")
    assert not [name(p) for p in everywhere for i in includes(p) if i.startswith(python)]


def test_only_the_cuda_backend_includes_cuda():
    home = ROOT / "csrc/backend/cuda"
    cuda = re.compile(r"cu(da|blas|dnn)[a-zA-Z_]*\.h")
    assert not [
        name(p) for p in NATIVE if home not in p.parents for i in includes(p) if cuda.match(i)
    ]


def test_every_file_opens_with_what_lives_there():
    opening = {path: path.read_text(encoding="utf-8").splitlines()[0] for path in NATIVE}
    mute = [path for path, line in opening.items() if not re.match(r"// .{10}", line)]
    mute += [p for p in PYTHON if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]
    assert not [name(path) for path in mute]
