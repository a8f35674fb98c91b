"""`MLPClassifier`, `MLPRegressor`: scikit-learn's parameters and attributes, dense networks."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from .. import layers, optimizers
from ..checks.arrays import Array
from ..checks.names import choose
from ..checks.numbers import FRACTION, NOT_NEGATIVE, POSITIVE, flag, number, whole
from ..network.model import Sequential
from ..optimizers import Optimizer
from .base import Estimator, keep
from .kinds import Classifies, Regresses
from .samples import Samples
from .training import Course, Inverse, Share

RENAMED = {"identity": "linear", "logistic": "sigmoid"}
SOLVERS = ("adam", "sgd", "lbfgs")


class Layered(Estimator):
    """Dense layers by scikit-learn's parameters. `coefs_` and `intercepts_` are the weights."""

    coefs_: list[Array]
    intercepts_: list[Array]

    # -- the network ----------------------------------------------------------------------------

    def _check(self) -> None:
        super()._check()
        who = type(self).__name__
        if isinstance(self.solver, str) and self.solver not in SOLVERS:
            choose("solver", self.solver, optimizers.TABLE | optimizers.METHODS)
        choose("learning_rate", self.learning_rate, {"constant": 0, "invscaling": 0, "adaptive": 0})
        flag(who, "nesterovs_momentum", self.nesterovs_momentum)
        flag(who, "batch_norm", self.batch_norm)
        number(who, "alpha", self.alpha, NOT_NEGATIVE)
        number(who, "dropout", self.dropout, FRACTION)
        number(who, "learning_rate_init", self.learning_rate_init, POSITIVE)
        number(who, "power_t", self.power_t, NOT_NEGATIVE)
        whole(who, "max_fun", self.max_fun)
        self._hidden()

    def _hidden(self) -> list[int]:
        """Return the units of the hidden layers."""
        given = self.hidden_layer_sizes
        several = isinstance(given, Iterable) and not isinstance(given, str)
        sizes = list(given) if several else [given]
        if any(not isinstance(size, str) and size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [whole(type(self).__name__, "hidden_layer_sizes", size) for size in sizes]

    def _made(self, outputs: int) -> Sequential:
        """Return the network, not built yet."""
        kind = RENAMED.get(self.activation, self.activation)
        body: list[layers.Layer] = []
        for k, units in enumerate(self._hidden()):
            apart = self.batch_norm  # the activation then stands behind the normalisation
            body.append(layers.Dense(units, None if apart else kind, name=f"hidden_{k}"))
            if apart:
                body += [layers.BatchNorm(name=f"norm_{k}"), layers.Activation(str(kind))]
            if self.dropout:
                body.append(layers.Dropout(self.dropout))
        return Sequential(*body, layers.Dense(outputs, name="output"))

    def _begin(self, X: Array, outputs: int, random: np.random.RandomState) -> None:
        units = [X.shape[1], *self._hidden(), outputs]
        self.coefs_, self.intercepts_ = [], []
        for before, after in pairwise(units):  # Glorot & Bengio 2010
            bound = np.sqrt((2.0 if self.activation == "logistic" else 6.0) / (before + after))
            self.coefs_.append(random.uniform(-bound, bound, (before, after)).astype(X.dtype))
            self.intercepts_.append(random.uniform(-bound, bound, after).astype(X.dtype))
        self.net_ = self._made(outputs).build((X.shape[1],))  # these come in by `_import`
        self.n_layers_ = len(units)
        self.out_activation_ = {"softmax": "softmax", "log_loss": "logistic", "poisson": "exp"}.get(
            self._loss_name, "identity"
        )

    def _known(self) -> bool:
        return hasattr(self, "coefs_")

    def _names(self) -> list[str]:
        return [*(f"hidden_{k}" for k in range(len(self.coefs_) - 1)), "output"]

    def _import(self) -> None:
        """Let the network have the weights as the lists hold them; users may have set some."""
        if not hasattr(self, "net_"):  # all of them were set
            inputs, outputs = self.coefs_[0].shape[0], self.coefs_[-1].shape[1]
            self.net_ = self._made(outputs).build((inputs,))
        state = self.net_.state_dict()
        for name, weight, bias in zip(self._names(), self.coefs_, self.intercepts_, strict=True):
            state[f"{name}.weight"], state[f"{name}.bias"] = weight, bias
        self.net_.load_state_dict(state)

    def _export(self, dtype: Any) -> None:
        native = self.net_._native
        self.coefs_ = [native.get(f"{name}.weight").astype(dtype) for name in self._names()]
        self.intercepts_ = [native.get(f"{name}.bias").astype(dtype) for name in self._names()]

    # -- the optimizer --------------------------------------------------------------------------

    def _optimizer_made(self) -> Any:
        if isinstance(self.solver, Optimizer):
            return self.solver
        rate = self.learning_rate_init
        if self.solver == "lbfgs":
            return optimizers.LBFGS(tol=self.tol)
        if self.solver == "adam":
            return optimizers.Adam(rate, self.beta_1, self.beta_2, self.epsilon, like="keras")
        if self.solver != "sgd":
            return optimizers.get(self.solver)
        if self.momentum == 0:
            return optimizers.SGD(rate)
        like = "keras" if self.nesterovs_momentum else None
        return optimizers.SGD(rate, self.momentum, self.nesterovs_momentum, like=like)

    @property
    def _full_batch(self) -> bool:
        if self.solver in SOLVERS:
            return self.solver == "lbfgs"
        return bool(self._optimizer_made().full_batch)

    @property
    def _method(self) -> str:
        return str(self.solver)

    @property
    def _adaptive(self) -> bool:  # type: ignore[override]
        return self.solver == "sgd" and self.learning_rate == "adaptive"

    @property
    def _penalty(self) -> float:
        return 0.5 * self.alpha

    def _penalised(self) -> list[str]:
        return [f"{name}.weight" for name in self._names()] if self.alpha else []

    def _first_rate(self) -> Any:
        return self.learning_rate_init if self.solver in ("sgd", "adam") else None

    def _set_step(self, course: Course, samples: Samples, size: int, seen: int) -> None:
        """Divide the penalty by the weight of a batch; let an inverse rate go on from here."""
        trainer, count = course.trainer, len(samples.X)
        mean = samples.total / count
        even = self.alpha / (size * mean)
        share = Share(self.alpha, count, size, mean, trainer.steps)
        trainer.l2 = share if self.alpha and count % size else even
        if self.solver == "sgd" and self.learning_rate == "invscaling":
            batches = -(-count // size)
            trainer.lr = Inverse(
                self.learning_rate_init, self.power_t, self.t_, seen, batches, trainer.steps,
                course.begun,
            )  # fmt: skip

    def _epoch_ended(self, course: Course) -> None:
        if self.solver == "sgd" and self.learning_rate == "invscaling":
            course.learning_rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t

    def _alone(self) -> bool:
        return not (self.batch_norm or self.dropout)


PARAMETERS = """
    hidden_layer_sizes
        Units of the hidden layers, one number for one layer.
    activation
        Of the hidden layers: ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``, or any other
        name of steep's, such as ``"gelu"``.
    solver
        ``"adam"``, ``"sgd"`` or ``"lbfgs"``; or one of `steep.optimizers`, with schedules where it
        takes them, or its name: then its own rate holds.
    alpha
        Penalty alpha/2*sum w^2, divided by the samples of a batch, or by the sum of their weights.
    batch_size
        Samples of an update; ``"auto"``: min(200, N). lbfgs takes all.
    learning_rate
        For ``"sgd"``: ``"constant"``; ``"invscaling"``, learning_rate_init / (t + 1)^power_t with t
        the samples seen in earlier epochs; ``"adaptive"``, a fifth whenever nothing improves.
    learning_rate_init, power_t
        Of these rates; the first one is Adam's, too.
    max_iter
        Epochs at most; for lbfgs iterations.
    shuffle
        Whether each epoch has an order of its own.
    random_state
        An int, a RandomState or None: of the first weights (which are scikit-learn's), of what
        early stopping holds out (that, too), of the order of samples and dropout.
    tol, n_iter_no_change
        It stops when for more than so many epochs in a row the loss did not fall, or the score did
        not rise, by `tol`; for lbfgs where no element of the gradient is above `tol`.
    verbose
        Whether to print every epoch.
    warm_start
        Whether `fit` goes on from the weights of the last one.
    momentum, nesterovs_momentum
        For ``"sgd"``; the momentum is below 1.
    early_stopping, validation_fraction
        Whether to hold out that part and keep the weights that score best on it.
    beta_1, beta_2, epsilon
        Adam's.
    max_fun
        lbfgs: evaluations of the loss at most; it ends with the iteration that goes beyond them.
    dropout
        Rate after each hidden layer, in [0, 1).
    batch_norm
        Whether each hidden layer normalises its batches before its activation.
    precision
        What is computed in, ``"float32"`` or ``"float64"`` (slow). Attributes and predictions have
        the type of X in either.
    device
        ``"cpu"`` or ``"cuda"``, as `steep.Trainer` takes it.
"""

ATTRIBUTES = """
    coefs_, intercepts_ : list of arrays
        Weights (n, units) and biases (units,) of the layers. Set ones are used.
    loss_, best_loss_ : float
        Of the last epoch, with the penalty, and the lowest; None with early stopping.
    loss_curve_ : list
        The loss of each epoch.
    validation_scores_, best_validation_score_
        Of early stopping, else None.
    n_iter_, t_ : int
        Epochs of the last fit, and samples seen.
    n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_
        As in scikit-learn.
    net_ : steep.Sequential
        The network.
"""


class MLPClassifier(Classifies, Layered):  # noqa: D101 - the docstring is put together
    __doc__ = f"""A dense network that classifies, by scikit-learn's parameters.

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
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: Any = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001,
        power_t: Any = 0.5,
        max_iter: Any = 200,
        shuffle: Any = True,
        random_state: Any = None,
        tol: Any = 1e-4,
        verbose: Any = False,
        warm_start: Any = False,
        momentum: Any = 0.9,
        nesterovs_momentum: Any = True,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: Any = 15000,
        dropout: Any = 0.0,
        batch_norm: Any = False,
        class_weight: Any = None,
        precision: Any = "float32",
        device: Any = "cpu",
    ) -> None:
        keep(self, locals())


class MLPRegressor(Regresses, Layered):  # noqa: D101 - the docstring is put together
    __doc__ = f"""A dense network of one or several values, by scikit-learn's parameters.

    Parameters
    ----------
    loss
        ``"squared_error"``, half of it; or ``"poisson"``, half the deviance, for counts >= 0: then
        predictions are the exponential of what the network gives.{PARAMETERS}
    Attributes
    ----------{ATTRIBUTES}
    """

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: Any = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001,
        power_t: Any = 0.5,
        max_iter: Any = 200,
        shuffle: Any = True,
        random_state: Any = None,
        tol: Any = 1e-4,
        verbose: Any = False,
        warm_start: Any = False,
        momentum: Any = 0.9,
        nesterovs_momentum: Any = True,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: Any = 15000,
        dropout: Any = 0.0,
        batch_norm: Any = False,
        precision: Any = "float32",
        device: Any = "cpu",
    ) -> None:
        keep(self, locals())

    @property
    def _loss_name(self) -> str:  # type: ignore[override]
        return choose("loss", self.loss, {k: k for k in ("squared_error", "poisson")})
