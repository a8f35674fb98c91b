"""Cross-validation of a table: a network for each part, trained on the others and tested on it."""

from typing import Any

import numpy as np

from ..data.dataset import table_folds
from .job import Job, make_trainer
from .recipe import Recipe, complete


def run(recipe: Recipe, count: int, shown: bool) -> dict[str, Any]:
    """Train and test on each part; `shown` prints a line for each.

    Columns, scales and classes are learned on the training rows of each part by itself.

    Raises
    ------
    ValueError
        There are fewer than two parts, or more than rows.
    """
    found: dict[str, list[float]] = {}
    parts = table_folds(
        recipe.dataset,
        str(recipe.target),
        count,
        validation=recipe.validation,
        seed=recipe.seed,
        options={"task": recipe.task, "drop": recipe.drop, **recipe.table_options()},
    )
    for number, data in enumerate(parts, 1):
        whole = complete(recipe, len(data.train[0]), data.train[0].shape[-1])
        job = Job(whole, data, make_trainer(whole, data), None)
        job.train(progress=False)
        metrics = job.measure(data.test)
        for name, value in metrics.items():
            found.setdefault(name, []).append(value)
        if shown:
            words = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            print(f"fold {number}/{count}: {words}", flush=True)
    summary = {name: (float(np.mean(v)), float(np.std(v, ddof=1))) for name, v in found.items()}
    if shown:
        for name, (mean, deviation) in summary.items():
            print(f"{count} folds: {name} {mean:.4f} ± {deviation:.4f}")
    return {"folds": count, "metrics": summary, "values": found}
