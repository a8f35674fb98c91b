"""
Signals: dilated convolutions along time
========================================

Three kinds of pulses hide in noise, each somewhere in 256 samples of a signal. Causal convolutions
with growing gaps see far back with few weights, and never look ahead.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import layers, optimizers, schedules

LENGTH, KINDS = 256, ("chirp", "decay", "square")
t = np.arange(48)
PULSES = np.stack(
    [
        np.sin(2 * np.pi * t * (0.03 + 0.002 * t)) * np.hanning(48),
        np.sin(2 * np.pi * t * 0.12) * np.exp(-t / 14),
        np.sign(np.sin(2 * np.pi * t * 0.08)) * np.hanning(48),
    ]
)


def signals(count, noise, seed):
    """Return signals (N, 256), the kind of the pulse in each, and where it begins."""
    random = np.random.default_rng(seed)
    kinds, begin = random.integers(0, 3, count), random.integers(0, LENGTH - 48, count)
    X = random.normal(0, noise, (count, LENGTH)).astype(np.float32)
    for row, kind, start in zip(X, kinds, begin, strict=True):
        row[start : start + 48] += PULSES[kind]
    return X, kinds, begin


X, y, _ = signals(1500, noise=0.5, seed=0)
body = [
    layers.Conv1D(12, 5, padding="causal", dilation=gap, activation="relu") for gap in (1, 2, 4, 8)
]
net = steep.Sequential(*body, layers.GlobalMaxPool1D(), layers.Dense(3))
adam = optimizers.Adam(schedules.OneCycle(0.01, over=8, unit="epoch"))
trainer = steep.Trainer(net, "cross_entropy", adam, seed=0)
trainer.fit(X, y, epochs=8, batch_size=32, progress=False)
print(net.summary())

# %%
# How much noise does it take?
# ----------------------------

levels = np.linspace(0.2, 1.6, 8)
right = [trainer.evaluate(*signals(500, level, seed=1)[:2])["accuracy"] for level in levels]

fig, panels = plt.subplots(1, 2, figsize=(10, 4))
X_new, y_new, begin = signals(12, noise=0.5, seed=2)
for k, kind in enumerate(KINDS):
    i = np.flatnonzero(y_new == k)[0]
    panels[0].plot(X_new[i] - 4 * k, color="0.6", lw=0.8)
    panels[0].plot(begin[i] + t, PULSES[k] - 4 * k, label=kind)
panels[0].set(xlabel="sample", yticks=[], ylim=(-10.5, 3.5))
panels[0].legend(loc="upper center", ncols=3)
panels[1].plot(levels, 100 * np.array(right), "o-")
panels[1].axhline(100 / 3, color="C1", ls="--")
panels[1].text(0.2, 35, "guessing", color="C1")
panels[1].axvline(0.5, color="0.5", ls=":")
panels[1].text(0.52, 40, "noise in training", color="0.4")
panels[1].set(xlabel="standard deviation of the noise", ylabel="right, %", ylim=(30, 101))
plt.show()

# %%
# **What to see:** on the left, what the network gets (grey), and in colour the pulse that it has to
# name, wherever it stands. On the right, it still works where the noise is as high as the pulses.
