"""`NetClassifier`, `NetRegressor`: any network, or a function that makes one, as an estimator."""

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import layers, optimizers
from ..checks.arrays import Array
from ..network.model import Sequential
from ..network.network import Network
from ..optimizers import Optimizer
from .base import Estimator, keep
from .kinds import Classifies, Regresses


def small(outputs: int) -> Sequential:
    """Return the network that stands where none was given: 100 units, then the outputs."""
    return Sequential(layers.Flatten(), layers.Dense(100, "relu"), layers.Dense(outputs))


class Wraps(Estimator):
    """A network of the user's."""

    _images: ClassVar[bool] = True

    def _begin(self, X: Array, outputs: int, random: np.random.RandomState) -> None:
        given, seed = small if self.net is None else self.net, int(random.randint(2**31 - 1))
        who = type(self).__name__
        if isinstance(given, Network):
            made: Any = copy.deepcopy(given)
        elif isinstance(given, Callable):  # type: ignore[arg-type]
            made = given(outputs)
        else:
            raise TypeError(f"{who}: net must be a network or a function, got {given!r}")
        if not isinstance(made, Network):
            raise TypeError(f"{who}: the function must return a network, got {made!r}")
        if not made.built:
            made.build(X.shape[1:], seed=seed)
        shapes = [tuple(np.shape(z))[1:] for z in [made.predict(X[:1])]]
        if self.loss is None and shapes != [(outputs,)]:
            raise ValueError(
                f"{who}: net gives outputs of shape {shapes[0]}, y needs ({outputs},); a function "
                "of the number of outputs, net=lambda outputs: ..., makes one that fits"
            )
        self.net_ = made

    def _optimizer_made(self) -> Optimizer:
        return optimizers.get(self.optimizer)

    def _penalties(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2, "clip_norm": self.clip_norm}

    def _loss(self) -> tuple[Any, float, float]:
        return (self.loss, 1.0, 1.0) if self.loss is not None else super()._loss()


PARAMETERS = """
    net
        A network, of which every fit trains a copy (from its weights, where it is built); or a
        function of the number of outputs that returns one; None: 100 units and the outputs.
    loss
        A loss of steep or its name; None: what fits y, as scikit-learn's MLP has it.
    optimizer
        One of `steep.optimizers`, or its name.
    batch_size
        Samples of an update; ``"auto"``: min(200, N).
    max_iter
        Epochs at most.
    shuffle
        Whether each epoch has an order of its own.
    l1, l2, clip_norm
        As in `steep.Trainer`: penalties are not divided by the samples.
    random_state
        An int, a RandomState or None: of first weights, what is held out, order and dropout.
    tol, n_iter_no_change
        It stops when for more than so many epochs in a row the loss did not fall, or the score did
        not rise, by `tol`.
    verbose
        Whether to print every epoch.
    warm_start
        Whether `fit` goes on from the weights of the last one.
    early_stopping, validation_fraction
        Whether to hold out that part and keep the weights that score best on it.
    precision
        ``"float32"`` or ``"float64"``.
    device
        ``"cpu"`` or ``"cuda"``, as `steep.Trainer` takes it.
"""

ATTRIBUTES = """
    net_ : steep.Sequential or steep.Model
        The trained network.
    loss_, loss_curve_, best_loss_, validation_scores_, best_validation_score_, n_iter_, t_
        As of `MLPClassifier`; losses are without penalties.
    n_features_in_, feature_names_in_, n_outputs_
        As in scikit-learn.
"""


class NetClassifier(Classifies, Wraps):  # noqa: D101 - the docstring is put together
    __doc__ = f"""Any network as a classifier of scikit-learn; images (N, H, W, C), too.

    Its outputs are logits: one for each class, or a single one for two classes.

    Parameters
    ----------{PARAMETERS}    class_weight
        ``{{class: weight}}``, a list of them for several labels, or ``"balanced"``.

    Attributes
    ----------
    classes_ : (K,)
        The labels.{ATTRIBUTES}
    """

    def __init__(
        self,
        net: Any = None,
        *,
        loss: Any = None,
        optimizer: Any = "adam",
        batch_size: Any = "auto",
        max_iter: Any = 200,
        shuffle: Any = True,
        l1: Any = 0.0,
        l2: Any = 0.0,
        clip_norm: Any = None,
        random_state: Any = None,
        tol: Any = 1e-4,
        n_iter_no_change: Any = 10,
        verbose: Any = False,
        warm_start: Any = False,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        class_weight: Any = None,
        precision: Any = "float32",
        device: Any = "cpu",
    ) -> None:
        keep(self, locals())


class NetRegressor(Regresses, Wraps):  # noqa: D101 - the docstring is put together
    __doc__ = f"""Any network as a regressor of scikit-learn; images (N, H, W, C), too.

    Parameters
    ----------{PARAMETERS}
    Attributes
    ----------{ATTRIBUTES}
    """

    def __init__(
        self,
        net: Any = None,
        *,
        loss: Any = None,
        optimizer: Any = "adam",
        batch_size: Any = "auto",
        max_iter: Any = 200,
        shuffle: Any = True,
        l1: Any = 0.0,
        l2: Any = 0.0,
        clip_norm: Any = None,
        random_state: Any = None,
        tol: Any = 1e-4,
        n_iter_no_change: Any = 10,
        verbose: Any = False,
        warm_start: Any = False,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        precision: Any = "float32",
        device: Any = "cpu",
    ) -> None:
        keep(self, locals())
