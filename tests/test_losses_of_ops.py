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
