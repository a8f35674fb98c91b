"""Compile every CUDA kernel, no GPU needed: registers, spills, warnings, how wide it reads.

python bench/registers.py [--arch sm_90a ...] [--jobs N] [--record TITLE]

nvcc and nvdisasm (pip install nvidia-cuda-nvdisasm) are on the PATH. What the compiler made
of a file is kept in build/registers until tools, flags or a file it includes change.
"""

import argparse
import concurrent.futures
import datetime
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent
KERNELS = ROOT / "csrc" / "cuda" / "kernels"
KEPT = ROOT / "build" / "registers"
FLAGS = ["-std=c++20", "-fmad=false", "-ftz=true", "-DSTEEP_ISA=cuda", f"-I{ROOT / 'csrc'}"]
MOST_SPILLED = 32  # bytes
HEAD = (
    f"{'file':18s} {'chip':6s} {'kernel':20s} {'of':>4s} {'registers':>11s} {'spill':>6s} "
    f"{'code':>7s} {'loads':>6s} {'stores':>6s}"
)
LEGEND = """`of`: instantiations; `spill`: bytes, of the worst; `code`: bytes, of the largest;
`loads`, `stores`: instructions that move 16 bytes from or to global memory, of the fewest."""

# Functions that are called have no registers of their own.
SAID = re.compile(
    r"Function properties for (\S+)\n.*?(\d+) bytes spill stores, (\d+) bytes spill loads"
    r"(?:\nptxas info +: Used (\d+) registers)?"
)
SECTION = re.compile(r"^\t\.section\t\.text\.([^,\s]+).*$", re.MULTILINE)
INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/", re.MULTILINE)  # 16 bytes each


def run(*command):
    """Return a command's two outputs; end where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout, done.stderr


def version_of(tool):
    """Return a tool's name and version."""
    return f"{tool} {re.search('V([0-9.]+)', run(tool, '--version')[0])[1]}"


def hash_of(file, arch):
    """Return a hash of all that nvcc's output depends on: tool, flags, every file it reads."""
    needed = run("nvcc", *FLAGS, f"-arch={arch}", "-M", str(file))[0].split(":", 1)[1]
    hashed = hashlib.sha256(repr((version_of("nvcc"), FLAGS, arch)).encode())
    for name in needed.replace("\\\n", " ").split():
        hashed.update(name.encode() + hashlib.sha256(pathlib.Path(name).read_bytes()).digest())
    return hashed.hexdigest()


def compiled(file, arch):
    """Return what nvcc says of one file, and the chip's code in words."""
    kept = KEPT / hash_of(file, arch)
    said, cubin = kept.with_suffix(".txt"), kept.with_suffix(".cubin")
    if not cubin.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            made = pathlib.Path(folder) / "made.cubin"
            more = ("-Xptxas", "-v", f"-arch={arch}", "-cubin", "-o", str(made), str(file))
            said.write_text(run("nvcc", *FLAGS, *more)[1])
            made.replace(cubin)
    return said.read_text(), run("nvdisasm", "-c", str(cubin))[0]


def kernels_of(said, code):
    """Return (name, registers, spilled bytes, bytes of code, wide loads, wide stores) of each."""
    named = SECTION.split(code)
    sections = {
        name: (
            16 * len(INSTRUCTION.findall(body)),
            len(re.findall(r"\bLDG\S*\.128\b", body)),
            len(re.findall(r"\bSTG\S*\.128\b", body)),
        )
        for name, body in zip(named[1::2], named[2::2], strict=True)
    }
    return [
        (name, int(registers or 0), max(int(stores), int(loads)), *sections.get(name, (0, 0, 0)))
        for name, stores, loads, registers in SAID.findall(said)
    ]


def shorts(names):
    """Return mangled kernels' own names without their arguments."""
    full = subprocess.run(
        ["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True
    )
    plain = re.sub(r"steep::cuda::|\(anonymous namespace\)::|void ", "", full.stdout)
    return [re.split(r"[<(]", name)[0] for name in plain.splitlines()]


def lines_of(file, arch):
    """Return the table's lines for one file and chip, and what is wrong there."""
    said, code = compiled(file, arch)
    at = f"{file.name}, {arch}"
    wrong = [f"{at}: {line}" for line in said.splitlines() if "arning" in line]
    kernels = {}
    found = kernels_of(said, code)
    for short, (name, registers, spilled, *sizes) in zip(
        shorts([name for name, *_ in found]), found, strict=True
    ):
        if spilled > MOST_SPILLED:
            wrong.append(f"{at}: {name} spills {spilled} bytes")
        if short == "sweep" and not all(sizes):
            wrong.append(f"{at}: {name} moves no 16 bytes at a time")
        if registers:
            kernels.setdefault(short, []).append((registers, spilled, *sizes))
    if not kernels or not all(sizes[2] for of in kernels.values() for sizes in of):
        wrong.append(f"{at}: no kernel, or one without code")
    lines = []
    for name, of in sorted(kernels.items()):
        registers, spills, sizes, loads, stores = zip(*of, strict=True)
        lines.append(
            f"{file.stem:18s} {arch:6s} {name:20s} {len(of):4d} {min(registers):4d} to "
            f"{max(registers):3d} {max(spills):6d} {max(sizes):7d} {min(loads):6d} {min(stores):6d}"
        )
    return lines, wrong


def report(archs, jobs):
    """Print a table's lines as they come; return them, and what is wrong."""
    lines, wrong = [], []
    files = sorted(KERNELS.glob("*.cu"), key=lambda file: file.stem)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        parts = [pool.submit(lines_of, file, arch) for file in files for arch in archs]
        try:
            for part in parts:
                more, bad = part.result()
                print("\n".join([*more, *bad]), flush=True)
                lines += more
                wrong += bad
        finally:
            pool.shutdown(cancel_futures=True)
    return lines, wrong


def main():
    """Print the table; write it down where asked to; fail where something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arch", nargs="+", default=["sm_80", "sm_90a"])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--record", metavar="TITLE")
    options = parser.parse_args()
    print(HEAD, flush=True)
    lines, wrong = report(options.arch, options.jobs)
    said = wrong or [
        f"no warning, no spill above {MOST_SPILLED} bytes, "
        "every sweep reads and writes 16 bytes at a time (the chip's own code)"
    ]
    print("\n".join(["", *said]))
    if options.record:
        now = datetime.datetime.now(datetime.UTC)
        to = ROOT / "bench" / "records" / f"{now:%Y-%m-%d-%H%M}-cuda-registers.md"
        to.write_text(
            f"# {options.record}, {now:%Y-%m-%d %H:%M} UTC\n\n`python bench/registers.py`, "
            f"{version_of('nvcc')}, {version_of('nvdisasm')}, no GPU. {LEGEND}\n\n```text\n"
            + "\n".join([HEAD, *lines, "", *said])
            + "\n```\n"
        )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
