from pathlib import Path

import steep
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from steep import callbacks, layers, optimizers, schedules

X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
path = Path("steep.safetensors")


def make():
    net = steep.Sequential(layers.Rescale(1 / 16), layers.Dense(128, "relu"), layers.Dense(10))
    rate = schedules.Warmup(schedules.Cosine(3e-3, over=36, unit="epoch"), over=4)
    return steep.Trainer(net, "cross_entropy", optimizers.Adam(rate), seed=0)


# Killed at any moment and started again, it goes on bit for bit: within an epoch, too.
trainer = steep.Trainer.load(path) if path.exists() else make()
saver = callbacks.Checkpoint(path, every=45)
trainer.fit(X, y, epochs=40, batch_size=32, callbacks=[saver], progress=False)

score = trainer.evaluate(X_test, y_test)["accuracy"]
