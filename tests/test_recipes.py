"""The recipes of CONTRIBUTING.md work as they are written: in a copy, with their own examples.

Every fenced block that names a file is put there, the native core is built once with all of them,
and what a recipe tells to run, runs. No example of theirs is part of the library.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import steep

ROOT = Path(__file__).parents[1]
SOURCES = (
    ".clang-format", "CMakeLists.txt", "pyproject.toml", "cmake", "csrc", "python", "tests", "docs"
)  # fmt: skip
MOST_FILES = {"Add an update rule": 6}  # others: 7
# ```cpp file=csrc/rules/list.h after="text"; a fence may be indented, as in a list.
BLOCK = re.compile(
    r'^(?P<indent> *)(?P<fence>`{3,}|~{3,})\w+ file=(?P<file>\S+)'
    r'(?: (?P<how>after|before|replace)="(?P<mark>(?:[^"\\]|\\.)*)")?\n'
    r"(?P<body>.*?)^(?P=indent)(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)  # fmt: skip
# An editable install puts its finder before the path; in the copy, and what it starts, it must not.
WITHOUT_EDITABLE = """import sys
sys.meta_path = [f for f in sys.meta_path if not type(f).__name__.startswith("ScikitBuild")]
"""


def recipes(text):
    """Return the sections that add something, by title."""
    found = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)[1:]
    sections = dict(zip(found[::2], found[1::2], strict=True))
    return {title: body for title, body in sections.items() if title.startswith("Add a")}


TEXT = ROOT / "CONTRIBUTING.md"
RECIPES = recipes(TEXT.read_text(encoding="utf-8")) if TEXT.is_file() else {}
pytestmark = pytest.mark.skipif(
    not RECIPES or not all((ROOT / name).exists() for name in SOURCES),
    reason="the sources are not here",
)


def put(root, block):
    """Do what one block says; anything it leaves open is an error."""
    path, indent = root / block["file"], len(block["indent"])
    body = "".join(line[indent:] or "\n" for line in block["body"].splitlines(keepends=True))
    if not block["how"]:
        assert not path.exists(), f"{block['file']}: a new file, but it is there"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
        return
    mark = re.sub(r"\\(.)", r"\1", block["mark"])
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next((k for k, line in enumerate(lines) if mark in line), None)
    assert at is not None, f"{block['file']}: no line has {mark!r}"
    lines[at + (block["how"] == "after") : at + (block["how"] != "before")] = [body]
    path.write_text("".join(lines), encoding="utf-8")


def commands(recipe):
    """Return the arguments of each call of pytest that a recipe tells to make."""
    shell = "".join(re.findall(r"^ *```sh\n(.*?)^ *```$", recipe, re.DOTALL | re.MULTILINE))
    lines = re.findall(r"^ *pytest (.*)$", shell.replace("\\\n", ""), re.MULTILINE)
    return [tuple(shlex.split(line)) for line in lines]


def tool(name):
    """Return where a program is: beside this Python, or on the path."""
    here = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return shutil.which(name, path=here)


def build(root):
    """Build the copy's native core: one instruction set, little optimisation, compiled before."""
    from pybind11 import get_cmake_dir

    folder = root / "build"
    define = {
        "CMAKE_MAKE_PROGRAM": tool("ninja"),
        "CMAKE_CXX_FLAGS_RELEASE": "-O1",
        "STEEP_CXX_AVX2": "OFF",
        "STEEP_CXX_AVX512": "OFF",
        "SKBUILD_PROJECT_VERSION_FULL": steep.__version__,
        "Python_EXECUTABLE": sys.executable,
        "pybind11_DIR": get_cmake_dir(),
    }
    environment = dict(os.environ)
    if tool("ccache"):
        define["CMAKE_CXX_COMPILER_LAUNCHER"] = tool("ccache")
        environment |= {"CCACHE_BASEDIR": str(root), "CCACHE_NOHASHDIR": "1"}
    options = [f"-D{name}={value}" for name, value in define.items()]
    for command in (
        [tool("cmake"), "-S", root, "-B", folder, "-G", "Ninja", *options],
        [tool("cmake"), "--build", folder],
    ):
        run(command, environment)
    (module,) = folder.glob("_core*.so")
    shutil.copy(module, root / "python" / "steep")


def run(command, environment, allowed=(0,), **options):
    """Return what a command printed; `allowed` are the exit codes that are no failure."""
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        check=False,
        **options,
    )
    assert done.returncode in allowed, done.stdout[-6000:]
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the sources in which every recipe has been followed."""
    missing = [name for name in ("cmake", "ninja", "c++") if not tool(name)]
    missing += ["pybind11"] if importlib.util.find_spec("pybind11") is None else []
    if missing:
        pytest.skip(f"building needs {', '.join(missing)}")
    root = tmp_path_factory.mktemp("recipes")
    leave = shutil.ignore_patterns("*.so", "__pycache__")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=leave)
        else:
            shutil.copy(ROOT / name, root / name)
    for recipe in RECIPES.values():
        for block in BLOCK.finditer(recipe):
            put(root, block)
    (root / "python" / "sitecustomize.py").write_text(WITHOUT_EDITABLE)
    build(root)
    return root


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_has_an_example_of_few_files(title):
    recipe = RECIPES[title]
    examples = [
        {block["file"] for block in BLOCK.finditer(part)}
        for part in re.split(r"^### ", recipe, flags=re.MULTILINE)
    ]
    assert any(examples), "has no block that names a file"
    assert all(len(files) <= MOST_FILES.get(title, 7) for files in examples), examples
    assert recipe.count(" file=") == len(BLOCK.findall(recipe)), "a block's first line has a slip"
    assert commands(recipe), "names no tests"


@pytest.fixture(scope="module")
def passed():
    """What passed in the copy already: files that several recipes name run once."""
    return set()


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_works_as_it_is_written(title, copy, passed):
    environment = dict(os.environ) | {"PYTHONPATH": str(copy / "python")}
    where = [sys.executable, "-c", "import steep; print(steep.__file__)"]
    assert Path(run(where, environment, cwd=copy).strip()).is_relative_to(copy)
    for arguments in commands(RECIPES[title]):
        if all(name.startswith("tests/") for name in arguments):
            arguments = tuple(name for name in arguments if name not in passed)  # noqa: PLW2901
        if not arguments:
            continue
        tests = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments]
        # 5: nothing ran, which is right only where all of it needs what is not here, as PyTorch.
        said = run(tests, environment, allowed=(0, 5), cwd=copy)
        assert re.search(r"\d+ (passed|skipped)", said.splitlines()[-1]), said
        if all(name.startswith("tests/") for name in arguments):
            passed |= set(arguments)


def test_what_recipes_add_is_clean(copy):
    """Lists in C++ that grow by a word are left out: clang-format fills their lines anew."""
    blocks = [block for recipe in RECIPES.values() for block in BLOCK.finditer(recipe)]
    python = {b["file"] for b in blocks if b["file"].endswith(".py")}
    native = {b["file"] for b in blocks if b["file"].endswith((".h", ".cpp")) and not b["how"]}
    for command, files in (
        (["ruff", "check"], python),
        (["ruff", "format", "--check"], python),
        (["clang-format", "--dry-run", "-Werror"], native),
    ):
        if not tool(command[0]):
            pytest.skip(f"{command[0]} is not here")
        if files:
            run([tool(command[0]), *command[1:], *sorted(files)], dict(os.environ), cwd=copy)


def put_into(folder, text):
    for block in BLOCK.finditer(text):
        put(folder, block)


def test_blocks_are_put_where_they_say(tmp_path):
    (tmp_path / "list.h").write_text('#include "a"\n#include "c"\n\n  old,\n')
    put_into(
        tmp_path,
        '1. Text:\n\n   ```cpp file=list.h after="#include \\"a\\""\n   #include "b"\n   ```\n'
        '```cpp file=list.h before="old"\n  new,\n```\n'
        '```cpp file=list.h replace="old"\n  older,\n```\n'
        "  ~~~md file=new/x.md\n  ```\n\n    in\n  ```\n  ~~~\n",
    )
    made = '#include "a"\n#include "b"\n#include "c"\n\n  new,\n  older,\n'
    assert (tmp_path / "list.h").read_text() == made
    assert (tmp_path / "new/x.md").read_text() == "```\n\n  in\n```\n"


@pytest.mark.parametrize("head", ["file=list.h", 'file=list.h after="gone"'])
def test_blocks_that_fit_nowhere_are_refused(head, tmp_path):
    (tmp_path / "list.h").write_text("here\n")
    with pytest.raises(AssertionError, match=r"list\.h"):
        put_into(tmp_path, f"```cpp {head}\nx\n```\n")
