"""Learning and capacity curves: samples, scores, bias and variance, and what the pictures show."""

import numpy as np
import pytest
import steep
from steep import lab, layers, optimizers

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-1, 1, (200, 1))
Y = np.sin(5 * X) + 0.2 * RANDOM.standard_normal(X.shape)
HELD = (np.linspace(-1, 1, 50)[:, None], np.sin(5 * np.linspace(-1, 1, 50)[:, None]))
LABELS = (X[:, 0] > 0.1 * RANDOM.standard_normal(200)).astype(int)


def model(width, seed):
    net = steep.Sequential(layers.Dense(width, "tanh"), layers.Dense(1))
    return steep.Trainer(net, "mse", "lbfgs", seed=seed, precision="float64")


def classifier(seed):
    net = steep.Sequential(layers.Dense(8, "tanh"), layers.Dense(2))
    return steep.Trainer(net, "cross_entropy", optimizers.Adam(0.05), seed=seed)


def curve(**options):
    options = {"samples": 25, "repeats": 6, "epochs": 150} | options
    return lab.capacity_curve(model, X, Y, (1, 4, 25), validation=HELD, **options)


def test_every_point_is_a_training_of_its_own():
    held = (X[150:], LABELS[150:])
    found = lab.learning_curve(
        classifier, X, LABELS, (10, 40), validation=held, repeats=3, epochs=4, seed=7
    )
    assert found.score == "accuracy"
    for repeat in range(3):
        order = np.random.default_rng((7, repeat)).permutation(200)
        for k, size in enumerate((10, 40)):
            drawn, alone = order[:size], classifier(repeat)
            alone.fit(X[drawn], LABELS[drawn], epochs=4, progress=False)
            assert found.train[k, repeat] == alone.evaluate(X[drawn], LABELS[drawn])["accuracy"]
            assert found.validation[k, repeat] == alone.evaluate(*held)["accuracy"]
    np.testing.assert_allclose(found.gap, (found.train - found.validation).mean(1))


def test_the_gap_closes_as_samples_come():
    found = lab.learning_curve(
        lambda seed: model(10, seed), X, Y, (8, 32, 200), validation=HELD, repeats=5, epochs=200
    )
    assert found.score == "loss"
    np.testing.assert_allclose(found.gap, (found.validation - found.train).mean(1))
    assert found.gap[0] > 5 * abs(found.gap[2])
    assert (np.diff(found.validation.mean(1)) < 0).all()


def test_error_is_squared_bias_and_variance():
    found = curve()
    np.testing.assert_allclose(found.validation.mean(1), found.bias2 + found.variance, rtol=1e-12)
    alone = np.array([
        [m.net.predict(HELD[0]) for m in (trained(w, k) for k in range(6))] for w in found.widths
    ])[..., 0]  # fmt: skip
    np.testing.assert_allclose(found.variance, alone.var(1).mean(1), rtol=1e-12)
    truth = HELD[1][:, 0]
    np.testing.assert_allclose(found.bias2, ((alone.mean(1) - truth) ** 2).mean(1), rtol=1e-12)


def trained(width, repeat):
    drawn, made = np.random.default_rng((0, repeat)).permutation(200)[:25], model(width, repeat)
    made.fit(X[drawn], Y[drawn], epochs=150, progress=False)
    return made


def test_the_simple_model_errs_by_bias_and_the_complex_one_by_variance():
    """Row 51: the lectures' green and red models."""
    found = curve(repeats=10)
    assert found.bias2[0] > 3 * found.variance[0]
    assert found.variance[2] > 3 * found.bias2[2]
    assert (np.diff(found.train.mean(1)) < 0).all()
    assert found.validation.mean(1).argmin() == 1


def test_classes_have_probabilities():
    held = (X[150:], LABELS[150:])
    found = lab.capacity_curve(
        lambda width, seed: classifier(seed), X, LABELS, ("a", "b"), validation=held,
        repeats=3, epochs=3, workers=1,
    )  # fmt: skip
    np.testing.assert_allclose(found.validation.mean(1), found.bias2 + found.variance, rtol=1e-12)
    assert (found.validation <= 2).all()
    assert found.train[0].tolist() == found.train[1].tolist()  # the width was not used
    again = lab.capacity_curve(
        lambda width, seed: classifier(seed), X, LABELS, ("a", "b"), validation=held,
        repeats=3, epochs=3, workers=4,
    )  # fmt: skip
    assert again.validation.tobytes() == found.validation.tobytes()


def test_the_pictures_show_the_numbers():
    pytest.importorskip("matplotlib")
    found = curve(repeats=3, epochs=20)
    axes = found.plot().axes[0]
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    means = {
        "training error": found.train.mean(1), "validation error": found.validation.mean(1),
        "squared bias": found.bias2, "variance": found.variance,
    }  # fmt: skip
    assert set(lines) == set(means)
    for name, values in means.items():
        np.testing.assert_array_equal(lines[name], np.column_stack([found.widths, values]))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("capacity", "mean squared error")
    learnt = lab.learning_curve(
        classifier, X, LABELS, (10, 100), validation=(X, LABELS), repeats=2, epochs=1
    )
    axes = learnt.plot().axes[0]
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    np.testing.assert_array_equal(lines["training"][:, 1], learnt.train.mean(1))
    np.testing.assert_array_equal(lines["validation"][:, 1], learnt.validation.mean(1))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training samples", "accuracy")
    assert [t.get_text() for t in axes.get_legend().get_texts()][-1] == "gap"


def test_what_is_refused():
    with pytest.raises(ValueError, match="sizes must be"):
        lab.learning_curve(classifier, X, LABELS, (300,), validation=(X, LABELS))
    with pytest.raises(TypeError, match="make_trainer must return a Trainer, got NoneType"):
        lab.learning_curve(lambda seed: None, X, LABELS, (3,), validation=(X, LABELS))
    with pytest.raises(ValueError, match="repeats must be"):
        curve(repeats=1)
    with pytest.raises(ValueError, match="samples must be"):
        curve(samples=201)
    with pytest.raises(ValueError, match="unknown argument of capacity_curve or fit"):
        curve(rate=1)

    def wild(seed):
        return steep.Trainer(steep.Sequential(layers.Dense(1)), "mse", optimizers.SGD(1e30))

    with pytest.raises(steep.NonFiniteError):
        lab.learning_curve(wild, X, Y, (50,), validation=HELD)
