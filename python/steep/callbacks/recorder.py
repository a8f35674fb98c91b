"""`Recorder`: what happens inside a network while it trains; measured natively, kept here.

Its pictures are in `recorder_picture`, its words in `recorder_words`.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..checks.numbers import whole
from ..plots import saved
from . import recorder_picture, recorder_words
from .watching import _of_checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .. import _core
    from ..training.trainer import Trainer

NORMS = ("weight_norm", "gradient_norm", "clipped_norm", "update_norm")
SPREAD = ("mean", "deviation", "dead", "saturated")
_MOST = 2**31 - 1  # steps between two that are recorded

Columns = NDArray[np.float64]


class Recorder:
    """Records, every so many steps, the norms of each parameter and the state of each activation.

    Give it to ``Trainer.fit(..., record=Recorder(every=10))``. Everything is summed in passes that
    have weights, gradients and activations at hand anyway, sixteen numbers in their own precision
    and those sums in double: of float32 a length is within 5e-7 of itself. The weights come out
    the same to the bit as without it, and the numbers do not depend on threads; with
    ``device="cuda"`` they are the CPU's wherever weights and gradients are.

    Of each parameter that is trained: ``weight_norm``, its length |w| before the step;
    ``gradient_norm``, |g| of the gradient with penalties, before any clipping; ``clipped_norm``,
    what clip_value, clip_parameter and clip_norm left of it; ``update_norm``, the length of what
    the step added to the weights, decay and constraints included; ``update_ratio``, update_norm /
    weight_norm, about 1e-3 where a rate is well chosen (Karpathy 2015, CS231n notes).

    Of each op with an activation, over all samples of the batch: ``mean`` and ``deviation`` of its
    outputs; ``dead``, the share of units that are 0 for every sample (a unit is a place of the
    last axis: of a convolution a filter, at all its positions); ``saturated``, the share of
    outputs at or beyond a bound, nan where the activation has none: tanh and softsign
    \N{PLUS-MINUS SIGN}0.99, sigmoid 0.01 and 0.99, hard_tanh \N{PLUS-MINUS SIGN}1, hard_sigmoid 0
    and 1 (Glorot & Bengio 2010 look at activations this way).

    Parameters
    ----------
    every
        Steps 0, every, 2*every, ... of the trainer are recorded, >= 1.

    Raises
    ------
    ValueError
        In `fit`, before the first step: for methods for full batches and several objectives, whose
        steps cannot be recorded; or where it has rows of another network.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = whole("Recorder", "every", every)
        if self.every > _MOST:
            raise ValueError(f"Recorder: every must be at most {_MOST}, got {every}")
        self._parameters: list[tuple[str, bool]] = []  # its name; is it trained and no vector?
        self._ops: list[tuple[str, str]] = []  # layer and activation
        self._blocks: list[tuple[NDArray[np.int64], Columns]] = []

    def __repr__(self) -> str:
        return f"Recorder(every={self.every}: {len(self.steps)} steps)"

    # -- what a fit asks of it -----------------------------------------------------------------

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Refuse a training whose steps cannot be recorded."""
        run = trainer._run
        settings = run.settings
        if len(settings.aims) > 1:
            raise ValueError(
                f"fit: record= is for one objective, this trainer has {len(settings.aims)}; "
                "leave it out"
            )
        if settings.optimizer.full_batch:
            raise ValueError(
                f"fit: {type(settings.optimizer).__name__} looks at several points in a step, "
                "which record= does not measure; leave it out, or take a rule for batches"
            )
        net = settings.net._native
        found = [(n, len(shape) > 1 and net.trained(n)) for n, shape in net.parameters()]
        self._settle(found, _numbered(run.session().watched))

    def _take_recorded(self, session: "_core.Session") -> None:
        """Add what a session has recorded since; what it went back over is gone."""
        self._cut(session.steps)
        steps, values = session.recorded(self._known())
        if len(steps):
            self._cut(int(steps[0]))
            self._blocks.append((steps, values))

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: all rows."""
        return {
            "parameters": [list(one) for one in self._parameters],
            "ops": [list(one) for one in self._ops],
            "steps": self.steps,
            "values": self._values(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the rows of a checkpoint; ValueError where that is no state of this."""
        with _of_checkpoint("Recorder"):
            steps = np.asarray(state["steps"], np.int64).reshape(-1)
            values = np.asarray(state["values"], np.float64)
            parameters = [(str(name), bool(matrix)) for name, matrix in state["parameters"]]
            ops = [(str(layer), str(name)) for layer, name in state["ops"]]
            wide = len(parameters) * len(NORMS) + len(ops) * len(SPREAD)
            if values.shape != (len(steps), wide) or (np.diff(steps) <= 0).any():
                raise ValueError(f"has values of shape {values.shape}")
        self._settle(parameters, ops)
        self._blocks = [(steps, values)] if len(steps) else []

    def _settle(self, parameters: list[tuple[str, bool]], ops: list[tuple[str, str]]) -> None:
        if self._blocks and (self._parameters, self._ops) != (parameters, ops):
            raise ValueError(
                "Recorder: has rows of another network; make a new Recorder for this one"
            )
        self._parameters, self._ops = parameters, ops

    def _known(self) -> int:
        return int(self._blocks[-1][0][-1]) + 1 if self._blocks else 0

    def _cut(self, done: int) -> None:
        """Take back what is of steps from `done` on."""
        while self._blocks and self._blocks[-1][0][-1] >= done:
            steps, values = self._blocks.pop()
            kept = int(np.searchsorted(steps, done))
            if kept:
                self._blocks.append((steps[:kept], values[:kept]))

    def _values(self) -> Columns:
        if not self._blocks:
            wide = len(self._parameters) * len(NORMS) + len(self._ops) * len(SPREAD)
            return np.empty((0, wide))
        return np.concatenate([values for _, values in self._blocks])

    # -- what was recorded ---------------------------------------------------------------------

    @property
    def steps(self) -> NDArray[np.int64]:
        """The recorded steps, from 0: step k's loss is ``history.steps["loss"][k]``."""
        return np.concatenate([np.empty(0, np.int64), *(steps for steps, _ in self._blocks)])

    @property
    def parameters(self) -> dict[str, dict[str, Columns]]:
        """Of each trained parameter by name the numbers by name, an array (steps,) each."""
        values, found = self._values(), {}
        for k, (name, _) in enumerate(self._parameters):
            own = dict(zip(NORMS, values[:, k * 4 : k * 4 + 4].T, strict=True))
            if np.isnan(own["update_norm"]).all():  # nobody moves it
                continue
            with np.errstate(divide="ignore", invalid="ignore"):
                own["update_ratio"] = np.where(
                    own["weight_norm"] > 0, own["update_norm"] / own["weight_norm"], np.nan
                )
            found[name] = own
        return found

    @property
    def activations(self) -> dict[str, dict[str, Columns]]:
        """Of each op with an activation, by its layer, the numbers by name, (steps,) each."""
        values, first = self._values(), len(self._parameters) * len(NORMS)
        return {
            layer: dict(zip(SPREAD, values[:, first + k * 4 : first + k * 4 + 4].T, strict=True))
            for k, (layer, _) in enumerate(self._ops)
        }

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Everything, a dict for each recorded step and parameter, then for each activation.

        All have the keys step, name, activation (None for a parameter), and the numbers above; what
        one has none of is nan.
        """
        return list(self._rows())

    def _rows(self) -> Iterator[dict[str, Any]]:
        none = dict.fromkeys((*NORMS, "update_ratio", *SPREAD), float("nan"))
        tables: list[tuple[str, str | None, dict[str, Any]]] = [
            (name, None, {key: column.tolist() for key, column in own.items()})
            for name, own in self.parameters.items()
        ]
        kinds = dict(self._ops)
        tables += [
            (layer, kinds[layer], {key: column.tolist() for key, column in own.items()})
            for layer, own in self.activations.items()
        ]
        for k, step in enumerate(self.steps.tolist()):
            for name, kind, columns in tables:
                own = {key: column[k] for key, column in columns.items()}
                yield {"step": step, "name": name, "activation": kind, **none, **own}

    def to_frame(self) -> Any:
        """Return `rows` as a table of pandas.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        try:
            import pandas as pd  # noqa: PLC0415  (an extra)
        except ImportError:
            raise ImportError("to_frame: pandas is not installed: `pip install pandas`") from None
        return pd.DataFrame(self.rows)

    @property
    def weights(self) -> dict[str, dict[str, Columns]]:
        """Those of `parameters` that have two axes or more, in the order of their layers."""
        matrices = {name for name, matrix in self._parameters if matrix}
        return {name: own for name, own in self.parameters.items() if name in matrices}

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw gradients, update ratios, dead units and saturation over the steps.

        Parameters
        ----------
        path
            Where to save the picture, too; its ending chooses the format.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If nothing was recorded.
        """
        if not self._blocks:
            raise ValueError("Recorder: nothing was recorded; give it to fit(..., record=)")
        return saved(recorder_picture.draw(self.steps, self.weights, self.activations), path)

    def report(self) -> str:
        """Say in words what vanishes, explodes, is dead or saturated at the last recorded step."""
        if not self._blocks:
            return "nothing was recorded"
        return recorder_words.report(self.steps, self.weights, self.activations)


def _numbered(watched: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the ops by their layers' names, with a number at those that come again."""
    counts: dict[str, int] = {}
    found = []
    for title, kind in watched:
        named = re.fullmatch(r'\w+ "(.*)"', title)  # as errors call them: Dense "hidden"
        layer = named[1] if named else title
        counts[layer] = counts.get(layer, 0) + 1
        found.append((layer if counts[layer] == 1 else f"{layer} #{counts[layer]}", kind))
    return found
