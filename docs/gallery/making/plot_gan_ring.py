"""
A GAN finds eight points
========================

A generator turns two random numbers into a point of the plane, a discriminator tells such points
from drawn ones; ``steep.GAN`` trains both. Does the generator find all eight places, or does it
settle for some?
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import initializers, layers
from steep.optimizers import Adam

angles = np.arange(8) * np.pi / 4
centres = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
random = np.random.default_rng(0)
X = centres[random.integers(0, 8, 32_000)] + 0.05 * random.standard_normal((32_000, 2))

small = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def dense(units, activation=None):
    """Return a layer whose weights begin small."""
    return layers.Dense(units, activation, init=small)


generator = steep.Sequential(dense(64, "relu"), dense(64, "relu"), dense(2))
leaky = [dense(64, layers.LeakyReLU(0.2)) for _ in range(2)]
rules = Adam(1e-3, beta1=0.5), Adam(1e-3, beta1=0.5)
game = steep.GAN(generator, steep.Sequential(*leaky, dense(1)), latent=2, optimizers=rules, seed=0)


def met(points):
    """Return how many places have samples near, and which share of the samples is near one."""
    far = np.linalg.norm(points[:, None] - centres, axis=2)
    near = far.min(1) < 0.15
    return len(set(far.argmin(1)[near])), 100 * near.mean()


# %%
# Look at samples between epochs
# ------------------------------

fig, panels = plt.subplots(1, 5, figsize=(12, 2.9), sharex=True, sharey=True)
for panel, epochs in zip(panels, (0, 1, 4, 10, 25), strict=True):
    if epochs:
        game.fit(X, epochs=epochs, batch_size=256, progress=False)
    points = game.sample(1000, seed=1)
    places, share = met(points)
    panel.scatter(*points.T, s=3, alpha=0.4)
    panel.plot(*centres.T, "x", color="C1", ms=7)
    done = sum(e for e in (0, 1, 4, 10, 25) if e <= epochs)
    panel.set(title=f"{done * 125} steps\n{places} of 8, {share:.0f} % near", aspect="equal")
    panel.set(xlim=(-3, 3), ylim=(-3, 3))
plt.show()

# %%
# **What to see:** the generator's samples (blue) leave the middle, sweep over the ring and settle
# on the eight crosses. The last few per cent lie on the ways between: a continuous function of the
# noise cannot jump.
