"""
A convolutional network for digits
==================================

Two convolutions, a pool and a dense layer on images of 8 by 8 pixels: the smallest complete image
classifier, with a look at what it gets wrong.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, layers, optimizers, schedules

(X, y), (X_test, y_test) = data.load("digits")
print(X.shape, X.dtype, "labels", np.unique(y))

net = steep.Sequential(
    layers.Rescale(1 / 16),
    layers.Conv2D(16, 3, activation="relu"),
    layers.Conv2D(32, 3, activation="relu"),
    layers.MaxPool2D(2),
    layers.Flatten(),
    layers.Dropout(0.3),
    layers.Dense(10),
)
adam = optimizers.Adam(schedules.Cosine(3e-3, over=15, unit="epoch"))
trainer = steep.Trainer(net, "cross_entropy", adam, seed=0)
history = trainer.fit(X, y, epochs=15, batch_size=32, validation=(X_test, y_test), progress=False)
print(net.summary())

# %%
# The course of the training
# --------------------------

curve = history.plot()

# %%
# The digits it is least sure about
# ---------------------------------

logits = net.predict(X_test)
chances = np.exp(logits - logits.max(1, keepdims=True))
chances /= chances.sum(1, keepdims=True)
print(f"{(chances.argmax(1) == y_test).sum()} of {len(y_test)} right")

fig, panels = plt.subplots(2, 6, figsize=(9, 3.6))
for panel, i in zip(panels.flat, np.argsort(chances[np.arange(len(y_test)), y_test]), strict=False):
    panel.imshow(X_test[i], cmap="gray_r")
    guess = chances[i].argmax()
    colour = "k" if guess == y_test[i] else "C1"
    panel.set_title(
        f"a {y_test[i]}, guessed {guess}\nby {100 * chances[i, guess]:.0f} %", color=colour
    )
    panel.axis("off")
plt.show()

# %%
# **What to see:** in the curves, the gap between training and validation stays narrow. Below, the
# twelve test images to whose true class the network gives the least probability, the wrong ones
# with orange titles: most would make a reader hesitate, too.
