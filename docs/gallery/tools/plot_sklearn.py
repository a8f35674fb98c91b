"""
In a scikit-learn pipeline, searched by GridSearchCV
====================================================

``steep.sklearn`` has estimators with scikit-learn's parameters and some more. They stand in
pipelines and searches like any other.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from steep.sklearn import MLPClassifier

X, y = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)

net = MLPClassifier(hidden_layer_sizes=(50,), class_weight="balanced", max_iter=800, random_state=0)
grid = {
    "mlpclassifier__alpha": [0.01, 0.1, 1.0, 10.0],
    "mlpclassifier__dropout": [0.0, 0.2, 0.5],
}
search = GridSearchCV(make_pipeline(StandardScaler(), net), grid, scoring="neg_log_loss")
search.fit(X, y)
print(search.best_params_)
print(f"log loss on the test samples: {-search.score(X_test, y_test):.3f}")

# %%
# The same fit by scikit-learn's own class
# ----------------------------------------

seconds = {}
for module, made in (("steep", MLPClassifier), ("scikit-learn", neural_network.MLPClassifier)):
    pipe = make_pipeline(StandardScaler(), made((50,), max_iter=400, random_state=0))
    begin = time.perf_counter()
    pipe.fit(X, y)
    seconds[module] = time.perf_counter() - begin
    print(f"{module}: {seconds[module]:.3f} s, {100 * pipe.score(X_test, y_test):.1f} % right")

# %%
# What the search has found
# -------------------------

rows, columns = grid.values()
loss = -search.cv_results_["mean_test_score"].reshape(len(rows), len(columns))
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), width_ratios=(3, 2))
left.imshow(loss, cmap="cividis_r", aspect="auto")
for i, j in np.ndindex(loss.shape):
    best = loss[i, j] == loss.min()
    text = f"{loss[i, j]:.3f}" + ("\nbest" if best else "")
    dark = loss[i, j] > (loss.min() + loss.max()) / 2
    left.text(j, i, text, ha="center", va="center", color="w" if dark else "k")
left.set(xticks=range(3), xticklabels=columns, yticks=range(4), yticklabels=rows)
left.set(xlabel="dropout", ylabel="alpha", title="log loss, mean of five folds")
left.grid(visible=False)
right.barh(list(seconds), seconds.values(), color=["C0", "C1"])
right.set(xlabel="seconds of one fit", title="the same network, the same data")
plt.show()

# %%
# **What to see:** light cells are good. Without a penalty and without dropout the network is too
# sure of itself; either of them helps, both too strong do not. On the right, what one of the fits
# costs.
