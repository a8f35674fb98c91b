"""
Batch, stochastic, mini-batch
=============================

The gradient of the loss is a mean over all samples. Batch descent computes all of it for one step;
stochastic descent takes one sample's and steps at once; mini-batches are in between. One argument:
``batch_size``.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, layers
from steep.optimizers import SGD

(X, y), (Xv, yv) = data.load("digits")
X, Xv = (part.reshape(len(part), -1).astype(np.float32) / 16 for part in (X, Xv))


def made(rate=0.1, **options):
    net = steep.Sequential(layers.Dense(32, "relu"), layers.Dense(10))
    return steep.Trainer(net, "cross_entropy", SGD(rate), seed=0, **options)


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for size, line in ((len(X), ":"), (64, "-"), (8, "--"), (1, "-.")):
    trainer = made()
    started = time.perf_counter()
    history = trainer.fit(X, y, epochs=10, batch_size=size, progress=False).history
    seconds = time.perf_counter() - started
    updates = np.arange(1, 11) * -(-len(X) // size)
    left.semilogy(range(1, 11), history["loss"], line, label=f"{size}")
    right.loglog(updates, history["loss"], line)
    print(
        f"batch {size:4}: {updates[-1]:6} updates, loss {history['loss'][-1]:.4f}, {seconds:.3f} s"
    )
left.set(xlabel="epoch", ylabel="loss")
right.set(xlabel="update")
left.legend(title="samples a batch", fontsize=8, loc="lower left")

# %%
# Each is right in the mean
# -------------------------
# The mean of all single gradients is the gradient of the whole, to a few units of the last place in
# float64:
trainer = made(precision="float64")
name = "dense.weight"
_, whole = trainer.gradients(X, y)
single = [trainer.gradients(X[i : i + 1], y[i : i + 1])[1][name] for i in range(len(X))]
print(f"largest difference: {np.abs(np.mean(single, axis=0) - whole[name]).max():.1e}")

# %%
# How noisy? The variance of a mean of B independent samples is one B-th.
random, sizes, noise = np.random.default_rng(0), (1, 4, 16, 64, 256), []
flat = np.array([g.ravel() for g in single])
for size in sizes:
    drawn = [flat[random.integers(0, len(X), size)].mean(0) for _ in range(300)]
    noise.append(np.mean([np.sum((g - whole[name].ravel()) ** 2) for g in drawn]))
figure, axes = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
axes.loglog(sizes, noise, "o", label="measured")
axes.loglog(sizes, noise[0] / np.array(sizes), "--", label="1/B")
axes.set(xlabel="samples a batch, B", ylabel="variance of the gradient")
axes.legend()
print("variance times B, relative:", np.round(np.array(noise) * sizes / noise[0], 2))

# %%
# Sum or mean
# -----------
# With a sum over N samples the gradient is N times as long, and the rate must be one N-th. Then
# nothing differs:
ends = []
for reduction, rate in (("mean", 0.2), ("sum", 0.2 / len(X))):
    trainer = made(rate, reduction=reduction, precision="float64")
    trainer.fit(X, y, epochs=20, batch_size=len(X), progress=False)
    ends.append(trainer.net.state_dict()[name])
print(f"largest difference of the weights: {np.abs(ends[0] - ends[1]).max():.1e}")

# %%
# In the notes
# ------------
# * S3 sums the loss, S1 and S2 take the mean. The mean is the default, ``reduction="sum"`` the
#   other.
# * One formula of the mini-batch rule has θ(k+1) on both sides, and the gradient by the features F
#   where it means the weights θ: θ(k+1) ← θ(k) - ρ·(1/B)·Σ ∂ε/∂θ.
# * The last batch of an epoch is smaller where B does not divide N; it is kept, and its mean is
#   over its own samples.
