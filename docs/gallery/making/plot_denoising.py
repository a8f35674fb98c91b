"""
An autoencoder takes noise away
===============================

A network that has to say what an image looked like before noise came upon it learns what images
look like. ``GaussianNoise`` is a layer: it adds new noise at each step of the training, and nothing
when it predicts.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, layers, optimizers, schedules

(X, y), (X_test, y_test) = data.load("digits")
X, X_test = (x.reshape(len(x), 64) / np.float32(16) for x in (X, X_test))

coder = steep.Sequential(layers.Dense(128, "relu"), layers.Dense(24, "relu"), name="coder")
maker = steep.Sequential(layers.Dense(128, "relu"), layers.Dense(64, "sigmoid"), name="maker")
net = steep.Sequential(layers.GaussianNoise(0.4), coder, maker)
adam = optimizers.Adam(schedules.Cosine(3e-3, over=150, unit="epoch"))
trainer = steep.Trainer(net, "mse", adam, seed=0)
trainer.fit(X, X, epochs=150, batch_size=32, progress=False)

# %%
# Test images with noise of several strengths
# -------------------------------------------

random = np.random.default_rng(0)
levels = (0.2, 0.4, 0.6)
fig = plt.figure(figsize=(11, 4))
left, right = fig.subfigures(1, 2, width_ratios=(3, 2))
panels = left.subplots(3, 6)
for row, level in zip(panels, levels, strict=True):
    noisy = X_test[:3] + random.normal(0, level, (3, 64)).astype(np.float32)
    pairs = np.stack([noisy, net.predict(noisy)], axis=1).reshape(6, 8, 8)
    for panel, image in zip(row, pairs, strict=True):
        panel.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        panel.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"noise {level}")
for k, panel in enumerate(panels[0]):
    panel.set_title(("noisy", "cleaned")[k % 2], fontsize=9)

ax = right.subplots()
scale = np.linspace(0, 0.8, 9)
before, after = [], []
for level in scale:
    noisy = X_test + random.normal(0, level, X_test.shape).astype(np.float32)
    before.append(np.sqrt(np.mean((noisy - X_test) ** 2)))
    after.append(np.sqrt(np.mean((net.predict(noisy) - X_test) ** 2)))
ax.plot(scale, before, "o--", label="noisy image")
ax.plot(scale, after, "s-", label="after the network")
ax.set(
    xlabel="standard deviation of the noise, of a range of 1", ylabel="distance to the clean image"
)
ax.legend()
plt.show()

# %%
# **What to see:** on the left, pairs of a noisy test image and what the network makes of it. On the
# right, the error: below 0.15 the 24 numbers of the code lose more than the noise does, from there
# on the network wins.
