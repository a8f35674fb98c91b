"""
Regression with intervals
=========================

One number is not enough where the noise depends on x. A network with three outputs learns the 5 %,
50 % and 95 % quantiles at once, by a loss of your own: the pinball loss is compiled into the
network.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import layers, losses, ops, optimizers, schedules

random = np.random.default_rng(0)


def measured(n):
    """Return places and values whose noise grows to the right."""
    x = random.uniform(0, 1, (n, 1))
    return x, np.sin(6 * x) + (0.05 + 0.5 * x**2) * random.standard_normal((n, 1))


x, y = measured(1500)
LEVELS = (0.05, 0.5, 0.95)


def pinball(q, t):
    """Cost `level` for each unit below the value, `1 - level` for each above."""
    costs = []
    for level, one in zip(LEVELS, ops.split(q, 3), strict=True):
        error = t - one
        below, above = ops.activation(error, "relu"), ops.activation(-error, "relu")
        costs.append(level * below + (1 - level) * above)
    return ops.concat(costs)


net = steep.Sequential(layers.Dense(64, "silu"), layers.Dense(64, "silu"), layers.Dense(3))
adam = optimizers.Adam(schedules.Cosine(5e-3, over=200, unit="epoch"))
trainer = steep.Trainer(net, losses.Custom(pinball, target=(1,)), adam, seed=0)
trainer.fit(x, y, epochs=200, batch_size=64, progress=False)

# %%
# Does the interval hold what it says?
# ------------------------------------

new, values = measured(5000)
low, _, high = net.predict(new).T
inside = (values[:, 0] > low) & (values[:, 0] < high)
print(f"{100 * inside.mean():.1f} % of new values are in the interval of 90 %")

edges = np.linspace(0, 1, 9)
parts = np.digitize(new[:, 0], edges) - 1
held = [100 * inside[parts == k].mean() for k in range(8)]

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
places = np.linspace(0, 1, 300)[:, None]
low, middle, high = net.predict(places).T
left.scatter(x, y, s=4, color="0.6", label="training samples")
left.plot(places, middle, label="median")
left.fill_between(places[:, 0], low, high, alpha=0.25, label="90 % interval")
left.set(xlabel="x", ylabel="y")
left.legend(loc="lower left")
right.bar(edges[:-1] + 1 / 16, held, width=0.1)
right.axhline(90, color="C1", ls="--", label="what it should be")
right.set(xlabel="x", ylabel="new values inside, %", ylim=(0, 100))
right.legend(loc="upper center", bbox_to_anchor=(0.5, 1.13))
plt.show()

# %%
# **What to see:** the band widens with the noise, though nobody told the network how. On the right,
# about nine of ten new values lie inside it everywhere, not only on average.
