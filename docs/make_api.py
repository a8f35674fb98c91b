"""Writes docs/api.md from the docstrings of the installed package, or checks that it is current."""

import inspect
import re
import sys
import types
from pathlib import Path
from typing import Any

import steep
from steep import callbacks, data, lab, layers, losses, models, ops, optimizers, schedules

TARGET = Path(__file__).with_name("api.md")
PARTS: dict[str, tuple[types.ModuleType, tuple[str, ...]]] = {
    "Networks and training": (
        steep,
        ("Sequential", "Model", "Input", "Tensor", "Trainer", "History", "NonFiniteError"),
    ),
    "Threads and facts": (steep, ("set_num_threads", "get_num_threads", "threads", "info")),
    "Layers": (layers, tuple(layers.__all__)),
    "Functions of tensors": (ops, tuple(ops.__all__)),
    "Losses": (losses, ()),
    "Optimizers": (optimizers, tuple(optimizers.__all__)),
    "Schedules": (schedules, ("Schedule", *schedules.TABLE, "Function")),
    "Callbacks": (callbacks, tuple(callbacks.__all__)),
    "Ready networks": (models, tuple(models.__all__)),
    "Data": (data, tuple(data.__all__)),
    "The lab": (lab, tuple(lab.__all__)),
}
MADE_BY_STEEP = {"Tensor", "History", "NonFiniteError", "DivergedError", "Minimum"}
INHERITED = {"Sequential", "Model", "Optimizer", "Schedule", "Layer"}  # shown with their bases'
HEAD = """# API reference

Made from the docstrings by `python docs/make_api.py`; the text here and `help(...)` are the same.
Shapes leave out the batch axis unless they begin with N. What each algorithm computes, with sources
and switches, is in [algorithms.md](algorithms.md); how the parts are used, in [guide.md](guide.md).
"""


def names_of(module: types.ModuleType, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names to show: those given, or every public class and function of the module."""
    return names or tuple(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    )


def signature(value: Any) -> str:
    """Return the arguments without their types."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    shown = [p for name, p in found.parameters.items() if name not in ("self", "cls")]
    plain = [p.replace(annotation=p.empty) for p in shown]
    text = str(inspect.Signature(plain))
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def docstring(value: Any) -> str:
    """Return a docstring as literal text."""
    return f"```text\n{inspect.getdoc(value) or ''}\n```\n"


def methods(owner: type) -> list[tuple[str, Any]]:
    """Return the public methods and properties of a class, those it only inherits left out."""
    found: dict[str, Any] = {}
    bases = owner.__mro__ if owner.__name__ in INHERITED else (owner,)
    for base in bases:
        if base.__module__.split(".")[0] != "steep":
            continue
        for name, value in vars(base).items():
            shown = isinstance(value, (types.FunctionType, classmethod, property))
            if shown and not name.startswith("_") and name not in found:
                found[name] = value
    return list(found.items())


def entry(prefix: str, name: str, value: Any) -> list[str]:
    """Return the lines of one class or function."""
    call = "" if name in MADE_BY_STEEP else signature(value)
    lines = [f"### `{prefix}{name}{call}`\n", docstring(value)]
    if not inspect.isclass(value):
        return lines
    for method, given in methods(value):
        target = given.fget if isinstance(given, property) else getattr(value, method)
        if not inspect.getdoc(target):
            continue
        call = "" if isinstance(given, property) else signature(target)
        lines += [f"#### `{name}.{method}{call}`\n", docstring(target)]
    return lines


def reference() -> str:
    """Return the whole document."""
    lines = [HEAD]
    for title, (module, names) in PARTS.items():
        prefix = "" if module is steep else module.__name__.removeprefix("steep.") + "."
        prefix = "steep." if module is steep else prefix
        lines += [f"## {title}\n", docstring(module) if module is not steep else ""]
        for name in names_of(module, names):
            lines += entry(prefix, name, getattr(module, name))
    return "\n".join(line for line in lines if line)


def main(arguments: list[str]) -> int:
    """Write the document, or compare it."""
    text = reference()
    if "--check" not in arguments:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    current = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text
    print(f"{TARGET.name}: {'current' if current else 'is not what the docstrings say'}")
    if not current:
        print("Write it anew: python docs/make_api.py")
    return not current


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
