"""
AdaGrad and RMSProp
===================

One rate for all weights is a compromise. Both rules divide the step of each weight by the size of
its own past gradients: where they were large the step is small.
"""

import matplotlib.pyplot as plt
import numpy as np
from steep import lab
from steep.lab import surfaces
from steep.optimizers import SGD, AdaGrad, RMSProp

AdaGrad(0.1).formula()
RMSProp(0.1, rho=0.9).formula()

# %%
# AdaGrad sums the squares for ever; RMSProp's average forgets. Let the slope be 1 for a thousand
# steps and .01 from then on. AdaGrad's effective rate, ε/√r, stays at .1/√1000; RMSProp's recovers,
# to .1/.01.
slopes = np.where(np.arange(1400) < 1000, 1.0, 0.01)
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for rule, line in ((AdaGrad(0.1), "-"), (RMSProp(0.1, rho=0.9), "--")):
    fed = iter(slopes)
    path = lab.descend(rule, lambda w, fed=fed: next(fed), 0.0, 1400).ravel()
    rate = -np.diff(path) / slopes
    axes.semilogy(rate, line, label=type(rule).__name__)
    print(
        f"{type(rule).__name__}: rate {rate[999]:.3g} after 1000 steps, {rate[-1]:.3g} at the end"
    )
axes.set(xlabel="step", ylabel="effective rate")
axes.legend()

# %%
# On the ravine both need no hint that one axis is a hundred times as steep. Plain descent at the
# limit of its rate swings along w₂ for ever.
rules = {"SGD": SGD(0.02), "AdaGrad": AdaGrad(0.5), "RMSProp": RMSProp(0.05)}
figure = lab.plot_paths(surfaces.quadratic(100.0), rules, start=(-2.5, 1.5), steps=60)

# %%
# At a saddle
# -----------
# A gradient of 0 is no minimum: near the monkey saddle plain descent crawls, because its step is as
# small as the slope. Divided by its own size the slope no longer matters. (This surface has no
# bottom: momentum, once it has found a way out, falls without end.)
rules = {"SGD": SGD(0.02), "momentum": SGD(0.02, momentum=0.9), "RMSProp": RMSProp(0.02)}
figure = lab.plot_paths("monkey_saddle", rules, steps=60)


# %%
# Where the small number stands
# -----------------------------
# It keeps the division from 0/0. Outside of the root, δ + √r, or inside, √(r + ε): the notes have
# both, and they are not the same. On w² from 2 with rate .1, ρ = .9 and 1e-2:
def slope(w):
    return 2 * w


for inside in (True, False):
    rule = RMSProp(0.1, rho=0.9, eps=1e-2, eps_inside=inside)
    path = lab.descend(rule, slope, 2.0, 3).ravel()
    print(f"{'inside ' if inside else 'outside'}: {path[1:].round(7)}")

# %%
# In the notes
# ------------
# * S2 puts δ outside, S1 and S4 put ε inside. Outside is the default; ``eps_inside=True`` is the
#   other, ``preset="kathuria"`` has S1's numbers (ρ = .9, ε = 1e-10).
# * S2's RMSProp with Nesterov momentum has no δ, which is 0/0 for a weight whose gradient is 0, and
#   never says that Δw becomes v. With both mended:
path = lab.descend(RMSProp(0.1, rho=0.9, eps=0.0, momentum=0.9, nesterov=True), slope, 2.0, 3)
print(path.ravel()[1:].round(7))
# %%
# * S2 says "historical squared values" and means squared gradients, and counts t in epochs where r
#   moves every batch.
