import steep
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from steep import layers

digits = load_digits()
X, X_test, y, y_test = train_test_split(digits.images, digits.target, random_state=0)

net = steep.Sequential(
    layers.Rescale(1 / 16),
    layers.Conv2D(16, 3, activation="relu"),
    layers.Conv2D(32, 3, activation="relu"),
    layers.MaxPool2D(2),
    layers.Flatten(),
    layers.Dropout(0.3),
    layers.Dense(10),
)
trainer = steep.Trainer(net, "cross_entropy", "adam", seed=0)
trainer.fit(X, y, epochs=15, batch_size=32, progress=False)

score = trainer.evaluate(X_test, y_test)["accuracy"]
