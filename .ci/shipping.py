"""Checks what users receive: contents of the source archive, size of the wheel, import time."""

import hashlib
import importlib.metadata
import io
import statistics
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

MEGABYTES = 10.0  # largest wheel
RUNS = 7
NEEDED = ("README.md", "LICENSE", "pyproject.toml", "CMakeLists.txt", "cmake/", "csrc/", "tests/")
UNWANTED = ("/build/", "/.ci/", "/.git/", "/bench/records/", "__pycache__", ".so", ".egg-info/")


def installed() -> list[Path]:
    """Return the files that the installed wheel brought."""
    files = importlib.metadata.distribution("steep").files or []
    return [Path(str(file.locate())) for file in files if file.suffix != ".pyc"]


def wheel_megabytes() -> float:
    """Return the size of the wheel, packed again from what was installed: no second build."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in installed():
            archive.write(file, file.name + hashlib.sha1(bytes(file)).hexdigest()[:8])
    return len(packed.getvalue()) / 1e6


def import_milliseconds() -> tuple[float, float]:
    """Return the median times of importing NumPy, and of importing steep after it."""
    code = (
        "import time; a = time.perf_counter(); import numpy; b = time.perf_counter(); import steep;"
        "c = time.perf_counter(); print(b - a, c - b)"
    )
    numpy, steep = [], []
    for _ in range(RUNS):
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd="/")
        first, second = map(float, out.stdout.split())
        numpy.append(1e3 * first)
        steep.append(1e3 * second)
    return statistics.median(numpy), statistics.median(steep)


def sdist_names(folder: Path) -> list[str]:
    """Make a source archive and return the names in it."""
    from scikit_build_core.build import build_sdist  # noqa: PLC0415 - the lint tools bring it

    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / build_sdist(str(folder))) as archive:
        return archive.getnames()


def main(folder: str) -> int:
    """Print the figures, and what is wrong."""
    wrong = []
    size = wheel_megabytes()
    print(f"wheel: {size:.2f} MB (at most {MEGABYTES:g})")
    if size > MEGABYTES:
        wrong.append("the wheel is too large")
    for name in ("py.typed", "_core.pyi", "digits.npz"):
        if not any(file.name == name for file in installed()):
            wrong.append(f"the wheel lacks {name}")
    numpy, steep = import_milliseconds()
    print(f"import: NumPy {numpy:.0f} ms, steep {steep:.0f} ms beyond it (150 is the aim)")
    names = sdist_names(Path(folder))
    print(f"source archive: {len(names)} files")
    top = [name.split("/", 1)[1] for name in names if "/" in name]
    wrong += [
        f"the source archive lacks {n}" for n in NEEDED if not any(t.startswith(n) for t in top)
    ]
    wrong += [f"the source archive holds {n}" for n in names if any(u in f"/{n}" for u in UNWANTED)]
    print(*wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
