"""
A forecast from sliding windows
===============================

The load of a network of any kind: days, weeks, a trend and noise. From the last seven days of
hourly values the next 24 hours are predicted at once. The windows are views of one array: nothing
is copied.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from numpy.lib.stride_tricks import sliding_window_view
from steep import callbacks, layers

random = np.random.default_rng(0)
hours = np.arange(24 * 7 * 40)  # forty weeks
day, week = 2 * np.pi * hours / 24, hours // 24 % 7
wander = np.convolve(random.normal(0, 1, len(hours) + 47), np.ones(48) / 4, "valid")
load = 50 + 12 * np.sin(day - 2) + 5 * np.sin(2 * day) - 10 * (week >= 5) + wander
load = (load + random.normal(0, 1, len(hours))).astype(np.float32)  # megawatts

past, ahead = 24 * 7, 24
mean, deviation = load[: 24 * 7 * 28].mean(), load[: 24 * 7 * 28].std()
scaled = (load - mean) / deviation
windows = sliding_window_view(scaled, past + ahead)
X, y = windows[:, :past], windows[:, past:]
print(f"{len(X)} windows in {scaled.nbytes // 1000} kB; as copies {X.size * 4 // 1000} kB")
train, valid, test = (slice(24 * 7 * a, 24 * 7 * b) for a, b in ((0, 28), (30, 33), (35, 38)))

# %%
# Train until the validation weeks get no better
# ----------------------------------------------

net = steep.Sequential(layers.Dense(64, "relu"), layers.Dense(ahead))
trainer = steep.Trainer(net, "huber", "adamw", l2=1e-4, seed=0)
stop = callbacks.EarlyStopping(patience=4)
trainer.fit(
    X[train], y[train], epochs=40, batch_size=64, validation=(X[valid], y[valid]),
    callbacks=[stop], progress=False,
)  # fmt: skip

errors = {
    "network": net.predict(X[test]) - y[test],
    "as a week ago": X[test][:, :ahead] - y[test],
    "as a day ago": X[test][:, -ahead:] - y[test],
}
errors = {name: deviation * np.sqrt(np.mean(e**2, axis=0)) for name, e in errors.items()}
print({name: f"{e.mean():.2f} MW" for name, e in errors.items()})

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
begin = test.start + 24 * 3
left.plot(
    np.arange(-72, 24), mean + deviation * windows[begin, past - 72 :], color="0.5", label="load"
)
left.plot(
    range(24), mean + deviation * net.predict(X[begin : begin + 1])[0], "C1--", label="forecast"
)
left.axvline(0, color="k", lw=0.8)
left.set(xlabel="hours from now", ylabel="load, MW")
left.legend(loc="upper left", ncols=2)
for (name, error), line in zip(errors.items(), ("-", "--", ":"), strict=True):
    right.plot(range(1, 25), error, line, label=name)
right.set(xlabel="hours ahead", ylabel="root mean square error, MW", ylim=(0, None))
right.legend()
plt.show()

# %%
# **What to see:** on the left, one day of the test weeks and its forecast. On the right, the error
# by the hour: it grows from the noise as the slow wandering becomes unknown, and stays below that
# of both habits.
