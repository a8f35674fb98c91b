"""Networks that have parts, for tests of this folder. No test lives here."""

import numpy as np
import steep
from steep import layers

X = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)


def same(a, b):
    """Whether two state_dicts hold the same values, whatever their names."""
    return len(a) == len(b) and all(
        np.array_equal(x, y) for x, y in zip(a.values(), b.values(), strict=True)
    )


def coder(wrap=steep.Sequential):
    """An encoder, a decoder and the two as one network."""
    enc = steep.Sequential(layers.Dense(3, "tanh"), name="enc")
    dec = steep.Sequential(layers.Dense(8), name="dec")
    return enc, dec, wrap(enc, dec)


def chain(count):
    x = first = steep.Input((4,))
    for _ in range(count):
        x = layers.Dense(4)(x)
    return steep.Model(first, x)
