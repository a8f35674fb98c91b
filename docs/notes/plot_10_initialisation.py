"""
Where to begin
==============

Weights that are all alike stay alike: every unit of a layer computes the same and gets the same
gradient. So they begin at random. How large? Such that neither the signal forwards nor the gradient
backwards grows or fades.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, initializers, lab, layers

(X, y), (Xv, yv) = data.load("digits")
X, Xv = (part.reshape(len(part), -1).astype(np.float32) / 16 for part in (X, Xv))

# %%
# Alike
# -----
same = initializers.Constant(0.1)
for following in (same, "xavier"):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        net = steep.Sequential(
            layers.Dense(16, "tanh", init=same), layers.Dense(10, init=following)
        )
        trainer = steep.Trainer(net, "cross_entropy", "adam")
        trainer.fit(X, y, epochs=10, progress=False)
    kinds = len(np.unique(net.state_dict()["dense.weight"].round(6), axis=1).T)
    accuracy = trainer.evaluate(Xv, yv)["accuracy"]
    print(f"next layer {following}: {kinds} of 16 units differ, accuracy {accuracy:.3f}")
print(said[0].message)

# %%
# Sixteen equal units in front of equal weights are one unit, for ever, and ten classes do not go
# through it. Where only the first layer is constant, the weights that follow tell its units apart,
# and they separate.

# %%
# How large
# ---------
# A sum of n products of unit numbers has the variance n·Var(w). Xavier Glorot and Yoshua Bengio
# (2010) keep it at 1 on the way there and on the way back, Var(w) = 2/(n_in + n_out); He et al.
# (2015) give back the half that ReLU takes: Var(w) = 2/n_in.
ways = {
    "N(0, .01)": initializers.Normal(0.01),
    "xavier": "xavier",
    "he": "he",
    "N(0, .25)": initializers.Normal(0.25),
}
figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for panel, kind in zip(panels, ("tanh", "relu"), strict=True):
    for (name, init), line in zip(ways.items(), (":", "-", "--", "-."), strict=True):
        flow = X[:256]
        spread = []
        for depth in range(15):
            net = steep.Sequential(layers.Dense(64, kind, init=init)).build((64,), seed=depth)
            flow = net.predict(flow)
            spread.append(np.sqrt((flow**2).mean()))
        panel.semilogy(range(1, 16), spread, line, label=name)
    panel.set(xlabel="layer", title=kind)
panels[0].set_ylabel("root mean square of its outputs")
panels[0].legend(fontsize=8)

# %%
# It is the difference between learning and not. Ten ReLU layers on the digits:
for name, init in ways.items():
    body = (layers.Dense(64, "relu", init=init) for _ in range(10))
    trainer = steep.Trainer(
        steep.Sequential(*body, layers.Dense(10)), "cross_entropy", "adam", seed=0
    )
    trainer.fit(X, y, epochs=10, progress=False)
    print(f"{name:10} accuracy on held-out digits {trainer.evaluate(Xv, yv)['accuracy']:.3f}")

# %%
# Looking instead of computing: `lab.lsuv` scales each layer until its outputs really have variance
# 1 on some data.
body = (layers.Dense(64, "relu", init=initializers.Normal(0.01)) for _ in range(10))
net = steep.Sequential(*body, layers.Dense(10)).build((64,))
found = lab.lsuv(net, X[:256])
print([f"{one.name}: {one.variance:.2f} after {one.tries}" for one in found[:3]])

# %%
# In the notes
# ------------
# * S2's first Xavier, U(±√(6/n_in)), is what others call He's uniform. Here it is
#   ``init="xavier_in"``; ``"xavier"`` is U(±√(6/(n_in + n_out))). With 6 inputs the first, with 2
#   and 4 the second reach to ±1:
for init, inputs, units in (("xavier_in", 6, 5000), ("xavier", 2, 4)):
    net = steep.Sequential(layers.Dense(units, init=init)).build((inputs,), seed=0)
    w = net.state_dict()["dense.weight"]
    print(f"{init}: {inputs} inputs, {units} outputs, largest weight {abs(w).max():.4f}")
# %%
# * The second argument of N(0, √(2/n_in)) is the deviation there, not the variance: ½ for 8 inputs.
