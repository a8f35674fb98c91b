import keras
from keras import layers
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(0)
X, y = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
scaler = StandardScaler().fit(X)

hidden = [layers.Dense(64, activation="relu") for _ in range(2)]
net = keras.Sequential([*hidden, layers.Dense(2)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
net.compile("adam", loss, metrics=["accuracy"])
net.fit(scaler.transform(X), y, epochs=100, batch_size=32, verbose=0)

score = net.evaluate(scaler.transform(X_test), y_test, verbose=0, return_dict=True)["accuracy"]
