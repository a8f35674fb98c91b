"""The Python half keeps its rooms: which modules import each other, and what old pickles find.

Needs the sources beside it for the imports, so that part skips in an installed package.
"""

import ast
import pickle
from pathlib import Path

import pytest
import steep

PACKAGE = Path(__file__).parents[1] / "python" / "steep"


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(("steep", *parts)).removesuffix(".__init__")


def imports(path, modules, typing=True):
    """Return the modules of steep that a file imports anywhere, in functions too.

    A name taken from a package counts as the module of that name, where there is one. Without
    `typing`, what stands under `if TYPE_CHECKING` is left out.
    """
    here = name_of(path).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    tree, found = ast.parse(path.read_text()), set()
    skipped = {
        inner
        for node in ast.walk(tree)
        if not typing and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and node not in skipped:
            base = package[: len(package) - node.level + 1]
            source = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            for alias in node.names:
                full = f"{source}.{alias.name}"
                found.add(full if full in modules else source)
    return (found & modules) - {name_of(path)}


def graph(typing=True):
    """Return for each module of steep the modules that it imports."""
    paths = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
    modules = {*paths, "steep._core"}
    arrows = {name: imports(path, modules, typing) for name, path in paths.items()}
    return {**arrows, "steep._core": set()}


def rooms(arrows):
    """Return the same between rooms: a folder is one, and so is a file beside them."""
    room = {name: ".".join(name.split(".")[:2]) for name in arrows}
    found = {name: set() for name in room.values()}
    for name, others in arrows.items():
        found[room[name]] |= {room[other] for other in others} - {room[name]}
    return found


def circles(arrows):
    """Return the sets of more than one name that reach each other."""
    reach = {}
    for start in arrows:
        seen, ahead = set(), [start]
        while ahead:
            new = arrows[ahead.pop()] - seen
            seen |= new
            ahead += new
        reach[start] = seen
    found = {
        frozenset(other for other in seen if start in reach[other]) for start, seen in reach.items()
    }
    return sorted(sorted(circle) for circle in found if len(circle) > 1)


def test_circles_are_found():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"f"}, "f": {"e"}}
    assert circles(arrows) == [["b", "c"], ["e", "f"]]


@pytest.mark.skipif(not PACKAGE.is_dir(), reason="the sources are not here")
def test_imports_at_run_time_make_no_circle_of_modules():
    assert not circles(graph(typing=False))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("model", "Sequential"), ("model", "Model"), ("graph", "Tensor"), ("trainer", "Trainer"),
        ("history", "History"), ("loop", "NonFiniteError"),
    ],
)  # fmt: skip
def test_pickles_from_before_the_rooms_find_their_classes(module, name):
    assert pickle.loads(f"csteep.{module}\n{name}\n.".encode()) is getattr(steep, name)


if __name__ == "__main__":
    everything = graph()
    print("modules:", circles(everything), circles(graph(typing=False)))
    print("rooms:", circles(rooms(everything)))
