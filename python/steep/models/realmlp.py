"""A dense network for rows of a table with settings that were tuned once for all, RealMLP."""

from collections.abc import Sequence
from typing import Any

from ..checks.names import matches
from ..checks.numbers import whole
from ..layers import Dense, Dropout, FeatureScale, ParametricActivation
from ..losses import CrossEntropy
from ..network.model import Network, Sequential
from ..optimizers import Adam
from ..schedules import Cosine, CosLog, Join, Schedule
from .embedded import Span, embedded

RATES = {True: 0.04, False: 0.2}  # of classes, of values
DECAY, DROPOUT = 0.02, 0.15


def realmlp(
    features: int,
    classes: int = 2,
    units: Sequence[int] = (256, 256, 256),
    *,
    numbers: Sequence[Span] | None = None,
    categories: Sequence[Span] = (),
    activation: str = "selu",
    dropout: Any = DROPOUT,
) -> Sequential:
    """Return the network of Holzmueller, Grinsztajn, Steinwart (2024), "Better by Default".

    Numbers pass through `PeriodicEmbedding`, categories through an embedding of eight numbers; all
    are weighed by `FeatureScale`; each hidden layer is a `Dense` in neural tangent
    parametrisation, a `ParametricActivation` and dropout. Numbers should be centred at the
    median, scaled by their quartiles and squashed:
    ``data.Table.learn(..., scale="robust", squash=True)``.
    `realmlp_settings` has the loss, the optimizer and its groups, `lab.unit_outputs` the first
    weights::

        net = models.realmlp(20, 3)
        lab.unit_outputs(net, X, names="dense*")
        trainer = steep.Trainer(net, **models.realmlp_settings(net, 256))
        trainer.fit(X, y, epochs=256, batch_size=256)

    Parameters
    ----------
    features
        Numbers of a row.
    classes
        Number of outputs.
    units
        Of the hidden layers.
    numbers
        Which features are numbers: (from, up to) of each run of them. None: all that are no
        categories. Others, such as one-hot columns of a few categories, pass as they are.
    categories
        (from, up to) of the one-hot columns of each category that is embedded.
    activation
        ``"selu"`` as the paper has it for classes, ``"mish"`` for values.
    dropout
        Rate after each hidden layer, in [0, 1): a number, or a schedule such as `flat_cosine`.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or spans of features overlap.
    """
    count, outputs = whole("realmlp", "features", features), whole("realmlp", "classes", classes)
    parts = [*embedded("realmlp", count, numbers, categories), FeatureScale()]
    for size in units:
        parts += [Dense(size, ntk=True), ParametricActivation(activation)]
        parts += [Dropout(dropout)] if dropout else []
    return Sequential(*parts, Dense(outputs, ntk=True))


def realmlp_settings(
    net: Network,
    epochs: float,
    classes: bool = True,
    *,
    lr: float | None = None,
    weight_decay: float = DECAY,
    label_smoothing: float = 0.1,
) -> dict[str, Any]:
    """Return the loss, the optimizer and the groups of parameters that RealMLP trains with.

    Rates follow `CosLog` of four waves, decay and dropout `flat_cosine`. The scales learn six times
    as fast, biases, embeddings and activations a tenth; biases do not decay.

    Parameters
    ----------
    net
        What `realmlp` returned, built.
    epochs
        How long training takes: schedules end with it.
    classes
        Whether classes are learned, or values.
    lr
        Highest rate; None: 0.04 for classes, 0.2 for values.
    weight_decay
        w = w - lr*weight_decay*w.
    label_smoothing
        Of the cross-entropy.

    Returns
    -------
    dict
        Arguments of `Trainer`: ``Trainer(net, **realmlp_settings(net, 256))``.

    Raises
    ------
    RuntimeError
        The network is not built yet.
    """
    names = net.state_dict()
    peak = RATES[bool(classes)] if lr is None else lr

    def decay(factor: float) -> dict[str, Any]:
        return {"lr_factor": factor, "weight_decay": flat_cosine(weight_decay * factor, epochs)}

    groups = {
        "embedding*": decay(0.1),
        "*.gain": decay(6.0),
        "*.alpha": decay(0.1),
        "*.bias": {"lr_factor": 0.1, "weight_decay": 0.0},
    }
    return {
        "loss": CrossEntropy(label_smoothing) if classes else "mse",
        "optimizer": Adam(
            CosLog(peak, epochs, unit="epoch"),
            beta2=0.95,
            weight_decay=flat_cosine(weight_decay, epochs),
        ),
        "groups": {p: g for p, g in groups.items() if any(matches(n, p) for n in names)},
    }


def flat_cosine(value: float, epochs: float) -> Schedule:
    """Return a schedule that stays for half of the epochs and falls to 0 along a cosine."""
    half = 0.5 * epochs
    return Join([value, Cosine(value, half, unit="epoch")], [half])
