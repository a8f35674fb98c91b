"""The programs of docs/beside are on their page, with their lines; those of steep run."""

import re
import runpy
from pathlib import Path

import pytest
import steep

ROOT = Path(__file__).parent.parent
PROGRAMS = sorted(ROOT.glob("docs/beside/*/with_*.py"))


def side_by_side():
    """Return the names of docs/side_by_side.py."""
    return runpy.run_path(str(ROOT / "docs/side_by_side.py"))


def test_the_page_of_four_libraries_has_every_program_and_its_lines():
    page = (ROOT / "docs/beside.md").read_text(encoding="utf-8")
    about = side_by_side()
    assert {path.parent.name for path in PROGRAMS} == set(about["TASKS"])
    title = ""
    found = {}
    for row in re.findall(r"^\| (.*?) \| ([\w-]+) \| (\d+) \|", page, re.MULTILINE):
        title = row[0] or title
        found[title, row[1]] = int(row[2])
    wanted = {
        (about["TASKS"][p.parent.name], about["LIBRARIES"][p.stem[5:]]): about["lines"](p)
        for p in PROGRAMS
    }
    assert found == wanted, "measure anew: python docs/side_by_side.py --write"
    for path in PROGRAMS:
        assert f"{{literalinclude}} beside/{path.parent.name}/{path.name}\n" in page


@pytest.mark.parametrize(
    "path", [p for p in PROGRAMS if p.stem == "with_steep"], ids=lambda p: p.parent.name
)
def test_the_programs_of_steep_run(path, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    with steep.threads(1):
        assert runpy.run_path(str(path))["score"] > 0.9
