"""
Universal approximation
=======================

One hidden layer with a squashing activation and a linear output comes as close as you like to any
continuous function on a bounded set, given enough units (Cybenko 1989; Hornik 1991). It says that
weights exist, not that descent finds them.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, layers
from steep.optimizers import Adam

x = np.linspace(-3, 3, 200)[:, None]
y = np.sin(2 * x) + 0.3 * x


def fitted(units):
    net = steep.Sequential(layers.Dense(units, "tanh"), layers.Dense(1))
    trainer = steep.Trainer(net, "mse", "lbfgs", precision="float64", seed=1)
    trainer.fit(x, y, epochs=2000, progress=False)
    return trainer


figure, axes = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
axes.plot(x, y, color="#999999", linewidth=5, alpha=0.5, label="sin 2x + .3x")
for units, line in ((1, ":"), (2, "-."), (4, "--"), (12, "-")):
    trainer = fitted(units)
    loss = trainer.evaluate(x, y)["loss"]
    axes.plot(x, trainer.net.predict(x), line, label=f"{units}: {loss:.1e}")
    print(
        f"{units:2} units, {trainer.net.num_parameters} parameters: mean squared error {loss:.2e}"
    )
axes.set(xlabel="x", ylabel="y")
axes.legend(title="hidden units, error", fontsize=8)

# %%
# How: each tanh is a soft step, at a place and with a height of its own. Their sum is the curve.
weights = trainer.net.state_dict()
first, bias, last = (weights[name] for name in ("dense.weight", "dense.bias", "dense_1.weight"))
steps = np.tanh(x @ first + bias) * last.ravel()
figure, axes = plt.subplots(figsize=(6.5, 3), layout="constrained")
axes.plot(x, np.clip(steps, -4, 4), linewidth=1)
axes.plot(x, steps.sum(1) + weights["dense_1.bias"], color="#000000", linewidth=2.5)
axes.set(xlabel="x", ylabel="share of each unit; sum")

# %%
# What no line separates
# ----------------------
# XOR: without a hidden layer no weights are right for all four points. Two hidden units are enough,
# but descent does not find them from everywhere; with eight it nearly always does.
corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
labels = np.array([0, 1, 1, 0])
for units in (0, 2, 8):
    right = 0
    for seed in range(20):
        hidden = [layers.Dense(units, "tanh")] if units else []
        net = steep.Sequential(*hidden, layers.Dense(2))
        trainer = steep.Trainer(net, "cross_entropy", Adam(0.05), seed=seed)
        trainer.fit(corners, labels, epochs=1000, progress=False)
        right += np.array_equal(net.predict(corners).argmax(1), labels)
    print(f"{units} hidden units: all four right after {right} of 20 starts")

# %%
# That a network *can* follow any curve is no blessing where samples are noisy. Elephants and dogs,
# by height and weight, overlap; the large network learns every one of them by heart.
X, y = data.elephants_and_dogs(overlap=True)
z = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
grid = np.stack(np.meshgrid(*(np.linspace(-2.5, 2.5, 80),) * 2), -1).reshape(-1, 2)
figure, panels = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
for panel, units in zip(panels, (2, 100), strict=True):
    trainer = steep.Trainer(
        steep.Sequential(layers.Dense(units, "tanh"), layers.Dense(2)), "cross_entropy", "lbfgs"
    )
    trainer.fit(z, y, epochs=1000, progress=False)
    score = trainer.net.predict(grid.astype(np.float32)) @ [-1.0, 1.0]
    panel.contourf(*grid.T.reshape(2, 80, 80), score.reshape(80, 80), [-99, 0, 99], alpha=0.2)
    for kind, mark, name in ((0, "o", "elephants"), (1, "^", "dogs")):
        panel.plot(*z[y == kind].T, mark, markersize=4, label=name)
    accuracy = trainer.evaluate(z, y)["accuracy"]
    panel.set(
        xlabel="height",
        xlim=(-2.5, 2.5),
        ylim=(-2.5, 2.5),
        title=f"{units} units: {accuracy:.3f} right",
    )
panels[0].set_ylabel("weight")
panels[0].legend()

# %%
# In the notes
# ------------
# One slide says "a single layer", the next "a single hidden layer". The theorem needs the hidden
# one: a single layer cannot do XOR.
