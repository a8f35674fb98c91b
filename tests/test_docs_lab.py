"""docs/lab: the page shows every picture that its script draws, and what is quick is drawn here."""

import importlib.util
import re
from pathlib import Path

import pytest
from steep.lab import surfaces

DOCS = Path(__file__).parents[1] / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documents are not here")


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("matplotlib")
    about = importlib.util.spec_from_file_location("docs_lab", DOCS / "lab.py")
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module


def test_the_page_shows_what_the_script_draws():
    page, text = (DOCS / "lab.md").read_text("utf-8"), (DOCS / "lab.py").read_text("utf-8")
    shown = re.findall(r"```\{image\} generated/(\S+)\n:alt: \S", page)
    assert sorted(shown) == sorted(re.findall(r'to / "(\S+)"', text))
    assert len(shown) == page.count("```{image}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("flow", "dense.weight vanishes: gradient norm"),
    ],
)
def test_what_is_quick_is_drawn(script, name, words, tmp_path, capsys):
    assert script.main(["--only", name, "--to", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.png"]
    assert words in capsys.readouterr().out


def test_the_reference_names_every_surface():
    page = (DOCS / "reference" / "lab.md").read_text("utf-8")
    for name in surfaces.SURFACES:
        assert f"| `{name}` |" in page
