"""Which choices a search or sweep tries: all, random ones, evolution, halving.

A choice is a place on each axis of a space, an index; what it means and how it is scored is in
`search` and `sweep`. Choices that do not wait for each other's scores are scored in one call.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import TypeAlias

from .. import _core

Choice: TypeAlias = tuple[int, ...]
# The scores of several choices after so many epochs; the larger the better.
Score: TypeAlias = Callable[[Sequence[Choice], int], list[float]]


class Draws:
    """Numbers at random, words of the seed and their place alone: the same on every machine."""

    def __init__(self, seed: int) -> None:
        self._seed, self._block = seed, 0
        self._left: Iterator[float] = iter(())

    def below(self, n: int) -> int:
        """Return one of 0 .. n - 1."""
        while (drawn := next(self._left, None)) is None:
            self._left = iter(_core.uniform(self._seed, self._block, 64).tolist())
            self._block += 1
        return int(drawn * n)

    def some(self, count: int, n: int) -> list[int]:
        """Return so many of 0 .. n - 1, none twice."""
        left = list(range(n))
        return [left.pop(self.below(len(left))) for _ in range(count)]


class Space:
    """So many options on each axis, and which choices were drawn: none comes twice."""

    def __init__(self, sizes: Choice, seed: int) -> None:
        self.sizes, self.draws = sizes, Draws(seed)
        self._seen: set[Choice] = set()
        self._free = [axis for axis, size in enumerate(sizes) if size > 1]

    def new(self) -> Choice:
        """Return one of those that are left, each as likely; there must be one."""
        return self._noted(lambda: tuple(self.draws.below(size) for size in self.sizes))

    def mutant(self, parent: Choice) -> Choice:
        """Return one that differs on one axis; where that was drawn before, one beside it."""

        def further() -> Choice:
            nonlocal parent
            axis = self._free[self.draws.below(len(self._free))]
            other = self.draws.below(self.sizes[axis] - 1)
            other += other >= parent[axis]
            parent = (*parent[:axis], other, *parent[axis + 1 :])
            return parent

        return self._noted(further)

    def _noted(self, draw: Callable[[], Choice]) -> Choice:
        while (found := draw()) in self._seen:
            pass
        self._seen.add(found)
        return found


def grid(space: Space, score: Score, epochs: int) -> None:
    """Score every choice, the last axis first."""
    score(list(product(*map(range, space.sizes))), epochs)


def at_random(space: Space, score: Score, budget: int, epochs: int) -> None:
    """Score `budget` choices (Bergstra & Bengio 2012)."""
    score([space.new() for _ in range(budget)], epochs)


def evolution(
    space: Space, score: Score, budget: int, epochs: int, *, population: int, sample: int
) -> None:
    """Let the best of a few be the parent of the next, and the oldest die (Real et al. 2019)."""
    alive: deque[tuple[float, Choice]] = deque(maxlen=population)
    for _ in range(budget):
        if len(alive) < population:
            child = space.new()
        else:
            several = [alive[k] for k in space.draws.some(sample, population)]
            child = space.mutant(max(several, key=lambda one: one[0])[1])
        alive.append((score([child], epochs)[0], child))


def halving(
    space: Space,
    score: Score,
    budget: int,
    epochs: int,
    *,
    eta: int,
    forget: Callable[[Choice], None],
) -> None:
    """Train all a little, the best of them on, and so forth (Jamieson & Talwalkar 2016)."""
    left = [space.new() for _ in range(budget)]
    for trained in rungs(budget, epochs, eta):
        scores = score(left, trained)
        order = sorted(range(len(left)), key=lambda k: -scores[k])  # of equals those drawn first
        for k in order[max(1, len(left) // eta) :]:
            forget(left[k])
        left = [left[k] for k in order[: max(1, len(left) // eta)]]


def rungs(budget: int, epochs: int, eta: int) -> list[int]:
    """Return the epochs after which choices are compared: eta times as many each time."""
    count = 0
    while eta ** (count + 1) <= min(budget, epochs):
        count += 1
    return [epochs // eta**k for k in range(count, -1, -1)]
