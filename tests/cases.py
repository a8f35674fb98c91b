"""The tables the laws loop over: a row for each size, activation, loss, layer and network.

A new loss is a row here, a new layer one of `cases_layers.py`, a new op one of `cases_ops.py`, a
new rule one of `cases_rules.py`, a new activation one of `reference.py`; `test_cases.py` names what
is missing.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import reference
import steep
from cases_rules import RULES
from own_layers import Ladder
from steep import layers, losses

# Around every edge: one, the 16 elements of a row's padding, the 32 of a weight panel, register
# tiles of 6 to 14 rows, gradient blocks of 64 rows, chunks of 256 samples.
EDGES = (1, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129)
PRECISIONS = ("float32", "float64")
UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}  # rounding of one operation
TINY = {"float32": 2.0**-126, "float64": 2.0**-1022}  # smaller results may be flushed to 0


@dataclass(frozen=True)
class Activation:
    """f of the reference, its f', where it is tried, and how many roundings it may cost."""

    f: Any
    slope: Any
    alpha: float = 0.0
    low: float = -20.0
    high: float = 20.0
    roundings: float = 8.0  # of f, relative to f; of f', relative to max(1, |f'|)
    tail: bool = False  # f falls like e^(-x^2/2)
    bends: Any = None  # alpha -> where f' jumps; None: it is asked at 0

    @property
    def everywhere(self):
        """Whether f is defined for every x."""
        return self.low < 0

    @cached_property
    def tame(self):
        """Whether it may stand anywhere in a network: f is no larger than x, nearly."""
        x = np.linspace(self.low, self.high, 999)
        return self.everywhere and bool(np.all(np.abs(self.f(x, self.alpha)) <= np.abs(x) + 1))

    def kinks(self, alpha):
        """Return where f' jumps."""
        if self.bends is not None:
            return self.bends(alpha)
        around = np.array([-1e-9, 1e-9])
        return (0.0,) if self.everywhere and np.ptp(self.slope(around, alpha)) > 1e-6 else ()


# What differs from the defaults of a row.
TRIED = {
    "linear": {"roundings": 0.0},
    "relu": {"roundings": 0.0},
    "leaky_relu": {"alpha": 0.1, "roundings": 2.0},
    "elu": {"alpha": 0.7},
    "sigmoid": {"low": -80, "high": 80},
    "gelu": {"low": -12, "high": 12, "roundings": 24.0, "tail": True},
    "gelu_tanh": {"low": -8, "high": 8, "roundings": 400.0},  # 2u, up to 50, is rounded before e^
    "silu": {"low": -80, "high": 80},
    "mish": {"low": -80, "high": 80},
    "exp": {"low": -80, "high": 80},
    "log": {"low": 1e-3, "high": 1e3},
    "abs": {"roundings": 0.0},
    "sqrt": {"low": 0.01, "high": 1e3},
    "celu": {"alpha": 0.7},
    "relu6": {"roundings": 0.0, "bends": lambda a: (0, 6)},
    "hard_sigmoid": {"bends": lambda a: (-3, 3)},
    "hard_swish": {"bends": lambda a: (-3, 3)},
    "hard_tanh": {"roundings": 0.0, "bends": lambda a: (-1, 1)},
    "log_sigmoid": {"low": -80, "high": 80},
    "soft_shrink": {"alpha": 0.5, "roundings": 1.0, "bends": lambda a: (-a, a)},
    "hard_shrink": {"alpha": 0.5, "roundings": 0.0, "bends": lambda a: (-a, a)},
}
ACTIVATIONS = {
    name: Activation(f, slope, **TRIED.get(name, {}))
    for name, (f, slope) in reference.ACTIVATIONS.items()
}


def labels(random, rows, columns):
    return random.integers(0, columns, rows)


def probabilities(random, rows, columns):
    return random.dirichlet(np.ones(columns), rows)


def bits(random, rows, columns):
    return random.random((rows, columns))


def values(random, rows, columns):
    return random.standard_normal((rows, columns))


class Loss(NamedTuple):
    """A loss and its targets."""

    loss: Any
    draw: Any  # (random, rows, columns) -> targets: one of the functions above
    fewest: int = 1  # outputs
    by_column: bool = True  # the loss of a sample is the mean over its outputs


LOSSES = {
    "mse": Loss(losses.MeanSquaredError(), values),
    "mae": Loss(losses.MeanAbsoluteError(), values),
    "huber": Loss(losses.Huber(0.6), values),
    "log_cosh": Loss(losses.LogCosh(), values),
    "cross_entropy": Loss(losses.CrossEntropy(), labels, 2, by_column=False),
    "cross_entropy_smoothed": Loss(losses.CrossEntropy(0.15), labels, 2, by_column=False),
    "cross_entropy_probabilities": Loss(
        losses.CrossEntropy(0.1), probabilities, 2, by_column=False
    ),
    "binary_cross_entropy": Loss(losses.BinaryCrossEntropy(), bits),
}


@dataclass(frozen=True)
class Case:
    """A network and what it is trained on."""

    body: Any  # () -> layers
    inputs: int
    outputs: int
    loss: str = "cross_entropy"
    samples: int = 600
    batch: int = 128  # never a divisor of the samples: there is a tail batch
    rule: str = "adam"
    options: dict[str, Any] = field(default_factory=dict)

    def net(self):
        return steep.Sequential(*self.body())

    def data(self, samples=None, seed=0, dtype=np.float32):
        random = np.random.default_rng(seed)
        samples = samples or self.samples
        X = random.standard_normal((samples, self.inputs)).astype(dtype)
        y = LOSSES[self.loss][1](random, samples, self.outputs)
        return X, y if y.dtype.kind == "i" else y.astype(dtype)

    def trainer(self, **changes):
        options = {"seed": 3, **self.options, **changes}
        rule = options.pop("optimizer", RULES[self.rule].optimizer)
        return steep.Trainer(self.net(), LOSSES[self.loss][0], rule, **options)


def _two(width, activation, outputs):
    return lambda: [layers.Dense(width, activation), layers.Dense(outputs)]


def _tree():
    return [
        layers.Dense(96, "elu"),
        layers.Residual(layers.Dense(96, "silu"), Ladder(), activation="relu"),
        layers.Branches(
            layers.Dense(40, "sigmoid"),
            steep.Sequential(layers.Dense(57, layers.LeakyReLU(0.1)), layers.Dense(31, "gelu")),
        ),
        layers.Dropout(0.2, redraw="epoch", scale_at="test"),
        layers.Dense(5),
    ]


def _lenet():
    return [
        layers.Reshape((14, 14, 1)),
        layers.Conv2D(6, 5, padding=2, activation="relu"),
        layers.MaxPool2D(2),
        layers.Conv2D(16, 3, padding="valid", activation="tanh"),
        layers.AvgPool2D(2, padding="same"),
        layers.Flatten(),
        layers.Dense(40, "relu"),
        layers.Dense(10),
    ]


def _conv(filters, kernel=3, **options):
    return [layers.Conv2D(filters, kernel, use_bias=False, **options), layers.BatchNorm()]


def _residual():
    return [
        layers.Reshape((8, 8, 3)),
        *_conv(16),
        layers.ReLU(),
        layers.Residual(*_conv(16), layers.ReLU(), *_conv(16), activation="relu", recompute=True),
        layers.Residual(
            *_conv(40, stride=2),
            layers.ReLU(),
            *_conv(40, groups=40),
            shortcut=layers.Conv2D(40, 1, stride=2),
            activation="relu",
        ),
        layers.Branches(layers.Conv2D(7, 1), layers.MaxPool2D(3, 1, padding="same")),
        layers.Conv2D(12, 3, groups=1, dilation=2),
        layers.LocalResponseNorm(),
        layers.Dropout(0.2),
        layers.GlobalAvgPool2D(),
        layers.Dense(5),
    ]


def _recurring():
    return [
        layers.Dense(84, "tanh"),
        layers.Reshape((12, 7)),
        layers.LSTM(40, return_sequences=True, recurrent_dropout=0.2),
        layers.Bidirectional(layers.GRU(21, return_sequences=True, dropout=0.1)),
        layers.GRU(33, reset_after=False),
        layers.Dense(5),
    ]


# Large enough that several threads get work; every option that has a path of its own in the engine.
NETWORKS = {
    "plain": Case(_two(128, "relu", 10), 784, 10),
    "clipped": Case(_two(128, "relu", 10), 784, 10, options={"clip_norm": 0.1}),
    "penalised": Case(
        _two(130, "tanh", 7),
        257,
        7,
        loss="huber",
        rule="momentum",
        options={"l1": 1e-4, "l2": 1e-3, "clip_value": 1e-3, "decay_bias": True},
    ),
    "dropout": Case(
        lambda: [
            layers.Dense(200, "gelu"),
            layers.Dropout(0.5),
            layers.Dense(33, "relu"),
            layers.Dropout(0.1),
            layers.Dense(3),
        ],
        300,
        3,
        rule="nadam",
    ),
    "look_ahead": Case(_two(160, "silu", 4), 300, 4, rule="nesterov", loss="mse"),
    "scaled_look_ahead": Case(
        _two(160, "tanh", 4), 300, 4, rule="rmsprop_nesterov", loss="mse", options={"l2": 1e-3}
    ),
    "summed": Case(
        _two(160, "relu", 4),
        300,
        4,
        rule="adamw",
        loss="binary_cross_entropy",
        options={"reduction": "sum"},
    ),
    "recurrent": Case(_recurring, 84, 5, samples=150, batch=40),
    "lenet": Case(_lenet, 196, 10, samples=200, batch=48, rule="momentum"),
    "residual": Case(_residual, 192, 5, samples=150, batch=40, rule="nesterov"),
    "tree": Case(_tree, 200, 5, rule="rmsprop", batch=250),
}
