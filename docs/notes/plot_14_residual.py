"""
Shortcuts
=========

A residual block gives x + F(x) instead of F(x). Its derivative is 1 + F'(x): whatever becomes of F'
on the way through fifty layers, the 1 passes the gradient on.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, initializers, lab, layers
from steep.optimizers import Adam

(X, y), _ = data.load("digits")
chosen = np.flatnonzero(y < 3)[:150]
X = X[chosen].reshape(len(chosen), 8, 8).mean(2) / 16  # the sums of rows: eight numbers
X, y = (X - X.mean(0)).astype(np.float32), y[chosen]


def deep(residual, depth=56, width=16):
    def block():
        body = layers.Dense(width, "tanh", init=initializers.Normal(0.5 / width**0.5))
        return layers.Residual(body) if residual else body

    first = layers.Dense(width, init="xavier")
    return steep.Sequential(first, *(block() for _ in range(depth)), layers.Dense(3)).build(
        (8,), seed=3
    )


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for name, line in (("plain", "--"), ("residual", "-")):
    flow = lab.gradient_flow(deep(name == "residual"), X, y, "cross_entropy")
    left.semilogy([found.norm for found in flow], line, label=name)
    trainer = steep.Trainer(deep(name == "residual"), "cross_entropy", Adam(1e-3))
    history = trainer.fit(X, y, epochs=30, progress=False).history
    right.plot(history["loss"], line, label=name)
    print(f"{name:8} first gradient {flow[0].norm:.1e}, training loss {history['loss'][-1]:.3f}")
left.set(xlabel="layer", ylabel="norm of its gradient, before training")
right.axhline(np.log(3), color="#999999", linestyle=":", label="guessing, ln 3")
right.set(xlabel="epoch", ylabel="loss on the samples it learns from")
right.legend()

# %%
# The plain network is no better than guessing *on its own training samples*. That is no
# overfitting: it is not trained at all. With shortcuts, which have no parameters, the same layers
# learn. The experiment of the paper, with plain and residual networks of 20 and 56 convolutions on
# images, is on :doc:`a page of its own </depth>`.

# %%
# Where F is 0 the block is the identity, for values and for gradients:
net = steep.Sequential(layers.Residual(layers.Dense(4, init=0.0)), input_shape=(4,)).build()
x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
print("x + F(x) == x:", np.array_equal(net.predict(x), x))

# %%
# Add or put beside
# -----------------
# DenseNet does not add: it hands all earlier features on, beside the new ones. Each layer then sees
# all that came before it, and the loss reaches every layer in one step.
image = steep.Input(8)
features = image
for _ in range(4):
    features = steep.ops.concat([features, layers.Dense(4, "relu")(features)])
dense = steep.Model(image, layers.Dense(3)(features))
dense.plot()

# %%
# In the notes
# ------------
# The legend of DenseNet's picture says "+ : element-wise addition". Its own text, and the paper,
# concatenate. Both can be had: ``steep.models.densenet(join="add")``.
