"""
Vanishing and exploding gradients
=================================

On the way back the gradient is multiplied by one factor a layer. Five factors of .05 leave 3·10⁻⁷
of it, five of 15 make 759,375 of it.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, initializers, lab, layers

for factor in (0.05, 15.0):
    print(factor, "->", lab.chain_gradients([factor] * 5))

# %%
# In a layer the factor is its matrix times the slope of its activation. A sigmoid's slope is at
# most ¼, a tanh's 1, a ReLU's 0 or 1. Twenty layers on the digits, before any training: the norm of
# each layer's gradient.
(X, y), _ = data.load("digits")
X = X.reshape(len(X), -1).astype(np.float32) / 16
x = np.linspace(-5, 5, 200)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for kind, line in (("sigmoid", "-"), ("tanh", "--"), ("relu", ":")):
    f = {"sigmoid": 1 / (1 + np.exp(-x)), "tanh": np.tanh(x), "relu": np.maximum(x, 0)}[kind]
    left.plot(x, np.gradient(f, x), line, label=kind)
    net = steep.Sequential(*(layers.Dense(64, kind) for _ in range(20)), layers.Dense(10))
    flow = lab.gradient_flow(net, X[:256], y[:256], "cross_entropy")
    right.semilogy([found.norm for found in flow], line, marker="o", markersize=3, label=kind)
left.set(xlabel="z", ylabel="slope of the activation")
right.set(xlabel="layer", ylabel="norm of its gradient", xticks=range(0, 21, 5))
left.legend()

# %%
# `lab.gradient_flow` says it in words, too:
net = steep.Sequential(*(layers.Dense(64, "sigmoid") for _ in range(8)), layers.Dense(10))
print(lab.gradient_flow(net, X[:256], y[:256], "cross_entropy").report())

# %%
# At a given activation it is the scale of the weights that decides. In linear layers the gradient
# of a weight is the signal that arrived times the error that came back, so that all twenty have the
# same norm: about the stretch of one matrix to the power of 20. Half of the right scale loses a
# million, one and a half makes ten thousand.
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for scale, line in ((0.5, ":"), (1.0, "-"), (1.5, "--"), (3.0, "-.")):
    init = initializers.Normal(
        scale / 8
    )  # 8 is the root of the width: the matrix stretches by `scale`
    body = (layers.Dense(64, init=init) for _ in range(20))
    net = steep.Sequential(*body, layers.Dense(10))
    flow = lab.gradient_flow(net, X[:256], y[:256], "cross_entropy")
    axes.semilogy([found.norm for found in flow], line, label=f"{scale:g}/√n")
axes.set(xlabel="layer", ylabel="norm of its gradient", xticks=range(0, 21, 5))
axes.legend(fontsize=8, title="deviation of weights")

# %%
# What helps: :ref:`the scale of the first weights
# <sphx_glr_generated_notes_plot_10_initialisation.py>`, activations with a slope of 1,
# :ref:`shortcuts <sphx_glr_generated_notes_plot_14_residual.py>`, normalisation, and for those that
# explode :ref:`clipping <sphx_glr_generated_notes_plot_08_clipping.py>`.
