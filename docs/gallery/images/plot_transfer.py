"""
Transfer: a body that has learned, a new head
=============================================

Digits lie anywhere on a sheet. A convolutional network learns 0 to 4 from many such sheets; its
body, frozen or not, then serves another network that is to tell 5 to 9 apart from a handful of
images.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, layers

random = np.random.default_rng(0)


def sheets(images):
    """Return images of 14 by 14 pixels with a digit anywhere."""
    made = np.zeros((len(images), 14, 14), np.uint8)
    for sheet, image, (i, j) in zip(
        made, images, random.integers(0, 7, (len(images), 2)), strict=True
    ):
        sheet[i : i + 8, j : j + 8] = image
    return made


(X, y), (X_test, y_test) = data.load("digits")
old, new, test = y < 5, y >= 5, y_test >= 5
X_old, y_old = sheets(np.repeat(X[old], 4, axis=0)), np.repeat(y[old], 4)
X_new, y_new = sheets(X[new]), y[new] - 5
held = sheets(X_test[test]), y_test[test] - 5


def body():
    """Return the part that looks at images."""
    looks = [layers.Conv2D(n, 3, activation="relu") for n in (16, 32, 48)]
    pools = [layers.MaxPool2D(2), layers.MaxPool2D(2), layers.Flatten()]
    order = [layer for pair in zip(looks, pools, strict=True) for layer in pair]
    return steep.Sequential(layers.Rescale(1 / 16), *order, name="body")


learned = body()
first = steep.Sequential(learned, layers.Dropout(0.2), layers.Dense(5))
trainer = steep.Trainer(first, "cross_entropy", "adam", seed=0)
history = trainer.fit(X_old, y_old, epochs=12, progress=False)
print(f"digits 0 to 4: {100 * history.history['accuracy'][-1]:.1f} % right")

# %%
# The same few images for a new body, and for the one that has learned
# --------------------------------------------------------------------


def accuracy(count, seed, way):
    """Return how many test images are right, in per cent, after training on `count` a class."""
    draw = np.random.default_rng(seed)
    of = [draw.permutation(np.flatnonzero(y_new == k))[:count] for k in range(5)]
    part = body()
    net = steep.Sequential(part, layers.Dense(5)).build((14, 14), seed=seed)
    if way != "new body":
        part.load_state_dict(learned.state_dict())
    if way == "learned, frozen":
        net.freeze("body")
    trainer = steep.Trainer(net, "cross_entropy", "adam", l2=1e-3, seed=seed)
    chosen = np.concatenate(of)
    trainer.fit(X_new[chosen], y_new[chosen], epochs=80, batch_size=16, progress=False)
    return 100 * trainer.evaluate(*held)["accuracy"]


counts, ways = (1, 2, 4, 8, 16, 32), ("new body", "learned, frozen", "learned, trained on")
fig, ax = plt.subplots(figsize=(6.4, 4))
for way, line in zip(ways, ("o--", "s-", "^:"), strict=True):
    each = np.array([[accuracy(count, seed, way) for seed in range(4)] for count in counts])
    ax.plot(counts, each.mean(1), line, label=way)
    print(way, each.mean(1).round(1))
ax.axhline(20, color="0.5", lw=0.8)
ax.text(32, 20.7, "guessing", color="0.4", ha="right")
ax.set(xlabel="images of each new digit", ylabel="right, % of test images", xscale="log")
ax.set_xticks(counts, map(str, counts))
ax.legend(loc="upper left")
plt.show()

# %%
# **What to see:** means of four draws. That a stroke is a stroke wherever it lies, the body has
# learned from 0 to 4; with few images that decides. With more of them it pays to let the body learn
# on, too.
