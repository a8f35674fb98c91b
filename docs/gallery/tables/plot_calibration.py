"""
Which classes are confused, and is 90 % really 90 %?
====================================================

A confusion matrix shows where a classifier errs, a reliability diagram whether its probabilities
mean what they say. A network trained too long is right as often as before, and far too sure.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import callbacks, data, layers, metrics

(X, y), (X_test, y_test) = data.load("digits")
random = np.random.default_rng(0)
X, X_test = (x + random.normal(0, 6, x.shape) for x in (X, X_test))  # so that it is not too easy
X, y, held = X[:900], y[:900], (X[900:], y[900:])


def trained(epochs, *watching):
    """Return the network after training."""
    net = steep.Sequential(layers.Rescale(1 / 16), layers.Flatten(), *dense())
    trainer = steep.Trainer(net, "cross_entropy", "adam", seed=0)
    trainer.fit(X, y, epochs=epochs, validation=held, callbacks=watching, progress=False)
    return net


def dense():
    """Return the layers that learn."""
    return layers.Dense(128, "relu"), layers.Dense(10)


nets = {
    "stopped early": trained(100, callbacks.EarlyStopping(patience=5)),
    "100 epochs": trained(100),
}

# %%
# Of all guesses made with a certainty near p, how many are right?
# ----------------------------------------------------------------

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4))
for (name, net), mark in zip(nets.items(), "os", strict=True):
    logits = net.predict(X_test)
    chances = np.exp(logits - logits.max(1, keepdims=True))
    sure = chances.max(1) / chances.sum(1)
    hit = logits.argmax(1) == y_test
    edges = np.quantile(sure, np.linspace(0, 1, 7))
    parts = np.clip(np.digitize(sure, edges) - 1, 0, 5)
    means = [(sure[parts == k].mean(), hit[parts == k].mean()) for k in range(6)]
    left.plot(*np.transpose(means), f"{mark}-", label=f"{name}: {100 * hit.mean():.0f} % right")
    print(f"{name}: {100 * sure.mean():.0f} % sure, {100 * hit.mean():.0f} % right")
left.plot([0.2, 1], [0.2, 1], "--", color="0.5", label="as sure as right")
left.set(
    xlabel="mean certainty of a sixth of the test samples", ylabel="share of them that is right"
)
left.legend(loc="lower right")

counts = metrics.confusion(y_test, nets["stopped early"].predict(X_test).argmax(1))
right.imshow(counts, cmap="Blues")
for i, j in np.argwhere(counts):
    right.text(
        j, i, counts[i, j], ha="center", va="center", color="w" if i == j else "k", fontsize=8
    )
right.set(xlabel="guessed", ylabel="true digit", xticks=range(10), yticks=range(10))
right.grid(visible=False)
plt.show()

# %%
# **What to see:** on the left, points below the dashed line are too sure of themselves; the network
# that was stopped when the validation loss rose lies near it. On the right, each number off the
# diagonal is a mistake.
