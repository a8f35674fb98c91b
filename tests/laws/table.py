"""The list of all laws, and on which seeds each is tried: dear ones on every nth only."""

from dataclasses import dataclass
from typing import Any

from laws import (
    batching,
    beginning,
    concurrency,
    derivatives,
    exchange,
    killing,
    looks,
    on_cuda,
    parity,
    recording,
    refusals,
    reload,
    resuming,
    several,
    threads,
)


@dataclass(frozen=True)
class Law:
    """A law: check(case) returns or raises."""

    check: Any
    every: int = 1  # tried on one in so many seeds
    few: int = 20  # how many cases the suite has time for
    cuda: bool = False  # of a GPU, or of its emulation: elsewhere all are left out

    def tries(self, seed):
        """Say whether the law is tried on a seed: scattered, so that large ones are among them."""
        return (seed * 2654435761 % 2**32 >> 16) % self.every == 0


LAWS = {
    "parity": Law(parity.steps, few=30),
    "parity_single": Law(parity.single, every=3),
    "derivatives": Law(derivatives.derivatives, every=2, few=40),
    "threads": Law(threads.threads, every=2),
    "weights": Law(reload.weights, few=40),
    "going_on": Law(reload.going_on, every=2),
    "copies": Law(reload.copies, every=3),
    "predictions": Law(batching.predictions, few=40),
    "evaluation": Law(batching.evaluation, few=40),
    "history": Law(batching.history, few=60),
    "refusals": Law(refusals.refusals, every=3),
    "resuming": Law(resuming.resuming, every=2),
    "lsuv": Law(beginning.lsuv, every=3, few=10),
    "looks": Law(looks.looks, every=5, few=10),
    "unseen": Law(looks.unseen, few=60),
    "recording": Law(recording.recording, every=2),
    "recorded_moves": Law(recording.moves, every=2, few=40),
    "several_gradients": Law(several.gradients, every=2, few=40),
    "several_threads": Law(several.threads, every=3),
    "several_unseen": Law(several.unseen, every=2),
    "several_resuming": Law(several.resuming, every=3),
    "several_last_good": Law(several.last_good),
    "exported": Law(exchange.exported, every=2),
    "returned": Law(exchange.returned, every=3),
    "concurrency": Law(concurrency.concurrency, every=20, few=6),
    "killing": Law(killing.killing, every=50, few=3),
    "resident": Law(on_cuda.resident, every=2, few=40, cuda=True),
    "resident_crossing": Law(on_cuda.resident_crossing, every=2, cuda=True),
    "streamed": Law(on_cuda.streamed, every=3, few=30, cuda=True),
    "streamed_several": Law(on_cuda.streamed_several, every=3, cuda=True),
    "streamed_crossing": Law(on_cuda.streamed_crossing, every=3, cuda=True),
    "second_order": Law(on_cuda.second_order, every=3, few=30, cuda=True),
    "second_order_crossing": Law(on_cuda.second_order_crossing, every=3, few=12, cuda=True),
    "products": Law(on_cuda.products, every=2, few=40, cuda=True),
}
