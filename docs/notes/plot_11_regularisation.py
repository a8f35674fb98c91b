"""
Against overfitting
===================

A model errs in two ways. Too simple, it misses the pattern whatever the data (bias); too rich, it
follows the samples it happens to have seen (variance). Regularisation makes a rich model prefer
simple answers.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import callbacks, data, lab, layers
from steep.optimizers import Adam

# %%
# Bias and variance
# -----------------
# A sine with noise, learned thirty times from other samples. The error of the mean model is the
# bias; how much the models differ is the variance. They add up to the error, exactly.
random = np.random.default_rng(0)
x = random.uniform(-1, 1, (400, 1))
noisy, places = np.sin(5 * x) + 0.2 * random.standard_normal(x.shape), np.linspace(-1, 1, 100)


def model(width, seed):
    net = steep.Sequential(layers.Dense(width, "tanh"), layers.Dense(1))
    return steep.Trainer(net, "mse", "lbfgs", seed=seed)


held = places[:, None], np.sin(5 * places)[:, None]
widths = (1, 2, 3, 5, 10, 30)
found = lab.capacity_curve(model, x, noisy, widths, validation=held, samples=30, epochs=200)
figure = found.plot()
print("squared bias", found.bias2.round(4))
print("variance    ", found.variance.round(4))

# %%
# The green and the red model of the lecture: a line and a curve that is too clever, on three
# samples of the data each.
figure, panels = plt.subplots(1, 3, figsize=(9, 2.8), sharey=True, layout="constrained")
for k, panel in enumerate(panels):
    chosen = random.permutation(400)[:12]
    panel.plot(x[chosen], noisy[chosen], "o", color="#000000", markersize=4)
    for width, line in ((1, "-"), (30, "--")):
        trainer = model(width, k)
        trainer.fit(x[chosen], noisy[chosen], epochs=300, progress=False)
        panel.plot(places, trainer.net.predict(places[:, None]), line, label=f"{width} hidden")
    panel.plot(places, np.sin(5 * places), color="#999999", linewidth=0.8, label="truth")
    panel.set(xlabel="x", ylim=(-2.2, 2.2), title=f"sample {k + 1}")
panels[0].legend(fontsize=7)

# %%
# Four ways against it
# --------------------
# 200 digits, and a network with many times more weights than samples. L_T = L + ½·λ₂·Σw² +
# λ₁·Σ\|w\|, over weights and not biases: a bias shifts and does not sharpen, and each has many
# samples to be learned from.
(X, y), (Xv, yv) = data.load("digits")
X, Xv = (part.reshape(len(part), -1).astype(np.float32) / 16 for part in (X[:200], Xv))


def digits(dropout=0.0, **options):
    drop = [layers.Dropout(dropout)] if dropout else []
    net = steep.Sequential(layers.Dense(128, "relu"), *drop, layers.Dense(10))
    return steep.Trainer(net, "cross_entropy", Adam(0.01), seed=0, **options)


ways = {
    "nothing": digits(),
    "dropout ½": digits(0.5),
    "L1 10⁻³": digits(l1=1e-3),
    "L2 10⁻²": digits(l2=1e-2),
    "early stopping": digits(),
}
figure, panels = plt.subplots(1, 5, figsize=(11, 2.8), sharey=True, layout="constrained")
for panel, (name, trainer) in zip(panels, ways.items(), strict=True):
    stop = [callbacks.EarlyStopping(patience=5)] if name == "early stopping" else []
    history = trainer.fit(
        X, y[:200], epochs=60, validation=(Xv, yv), callbacks=stop, progress=False
    ).history
    panel.semilogy(history["loss"], label="training")
    panel.semilogy(history["val_loss"], "--", label="validation")
    panel.fill_between(
        range(len(history["loss"])), history["loss"], history["val_loss"], alpha=0.15
    )
    end = trainer.evaluate(Xv, yv)
    panel.set(xlabel="epoch", title=f"{name}\nvalidation {end['loss']:.3f}")
    print(f"{name:15} validation loss {end['loss']:.3f}, accuracy {end['accuracy']:.3f}")
panels[0].set_ylabel("loss, without penalties")
panels[0].legend(fontsize=8)

# %%
# Here the penalties and early stopping lower the validation loss, and dropout, with 200 samples and
# one layer, raises it. Which one helps is a question to validation data, not to a rule.

# %%
# More data
# ---------
# The other way: the gap closes as samples come.
(X, y), held = data.load("digits")
X, held = X.reshape(len(X), -1) / 16, (held[0].reshape(len(held[0]), -1) / 16, held[1])


def small(seed):
    net = steep.Sequential(layers.Dense(32, "relu"), layers.Dense(10))
    return steep.Trainer(net, "cross_entropy", Adam(0.01), seed=seed)


sizes = (30, 100, 300, 1000, 1400)
curve = lab.learning_curve(small, X, y, sizes, validation=held, epochs=20)
figure = curve.plot()

# %%
# In the notes
# ------------
# * The penalties stand there without λ, as if it were 1; here 0 is the default and λ is the
#   argument. The ½ stays.
# * Dropout is redrawn once an epoch in the slides and not scaled in the test. Here it is redrawn
#   every step and scaled while training, so that the test is the complete network as it is;
#   ``Dropout(..., redraw="epoch")`` and ``scale_at="test"`` are the other forms.
# * "Stop at a plateau" (of loss or accuracy) and "stop when it rises" both:
#   ``EarlyStopping(patience=, min_delta=)``.
# * Two slides have "complex model" under the picture of the simple one.
