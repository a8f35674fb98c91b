"""
New digits from a variational autoencoder
=========================================

An encoder gives each image a place in the plane, a decoder turns places into images, and the
divergence keeps the places together, so that every one of them means something.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, models, optimizers, schedules

(X, y), (X_test, y_test) = data.load("digits")
X, X_test = X / np.float32(16), X_test / np.float32(16)

encoder, decoder = models.vae((8, 8), latent=2, units=(128, 64))
adam = optimizers.Adam(schedules.Cosine(2e-3, over=400, unit="epoch"))
vae = steep.VAE(encoder, decoder, latent=2, optimizer=adam, seed=0)
history = vae.fit(X, epochs=400, batch_size=64, progress=False)
found = vae.evaluate(X_test)
print({name: f"{value:.2f} nats" for name, value in found.items()})

# %%
# The plane of codes
# ------------------

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.8))
places = vae.encode(X_test)
colours = plt.get_cmap("tab10").colors
for digit in range(10):
    of = places[y_test == digit]
    left.scatter(*of.T, s=14, color=colours[digit], alpha=0.6)
    left.text(*np.median(of, axis=0), str(digit), size=15, weight="bold", ha="center", va="center")
left.set(xlabel="first number of the code", ylabel="second", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2))

line = np.linspace(-2.4, 2.4, 11, dtype=np.float32)
codes = np.stack(np.meshgrid(line, line[::-1]), axis=-1).reshape(-1, 2)
made = np.pad(vae.decode(codes), ((0, 0), (1, 1), (1, 1))).reshape(11, 11, 10, 10)
right.imshow(made.transpose(0, 2, 1, 3).reshape(110, 110), cmap="gray_r", extent=(-2.6, 2.6) * 2)
right.set(
    xlabel="first number of the code", ylabel="second", title="what the decoder makes of each place"
)
right.grid(visible=False)
plt.show()

# %%
# **What to see:** on the left, test images of one digit lie together, though no label was ever
# used. On the right, the decoder's image of each place: from digit to digit the shapes change
# without a break.
