"""Small deterministic trainings over everything public, to compare builds; no hash stands here.

It uses public names of steep alone, inside functions, so that one file runs on builds of other
commits: a build that lacks a class lacks the rows that name it, and no more.
"""

import inspect
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import own_layers
import steep
from steep import data, layers, losses, models, ops, optimizers, schedules

CLASSES = 5


@dataclass
class Setup:
    """What is trained on what: a network, its trainer's and its fit's arguments."""

    net: Any
    X: Any
    y: Any
    loss: Any
    rule: Any
    options: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    saved: bool = True  # whether it can be: Python functions cannot


def numbers(kind, shape, random):
    """Return inputs: "uint8" pixels, or normal numbers of a float format."""
    if kind == "uint8":
        return random.integers(0, 256, shape).astype(np.uint8)
    return random.standard_normal(shape).astype(kind)


def squared(y, t):
    """Write a loss of one's own."""
    return (y - t) * (y - t)


def targets(loss, samples, outputs, random):
    """Return targets that fit a loss: labels, probabilities or values."""
    if not getattr(loss, "targeted", True):  # builds before that have no such losses
        return None
    unit = isinstance(loss, losses.BinaryCrossEntropy) or getattr(loss, "allowed", None) is not None
    if not loss.classification and not unit:
        return random.standard_normal((samples, outputs)).astype(np.float32)
    if unit:
        return random.random((samples, outputs)).astype(np.float32)
    return random.integers(0, outputs, samples)


def setup(
    net,
    shape,
    *,
    loss=None,
    rule=None,
    samples=70,
    kind="float32",
    fit=None,
    outputs=CLASSES,
    **options,
):
    """Return a setup of random data; the last batch is shorter than the others."""
    random = np.random.default_rng(samples)
    loss = loss or losses.CrossEntropy()
    several = isinstance(shape, list)
    X = [numbers(kind, (samples, *one), random) for one in (shape if several else [shape])]
    y = targets(loss, samples, outputs, random)
    fit = {"batch_size": 16, "epochs": 2, **(fit or {})}
    rule = rule or optimizers.Adam(1e-3)
    return Setup(net, X if several else X[0], y, loss, rule, options, fit)


RING = data.Graph([(i, (i + 1) % 8) for i in range(8)], 9)


def dense(*body, inputs=19, **rest):
    """Train a body between dense layers."""
    whole = (layers.Dense(33, "relu"), *body, layers.Dense(CLASSES))
    return setup(steep.Sequential(*whole), (inputs,), **rest)


def wide(**rest):
    """Train a dense network with work for several threads."""
    net = steep.Sequential(layers.Dense(128, "relu"), layers.Dense(CLASSES))
    return setup(net, (300,), samples=300, **{"fit": {"batch_size": 128}, **rest})


def single(**rest):
    """Train a dense network of one output."""
    net = steep.Sequential(layers.Dense(17, "tanh"), layers.Dense(1))
    return setup(net, (11,), samples=75, outputs=1, **rest)


def two_outputs():
    """Train two outputs, each by a loss of its own."""
    start = steep.Input((11,))
    body = layers.Dense(33, "relu")(start)
    heads = {"class": layers.Dense(CLASSES)(body), "value": layers.Dense(1)(body)}
    both = {"class": losses.CrossEntropy(), "value": losses.Huber()}
    made = setup(steep.Model(start, heads), (11,), samples=75)
    goals = {name: targets(loss, 75, heads[name].shape[0], np.random.default_rng(7))
             for name, loss in both.items()}  # fmt: skip
    return replace(made, y=goals, loss=both, options={"loss_weights": {"value": 0.3}})


def few(**rest):
    """Train a dense network of so few weights that systems of all of them can be solved."""
    net = steep.Sequential(layers.Dense(6, "tanh"), layers.Dense(CLASSES))
    return setup(net, (5,), samples=300, loss=losses.MeanSquaredError(), fit=WHOLE, **rest)


def tied(encoder, **options):
    """Train with a layer and its transpose between dense layers."""
    return dense(encoder, layers.TiedDense(encoder, 33, **options))


def images(*body, shape=(9, 8, 16), samples=39, **rest):
    """Train a body on what a pixelwise layer makes of images: it has to give their gradient."""
    net = steep.Sequential(layers.Conv2D(shape[-1], 1, activation="tanh"), *body, layers.Flatten(),
                           layers.Dense(CLASSES))  # fmt: skip
    return setup(net, shape, samples=samples, **rest)


def sequences(*body, shape=(21, 5), samples=39, **rest):
    """Train a body on what a layer makes of each step: it has to give their gradient."""
    net = steep.Sequential(layers.Conv1D(16, 1, activation="tanh"), *body, layers.Flatten(),
                           layers.Dense(CLASSES))  # fmt: skip
    return setup(net, shape, samples=samples, **rest)


def pixels(*body, shape=(9, 8, 3), **rest):
    """Train a body on uint8 images themselves."""
    net = steep.Sequential(*body, layers.Flatten(), layers.Dense(CLASSES))
    return setup(net, shape, kind="uint8", samples=39, **rest)


def normed(filters, **options):
    return [layers.Conv2D(filters, 3, use_bias=False, **options), layers.BatchNorm()]


class Mixed(layers.Layer):
    """A user's own layer with functions that no layer of steep calls."""

    def call(self, x):
        gain = self.parameter("gain", x.shape, init=1.5, decay=True)
        y = ops.multiply(x, gain)
        z = ops.subtract(ops.softmax(y), -x) / 2.0
        return ops.add(ops.affine(z, 0.5, 0.1), ops.activation(y, "leaky_relu", -0.2))


OWN = {
    **own_layers.OWN,
    "Mixed": Mixed,
    "squared": squared,
}  # what loading a trainer has to be told of

RULES = {
    "sgd maximize": lambda: optimizers.SGD(1e-3, maximize=True),
    "momentum": lambda: optimizers.SGD(0.02, 0.9),
    "momentum, rate outside": lambda: optimizers.SGD(0.02, 0.9, lr_in_velocity=False),
    "nesterov": lambda: optimizers.SGD(0.02, 0.9, nesterov=True),
    "nesterov of torch": lambda: optimizers.SGD(0.02, 0.9, nesterov=True, like="torch"),
    "nesterov of keras": lambda: optimizers.SGD(0.02, 0.9, nesterov=True, like="keras"),
    "adagrad of keras": lambda: optimizers.AdaGrad(0.02, like="keras", initial_accumulator=0.1),
    "rmsprop of kathuria": lambda: optimizers.RMSProp(preset="kathuria"),
    "rmsprop momentum": lambda: optimizers.RMSProp(1e-3, momentum=0.8, like="torch"),
    "rmsprop nesterov": lambda: optimizers.RMSProp(1e-3, momentum=0.8, nesterov=True),
    "momentum dampened": lambda: optimizers.SGD(0.02, 0.9, dampening=0.5, weight_decay=0.1),
    "rmsprop nesterov of optax": lambda: optimizers.RMSProp(
        1e-3, momentum=0.8, nesterov=True, like="optax"
    ),
    "radam of torch": lambda: optimizers.RAdam(beta2=0.9, like="torch"),
    "yogi of optax": lambda: optimizers.Yogi(like="optax"),
    "adan of optax": lambda: optimizers.Adan(weight_decay=0.1, like="optax"),
    "rprop of optax": lambda: optimizers.Rprop(1e-3, like="optax"),
    "schedule-free sgd": lambda: optimizers.ScheduleFreeSGD(
        0.1, warmup_steps=3, r=1.0, weight_decay=0.1
    ),
    "schedule-free adam": lambda: optimizers.ScheduleFreeAdamW(weight_decay=0.1),
    "adadelta outside": lambda: optimizers.AdaDelta(1.0, eps_inside=False),
    "adam of keras": lambda: optimizers.Adam(like="keras", eps_inside=True),
    "adam uncorrected": lambda: optimizers.Adam(bias_correction=False),
    "adam by epoch": lambda: optimizers.Adam(bias_time="epoch"),
    "amsgrad of optax": lambda: optimizers.AMSGrad(like="optax"),
    "nadam of optax": lambda: optimizers.NAdam(like="optax"),
    "adam amsgrad": lambda: optimizers.Adam(amsgrad=True, maximize=True),
    "adamw decay": lambda: optimizers.AdamW(weight_decay=0.1),
    "adamw amsgrad": lambda: optimizers.AdamW(weight_decay=0.1, amsgrad=True),
    "adamax of keras": lambda: optimizers.Adamax(like="keras"),
    "nadam uncorrected": lambda: optimizers.NAdam(bias_correction=False, bias_time="epoch"),
    "nadam of keras": lambda: optimizers.NAdam(momentum_decay=1.0, eps_inside=True),
}

WHOLE = {"batch_size": 300, "epochs": 6}  # of methods for full batches

LOSSES = {
    "custom": lambda: losses.Custom(squared),
    "huber 0.3": lambda: losses.Huber(0.3),
    "cross entropy smoothed": lambda: losses.CrossEntropy(label_smoothing=0.15),
}

SCHEDULES = {
    "constant": lambda: schedules.Constant(0.02),
    "piecewise": lambda: schedules.Piecewise([0, 3, 6], [0.05, 0.02, 0.01]),
    "values": lambda: schedules.Values([0.05, 0.04, 0.03]),
    "exponential": lambda: schedules.Exponential(0.05, 0.1),
    "inverse power": lambda: schedules.InversePower(0.05, 0.3, 0.7),
    "polynomial": lambda: schedules.Polynomial(0.05, 0.001, 8, 2.0),
    "step": lambda: schedules.Step(0.05, 3, 0.3),
    "cosine": lambda: schedules.Cosine(0.05, 8, 0.001),
    "linear": lambda: schedules.Linear(0.05, 0.001, 2, unit="epoch"),
    "warmup": lambda: schedules.Warmup(schedules.Cosine(0.05, 6), 3),
    "one cycle": lambda: schedules.OneCycle(0.05, 9),
    "list": lambda: [0.05, 0.04, 0.03, 0.02],
}


def _flat():
    return {
        "dense/no bias": lambda: dense(layers.Dense(17, "tanh", use_bias=False, init="xavier_in")),
        "dense/one output": lambda: dense(layers.Dense(1), layers.Dense(64, init="he")),
        "dense/softmax": lambda: dense(layers.Softmax(), layers.Dense(8, "softmax")),
        "dense/activations": lambda: dense(
            layers.LeakyReLU(0.2), layers.ELU(0.8), layers.GELU(), layers.SiLU(), layers.Dense(31),
            layers.Tanh(), layers.ReLU(), layers.Dense(16, layers.Sigmoid()),
        ),
        "dense/dropout": lambda: dense(layers.Dropout(0.4)),
        "dense/dropout by epoch": lambda: dense(layers.Dropout(0.4, redraw="epoch")),
        "dense/dropout classic": lambda: dense(layers.Dropout(0.4, scale_at="test")),
        "dense/more activations": lambda: dense(
            layers.Dense(33, layers.SELU()), layers.Dense(33, layers.CELU(0.7)), layers.ReLU6(),
            layers.Mish(), layers.HardSwish(), layers.Dense(33, layers.HardTanh()),
            layers.Dense(33, layers.SoftShrink(0.1)), layers.HardShrink(0.1), layers.LogSigmoid(),
            layers.Dense(33, layers.Softsign()), layers.Dense(33, layers.HardSigmoid()),
        ),
        "dense/alpha dropout": lambda: dense(layers.SELU(), layers.AlphaDropout(0.2)),
        "dense/graph": lambda: dense(
            layers.Dense(36), layers.Reshape((9, 4)), layers.GraphConv(5, RING, "relu"),
            layers.GraphConv(17, RING), layers.Flatten(),
        ),
        "dense/norms": lambda: dense(
            layers.LayerNorm(), layers.Dense(36), layers.GroupNorm(3), layers.Reshape((9, 4)),
            layers.InstanceNorm(), layers.RMSNorm(), layers.Flatten(),
        ),
        "dense/heads": lambda: dense(
            layers.Dense(72), layers.Reshape((18, 4)), layers.MultiHeadAttention(2, dropout=0.2),
            layers.MultiHeadAttention(3, 5, causal=True, use_bias=False), layers.Flatten(),
        ),
        "dense/attention": lambda: dense(
            layers.Dense(36), layers.Reshape((9, 4)), layers.PositionEmbedding(),
            layers.TransformerBlock(2, causal=True, dropout=0.2), layers.ClassToken(),
            layers.MultiHeadAttention(1), layers.SinusoidalPositions(), layers.Position(0),
        ),
        "dense/patches": lambda: dense(
            layers.Dense(48), layers.Reshape((4, 6, 2)), layers.PatchEmbedding(2, 5),
            layers.TransformerBlock(5, 2, norm_first=False), layers.Flatten(),
        ),
        "dense/units": lambda: dense(
            layers.PReLU(), layers.Dense(66, layers.GLU()), layers.PReLU(shared=True),
            layers.Dense(60, layers.Maxout(3)), layers.RReLU(), layers.Dense(40, "swiglu"),
            layers.Dense(40, "geglu"), layers.Dense(40, "reglu"),
        ),
        "dense/batch norm": lambda: dense(layers.BatchNorm(), layers.ReLU()),
        "dense/virtual batches": lambda: dense(
            layers.BatchNorm(virtual_batch=5, unbiased=False), layers.ReLU()
        ),
        "dense/tied": lambda: tied(layers.Dense(40, "tanh")),
        "dense/tied, few units": lambda: tied(layers.Dense(3, use_bias=False), activation="silu"),
        "dense/noise": lambda: dense(
            layers.GaussianNoise(0.3), layers.Dense(34), layers.Reparameterize(sample=True),
            layers.RepeatVector(3), layers.Tanh(), layers.Flatten(), layers.GradientReversal(0.5),
        ),
        "dense/constraints": lambda: dense(
            layers.Dense(40, "relu", constraint=steep.constraints.MaxNorm(1.0)),
            layers.Dense(33, "relu", constraint="non_negative"),
            layers.Dense(4, constraint="unit_norm"),
            layers.Dense(9, constraint=steep.constraints.Clip(0.05)),
        ),
        "dense/spectral norm": lambda: dense(
            layers.SpectralNorm(layers.Dense(40, "relu")), layers.SpectralNorm(layers.Dense(3), 2)
        ),
        "dense/realmlp": lambda: dense(
            layers.PeriodicEmbedding(), layers.FeatureScale(), layers.Dense(40, ntk=True),
            layers.ParametricActivation("mish"), layers.Dropout(steep.schedules.Linear(0.5, 0, 9)),
        ),
        "dense/bins": lambda: dense(layers.PiecewiseEmbedding(), layers.Dense(40, "relu")),
        "dense/waves": lambda: dense(layers.Dense(40, "sin"), layers.Dense(20, "cos")),
        "dense/rescaled": lambda: dense(layers.Rescale(3.0, -1.0), layers.Normalize([0.3] * 33,
                                                                                    [2.0] * 33)),
        "dense/reshaped": lambda: dense(
            layers.Dense(24), layers.Reshape((4, -1)), layers.Tanh(), layers.Flatten()
        ),
        "dense/positions": lambda: dense(
            layers.Dense(60, "tanh"), layers.Reshape((4, 15)), layers.Dense(37, "gelu"),
            layers.Dense(3), layers.Softmax(), layers.Dense(40, "swiglu"), own_layers.Rung(),
            layers.Flatten(),
        ),
        "dense/recurrent": lambda: dense(
            layers.Dense(60, "tanh"), layers.Reshape((4, 15)),
            layers.LSTM(33, return_sequences=True, dropout=0.2),
            layers.Bidirectional(layers.GRU(17, return_sequences=True, recurrent_dropout=0.2)),
            layers.GRU(5, reset_after=False, return_sequences=True),
            layers.TimeDistributed(steep.Sequential(layers.Dense(9, "tanh"))),
            layers.SimpleRNN(20),
        ),
        "recurrent/cells": lambda: dense(
            layers.Dense(60, "tanh"), layers.Reshape((4, 15)),
            layers.LSTM(35, return_sequences=True, recurrent_dropout=0.2),
            layers.Bidirectional(layers.GRU(3, return_sequences=True), merge="add"),
            layers.GRU(19, reset_after=False, return_sequences=True, reverse=True),
            layers.SimpleRNN(4, activation="relu", return_sequences=True), layers.LSTM(1),
        ),
        "recurrent/many units": lambda: dense(
            layers.Dense(24, "tanh"), layers.Reshape((3, 8)),
            layers.LSTM(150, return_sequences=True), layers.GRU(170),
        ),
        "recurrent/lengths": ragged,
        "recurrent/states": lambda: ragged(stateful=True),
        "dense/residual": lambda: dense(
            layers.Residual(layers.Dense(40, "gelu"), layers.Dense(33), activation="relu"),
            layers.Residual(layers.Dense(9, "tanh"), shortcut=layers.Dense(9), recompute=True),
        ),
        "dense/concat": lambda: dense(
            layers.Branches(layers.Dense(3, "tanh"), layers.Dense(17), layers.ReLU())
        ),
        "dense/added": lambda: dense(
            layers.Branches(layers.Dense(20, "tanh"), layers.Dense(20), join="add")
        ),
        "own layers": lambda: dense(
            own_layers.Rung(), own_layers.Gate(21), own_layers.Shift(0.3),
            own_layers.Shift(1.5, turned=True), Mixed(),
        ),
        "shared layer": shared,
        "network in a network": lambda: dense(
            steep.Sequential(layers.Dense(20, "silu"), layers.Dropout(0.1), layers.Dense(33)),
            own_layers.diamond(33, 18),
        ),
        "two inputs": two_inputs,
        "tokens": tokens,
        "tokens of rows": rows,
    }  # fmt: skip


def shared():
    same = layers.Dense(33, "tanh")
    return dense(same, layers.BatchNorm(), same)


def tokens():
    """Train on whole numbers: a table, a recurrent layer over it."""
    made = setup(
        steep.Sequential(layers.Embedding(20, 33), layers.LSTM(17), layers.Dense(CLASSES)), (7,)
    )
    made.X = np.random.default_rng(3).integers(0, 20, made.X.shape)
    return made


def rows():
    """Train a table whose rows move by themselves, places, a norm, products of positions."""
    made = setup(
        steep.Sequential(layers.Embedding(40, 33, padding=3, sparse=True),
                         layers.PositionEmbedding(), layers.LayerNorm(), own_layers.Likeness(),
                         layers.Flatten(), layers.Dense(CLASSES)), (7,)
    )  # fmt: skip
    made.X = np.random.default_rng(3).integers(0, 40, made.X.shape).astype(np.uint16)
    return made


def ragged(**options):
    """Train on sequences of several lengths, with a layer behind that may keep its states."""
    x, counts = steep.Input((9, 5)), steep.Input(())
    h = layers.Bidirectional(layers.LSTM(18, return_sequences=True))(x, counts)
    h, last = layers.GRU(7, return_sequences=True, return_state=True, hold=True)(h, counts)
    h = layers.GRU(7, reset_after=False, return_sequences=True, recurrent_dropout=0.2)(
        h, counts, last
    )
    y = layers.LSTM(12, **options)(h, counts)
    net = steep.Model([x, counts], layers.Dense(CLASSES)(y))
    made = setup(net, [(9, 5), ()], fit={"shuffle": not options})
    made.X[1] = np.random.default_rng(5).integers(1, 10, len(made.y))
    return made


def two_inputs():
    a, b = steep.Input((7,)), steep.Input((5, 6, 2))
    left = layers.Dense(16, "relu")(a)
    right = layers.Dense(16)(layers.GlobalAvgPool2D()(layers.Conv2D(8, 3)(b)))
    return setup(steep.Model([a, b], layers.Dense(CLASSES)(left * right - left)), [(7,), (5, 6, 2)])


def _images():
    conv = layers.Conv2D
    return {
        "conv/winograd": lambda: images(conv(32, 3, activation="relu"), conv(16, 3)),
        "conv/winograd, thin": lambda: images(conv(16, 3, padding=(1, 1, 0, 3)), shape=(4, 3, 16)),
        "conv/winograd, large": lambda: images(
            conv(64, 3, use_bias=False), shape=(16, 16, 64), samples=20
        ),
        "conv/strided": lambda: images(conv(33, 3, 2), conv(7, (3, 2), (2, 1), padding="valid")),
        "conv/dilated": lambda: images(conv(12, 3, dilation=2), conv(3, 2, 2, dilation=(1, 2))),
        "conv/grouped": lambda: images(conv(18, 3, groups=3, activation="gelu"), shape=(8, 9, 12)),
        "conv/depthwise": lambda: images(
            conv(21, 3, groups=21), layers.ReLU(), conv(21, 3, 2, groups=21), shape=(10, 9, 21)
        ),
        "conv/transposed": lambda: images(
            layers.Conv2DTranspose(20, 4, 2, activation="relu"), conv(16, 3, 2), layers.BatchNorm(),
            layers.Conv2DTranspose(5, 3, (2, 1), padding=1, output_padding=(1, 0), use_bias=False),
            shape=(4, 5, 16),
        ),
        "conv/transposed, 3x3": lambda: images(
            layers.Conv2DTranspose(32, 3, activation="tanh"), layers.Conv2DTranspose(4, 5)
        ),
        "conv/transposed, grouped": lambda: images(
            layers.Conv2DTranspose(18, 3, 2, groups=3, activation="gelu"),
            layers.Conv2DTranspose(18, 2, 2, groups=18, padding="valid"), shape=(4, 3, 12),
        ),
        "conv/spectral norm": lambda: images(layers.SpectralNorm(conv(40, 4, 2)), conv(5, 3)),
        "conv/pixelwise": lambda: images(conv(65, 1, activation="relu"), conv(8, 1, 2)),
        "conv/narrow": lambda: setup(models.lenet5(CLASSES), (28, 28, 1), samples=39),
        "conv/one channel": lambda: images(
            layers.Reshape((9, 8)), conv(6, 5, padding=2), shape=(9, 8, 1)
        ),
        "conv/batch norm": lambda: images(
            *normed(16), layers.ReLU(), *normed(16, stride=2), layers.Activation("elu")
        ),
        "pool/largest": lambda: images(
            layers.MaxPool2D(2), layers.MaxPool2D(3, 2, padding="same"), layers.MaxPool2D((1, 2), 1)
        ),
        "pool/relu and largest": lambda: images(conv(16, 3, activation="relu"),
                                                layers.MaxPool2D(2)),
        "pool/mean": lambda: images(
            layers.AvgPool2D(2, padding="same"), layers.AvgPool2D(3, 1, padding=1),
            layers.AvgPool2D(2, 1, padding=1, count_padding=True),
        ),
        "pool/global": lambda: images(layers.GlobalAvgPool2D()),
        "pool/largest of all": lambda: images(layers.GlobalMaxPool2D()),
        "sequence/conv": lambda: sequences(
            layers.Conv1D(33, 5, activation="relu"), layers.Conv1D(16, 3, 2, "causal", dilation=2),
            layers.Conv1D(16, 3, groups=16), layers.Conv1D(12, 1, use_bias=False),
            layers.BatchNorm(), layers.Conv1D(6, 2, padding=(3, 1), groups=2),
        ),
        "sequence/pool": lambda: sequences(
            layers.MaxPool1D(2), layers.AvgPool1D(3, 1, padding=1, count_padding=True),
            layers.Branches(layers.GlobalMaxPool1D(), layers.GlobalAvgPool1D()),
        ),
        "image/response norm": lambda: images(
            layers.LocalResponseNorm(alpha=0.3), layers.LocalResponseNorm(3, 0.1, 0.5, 1.0)
        ),
        "image/upsampled": lambda: images(
            layers.UpSample2D((2, 3)), conv(4, 3), layers.UpSample2D()
        ),
        "image/dense": lambda: images(conv(9, 3), layers.Dense(33, "relu"), layers.Dense(2)),
        "image/padded": lambda: images(layers.ZeroPad2D((1, 0, 2, 1), channels=(1, 2)), conv(5, 3)),
        "image/residual": lambda: images(
            layers.Residual(*normed(16), layers.ReLU(), *normed(16), activation="relu"),
            layers.Residual(*normed(24, stride=2), layers.ReLU(), *normed(24),
                            shortcut=conv(24, 1, 2), activation="relu", recompute=True),
        ),
        "image/branches": lambda: images(
            layers.Branches(conv(7, 1), layers.MaxPool2D(3, 1, padding="same"), conv(4, 5)),
            layers.Dropout(0.2), layers.Branches(conv(8, 3), conv(8, 1), join="add"),
        ),
        "pixels/normalised": lambda: pixels(layers.Normalize([120, 110, 100], [60, 61, 62]),
                                            conv(16, 3, activation="relu"), conv(16, 3)),
        "pixels/rescaled": lambda: pixels(layers.Rescale(1 / 255), conv(8, 3, 2)),
        "pixels/dense": lambda: pixels(layers.Rescale(1 / 255, -0.5), layers.Flatten(),
                                       layers.Dense(40, "relu"), shape=(9, 8)),
        "pixels/augmented": lambda: pixels(
            layers.Normalize([120, 110, 100], [60, 61, 62]), conv(8, 3),
            fit={"augment": data.Augment(flip=True, shift=2, cutout=3, fill=[1.0, 2.0, 3.0])},
        ),
        "zoo/resnet": lambda: setup(models.resnet_cifar(20, CLASSES), (8, 8, 3), samples=20),
        "zoo/densenet": lambda: setup(
            models.densenet_bc(16, growth=4, classes=CLASSES), (8, 8, 3), samples=20
        ),
    }  # fmt: skip


def _options():
    weights = np.linspace(0.0, 2.0, 70)
    image = {"shape": (9, 8, 16), "precision": "float64", "kind": "float64"}
    norm, velocity = schedules.Piecewise([0, 4], [0.2, 0.5]), lambda: optimizers.SGD(0.02, 0.9)
    return {
        "option/clip norm": lambda: wide(clip_norm=0.1),
        "option/clip value": lambda: wide(clip_value=1e-3, rule=velocity()),
        "option/l1": lambda: wide(l1=1e-3, rule=velocity()),
        "option/l2 of biases": lambda: wide(l2=1e-2, decay_bias=True),
        "option/all penalties": lambda: wide(
            l1=schedules.Linear(0.0, 1e-3, 4), l2=schedules.Exponential(1e-2, 0.1), clip_norm=norm,
            clip_value=schedules.Step(0.1, 2, 0.5), decay_bias=True,
            rule=optimizers.SGD(0.02, 0.9, nesterov=True),
        ),
        "option/sum": lambda: wide(reduction="sum", loss=losses.BinaryCrossEntropy()),
        "option/weighted mean": lambda: dense(
            reduction="weighted_mean", fit={"sample_weight": weights}
        ),
        "option/float64": lambda: wide(precision="float64", kind="float64", clip_norm=0.1),
        "option/float64 images": lambda: images(
            layers.Conv2D(16, 3, activation="relu"), layers.BatchNorm(), layers.MaxPool2D(2),
            layers.Conv2D(6, 3, groups=2), layers.LocalResponseNorm(), layers.Dropout(0.2), **image
        ),
        "option/float64 data": lambda: dense(kind="float64"),
        "option/sample weights": lambda: dense(fit={"sample_weight": weights}),
        "option/class weights": lambda: dense(
            fit={"class_weight": {0: 2.0, 3: 0.5}, "sample_weight": weights}
        ),
        "option/balanced": lambda: dense(fit={"class_weight": "balanced"}),
        "option/in order": lambda: dense(fit={"shuffle": False}),
        "option/drop last": lambda: dense(layers.BatchNorm(), fit={"drop_last": True}),
        "option/one by one": lambda: dense(samples=21, fit={"batch_size": 1}),
        "option/whole": lambda: dense(fit={"batch_size": 70, "epochs": 3}),
        "option/seed": lambda: dense(layers.Dropout(0.5), seed=12345),
        "option/validation": validated,
        "option/callback": called,
        "option/function": function,
        "option/momentum by epoch": lambda: wide(
            rule=optimizers.SGD(schedules.Exponential(0.05, 0.01),
                                schedules.Linear(0.5, 0.9, 2, unit="epoch"), nesterov=True),
        ),
        "option/betas": lambda: wide(
            rule=optimizers.Adam(schedules.Cosine(0.01, 6), beta1=schedules.Linear(0.5, 0.9, 5))
        ),
    }  # fmt: skip


def validated():
    made = wide()
    made.fit["validation"] = (made.X[:90], made.y[:90], np.linspace(0.5, 1.0, 90))
    return made


class Lower:
    """A callback that lowers the rate and changes a penalty between epochs."""

    def on_epoch_end(self, trainer, epoch, logs):
        trainer.lr, trainer.l2 = 1e-3 / (epoch + 2), 0.01


def called():
    return wide(fit={"batch_size": 128, "epochs": 3, "callbacks": [Lower()]})


def function():
    made = wide(rule=optimizers.SGD(lambda step: 0.05 / (1 + step), 0.9))
    made.saved = False
    return made


def concrete(module):
    """Return the classes a public module names, by name, but for abstract ones."""
    found = {name: getattr(module, name) for name in module.__all__}
    return {k: v for k, v in found.items() if inspect.isclass(v) and not inspect.isabstract(v)}


def activated(kind):
    """Train an activation on numbers of both signs, where it takes them, and on positive ones."""
    free = [] if kind in ("log", "sqrt") else [layers.Activation(kind)]
    square = [layers.Activation("square"), layers.Rescale(0.5, 0.1), layers.Activation(kind)]
    first = layers.Dense(16, None if not free else kind)
    return dense(layers.Branches(first, steep.Sequential(layers.Tanh(), *free, *square)),
                 rule=optimizers.SGD(1e-3))  # fmt: skip


def trainings():
    """Return every training by name: a function that makes its `Setup`."""
    made = {**_flat(), **_images(), **_options()}
    rules = {name.lower(): kind for name, kind in concrete(optimizers).items()} | RULES
    common = {"l1": 1e-4, "l2": 1e-3, "clip_norm": 0.2}
    for name, rule in rules.items():
        if getattr(rule, "full_batch", False):
            made[f"rule/{name}"] = lambda rule=rule: few(rule=rule())
            made[f"rule/{name}, penalised"] = lambda rule=rule: few(rule=rule(), l2=0.1)
            if rule is not optimizers.LevenbergMarquardt:  # which has a limit
                made[f"rule/{name}, wide"] = lambda rule=rule: wide(rule=rule(), fit=WHOLE)
            continue
        made[f"rule/{name}"] = lambda rule=rule: wide(rule=rule())
        made[f"rule/{name}, penalised"] = lambda rule=rule: dense(rule=rule(), **common)
    made["model/two outputs"] = two_outputs
    for name, loss in ({n.lower(): k for n, k in concrete(losses).items()} | LOSSES).items():
        made[f"loss/{name}"] = lambda loss=loss: wide(loss=loss())
        if "cross entropy" not in name and name != "crossentropy":
            made[f"loss/{name}, one output"] = lambda loss=loss: single(loss=loss())
    for name, rate in SCHEDULES.items():
        made[f"schedule/{name}"] = lambda rate=rate: dense(rule=optimizers.SGD(rate(), 0.9))
    # The one name below that is not public: nothing public lists the activations a string may name.
    for kind in steep._core.activations():
        made[f"activation/{kind}"] = lambda kind=kind: activated(kind)
    return made
