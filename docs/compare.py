"""Draws docs/pictures/compare.png, a dozen optimizers, and prints their rates and losses.

python docs/compare.py [--picture FILE] [--surface NAME]
"""

import argparse
import sys
from pathlib import Path

from steep import optimizers

PICTURE = Path(__file__).parent / "pictures" / "compare.png"


def main(arguments: list[str]) -> int:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--surface", default="rosenbrock", help="or ravine, saddle")
    options = parser.parse_args(arguments)
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    found = optimizers.compare(surface=options.surface)
    found.figure.savefig(options.picture, dpi=80)
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
