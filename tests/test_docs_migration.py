"""What docs/migration.md says of steep is there, under that name and with those arguments."""

import ast
import inspect
import re
from pathlib import Path

import pytest
import steep
from steep import activations, initializers, losses, optimizers

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/migration.md").read_text(encoding="utf-8")
OWNERS = {"trainer": steep.Trainer, "net": steep.Sequential, "layer": steep.layers.Layer}
OWNERS["history"] = steep.History()
OWNERS |= {name: getattr(steep, name) for name in ("ops", "lab", "data", "metrics", "Trainer")}
MODULES = (*(getattr(steep, name) for name in steep.__all__), steep)
CLASSES = {
    name: getattr(module, name)
    for module in MODULES
    if inspect.ismodule(module)
    for name in module.__all__
}
CLASSES |= {"fit": steep.Trainer.fit, "GAN": steep.GAN}
WORDS = {"he_normal", "same", "weighted_mean", "torch", "epoch"}  # what arguments are called


def rows():
    """Return the cell of steep's column of every row, and its line."""
    column = None
    for number, line in enumerate(PAGE.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            column = None
        elif column is None:
            column = cells.index("steep")
        elif not line.startswith("|---"):
            yield number, cells[column]


SPANS = [(number, span) for number, cell in rows() for span in re.findall(r"`([^`]+)`", cell)]


def value_of(node):
    """Return what an expression such as `ops.concat` or `Dense` names, or None."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return getattr(OWNERS.get(node.value.id), node.attr, None)
    if isinstance(node, ast.Attribute):
        return getattr(value_of(node.value), node.attr, None)
    return CLASSES.get(node.id) if isinstance(node, ast.Name) else None


def check_call(call):
    """Fail where no such thing exists, or where it has no such arguments."""
    made = value_of(call.func)
    assert made is not None, f"{ast.unparse(call.func)} does not exist"
    names = [keyword.arg for keyword in call.keywords]
    method = (
        inspect.isfunction(made)
        and "." in made.__qualname__
        and "self" in str(inspect.signature(made))
    )
    inspect.signature(made).bind_partial(
        *([None] if method else []), *call.args, **dict.fromkeys(names)
    )


def known_words():
    """Return the names that losses, rules, activations and initialisers have as strings."""
    named = {*losses.TABLE, *optimizers.TABLE, *initializers.NAMED, *WORDS}
    kinds = activations.elementwise.__dict__.values()
    return named | {kind.__name__.lower() for kind in kinds if inspect.isclass(kind)} | {"linear"}


def test_the_tables_are_read():
    assert len(SPANS) > 150
    assert PAGE.count("\n## From ") == 3


@pytest.mark.parametrize(("line", "span"), SPANS, ids=lambda v: str(v)[:40])
def test_what_a_row_names_is_there(line, span):
    tree = ast.parse(span.replace("`", ""), mode="eval").body
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        check_call(call)
    if re.match(r"[A-Z]\w+\((?!net|x,|loss)", span):
        assert eval(span, dict(CLASSES), made_up()) is not None  # refuses what is out of range
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        assert tree.value in known_words(), f"line {line}"
    elif isinstance(tree, ast.Attribute | ast.Name) and not calls:
        assert value_of(tree) is not None or span in OPEN, f"line {line}: {span}"


def made_up():
    """Return what the letters of the tables stand for."""
    x = steep.Input((8, 8))
    return {"lr": 0.1, "n": 4, "path": "file", "x": x, "ops": steep.ops}


# Words of the steep column that are arguments, parameters of formulas or methods named alone.
OPEN = {"predict", "evaluate", "call", "fit"}


def test_a_wrong_name_or_argument_fails():
    for wrong in (
        "Dence(3)",
        "Dense(3, units_of='x', y=1)",
        "ops.concatenate(x)",
        "trainer.fitt(X)",
    ):
        with pytest.raises((AssertionError, TypeError)):
            check_call(ast.parse(wrong, mode="eval").body)
