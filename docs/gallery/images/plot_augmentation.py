"""
More images from few: augmentation
==================================

The training images are in the middle of a sheet, those of the test lie a few pixels off, as a
camera would have them. ``data.Augment`` shifts images while they are read, anew in each epoch, and
costs next to nothing.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, layers, schedules
from steep.optimizers import SGD, Adam

(X, y), (X_test, y_test) = data.load("digits")
random = np.random.default_rng(0)
few, labels = np.pad(X[:300], ((0, 0), (3, 3), (3, 3))), y[:300]
sheets = np.zeros((len(X_test), 14, 14), np.uint8)
for sheet, image, (row, column) in zip(
    sheets, X_test, random.integers(0, 7, (len(X_test), 2)), strict=True
):
    sheet[row : row + 8, column : column + 8] = image
changing = data.Augment(shift=3)  # digits are not to be mirrored: no flip


def run(augment, seed):
    """Return the validation accuracy by epoch, in per cent."""
    net = steep.Sequential(
        layers.Rescale(1 / 16),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPool2D(2),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPool2D(2),
        layers.Flatten(),
        layers.Dense(10),
    )
    adam = Adam(schedules.Cosine(3e-3, over=60, unit="epoch"))
    trainer = steep.Trainer(net, "cross_entropy", adam, seed=seed)
    history = trainer.fit(
        few, labels, epochs=60, batch_size=20, validation=(sheets, y_test), augment=augment,
        progress=False,
    )  # fmt: skip
    return 100 * np.array(history.history["val_accuracy"])


curves = {
    name: np.array([run(augment, seed) for seed in range(3)])
    for name, augment in {"as they are": None, "augmented": changing}.items()
}
for name, each in curves.items():
    print(f"{name}: {each[:, -1].mean():.1f} % of the test images right, mean of three seeds")

# %%
# What the network gets to see
# ----------------------------
# The gradient of a linear unit is its input: one step up from zeros leaves the very image that was
# read.


def seen(seed):
    """Return the first of the images as one epoch reads it."""
    net = steep.Sequential(layers.Flatten(), layers.Dense(1, use_bias=False, init=0.0, name="unit"))
    climber = steep.Trainer(net, "mean", SGD(1.0, maximize=True), seed=seed)
    climber.fit(few[:1], epochs=1, augment=changing, progress=False)
    return net.state_dict()["unit.weight"].reshape(14, 14)


fig = plt.figure(figsize=(10, 3.8))
left, right = fig.subfigures(1, 2)
for k, panel in enumerate(left.subplots(2, 3).flat):
    panel.imshow(few[0] if k == 0 else seen(k), cmap="gray_r")
    panel.set(xticks=[], yticks=[], title="the image" if k == 0 else f"as read, seed {k}")
ax = right.subplots()
epochs = np.arange(1, 61)
for (name, each), line in zip(curves.items(), ("--", "-"), strict=True):
    ax.plot(epochs, each.mean(0), line, label=name)
    ax.fill_between(epochs, each.min(0), each.max(0), alpha=0.2)
ax.set(xlabel="epoch", ylabel="right, % of test images", ylim=(0, 100))
ax.legend(loc="lower right")
plt.show()

# %%
# **What to see:** on the left, one image and five of the forms in which it is read. On the right,
# means of three seeds with the range between them: for the same labels most of the displaced images
# are right.
