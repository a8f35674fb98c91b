"""Estimators of scikit-learn: its own checks, the kinds of data, what its tools do with them.

Skipped where scikit-learn is missing. What `MLPClassifier` shares with its namesake there is in
`test_sklearn_mlp`.
"""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import steep
from steep import layers, optimizers, schedules

pytest.importorskip("sklearn")
import joblib
import sklearn
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from steep.sklearn import MLPClassifier, MLPRegressor, NetClassifier, NetRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FOUR = [MLPClassifier, MLPRegressor, NetClassifier, NetRegressor]
CLASSIFIERS, REGRESSORS = FOUR[::2], FOUR[1::2]


@parametrize_with_checks([each() for each in FOUR])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture
def iris():
    X, y = datasets.load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def quick(kind, **settings):
    """Return an estimator that learns small data in few epochs."""
    fast = optimizers.Adam(0.02)
    solver = {"solver": fast} if kind in (MLPClassifier, MLPRegressor) else {"optimizer": fast}
    return kind(**{"max_iter": 60, "random_state": 0, **solver, **settings})


def same(a, b):
    """Say whether two estimators have the same weights, to the byte."""
    mine, theirs = a.net_.state_dict(), b.net_.state_dict()
    return all(mine[name].tobytes() == theirs[name].tobytes() for name in mine)


def test_steep_does_not_import_it():
    code = (
        "import steep, sys; assert not {'sklearn', 'scipy'} & set(sys.modules); steep.sklearn; "
        "assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_scikit_learn_it_says_how_to_get_it():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "try:\n import steep.sklearn\nexcept ImportError as error:\n print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'steep[sklearn]'" in found.stdout


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize(
    "names",
    [np.array(["setosa", "versicolor", "virginica"]), np.array(["a", "b", "c"], object), [7, 3, 5]],
)
def test_labels_of_any_type(kind, names, iris):
    X, y = iris
    labels = np.asarray(names)[y]
    fitted = quick(kind).fit(X, labels)
    assert list(fitted.classes_) == sorted(names)
    assert fitted.score(X, labels) > 0.95
    assert fitted.predict(X).dtype == labels.dtype or labels.dtype == object
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1.0, rtol=1e-6)
    most = fitted.classes_[fitted.decision_function(X).argmax(axis=1)]
    np.testing.assert_array_equal(most, fitted.predict(X))


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_two_classes_and_booleans(kind, iris):
    X, y = iris
    fitted = quick(kind).fit(X, y == 0)
    assert fitted.score(X, y == 0) == 1.0
    assert fitted.predict(X).dtype == bool
    logits, chances = fitted.decision_function(X), fitted.predict_proba(X)
    assert logits.shape == (150,) and chances.shape == (150, 2)
    np.testing.assert_allclose(chances[:, 1], 1 / (1 + np.exp(-logits)), rtol=1e-12)
    np.testing.assert_allclose(fitted.predict_log_proba(X), np.log(chances))


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_one_class(kind, iris):
    fitted = quick(kind).fit(iris[0], ["only"] * 150)
    assert set(fitted.predict(iris[0])) == {"only"}
    np.testing.assert_array_equal(fitted.predict_proba(iris[0]), np.ones((150, 1)))


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_several_labels_a_sample(kind):
    X, Y = datasets.make_multilabel_classification(80, random_state=0)
    fitted = quick(kind).fit(X, Y)
    assert fitted.score(X, Y) > 0.9
    assert fitted.predict_proba(X).shape == fitted.decision_function(X).shape == Y.shape
    np.testing.assert_array_equal(fitted.predict(X), fitted.predict_proba(X) > 0.5)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_several_values_a_sample(kind):
    X, Y = datasets.make_regression(150, 8, n_targets=3, random_state=0)
    Y = StandardScaler().fit_transform(Y)
    fitted = quick(kind, max_iter=200).fit(X, Y)
    assert fitted.predict(X).shape == Y.shape
    assert fitted.score(X, Y) > 0.95
    assert quick(kind).fit(X, Y[:, 0]).predict(X).shape == (150,)


@pytest.mark.parametrize("kind", FOUR)
def test_sparse_samples_are_as_dense_ones(kind, iris):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    X, y = iris
    X = np.where(abs(X) > 0.5, X, 0)
    dense = quick(kind).fit(X, y)
    for form in (scipy_sparse.csr_array, scipy_sparse.csc_matrix, scipy_sparse.coo_array):
        sparse = quick(kind).fit(form(X), y)
        assert same(dense, sparse)
        np.testing.assert_array_equal(dense.predict(X), sparse.predict(form(X)))


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("kind", FOUR)
def test_tables(kind, library, iris):
    frames = pytest.importorskip(library)
    X, y = iris
    table = frames.DataFrame({name: X[:, k] for k, name in enumerate("abcd")})
    fitted = quick(kind).fit(table, frames.Series(y))
    assert list(fitted.feature_names_in_) == list("abcd")
    assert same(fitted, quick(kind).fit(X, y))
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(table[["b", "a", "c", "d"]])
    if library == "polars":
        with pytest.raises(TypeError, match=r"X: is a LazyFrame.* its collect\(\)"):
            quick(kind).fit(table.lazy(), y)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(
    "column, message",
    [
        (["red", "blue", None] * 20, "'second' is not all numbers; encode it, as OneHotEncoder"),
        ([1.5, None, 2.5] * 20, "'second' has missing cells; fill them, as SimpleImputer does"),
    ],
)
def test_columns_that_are_no_numbers_are_named(library, column, message, iris):
    frames = pytest.importorskip(library)
    given = {"first": np.arange(60.0), "second": column, "third": column}
    days = np.datetime64("2026-01-01", "us") + np.arange(60) * np.timedelta64(1, "D")
    for kind in FOUR:
        with pytest.raises((TypeError, ValueError), match=f"X: column {message}"):
            quick(kind).fit(frames.DataFrame(given), np.arange(60) % 2)
    for dates in ({"second": days}, {"first": np.arange(60.0), "second": days}):
        with pytest.raises(TypeError, match="X: column 'second' holds times"):
            quick(MLPClassifier).fit(frames.DataFrame(dates), np.arange(60) % 2)
    if library == "pandas":
        given["second"] = np.ones(60) * 1j
        with pytest.raises(ValueError, match=r"'second' is complex\. Complex data not supported"):
            quick(MLPClassifier).fit(frames.DataFrame(given), np.arange(60) % 2)
        sparse = frames.DataFrame({"s": frames.arrays.SparseArray([0.5, 1.5] * 30)})
        with pytest.raises(ValueError, match="'s' is sparse with a fill value that is not 0"):
            quick(MLPClassifier).fit(sparse, np.arange(60) % 2)
        large = frames.DataFrame({"s": [1.0] * 59 + [1e39], "second": np.arange(60) % 3})
        with pytest.raises(ValueError, match="'s' holds infinity, or numbers too large"):
            quick(MLPClassifier).fit(large, np.arange(60) % 2)
    fitted = quick(MLPClassifier).fit(frames.DataFrame(given)[["first"]], np.arange(60) % 2)
    late = frames.DataFrame({"first": [0.5, None]})
    with pytest.raises(ValueError, match="column 'first' has missing cells"):
        fitted.predict(late)


@pytest.mark.parametrize("wrong", ["64", [64, "a"], 6.5, [True]])
def test_units_that_are_no_numbers(wrong):
    with pytest.raises(TypeError, match="hidden_layer_sizes must be an int"):
        MLPClassifier(wrong).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("kind", FOUR)
def test_copies_and_pickles(kind, iris, tmp_path):
    X, y = iris
    fitted = quick(kind).fit(X, y)
    assert same(clone(fitted).fit(X, y), fitted)
    path = tmp_path / "model.joblib"
    joblib.dump(fitted, path)
    for found in (pickle.loads(pickle.dumps(fitted)), joblib.load(path)):
        np.testing.assert_array_equal(found.predict(X), fitted.predict(X))
        assert same(found.partial_fit(X, y), pickle.loads(pickle.dumps(fitted)).partial_fit(X, y))


@pytest.mark.parametrize("kind", FOUR)
def test_a_search_in_workers_gives_the_same_bytes(kind, iris):
    X, y = iris
    grid = {"max_iter": [3, 10], "batch_size": [16, "auto"]}
    one, two = (
        GridSearchCV(quick(kind), grid, n_jobs=jobs, cv=2).fit(X, y.astype(float))
        for jobs in (1, 2)
    )
    assert same(one.best_estimator_, two.best_estimator_)
    for name in ("split0_test_score", "split1_test_score", "rank_test_score"):
        assert one.cv_results_[name].tobytes() == two.cv_results_[name].tobytes()


def test_workers_stay_on_one_thread():
    from steep.sklearn.samples import few_threads

    def count():
        with few_threads():
            return steep.get_num_threads()

    with steep.threads(3):
        assert count() == 3
    run = joblib.Parallel(n_jobs=2, backend="threading")
    assert run(joblib.delayed(count)() for _ in range(2)) == [1, 1]


def test_pipelines_of_tables_and_weights_by_routing(iris):
    frames = pytest.importorskip("pandas")
    X, y = iris
    table = frames.DataFrame(X, columns=list("abcd"))
    pipe = make_pipeline(StandardScaler(), quick(MLPClassifier)).set_output(transform="pandas")
    assert list(pipe.fit(table, y)[-1].feature_names_in_) == list("abcd")
    weights = 1.0 * (y != 2)
    with sklearn.config_context(enable_metadata_routing=True):
        plain = quick(NetClassifier).set_fit_request(sample_weight=True)
        plain.set_score_request(sample_weight=False)
        found = cross_validate(
            plain, X, y, params={"sample_weight": weights}, return_estimator=True, cv=3
        )
    for each in found["estimator"]:  # a class without weight was never seen
        assert 2 not in each.predict(X)


@pytest.mark.parametrize("kind", FOUR)
def test_a_weight_counts_samples(kind, iris):
    X, y = iris[0][:60], iris[1][::2][:60]
    counts = np.arange(60) % 3
    weighted = quick(kind).fit(X, y, sample_weight=counts)
    assert same(weighted, quick(kind).fit(X.repeat(counts, axis=0), y.repeat(counts)))


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize("given", ["balanced", {"a": 5.0, "b": 1.0}])
def test_weights_of_classes(kind, given):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 2)), np.array(["b"] * 360 + ["a"] * 40)
    X[360:] += 1.0
    plain, weighted = quick(kind).fit(X, y), quick(kind, class_weight=given).fit(X, y)
    assert (weighted.predict(X) == "a").sum() > 2 * (plain.predict(X) == "a").sum()
    with pytest.raises(ValueError, match="partial_fit"):
        quick(kind, class_weight="balanced").partial_fit(X, y, classes=["a", "b"])


@pytest.mark.parametrize("kind", FOUR)
def test_a_random_state_goes_on(kind, iris):
    X, y = iris
    state = np.random.RandomState(3)
    first = quick(kind, random_state=state).fit(X, y)
    second = quick(kind, random_state=state).fit(X, y)
    assert not same(first, second)
    assert same(first, quick(kind, random_state=np.random.RandomState(3)).fit(X, y))


def test_images_and_networks_of_ones_own():
    images, y = datasets.load_digits(return_X_y=True)
    images = (images / 16).reshape(-1, 8, 8, 1)[:500]
    net = steep.Sequential(
        layers.Conv2D(8, 3, activation="relu"), layers.MaxPool2D(2), layers.Flatten(),
        layers.Dense(10),
    )  # fmt: skip
    fitted = quick(NetClassifier, net=net, max_iter=20, batch_size=50).fit(images, y[:500])
    assert fitted.score(images, y[:500]) > 0.98
    assert not net.built  # it trained a copy
    assert same(fitted, clone(fitted).fit(images, y[:500]))


def test_a_network_goes_on_from_its_weights(iris):
    X, y = iris
    net = steep.Sequential(layers.Dense(8, "relu"), layers.Dense(3)).build((4,), seed=5)
    fitted = NetClassifier(net, max_iter=1, optimizer=optimizers.SGD(0.0)).fit(X, y)
    assert all((fitted.net_.state_dict()[k] == v).all() for k, v in net.state_dict().items())


def test_functions_of_outputs_and_refusals(iris):
    X, y = iris

    def made(outputs):
        return steep.Sequential(layers.Dense(16, "gelu"), layers.Dense(outputs))

    assert quick(NetClassifier, net=made).fit(X, y).score(X, y) > 0.95
    assert quick(NetRegressor, net=made).fit(X, y).score(X, y) > 0.9
    with pytest.raises(ValueError, match=r"outputs of shape \(3,\), y needs \(1,\)"):
        quick(NetRegressor, net=made(3)).fit(X, y)
    with pytest.raises(TypeError, match="net must be a network or a function"):
        quick(NetRegressor, net="mlp").fit(X, y)
    with pytest.raises(TypeError, match="must return a network"):
        quick(NetRegressor, net=lambda outputs: None).fit(X, y)


def test_losses_optimizers_and_penalties_of_steep(iris):
    X, y = iris
    rate = schedules.Cosine(0.02, over=60, unit="epoch")
    robust = NetRegressor(
        loss="huber", optimizer=optimizers.AdamW(rate), l1=1e-5, l2=1e-5, clip_norm=1.0,
        random_state=0, max_iter=60, tol=0.0,
    ).fit(X, y)  # fmt: skip
    assert robust.score(X, y) > 0.9
    named = MLPClassifier(solver="rmsprop", random_state=0).fit(X, y)
    assert named.score(X, y) > 0.9
    whole = NetClassifier(optimizer=optimizers.LBFGS(), random_state=0).fit(X, y)
    assert whole.score(X, y) > 0.95
    assert not hasattr(whole, "partial_fit")


@pytest.mark.parametrize(
    "extra", [{"dropout": 0.3}, {"batch_norm": True}, {"precision": "float64"}]
)
def test_what_scikit_learn_has_not(extra, iris):
    X, y = iris
    fitted = quick(MLPClassifier, hidden_layer_sizes=(30, 20), **extra).fit(X, y)
    assert fitted.score(X, y) > 0.95
    assert same(fitted, clone(fitted).fit(X, y))
    assert not same(fitted, quick(MLPClassifier, hidden_layer_sizes=(30, 20)).fit(X, y)) or (
        extra == {"precision": "float64"}
    )
    assert fitted.net_.state_dict()["output.weight"].dtype == extra.get("precision", "float32")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "adamm"}, 'did you mean "adam"'),
        ({"alpha": -1.0}, r"MLPClassifier: alpha must be in \[0, inf\), got -1.0"),
        ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be > 0"),
        ({"max_iter": 0}, "max_iter must be at least 1"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"learning_rate": "falling"}, "unknown learning_rate"),
        ({"activation": "rellu"}, 'did you mean "relu"'),
        ({"validation_fraction": 1.5}, "validation_fraction"),
        ({"precision": "half"}, "unknown precision"),
    ],
)
def test_wrong_parameters_are_refused_by_name(settings, message, iris):
    with pytest.raises((ValueError, TypeError), match=message):
        MLPClassifier(**settings).fit(*iris)


def test_a_diverging_fit_says_so(iris):
    X, y = iris
    wild = {"solver": "sgd", "activation": "identity", "learning_rate_init": 1e6, "random_state": 0}
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        MLPRegressor(**wild).fit(1e3 * X, y)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        early = MLPRegressor(early_stopping=True, **wild).fit(1e3 * X, y)
    assert np.isnan(early.validation_scores_[-1]) and np.isfinite(early.predict(X)).all()


def test_the_trainer_inside_has_its_history(iris):
    fitted = quick(NetClassifier).fit(*iris)
    trainer = fitted._optimizer.trainer
    assert trainer.epoch == fitted.n_iter_ == len(trainer.history.history["loss"])
    np.testing.assert_array_equal(trainer.history.history["loss"], fitted.loss_curve_)
