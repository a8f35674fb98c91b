"""
A sweep over settings
=====================

Sixty networks with different rates, widths and batch sizes, trained side by side in one process,
one on each core: ``lab.sweep``. Each is bit-equal to what it would be when trained alone.
"""

import time

import numpy as np
import steep
from steep import data, lab, layers, optimizers

(X, y), (X_test, y_test) = data.load("digits")
train, valid, _ = data.split(len(X), test=0.0, validation=0.25, classes=y)


def make(lr, units, dropout):
    """Return the trainer of one choice."""
    body = layers.Rescale(1 / 16), layers.Flatten(), layers.Dense(units, "relu")
    net = steep.Sequential(*body, layers.Dropout(dropout), layers.Dense(10))
    return steep.Trainer(net, "cross_entropy", optimizers.Adam(lr), seed=0)


space = {
    "lr": np.geomspace(1e-4, 0.3, 13).tolist(),
    "units": (8, 32, 128),
    "dropout": (0.0, 0.2, 0.5),
    "batch_size": (16, 64),
}
held = X[valid], y[valid]
begin = time.perf_counter()
swept = lab.sweep(make, space, X[train], y[train], n=60, epochs=10, validation=held, seed=1)
print(f"{len(swept.rows)} networks in {time.perf_counter() - begin:.1f} s")
print("best:", swept.best)

# %%
# Every line is one network
# -------------------------

picture = swept.plot()

# %%
# The best on digits that nobody has seen
# ---------------------------------------

print(swept.trainer.evaluate(X_test, y_test))

# %%
# **What to see:** follow the brightest lines from the right. They leave through one part of the
# axis ``lr`` and through all parts of the others: here the rate decides, and width and dropout
# hardly do.
