"""
A layer of your own
===================

A layer is a class that says, once, what it computes; steep derives the backward pass and compiles
it. Here units that answer near a centre of their own, a Gaussian each, draw a picture from
coordinates.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from sklearn.datasets import load_sample_image
from steep import initializers, lab, layers, ops, optimizers, schedules


class Gaussians(layers.Layer):
    """y = exp(-u^2 - v^2), u = x U + a, v = x V + b: each unit answers in an ellipse of its own."""

    def __init__(self, units, name=None):
        super().__init__(name)
        self.units = units

    def call(self, x):
        """Return the units' answers (N, units) to points (N, 2)."""
        wide = initializers.Uniform(12.0)
        total = 0.0
        for name in "uv":
            weight = self.parameter(f"weight_{name}", (x.shape[0], self.units), init=wide)
            shift = self.parameter(f"shift_{name}", (self.units,), init=wide)
            total = total + ops.square(x @ weight + shift)
        return ops.exp(-total)


photo = load_sample_image("flower.jpg")[20:420:5, 130:530:5] / np.float32(255)  # (80, 80, 3)
line = np.linspace(-1, 1, 80, dtype=np.float32)
points = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
colours = photo.reshape(-1, 3)


def drawn(*body):
    """Return the picture that a network has learned."""
    net = steep.Sequential(*body, layers.Dense(3))
    adam = optimizers.Adam(schedules.Cosine(0.01, over=30, unit="epoch"))
    trainer = steep.Trainer(net, "mse", adam, seed=0)
    trainer.fit(points, colours, epochs=30, batch_size=256, progress=False)
    error = trainer.evaluate(points, colours)["loss"]
    return net, np.clip(net.predict(points), 0, 1).reshape(photo.shape), -10 * np.log10(error)


pictures = {
    "ReLU, 2-256-256-3": drawn(layers.Dense(256, "relu"), layers.Dense(256, "relu")),
    "Gaussians, 2-256-3": drawn(Gaussians(256)),
}

# %%
# Is the derived gradient right? Central differences say so
# ---------------------------------------------------------

net = pictures["Gaussians, 2-256-3"][0]
print("largest relative error:", lab.check_gradients(net, points[:8], colours[:8], "mse"))

fig, panels = plt.subplots(1, 3, figsize=(10, 4.1))
panels[0].imshow(photo)
panels[0].set_title("the photograph")
for panel, (name, (made, image, decibels)) in zip(panels[1:], pictures.items(), strict=True):
    panel.imshow(image)
    panel.set_title(f"{name}\n{made.num_parameters} parameters, {decibels:.1f} dB")
for panel in panels:
    panel.axis("off")
plt.show()

# %%
# **What to see:** both networks have only seen coordinates and colours. ReLU units cut the plane by
# straight lines; the Gaussians put dabs of colour where they are needed, with far fewer numbers.
# dB: signal to noise, more is better.
