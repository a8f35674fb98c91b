"""Prints the requirements that pyproject.toml lists under the given extras; "build" is the build's.

So that lint tools can be installed without building steep a second time.
"""

import sys
import tomllib
from pathlib import Path


def main(names: list[str]) -> int:
    """Print the requirements, one a line."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    groups = extras | {"build": project["build-system"]["requires"]}
    print(*(requirement for name in names for requirement in groups[name]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
