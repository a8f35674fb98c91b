"""
Clipping at a cliff
===================

The error of a recurrent unit after many steps has walls: regions where the weight is multiplied by
itself fifty times. One gradient there is long enough to undo everything (Pascanu et al. 2013,
figure 6).
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, lab, layers
from steep.lab import picture, surfaces
from steep.optimizers import SGD

ground = surfaces.cliff


# %%
# If \|g\| > ν, then g ← g·ν/\|g\|: the direction stays, the length is bounded.
def clipped(w, limit=0.1):
    g = ground.grad(w)
    return g * min(1.0, limit / np.linalg.norm(g))


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
picture.contours(left, ground)
for (name, grad), mark in zip(
    {"as it is": ground.grad, "clipped": clipped}.items(), "os", strict=True
):
    path = lab.descend(SGD(1.0), grad, ground.start, 60)
    loss = [ground.value(w) for w in path]
    left.plot(*path.T, marker=mark, markersize=3, label=name)
    right.semilogy(loss, marker=mark, markersize=3, label=name)
    longest = np.linalg.norm(np.diff(path, axis=0), axis=1).max()
    print(f"{name}: longest step {longest:.3g}, lowest loss {min(loss):.2g}, last {loss[-1]:.2g}")
right.set(xlabel="step", ylabel="loss")
right.legend()

# %%
# In a network it is one argument: by the norm of all gradients, or by value. Six layers, momentum
# .9, five epochs: with clipping the same network bears several times the rate.
(X, y), _ = data.load("digits")
X = X.reshape(len(X), -1).astype(np.float32) / 16


def loss_after(rate, **options):
    net = steep.Sequential(*(layers.Dense(64, "relu") for _ in range(6)), layers.Dense(10))
    trainer = steep.Trainer(net, "cross_entropy", SGD(rate, momentum=0.9), seed=0, **options)
    try:
        trainer.fit(X, y, epochs=5, batch_size=32, progress=False)
    except FloatingPointError as error:
        print(f"rate {rate}, {options}: {str(error).split('.')[0]}")
        return np.nan
    return trainer.history.history["loss"][-1]


rates = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, options in {"as it is": {}, "clip_norm=0.5": {"clip_norm": 0.5}}.items():
    axes.semilogx(rates, [loss_after(rate, **options) for rate in rates], marker="o", label=name)
axes.axhline(np.log(10), linestyle=":", color="#999999", label="guessing, ln 10")
axes.set(xlabel="learning rate", ylabel="loss of the fifth epoch")
axes.legend()

# %%
# By hand: g = (3, 4) has the norm 5; with ν = 1 it becomes (.6, .8). A norm within the limit
# changes no bit.
g = np.array([3.0, 4.0])
print(g * min(1.0, 1.0 / np.linalg.norm(g)))

# %%
# In the notes
# ------------
# The norm stands in single bars there, as an absolute value; it is the Euclidean norm of all
# gradients together, not of each number. ν is the threshold here, the velocity on other slides, and
# a moment on a third.
