"""
Tuning
======

Rate, batch, width, decay: what descent does not find by itself. Of these the learning rate matters
most, so it is looked for first; then several at once.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, lab, layers
from steep.optimizers import Adam

(X, y), (Xv, yv) = data.load("digits")
X, Xv = (part.reshape(len(part), -1).astype(np.float32) / 16 for part in (X, Xv))


def classifier(lr=0.01, units=32, l2=0.0, seed=0):
    net = steep.Sequential(layers.Dense(units, "relu"), layers.Dense(10))
    return steep.Trainer(net, "cross_entropy", Adam(lr), l2=l2, seed=seed)


# %%
# A rate test
# -----------
# Train a copy while the rate grows from step to step (Smith 2017). The loss falls where the rate is
# useful and rises where it is too large. The trainer stays as it was, byte for byte.
trainer = classifier()
found = lab.find_lr(trainer, X, y)
print(found)
figure = found.plot()

# %%
# Many at once
# ------------
# `lab.sweep` trains one network on each core, all on the same data. At random rather than on a
# grid: where only one of three settings matters, twenty random tries have twenty values of it, a
# grid of 27 has three (Bergstra and Bengio 2012).
space = {
    "lr": [float(f"{rate:.2g}") for rate in np.geomspace(1e-4, 0.3, 12)],
    "units": (8, 32, 128),
    "l2": (0.0, 1e-4, 1e-3),
}
swept = lab.sweep(classifier, space, X, y, n=40, validation=(Xv, yv), epochs=8)
print(swept.best)
figure = swept.plot()

# %%
# Successive halving gives every setting a little training and the better third three times as much,
# again and again. Every member goes on where it stopped.
halved = lab.sweep(classifier, space, X, y, n=40, method="halving", validation=(Xv, yv), epochs=9)
print(halved.best)

# %%
# Luck
# ----
# Two settings differ only if they differ by more than two seeds do.
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
repeated = lab.sweep(
    classifier, {"lr": (1e-3, 3e-3, 1e-2, 3e-2), "seed": range(8)}, X, y,
    method="grid", validation=(Xv, yv), epochs=8,
)  # fmt: skip
rates = sorted({row["lr"] for row in repeated.rows})
scores = [[row[repeated.score] for row in repeated.rows if row["lr"] == rate] for rate in rates]
axes.boxplot(scores, tick_labels=[f"{rate:g}" for rate in rates])
axes.set(xlabel="learning rate", ylabel=f"{repeated.score} of eight seeds")
for rate, score in zip(rates, scores, strict=True):
    print(f"rate {rate:g}: {np.mean(score):.4f} ± {np.std(score, ddof=1):.4f}")
