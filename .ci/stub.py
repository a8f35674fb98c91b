"""Compares the hand-written stub of the native module with the module: names, arguments, defaults.

pybind11 writes a signature into the docstring of each function; the types there are coarser than
the stub's and are not compared.
"""

import ast
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from steep import _core

Signature: TypeAlias = list[tuple[str, str | None]]  # names, and defaults as source text


def of_arguments(arguments: ast.arguments) -> Signature:
    """Return names and defaults of positional arguments, `self` left out."""
    names = [a.arg for a in [*arguments.posonlyargs, *arguments.args]]
    defaults: list[ast.expr | None] = [None] * (len(names) - len(arguments.defaults))
    values = [*defaults, *arguments.defaults]
    pairs = [(n, None if v is None else ast.unparse(v)) for n, v in zip(names, values, strict=True)]
    return [pair for pair in pairs if pair[0] != "self"]


def of_docstring(function: Any, name: str) -> Signature:
    """Return the signature that pybind11 wrote down."""
    line = (function.__doc__ or "").splitlines()[0]
    line = re.sub(r"<[^<>]* object at 0x[0-9a-f]+>", "...", line)
    tree = ast.parse(f"def {line}: ...").body[0]
    assert isinstance(tree, ast.FunctionDef), name
    return of_arguments(tree.args)


def stub_names(body: list[ast.stmt]) -> dict[str, Signature | None]:
    """Return functions with their signatures, and everything else with None."""
    found: dict[str, Signature | None] = {}
    for item in body:
        if isinstance(item, ast.FunctionDef):
            plain = any(isinstance(d, ast.Name) and d.id == "property" for d in item.decorator_list)
            found[item.name] = None if plain else of_arguments(item.args)
        elif isinstance(item, ast.AnnAssign) and ast.unparse(item.annotation) != "TypeAlias":
            found[ast.unparse(item.target)] = None
    return found


def module_names(owner: ModuleType | type) -> dict[str, Signature | None]:
    """Return the same of the module or of one of its classes."""
    found: dict[str, Signature | None] = {}
    for name, value in vars(owner).items():
        if name.startswith("_") and name not in ("__init__", "__version__"):
            continue
        if inspect.isclass(value) or inspect.ismodule(value):
            continue
        call = callable(value) and not isinstance(value, property)
        found[name] = of_docstring(value, name) if call else None
    return found


def differences(
    where: str, stub: dict[str, Signature | None], real: dict[str, Signature | None]
) -> list[str]:
    """Return what one side has and the other has not, or has differently."""
    found = [f"{where}{n}: in the stub, not in the module" for n in stub.keys() - real.keys()]
    found += [f"{where}{n}: in the module, not in the stub" for n in real.keys() - stub.keys()]
    for name in stub.keys() & real.keys():
        if stub[name] != real[name]:
            found.append(f"{where}{name}: stub {stub[name]}, module {real[name]}")
    return sorted(found)


def main(path: str) -> int:
    """Print the differences."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    classes = {item.name: item for item in tree.body if isinstance(item, ast.ClassDef)}
    real = {name: value for name, value in vars(_core).items() if inspect.isclass(value)}
    found = differences("", stub_names(tree.body), module_names(_core))
    found += [f"class {name}: on one side only" for name in classes.keys() ^ real.keys()]
    for name in classes.keys() & real.keys():
        found += differences(f"{name}.", stub_names(classes[name].body), module_names(real[name]))
    print(*(found or [f"{path} and the module agree"]), sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
