"""The house keeps its order: who includes whom, where devices are named, what the stub promises.

Needs the sources beside it, so it skips in an installed package.
"""

import ast
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import steep
from steep import _core

ROOT = Path(__file__).parents[1]
CSRC = ROOT / "csrc"
MATH = {"rules", "activations", "losses"}
# Which rooms of csrc a room may include, besides its own. A header beside the rooms is a door, the
# room behind it is included by nobody.
ALLOWED = {
    "base": set(),
    "rules": {"base"},
    "activations": {"base"},
    "losses": {"base"},
    "ops": {"base", *MATH},
    "graph": {"base", "ops"},
    "data": {"base"},
    "minimize": set(),
    "plan": {"base", "rules", "ops", "graph"},
    "full_batch": {"base", "graph", "data", "plan", "executor.h", "minimize"},
    "executor.h": {"base", "graph", "data", "plan"},
    "device_memory.h": {"base"},
    "cpu.h": {"base", "data", "executor.h"},
    "cpu": {
        "base",
        *MATH,
        "ops",
        "graph",
        "data",
        "plan",
        "executor.h",
        "cpu.h",
        "minimize",
        "full_batch",
    },
    "cuda": {
        "base",
        *MATH,
        "ops",
        "graph",
        "data",
        "plan",
        "executor.h",
        "device_memory.h",
        "minimize",
        "full_batch",
    },
    "no_cuda": {"executor.h"},
    "session": {"base", "graph", "data", "plan", "executor.h"},
    "bind": {
        "base",
        "ops",
        "graph",
        "data",
        "plan",
        "session",
        "executor.h",
        "device_memory.h",
        "cpu.h",
    },
}
# Above the doors a number has a format, not a type.
FORMATTED = {"ops", "graph", "plan", "session", "executor.h", "device_memory.h", "cpu.h"}
SOURCES = sorted(p for p in CSRC.rglob("*") if p.suffix in (".h", ".cpp", ".cu", ".cuh"))
pytestmark = pytest.mark.skipif(not SOURCES, reason="the sources are not here")


def room(path):
    return path.relative_to(CSRC).parts[0]


def includes(path):
    return re.findall(r'^\s*#\s*include\s*([<"][^>"]+[>"])', path.read_text(), re.MULTILINE)


def own(path):
    """Return the files of csrc that a file includes."""
    return [CSRC / name[1:-1] for name in includes(path) if name[0] == '"']


def test_every_room_is_known():
    assert {room(path) for path in SOURCES} == set(ALLOWED)


def test_includes_go_one_way():
    wrong = [
        f"{path.relative_to(ROOT)} includes {other.relative_to(CSRC)}"
        for path in SOURCES
        for other in own(path)
        if room(other) != room(path) and room(other) not in ALLOWED[room(path)]
    ]
    assert not wrong


def test_quoted_includes_name_files_from_csrc():
    missing = [(str(path), str(other)) for path in SOURCES for other in own(path)]
    assert not [pair for pair in missing if not Path(pair[1]).is_file()]


def test_includes_make_no_circle():
    state = {}

    def visit(path):
        assert state.get(path) != "open", f"{path} includes itself in the end"
        if path not in state:
            state[path] = "open"
            for other in own(path):
                visit(other)
            state[path] = "done"

    for path in SOURCES:
        visit(path)


def test_only_bind_knows_python():
    wrong = [
        path
        for path in SOURCES
        if room(path) != "bind" and re.search(r"pybind11|Python\.h|\bpy::", path.read_text())
    ]
    assert not wrong


def test_devices_are_named_in_their_rooms_only():
    """One host+device header says what a function of both is; nothing else knows of CUDA."""
    device = re.compile(r"__CUDACC__|__CUDA_ARCH__|__NVCC__|cuda_runtime|STEEP_(HAS|WITH)_CUDA")
    wrong = [
        path
        for path in SOURCES
        if room(path) not in ("cpu", "cuda", "no_cuda")
        and path != CSRC / "base" / "hd.h"
        and device.search(path.read_text())
    ]
    assert not wrong
    cuda = CSRC / "cuda"
    for path in SOURCES:
        if cuda not in path.parents:
            assert not re.search(r"#\s*include\s*<cu", path.read_text()), path


def test_types_of_numbers_stay_behind_the_doors():
    typed = re.compile(r"template <class T>|<float>")
    assert not [p for p in SOURCES if room(p) in FORMATTED and typed.search(p.read_text())]


def functions_of(device):
    """Return result, name and arguments of what executor.h declares of a device."""
    text = (CSRC / "executor.h").read_text()
    body = re.search(rf"namespace {device} {{(.*?)}}  // namespace", text, re.DOTALL)[1]
    return set(re.findall(r"^(\w[^;/]*? &?)(\w+)(\(.*?\));", body, re.MULTILINE))


def test_every_device_has_the_same_door():
    functions = functions_of("cpu")
    assert functions == functions_of("cuda")
    assert {"device", "status"} <= {name for _, name, _ in functions}
    for device, rooms in (("cpu", ("cpu",)), ("cuda", ("cuda", "no_cuda"))):
        for folder in filter(Path.is_dir, (CSRC / name for name in rooms)):
            text = "\n".join(path.read_text() for path in folder.rglob("*.cpp"))
            for result, name, arguments in functions:
                assert f"{result}{device}::{name}{arguments} {{" in text, (folder, name)


def test_lists_are_explicit_and_complete():
    """Every header of a room of math is in its list."""
    for name in sorted(MATH | {"ops"}):
        listed = (CSRC / name / "list.h").read_text()
        for header in (CSRC / name).glob("*.h"):
            shared = "static constexpr const char* kName" not in header.read_text()
            if header.name != "list.h" and not shared:
                assert f'"{name}/{header.name}"' in listed, header


def opening(path):
    return path.read_text().lstrip().splitlines()[0]


def test_every_file_says_what_lives_in_it():
    files = [*SOURCES, *(ROOT / "python").rglob("*.py"), *(ROOT / "tests").glob("*.py")]
    native = (".h", ".cpp", ".cu", ".cuh")
    wrong = [
        path
        for path in files
        if not opening(path).startswith("//" if path.suffix in native else ('"""', 'r"""'))
    ]
    assert not wrong


def test_files_stay_readable():
    """Files mostly stay under 300 lines; no source is twice that."""
    native = {path: len(path.read_text().splitlines()) for path in SOURCES}
    assert max(native.values()) <= 600
    assert sum(n > 300 for n in native.values()) <= len(native) / 20


# ---- The module ----


def test_no_symbol_of_ours_is_undefined_in_the_module():
    """Compilers differ in which templates they emit unasked; all must be instantiated by name."""
    nm = shutil.which("nm")
    if nm is None or sys.platform != "linux":
        pytest.skip("nm is not here")
    listed = subprocess.run(
        [nm, "-D", "--undefined-only", _core.__file__], check=True, capture_output=True, text=True
    )
    assert "Py" in listed.stdout  # it is the list of what others define
    assert not [line for line in listed.stdout.splitlines() if "5steep" in line]


# ---- The stub and the module ----

STUB = ROOT / "python" / "steep" / "_core.pyi"


def stubbed():
    """Return the stub's functions and classes by name."""
    tree = ast.parse(STUB.read_text())
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name: node for node in tree.body if isinstance(node, kinds)}


def variables():
    tree = ast.parse(STUB.read_text())
    found = {n.target.id: ast.unparse(n.annotation) for n in tree.body
             if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}  # fmt: skip
    return {name: kind for name, kind in found.items() if kind != "TypeAlias"}


def parameters(node):
    """Return name and default of each argument of a stubbed function."""
    arguments = node.args
    assert not arguments.kwonlyargs
    assert not arguments.posonlyargs
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + arguments.defaults
    return [
        (a.arg, None if d is None else ast.literal_eval(d))
        for a, d in zip(arguments.args, defaults, strict=True)
    ]


def split(text):
    """Split an argument list at the commas outside of brackets."""
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c in "[(") - (c in "])")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    return [p.strip() for p in [*parts, part] if p.strip()]


def native_parameters(function):
    """Return name and default of each argument, from the signature pybind11 writes."""
    line = function.__doc__.strip().splitlines()[0]
    inside = line[line.index("(") + 1 : line.rindex(") ->")]
    found = []
    for part in split(inside):
        name, _, rest = part.partition(":")
        _, has_default, default = rest.partition(" = ")
        found.append((name.strip(), ast.literal_eval(default) if has_default else None))
    return found


def test_the_stub_names_what_the_module_has():
    public = {name for name in dir(_core) if not name.startswith("__") or name == "__version__"}
    assert public == set(stubbed()) | set(variables())


@pytest.mark.parametrize("name", sorted(n for n, v in stubbed().items() if STUB.exists() and v))
def test_the_stub_has_the_modules_signatures(name):
    node, real = stubbed()[name], getattr(_core, name)
    if isinstance(node, ast.FunctionDef):
        assert parameters(node) == native_parameters(real)
        return
    assert inspect.isclass(real)
    methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
    fields = {n.target.id for n in node.body if isinstance(n, ast.AnnAssign)}
    ops = set(_core.ops()) if name == "Graph" else set()  # each under its own name
    public = {n for n in vars(real) if not n.startswith("_") or n == "__len__"} - ops | {"__init__"}
    dynamic = methods.pop("__getattr__", None)
    assert bool(ops) == (dynamic is not None)
    assert public == set(methods) | fields
    for method, described in methods.items():
        attribute = inspect.getattr_static(real, method)
        if isinstance(attribute, property) or method in fields:
            decorators = [ast.unparse(d) for d in described.decorator_list]
            assert decorators == ["property"]
            continue
        assert not described.decorator_list
        assert parameters(described) == native_parameters(getattr(real, method)), method


def test_the_version_stands_in_one_place():
    declared = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert declared
    assert steep.__version__ == _core.__version__ == _core.info()["version"] == declared[1]


def test_the_build_backend_tells_cmake_of_cuda(monkeypatch):
    """`-Csteep.cuda=on`; all other settings are scikit-build-core's."""
    pytest.importorskip("scikit_build_core")
    monkeypatch.syspath_prepend(str(ROOT / "cmake"))
    import backend

    assert backend.defined(None) == {}
    assert backend.defined({"cmake.build-type": "Debug"}) == {"cmake.build-type": "Debug"}
    assert backend.defined({"steep.cuda": "on"}) == {"cmake.define.STEEP_CUDA": "on"}
    assert backend.needs({"steep.cuda": "on"}) == ["cmake>=3.30"]
    assert backend.needs({"steep.cuda": "emulate"}) == []
