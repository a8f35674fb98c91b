"""Checks the form of the README and the links of all documents; gives the README's test command."""

import re
import sys
from pathlib import Path

DOCUMENTS = ("*.md", "docs/**/*.md")
SENTENCES, BLOCKS, CODE_LINES = 3, 2, 12


def section(text: str, title: str) -> str:
    """Return what stands under a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def faults(text: str) -> list[str]:
    """Return what is wrong with the README's form."""
    found = []
    opening = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    prose = " ".join(line for line in opening.splitlines() if not line.startswith("# ")).strip()
    sentences = len(re.findall(r"[.!?](?=\s|$)", prose))
    if sentences != SENTENCES or not prose.endswith("."):
        found.append(f"begins with {sentences} sentences, not {SENTENCES}")
    start = blocks(section(text, "Quick start"), "sh")
    every = blocks(section(text, "Quick start"), r"\w*")
    if len(start) != BLOCKS or len(every) != BLOCKS:
        found.append(f"Quick start has {len(every)} fenced blocks, {len(start)} of them sh")
    for block in start:
        if len(block.splitlines()) != 1:
            found.append(f"a Quick start block is not one command line: {block!r}")
    code = blocks(text, "python")
    lines = [line for line in (code or [""])[0].splitlines() if line.strip()]
    if len(lines) != CODE_LINES:
        found.append(f"the first Python block has {len(lines)} lines, not {CODE_LINES}")
    return found


def broken_links(root: Path) -> list[str]:
    """Return links between files that lead nowhere."""
    found = []
    for pattern in DOCUMENTS:
        for document in sorted(root.glob(pattern)):
            for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
                path = link.split("#")[0]
                if "://" in link or not path:
                    continue
                if not (document.parent / path).exists():
                    found.append(f"{document.relative_to(root)}: {link} does not exist")
    return found


def main(arguments: list[str]) -> int:
    """Print the test command, or everything that is wrong."""
    readme = Path(arguments[-1])
    text = readme.read_text(encoding="utf-8")
    if arguments[0] == "--test-command":
        print(blocks(section(text, "Quick start"), "sh")[1].strip())
        return 0
    found = [f"{readme}: {fault}" for fault in faults(text)] + broken_links(readme.resolve().parent)
    print(*(found or ["the README has its form, all links between files lead somewhere"]), sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
