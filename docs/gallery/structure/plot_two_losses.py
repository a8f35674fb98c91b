"""
Two outputs, two losses
=======================

One body, two heads: which digit is it, and by how many degrees was it turned? Each head has a loss
of its own, and ``loss_weights`` say how much each one counts.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from scipy.ndimage import rotate
from steep import data, layers

(X, y), (X_test, y_test) = data.load("digits")
keep = [np.isin(labels, (2, 3, 4, 5, 7)) for labels in (y, y_test)]
random = np.random.default_rng(0)


def turned(images):
    """Return the images turned at random, and the angles in degrees."""
    angles = random.uniform(-60, 60, len(images)).astype(np.float32)
    made = [rotate(i, a, reshape=False, order=1) for i, a in zip(images, angles, strict=True)]
    return np.array(made, np.float32) / 16, angles[:, None]


names = np.array([2, 3, 4, 5, 7])
X, y = np.repeat(X[keep[0]], 4, axis=0), np.repeat(np.searchsorted(names, y[keep[0]]), 4)
(X, angle), (X_test, angle_test) = turned(X), turned(X_test[keep[1]])
y_test = np.searchsorted(names, y_test[keep[1]])

image = steep.Input((8, 8))
x = layers.Conv2D(24, 3, activation="relu")(image)
x = layers.Conv2D(32, 3, activation="relu")(layers.MaxPool2D(2)(x))
x = layers.Dense(64, "relu")(layers.Flatten()(x))
heads = {"digit": layers.Dense(5, name="digit")(x), "angle": layers.Dense(1, name="angle")(x)}
net = steep.Model(image, heads)
trainer = steep.Trainer(
    net, {"digit": "cross_entropy", "angle": "huber"}, "adam", loss_weights={"angle": 2.0}, seed=0
)
history = trainer.fit(
    X, {"digit": y, "angle": angle / 60}, epochs=15, batch_size=64,
    validation=(X_test, {"digit": y_test, "angle": angle_test / 60}), progress=False,
).history  # fmt: skip
print({name: f"{values[-1]:.3f}" for name, values in history.items() if name.startswith("val")})

# %%
# Each loss by itself, and what the heads say
# -------------------------------------------

found = net.predict(X_test)
error = 60 * found["angle"] - angle_test
print(f"{100 * np.mean(found['digit'].argmax(1) == y_test):.1f} % right, "
      f"angles off by {np.median(np.abs(error)):.1f} degrees in the median")  # fmt: skip

fig = plt.figure(figsize=(11, 3.8))
curves, tiles = fig.subfigures(1, 2, width_ratios=(3, 2))
left, middle = curves.subplots(1, 2)
for name, line in (("digit_loss", "-"), ("angle_loss", "--")):
    left.plot(range(1, 16), history[f"val_{name}"], line, label=name)
left.set(xlabel="epoch", ylabel="validation loss", yscale="log")
left.legend()
middle.plot(angle_test, 60 * found["angle"], ".", ms=3)
middle.plot([-60, 60], [-60, 60], "C1--", label="right")
middle.set(xlabel="turned by, degrees", ylabel="guessed, degrees", aspect="equal")
middle.legend()
for k, panel in enumerate(tiles.subplots(3, 4).flat):
    panel.imshow(X_test[k], cmap="gray_r")
    panel.set_title(
        f"{names[found['digit'][k].argmax()]}, {60 * found['angle'][k, 0]:.0f}°", fontsize=9
    )
    panel.axis("off")
plt.show()

# %%
# **What to see:** both losses fall together, though one body serves both. In the middle the angles
# follow the line; the scatter is of digits that people, too, write at a slant. On the right, twelve
# test images with what the heads say.
