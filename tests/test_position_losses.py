"""Losses of positions: golden numbers, PyTorch, labels read where they lie, ignored ones."""

import math

import numpy as np
import pytest
import steep
from steep import layers, losses, optimizers

GOLDEN = np.array([[1, 0, 3], [2, 2, -1]])


pytestmark = pytest.mark.usefixtures("padding_stays_zero")


def table(z, loss, precision="float64", **options):
    """Return inputs and a trainer of the network that gives z for them: its weights are z."""
    z = np.asarray(z)
    X = np.eye(z[..., 0].size).reshape(*z.shape[:-1], -1)
    net = steep.Sequential(
        layers.Dense(z.shape[-1], use_bias=False, init=z.reshape(-1, z.shape[-1]), name="z")
    )
    return X, steep.Trainer(net, loss, optimizers.SGD(0.0), precision=precision, **options)


def gradient_of(trainer, X, y, z, weights=None):
    loss, found = trainer.gradients(X, y, weights)
    return loss, found["z.weight"].reshape(z.shape)


def test_golden_mean_over_valid_positions():
    z = np.sin(np.arange(24.0)).reshape(2, 3, 4)
    loss = losses.CrossEntropy(ignore=-1)
    per_position = [[1.0978341691, 2.0202695736, 2.6385623580], [0.9138744228, 1.7683114890, 0]]
    np.testing.assert_allclose(loss.rows(z, GOLDEN), per_position, atol=5e-11)
    X, trainer = table(z, loss)
    value, gradient = gradient_of(trainer, X, GOLDEN, z)
    assert value == pytest.approx(1.6877704025, abs=5e-11)
    assert loss(z, GOLDEN) == pytest.approx(1.6877704025, abs=5e-11)
    wanted = [0.0287607673, -0.1332814385, 0.0714008404, 0.0331198308]
    np.testing.assert_allclose(gradient[0, 0], wanted, atol=5e-11)
    assert not gradient[1, 2].any()
    measured = trainer.evaluate(X, GOLDEN)
    right = (z.argmax(-1) == GOLDEN)[GOLDEN >= 0].mean()
    assert measured["loss"] == pytest.approx(1.6877704025, abs=5e-11)
    assert measured["accuracy"] == pytest.approx(right, abs=1e-15)
    assert trainer.step(X, GOLDEN) == pytest.approx(1.6877704025, abs=5e-11)
    total = trainer.evaluate(X[:1], GOLDEN[:1])["loss"]
    assert total == pytest.approx(np.mean(per_position[0]), abs=5e-11)


SHAPES = [(2, 2), (3, 3), (5, 15), (4, 16), (300, 2), (3, 17), (270, 33), (2, 3, 5), (1, 6)]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "weighted_mean"])
@pytest.mark.parametrize("shape", SHAPES)
def test_against_pytorch(shape, reduction, precision):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(len(shape) + shape[0])
    z, lead = 2 * random.standard_normal((4, *shape)), (4, *shape[:-1])
    y = random.integers(0, shape[-1], lead)
    y[random.random(lead) < 0.3] = -1
    y.reshape(-1)[0] = 0
    each = random.uniform(0.2, 2, lead)
    X, trainer = table(
        z, losses.CrossEntropy(0.1, ignore=-1), precision, reduction=reduction
    )  # fmt: skip
    t = torch.tensor(z.astype(precision), dtype=torch.float64, requires_grad=True)
    rows = torch.nn.functional.cross_entropy(
        t.movedim(-1, 1), torch.tensor(y), reduction="none", ignore_index=-1, label_smoothing=0.1
    )
    for weights in (None, each, each.astype(np.float32)[..., ::-1][..., ::-1]):
        counts = (y >= 0) * np.float64(1.0 if weights is None else weights)
        by = {"mean": (y >= 0).sum(), "sum": 1.0, "weighted_mean": counts.sum()}[reduction]
        wanted = (rows * torch.tensor(counts)).sum() / by
        (slope,) = torch.autograd.grad(wanted, t, retain_graph=True)
        got, gradient = gradient_of(trainer, X, y, z, weights)
        near = 3e-6 if precision == "float32" else 1e-12
        assert got == pytest.approx(wanted.item(), rel=near)
        np.testing.assert_allclose(gradient, slope, rtol=0, atol=near * slope.abs().max().item())
        measured = trainer.evaluate(X, y, sample_weight=weights, batch_size=3)
        mean = wanted.item() / (len(y) if reduction == "sum" else 1)
        assert measured["loss"] == pytest.approx(mean, rel=near)
        right = (z.argmax(-1) == y) * counts
        assert measured["accuracy"] == pytest.approx(right.sum() / counts.sum(), abs=1e-7)


def test_labels_are_read_where_they_lie():
    series = np.random.default_rng(0).integers(0, 5, 40_000).astype(np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(series, 33)
    X, y = windows[:, :32, None], windows[:, 1:]
    net = steep.Sequential(layers.Dense(9, "tanh"), layers.Dense(5), input_shape=(32, 1))
    trainer = steep.Trainer(net, "cross_entropy", "adam", seed=3)
    trainer.fit(X, y, epochs=1, batch_size=512, progress=False)
    dense = steep.Sequential(layers.Dense(9, "tanh"), layers.Dense(5), input_shape=(32, 1))
    other = steep.Trainer(dense, "cross_entropy", "adam", seed=3)
    other.fit(X.copy(), y.astype(np.int64), epochs=1, batch_size=512, progress=False)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, dense.state_dict()[name])


@pytest.mark.parametrize("kind", ["uint8", "int8", "int32", ">i4", "uint32", "int64", "float32"])
def test_any_kind_of_labels(kind):
    z = np.random.default_rng(1).standard_normal((5, 4, 3))
    y = np.random.default_rng(2).integers(0, 3, (5, 4))
    X, trainer = table(z, "cross_entropy")
    wanted = trainer.gradients(X, y)[0]
    assert trainer.gradients(X, y.astype(kind))[0] == wanted
    assert trainer.gradients(X, y.astype(kind)[..., None])[0] == wanted
    assert trainer.gradients(X, np.asfortranarray(y.astype(kind)))[0] == wanted
    assert wanted == pytest.approx(losses.CrossEntropy()(z, y), rel=1e-12)


def test_labels_of_samples_that_do_not_count():
    z = np.random.default_rng(3).standard_normal((6, 20))
    y = np.array([3, 255, 0, 19, 255, 7], np.uint8)
    loss = losses.CrossEntropy(ignore=255)
    X, trainer = table(z, loss)
    value, gradient = gradient_of(trainer, X, y, z)
    plain = table(z, "cross_entropy")[1]
    kept = y != 255
    wanted, slope = gradient_of(plain, X[kept], y[kept], z)
    assert value == pytest.approx(wanted, rel=1e-14)
    np.testing.assert_allclose(gradient, slope, atol=1e-15)
    assert loss(z, y) == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(ValueError, match="label 255 at row 1 is out of range"):
        plain.step(X, y)


def test_what_does_not_count_may_be_infinite():
    z = np.array([[[1.0, 2.0], [np.inf, 0.0]], [[0.5, 0.0], [3.0, 1.0]]])
    y = np.array([[1, -1], [0, 0]])
    same = layers.Dense(2, init=np.eye(2), use_bias=False)
    net = steep.Sequential(same, layers.Activation("exp"), input_shape=(2, 2))
    trainer = steep.Trainer(net, losses.CrossEntropy(ignore=-1), "sgd")
    z[0, 1, 0] = 89.0  # e^89 is beyond float32
    with np.errstate(over="ignore"):
        wanted = losses.CrossEntropy(ignore=-1)(np.exp(np.minimum(z, 80)), y)
    assert trainer.evaluate(z.astype(np.float32), y)["loss"] == pytest.approx(wanted, rel=1e-5)


def test_probabilities_of_positions():
    z = np.random.default_rng(4).standard_normal((3, 5, 7))
    p = np.random.default_rng(5).dirichlet(np.ones(7), (3, 5))
    X, trainer = table(z, losses.CrossEntropy(0.2))
    assert trainer.gradients(X, p)[0] == pytest.approx(losses.CrossEntropy(0.2)(z, p), rel=1e-12)
    one_hot = np.eye(7)[p.argmax(-1)]
    plain = table(z, "cross_entropy")[1]
    assert plain.gradients(X, one_hot)[0] == pytest.approx(plain.gradients(X, p.argmax(-1))[0])


@pytest.mark.parametrize("name", ["binary_cross_entropy", "mse", "huber"])
def test_weights_of_positions_mask_any_loss(name):
    random = np.random.default_rng(6)
    z, y = random.standard_normal((3, 4, 5, 2)), random.random((3, 4, 5, 2))
    mask = random.random((3, 4, 5)) < 0.5
    loss = losses.get(name)
    X, trainer = table(z, loss, reduction="weighted_mean")
    value, gradient = gradient_of(trainer, X, y, z, mask)
    assert value == pytest.approx(loss(z[mask], y[mask]), rel=1e-12)
    assert not gradient[~mask].any()
    assert gradient[mask].all()
    mean, plain = table(z, loss)[1], table(z, loss)[1]
    assert mean.gradients(X, y, mask)[0] == pytest.approx(value * mask.mean(), rel=1e-12)
    ones = plain.gradients(X, y, np.ones((3, 4, 5)))
    np.testing.assert_allclose(ones[1]["z.weight"], plain.gradients(X, y)[1]["z.weight"])
    assert ones[0] == pytest.approx(plain.gradients(X, y)[0], rel=1e-14)


def test_weights_of_classes():
    random = np.random.default_rng(7)
    z, y = random.standard_normal((8, 5, 3)), random.integers(-1, 3, (8, 5))
    weight = (0.5, 2.0, 1.0)
    loss = losses.CrossEntropy(ignore=-1, class_weight=weight)
    X, trainer = table(z, loss, reduction="weighted_mean")
    rows = loss.rows(z, y)
    over = np.array([*weight, 0.0])[y].sum()
    assert trainer.gradients(X, y)[0] == pytest.approx(rows.sum() / over, rel=1e-7)
    fitted = table(z, losses.CrossEntropy(ignore=-1), reduction="weighted_mean")[1]
    fitted.fit(X, y, epochs=1, batch_size=8, class_weight=weight, progress=False)
    assert fitted.history.history["loss"][0] == pytest.approx(rows.sum() / over, rel=1e-7)
    for given in ("balanced", {0: 0.0}):
        fitted.fit(X, y, epochs=1, batch_size=8, class_weight=given, progress=False)
    mask = (random.random((4, 3, 3, 1)) < 0.2).astype(np.float32)
    z = random.standard_normal(mask.shape)
    X, trainer = table(z, "binary_cross_entropy")
    trainer.fit(X, mask, epochs=1, batch_size=4, class_weight={1: 5.0}, progress=False)
    rows = losses.BinaryCrossEntropy()(z[mask == 1], mask[mask == 1]) * mask.sum() * 5
    rows += losses.BinaryCrossEntropy()(z[mask == 0], mask[mask == 0]) * (mask == 0).sum()
    assert trainer.history.history["loss"][0] == pytest.approx(rows / mask.size, rel=1e-7)
    assert losses.from_config(loss.get_config()) == loss


def trained(threads):
    """Return the bytes of a small U-Net's weights after labels with holes."""
    random = np.random.default_rng(8)
    X = random.random((40, 8, 8, 1)).astype(np.float32)
    y = random.integers(-1, 3, (40, 8, 8))
    conv = layers.Conv2D(20, 3, activation="relu")
    net = steep.Sequential(conv, layers.Dense(17, "gelu"), layers.Conv2D(3, 1))
    with steep.threads(threads):
        trainer = steep.Trainer(net, losses.CrossEntropy(0.1, ignore=-1), "adam", seed=2)
        trainer.fit(X, y, epochs=2, batch_size=16, accumulate=2, progress=False)
        return (
            b"".join(w.tobytes() for w in net.state_dict().values())
            + repr(trainer.history.history["loss"]).encode()
        )


def test_any_number_of_threads_gives_the_same_bytes():
    assert len({trained(threads) for threads in (1, 2, 3, 8)}) == 1


def test_steps_of_an_epoch_have_the_means_of_their_batches():
    z = np.random.default_rng(9).standard_normal((6, 4, 3))
    y = np.random.default_rng(10).integers(-1, 3, (6, 4))
    y[:, 0] = 1
    X, trainer = table(z, losses.CrossEntropy(ignore=-1))
    trainer.fit(X, y, epochs=1, batch_size=2, shuffle=False, progress=False)
    loss = losses.CrossEntropy(ignore=-1)
    wanted = [loss(z[k : k + 2], y[k : k + 2]) for k in (0, 2, 4)]
    np.testing.assert_allclose(trainer.history.steps["loss"], wanted, rtol=1e-12)
    assert math.isclose(trainer.history.history["loss"][0], np.mean(wanted), rel_tol=1e-12)


def test_refusals():
    z = np.random.default_rng(11).standard_normal((2, 3, 4))
    X, trainer = table(z, losses.CrossEntropy(ignore=-1))
    bad = GOLDEN.copy()
    bad[1, 1] = 4
    half = GOLDEN + 0.5
    for y, weights, message in (
        (bad, None, r"label 4 at row 1, column 1 is out of range: .*0 to 3, or -1 for what does"),
        (half, None, "whole numbers, got 1.5 at row 0, column 0"),
        (GOLDEN[:, :2], None, r"expects labels \(N, 3\) or shape \(2, 3, 4\), got \(2, 2\)"),
        (GOLDEN[:, 0], None, r"got \(2,\)\. For one target a sample put Flatten\(\)"),
        (np.full((2, 3), -1), None, "all labels are -1, which is ignored"),
        (GOLDEN, np.ones((2, 2)), r"sample_weight: expects shape \(2,\) or \(2, 3\), got \(2, 2\)"),
        (GOLDEN, -np.ones((2, 3)), "at least 0, got -1.0 at row 0, column 0"),
        (GOLDEN, np.zeros((2, 3)), "all weights are 0"),
    ):
        with pytest.raises(ValueError, match=message):
            trainer.step(X, y, weights)
    with pytest.raises(ValueError, match=r"the network has 4 outputs, so labels are 0 to 3$"):
        table(z, "cross_entropy")[1].step(X, GOLDEN)
    for arguments in ({"ignore": 1.5}, {"class_weight": (1.0, -1.0)}, {"class_weight": 3}):
        with pytest.raises((TypeError, ValueError), match=f"CrossEntropy: {next(iter(arguments))}"):
            losses.CrossEntropy(**arguments)


def test_one_of_several_losses():
    """Pixels and a number of the whole image: the sum of both, each over what it counts."""
    random = np.random.default_rng(12)
    X, y = random.standard_normal((5, 4, 4, 2)), random.integers(-1, 3, (5, 4, 4))
    size = random.standard_normal(5)
    weights = random.random((5, 4, 4))
    x = steep.Input((4, 4, 2))
    hidden = layers.Conv2D(8, 3, activation="tanh", name="conv")(x)
    pixels = layers.Dense(3, name="pixels")(hidden)
    whole = layers.Dense(1, name="size")(layers.Flatten()(hidden))
    both = steep.Model(x, {"pixels": pixels, "size": whole}).build(seed=3)
    loss = losses.CrossEntropy(ignore=-1)
    trainer = steep.Trainer(both, {"pixels": loss, "size": "mse"}, "sgd", precision="float64")
    targets = {"pixels": y, "size": size}
    value, found = trainer.gradients(X, targets, {"pixels": weights})
    z = both.predict(X)
    kept = y >= 0
    first = (loss.rows(z["pixels"], y) * weights).sum() / kept.sum()
    second = losses.MeanSquaredError()(z["size"], size)
    assert value == pytest.approx(first + second, rel=1e-12)
    measured = trainer.evaluate(X, targets, sample_weight={"pixels": weights})
    assert measured["pixels_loss"] == pytest.approx(first, rel=1e-12)
    assert measured["size_loss"] == pytest.approx(second, rel=1e-12)
    right = (z["pixels"].argmax(-1) == y) * weights * kept
    share = right.sum() / (weights * kept).sum()
    assert measured["pixels_accuracy"] == pytest.approx(share, rel=1e-12)
    step = trainer.step(X, targets, {"pixels": weights})
    assert step == pytest.approx(first + second, rel=1e-12)
    assert all(np.isfinite(value).all() for value in found.values())
    bad = {"pixels": np.where(y == 2, 3, y), "size": size}
    with pytest.raises(ValueError, match=r"y\['pixels'\]: label 3 at row .* is out of range"):
        trainer.step(X, bad)
