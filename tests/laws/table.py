"""The list of all laws, and on which seeds each is tried: dear ones on every nth only."""

from dataclasses import dataclass
from typing import Any

from laws import batching, concurrency, killing, looks, parity, refusals, reload, resuming, threads


@dataclass(frozen=True)
class Law:
    """A law: check(case) returns or raises."""

    check: Any
    every: int = 1  # tried on seeds that this divides

    def tries(self, seed):
        return seed % self.every == 0


LAWS = {
    "parity": Law(parity.steps),
    "threads": Law(threads.threads),
    "weights": Law(reload.weights),
    "going_on": Law(reload.going_on),
    "copies": Law(reload.copies, every=2),
    "predictions": Law(batching.predictions),
    "evaluation": Law(batching.evaluation),
    "history": Law(batching.history),
    "refusals": Law(refusals.refusals),
    "resuming": Law(resuming.resuming),
    "looks": Law(looks.looks, every=2),
    "concurrency": Law(concurrency.concurrency, every=50),
    "killing": Law(killing.killing, every=50),
}
