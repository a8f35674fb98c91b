from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

X, y = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
scaler = StandardScaler().fit(X)

net = MLPClassifier(
    (64, 64), alpha=0, batch_size=32, max_iter=100, n_iter_no_change=100, tol=0, random_state=0
)
net.fit(scaler.transform(X), y)

score = net.score(scaler.transform(X_test), y_test)
