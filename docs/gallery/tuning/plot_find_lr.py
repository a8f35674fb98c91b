"""
Which learning rate?
====================

``lab.find_lr`` trains a copy of the network while the rate grows from step to step, and suggests
the one at which the loss falls fastest. A hundred steps, and the trainer stays as it was.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, lab, layers, optimizers

(X, y), (X_test, y_test) = data.load("digits")


def trainer(rate):
    """Return a new trainer with this rate."""
    body = layers.Rescale(1 / 16), layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(10)
    return steep.Trainer(
        steep.Sequential(*body), "cross_entropy", optimizers.SGD(rate, 0.9), seed=0
    )


found = lab.find_lr(trainer(0.01), X, y)
print(f"suggested: {found.suggestion:.2g}")
picture = found.plot()

# %%
# Was the suggestion good?
# ------------------------
# Train with it, and with a thirtieth and thirty times of it.

fig, ax = plt.subplots(figsize=(6.4, 3.8))
for factor, line in zip((1 / 30, 1, 30), (":", "-", "--"), strict=True):
    rate = found.suggestion * factor
    try:
        history = trainer(rate).fit(X, y, epochs=12, progress=False)
        losses = history.steps["loss"]
    except steep.NonFiniteError as error:
        print(f"rate {rate:.2g}: {error.what} is not finite at step {error.step}")
        continue
    smooth = np.convolve(losses, np.ones(20) / 20, "valid")
    ax.plot(smooth, line, label=f"rate {rate:.2g}")
ax.set(xlabel="step", ylabel="loss, mean of 20 steps", yscale="log")
ax.legend()
plt.show()

# %%
# **What to see:** in the first picture the loss stays flat where the rate does nothing, falls, and
# rises again where steps become too long. In the second, the suggested rate is far below both
# others after a few steps.
