"""
A class for every pixel: a U-Net
================================

Drawn "cells" on an uneven, noisy ground, and labels of three classes for every pixel: ground, cell
and the rim between. ``models.unet`` looks at several scales and joins them again.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import losses, metrics, models, optimizers, schedules

SIZE = 32
rows, columns = np.mgrid[:SIZE, :SIZE]


def drawn(count, seed):
    """Return images (N, 32, 32) and the class of every pixel."""
    random = np.random.default_rng(seed)
    images, classes = (
        np.zeros((count, SIZE, SIZE), np.float32),
        np.zeros((count, SIZE, SIZE), np.uint8),
    )
    for image, labels in zip(images, classes, strict=True):
        image[:] = random.normal(0, 0.25, image.shape) + 0.02 * random.normal() * rows
        for _ in range(random.integers(2, 5)):
            centre, radii = random.uniform(5, SIZE - 5, 2), random.uniform(4, 7, 2)
            far = np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1])
            image[far < 1] += 0.6
            labels[(far >= 0.75) & (far < 1) & (labels == 0)] = 2
            labels[far < 0.75] = 1
    return images, classes


X, y = drawn(256, seed=0)
X_test, y_test = drawn(64, seed=1)

net = models.unet(depth=2, filters=12, classes=3, batch_norm=True)
adam = optimizers.Adam(schedules.Cosine(5e-3, over=8, unit="epoch"))
loss = losses.CrossEntropy(class_weight=(1.0, 1.0, 2.0))  # rims have few pixels
trainer = steep.Trainer(net, loss, adam, seed=0)
history = trainer.fit(X, y, epochs=8, batch_size=16, progress=False)
print(f"{net.num_parameters} parameters")

# %%
# How well do guessed and true regions overlap?
# ---------------------------------------------

found = net.predict(X_test).argmax(-1)
each = metrics.iou(y_test, found)
print(
    "intersection over union:",
    dict(zip(("ground", "cell", "rim"), each.round(3).tolist(), strict=True)),
)

fig, panels = plt.subplots(3, 5, figsize=(9, 5.6))
for k, column in enumerate(panels.T):
    for panel, image, name in zip(
        column, (X_test[k], y_test[k], found[k]), ("image", "labels", "found"), strict=True
    ):
        panel.imshow(image, **({"cmap": "gray"} if name == "image" else {"vmin": 0, "vmax": 2}))
        panel.set(xticks=[], yticks=[])
        if k == 0:
            panel.set_ylabel(name)
plt.show()

# %%
# **What to see:** compare the second and third rows, which show ground (dark), cell (grey) and rim
# (yellow) of test images. Cells are found whole; what differs is a pixel here and there in the
# rims.
