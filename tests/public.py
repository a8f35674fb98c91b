"""What users may import and call: the names in `__all__` of steep and of its public modules.

`docs/conf.py` holds the pages of the reference against it, tests the docstrings and the members.
"""

import inspect
from types import FunctionType, ModuleType

import steep


def modules():
    """Return steep and the modules that its `__all__` names, by their full names."""
    named = {f"steep.{name}": getattr(steep, name) for name in steep.__all__}
    return {"steep": steep, **{k: v for k, v in named.items() if isinstance(v, ModuleType)}}


def exported():
    """Return the public classes and functions by their full names."""
    found = {
        f"{prefix}.{name}": getattr(module, name)
        for prefix, module in modules().items()
        for name in module.__all__
    }
    return {k: v for k, v in found.items() if inspect.isclass(v) or inspect.isfunction(v)}


def members(owner):
    """Return the methods and properties of a class whose names are public, by name.

    Those of other public classes it inherits from are theirs; those of bases that no `__all__`
    names are its own.
    """
    classes = [value for value in exported().values() if inspect.isclass(value)]
    found = {}
    for base in owner.__mro__:
        if base is not owner and base in classes:
            break
        if base.__module__.split(".")[0] == "steep":
            found = {**vars(base), **found}
    plain = {name: getattr(value, "__func__", value) for name, value in found.items()}
    return {
        name: value
        for name, value in plain.items()
        if not name.startswith("_") and isinstance(value, (FunctionType, property))
    }
