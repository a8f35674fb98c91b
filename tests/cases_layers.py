"""A row for each layer, among others that it stands with; networks are in `cases`."""

import math

import numpy as np
import steep
from own_layers import Ladder
from steep import data, layers

RING = data.Graph([(i, (i + 1) % 8) for i in range(8)], 9)


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
        (9, 5), layers.GraphConv(7, RING, "tanh"), layers.GraphConv(3, RING)
    ),
    "GraphConv of constant features": lambda: _image(
        (9, 1), layers.GraphConv(20, RING, "gelu", features=data.Sparse(np.tri(9, 4)))
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
