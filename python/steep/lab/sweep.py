"""`sweep`: many networks trained at once in one process, and what came of them.

How members are trained is in `members`, which they are in `strategies`; the picture in
`sweep_picture`.
"""

import html
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..checks.names import choose
from ..checks.numbers import flag, whole
from ..checks.numbers import seed as checked_seed
from ..plots import saved
from . import strategies
from .kept import Kept, seen
from .members import Members, Row
from .scores import Scores
from .spaces import as_table, cell, fit_options, options_of
from .sweep_picture import draw
from .workers import count_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = {name: name for name in ("random", "grid", "halving")}
MODES = {name: name for name in ("auto", "max", "min")}


@dataclass(frozen=True, repr=False)
class Sweep:
    """What `sweep` found.

    Attributes
    ----------
    rows : list of dict
        One for each member, in the order in which they were chosen: its settings, ``"epochs"`` it
        was trained, the last value of every metric, and ``"error"`` where it failed.
    trainers : list
        The trainers, trained; None where one could not be made or was not kept.
    order : list of int
        Numbers of the members, the best first, those that failed last; of ``"halving"`` those that
        were trained longest lead.
    space : dict
        The options of each setting, as they were given.
    score, mode : str
        The metric that members are compared by, and whether ``"max"`` or ``"min"`` is best.
    method : str
        How members were chosen.
    """

    rows: list[Row]
    order: list[int]
    space: dict[str, tuple[Any, ...]]
    score: str
    mode: str
    method: str
    trainers: list[Any] = field(default_factory=list, compare=False)

    @property
    def best(self) -> Row:
        """The row of the best member.

        Raises
        ------
        ValueError
            If all have failed; says how the first one did.
        """
        best = self.rows[self.order[0]]
        if "error" in best:
            raise ValueError(f"sweep: no member trained to the end; the first: {best['error']}")
        return best

    @property
    def trainer(self) -> Any:
        """The trainer of the best member, None where it was not kept."""
        return self.trainers[self.order[0]]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        """Return a table of the best rows, the best first."""
        return as_table(self._title(), self._columns(), [self.rows[k] for k in self.order])

    def _repr_html_(self) -> str:
        """Show all rows as a table, in notebooks, the best first."""
        columns = self._columns()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        lines = []
        for k in self.order:
            cells = (html.escape(cell(self.rows[k].get(name, ""))) for name in columns)
            lines.append(f"<tr><th>{k}</th>{''.join(f'<td>{c}</td>' for c in cells)}</tr>")
        title = f"<caption>{html.escape(self._title())}</caption>"
        return f"<table>{title}<tr><th>member</th>{head}</tr>{''.join(lines)}</table>"

    def _title(self) -> str:
        failed = sum("error" in row for row in self.rows)
        told = f", {failed} failed" if failed else ""
        if failed < len(self.rows):
            told += f", best {self.score} {cell(self.best[self.score])}"
        return f"{self.method} sweep: {len(self.rows)} members{told}"

    def _columns(self) -> list[str]:
        names = dict.fromkeys(self.space)
        for row in self.rows:
            names |= dict.fromkeys(row)
        error = [names.pop("error", "error")] if "error" in names else []
        return [*names, *(["error"] if error or "error" in names else [])]

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw every member as a line through its settings, and each setting against the score.

        Members that failed are crosses, and have no line.

        Parameters
        ----------
        path
            Where to save the picture, too; its ending chooses the format.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        return saved(draw(self.rows, self.space, self.score, self.mode), path)


def sweep(
    make_trainer: Callable[..., Any],
    space: Mapping[str, Iterable[Any]],
    X: Any,
    y: Any = None,
    *,
    n: int | None = None,
    workers: int | None = None,
    method: str = "random",
    epochs: int = 1,
    validation: tuple[Any, ...] | None = None,
    score: str | None = None,
    mode: str = "auto",
    eta: int = 3,
    seed: int = 0,
    keep: bool = True,
    path: str | os.PathLike[str] | None = None,
    **fit: Any,
) -> Sweep:
    """Train many networks at once, each with its own settings, one on each core.

    ``make_trainer`` makes a trainer of each choice of the space, which is trained on (X, y)::

        def make(lr, units, seed):
            net = Sequential(layers.Dense(units, "relu"), layers.Dense(10))
            return Trainer(net, "cross_entropy", optimizers.Adam(lr), seed=seed)

        space = {"lr": np.geomspace(1e-4, 1e-1, 7), "units": (32, 100), "seed": range(4)}
        found = lab.sweep(make, space, X, y, n=32, epochs=50, validation=(Xv, yv))

    Members share the data and this process, each has one thread: native calls let go of the GIL.
    Each is bit-equal to its own solo run, ``make(...).fit(X, y, ...)``, however many workers there
    are. One that diverges or raises is told in its row, and does not stop the others.

    Parameters
    ----------
    make_trainer
        Takes a choice by names; with a single argument that the space does not have, the choice as
        a dict. It is called by several threads at once. The network must be a new one each time.
    space
        The options of each setting by name. `batch_size`, `epochs`, `shuffle`, `accumulate`,
        `augment`, `class_weight` and `drop_last` are handed to `fit`, too.
    X, y, validation
        As ``Trainer.fit`` takes them.
    n
        How many members; None for all there are. A grid has all.
    workers
        How many are trained at once; None: as many as steep uses threads.
    method
        ``"random"``: n choices, each as likely, none twice (Bergstra & Bengio 2012). ``"grid"``:
        all. ``"halving"``: n are trained a little, 1/eta of them eta times as long, and so forth up
        to `epochs` (Jamieson & Talwalkar 2016); they go on by the same bytes as if they had never
        stopped.
    epochs
        That each is trained, or the last ones of ``"halving"``.
    score
        The metric by which members are compared; None: the first of val_accuracy, val_loss,
        accuracy, loss that is measured.
    mode
        ``"max"``: larger is better, ``"min"``: smaller, ``"auto"``: larger for an accuracy.
    eta
        Of halving, at least 2.
    seed
        Of the choices. Trainers have their own.
    keep
        Whether the result holds the trainers; their memory is that of all members.
    path
        A folder, made where it is missing, that keeps what is done: called again with the same
        arguments after an interruption, the sweep goes on there, to the same rows. Members are kept
        every ten seconds; a trainer that ``Trainer.save`` refuses begins anew. Arguments that are
        neither numbers, text nor arrays are told apart by their types alone.
    fit
        What ``Trainer.fit`` takes beside: `batch_size`, `callbacks`, .... Each member has its own
        copy of the callbacks.

    Returns
    -------
    Sweep
        ``.rows``, ``.best``, ``.trainer``, ``.plot()``; printed, it is a table.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, or `path` holds another sweep.
    """
    method, mode = choose("method", method, METHODS), choose("mode", mode, MODES)
    if not callable(make_trainer):
        raise TypeError(f"sweep: make_trainer must be a function, got {make_trainer!r}")
    options = options_of("sweep", space, ("error", *(() if method != "halving" else ("epochs",))))
    sizes = tuple(map(len, options.values()))
    every = math.prod(sizes)
    n = every if n is None else whole("sweep", "n", n)
    if method == "grid" and n < every:
        raise ValueError(f'sweep: a grid has all {every} choices, n={n}; take method="random"')
    n, epochs, eta = min(n, every), whole("sweep", "epochs", epochs), whole("sweep", "eta", eta, 2)
    seed, options_of_fit = checked_seed(seed), fit_options("sweep", fit)
    about = {"space": options, "method": method, "n": n, "epochs": epochs, "eta": eta}
    about |= {"seed": seed, "data": (X, y, validation), "fit": options_of_fit}
    scores = Scores(score, mode)
    members = Members(
        make_trainer,
        options,
        data=(X, y),
        fit=options_of_fit | {"validation": validation},
        workers=count_of("sweep", workers),
        scores=scores,
        kept=Kept(path, {name: seen(value) for name, value in about.items()} if path else {}),
        keep=flag("sweep", "keep", keep),
        resumes=method == "halving",
    )
    drawn = strategies.Space(sizes, seed)
    if method == "grid":
        strategies.grid(drawn, members, epochs)
    elif method == "random":
        strategies.at_random(drawn, members, n, epochs)
    else:
        strategies.halving(drawn, members, n, epochs, eta=eta, forget=members.forget)
    numbers = {choice: k for k, choice in enumerate(members.rows)}
    return Sweep(
        list(members.rows.values()),
        [numbers[choice] for choice in members.order()],
        options,
        scores.column or "loss",
        "min" if scores.mode == "auto" else scores.mode,
        method,
        [members.trainers.get(choice) for choice in numbers],
    )
