import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

keras.utils.set_random_seed(0)
digits = load_digits()
X, X_test, y, y_test = train_test_split(digits.images[..., None], digits.target, random_state=0)

net = keras.Sequential(
    [
        layers.Rescaling(1 / 16),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(10),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
net.compile("adam", loss, metrics=["accuracy"])
net.fit(X, y, epochs=15, batch_size=32, verbose=0)

score = net.evaluate(X_test, y_test, verbose=0, return_dict=True)["accuracy"]
