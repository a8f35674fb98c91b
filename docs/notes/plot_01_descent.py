"""
Gradient descent on w²
======================

The smallest loss there is, L(w) = w², with the gradient 2w and its minimum where that is 0: at w =
0. Gradient descent does not know the minimum. It knows the slope where it stands, and walks against
it.
"""

import matplotlib.pyplot as plt
import numpy as np
from steep import lab
from steep.optimizers import SGD

SGD(lr=0.25).formula()


# %%
# So that w(k+1) = w(k) - α·2w(k) = (1 - 2α)·w(k): every step multiplies w by 1 - 2α. The four runs
# of the lecture:
def slope(w):
    return 2 * w


runs = [(0.5, -2.0), (0.5, 2.0), (0.25, 2.0), (1.0, 2.0)]
paths = [lab.descend(SGD(rate), slope, start, 5) for rate, start in runs]
for (rate, start), path in zip(runs, paths, strict=True):
    print(f"α = {rate:<4}  w(0) = {start:>2g}:  {path.ravel().round(4)}  {lab.behaviour(path)}")

# %%
# α = ½ finds the minimum in one step, from either side: 1 - 2α is 0. α = ¼ halves w with every
# step. α = 1 turns w into -w, for ever: neither convergence nor divergence, which `lab.behaviour`
# calls by its name. Above 1 it diverges. These numbers are exact, in float32 as in float64: only
# halving and subtracting.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
w = np.linspace(-2.2, 2.2, 200)
left.plot(w, w**2, color="#999999")
for (rate, start), path, mark in zip(runs, paths, "osD^", strict=True):
    left.plot(path, path**2, marker=mark, label=f"α = {rate:g}, w(0) = {start:g}")
    right.plot(path, marker=mark)
left.set(xlabel="w", ylabel="L(w)")
right.set(xlabel="step k", ylabel="w(k)")
figure.legend(loc="outside upper center", ncols=4)

# %%
# Which rates converge?
# ---------------------
# \|1 - 2α\| < 1, or 0 < α < 1. In general the largest curvature decides: for a quadratic with
# second derivatives up to λ the rate must stay below 2/λ. Here λ = 2. That bound is why a loss with
# curvatures of very different size is hard for plain descent: see :ref:`the ravine
# <sphx_glr_generated_notes_plot_03_momentum.py>`.
rates = np.linspace(0.02, 1.1, 55)
ends = [abs(lab.descend(SGD(rate), slope, 2.0, 20).ravel()[-1]) for rate in rates]
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.semilogy(rates, np.maximum(ends, 1e-17))
axes.axvline(1.0, linestyle="--", color="#999999")
axes.set(xlabel="learning rate α", ylabel="|w(20)|")

# %%
# Until convergence
# -----------------
# "Loop until convergence" needs a rule. `lab.minimize` stops where the gradient, or the change of
# w, is small, and says which it was. In two dimensions, L = w₁² + w₂²:
found = lab.minimize(SGD(0.25), slope, [2.0, -1.0], gradient_tol=1e-6)
print(f"{found.steps} steps, reason: {found.reason}, w = {found.w}")

# %%
# In the notes
# ------------
# * One of them prints Δw = η·∂L/∂w and *new = old + gradient·rate*: without the minus that is
#   ascent. steep descends; ``maximize=True`` climbs, and only where it stands in the code.
# * One drops the rate in a line of the one-dimensional example (w - 2w) and leaves w(2) as "?";
#   with α it is above.
up = lab.descend(SGD(0.25, maximize=True), slope, 2.0, 4).ravel()
print("w with the sign of the slide:", up)
