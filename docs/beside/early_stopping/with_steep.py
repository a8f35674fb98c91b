import numpy as np
import steep
from sklearn.datasets import make_friedman1
from sklearn.metrics import r2_score
from steep import callbacks, layers

X, y = make_friedman1(3000, noise=1.0, random_state=0)
X, y = X.astype(np.float32), (y - 14.4) / 5
train, valid, test = np.split(np.arange(3000), [2000, 2500])

hidden = [layers.Dense(64, "relu", init="xavier") for _ in range(2)]
net = steep.Sequential(*hidden, layers.Dense(1))
trainer = steep.Trainer(net, "mse", "adam", seed=0)
trainer.fit(
    X[train],
    y[train],
    epochs=200,
    batch_size=32,
    validation=(X[valid], y[valid]),
    callbacks=[callbacks.EarlyStopping(patience=10)],
    progress=False,
)

score = r2_score(y[test], net.predict(X[test]))
