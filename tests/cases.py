"""The tables the laws loop over: a row for each size, activation, loss, layer and network.

A new loss or layer is a row here, a new rule one of `cases_rules.py`, a new activation one of
`reference.py`; `test_cases.py` names what is missing.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import reference
import reference_recurrent
import steep
from cases_rules import RULES
from steep import data, layers, losses, ops

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


class Ladder(layers.Layer):
    """A layer of the user's own, with every op that no built-in layer uses."""

    def call(self, x):
        n = x.shape[-1]
        gain = self.parameter("gain", (n,), init=np.linspace(0.5, 1.5, n), decay=True)
        shift = self.parameter("shift", (n,), init=0.1)
        y = ops.activation(x, "tanh")
        y = y * gain + shift
        return (1.0 - y) * x - 0.5 * y + ops.softmax(y)


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


@dataclass(frozen=True)
class Op:
    """An op of the native graph, and what it is in NumPy, on a batch of samples."""

    build: Any  # (graph, tensors..., parameters...) -> tensor
    value: Any  # (arrays of shape (N, ...)..., parameters...) -> (N, ...)
    shapes: tuple[tuple[int, ...], ...]  # of the tensors
    parameters: tuple[tuple[int, ...], ...] = ()
    fixed: int = 0  # the last so many parameters are not trained
    roundings: float = 32.0  # of a result, relative to the largest
    passes: float = 1.0  # what part of its gradient comes back


_IMAGE = (5, 6, 3)
_SLIDING = {"size": (3, 2), "stride": (2, 1), "padding": (1, 0, 0, 1)}
_FILTERS = {"stride": (2, 1), "padding": (1, 0, 0, 1), "dilation": (1, 2)}

# Every op that a network may ask for; `test_ops.py` holds each against its value and its gradient
# against differences.
_GRAPH = data.Sparse(np.arange(72).reshape(8, 9) % 7 * (np.arange(72).reshape(8, 9) % 3 == 0) / 4)
_RING = data.Graph([(i, (i + 1) % 8) for i in range(8)], 9)
_FEATURES = data.Sparse(np.sin(np.arange(70 * 65).reshape(70, 65) ** 2) * np.tri(70, 65, -4))


def _recurrent(cell, units, **options):
    """Return a row of a recurrent layer over five steps of three features, with first states."""
    gates, memory = {"lstm": (4, 2), "tanh": (1, 1), "relu": (1, 1)}.get(cell, (3, 1))
    names = ("weight", "recurrent", "bias", "recurrent_bias")[: 3 + (cell == "gru")]
    columns = gates * units

    def value(x, start, *parameters):
        states = (start[:, :units], start[:, -units:])
        y, *last = reference_recurrent.run(
            cell, x, dict(zip(names, parameters, strict=True)), start=states,
            reverse=options.get("reverse", False),
        )  # fmt: skip
        first = y if options.get("sequences") else last[0][:, None]
        more = [h[:, None] for h in last[:memory] if options.get("returned")]
        return np.concatenate([first, *more], axis=1)

    return Op(
        lambda g, x, start, *p: g.recurrent(x, start, *p, cell=cell, states=True, **options),
        value,
        ((5, 3), (memory * units,)),
        ((3, columns), (units, columns), *[(columns,)] * (len(names) - 2)),
        roundings=2000.0,
    )


OPS = {
    "matmul": Op(
        lambda g, x, w, b: g.matmul(x, w, b), lambda x, w, b: x @ w + b, ((7,),), ((7, 5), (5,))
    ),
    "matmul of positions": Op(
        lambda g, x, w, b: g.matmul(x, w, b), lambda x, w, b: x @ w + b, ((6, 7),), ((7, 33), (33,))
    ),
    "matmul of many positions": Op(
        lambda g, x, w, b: g.activation(g.matmul(x, w, b), "gelu"),
        lambda x, w, b: reference.ACTIVATIONS["gelu"][0](x @ w + b, 0),
        ((9, 33, 5),),
        ((5, 6), (6,)),
    ),
    "matmul of positions, few outputs": Op(
        lambda g, x, w, b: g.activation(g.matmul(x, w, b), "tanh"),
        lambda x, w, b: np.tanh(x @ w + b),
        ((3, 4, 35),),
        ((35, 3), (3,)),
        roundings=64.0,
    ),
    "activation": Op(lambda g, x: g.activation(x, "tanh"), np.tanh, ((7,),)),
    "add": Op(lambda g, a, b: g.add(a, b), np.add, ((7,), (7,))),
    "subtract": Op(lambda g, a, b: g.subtract(a, b), np.subtract, ((7,), (7,))),
    "multiply": Op(lambda g, a, b: g.multiply(a, b), np.multiply, ((7,), (7,))),
    "affine": Op(lambda g, x: g.affine(x, -0.5, 2.0), lambda x: 2 - 0.5 * x, ((7,),)),
    "affine_channels": Op(
        lambda g, x: g.affine_channels(x, [0.5, 2, -1], [1, 0, 3]),
        lambda x: x * [0.5, 2, -1] + [1, 0, 3],
        (_IMAGE,),
    ),
    "add_row": Op(lambda g, x, p: g.add_row(x, p), np.add, ((7,),), ((7,),)),
    "multiply_row": Op(lambda g, x, p: g.multiply_row(x, p), np.multiply, ((7,),), ((7,),)),
    "add_row of positions": Op(lambda g, x, p: g.add_row(x, p), np.add, ((5, 7),), ((7,),)),
    "multiply_row of positions": Op(
        lambda g, x, p: g.multiply_row(x, p), np.multiply, ((4, 5, 3),), ((3,),)
    ),
    "reshape": Op(
        lambda g, x: g.reshape(x, (2, 3)), lambda x: x.reshape(-1, 2, 3), ((6,),), roundings=0.0
    ),
    "sparse_product": Op(
        lambda g, x: g.sparse_product(x, _GRAPH), lambda x: _GRAPH.dense() @ x, ((9, 5),)
    ),
    "sparse_product of many channels": Op(
        lambda g, x: g.sparse_product(g.activation(x, "tanh"), _GRAPH),
        lambda x: np.einsum("ij,nj...->ni...", _GRAPH.dense(), np.tanh(x)),
        ((9, 2, 35),),
    ),
    "sparse_matmul": Op(
        lambda g, x, w: g.sparse_matmul(x, w, _FEATURES),
        lambda x, w: x * (_FEATURES.dense() @ w),
        ((70, 1),),
        ((65, 33),),
    ),
    "sparse_matmul of few outputs": Op(
        lambda g, x, w: g.sparse_matmul(x, w, _FEATURES),
        lambda x, w: x * (_FEATURES.dense() @ w),
        ((70, 1),),
        ((65, 3),),
    ),
    "embedding": Op(
        lambda g, x, w: g.add(g.embedding(g.affine(x, 0.0, 2.0), w), g.repeat(x, 1, 35)),
        lambda x, w: w[2] + np.repeat(x[:, :, None], 35, 2),
        ((3,),),
        ((7, 35),),
    ),
    "embedding of few units": Op(
        lambda g, x, w: g.add(g.embedding(g.affine(x, 0.0, 40.0), w), g.repeat(x, 1, 3)),
        lambda x, w: w[40] + np.repeat(x[:, :, None], 3, 2),
        ((3,),),
        ((70, 3),),
    ),
    "add_table": Op(lambda g, x, w: g.add_table(x, w), lambda x, w: x + w, ((5, 35),), ((5, 35),)),
    "add_table of few units": Op(
        lambda g, x, w: g.add_table(x, w), lambda x, w: x + w, ((70, 2),), ((70, 2),)
    ),
    "feature_norm": Op(
        lambda g, x, w, b: g.feature_norm(x, w, b, 0, 1e-3, True),
        lambda x, w, b: reference.feature_norm(x, 1e-3, (-1,)) * w + b,
        ((5, 37),),
        ((37,), (37,)),
        roundings=64.0,
    ),
    "feature_norm without a mean": Op(
        lambda g, x, w: g.feature_norm(x, w, -1, 0, 1e-3, False),
        lambda x, w: reference.feature_norm(x, 1e-3, (-1,), centred=False) * w,
        ((18,),),
        ((18,),),
        roundings=64.0,
    ),
    "feature_norm of groups": Op(
        lambda g, x, w, b: g.feature_norm(x, w, b, 3, 1e-3, True),
        lambda x, w, b: reference.group_norm(x, 3, 1e-3) * w + b,
        ((4, 5, 33),),
        ((33,), (33,)),
        roundings=64.0,
    ),
    "feature_norm of channels": Op(
        lambda g, x: g.feature_norm(x, -1, -1, 18, 1e-3, True),
        lambda x: reference.group_norm(x, 18, 1e-3),
        ((9, 18),),
        roundings=64.0,
    ),
    "attention": Op(
        lambda g, q, k, v: g.attention(q, k, v, 2, False, 0.0, 3),
        lambda q, k, v: reference.attention(q, k, v, 2),
        ((5, 6), (37, 6), (37, 6)),
        roundings=64.0,
    ),
    "attention causal and packed": Op(
        lambda g, x: g.attention(x, x, x, 3, True, 0.0, 1),
        lambda x: reference.attention(*np.split(x, 3, -1), 3, causal=True),
        ((35, 27),),
        roundings=64.0,
    ),
    "attention to a context": Op(
        lambda g, q, x: g.attention(q, x, x, 1, False, 0.0, 2),
        lambda q, x: reference.attention(q, *np.split(x, 2, -1), 1),
        ((3, 40), (7, 80)),
        roundings=64.0,
    ),
    "masked_attention": Op(
        lambda g, q, k, v, n: g.masked_attention(q, k, v, g.affine(n, 0.0, 2.0), 2, False, 0.0, 3),
        lambda q, k, v, n: reference.attention(q, k[:, :2], v[:, :2], 2),
        ((5, 6), (4, 6), (4, 6), (1,)),
        roundings=64.0,
    ),
    "batch_matmul": Op(
        lambda g, a, b: g.batch_matmul(a, b, False, False),
        lambda a, b: a @ b,
        ((2, 5, 7), (2, 7, 37)),
        roundings=64.0,
    ),
    "batch_matmul transposed": Op(
        lambda g, a, b: g.add(
            g.batch_matmul(a, b, True, True), g.batch_matmul(a, g.reshape(b, (7, 35)), True, False)
        ),
        lambda a, b: a.swapaxes(1, 2) @ b.swapaxes(1, 2) + a.swapaxes(1, 2) @ b.reshape(-1, 7, 35),
        ((7, 5), (35, 7)),
        roundings=64.0,
    ),
    "softmax": Op(lambda g, x: g.softmax(x), reference.softmax, ((7,),)),
    "softmax of positions": Op(lambda g, x: g.softmax(x), reference.softmax, ((5, 4, 3),)),
    "softmax of many positions": Op(lambda g, x: g.softmax(x), reference.softmax, ((3, 37),)),
    # Its gradient is that of one drawn mask; what it draws has tests of its own.
    "dropout": Op(lambda g, x: g.dropout(x, 0.4, False, False), lambda x: x, ((7,),)),
    "alpha_dropout": Op(lambda g, x: g.alpha_dropout(x, 0.4), lambda x: x, ((7,),)),  # likewise
    "rrelu": Op(
        lambda g, x: g.rrelu(x, 0.1, 0.4), lambda x: np.where(x > 0, x, 0.25 * x), ((17,),)
    ),
    "prelu": Op(
        lambda g, x, p: g.prelu(x, p),
        lambda x, p: np.where(x > 0, x, p * x),
        (_IMAGE,),
        ((3,),),
    ),
    "glu": Op(
        lambda g, x: g.glu(x, "tanh"),
        lambda x: x[..., :11] * np.tanh(x[..., 11:]),
        ((3, 2, 22),),
    ),
    "maxout": Op(
        lambda g, x: g.maxout(x, 3),
        lambda x: x.reshape(*x.shape[:-1], -1, 3).max(axis=-1),
        ((4, 15),),
        roundings=0.0,
    ),
    "divide": Op(lambda g, a, b: g.divide(a, b), np.divide, ((7,), (7,)), roundings=64.0),
    "power": Op(
        lambda g, x: g.power(g.affine(g.activation(x, "abs"), 1.0, 0.5), -1.7),
        lambda x: (np.abs(x) + 0.5) ** -1.7,
        ((17,),),
    ),
    "clip": Op(lambda g, x: g.clip(x, -0.3, 0.8), lambda x: np.clip(x, -0.3, 0.8), ((17,),)),
    "maximum": Op(lambda g, a, b: g.maximum(a, b), np.maximum, ((17,), (17,)), roundings=0.0),
    "minimum": Op(lambda g, a, b: g.minimum(a, b), np.minimum, ((17,), (17,)), roundings=0.0),
    "sum": Op(
        lambda g, x: g.sum(x, 1, 2, -0.5), lambda x: -0.5 * x.sum(axis=(2, 3)), ((3, 5, 7, 2),)
    ),
    "repeat": Op(
        lambda g, x: g.repeat(x, 1, 5),
        lambda x: np.repeat(x[:, :, None], 5, axis=2),
        ((3, 7),),
        roundings=0.0,
    ),
    "slice": Op(
        lambda g, x: g.slice(x, 1, 2, 5), lambda x: x[:, :, 2:5], ((3, 6, 5),), roundings=0.0
    ),
    "stop_gradient": Op(
        lambda g, x: g.stop_gradient(x), lambda x: x, ((7,),), roundings=0.0, passes=0.0
    ),
    "gradient_reversal": Op(
        lambda g, x: g.gradient_reversal(x, 0.7), lambda x: x, ((7,),), roundings=0.0, passes=-0.7
    ),
    "kept_rows": Op(
        lambda g, x, states: g.kept_rows(x, states, 5),
        lambda x, states: 0 * x[:, :5] + states,
        ((7,),),
        ((5,),),
        fixed=1,
        roundings=0.0,
        passes=0.0,
    ),
    "keep_rows": Op(
        lambda g, x, states: g.keep_rows(x, states),
        lambda x, states: x,
        ((7,),),
        ((21,),),
        fixed=1,
        roundings=0.0,
        passes=0.0,
    ),
    "recurrent lstm": _recurrent("lstm", 7, sequences=True, returned=True),
    "recurrent lstm, last": _recurrent("lstm", 33, reverse=True),
    "recurrent lstm of one unit": _recurrent("lstm", 1, sequences=True),
    "recurrent gru": _recurrent("gru", 16, sequences=True),
    "recurrent gru before": _recurrent("gru_before", 5, sequences=True, returned=True),
    "recurrent tanh": _recurrent("tanh", 35, reverse=True, sequences=True),
    "recurrent relu": _recurrent("relu", 3),
    "step_dropout": Op(lambda g, x: g.step_dropout(x, 0.4), lambda x: x, ((4, 7),)),
    # Of what draws: the mean, and the gradient of one draw. What is drawn has tests of its own.
    "normal_like": Op(lambda g, x: g.normal_like(x, False), lambda x: 0 * x, ((7,),), passes=0.0),
    "uniform_like": Op(
        lambda g, x: g.uniform_like(x, -1.0, 0.5, False),
        lambda x: np.full_like(x, -0.25),
        ((7,),),
        passes=0.0,
    ),
    "bernoulli": Op(lambda g, x: g.bernoulli(x, False), lambda x: x, ((7,),), passes=0.0),
    "gaussian_noise": Op(lambda g, x: g.gaussian_noise(x, 0.4), lambda x: x, ((17,),)),
    "reparameterize": Op(
        lambda g, m, v: g.reparameterize(m, v, False), lambda m, v: m, ((17,), (17,))
    ),
    "conv2d": Op(
        lambda g, x, w, b: g.conv2d(x, w, b, **_FILTERS),
        lambda x, w, b: reference.conv2d(x, w, b, **_FILTERS),
        (_IMAGE,),
        ((3, 2, 3, 4), (4,)),
        roundings=64.0,
    ),
    "conv2d_transpose": Op(
        lambda g, x, w, b: g.conv2d_transpose(x, w, b, output_padding=(1, 1), **_FILTERS),
        lambda x, w, b: reference.conv2d_transpose(x, w, b, output_padding=(1, 1), **_FILTERS),
        (_IMAGE,),
        ((3, 2, 4, 3), (4,)),
        roundings=64.0,
    ),
    "max_pool": Op(
        lambda g, x: g.max_pool(x, **_SLIDING),
        lambda x: reference.max_pool(x, *_SLIDING.values()),
        (_IMAGE,),
    ),
    "avg_pool": Op(
        lambda g, x: g.avg_pool(x, **_SLIDING, count_padding=True),
        lambda x: reference.avg_pool(x, (3, 2), (2, 1), padding=(1, 0, 0, 1), count_padding=True),
        (_IMAGE,),
    ),
    "upsample": Op(
        lambda g, x: g.upsample(x, (2, 3)),
        lambda x: x.repeat(2, axis=1).repeat(3, axis=2),
        (_IMAGE,),
    ),
    "lrn": Op(
        lambda g, x: g.lrn(x, 3, 0.3, 0.75, 2.0),
        lambda x: reference.lrn(x, size=3, alpha=0.3, beta=0.75, bias=2.0),
        (_IMAGE,),
    ),
    "zero_pad": Op(
        lambda g, x: g.zero_pad(x, (1, 0), (2, 1), (0, 2)),
        lambda x: np.pad(x, ((0, 0), (1, 0), (2, 1), (0, 2))),
        (_IMAGE,),
    ),
    # With u as it is after many steps: only then are u and v numbers that do not move.
    "spectral_norm": Op(
        lambda g, x, w, u, b: g.spectral_norm(g.matmul(x, w), w, u, b, 400),
        lambda x, w, u, b: x @ w / np.linalg.norm(w, 2) + b,
        ((7,),),
        ((7, 5), (5,), (5,)),
        fixed=0,
        roundings=64.0,
    ),
    "batch_norm": Op(
        lambda g, x, *p: g.batch_norm(x, *p, 0.9, 1e-3),
        lambda x, w, b, mean, variance: (x - mean) / np.sqrt(variance + 1e-3) * w + b,
        (_IMAGE,),
        ((3,),) * 4,
        fixed=2,
    ),
}


def _twice(layer):
    return [layer, layers.Tanh(), layer]


def _tied(encoder, **options):
    return [encoder, layers.TiedDense(encoder, 6, **options)]


def _image(shape, *body):
    """Return layers that see samples of another shape, between dense ones."""
    return [layers.Dense(math.prod(shape)), layers.Reshape(shape), *body, layers.Flatten()]


def _sequence(*body):
    """Return layers that see a small sequence, between dense ones."""
    return [layers.Dense(28), layers.Reshape((7, 4)), *body, layers.Flatten()]


# Every layer inside the smallest network that gives it weights to learn, input width 6.
LAYERS = {
    "Dense": lambda: [layers.Dense(5, "tanh")],
    "Dense without bias": lambda: [layers.Dense(5, use_bias=False)],
    "Dense softmax": lambda: [layers.Dense(5, "softmax")],
    "GraphConv": lambda: _image(
        (9, 5), layers.GraphConv(7, _RING, "tanh"), layers.GraphConv(3, _RING)
    ),
    "GraphConv of constant features": lambda: _image(
        (9, 1), layers.GraphConv(20, _RING, "gelu", features=data.Sparse(np.tri(9, 4)))
    ),
    "Dense of positions": lambda: _image((5, 7), layers.Dense(9, "gelu"), layers.Dense(3)),
    "Dense of many positions": lambda: _image((70, 2), layers.Dense(17, "tanh"), layers.Dense(1)),
    "Dense of pixels": lambda: _image((3, 4, 5), layers.Conv2D(6, 3), layers.Dense(7, "softmax")),
    "Softmax of positions": lambda: _image((4, 19), layers.Softmax(), layers.Dense(2)),
    "BatchNorm of positions": lambda: _image((4, 3), layers.BatchNorm(), layers.Dense(5, "relu")),
    "of the user, on positions": lambda: _image((5, 3), Ladder()),
    "Dropout": lambda: [layers.Dense(8), layers.Dropout(0.4)],
    "Dropout by epoch": lambda: [layers.Dense(8), layers.Dropout(0.4, redraw="epoch")],
    "Dropout classic": lambda: [layers.Dense(8), layers.Dropout(0.4, scale_at="test")],
    "AlphaDropout": lambda: [layers.Dense(8), layers.AlphaDropout(0.4)],
    "PReLU": lambda: [layers.Dense(5, layers.PReLU())],
    "PReLU shared": lambda: [layers.Dense(5), layers.PReLU(0.1, shared=True)],
    "PReLU of images": lambda: _image((5, 6, 3), layers.PReLU(), layers.Conv2D(2, 3)),
    "PReLU of images, shared": lambda: _image((4, 5, 3), layers.PReLU(shared=True)),
    "RReLU": lambda: [layers.Dense(5), layers.RReLU()],
    "GLU": lambda: [layers.Dense(10), layers.GLU()],
    "GLU of images": lambda: _image((5, 4, 6), layers.GLU("tanh"), layers.Conv2D(2, 3)),
    "SwiGLU": lambda: [layers.Dense(10, layers.SwiGLU())],
    "GEGLU": lambda: [layers.Dense(10, "geglu")],
    "ReGLU": lambda: [layers.Dense(10), layers.ReGLU()],
    "Maxout": lambda: [layers.Dense(15), layers.Maxout(3)],
    "Maxout of images": lambda: _image((3, 4, 6), layers.Maxout(2), layers.Conv2D(2, 3)),
    "Reshape": lambda: [layers.Dense(12), layers.Reshape((3, 4)), layers.Flatten()],
    "Flatten": lambda: [layers.Dense(12), layers.Reshape((2, -1)), layers.Tanh(), layers.Flatten()],
    "Rescale": lambda: [layers.Rescale(0.5, 0.1), layers.Dense(5), layers.Rescale(3.0, -1.0)],
    "Activation": lambda: [layers.Dense(5), layers.Activation("softplus")],
    "ReLU": lambda: [layers.Dense(5), layers.ReLU()],
    "LeakyReLU": lambda: [layers.Dense(5), layers.LeakyReLU(0.2)],
    "ELU": lambda: [layers.Dense(5), layers.ELU(0.8)],
    "Tanh": lambda: [layers.Dense(5), layers.Tanh()],
    "Sigmoid": lambda: [layers.Dense(5), layers.Sigmoid()],
    "GELU": lambda: [layers.Dense(5), layers.GELU()],
    "SiLU": lambda: [layers.Dense(5), layers.SiLU()],
    "CELU": lambda: [layers.Dense(5), layers.CELU(0.8)],
    "SELU": lambda: [layers.Dense(5), layers.SELU()],
    "Mish": lambda: [layers.Dense(5), layers.Mish()],
    "ReLU6": lambda: [layers.Dense(5), layers.ReLU6()],
    "HardSigmoid": lambda: [layers.Dense(5), layers.HardSigmoid()],
    "HardSwish": lambda: [layers.Dense(5), layers.HardSwish()],
    "HardTanh": lambda: [layers.Dense(5), layers.HardTanh()],
    "LogSigmoid": lambda: [layers.Dense(5), layers.LogSigmoid()],
    "Softsign": lambda: [layers.Dense(5), layers.Softsign()],
    "SoftShrink": lambda: [layers.Dense(5), layers.SoftShrink(0.3)],
    "HardShrink": lambda: [layers.Dense(5), layers.HardShrink(0.3)],
    "Softmax": lambda: [layers.Dense(5), layers.Softmax()],
    "Residual": lambda: [layers.Residual(layers.Dense(6, "tanh"), layers.Dense(6))],
    "Residual recomputed": lambda: [
        layers.Residual(layers.Dense(9, "gelu"), layers.Dense(6, "tanh"), recompute=True)
    ],
    "Residual with shortcut": lambda: [
        layers.Residual(layers.Dense(9, "tanh"), shortcut=layers.Dense(9), activation="silu")
    ],
    "Branches": lambda: [layers.Branches(layers.Dense(3, "tanh"), layers.Dense(17), Ladder())],
    "Branches added": lambda: [
        layers.Branches(layers.Dense(5, "tanh"), layers.Dense(5), join="add")
    ],
    "Dense in tangent parametrisation": lambda: [layers.Dense(5, "tanh", ntk=True)],
    "Dropout by schedule": lambda: [
        layers.Dense(8),
        layers.Dropout(steep.schedules.Linear(0.5, 0.1, 8)),
    ],
    "ParametricActivation": lambda: [layers.Dense(5, layers.ParametricActivation("mish", 0.7))],
    "FeatureScale": lambda: [layers.FeatureScale(), layers.Dense(5)],
    "PeriodicEmbedding": lambda: [layers.PeriodicEmbedding(2, 3, 0.3), layers.Dense(5)],
    "PeriodicEmbedding of ReLU": lambda: [
        layers.PeriodicEmbedding(activation="relu", passes=False),
        layers.Dense(5),
    ],
    "PiecewiseEmbedding": lambda: [layers.PiecewiseEmbedding(2, 5), layers.Dense(5)],
    "PiecewiseEmbedding of edges": lambda: [
        layers.Dense(2, "tanh"),
        layers.PiecewiseEmbedding(3, 2, [[-1, 0, 0.5], [-0.5, 0.25, 0.25]], passes=False),
        layers.Dense(5),
    ],
    "Normalize": lambda: _image((2, 3, 4), layers.Normalize([1, 2, 3, 4], [0.5, 1, 2, 3])),
    "Conv2D": lambda: _image((5, 6, 2), layers.Conv2D(3, 3, activation="tanh")),
    "Conv2D strided": lambda: _image((5, 6, 2), layers.Conv2D(17, (3, 2), 2, padding="valid")),
    "Conv2D grouped": lambda: _image((4, 5, 4), layers.Conv2D(6, 3, groups=2, dilation=2)),
    "Conv2D depthwise": lambda: _image((4, 5, 4), layers.Conv2D(4, 3, groups=4, use_bias=False)),
    "Conv2DTranspose": lambda: _image((3, 4, 5), layers.Conv2DTranspose(3, 4, 2)),
    "Conv2DTranspose activated": lambda: _image(
        (3, 4, 2), layers.Conv2DTranspose(17, 3, 2, padding=1, activation="tanh", use_bias=False)
    ),
    "Conv2DTranspose grouped": lambda: _image(
        (2, 3, 4), layers.Conv2DTranspose(6, (2, 3), (3, 2), padding="valid", groups=2, dilation=2)
    ),
    "Conv2DTranspose depthwise": lambda: _image(
        (3, 2, 4), layers.Conv2DTranspose(4, 3, 2, groups=4, activation="gelu")
    ),
    "Conv2D by pixel": lambda: _image((4, 4, 3), layers.Conv2D(2, 1)),
    "Conv1D": lambda: _sequence(layers.Conv1D(3, 3, activation="tanh")),
    "Conv1D strided": lambda: _sequence(layers.Conv1D(17, 4, 2, padding="valid")),
    "Conv1D causal": lambda: _sequence(layers.Conv1D(6, 3, padding="causal", groups=2, dilation=2)),
    "Conv1D depthwise": lambda: _sequence(layers.Conv1D(4, 3, groups=4, use_bias=False)),
    "Conv1D by step": lambda: _sequence(layers.Conv1D(2, 1)),
    "SimpleRNN": lambda: _sequence(layers.SimpleRNN(5, return_sequences=True)),
    "SimpleRNN of one unit": lambda: _sequence(layers.SimpleRNN(1, use_bias=False))[:-1],
    "LSTM": lambda: _sequence(layers.LSTM(5))[:-1],
    "LSTM stacked": lambda: _sequence(
        layers.LSTM(17, return_sequences=True), layers.LSTM(3, reverse=True, return_sequences=True)
    ),
    "LSTM of one unit": lambda: _sequence(layers.LSTM(1, return_sequences=True)),
    "GRU": lambda: _sequence(layers.GRU(17, return_sequences=True, recurrent_dropout=0.3)),
    "GRU that resets before": lambda: _sequence(
        layers.GRU(6, reset_after=False, dropout=0.4, recurrent_dropout=0.3)
    )[:-1],
    "Bidirectional": lambda: _sequence(
        layers.Bidirectional(layers.GRU(3, return_sequences=True), merge="multiply"),
        layers.Bidirectional(layers.LSTM(4)),
    )[:-1],
    "TimeDistributed": lambda: _sequence(
        layers.Reshape((7, 2, 2)),
        layers.TimeDistributed(layers.Conv2D(2, 2)),
        layers.Reshape((7, -1)),
    ),
    "MaxPool1D": lambda: _sequence(layers.MaxPool1D(3, 2)),
    "AvgPool1D": lambda: _sequence(layers.AvgPool1D(2, padding="same")),
    "GlobalMaxPool1D": lambda: _sequence(layers.GlobalMaxPool1D())[:-1],
    "GlobalAvgPool1D": lambda: _sequence(layers.GlobalAvgPool1D())[:-1],
    "GlobalMaxPool2D": lambda: [*_image((3, 4, 5), layers.GlobalMaxPool2D())[:-1]],
    "MaxPool2D": lambda: _image((5, 5, 2), layers.MaxPool2D(3, 2)),
    "AvgPool2D": lambda: _image((5, 5, 2), layers.AvgPool2D(2, padding="same")),
    "GlobalAvgPool2D": lambda: [*_image((3, 4, 5), layers.GlobalAvgPool2D())[:-1]],
    "BatchNorm": lambda: [layers.Dense(7, use_bias=False), layers.BatchNorm()],
    "BatchNorm of virtual batches": lambda: [
        layers.Dense(7, use_bias=False),
        layers.BatchNorm(virtual_batch=3),
    ],
    "BatchNorm of virtual images": lambda: _image(
        (3, 2, 3), layers.BatchNorm(virtual_batch=3), layers.ReLU()
    ),
    "BatchNorm of images": lambda: _image((3, 2, 3), layers.BatchNorm(), layers.ReLU()),
    "SpectralNorm": lambda: [layers.SpectralNorm(layers.Dense(7, "tanh"), 900)],
    "SpectralNorm of few units": lambda: [
        layers.Dense(9),
        layers.SpectralNorm(layers.Dense(3, "gelu", use_bias=False), 900),
    ],
    "SpectralNorm of images": lambda: _image(
        (4, 5, 2), layers.SpectralNorm(layers.Conv2D(17, 3, 2, activation="tanh"), 900)
    ),
    "LocalResponseNorm": lambda: _image((2, 2, 6), layers.LocalResponseNorm(alpha=0.3)),
    "UpSample2D": lambda: _image((2, 3, 2), layers.UpSample2D((2, 3)), layers.Conv2D(2, 3)),
    "ZeroPad2D": lambda: _image((2, 3, 2), layers.ZeroPad2D(1), layers.Conv2D(2, 3)),
    "Residual of images": lambda: _image(
        (4, 4, 2),
        layers.Residual(
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNorm(),
            layers.Tanh(),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNorm(),
            shortcut=layers.Conv2D(4, 1),
            activation="relu",
            recompute=True,
        ),
    ),
    "Branches of images": lambda: _image(
        (4, 4, 2), layers.Branches(layers.Conv2D(3, 1), layers.Conv2D(2, 3), layers.BatchNorm())
    ),
    "TiedDense": lambda: _tied(layers.Dense(9, "tanh")),
    "TiedDense of few units": lambda: _tied(layers.Dense(3, use_bias=False), activation="gelu"),
    "GaussianNoise": lambda: [layers.Dense(8), layers.GaussianNoise(0.3), layers.Tanh()],
    "Reparameterize": lambda: [layers.Dense(14, "tanh"), layers.Reparameterize()],
    # Turned round twice, so that what comes first has its own gradient again.
    "GradientReversal": lambda: [
        layers.Dense(5),
        layers.GradientReversal(2.0),
        layers.Tanh(),
        layers.GradientReversal(0.5),
    ],
    "RepeatVector": lambda: [layers.Dense(5), layers.RepeatVector(3), layers.Flatten()],
    "shared": lambda: _twice(layers.Dense(6)),
    "of the user": lambda: [layers.Dense(7), Ladder(), Ladder()],
    "LayerNorm": lambda: [layers.Dense(17), layers.LayerNorm()],
    "LayerNorm of positions": lambda: _image((5, 7), layers.LayerNorm(1e-3, use_bias=False)),
    "RMSNorm": lambda: _image((3, 18), layers.RMSNorm(), layers.Dense(2)),
    "GroupNorm": lambda: _image((3, 4, 6), layers.GroupNorm(2), layers.Conv2D(2, 3)),
    "GroupNorm of a vector": lambda: [layers.Dense(34), layers.GroupNorm(2)],
    "InstanceNorm": lambda: _image((3, 4, 5), layers.InstanceNorm()),
    "MultiHeadAttention": lambda: _image((5, 6), layers.MultiHeadAttention(3)),
    "MultiHeadAttention causal": lambda: _image(
        (35, 4), layers.MultiHeadAttention(2, 5, causal=True, use_bias=False)
    ),
    "MultiHeadAttention with dropout": lambda: _image(
        (6, 4), layers.MultiHeadAttention(2, dropout=0.3)
    ),
    "TransformerBlock": lambda: _image((4, 6), layers.TransformerBlock(2, 2, causal=True)),
    "TransformerBlock of the paper": lambda: _image(
        (4, 6), layers.TransformerBlock(2, 2, norm_first=False, activation="tanh", dropout=0.2)
    ),
    "TransformerBlock twice": lambda: _image((3, 8), *_twice(layers.TransformerBlock(2, 1))),
    "PositionEmbedding": lambda: _image((5, 7), layers.PositionEmbedding(), layers.Tanh()),
    "SinusoidalPositions": lambda: _image((5, 7), layers.SinusoidalPositions(), layers.Tanh()),
    "ClassToken": lambda: _image((5, 7), layers.ClassToken(), layers.MultiHeadAttention(1)),
    "Position": lambda: _image((5, 7), layers.Tanh(), layers.Position(-2)),
    "PatchEmbedding": lambda: _image((4, 6, 2), layers.PatchEmbedding((2, 3), 5), layers.Tanh()),
}

# Layers that whole numbers (samples, 3) below 9 go into.
TOKENS = {
    "Embedding": lambda: [layers.Embedding(9, 5), layers.Flatten()],
    "Embedding of few units": lambda: [layers.Embedding(70, 2), layers.Flatten()],
    "Embedding of several panels": lambda: [layers.Embedding(9, 40), layers.Flatten()],
    "Embedding tied": lambda: _tied_tokens(layers.Embedding(9, 5, init="xavier")),
}


def _tied_tokens(table):
    """Return a table that makes the logits, too."""
    return [table, layers.TransformerBlock(1, 1, causal=True), layers.TiedDense(table, 9)]
