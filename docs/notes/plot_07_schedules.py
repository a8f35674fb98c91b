"""
Learning rates that change
==========================

A large rate gets far, a small one arrives. Near a minimum the noise of the batches keeps a constant
rate hovering at a distance that is proportional to it; a rate that falls comes closer.
"""

import matplotlib.pyplot as plt
import numpy as np
from steep import lab, schedules
from steep.optimizers import SGD

shapes = {
    "piecewise constant": schedules.Piecewise([0, 40, 70], [0.1, 0.03, 0.01]),
    "exponential": schedules.Exponential(0.1, 0.04),
    "inverse power": schedules.InversePower(0.1, 0.2, 0.5),
    "cosine": schedules.Cosine(0.1, 100),
    "one cycle": schedules.OneCycle(0.1, 100),
}
steps = np.arange(100)
figure, axes = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for (name, schedule), line in zip(shapes.items(), ("-", "--", ":", "-.", "-"), strict=True):
    axes.plot(steps, [schedule.at(t) for t in steps], line, label=name)
axes.set(xlabel="step t", ylabel="rate")
axes.legend(fontsize=8)

# %%
# Three numbers of the lecture: η₀e^(-λt) with η₀ = .1, λ = .1 at t = 10; η₀(βt + 1)^(-α) with β =
# 1, α = ½ at t = 3; and a piecewise rate at its border.
print("exponential:  ", schedules.Exponential(0.1, 0.1).at(10))
print("inverse power:", schedules.InversePower(0.1, 1.0, 0.5).at(3))
print("piecewise:    ", [schedules.Piecewise([0, 5], [0.1, 0.01]).at(t) for t in (4, 5)])


# %%
# Noise
# -----
# w² with gradients that are off by a normal number: a thousand steps, the mean of 200 runs. The
# rate of 1/t is the one for which Robbins and Monro (1951) prove convergence: Σηₜ is infinite, Σηₜ²
# is not.
def noisy(seed):
    random = np.random.default_rng(seed)
    return lambda w: 2 * w + random.standard_normal(200)


tried = {
    "constant .2": 0.2,
    "constant .02": 0.02,
    "exponential from .2": schedules.Exponential(0.2, 0.01),
    "1/t from .2": schedules.InversePower(0.2, 0.1, 1.0),
}
figure, axes = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for (name, rate), line in zip(tried.items(), ("-", "--", ":", "-."), strict=True):
    path = lab.descend(SGD(rate), noisy(0), np.full(200, 2.0), 1000)
    error = np.sqrt((path**2).mean(1))
    axes.loglog(np.arange(1, 1002), error, line, label=name)
    print(f"{name:20} distance after 1000 steps: {error[-1]:.4f}")
axes.set(xlabel="step", ylabel="distance from the minimum")
axes.legend()

# %%
# In the notes
# ------------
# * Piecewise constant is written with both ends closed, so that two rates hold at the border. Here
#   the new one does.
# * Their "polynomial" is η₀(βt + 1)^(-α), which is `schedules.InversePower`. Keras, PyTorch and
#   others call η₀(1 - t/T)ᵖ polynomial: `schedules.Polynomial`.
# * "Adaptive" there means a rate that changes with time, as well as one of each weight.
