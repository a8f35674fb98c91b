"""
Momentum on a ravine
====================

A quadratic whose curvature along w₂ is a hundred times that along w₁. The steep direction allows
only a small rate, and with it the flat direction takes for ever.
"""

import matplotlib.pyplot as plt
import numpy as np
from steep import lab
from steep.lab import surfaces
from steep.optimizers import SGD

SGD(0.018, momentum=0.9).formula()


# %%
# The velocity v is a sum of past gradients that forgets. Along w₁ they all point the same way and
# add up, up to 1/(1 - 0.9) = 10 times one of them; along w₂ they alternate, and cancel.
def slope(w):
    return np.array([1.0, 100.0]) * w


for momentum in (0.0, 0.9):
    w = lab.descend(SGD(0.018, momentum=momentum), slope, (1.0, 1.0), 100)[-1]
    print(f"momentum {momentum}: L after 100 steps is {0.5 * (w[0] ** 2 + 100 * w[1] ** 2):.3e}")

# %%
ravine = surfaces.quadratic(100.0)
rules = {"plain": SGD(0.018), "momentum .9": SGD(0.018, momentum=0.9)}
figure = lab.plot_paths(ravine, rules, start=(-2.5, 1.5), steps=60)

# %%
# What the velocity is made of
# ----------------------------
# With gradients G₁, G₂, G₃ the velocities are -G₁, -.9G₁ - G₂, -.81G₁ - .9G₂ - G₃. Feeding one
# gradient of 1 and then nothing shows the weights with which it stays:
fed = iter([1.0] + [0.0] * 30)
steps = -np.diff(lab.descend(SGD(1.0, momentum=0.9), lambda w: next(fed), 0.0, 31).ravel())
figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
axes.bar(range(31), steps)
axes.set(xlabel="steps after the gradient", ylabel="its share of the update")
print(steps[:4].round(4), "sum of 31:", steps.sum().round(3))


# %%
# A plateau
# ---------
# Slope 1, then 1e-4 for a length of 1, then 1 again. Plain descent stops on the plateau; momentum
# crosses it on what it brought along.
def plateau(w):
    return -1.0 if w < 0 or w > 1 else -1e-4


figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for momentum in (0.0, 0.9):
    walked = lab.descend(SGD(0.05, momentum=momentum), plateau, -1.0, 60).ravel()
    axes.plot(walked, label=f"momentum {momentum}")
axes.axhspan(0, 1, color="#dddddd", label="the plateau")
axes.set(xlabel="step", ylabel="w", ylim=(-1.1, 4))
axes.legend()

# %%
# How much momentum?
# ------------------
# For a quadratic with curvatures from μ to λ, Polyak's choice is optimal: momentum ((√κ - 1)/(√κ +
# 1))² and the rate 4/(√λ + √μ)², where κ = λ/μ; each step then takes about 2/√κ off, plain descent
# 2/κ. One of the notes begins with 0.5 and ends with 0.9; any hyper-parameter of steep takes a
# schedule.
root = np.sqrt(100.0)
best = ((root - 1) / (root + 1)) ** 2, 4 / (root + 1) ** 2
tried = {
    "plain, 2/(λ+μ)": SGD(2 / 101),
    "momentum .9": SGD(0.018, momentum=0.9),
    "Polyak's": SGD(best[1], momentum=best[0]),
}
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (name, rule), line in zip(tried.items(), ("-", "--", ":"), strict=True):
    walked = lab.descend(rule, slope, (1.0, 1.0), 150)
    axes.semilogy(0.5 * (walked**2 @ [1.0, 100.0]), line, label=name)
axes.set(xlabel="step", ylabel="L")
axes.legend()
print(f"Polyak: momentum {best[0]:.4f}, rate {best[1]:.4f}")

# %%
# In the notes
# ------------
# * Three slides write Δw = η·∂L/∂w + μΔw, without the minus.
# * One expands the velocity as -.9(.9G₁ - G₂) - G₃: the inner sign is a misprint, see the three
#   velocities above.
# * All of them keep the rate *inside* the velocity, v ← μv - ηg, as steep does; PyTorch keeps it
#   outside. The paths differ once the rate changes: ``SGD(..., like="torch")`` is the other form.
# * The letter η is the rate in two of the notes and the momentum in a third.
