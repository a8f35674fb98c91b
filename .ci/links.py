"""Checks that every link and picture of the built site leads to a file of it, and to a place in it.

python .ci/links.py build/site; links to other sites are left alone: no network is wanted here.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Gathers the places of a page and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = {"", "top"}
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Keep what a tag is called, and where it leads."""
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.places.add(value)
            elif name in ("href", "src") and value is not None:
                self.links.append(value)


def broken(site: Path) -> list[str]:
    """Return the links that lead nowhere, after their pages."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or (not parts.path and parts.query):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            place = unquote(parts.fragment)
            if not target.exists():
                found.append(f"{path.relative_to(site)}: {link} does not exist")
            elif target in pages and place not in pages[target].places:
                found.append(f"{path.relative_to(site)}: {link} has no such place")
    return found


def main(folder: str) -> int:
    """Print every broken link, or how many pages there are."""
    site = Path(folder).resolve()
    found = broken(site)
    count = sum(1 for _ in site.rglob("*.html"))
    print(*(found or [f"{count} pages, every link inside of the site leads somewhere"]), sep="\n")
    return bool(found) or not count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
