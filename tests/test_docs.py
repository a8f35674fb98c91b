"""The documents tell the truth: their Python blocks run, in order, as they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "docs/guide.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_blocks_run(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    assert blocks
    names = {"__name__": "document"}
    for block in blocks:
        line = text[: block.start(1)].count("\n")
        exec(compile("\n" * line + block[1], document, "exec"), names)


def test_the_api_reference_names_every_public_name():
    import steep

    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    for module in (steep.layers, steep.optimizers, steep.callbacks, steep.data, steep.lab):
        prefix = module.__name__.removeprefix("steep.")
        for name in module.__all__:
            if isinstance(getattr(module, name), type) or callable(getattr(module, name)):
                assert f"`{prefix}.{name}" in text, f"{prefix}.{name}: python docs/make_api.py"
