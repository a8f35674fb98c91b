import keras
from keras import callbacks, layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

keras.utils.set_random_seed(0)
X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
steps = -(-len(X) // 32)

net = keras.Sequential(
    [layers.Rescaling(1 / 16), layers.Dense(128, activation="relu"), layers.Dense(10)]
)
rate = keras.optimizers.schedules.CosineDecay(
    0.0, decay_steps=36 * steps, warmup_target=3e-3, warmup_steps=4 * steps
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
net.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
# Started again, it goes on at the last whole epoch, with another order of the samples.
saver = callbacks.BackupAndRestore("keras")
net.fit(X, y, epochs=40, batch_size=32, callbacks=[saver], verbose=0)

score = net.evaluate(X_test, y_test, verbose=0, return_dict=True)["accuracy"]
