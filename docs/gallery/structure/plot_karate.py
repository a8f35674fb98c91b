"""
Two labels, thirty-two guesses: a graph network
===============================================

Zachary's karate club broke in two (1977). Of its 34 members we tell the network the sides of two,
the instructor and the officer, and who met whom; a graph convolution passes the news along the
edges.
"""

import matplotlib.pyplot as plt
import numpy as np
import steep
from steep import data, losses, models, optimizers

EDGES = """0 1,2,3,4,5,6,7,8,10,11,12,13,17,19,21,31 1 2,3,7,13,17,19,21,30 2 3,7,8,9,13,27,28,32
3 7,12,13 4 6,10 5 6,10,16 6 16 8 30,32,33 9 33 13 33 14 32,33 15 32,33 18 32,33 19 33 20 32,33
22 32,33 23 25,27,29,32,33 24 25,27,31 25 31 26 29,33 27 33 28 31,33 29 32,33 30 32,33 31 32,33
32 33"""
edges = [
    (int(a), int(b))
    for a, others in zip(EDGES.split()[::2], EDGES.split()[1::2], strict=True)
    for b in others.split(",")
]
sides = np.zeros(34, int)
sides[[9, 14, 15, 18, 20, *range(22, 34)]] = 1  # who left with the officer

known = np.full((1, 34), -1)
known[0, [0, 33]] = sides[[0, 33]]
graph = data.Graph(edges, 34)
net = models.gcn(graph, 2, 16, dropout=0.0, features=data.Sparse(np.eye(34)))
loss = losses.CrossEntropy(ignore=-1)  # nothing is asked of the others
trainer = steep.Trainer(net, loss, optimizers.Adam(0.01), seed=0)
X = np.ones((1, 34, 1))
trainer.fit(X, known, epochs=200, progress=False)

logits = net.predict(X)[0]
chance = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
wrong = np.flatnonzero((chance > 0.5) != sides)
print(f"{34 - len(wrong)} of 34 right; wrong: {wrong.tolist()}")

# %%
# The club
# --------
# Places come from springs along the edges, and a force that keeps all members apart.

A = np.zeros((34, 34))
A[tuple(np.transpose(edges))] = 1
A += A.T
place = np.random.default_rng(3).normal(0, 1, (34, 2))
for step in range(600):
    apart = place[:, None] - place
    far = np.linalg.norm(apart, axis=2) + np.eye(34)
    force = (apart * (0.25 / far**2 - A * far / 4)[..., None]).sum(1) - 0.02 * place
    place += force * min(0.05, 0.2 / (1 + step / 20))

fig, ax = plt.subplots(figsize=(8, 5.2))
for a, b in edges:
    ax.plot(*place[[a, b]].T, color="0.8", lw=0.8, zorder=1)
for side, mark in enumerate("os"):
    of = sides == side
    drawn = ax.scatter(
        *place[of].T, c=chance[of], marker=mark, s=190, cmap="PuOr", vmin=0, vmax=1, edgecolor="k",
        label=("the instructor's", "the officer's")[side], zorder=2,
    )  # fmt: skip
for node, xy in enumerate(place):
    ax.text(*xy, node, ha="center", va="center", fontsize=7, zorder=3)
ax.scatter(*place[[0, 33]].T, s=460, facecolor="none", edgecolor="k", lw=1.5, label="told")
fig.colorbar(drawn, label="probability of the officer's side")
ax.set(xticks=[], yticks=[])
ax.grid(visible=False)
ax.legend(loc="best")
plt.show()

# %%
# **What to see:** the shape is the side a member took, the colour what the network believes.
# Colours fade towards the middle, where members had friends on both sides.
