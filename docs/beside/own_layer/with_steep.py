import steep
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from steep import layers, ops


class Gated(layers.Layer):
    def __init__(self, units, name=None):
        super().__init__(name)
        self.units = units

    def call(self, x):
        shape = (x.shape[0], self.units)
        gate = ops.activation(x @ self.parameter("gate", shape), "sigmoid")
        return (x @ self.parameter("weight", shape)) * gate


X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)

net = steep.Sequential(layers.Rescale(1 / 16), Gated(96), Gated(96), layers.Dense(10))
trainer = steep.Trainer(net, "cross_entropy", "adam", seed=0)
trainer.fit(X, y, epochs=30, batch_size=32, progress=False)

score = trainer.evaluate(X_test, y_test)["accuracy"]
