"""Data that no test may fetch and the repository does not hold: in `shared/data` beside it.

Tests that want them skip where they are not.
"""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def find(name):
    """Return the path of a file; skip the test where there is none."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {FOLDER}")
    return path
