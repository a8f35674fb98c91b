"""The Python half keeps its rooms: which modules import each other, and what old pickles find.

Needs the sources beside it for the imports, so that part skips in an installed package.
"""

import ast
import pickle
from pathlib import Path

import numpy as np
import pytest
import steep

PACKAGE = Path(__file__).parents[1] / "python" / "steep"


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(("steep", *parts)).removesuffix(".__init__")


def imports(path, modules):
    """Return the modules of steep that a file imports anywhere, in functions and for types too.

    A name taken from a package counts as the module of that name, where there is one.
    """
    here = name_of(path).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            source = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            for alias in node.names:
                full = f"{source}.{alias.name}"
                found.add(full if full in modules else source)
    return (found & modules) - {name_of(path)}


def graph():
    """Return for each module of steep the modules that it imports."""
    paths = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
    modules = {*paths, "steep._core"}
    arrows = {name: imports(path, modules) for name, path in paths.items()}
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
def test_imports_make_no_circle_of_modules():
    """Those that only types ask for count, too."""
    assert not circles(graph())


@pytest.mark.skipif(not PACKAGE.is_dir(), reason="the sources are not here")
def test_imports_make_no_circle_of_rooms():
    assert not circles(rooms(graph()))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("model", "Sequential"), ("model", "Model"), ("graph", "Tensor"), ("trainer", "Trainer"),
        ("history", "History"), ("loop", "NonFiniteError"),
    ],
)  # fmt: skip
def test_pickles_from_before_the_rooms_find_their_classes(module, name):
    assert pickle.loads(f"csteep.{module}\n{name}\n.".encode()) is getattr(steep, name)


def old_place(loaded):
    """Return the bytes of a pickled place, as they were before the rooms: it knew less."""
    call = "(isteep.resume\nCall\n(dVfirst\nI2\nsVepochs\nI4\nsVstopped\nI00\nsVdone\nI00\nsb"
    place = f"(isteep.resume\nPlace\n(dVlayout\n(I6\nI2\nI01\nI00\ntsVcall\n{call}sVrate\nF0.5\nsb"
    return f"({place}I0{loaded:d}\n(ltp0\n.".encode()


@pytest.mark.parametrize("loaded", [False, True])
def test_trainers_pickled_before_the_rooms_load(loaded, tmp_path):
    X, y = np.ones((6, 3), np.float32), np.arange(6) % 2
    made = steep.Trainer(steep.Sequential(steep.layers.Dense(2)), "cross_entropy", "adam")
    made.fit(X, y, epochs=1, progress=False)
    state = {**made.__getstate__(), "place": pickle.loads(old_place(loaded))}
    found = steep.Trainer.__new__(steep.Trainer)
    found.__setstate__(state)
    assert not found.finished
    found.fit(X, y, epochs=4, batch_size=2, progress=False)  # goes on with that call, or begins one
    assert (found.epoch, found.finished) == (6 if loaded else 5, True)


if __name__ == "__main__":
    everything = graph()
    print("modules:", circles(everything))
    print("rooms:", circles(rooms(everything)))
