"""The layers: each describes a step of a network in terms of `ops`, forward only.

The base class is in `graph`, activations are in `activations`, networks in `model`. Shapes leave
out the batch axis; an image is (height, width, channels), a sequence (length, channels).
"""

from ..activations import (
    CELU,
    ELU,
    GEGLU,
    GELU,
    GLU,
    SELU,
    Activation,
    HardShrink,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LeakyReLU,
    LogSigmoid,
    Maxout,
    Mish,
    ParametricActivation,
    PReLU,
    ReGLU,
    ReLU,
    ReLU6,
    RReLU,
    Sigmoid,
    SiLU,
    Softmax,
    SoftShrink,
    Softsign,
    SwiGLU,
    Tanh,
)
from ..network import Layer
from .attention import MultiHeadAttention, TransformerBlock
from .combine import Branches, Residual
from .conv import Conv2D
from .dense import Dense
from .embedding import (
    ClassToken,
    Embedding,
    PatchEmbedding,
    Position,
    PositionEmbedding,
    SinusoidalPositions,
)
from .feature_norm import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from .graph import GraphConv
from .noise import GaussianNoise, GradientReversal, Reparameterize
from .norm import BatchNorm, LocalResponseNorm, SpectralNorm
from .pointwise import AlphaDropout, Dropout, Normalize, Rescale
from .pool import AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D
from .recurrent import GRU, LSTM, SimpleRNN
from .sequence import AvgPool1D, Conv1D, GlobalAvgPool1D, GlobalMaxPool1D, MaxPool1D
from .shape import Flatten, RepeatVector, Reshape, UpSample2D, ZeroPad2D
from .steps import Bidirectional, TimeDistributed
from .tabular import FeatureScale, PeriodicEmbedding, PiecewiseEmbedding
from .transposed import Conv2DTranspose, TiedDense

__all__ = [
    "CELU",
    "ELU",
    "GEGLU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "SELU",
    "Activation",
    "AlphaDropout",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNorm",
    "Bidirectional",
    "Branches",
    "ClassToken",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "Dropout",
    "Embedding",
    "FeatureScale",
    "Flatten",
    "GaussianNoise",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GradientReversal",
    "GraphConv",
    "GroupNorm",
    "HardShrink",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LocalResponseNorm",
    "LogSigmoid",
    "MaxPool1D",
    "MaxPool2D",
    "Maxout",
    "Mish",
    "MultiHeadAttention",
    "Normalize",
    "PReLU",
    "ParametricActivation",
    "PatchEmbedding",
    "PeriodicEmbedding",
    "PiecewiseEmbedding",
    "Position",
    "PositionEmbedding",
    "RMSNorm",
    "RReLU",
    "ReGLU",
    "ReLU",
    "ReLU6",
    "Reparameterize",
    "RepeatVector",
    "Rescale",
    "Reshape",
    "Residual",
    "SiLU",
    "Sigmoid",
    "SimpleRNN",
    "SinusoidalPositions",
    "SoftShrink",
    "Softmax",
    "Softsign",
    "SpectralNorm",
    "SwiGLU",
    "Tanh",
    "TiedDense",
    "TimeDistributed",
    "TransformerBlock",
    "UpSample2D",
    "ZeroPad2D",
]
