"""
Out as an ONNX file, run by onnxruntime
=======================================

A trained network leaves as one file that runs without steep, in C++, on phones, in a browser;
``from_onnx`` reads it back, ready to train on.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import steep
from steep import data, layers

(X, y), (X_test, y_test) = data.load("digits")
net = steep.Sequential(
    layers.Rescale(1 / 16),
    layers.Conv2D(16, 3, activation="relu"),
    layers.BatchNorm(),
    layers.MaxPool2D(2),
    layers.Flatten(),
    layers.Dense(10),
)
trainer = steep.Trainer(net, "cross_entropy", "adam", seed=0)
trainer.fit(X, y, epochs=8, progress=False)

path = Path(tempfile.mkdtemp()) / "digits.onnx"
net.to_onnx(path)
print(f"{path.stat().st_size / 1024:.0f} kB for {net.num_parameters} parameters")

# %%
# The same numbers elsewhere
# --------------------------

session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
print("input:", given.name, given.shape, given.type)
theirs = session.run(None, {given.name: X_test.astype(np.float32)})[0]
ours = net.predict(X_test)
largest = np.abs(theirs - ours).max()
print(f"largest difference: {largest:.2g}, of logits up to {np.abs(ours).max():.3g}")

# %%
# And back
# --------

again = steep.from_onnx(path)
same = [a.tobytes() == b.tobytes() for a, b in zip(
    again.state_dict().values(), net.state_dict().values(), strict=True)]  # fmt: skip
print(f"{sum(same)} of {len(same)} arrays have the same bits")

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
left.plot(ours.ravel(), theirs.ravel(), ".", ms=2)
left.plot([ours.min(), ours.max()], [ours.min(), ours.max()], "C1--", lw=1, label="equal")
left.set(xlabel="logits of steep", ylabel="logits of onnxruntime")
left.legend()
right.hist((theirs - ours).ravel() / np.spacing(np.abs(ours).max()), bins=41)
right.set(xlabel="difference, units in the last place of the largest logit", ylabel="logits")
plt.show()

# %%
# **What to see:** on the left all logits of all test images lie on the line. On the right, why
# "equal" has a tolerance: both add the same products in another order, and differ by a few units of
# float32's last place.
