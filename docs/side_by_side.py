"""Runs the programs of docs/beside, the same jobs in four libraries; prints the table of the page.

python docs/side_by_side.py [--runs 3] [--tasks A,B] [--libraries A,B] [--results FILE] [--write]

Every run is a process of its own, held to one processor, and what counts is processor time, which
other programs on the machine hardly change. Libraries that are not installed are left out. With
--write the table is put into docs/beside.md; a record of it belongs into bench/records.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

FOLDER = Path(__file__).parent / "beside"
PAGE = FOLDER.with_suffix(".md")
TASKS = {
    "tabular": "a table: classes",
    "images": "images: convolutions",
    "early_stopping": "a regression that stops early",
    "resume": "a schedule, and going on after a kill",
    "own_layer": "a layer of one's own",
}
LIBRARIES = {"steep": "steep", "sklearn": "scikit-learn", "keras": "Keras", "torch": "PyTorch"}
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
VARIABLES = {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}

# Imports first, then the job: the two are timed apart.
CHILD = """
import ast, json, sys, time
tree = ast.parse(open(sys.argv[1]).read())
is_import = [isinstance(node, (ast.Import, ast.ImportFrom)) for node in tree.body]
first = is_import.index(False)
names = {"__name__": "job"}
for nodes in (tree.body[:first], tree.body[first:]):
    begin = time.process_time()
    exec(compile(ast.Module(nodes, []), sys.argv[1], "exec"), names)
job = time.process_time() - begin
print(json.dumps({"score": float(names["score"]), "job": job, "all": time.process_time()}))
"""


def lines(path: Path) -> int:
    """Return how many lines of a program are neither empty nor comments."""
    text = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return sum(bool(line) and not line.startswith("#") for line in text)


def run(path: Path) -> dict[str, float]:
    """Return score and processor seconds of one run, in a folder of its own."""
    one = f"import os; os.sched_setaffinity(0, {{{max(os.sched_getaffinity(0))}}})\n"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", one + CHILD, str(path.resolve())],
            cwd=folder, env=os.environ | VARIABLES, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{path}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def programs(tasks: list[str], libraries: list[str]) -> dict[tuple[str, str], Path]:
    """Return the programs whose libraries are here, by task and library."""
    here = [name for name in libraries if importlib.util.find_spec(name)]
    for name in {*libraries} - {*here}:
        print(f"{LIBRARIES[name]} is not installed: left out", file=sys.stderr)
    named = {(task, name): FOLDER / task / f"with_{name}.py" for task in tasks for name in here}
    return {key: path for key, path in named.items() if path.exists()}


def measure(
    found: dict[tuple[str, str], Path], runs: int, results: Path | None
) -> dict[tuple[str, str], Any]:
    """Return the runs of every program, in rounds through all of them; those in a file are done."""
    known = json.loads(results.read_text("utf-8")) if results and results.exists() else {}
    for number in range(runs):
        for key, path in found.items():
            done = known.setdefault(" ".join(key), [])
            if len(done) <= number:
                done.append(run(path))
                print(number, *key, done[-1], file=sys.stderr, flush=True)
                if results:
                    results.write_text(json.dumps(known), "utf-8")
    return {key: known[" ".join(key)][:runs] for key in found}


def table(found: dict[tuple[str, str], Path], kept: dict[tuple[str, str], Any]) -> str:
    """Return lines, medians of seconds and the score of every program in Markdown."""
    rows = ["| job | | lines | seconds | times steep's | with start and imports | score |"]
    rows.append("|---|---|---:|---:|---:|---:|---:|")
    for (task, name), path in found.items():
        job, whole, score = (
            median(r[k] for r in kept[task, name]) for k in ("job", "all", "score")
        )
        ours = kept.get((task, "steep"))
        times = f"{job / median(r['job'] for r in ours):.1f}" if ours else ""
        title = TASKS[task] if name == "steep" else ""
        cells = (title, LIBRARIES[name], lines(path), f"{job:.3g}", times, f"{whole:.3g}")
        rows.append(f"| {' | '.join(map(str, cells))} | {score:.3f} |")
    return "\n".join(rows) + f"\n\n{versions({name for _, name in found})}"


def versions(names: set[str]) -> str:
    """Return the versions of what was measured."""
    packages = {"sklearn": ("scikit-learn",), "keras": ("keras", "jax"), "torch": ("torch",)}
    every = [package for name in sorted(names & {*packages}) for package in packages[name]]
    python = ".".join(map(str, sys.version_info[:2]))
    return ", ".join(f"{n} {importlib.metadata.version(n)}" for n in every) + f"; Python {python}."


def main(arguments: list[str]) -> int:
    """Measure what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--libraries", default=",".join(LIBRARIES))
    parser.add_argument("--results", type=Path, help="JSON; runs that it holds are not run again")
    parser.add_argument("--write", action="store_true", help="put the table into docs/beside.md")
    options = parser.parse_args(arguments)
    found = programs(options.tasks.split(","), options.libraries.split(","))
    made = table(found, measure(found, options.runs, options.results))
    print(made)
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        new = f"{BEGIN}\n\n{made}\n\n{END}"
        PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: new, text, flags=re.S), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
