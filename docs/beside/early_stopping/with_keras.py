import keras
import numpy as np
from keras import callbacks, layers
from sklearn.datasets import make_friedman1
from sklearn.metrics import r2_score

keras.utils.set_random_seed(0)
X, y = make_friedman1(3000, noise=1.0, random_state=0)
X, y = X.astype(np.float32), (y - 14.4) / 5
train, valid, test = np.split(np.arange(3000), [2000, 2500])

hidden = [layers.Dense(64, activation="relu") for _ in range(2)]
net = keras.Sequential([*hidden, layers.Dense(1)])
net.compile("adam", "mse")
net.fit(
    X[train],
    y[train],
    epochs=200,
    batch_size=32,
    validation_data=(X[valid], y[valid]),
    callbacks=[callbacks.EarlyStopping(patience=10, restore_best_weights=True)],
    verbose=0,
)

score = r2_score(y[test], net.predict(X[test], verbose=0))
