"""Compiles a kernel of this folder into build/ beside it, once for each source and set of flags."""

import ctypes
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from rivals import UnsupportedError

HERE = Path(__file__).parent


def library(name, include=None, link=None):
    """Compile NAME.cpp where needed and load it.

    Raises
    ------
    UnsupportedError
        When there is no compiler, or it refuses the source.
    """
    compiler = next(
        filter(None, map(shutil.which, (os.environ.get("CXX", ""), "g++", "clang++"))), None
    )
    if compiler is None:
        raise UnsupportedError(f"{name}: needs a C++ compiler (g++), found none")
    source = HERE / f"{name}.cpp"
    command = [compiler, "-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", "-pthread"]
    # GCC otherwise prefers 256-bit vectors even where 512-bit ones are faster.
    command += ["-mprefer-vector-width=512"] if os.uname().machine == "x86_64" else []
    command += [str(source)]
    if include is not None:
        command += [f"-I{include}"]
    if link is not None:
        command += [str(link), f"-Wl,-rpath,{link.parent}"]
    key = hashlib.sha256(source.read_bytes() + " ".join(command).encode() + processor())
    made = HERE / "build" / f"{name}-{key.hexdigest()[:16]}.so"
    if not made.exists():
        made.parent.mkdir(exist_ok=True)
        part = made.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            [*command, "-o", str(part)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "error" in line]
            raise UnsupportedError(f"{name}: does not compile: {(lines or ['no message'])[0]}")
        part.rename(made)
    return ctypes.CDLL(str(made))


def processor():
    """Return what -march=native depends on."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return os.uname().machine.encode()
    return next((line for line in text.splitlines() if line.startswith("flags")), "").encode()
