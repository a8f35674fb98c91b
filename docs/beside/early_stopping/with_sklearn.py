import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.neural_network import MLPRegressor

X, y = make_friedman1(3000, noise=1.0, random_state=0)
X, y = X.astype(np.float32), (y - 14.4) / 5
train, test = np.split(np.arange(3000), [2500])

net = MLPRegressor(
    hidden_layer_sizes=(64, 64),
    alpha=0,
    batch_size=32,
    early_stopping=True,
    validation_fraction=0.2,
    n_iter_no_change=10,
    tol=0,
    random_state=0,
)
net.fit(X[train], y[train])

score = net.score(X[test], y[test])
