import keras
from keras import layers, ops
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class Gated(layers.Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, shape):
        self.gate = self.add_weight((shape[-1], self.units), "glorot_uniform")
        self.weight = self.add_weight((shape[-1], self.units), "glorot_uniform")

    def call(self, x):
        return (x @ self.weight) * ops.sigmoid(x @ self.gate)


keras.utils.set_random_seed(0)
X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)

net = keras.Sequential([layers.Rescaling(1 / 16), Gated(96), Gated(96), layers.Dense(10)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
net.compile("adam", loss, metrics=["accuracy"])
net.fit(X, y, epochs=30, batch_size=32, verbose=0)

score = net.evaluate(X_test, y_test, verbose=0, return_dict=True)["accuracy"]
