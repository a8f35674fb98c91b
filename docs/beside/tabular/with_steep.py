import steep
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from steep import layers

X, y = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
scaler = StandardScaler().fit(X)

net = steep.Sequential(layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(2))
trainer = steep.Trainer(net, "cross_entropy", "adam", seed=0)
trainer.fit(scaler.transform(X), y, epochs=100, batch_size=32, progress=False)

score = trainer.evaluate(scaler.transform(X_test), y_test)["accuracy"]
