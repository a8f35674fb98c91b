"""
The computation graph
=====================

Backpropagation is the chain rule on a graph of operations. Every node knows only its own
derivative; the gradient of the loss walks from the end to the beginning, and is multiplied by one
node's derivative after the other.
"""

import numpy as np
import steep
from steep import lab, layers
from steep.optimizers import SGD


# %%
# The example of the lecture: z = w₁ + w₂, then L = z·w₃. As a layer of steep it is written as it
# stands there.
class SumTimes(layers.Layer):
    """(w1 + w2)·w3 of an input that is 1."""

    def call(self, x):
        w1, w2, w3 = (self.parameter(name, 1, init=0.0) for name in ("w1", "w2", "w3"))
        return (x * w1 + x * w2) * w3


net = steep.Sequential(SumTimes(), input_shape=(1,)).build()
net.load_state_dict(dict(zip(net.state_dict(), ([-2.0], [5.0], [-4.0]), strict=True)))
print("L =", net.predict(np.ones((1, 1)))[0, 0])

# %%
# ∂L/∂w₁ = ∂L/∂w₂ = w₃ and ∂L/∂w₃ = w₁ + w₂. The distance of L from a target far below has the slope
# 1, so the gradients of the trainer are those of L itself:
trainer = steep.Trainer(net, "mae", SGD(1.0), precision="float64")
_, gradients = trainer.gradients(np.ones((1, 1)), np.full((1, 1), -1e4))
print({name: float(g[0]) for name, g in gradients.items()})

# %%
# Descent with the rate 1 then changes w to (2, 9, -7). L falls from -12 to -77, and on, ever
# faster: it has no minimum. `lab.behaviour` says so, and training stops with an error that names
# the step rather than with NaN.


def gradient(w):
    return np.array([w[2], w[2], w[0] + w[1]])


path = lab.descend(SGD(1.0), gradient, [-2.0, 5.0, -4.0], 3)
for k, w in enumerate(path):
    print(f"w({k}) = {w},  L = {(w[0] + w[1]) * w[2]:g},  gradient {gradient(w)}")
print(lab.behaviour(lab.descend(SGD(1.0), gradient, [-2.0, 5.0, -4.0], 9)))

# %%
# A neuron
# --------
# f = σ(w₀x₀ + w₁x₁ + w₂). Its slope is f(1 - f), which every factor of the way back shares.
neuron = steep.Sequential(layers.Dense(1, "sigmoid"), input_shape=(2,)).build()
names = list(neuron.state_dict())
neuron.load_state_dict({names[0]: [[2.0], [-3.0]], names[1]: [-3.0]})
x = np.array([[-1.0, -2.0]])
trainer = steep.Trainer(neuron, "mae", SGD(1.0), precision="float64")
_, gradients = trainer.gradients(x, np.full((1, 1), -1e4))
print(f"f = {neuron.predict(x)[0, 0]:.9f}")
print({name: g.ravel().round(9) for name, g in gradients.items()})

# %%
# Where a value is used twice, the gradients of both ways add up; forgetting one is the most common
# error by hand. `lab.check_gradients` compares any network with central differences:


class Twice(layers.Layer):
    """tanh(w1·x) is used by two branches."""

    def call(self, x):
        w1, w4, w5 = (self.parameter(name, 4, init=0.5) for name in ("w1", "w4", "w5"))
        z = steep.ops.activation(x * w1, "tanh")
        return z * w4 + z * z * w5


X, y = np.random.default_rng(0).standard_normal((2, 8, 4))
error = lab.check_gradients(steep.Sequential(Twice(), input_shape=(4,)), X, y, "mse")
print(f"largest relative error: {error:.1e}")

# %%
# How much work is it? One derivative for each sample and weight: 10,000 samples and 10 weights are
# 100,000 an epoch, and 100,000,000 in a thousand of them, as one of the notes counts.
print(f"{lab.count_derivatives(samples=10_000, weights=10, epochs=1000):,}")

# %%
# The graph of any network is drawn by ``net.plot()``:
x = steep.Input(8)
hidden = layers.Dense(16, "relu")(x)
deep = steep.Model(x, layers.Dense(3)(layers.Residual(layers.Dense(16, "tanh"))(hidden)))
deep.plot()

# %%
# In the notes
# ------------
# One of them prints L = -4 + 3 = -12 for this graph: the node is a product, -4·3.
