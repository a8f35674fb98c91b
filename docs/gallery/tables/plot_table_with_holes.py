"""
A table with holes
==================

A CSV file as it comes: cells are empty, one column is text. ``data.Table`` says what it does with
each column, learns it on the training rows only, and does the same to new rows.
"""

import csv
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import steep
from sklearn.datasets import load_wine
from steep import data, layers

wine, random = load_wine(), np.random.default_rng(0)
words = np.array(["Barolo", "Grignolino", "Barbera"])
strength = np.where(wine.data[:, 0] > 13, "strong", "light")
names = ["strength", *wine.feature_names[1:], "cultivar"]
rows = [[s, *x, words[y]] for s, x, y in zip(strength, wine.data[:, 1:], wine.target, strict=True)]
for row in rows:  # three cells of each row get lost
    for k in random.choice(len(names) - 1, 3, replace=False):
        row[k] = ""

path = Path(tempfile.mkdtemp()) / "wine.csv"
with path.open("w", newline="") as file:
    csv.writer(file).writerows([names, *rows])

# %%
# What becomes of each column
# ---------------------------

train, valid, test = data.split(len(rows), test=0.3, validation=0.2, seed=1)
table = data.Table.learn(path, "cultivar", rows=train)
print(table)

# %%
# Train, and leave out more and more
# ----------------------------------
# The network has seen holes. So it can do with still fewer cells of the rows it is tested on.

X, y = table.apply(path)
net = steep.Sequential(layers.Dense(32, "relu"), layers.Dropout(0.2), layers.Dense(3))
trainer = steep.Trainer(net, "cross_entropy", "adamw", l2=1e-3, seed=0)
trainer.fit(X[train], y[train], epochs=80, validation=(X[valid], y[valid]), progress=False)

lost, right = range(0, 13, 2), []
for count in lost:
    columns = {name: [rows[i][k] or None for i in test] for k, name in enumerate(names[:-1])}
    for i in range(len(test)):
        for name in random.choice(names[:-1], count, replace=False):
            columns[name][i] = None
    guessed = table.decode(net.predict(table.encode(columns)))
    right.append(
        100 * np.mean([rows[i][-1] == word for i, word in zip(test, guessed, strict=True)])
    )

fig, ax = plt.subplots(figsize=(6, 3.6))
ax.plot(lost, right, "o-")
ax.axhline(100 * max(np.mean(y[test] == k) for k in range(3)), color="C1", ls="--")
ax.text(0, 43, "always the most frequent one", color="C1")
ax.set(xlabel="more cells taken away, of 13", ylabel="right, % of test rows", ylim=(0, 102))
plt.show()

# %%
# **What to see:** the curve falls slowly. Each missing number is replaced by the median of the
# training rows, and a column beside it says so; half of the cells are enough for most bottles.
