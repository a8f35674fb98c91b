"""Trainings of a moment, for tests of this folder. No test lives here."""

import types

import numpy as np
import steep
from steep import layers

X = np.random.default_rng(0).normal(size=(96, 6)).astype(np.float32)
Y = np.argmax(X[:, :3], axis=1)


def net(*hidden, outputs=3):
    return steep.Sequential(*(layers.Dense(n, "tanh") for n in hidden), layers.Dense(outputs))


def trainer(optimizer="sgd", *, loss="cross_entropy", of=None, **options):
    return steep.Trainer(of or net(5), loss, optimizer, **{"seed": 3, **options})


def fit(t, *called, epochs=1, batch_size=16, **options):
    t.fit(
        X, Y, epochs=epochs, batch_size=batch_size, callbacks=called, progress=False, **options
    )  # fmt: skip
    return t


def bytes_of(t):
    return {name: value.tobytes() for name, value in t.net.state_dict().items()}


def on(**hooks):
    return types.SimpleNamespace(**hooks)
