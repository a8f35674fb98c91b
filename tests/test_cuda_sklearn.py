"""scikit-learn's estimators on the GPU: the same bytes as on the CPU. Skipped without either."""

import pickle

import devices
import numpy as np
import pytest
import steep
from devices import same
from steep import layers

pytest.importorskip("sklearn")

from sklearn.base import clone
from steep.sklearn import MLPClassifier, MLPRegressor, NetClassifier, NetRegressor

pytestmark = devices.NEEDED
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((331, 17))
LABELS, VALUES = RANDOM.integers(0, 3, 331), RANDOM.standard_normal((331, 2))


def around(outputs):
    return steep.Sequential(
        layers.Dense(33, "tanh"), layers.BatchNorm(), layers.Dropout(0.1), layers.Dense(outputs)
    )


MADE = {
    "classifier": MLPClassifier,
    "adaptive": lambda **more: MLPClassifier(solver="sgd", learning_rate="adaptive", **more),
    "lbfgs": lambda **more: MLPClassifier(solver="lbfgs", alpha=1.0, **more),
    "held out": lambda **more: MLPClassifier(early_stopping=True, batch_norm=True, **more),
    "weighted": lambda **more: MLPClassifier(class_weight="balanced", dropout=0.2, **more),
    "regressor": lambda **more: MLPRegressor(activation="logistic", **more),
    "counts": lambda **more: MLPRegressor("poisson", **more),
    "network": lambda **more: NetClassifier(around, l2=1e-3, clip_norm=0.5, **more),
    "values": lambda **more: NetRegressor(around, loss="huber", optimizer="nadam", **more),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MADE)
def test_same_bytes_as_the_cpu(name):
    """Fitted, kept and read again, fitted anew as a clone."""
    found = []
    for device in ("cpu", "cuda"):
        made = MADE[name](max_iter=4, random_state=1, device=device)
        classes = hasattr(made, "predict_proba") or hasattr(made, "class_weight")
        y = LABELS if classes else np.abs(VALUES)
        made.fit(X, y, sample_weight=np.abs(X[:, 0]))
        assert made.net_.device == device
        read = pickle.loads(pickle.dumps(made))
        same(read.predict(X), made.predict(X))
        again = clone(made).fit(X, y)
        found.append([dict(each.net_.state_dict()) for each in (made, read, again)])
        found[-1].append([made.predict(X), made.score(X, y), made.loss_])
    same(*found)


def test_batches_that_come_one_by_one():
    found = []
    for device in ("cpu", "cuda"):
        made = MLPClassifier(random_state=0, device=device)
        for at in range(0, 300, 100):
            made.partial_fit(X[at : at + 100], LABELS[at : at + 100], classes=[0, 1, 2])
        found.append((made.coefs_, made.intercepts_, made.predict(X)))
    same(*found)


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match='unknown device "gpu"'):
        MLPClassifier(device="gpu").fit(X, LABELS)
