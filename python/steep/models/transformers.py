"""Transformers: a language model and a classifier of images."""

import math

from ..checks.numbers import FRACTION, flag, number, pair, whole
from ..initializers import Normal
from ..layers import (
    ClassToken,
    Dense,
    Dropout,
    Embedding,
    Layer,
    LayerNorm,
    PatchEmbedding,
    Position,
    PositionEmbedding,
    TiedDense,
    TransformerBlock,
)
from ..network.model import Sequential
from ..network.windows import PairLike


def gpt(
    layers: int = 4,
    heads: int = 4,
    units: int = 128,
    context: int = 64,
    vocabulary: int = 65,
    *,
    dropout: float = 0.0,
    tied: bool = True,
) -> Sequential:
    """Return a causal Transformer for tokens (context,): logits (context, vocabulary).

    GPT-2 (Radford et al. 2019): embeddings of tokens and positions, blocks with the norm first and
    exact GELU, a last norm, logits by the table of tokens. Weights begin as N(0, 0.02), those of
    products that are added to what goes past them as N(0, 0.02/sqrt(2 layers)). Labels are the
    tokens that follow, (N, context). With the defaults: 809,856 parameters.

    Parameters
    ----------
    layers, heads, units
        Of the blocks; heads divide the units.
    context
        Tokens of a sample.
    vocabulary
        How many different ones there are.
    dropout
        Rate behind the embeddings and inside the blocks, in [0, 1).
    tied
        Whether the table of tokens makes the logits, too; else a `Dense` without bias.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """
    depth, size = whole("gpt", "layers", layers), whole("gpt", "units", units)
    rate = number("gpt", "dropout", dropout, FRACTION)
    small, least = Normal(0.02), Normal(0.02 / math.sqrt(2 * depth))
    tokens = Embedding(whole("gpt", "vocabulary", vocabulary), size, small, name="tokens")
    parts: list[Layer] = [tokens, PositionEmbedding(small, name="positions")]
    parts += [Dropout(rate)] if rate else []
    for k in range(depth):
        parts.append(
            TransformerBlock(
                heads, causal=True, dropout=rate, name=f"block{k}", init=small, out_init=least
            )
        )
    parts.append(LayerNorm(name="norm"))
    if flag("gpt", "tied", tied):
        parts.append(TiedDense(tokens, vocabulary, use_bias=False))
    else:
        parts.append(Dense(vocabulary, use_bias=False, init=small))
    return Sequential(*parts, input_shape=whole("gpt", "context", context))


def vit(
    classes: int = 10,
    patch: PairLike = 4,
    layers: int = 4,
    heads: int = 4,
    units: int = 64,
    *,
    mlp: int = 4,
    dropout: float = 0.0,
) -> Sequential:
    """Return a Vision Transformer (Dosovitskiy et al. 2021): logits (classes,) of an image.

    Patches become rows, a learned token stands before them, positions are learned; blocks have the
    norm first, and the token's row, normalised, makes the logits.

    Parameters
    ----------
    classes
        Number of outputs.
    patch
        Size of a patch, an int or a pair, which divides the image.
    layers, heads, units, mlp
        Of the blocks.
    dropout
        Rate behind the positions and inside the blocks, in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """
    rate = number("vit", "dropout", dropout, FRACTION)
    parts: list[Layer] = [
        PatchEmbedding(pair("vit", "patch", patch), whole("vit", "units", units), name="patches"),
        ClassToken(name="class"),
        PositionEmbedding(name="positions"),
    ]
    parts += [Dropout(rate)] if rate else []
    for k in range(whole("vit", "layers", layers)):
        parts.append(TransformerBlock(heads, mlp, dropout=rate, name=f"block{k}"))
    logits = Dense(whole("vit", "classes", classes), name="classes")
    return Sequential(*parts, Position(0), LayerNorm(name="norm"), logits)
