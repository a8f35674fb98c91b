"""`MLPClassifier` and `MLPRegressor` beside scikit-learn's: the same course, rules and attributes.

Without an order drawn at random both compute the same numbers from the same first weights, up to
float32; with one, what is promised of stopping, going on and errors is the same. The table in
`docs/sklearn.md` counts these behaviours.
"""

import warnings

import numpy as np
import pytest
import steep

pytest.importorskip("sklearn")
from sklearn import datasets
from sklearn import neural_network as theirs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from steep import sklearn as ours

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
BOTH = [ours.MLPClassifier, ours.MLPRegressor]


@pytest.fixture(scope="module")
def tables():
    """Three classes, two of them, several labels, one value, several values, counts."""
    X, y = datasets.load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    labels = np.stack([y == 0, y == 1, X[:, 0] > 0], axis=1).astype(int)
    counts = np.random.default_rng(0).poisson(np.exp(X[:, 0] / 2)).astype(float)
    values = StandardScaler().fit_transform(X[:, :3] ** 2 - X[:, 3:6])
    return {
        "classes": (X, y), "two": (X, y > 0), "labels": (X, labels), "value": (X, values[:, 0]),
        "values": (X, values), "counts": (X, counts),
    }  # fmt: skip


def kinds(name):
    """Return both estimators for a table."""
    end = "Classifier" if name in ("classes", "two", "labels") else "Regressor"
    return getattr(theirs, f"MLP{end}"), getattr(ours, f"MLP{end}")


SETTINGS = {
    "adam": {},
    "adam, other moments": {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3, "alpha": 1.0},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "sgd, plain": {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0},
    "sgd, momentum": {"solver": "sgd", "learning_rate_init": 0.02, "nesterovs_momentum": False},
    "sgd, inverse": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "sgd, adaptive": {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 0.02,
        "n_iter_no_change": 2,
    },
    "tanh, deep": {"activation": "tanh", "hidden_layer_sizes": (20, 10, 5)},
    "logistic": {"activation": "logistic", "hidden_layer_sizes": 7, "alpha": 0.1},
    "identity": {"activation": "identity"},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3, "validation_fraction": 0.2},
}  # fmt: skip


@quiet
@pytest.mark.parametrize("size", ["auto", 50])
@pytest.mark.parametrize("name", ["classes", "two", "labels", "value", "values"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_same_course(name, settings, size, tables):
    X, y = tables[name]
    given = {"random_state": 1, "max_iter": 12, "shuffle": False, "batch_size": size} | settings
    a, b = (kind(**given).fit(X, y) for kind in kinds(name))
    assert (a.n_iter_, a.t_, a.n_layers_, a.n_outputs_) == (
        b.n_iter_,
        b.t_,
        b.n_layers_,
        b.n_outputs_,
    )
    assert a.out_activation_ == b.out_activation_
    for mine, other in zip(b.coefs_ + b.intercepts_, a.coefs_ + a.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-3, atol=2e-4)
        assert mine.dtype == other.dtype
    # Penalties of the steps in an epoch are taken on a line between its ends.
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-3 if size == 50 else 1e-4)
    np.testing.assert_allclose(b.validation_scores_ or 0, a.validation_scores_ or 0, atol=1e-4)
    if "early_stopping" not in settings:
        assert b.best_loss_ == min(b.loss_curve_)
    if hasattr(a, "predict_proba"):
        np.testing.assert_allclose(b.predict_proba(X), a.predict_proba(X), atol=2e-4)
        np.testing.assert_array_equal(b.classes_, a.classes_)
    else:
        np.testing.assert_allclose(b.predict(X), a.predict(X), atol=1e-3)


@quiet
@pytest.mark.parametrize("name", ["classes", "labels", "values"])
def test_the_same_course_with_weights(name, tables):
    X, y = tables[name]
    weights = np.random.default_rng(1).integers(1, 4, len(X))
    a, b = (
        kind(random_state=1, max_iter=12, alpha=0.5).fit(X, y, sample_weight=weights)
        for kind in kinds(name)
    )
    np.testing.assert_allclose(b.coefs_[0], a.coefs_[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-4)


@quiet
def test_counts(tables):
    a, b = (
        kind("poisson", random_state=1, max_iter=12).fit(*tables["counts"])
        for kind in kinds("counts")
    )
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(b.predict(tables["counts"][0]), a.predict(tables["counts"][0]), 1e-4)


@quiet
@pytest.mark.parametrize("name", ["classes", "two", "labels", "value", "values", "counts"])
def test_lbfgs_ends_as_low(name, tables):
    loss = {"loss": "poisson"} if name == "counts" else {}
    given = {"solver": "lbfgs", "random_state": 1, "alpha": 1.0, "activation": "tanh"} | loss
    a, b = (kind(max_iter=400, **given).fit(*tables[name]) for kind in kinds(name))
    assert b.loss_ < a.loss_ + 0.03 * abs(a.loss_)
    assert b.score(*tables[name]) > a.score(*tables[name]) - 0.02


@quiet
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("name", ["classes", "value"])
def test_lbfgs_counts_evaluations(name, activation, tables):
    """A fit ends with the iteration that goes beyond `max_fun`, which scikit-learn's does, too."""
    given = {"activation": activation, "solver": "lbfgs", "max_iter": 150, "random_state": 1}
    for most in (1, 3, 6, 10):
        a, b = (kind(max_fun=most, **given) for kind in kinds(name))
        a.fit(*tables[name])
        with pytest.warns(ConvergenceWarning, match=f"the limit max_fun={most} was reached"):
            b.fit(*tables[name])
        assert b.n_iter_ == a.n_iter_ <= most
    with pytest.warns(ConvergenceWarning, match="the limit max_iter=2 was reached"):
        type(b)(**{**given, "max_iter": 2}).fit(*tables[name])


def test_one_step_by_hand():
    """The logistic unit's step: w - rate*(x*delta + alpha*w/N), from weights that were set."""
    X, y = np.array([[0.6, 0.8]]), np.array([0])
    net = ours.MLPClassifier(
        1, "identity", solver="sgd", learning_rate_init=0.1, alpha=0.1, momentum=0, random_state=0
    )
    net.partial_fit(X, y, classes=[0, 1])
    net.coefs_ = [np.array([[0.5], [0.25]]), np.array([[2.0]])]
    net.intercepts_ = [np.array([0.1]), np.array([-0.3])]
    hidden = 0.6 * 0.5 + 0.8 * 0.25 + 0.1
    delta = 1 / (1 + np.exp(-(2.0 * hidden - 0.3)))
    np.testing.assert_allclose(net.predict_proba(X)[0, 1], delta, rtol=1e-6)
    net.partial_fit(X, y)
    np.testing.assert_allclose(net.coefs_[1], 2.0 - 0.1 * (hidden * delta + 0.1 * 2.0), rtol=1e-6)
    np.testing.assert_allclose(net.intercepts_[1], -0.3 - 0.1 * delta, rtol=1e-6)
    first = np.array([0.5, 0.25]) - 0.1 * (X[0] * delta * 2.0 + 0.1 * np.array([0.5, 0.25]))
    np.testing.assert_allclose(net.coefs_[0][:, 0], first, rtol=1e-6)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_gradients(activation, tables):
    X, y = tables["classes"]
    net = ours.MLPClassifier(5, activation, max_iter=1, random_state=0, solver="lbfgs")
    with pytest.warns(ConvergenceWarning):
        net.fit(X, y)
    assert steep.lab.check_gradients(net.net_, X[:20], y[:20], "cross_entropy") < 1e-6


@quiet
def test_a_larger_alpha_gives_smaller_weights(tables):
    sums = [
        abs(ours.MLPClassifier(10, alpha=alpha, random_state=1).fit(*tables["two"]).coefs_[0]).sum()
        for alpha in (0.0, 1.0, 10.0)
    ]
    assert sums[0] > sums[1] > sums[2]


@quiet
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", ["classes", "two", "values"])
def test_partial_fits_are_the_epochs_of_a_fit(name, momentum, tables):
    X, y = tables[name]
    given = {"solver": "sgd", "random_state": 1, "momentum": momentum, "learning_rate_init": 0.05}
    whole = kinds(name)[1](max_iter=8, tol=0, **given).fit(X, y)
    parts = kinds(name)[1](**given)
    names = {"classes": np.unique(y)} if name != "values" else {}
    for _ in range(8):
        parts.partial_fit(X, y, **names)
    assert parts.loss_curve_ == whole.loss_curve_
    assert all((a == b).all() for a, b in zip(parts.coefs_, whole.coefs_, strict=True))


def test_partial_fit_refuses_what_does_not_go_on(tables):
    X, y = tables["classes"]
    with pytest.raises(ValueError, match="classes"):
        ours.MLPClassifier(solver="sgd").partial_fit(X, y)
    net = ours.MLPClassifier(solver="sgd").partial_fit(X, y, classes=[0, 1, 2, 9])
    with pytest.raises(ValueError, match="not the same as on last call"):
        net.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="`y` has classes not in"):
        net.partial_fit(X, y + 5)
    net.partial_fit(X, np.full(len(X), 9))
    assert not hasattr(ours.MLPClassifier(solver="lbfgs"), "partial_fit")
    early = ours.MLPClassifier(early_stopping=True, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        early.partial_fit(X, y)


@quiet
@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_warm_starts(kind, solver, tables):
    X, y = tables["classes"]
    net = kind(solver=solver, warm_start=True, max_iter=5, random_state=0).fit(X, y)
    assert net.n_iter_ == 5
    before = net.loss_
    assert net.set_params(max_iter=7).fit(X, y).n_iter_ == 7
    assert net.loss_ < before
    if solver != "lbfgs":
        assert len(net.loss_curve_) == 12 and net.t_ == 12 * len(X)
    if kind is ours.MLPClassifier:
        with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
            net.fit(X, y > 0)


@pytest.mark.parametrize("rate", ["constant", "invscaling", "adaptive"])
def test_the_rate_after_some_epochs(rate):
    X, y = [[3, 2], [1, 6], [5, 6], [-2, -4]], [1, 1, 1, 0]
    net = ours.MLPClassifier(
        4, solver="sgd", learning_rate=rate, max_iter=1, power_t=0.25, warm_start=True
    )
    for _ in range(2):
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(1\) reached"):
            net.fit(X, y)
    left = 9**-0.25 if rate == "invscaling" else 1.0
    assert net._optimizer.learning_rate == pytest.approx(0.001 * left, rel=1e-12)
    net.set_params(learning_rate=rate, tol=0.5, max_iter=3000).fit(X, y)
    assert net.n_iter_ < 3000
    if rate == "adaptive":
        assert net._optimizer.learning_rate < 1e-6


def test_it_stops_where_nothing_improves(tables, capsys):
    X, y = tables["two"]
    for patience in (2, 5, 10, 50):
        net = ours.MLPClassifier(
            tol=0.01, max_iter=3000, solver="sgd", n_iter_no_change=patience, random_state=0
        ).fit(X, y)
        assert net._no_improvement_count == patience + 1
        best = np.minimum.accumulate([np.inf, *net.loss_curve_[:-1]])
        worse = np.array(net.loss_curve_) > best - 0.01
        assert worse[-patience - 1 :].all() and not worse[-patience - 2]
    with pytest.warns(ConvergenceWarning):
        net.set_params(tol=1e9, n_iter_no_change=np.inf, max_iter=100).fit(X, y)
    assert (net.n_iter_, net._no_improvement_count) == (100, 99)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("kind", BOTH)
def test_early_stopping_keeps_the_best_weights(kind, tables, capsys):
    X, y = tables["two"]
    net = kind(tol=0.01, max_iter=3000, learning_rate_init=0.01, early_stopping=True, verbose=True,
               random_state=0).fit(X, y)  # fmt: skip
    scores = net.validation_scores_
    assert net.best_loss_ is None and len(scores) == net.n_iter_ < 3000
    assert net.best_validation_score_ == max(scores)
    short = kind(max_iter=int(np.argmax(scores)) + 1, learning_rate_init=0.01, early_stopping=True,
                 random_state=0)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short.fit(X, y)
    assert all((a == b).all() for a, b in zip(net.coefs_, short.coefs_, strict=True))
    shown = capsys.readouterr().out
    assert "Iteration 1, loss = " in shown and "Validation score: " in shown
    assert "Validation score did not improve more than tol=0.010000 for 10 consecutive" in shown
    net.set_params(early_stopping=False, verbose=False).fit(X, y)
    assert net.validation_scores_ is None is net.best_validation_score_


def test_what_early_stopping_holds_out(tables):
    with pytest.raises(ValueError, match="least populated class"):
        ours.MLPClassifier(early_stopping=True).fit([[1, 2], [2, 3], [3, 4], [4, 5]], [0, 0, 0, 1])
    with pytest.raises(ValueError, match="The validation set is too small"):
        ours.MLPRegressor(early_stopping=True).fit([[1, 2], [2, 3]], [0.0, 1.0])
    X, y = tables["classes"]
    names = np.array(["a", "b", "c"], object)[y]
    net = ours.MLPClassifier(early_stopping=True, random_state=0).fit(X, names)
    assert np.isfinite(net.validation_scores_).all()
    same = ours.MLPClassifier(early_stopping=True, random_state=0).fit(
        X, names, sample_weight=np.ones(len(X))
    )
    np.testing.assert_allclose(same.predict_proba(X), net.predict_proba(X), atol=1e-5)


@quiet
@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_of_weights_and_predictions(kind, dtype, tables):
    X, y = tables["classes"]
    net = kind(hidden_layer_sizes=(5, 3), max_iter=5, random_state=1).fit(X.astype(dtype), y)
    assert {each.dtype for each in net.coefs_ + net.intercepts_} == {np.dtype(dtype)}
    found = net.predict(X.astype(dtype)) if kind is BOTH[1] else net.predict_proba(X.astype(dtype))
    assert found.dtype == dtype


@quiet
def test_shuffling_matters_and_is_of_the_random_state(tables):
    X, y = tables["value"]

    def fit(shuffle):
        given = {"hidden_layer_sizes": 1, "max_iter": 1, "batch_size": 1, "random_state": 0}
        return ours.MLPRegressor(shuffle=shuffle, **given).fit(X, y)

    for shuffle in (True, False):
        np.testing.assert_array_equal(fit(shuffle).coefs_[0], fit(shuffle).coefs_[0])
    assert not (fit(True).coefs_[0] == fit(False).coefs_[0]).all()


@quiet
def test_they_learn_images(tables):
    X, y = datasets.load_digits(n_class=3, return_X_y=True)
    X = MinMaxScaler().fit_transform(X)
    for solver in ("adam", "lbfgs"):
        for activation in ("identity", "logistic", "tanh", "relu"):
            net = ours.MLPClassifier(
                50, activation, solver=solver, random_state=1, learning_rate_init=0.01
            )
            assert net.fit(X[:150], y[:150]).score(X[150:], y[150:]) > 0.95
    two = ours.MLPClassifier(5, random_state=1).fit(X[:100], y[:100] > 0)
    assert roc_auc_score(y[100:] > 0, two.predict_proba(X[100:])[:, 1]) > 0.99


def test_batches_larger_than_the_data_are_clipped(tables):
    with pytest.warns(UserWarning, match="batch_size=1000 is larger than the sample size"):
        ours.MLPClassifier(batch_size=1000, tol=1.0).fit(*tables["classes"])


def test_numbers_beyond_float32_are_refused():
    X = np.finfo(np.float64).max * np.random.default_rng(0).uniform(size=(10, 2))
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*beyond float32"):
        ours.MLPRegressor().fit(X, np.arange(10.0))


def test_ctrl_c_keeps_what_was_learned(tables, monkeypatch):
    from steep.training.epochs import Epochs

    run = Epochs.run

    def interrupted(self):
        if len(self._losses) == 3:
            raise KeyboardInterrupt
        return run(self)

    monkeypatch.setattr(Epochs, "run", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        net = ours.MLPClassifier(random_state=0).fit(*tables["classes"])
    assert net.n_iter_ == 3 and net.predict(tables["classes"][0]).shape == (178,)
