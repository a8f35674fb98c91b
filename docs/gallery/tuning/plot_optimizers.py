"""
Optimizers on surfaces
======================

The same rules that train networks, run in float64 on functions of two numbers, where one can watch
them: ``lab.plot_paths``.
"""

from steep import lab
from steep.optimizers import SGD, Adam, RMSProp

# %%
# A ravine: (x² + 100y²)/2
# ------------------------
# Plain descent must keep its rate below 2/100 for the steep axis and creeps along the flat one;
# momentum adds up what the small steps have in common.

ravine = lab.surfaces.quadratic(100.0)
rules = {"SGD": SGD(0.015), "momentum .9": SGD(0.015, 0.9), "Adam": Adam(0.1)}
picture = lab.plot_paths(ravine, rules, start=(-2.5, 1.0), steps=80)

# %%
# Rosenbrock's bent valley
# ------------------------

rules = {
    "SGD": SGD(1e-3),
    "momentum .9": SGD(1e-3, 0.9),
    "RMSProp": RMSProp(0.01),
    "Adam": Adam(0.1),
}
valley = lab.plot_paths("rosenbrock", rules, steps=200)

# %%
# Where it ends depends on where it begins: Himmelblau's four minima
# ------------------------------------------------------------------

rules = {"SGD": SGD(0.01), "momentum .9": SGD(0.01, 0.9), "Adam": Adam(0.3)}
minima = lab.plot_paths("himmelblau", rules, start=(0.0, -0.5), steps=60)

# %%
# **What to see:** on the left of each picture the paths, on the right how far the loss has fallen
# at each step. In the ravine momentum swings along the steep axis and still gains on plain descent
# by the flat one; in the bent valley it alone arrives; and of Himmelblau's minima, all equally
# deep, it is carried to another one than the rest.
