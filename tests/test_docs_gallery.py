"""The examples of the gallery have their form; that they run, the site shows when it is built."""

import ast
import re
from pathlib import Path

import pytest
import steep

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(ROOT.glob("docs/gallery/*/plot_*.py"))
LONGEST = 90  # lines


def test_there_are_enough_and_every_section_is_named():
    assert len(EXAMPLES) >= 15
    conf = (ROOT / "docs/conf.py").read_text(encoding="utf-8")
    sections = ast.literal_eval(re.search(r"^SECTIONS = (.*)$", conf, re.MULTILINE)[1])
    assert {path.parent.name for path in EXAMPLES} == set(sections)
    for section in sections:
        assert (ROOT / "docs/gallery" / section / "GALLERY_HEADER.rst").exists()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_to_see(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST
    assert re.match(r'"""\n(.+)\n=+\n\n(?:.|\n)+?\n"""\n', text)
    assert text.rpartition("\n# %%\n")[2].startswith("# **What to see:** ")
    assert re.search(r"plt\.(subplots|figure)\(|\.plot\(\)|plot_paths\(", text)
    assert "savefig" not in text  # nothing is written beside the sources
    assert not re.search(r"fetch_\w+|urlopen|requests|fashion", text)  # nothing is downloaded


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_an_example_takes_from_steep_is_there(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {"steep": steep}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "steep":
            modules |= {name.name: getattr(steep, name.name) for name in node.names}
    used = [
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in modules
    ]
    assert all(hasattr(modules[owner], name) for owner, name in used)
    assert used or "from steep." in path.read_text(encoding="utf-8")
