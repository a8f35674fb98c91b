"""
Nesterov's momentum
===================

Momentum will move w by μΔw whatever the gradient says. So the gradient is better asked where that
leads: at w + μΔw.
"""

import matplotlib.pyplot as plt
import numpy as np
from steep import lab
from steep.lab import surfaces
from steep.optimizers import SGD

SGD(0.25, momentum=0.9, nesterov=True).formula()


# %%
# On w² from 2, with rate ¼ and momentum .9, beside ordinary momentum:
def slope(w):
    return 2 * w


heavy = lab.descend(SGD(0.25, momentum=0.9), slope, 2.0, 12).ravel()
ahead = lab.descend(SGD(0.25, momentum=0.9, nesterov=True), slope, 2.0, 12).ravel()
print("momentum:", heavy[1:5].round(8))
print("Nesterov:", ahead[1:5].round(8))

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(heavy, marker="o", label="momentum")
axes.plot(ahead, marker="s", linestyle="--", label="Nesterov")
axes.axhline(0, color="#999999", linewidth=0.8)
axes.set(xlabel="step", ylabel="w")
axes.legend()

# %%
# The look ahead sees the overshoot one step earlier and brakes: the swings die out.
rules = {
    "momentum .9": SGD(0.008, momentum=0.9),
    "Nesterov .9": SGD(0.008, momentum=0.9, nesterov=True),
}
figure = lab.plot_paths(surfaces.quadratic(100.0), rules, start=(-2.5, 1.5), steps=60)

# %%
# Two ways to write it
# --------------------
# Keras and PyTorch store y = w + μv, the point looked at, and write the rule without a look ahead.
# The path is the same: y - μv is w. steep trains and saves at w; ``like="torch"`` keeps y.
y = lab.descend(SGD(0.25, momentum=0.9, nesterov=True, like="torch"), slope, 2.0, 3).ravel()
print("y:        ", y[1:].round(8))
v = np.diff(ahead[:4])
print("w + μv:   ", (ahead[1:4] + 0.9 * v).round(8))
