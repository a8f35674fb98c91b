"""Compile every CUDA kernel, no GPU needed: registers, spills, warnings, how wide sweeps read.

python bench/registers.py [--arch sm_90a ...] [--record TITLE]
"""

import argparse
import collections
import datetime
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent
KERNELS = ROOT / "csrc" / "cuda" / "kernels"
FLAGS = ["-std=c++20", "-fmad=false", "-ftz=true", "-DSTEEP_ISA=cuda", f"-I{ROOT / 'csrc'}"]
MOST_SPILLED = 32  # bytes
NAMED = re.compile(
    r"Function properties for (\S+)\n.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
    r"(\d+) bytes spill loads\n.*?Used (\d+) registers"
)

SPILLED = re.compile(
    r"Function properties for (\S+)\n.*?(\d+) bytes spill stores, (\d+) bytes spill loads"
)


def compiled(file, arch, folder):
    """Return what nvcc says of one file, and its PTX."""
    out = pathlib.Path(folder) / f"{file.stem}.{arch}"
    said = ""
    for kind, more in (("cubin", ["-Xptxas", "-v"]), ("ptx", [])):
        run = subprocess.run(
            ["nvcc", *FLAGS, f"-arch={arch}", *more, f"-{kind}", "-o", f"{out}.{kind}", str(file)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if run.returncode:
            sys.exit(f"{file.name} for {arch}: {run.stderr}")
        said += run.stderr
    return said, out.with_name(out.name + ".ptx").read_text()


def short(name):
    """Return a mangled kernel's own name without its arguments."""
    full = subprocess.run(["c++filt", name], capture_output=True, text=True, check=True).stdout
    full = re.sub(r"steep::cuda::|\(anonymous namespace\)::|void ", "", full.strip())
    return re.split(r"[<(]", full)[0]


def narrow_sweeps(ptx):
    """Return the sweeps that read or write single floats of their columns in place of four."""
    bodies = re.findall(r"\.entry (\w*sweep\w*)\((.*?)\n}", ptx, re.DOTALL)
    return [name for name, body in bodies if "ld.global.v4" not in body
            or "st.global.v4" not in body]  # fmt: skip


def report(archs):
    """Return lines of a table, and what is wrong."""
    lines, wrong = [], []
    with tempfile.TemporaryDirectory() as folder:
        for file in sorted(KERNELS.glob("*.cu")):
            for arch in archs:
                said, ptx = compiled(file, arch, folder)
                wrong += [f"{file.name}, {arch}: {x}" for x in said.splitlines() if "arning" in x]
                wrong += [f"{file.name}, {arch}: narrow {x}" for x in narrow_sweeps(ptx)]
                kernels = collections.defaultdict(list)
                for name, _, stores, loads, registers in NAMED.findall(said):
                    kernels[short(name)].append((int(registers), int(stores), int(loads)))
                for name, stores, loads in SPILLED.findall(said):  # functions that are called, too
                    if max(int(stores), int(loads)) > MOST_SPILLED:
                        wrong.append(f"{file.name}, {arch}: {name} spills {stores}, {loads} bytes")
                for name, of in sorted(kernels.items()):
                    registers = sorted(r for r, _, _ in of)
                    spilled = max(max(stores, loads) for _, stores, loads in of)
                    numbers = f"{len(of):4d} {registers[0]:4d} to {registers[-1]:3d} {spilled:6d}"
                    lines.append(f"{file.stem:12s} {arch:7s} {name:24s} {numbers}")
    return lines, wrong


def main():
    """Print the table; write it down where asked to; fail where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", nargs="+", default=["sm_80", "sm_90a"])
    parser.add_argument("--record", metavar="TITLE")
    options = parser.parse_args()
    lines, wrong = report(options.arch)
    version = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"V[\d.]+", version.stdout)[0]
    head = f"{'file':12s} {'chip':7s} {'kernel':24s} {'of':>4s} {'registers':>11s} {'spill':>6s}"
    body = "\n".join([head, *lines, "", *(wrong or ["no warning, no spill above 32 bytes, "
                      "every sweep reads and writes 16 bytes at a time (PTX)"])])  # fmt: skip
    print(body)
    if options.record:
        now = datetime.datetime.now(datetime.UTC)
        to = ROOT / "bench" / "records" / f"{now:%Y-%m-%d-%H%M}-cuda-registers.md"
        to.write_text(
            f"# {options.record}, {now:%Y-%m-%d %H:%M} UTC\n\n`python bench/registers.py`, nvcc "
            f"{version}, no GPU. `of`: instantiations; `spill`: bytes, of the worst.\n\n"
            f"```text\n{body}\n```\n"
        )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
