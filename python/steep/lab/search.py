"""Looks for the best of many networks, or of anything that can be scored, in a space of choices.

Which choices are tried is in `strategies`, how they are trained and scored in `trials`.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..checks.names import choose
from ..checks.numbers import seed as checked_seed
from ..checks.numbers import whole
from . import strategies
from .spaces import as_table, cell, fit_options, options_of
from .trials import OWN, Row, Trials, worth

METHODS = {name: name for name in ("random", "evolution", "halving")}
MODES = {name: name for name in ("auto", "max", "min")}


@dataclass(frozen=True, repr=False)
class Search:
    """What `search` found.

    Attributes
    ----------
    rows : list of dict
        What was scored, in that order: the choice, its ``"score"`` and, where something was
        trained, the ``"epochs"`` after which. ``pandas.DataFrame(found.rows)`` is a table.
    best : dict
        The row of the best score; of `"halving"` among those that were trained longest.
    choice : dict
        The choice of that row: ``build(**found.choice)`` makes it again.
    score : float
        Its score.
    trainer : Trainer or None
        The trainer it was scored by, trained.
    method, mode : str
        How it was looked for, and whether ``"max"`` or ``"min"`` is best.
    """

    rows: list[Row]
    best: Row
    method: str
    mode: str
    trainer: Any = field(default=None, compare=False)

    @property
    def choice(self) -> Row:
        """The best choice, as `build` takes it."""
        return {name: value for name, value in self.best.items() if name not in OWN}

    @property
    def score(self) -> float:
        """The best score."""
        return float(self.best["score"])

    def __repr__(self) -> str:
        """Return a table of the best rows, the best first."""
        order = sorted(self.rows, key=lambda row: worth(row, self.mode), reverse=True)
        head = f"{self.method} search: {len(order)} scored, best {cell(self.score)}"
        return as_table(head, list(self.best), order)


def search(
    build: Callable[..., Any] | None,
    space: Mapping[str, Iterable[Any]],
    method: str = "random",
    budget: int = 100,
    seed: int = 0,
    *,
    X: Any = None,
    y: Any = None,
    validation: tuple[Any, ...] | None = None,
    score: Callable[[Any], float] | None = None,
    epochs: int = 1,
    mode: str = "auto",
    population: int = 20,
    sample: int | None = None,
    eta: int = 3,
    **fit: Any,
) -> Search:
    """Look for the best choice of a space: of networks, each trained, or of rows of a table.

    Networks: `build` makes a trainer of a choice, which is trained on (X, y) and scored on the
    validation samples::

        def build(units, activation):
            net = Sequential(layers.Dense(units, activation), layers.Dense(10))
            return Trainer(net, "cross_entropy", "adam")

        space = {"units": (16, 64, 256), "activation": ("relu", "tanh")}
        lab.search(build, space, "halving", budget=6, X=X, y=y, validation=(Xv, yv), epochs=9)

    Anything else: ``build(**choice)`` is the score itself, or a function of the epochs that is.
    Equal arguments give equal results. No choice is tried twice, but that halving trains it on.

    Parameters
    ----------
    build
        Takes a choice by name. None: the choice itself, a dict, for `score`.
    space
        The options of each argument by name: ``{"kernel": (3, 5, 7)}``.
    method
        ``"random"``: each choice as likely (Bergstra & Bengio 2012). ``"evolution"``: regularised
        evolution (Real et al. 2019), in which the best of `sample` of the last `population` choices
        is the parent of the next, which differs in one option. ``"halving"``: all are trained a
        little, 1/eta of them eta times as long, and so forth up to `epochs` (Jamieson & Talwalkar
        2016); a trainer goes on, by the same bytes as if it had never stopped.
    budget
        How many choices are tried, at most as many as there are.
    seed
        Of the choices. What `build` makes has its own.
    X, y
        To train on, as ``Trainer.fit`` takes them.
    validation
        ``(Xv, yv)`` or ``(Xv, yv, sample_weight)``. The score is the accuracy there, or the loss
        where the trainer measures none.
    score
        Another one: a function of what `build` returned, once it is trained.
    epochs
        That each is trained, or the last ones of `"halving"`.
    mode
        ``"max"``: larger is better, ``"min"``: smaller, ``"auto"``: smaller for a loss. A score
        that is not finite is worse than any other, and so is a training that diverged.
    population, sample
        Of evolution: how many live, and of how many the best is the parent; None: a quarter.
    eta
        Of halving, at least 2.
    fit
        What ``Trainer.fit`` takes beside: `batch_size`, `callbacks`, .... Those that look at
        validation samples get them.

    Returns
    -------
    Search
        ``.rows``, ``.best``, ``.choice``, ``.score``, ``.trainer``; printed, it is a table.

    Raises
    ------
    TypeError, ValueError
        If the space is empty, an argument out of range, a score no number, or nothing says how to
        score what `build` makes.
    """
    method, mode = choose("method", method, METHODS), choose("mode", mode, MODES)
    options = options_of("search", space, OWN)
    budget = min(whole("search", "budget", budget), math.prod(map(len, options.values())))
    epochs, eta = whole("search", "epochs", epochs), whole("search", "eta", eta, 2)
    population = whole("search", "population", population)
    quarter = max(1, population // 4)
    sample = quarter if sample is None else whole("search", "sample", sample, 1, population)
    for name, given in (("build", build), ("score", score)):
        if given is not None and not callable(given):
            raise TypeError(f"search: {name} must be a function, got {type(given).__name__}")
    if build is None and score is None:
        raise TypeError("search: nothing scores a choice; give build, or score")
    if validation is not None and (
        not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3)
    ):
        raise TypeError(
            "search: validation must be (Xv, yv) or (Xv, yv, sample_weight), got "
            f"{type(validation).__name__}"
        )
    drawn = strategies.Space(tuple(map(len, options.values())), checked_seed(seed))
    trials = Trials(
        build or dict,
        options,
        score=score,
        mode=mode,
        resumes=method == "halving",
        data=(X, y),
        validation=validation,
        fit=fit_options("search", fit),
    )
    if method == "random":
        strategies.at_random(drawn, trials.all, budget, epochs)
    elif method == "evolution":
        strategies.evolution(
            drawn, trials.all, budget, epochs, population=population, sample=sample
        )
    else:
        strategies.halving(drawn, trials.all, budget, epochs, eta=eta, forget=trials.forget)
    mode = "max" if trials.mode == "auto" else trials.mode
    return Search(trials.rows, trials.best, method, mode, trials.trainer)
