"""The list of all laws, and on which seeds each is tried: dear ones on every nth only."""

from dataclasses import dataclass
from typing import Any

from laws import batching, concurrency, killing, looks, parity, refusals, reload, resuming, threads


@dataclass(frozen=True)
class Law:
    """A law: check(case) returns or raises."""

    check: Any
    every: int = 1  # tried on seeds that this divides
    few: int = 20  # how many cases the suite has time for

    def tries(self, seed):
        return seed % self.every == 0


LAWS = {
    "parity": Law(parity.steps, few=30),
    "parity_single": Law(parity.single, every=2),
    "threads": Law(threads.threads),
    "weights": Law(reload.weights, few=40),
    "going_on": Law(reload.going_on),
    "copies": Law(reload.copies, every=2),
    "predictions": Law(batching.predictions, few=40),
    "evaluation": Law(batching.evaluation, few=40),
    "history": Law(batching.history, few=60),
    "refusals": Law(refusals.refusals),
    "resuming": Law(resuming.resuming),
    "looks": Law(looks.looks, every=2, few=10),
    "concurrency": Law(concurrency.concurrency, every=50, few=6),
    "killing": Law(killing.killing, every=50, few=3),
}
