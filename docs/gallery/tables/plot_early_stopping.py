"""
Overfitting, and four ways out
==============================

A wide network on sixty noisy samples follows the noise. Early stopping, L2, dropout and an average
of the weights each hold it back in another way.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from sklearn.datasets import make_moons
from steep import averages, callbacks, layers
from steep.optimizers import Adam

X, y = make_moons(60, noise=0.35, random_state=0)
X_valid, y_valid = make_moons(200, noise=0.35, random_state=1)
X_test, y_test = make_moons(2000, noise=0.35, random_state=2)


def run(dropout=0.0, watching=(), **settings):
    """Return the trained network and its history."""
    net = steep.Sequential(
        layers.Dense(128, "relu"), layers.Dropout(dropout),
        layers.Dense(128, "relu"), layers.Dropout(dropout), layers.Dense(2),
    )  # fmt: skip
    trainer = steep.Trainer(net, "cross_entropy", Adam(3e-3), seed=0, **settings)
    fixed = {"epochs": 300, "batch_size": 20, "progress": False, "validation": (X_valid, y_valid)}
    history = trainer.fit(X, y, callbacks=watching, **fixed)
    return trainer.averaged() if "average" in settings else net, history.history


runs = {
    "nothing": run(),
    "early stopping": run(watching=[callbacks.EarlyStopping(patience=20)]),
    "L2 of 0.03": run(l2=0.03),
    "dropout of 0.5": run(dropout=0.5),
    "average": run(average=averages.EMA(0.999)),
}

# %%
# Where each of them draws the border
# -----------------------------------

line = np.linspace(-2, 3, 120), np.linspace(-1.6, 2.1, 120)
grid = np.stack(np.meshgrid(*line), axis=-1).reshape(-1, 2)


def chance(net, points):
    """Return the probability of the second class."""
    logits = net.predict(points).astype(float)
    return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))


fig, panels = plt.subplots(2, 3, figsize=(10, 6.4))
last = panels[1, 2]
LIGHT = "#ffd08a", "#d8c8ff"
for panel, (name, (net, history)) in zip(panels.flat, runs.items(), strict=False):
    panel.contourf(*line, chance(net, grid).reshape(120, 120), np.linspace(0, 1, 11), cmap="PuOr")
    for kind, mark in enumerate("os"):
        panel.scatter(*X[y == kind].T, s=16, marker=mark, color=LIGHT[kind], edgecolor="k", lw=0.5)
    p = chance(net, X_test).clip(1e-6, 1 - 1e-6)
    loss = -np.log(np.where(y_test == 1, p, 1 - p)).mean()
    hit = 100 * np.mean((p > 0.5) == y_test)
    epochs = len(history["loss"])
    panel.set_title(f"{name}, {epochs} epochs\ntest: {hit:.1f} % right, loss {loss:.2f}")
    panel.grid(visible=False)
    if name != "average":  # its course is that of "nothing"; the average is taken at the end
        last.plot(range(1, epochs + 1), history["val_loss"], label=name, lw=1)
    print(f"{name}: {hit:.1f} % right, loss {loss:.3f}")
last.set(xlabel="epoch", ylabel="validation loss", yscale="log")
last.legend(fontsize=8)
plt.show()

# %%
# **What to see:** without a limit the border bends around single points and is nowhere in doubt
# (dark all over): the loss on new samples is large. Held back, the border is smooth, and pale where
# the classes mix.
