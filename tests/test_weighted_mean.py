"""`reduction="weighted_mean"`: losses over the sum of the weights; parity has random networks."""

import numpy as np
import pytest
import steep
from steep import layers, optimizers

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(23, 4)), RNG.integers(0, 3, 23)
WEIGHTS = RNG.integers(0, 4, 23).astype(float)


def trainer(reduction="weighted_mean", rate=0.1, **options):
    net = steep.Sequential(layers.Dense(5, "tanh"), layers.Dense(3)).build(4, seed=1)
    given = {"precision": "float64", "seed": 2, **options}
    return steep.Trainer(net, "cross_entropy", optimizers.SGD(rate), reduction=reduction, **given)


def test_class_weights_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    ours = trainer(rate=0.5)
    state = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in ours.net.state_dict().items()
    }
    w1, b1, w2, b2 = state.values()
    classes = [0.5, 3.0, 0.25]
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor(classes, dtype=torch.float64))
    descent = torch.optim.SGD(state.values(), 0.5)
    for _ in range(4):
        for first in range(0, 23, 8):
            part = slice(first, first + 8)
            descent.zero_grad()
            z = torch.tanh(torch.tensor(X[part]) @ w1 + b1) @ w2 + b2
            loss(z, torch.tensor(Y[part])).backward()
            descent.step()
    ours.fit(X, Y, epochs=4, batch_size=8, shuffle=False, class_weight=classes, progress=False)
    for name, value in ours.net.state_dict().items():
        np.testing.assert_allclose(value, state[name].detach().numpy(), rtol=1e-11)


def test_whole_weights_are_repetitions():
    times = WEIGHTS.astype(int)
    loss, found = trainer().gradients(X, Y, sample_weight=WEIGHTS)
    again, repeated = trainer("mean").gradients(np.repeat(X, times, 0), np.repeat(Y, times))
    assert loss == pytest.approx(again, rel=1e-13)
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, repeated[name], rtol=1e-11, atol=1e-15)


def test_the_size_of_weights_does_not_matter():
    loss, found = trainer().gradients(X, Y, sample_weight=WEIGHTS)
    again, scaled = trainer().gradients(X, Y, sample_weight=1e6 * WEIGHTS)
    assert loss == pytest.approx(again, rel=1e-13)
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, scaled[name], rtol=1e-11, atol=1e-15)


def test_history_steps_and_evaluation_are_of_one_mean():
    t = trainer(rate=0.0)
    h = t.fit(
        X, Y, batch_size=8, sample_weight=WEIGHTS, validation=(X, Y, WEIGHTS), shuffle=False,
        progress=False,
    )  # fmt: skip
    z = t.net.predict(X)
    rows = t.loss.rows(z, Y)
    parts = [slice(k, k + 8) for k in (0, 8, 16)]
    steps = [np.average(rows[part], weights=WEIGHTS[part]) for part in parts]
    np.testing.assert_allclose(h.steps["loss"], steps, rtol=1e-12)
    mean = np.average(rows, weights=WEIGHTS)
    measured = t.evaluate(X, Y, 5, sample_weight=WEIGHTS)["loss"]
    for value in (h.history["loss"][0], h.history["val_loss"][0], measured):
        assert value == pytest.approx(mean, rel=1e-12)


def test_without_weights_it_is_the_mean_to_the_bit():
    found = []
    for reduction in ("mean", "weighted_mean"):
        t = trainer(reduction, precision="float32")
        h = t.fit(X, Y, epochs=2, batch_size=5, progress=False)
        found.append((h.history["loss"], h.steps["loss"], list(t.net.state_dict().values())))
    assert found[0][:2] == found[1][:2]
    assert all(map(np.array_equal, found[0][2], found[1][2]))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_batch_without_weight_changes_nothing(precision):
    """PyTorch would divide 0 by 0."""
    weights = np.where(np.arange(23) < 8, 0.0, 1.0)
    t, seen = trainer(precision=precision), []

    class Watch:
        def on_step_end(self, step, logs):
            seen.append((logs["loss"], t.net.state_dict()))

    before = t.net.state_dict()
    h = t.fit(
        X, Y, batch_size=8, sample_weight=weights, shuffle=False, callbacks=[Watch()],
        progress=False,
    )  # fmt: skip
    assert h.steps["loss"][0] == seen[0][0] == 0.0
    assert all(np.array_equal(value, seen[0][1][name]) for name, value in before.items())
    assert not any(np.array_equal(value, seen[1][1][name]) for name, value in before.items())
    assert np.isfinite(h.steps["loss"] + h.history["loss"]).all()
