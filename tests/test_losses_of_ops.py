"""Losses that are made of ops: their numbers, their gradients, and PyTorch's where it has them."""

import numpy as np
import pytest
import steep
from steep import layers, losses

RANDOM = np.random.default_rng(3)
N, WIDE = 9, 4
LOGITS = RANDOM.normal(size=(N, WIDE))
DRAWN = {
    "values": RANDOM.normal(size=(N, WIDE)),
    "bits": RANDOM.integers(0, 2, (N, WIDE)).astype(float),
    "signs": 2.0 * RANDOM.integers(0, 2, (N, WIDE)) - 1.0,
    "chances": RANDOM.random((N, WIDE)),
    "counts": RANDOM.poisson(2.0, (N, WIDE)).astype(float),
    "sums to 1": RANDOM.dirichlet(np.ones(WIDE), N),
}
ROWS = {
    "hinge": (losses.Hinge(), "bits"),
    "hinge of signs": (losses.Hinge(), "signs"),
    "squared_hinge": (losses.SquaredHinge(), "bits"),
    "poisson": (losses.Poisson(), "counts"),
    "kl_divergence": (losses.KLDivergence(), "sums to 1"),
    "kl of one-hot": (losses.KLDivergence(), "bits"),
    "cosine_similarity": (losses.CosineSimilarity(), "values"),
    "dice": (losses.Dice(), "bits"),
    "dice 0.1": (losses.Dice(0.1), "chances"),
    "focal": (losses.Focal(), "bits"),
    "focal with alpha": (losses.Focal(1.5, 0.25), "chances"),
    "kl_normal": (losses.KLNormal(), "values"),
    "mean": (losses.Mean(), None),
}


def trained(loss, precision="float64", wide=WIDE):
    net = steep.Sequential(layers.Dense(wide, name="d", init=np.eye(wide))).build(wide)
    return steep.Trainer(net, loss, "sgd", precision=precision)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_values_are_the_formulas(name, precision):
    loss, kind = ROWS[name]
    y = None if kind is None else DRAWN[kind]
    found = trained(loss, precision).evaluate(LOGITS.astype(precision), y)["loss"]
    wanted = loss(LOGITS, y)
    assert found == pytest.approx(wanted, rel=1e-12 if precision == "float64" else 2e-6)


@pytest.mark.parametrize("name", ROWS)
def test_gradients_are_central_differences(name):
    loss, kind = ROWS[name]
    y = None if kind is None else DRAWN[kind]
    made = trained(loss)
    _, found = made.gradients(LOGITS, y)
    state = {k: v.astype(float) for k, v in made.net.state_dict().items()}
    for word in ("weight", "bias"):
        for at in range(state[f"d.{word}"].size):
            ends = []
            for step in (1e-6, -1e-6):
                moved = {k: v.copy() for k, v in state.items()}
                moved[f"d.{word}"].reshape(-1)[at] += step
                ends.append(loss(LOGITS @ moved["d.weight"] + moved["d.bias"], y))
            slope = (ends[0] - ends[1]) / 2e-6
            assert found[f"d.{word}"].reshape(-1)[at] == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_they_are_pytorchs():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    z = torch.tensor(LOGITS)
    y = {name: torch.tensor(value) for name, value in DRAWN.items()}
    pairs = [
        (losses.Poisson(), "counts", F.poisson_nll_loss(z, y["counts"])),
        (
            losses.KLDivergence(), "sums to 1",
            F.kl_div(z, y["sums to 1"], reduction="batchmean"),
        ),
        (
            losses.CosineSimilarity(), "values",
            F.cosine_embedding_loss(z, y["values"], torch.ones(N)),
        ),
        (losses.Focal(0.0), "chances", F.binary_cross_entropy_with_logits(z, y["chances"])),
    ]  # fmt: skip
    for loss, kind, wanted in pairs:
        assert loss(LOGITS, DRAWN[kind]) == pytest.approx(float(wanted), rel=1e-9), loss


def test_goldens():
    """KL of (.5, -1) with log variances (0, .6), and its gradient."""
    mean, v = np.array([[0.5, -1.0]]), np.array([[0.0, 0.6]])
    assert losses.KLNormal()(mean, v) == pytest.approx(0.7360594002, abs=1e-10)

    class Two(layers.Layer):
        def call(self, x):
            mu = x + self.parameter("mu", (2,), init=mean[0])
            log_variance = x + self.parameter("v", (2,), init=v[0])
            self.add_loss(losses.KLNormal()(mu, log_variance), name="kl")
            return mu

    net = steep.Sequential(Two(name="two")).build(2)
    made = steep.Trainer(net, None, "sgd", precision="float64")
    made.evaluate(np.zeros((3, 2)))  # the weights are float64 from here on
    net.load_state_dict({"two.mu": mean[0], "two.v": v[0]})
    loss, found = made.gradients(np.zeros((3, 2)))
    assert loss == pytest.approx(0.7360594002, abs=1e-9)
    np.testing.assert_allclose(found["two.mu"], [0.5, -1.0], atol=1e-12)
    np.testing.assert_allclose(found["two.v"], [0.0, 0.4110594002], atol=1e-9)


def test_masks_of_images():
    y = DRAWN["bits"].reshape(N, 2, 2, 1)
    net = steep.Sequential(layers.Conv2D(1, 1, name="c")).build((2, 2, 1))
    made = steep.Trainer(net, losses.Dice(), "adam", precision="float64")
    x = LOGITS.reshape(N, 2, 2, 1)
    assert made.evaluate(x, y)["loss"] == pytest.approx(losses.Dice()(net.predict(x), y))
    made.fit(x, y, epochs=2, progress=False)


@pytest.mark.parametrize("name", ROWS)
def test_they_are_saved_and_found_by_name(name, tmp_path):
    loss, kind = ROWS[name]
    assert losses.get(loss.name) == type(loss)()
    assert losses.from_config(loss.get_config()) == loss
    y = None if kind is None else DRAWN[kind]
    made = trained(loss)
    made.fit(LOGITS, y, progress=False)
    made.save(tmp_path / "t")
    again = steep.Trainer.load(tmp_path / "t")
    for each in (made, again):
        each.fit(LOGITS, y, progress=False)
    assert again.history.steps == made.history.steps


@pytest.mark.parametrize(
    ("loss", "kind", "says"),
    [
        (losses.Hinge(), "counts", r"hinge takes targets in \[-1, 1\]"),
        (losses.Poisson(), "values", "poisson takes targets in"),
        (losses.Dice(), "signs", r"dice takes targets in \[0, 1\]"),
        (losses.Focal(), "values", "focal takes targets in"),
        (losses.KLDivergence(), "values", "kl_divergence takes targets"),
    ],
)
def test_targets_out_of_range_are_refused(loss, kind, says):
    with pytest.raises(ValueError, match=says):
        trained(loss).fit(LOGITS, DRAWN[kind], progress=False)


def test_numbers_out_of_range_are_refused():
    for make in (
        lambda: losses.Focal(-1.0), lambda: losses.Focal(alpha=1.0), lambda: losses.Dice(0.0),
        lambda: losses.Poisson(log_input=3),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            make()


# -- weights of the class 1 --------------------------------------------------------------------


@pytest.mark.parametrize("weight", [3.0, (0.5, 2.0, 7.0, 1.0), np.array([1.0, 0.0, 2.0, 0.25])])
def test_pos_weight_is_that_of_pytorch(weight):
    torch = pytest.importorskip("torch")
    loss = losses.BinaryCrossEntropy(pos_weight=weight)
    made = trained(loss)
    y = DRAWN["chances"]
    x = torch.tensor(30.0 * LOGITS)
    w = torch.eye(WIDE, dtype=torch.float64, requires_grad=True)
    by = torch.tensor(weight, dtype=torch.float64)
    wanted = torch.nn.BCEWithLogitsLoss(pos_weight=by)(x @ w, torch.tensor(y))
    wanted.backward()
    value, found = made.gradients(x.numpy(), y)
    assert value == pytest.approx(wanted.item(), rel=1e-12)
    np.testing.assert_allclose(found["d.weight"], w.grad, rtol=1e-12, atol=1e-12)
    assert loss(x.numpy(), y) == pytest.approx(wanted.item(), rel=1e-12)
    assert losses.from_config(loss.get_config()) == loss


def test_pos_weight_of_pixels():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(2)
    x, y = random.standard_normal((5, 4, 3, 2)), random.integers(0, 2, (5, 4, 3, 2))
    net = steep.Sequential(layers.Conv2D(2, 1, name="c")).build((4, 3, 2), seed=1)
    made = steep.Trainer(net, losses.BinaryCrossEntropy((4.0, 0.5)), "sgd", precision="float64")
    z = torch.tensor(net.predict(x).astype(float))
    by = torch.tensor([4.0, 0.5], dtype=torch.float64)
    wanted = torch.nn.BCEWithLogitsLoss(pos_weight=by)(z, torch.tensor(y).double())
    assert made.evaluate(x, y)["loss"] == pytest.approx(wanted.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: losses.BinaryCrossEntropy(-1.0), ValueError, "pos_weight must be in"),
        (lambda: losses.BinaryCrossEntropy("2"), TypeError, "pos_weight must be a number"),
        (lambda: losses.BinaryCrossEntropy(()), ValueError, "pos_weight is empty"),
        (
            lambda: trained(losses.BinaryCrossEntropy((1.0, 2.0))).fit(LOGITS, DRAWN["bits"]),
            ValueError, "pos_weight has 2 numbers, the last axis",
        ),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# -- what is right -----------------------------------------------------------------------------

JUDGED = {
    "focal": losses.Focal(), "dice": losses.Dice(), "hinge": losses.Hinge(),
    "squared_hinge": losses.SquaredHinge(), "weighted": losses.BinaryCrossEntropy(2.0),
}  # fmt: skip


@pytest.mark.parametrize("name", JUDGED)
@pytest.mark.parametrize("weighted", [False, True])
def test_histories_show_the_share_of_right_outputs(name, weighted):
    y, weights = DRAWN["bits"], np.arange(N) % 3 if weighted else None
    made, plain = trained(JUDGED[name]), trained("binary_cross_entropy")
    found = made.evaluate(LOGITS, y, sample_weight=weights)
    assert found["accuracy"] == plain.evaluate(LOGITS, y, sample_weight=weights)["accuracy"]
    right = ((LOGITS > 0) == (y > 0.5)).mean(axis=1)
    assert found["accuracy"] == pytest.approx(np.average(right, weights=weights), rel=1e-12)
    history = made.fit(LOGITS, y, batch_size=N, sample_weight=weights, progress=False).history
    assert history["accuracy"][0] == pytest.approx(found["accuracy"], rel=1e-12)
    silent = steep.Trainer(made.net, JUDGED[name], "sgd", metrics=(), precision="float64")
    assert set(silent.evaluate(LOGITS, y)) == {"loss"}


# -- weights of positions ----------------------------------------------------------------------


def pixels(loss, precision="float64", **options):
    net = steep.Sequential(layers.Conv2D(2, 1, name="c")).build((3, 5, 2), seed=1)
    return steep.Trainer(net, loss, "sgd", precision=precision, **options)


@pytest.mark.parametrize("name", ["focal", "mean", "poisson", "weighted"])
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean"])
def test_positions_have_weights(name, reduction):
    """A loss of ops with them is the mean of its formula at each position, weighted."""
    random = np.random.default_rng(5)
    x, y = random.standard_normal((7, 3, 5, 2)), random.integers(0, 2, (7, 3, 5, 2)).astype(float)
    weights = random.integers(0, 4, (7, 3, 5)).astype(float)
    loss = {"focal": losses.Focal(), "mean": losses.Mean(), "poisson": losses.Poisson(),
            "weighted": losses.BinaryCrossEntropy((2.0, 0.5))}[name]  # fmt: skip
    y = None if name == "mean" else y
    made = pixels(loss, reduction=reduction)
    made.evaluate(x, y)  # float64 from here on
    z = made.net.predict(x)
    each = loss.rows(z.reshape(-1, 2), None if y is None else y.reshape(-1, 2)).reshape(7, 3, 5)
    over = weights.sum() if reduction == "weighted_mean" else weights.size
    wanted = (each * weights).sum() / over
    value, found = made.gradients(x, y, sample_weight=weights)
    assert value == pytest.approx(wanted, rel=1e-12)
    history = made.fit(x, y, batch_size=7, sample_weight=weights, progress=False).history
    assert history["loss"][0] == pytest.approx(wanted, rel=1e-12)
    step = 1e-6
    state = {k: v.copy() for k, v in pixels(loss).net.state_dict().items()}
    ends = []
    for sign in (1, -1):
        moved = {k: v.astype(float) for k, v in state.items()}
        moved["c.weight"][0, 0, 1, 0] += sign * step
        other = pixels(loss, reduction=reduction)
        other.evaluate(x, y)
        other.net.load_state_dict(moved)
        ends.append(other.gradients(x, y, sample_weight=weights)[0])
    slope = (ends[0] - ends[1]) / (2 * step)
    assert found["c.weight"][0, 0, 1, 0] == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("name", ["focal", "mean"])
def test_weights_of_positions_of_one_are_none(name):
    random = np.random.default_rng(6)
    x = random.standard_normal((7, 3, 5, 2))
    y = None if name == "mean" else random.integers(0, 2, x.shape).astype(float)
    loss = losses.Focal() if name == "focal" else losses.Mean()
    made, plain = pixels(loss), pixels(loss)
    ones = np.ones((7, 3, 5))
    one, other = made.evaluate(x, y, sample_weight=ones), plain.evaluate(x, y)
    assert one == pytest.approx(other, rel=1e-12)
    made.fit(x, y, batch_size=3, epochs=2, sample_weight=ones, progress=False)
    plain.fit(x, y, batch_size=3, epochs=2, progress=False)
    for key, value in made.net.state_dict().items():
        np.testing.assert_allclose(value, plain.net.state_dict()[key], rtol=1e-10)
    assert made.history.history["loss"] == pytest.approx(plain.history.history["loss"], rel=1e-12)


def test_weights_of_positions_and_threads():
    random = np.random.default_rng(7)
    x, weights = random.standard_normal((40, 3, 5, 2)), random.random((40, 3, 5))
    y = random.integers(0, 2, x.shape).astype(float)
    found = []
    for threads in (1, 2, 3, 8):
        with steep.threads(threads):
            made = pixels(losses.Focal(), "float32")
            made.fit(x, y, epochs=2, batch_size=16, sample_weight=weights, progress=False)
        found.append(made.net.state_dict()["c.weight"].tobytes())
    assert len(set(found)) == 1


def test_losses_of_whole_samples_take_no_weights_of_positions():
    x = np.zeros((2, 3, 5, 2))
    with pytest.raises(ValueError, match="sample_weight: expects shape"):
        pixels(losses.Dice()).fit(x, x, sample_weight=np.ones((2, 3, 5)))
