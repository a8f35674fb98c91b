"""Trains two networks under every update rule, each at its own best rate; prints the tables.

python docs/rules.py [--dataset fashion-mnist] [--root DIR] [--results FILE] [--quick]

The rules are the rows of the table in docs/algorithms.md. With `--results` every run is kept there,
and one that it holds is not run again.
"""

import argparse
import json
import math
import re
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import steep
from steep import optimizers
from steep.commands.recipe import Recipe, build_network, complete
from steep.data.dataset import Dataset, open_dataset

ALGORITHMS = Path(__file__).parent / "algorithms.md"
QUARTER = 10**0.25  # rates are the default times a power of it
# Powers that are tried first, in short runs; then it goes on from the best.
COARSE = (-8, -4, -2, 0, 2, 4, 8)
FARTHEST = 20  # powers from the default
Run = dict[str, Any]  # what `train` returns


class Plan(NamedTuple):
    """How one of the networks is trained: samples of the short runs, of the long ones, epochs."""

    search: int
    samples: int
    epochs: int
    seeds: tuple[int, ...]


PLANS = {
    "mlp": Plan(search=18_000, samples=54_000, epochs=5, seeds=(0, 1, 2)),
    "cnn": Plan(search=6_000, samples=12_000, epochs=2, seeds=(0,)),
}


def rules() -> dict[str, optimizers.Optimizer]:
    """Return the optimizer of every row of the table, by what its second column says.

    Methods for full batches, whose steps are of another kind, are left out.
    """
    text = ALGORITHMS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `\w+` \| `(\w+\(.*?\))` \|", text, flags=re.M)
    made = {row: eval(row, dict(vars(optimizers))) for row in rows}
    return {row: one for row, one in made.items() if not one.full_batch}


class Bench:
    """Trains one network under one rule on parts of a data set."""

    def __init__(self, data: Dataset, name: str, network: str, options: argparse.Namespace) -> None:
        assert data.validation is not None
        self.data, self.batch, self.threads = data, options.batch, options.threads
        recipe = Recipe(dataset=name, model=network)
        self.recipe = complete(recipe, len(data.train[0]))

    def train(
        self, optimizer: optimizers.Optimizer, samples: int, epochs: int, seed: int, *, long: bool
    ) -> Run:
        """Train with a constant rate and no penalty; measure on the validation part.

        Long runs are measured on the test part, too, for the table alone.
        """
        net = build_network(replace(self.recipe, seed=seed), self.data)
        X, y = (part[:samples] for part in self.data.train)
        trainer = steep.Trainer(net, "cross_entropy", optimizer, seed=seed)
        began = time.process_time()
        try:
            with steep.threads(self.threads):
                trainer.fit(X, y, epochs=epochs, batch_size=self.batch, progress=False)
        except steep.NonFiniteError as error:
            return {"diverged": error.step}
        seconds = time.process_time() - began
        assert self.data.validation is not None
        valid = trainer.evaluate(*self.data.validation)
        if not math.isfinite(valid["loss"]):
            return {"diverged": trainer.steps}
        run = {"seconds": seconds, "loss": valid["loss"], "valid": valid["accuracy"]}
        return {**run, "test": trainer.evaluate(*self.data.test)["accuracy"]} if long else run


def score(run: Run) -> tuple[float, float]:
    """Return what is better where it is larger: accuracy on the validation part, then the loss."""
    return (run["valid"], -run["loss"]) if "valid" in run else (-1.0, -math.inf)


def climb(run: Callable[[int], Run], known: dict[int, Run], stride: int) -> int:
    """Return the best power, going up from the best known one until both neighbours are worse.

    Of equals the lowest is better, so that it leads out of where all diverge.
    """
    while True:
        best = max(known, key=lambda k: (score(known[k]), -k))
        new = [k for k in (best - stride, best + stride) if k not in known and abs(k) <= FARTHEST]
        if not new:
            return best
        known.update({k: run(k) for k in new})


class Kept:
    """Runs by key, in a file where one is named."""

    def __init__(self, path: Path | None, settings: Any) -> None:
        self.path, self.settings, self.runs = path, settings, {}
        if path is not None and path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["settings"] != settings:
                raise SystemExit(f"{path}: holds runs with {found['settings']}. Name another file.")
            self.runs = found["runs"]

    def get(self, key: str, make: Callable[[], Run]) -> Run:
        """Return the run of a key, from the file or made now."""
        if key not in self.runs:
            self.runs[key] = make()
            if self.path is not None:
                new = self.path.with_suffix(".new")
                new.write_text(json.dumps({"settings": self.settings, "runs": self.runs}), "utf-8")
                new.replace(self.path)
        return self.runs[key]


def sweep(bench: Bench, kept: Kept, name: str, made: optimizers.Optimizer, plan: Plan) -> Run:
    """Find the rate of one rule in short runs, then in long ones; train with the other seeds."""

    def run(power: int, seed: int, *, long: bool) -> Run:
        samples, epochs = (plan.samples, plan.epochs) if long else (plan.search, 1)
        length = f"{'long' if long else 'short'} {samples}x{epochs}"
        key = f"{bench.recipe.model} {name} {length} {power} {seed}"
        with warnings.catch_warnings():  # of rates that are too low
            warnings.simplefilter("ignore", UserWarning)
            tried = replace(made, lr=made.lr * QUARTER**power)
        return kept.get(key, lambda: bench.train(tried, samples, epochs, seed, long=long))

    first = plan.seeds[0]
    coarse = {power: run(power, first, long=False) for power in COARSE}
    start = climb(lambda power: run(power, first, long=False), coarse, 2)
    fine = {start: run(start, first, long=True)}
    for stride in (2, 1):  # half decades first: beside each other, rates differ by less than luck
        best = climb(lambda power: run(power, first, long=True), fine, stride)
    runs = [run(best, seed, long=True) for seed in plan.seeds]
    return {"rule": name, "default": made.lr, "rate": made.lr * QUARTER**best, "runs": runs}


def table(found: list[Run]) -> str:
    """Return the rules of one network in Markdown, those best on the test part first."""
    head = ["rule", "best rate", "its default", "validation, %", "test, %", "seconds"]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for row in sorted(found, key=lambda row: -mean(row, "test")):
        cells = [f"`{row['rule']}`", f"{row['rate']:.2g}", f"{row['default']:g}"]
        cells += [f"{100 * mean(row, 'valid'):.2f}", spread(row), f"{mean(row, 'seconds'):.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def mean(row: Run, what: str) -> float:
    """Return the mean over the seeds; one that diverged counts as 0."""
    return fmean(run.get(what, 0.0) for run in row["runs"])


def spread(row: Run) -> str:
    """Return the mean of the test accuracies and, of several seeds, the lowest and the highest."""
    each = [100 * run.get("test", 0.0) for run in row["runs"]]
    ends = f" ({min(each):.2f} to {max(each):.2f})" if len(each) > 1 else ""
    return f"{fmean(each):.2f}{ends}"


def options_of(arguments: list[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="fashion-mnist", help="or digits")
    parser.add_argument("--root", help="folder of the data set's files")
    parser.add_argument("--networks", default="mlp,cnn")
    parser.add_argument("--rules", help="rows of the table, as SGD(),Adam(); all where left out")
    parser.add_argument("--samples", type=int, help="of the long runs, in place of the plans'")
    parser.add_argument("--epochs", type=int, help="of the long runs, in place of the plans'")
    parser.add_argument("--seeds", help="0,1,2 in place of the plans'")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, help="JSON; runs that it holds are not run again")
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it works")
    options = parser.parse_args(arguments)
    if options.quick:
        options.dataset, options.seeds, options.samples, options.epochs = "digits", "0", 256, 1
        options.rules = options.rules or "SGD(),Adam()"
    return options


def plans_of(options: argparse.Namespace) -> dict[str, Plan]:
    """Return how each network is trained, with what the command line says."""
    changes: dict[str, Any] = {}
    if options.samples:
        changes["samples"] = options.samples
    if options.epochs:
        changes["epochs"] = options.epochs
    if options.seeds:
        changes["seeds"] = tuple(map(int, options.seeds.split(",")))
    return {name: PLANS[name]._replace(**changes) for name in options.networks.split(",")}


def main(arguments: list[str]) -> int:
    """Run what is missing and print the tables."""
    options = options_of(arguments)
    plans, known = plans_of(options), rules()
    names = options.rules.replace("),", ")\n").split("\n") if options.rules else list(known)
    settings = {"dataset": options.dataset, "batch": options.batch}
    data = open_dataset(options.dataset, root=options.root)
    kept = Kept(options.results, settings)
    for network, plan in plans.items():
        bench, found = Bench(data, options.dataset, network, options), []
        for name in names:
            found.append(sweep(bench, kept, name, known[name], plan))
            last = found[-1]
            print(network, name, f"{last['rate']:.2g}", last["runs"], file=sys.stderr, flush=True)
        print(f"{network}: {plan}\n\n{table(found)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
