"""How gradients fare on their way from the loss to the first layer; nothing is trained here.

Glorot & Bengio (2010) look at deep networks this way, He et al. (2016) at plain and residual ones.
"""

import copy
import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..callbacks.recorder import Recorder
from ..callbacks.recorder_words import flow as words
from ..losses import Loss
from ..network.weights import of_weights
from ..plots import saved
from ..training.history import History
from ..training.trainer import Trainer
from .flow_picture import draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class GradientNorm(NamedTuple):
    """One weight's share of `gradient_flow`.

    Attributes
    ----------
    name
        Of the weight, as in ``net.state_dict()``.
    norm
        |g|, root of the sum of squares of its gradient.
    relative
        |g| / |w|: what a step of plain descent with rate 1 would change, as a share of the weight.
        nan where the weight is all zeros.
    """

    name: str
    norm: float
    relative: float


class GradientFlow(list[GradientNorm]):
    """What `gradient_flow` found: a list of `GradientNorm` that draws itself and speaks."""

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the norms by depth.

        Parameters
        ----------
        path
            Where to save the picture, too; its ending chooses the format.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        columns = ([getattr(one, name) for one in self] for name in GradientNorm._fields)
        return saved(draw(*columns), path)

    def report(self) -> str:
        """Say in words which gradients vanish or explode, against that of the last layer."""
        lines = words([(one.name, one.norm) for one in self])
        return "\n".join(lines) or "no gradient vanishes or explodes"


def gradient_flow(
    net: Any,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    loss: Loss | str | None = None,
    *,
    seed: int = 0,
    step: int | None = None,
    **trainer: Any,
) -> GradientFlow:
    """Return |g| and |g| / |w| of every matrix and filter, from the first layer to the last.

    g is the gradient of the loss over one batch, with batch statistics and dropout as in training;
    a copy of the network is looked at, so that nothing of it changes. Norms that shrink or grow by
    a factor from each layer to the one before it are vanishing or exploding gradients (Glorot &
    Bengio 2010, section 4.2.1); shortcuts hand the gradient on as it is (He et al. 2016, "Identity
    mappings", eq. 5).

    Parameters
    ----------
    net, X, y, loss
        A network, one batch ``(N, ...)`` with its targets, and a loss, as `Trainer` takes them; or
        a `Recorder`, or the `History` of a fit that had one, alone: what was recorded of one step.
    seed
        Draws the weights of a network that is not built yet, and dropout.
    step
        Which of the recorder's steps; None: the last one.
    **trainer
        Further arguments of `Trainer`: l1, l2, reduction. Gradients are shown before any clipping.

    Returns
    -------
    GradientFlow
        A list of one ``(name, norm, relative)`` for each weight of two axes or more, in the order
        in which the layers were called. Biases and the scales and shifts of normalisation are left
        out: their sizes do not compare with those of weights.

    Raises
    ------
    TypeError, ValueError
        If something does not fit, as in ``Trainer.gradients``.
    """
    recorder = net.recorder if isinstance(net, History) else net
    if recorder is None:
        raise ValueError(
            f"gradient_flow: nothing was recorded of {net!r}; give fit record=Recorder(every=k)"
        )
    if isinstance(recorder, Recorder):
        return _recorded(recorder, step)
    precision = of_weights(getattr(net, "_precision", "float32"))
    net = copy.deepcopy(net)
    looker = Trainer(net, loss, "sgd", precision=precision, seed=seed, **trainer)
    gradients = looker.gradients(X, y)[1]
    weights = net.state_dict()
    found = GradientFlow()
    for name, gradient in gradients.items():
        if weights[name].ndim > 1:
            norm, size = _norm(gradient), _norm(weights[name])
            found.append(GradientNorm(name, norm, norm / size if size else math.nan))
    return found


def _recorded(recorder: Recorder, step: int | None) -> GradientFlow:
    steps = recorder.steps
    if not len(steps) or (step is not None and step not in steps):
        raise ValueError(f"gradient_flow: {recorder!r} has no step {step}")
    at = -1 if step is None else int(np.searchsorted(steps, step))
    found = GradientFlow()
    for name, own in recorder.weights.items():
        norm, size = float(own["gradient_norm"][at]), float(own["weight_norm"][at])
        found.append(GradientNorm(name, norm, norm / size if size else math.nan))
    return found


def _norm(values: ArrayLike) -> float:
    """Return the root of the sum of squares, in float64: squares of float32 can overflow."""
    return float(np.linalg.norm(np.asarray(values, dtype=np.float64)))
