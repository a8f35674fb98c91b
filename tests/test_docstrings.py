"""Law 8: every public name says what it is, what it takes, what it refuses, and who found it."""

import importlib
import inspect
import pkgutil
import re

import pytest
import steep
from public import exported, members


def public():
    """Return every public class, function and method by its full name."""
    found = {}
    for name, value in exported().items():
        found[name] = value
        for method, function in members(value).items() if inspect.isclass(value) else ():
            if inspect.isfunction(function):
                found[f"{name}.{method}"] = function
    return found


PUBLIC = public()
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}


def test_the_public_names_are_found():
    assert {"steep.Trainer.fit", "steep.optimizers.Adam", "steep.ops.matmul"} <= set(PUBLIC)
    assert len(PUBLIC) > 100


def test_every_module_has_a_docstring():
    for found in pkgutil.walk_packages(steep.__path__, "steep."):
        if found.name.rpartition(".")[2] not in ("__main__", "_core"):
            assert importlib.import_module(found.name).__doc__, found.name


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_it_begins_with_one_line(name):
    text = PUBLIC[name].__doc__
    assert text, name
    first, *rest = text.strip().splitlines()
    assert first.rstrip().endswith((".", "::", "...", ")")), first
    assert not rest or not rest[0].strip(), "an empty line follows the first"


def described(text, parameter):
    return re.search(rf"\b{re.escape(parameter)}\b", text)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_classes_describe_every_argument(name):
    """In a Parameters section, of the class itself or of the one it inherits from."""
    made = CLASSES[name]
    if issubclass(made, BaseException) or "__init__" not in dir(made):
        pytest.skip("not made by users")
    try:
        signature = inspect.signature(made)
    except ValueError:
        pytest.skip("has no signature")
    text = "\n".join(base.__doc__ or "" for base in made.__mro__ if base is not object)
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if made is steep.Tensor and parameter.kind is parameter.KEYWORD_ONLY:
            continue  # steep's own: users make tensors with Input
        assert described(text, parameter.name), f"{name} does not describe {parameter.name}"
    if len(signature.parameters) > 2:  # results, which steep makes, describe their attributes
        assert re.search("(Parameters|Attributes)\n", text), name


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_describe_every_argument(name):
    """Of more than two, in a Parameters section; hooks and overrides share their base's words."""
    function = FUNCTIONS[name]
    text = function.__doc__ or ""
    parameters = [p for p in inspect.signature(function).parameters if p not in ("self", "cls")]
    if ".on_" in name or name.endswith((".call", ".from_config", ".rows", ".decay")):
        return
    if len(parameters) > 2 and "." not in name.removeprefix("steep."):
        assert "Parameters\n" in text, name
    if "Parameters\n" in text:
        for parameter in parameters:
            assert described(text, parameter), f"{name} does not describe {parameter}"


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_say_what_they_refuse(name):
    """Where the code itself raises an error for the caller, the docstring has a Raises section."""
    function = inspect.unwrap(FUNCTIONS[name])
    try:
        source = inspect.getsource(function)
    except OSError:
        pytest.skip("has no source")
    errors = set(re.findall(r"\braise (ValueError|TypeError|RuntimeError|OSError)\b", source))
    text = function.__doc__ or ""
    if errors and ".on_" not in name and not name.endswith(".call"):
        assert re.search(r"Raises\n|[Rr]efuse|Error", text), f"{name} raises {sorted(errors)}"


@pytest.mark.parametrize("name", sorted(steep.optimizers.__all__))
def test_optimizers_name_their_source(name):
    made = getattr(steep.optimizers, name)
    if inspect.isclass(made) and made is not steep.optimizers.Optimizer:
        assert re.search(r"\([^()]*(19|20)\d\d[^()]*\)", made.__doc__), name


@pytest.mark.parametrize("name", ["GELU", "SiLU", "ELU", "LeakyReLU", "Dropout", "Residual"])
def test_layers_of_a_paper_name_it(name):
    assert re.search(r"(19|20)\d\d", getattr(steep.layers, name).__doc__)
