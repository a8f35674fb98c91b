"""How Sphinx makes the site: pages as they stand here, the reference from the docstrings.

sphinx-build -W --keep-going docs build/site

What is public is what the `__all__` of steep and of the modules it names says; a public name that
is on no page is a warning.
"""

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import steep
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))
import lab
import public

warn = logging.getLogger(__name__).warning

project = "steep"
version = release = steep.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
SECTIONS = ("tables", "images", "series", "making", "structure", "tuning", "tools")
exclude_patterns = ["gallery", "notes", "beside"]  # what is made of them lies in generated
sphinx_gallery_conf = {
    "examples_dirs": ["gallery", "notes"],
    "gallery_dirs": ["generated/gallery", "generated/notes"],
    "subsection_order": [f"gallery/{name}" for name in SECTIONS],
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": "shown.figures",
    "reset_modules": "shown.style",
    "write_computation_times": False,
    "thumbnail_size": (400, 250),
    "abort_on_example_error": True,
    "show_signature": False,
    "min_reported_time": 1e9,
}
html_theme = "furo"
html_title = f"steep {version}"
html_static_path, html_css_files = ["site"], ["site.css"]
html_show_sphinx = html_show_copyright = html_copy_source = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # links like guide.md#data lead to headings

smartquotes = False  # formulas stand as they were typed
default_role = "py:obj"  # `fit` in a docstring is a link where it is a public name
add_module_names = False
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # docstrings give shapes and units, which say more
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {
    "members": True,
    # What these have is on their own entry, not on that of every layer, rule and schedule.
    "inherited-members": "Layer, Loss, Optimizer, Schedule, BaseException, tuple",
}
napoleon_google_docstring = False
napoleon_attr_annotations = False
napoleon_use_ivar = True
napoleon_use_rtype = False


def escape(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Let stars and bars of formulas stand for themselves; docstrings use them for nothing else."""
    parts = re.split(r"(``.*?``|`[^`]*`|(?<=::\n\n)(?: .*\n|\n)+)", "\n".join(lines), flags=re.S)
    parts[::2] = [re.sub(r"[*|\\]|(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")
    if what == "property":  # what stands before a colon would become its type
        lines[0] = lines[0].replace(": ", " – ")


def skip(app: Sphinx, what: str, name: str, value: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out fields of named tuples, which docstrings describe, and scikit-learn's methods."""
    theirs = (getattr(value, "__module__", None) or "").startswith("sklearn.")
    field = (inspect.getdoc(value) or "").startswith("Alias for field number")
    return True if field or theirs else None


def stay(app: Sphinx, path: Path, page: str, content: list[str]) -> None:
    """Turn links of included files that lead out of the site into the names of their targets."""
    content[0] = re.sub(r"\[([^]]+)\]\((?!docs/|#|\w+:)[^)\s]+\)", r"`\1`", content[0])


def compare(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names that no page has: of those that `__all__` or a docstring forgot."""
    objects = env.get_domain("py").objects  # type: ignore[attr-defined]
    for name, value in public.exported().items():
        inside = public.members(value) if inspect.isclass(value) else {}
        for full in (name, *(f"{name}.{member}" for member in inside)):
            if full not in objects:
                warn(f"{full} is public, but on no page of the reference")


def draw(app: Sphinx) -> None:
    """Let steep draw the pictures of the lab, where they are older than what they show."""
    folder, sources = Path(__file__).parent / "generated", Path(steep.__file__).parent / "lab"
    newest = max(path.stat().st_mtime for path in (Path(lab.__file__), *sources.glob("*.py")))
    made = list(folder.glob("*.png"))
    if not made or min(path.stat().st_mtime for path in made) < newest:
        lab.main(["--to", str(folder)])


def setup(app: Sphinx) -> None:
    """Connect what stands here."""
    app.connect("builder-inited", draw)
    app.connect("autodoc-skip-member", skip)
    app.connect("include-read", stay)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before napoleon's own marks
    app.connect("env-check-consistency", compare)
