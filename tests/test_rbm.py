"""Boltzmann machines: golden numbers, chains that go on, belief networks, what is refused."""

import math

import numpy as np
import pytest
import steep
from steep import layers, optimizers, rbm, schedules

X = (np.random.default_rng(3).random((60, 9)) < np.linspace(0.1, 0.9, 9)).astype(np.float32)


def fill(k, *shape, scale=0.5):
    return scale * np.sin(k + np.arange(math.prod(shape))).reshape(shape)


GOLDEN = {
    "rbm.weight": fill(1, 3, 2), "rbm.visible_bias": fill(2, 3), "rbm.hidden_bias": fill(3, 2),
}  # fmt: skip


def golden():
    """Return the machine of the golden numbers, its weights in float64."""
    made = steep.RBM(2, precision="float64", momentum=0.0, l2=0.0, lr=1.0)
    made.trainer._run.settings.build(((3,),))
    made.net.load_state_dict(GOLDEN)
    return made


def state(made):
    return {name: value.tobytes() for name, value in made.net.state_dict().items()}


def test_energies_are_golden():
    """B1: a free energy, the partition function, and exact gradients of -log p."""
    v = np.array([[1.0, 0.0, 1.0]])

    def surprise(parts):
        made = golden()
        made.net.load_state_dict(parts)
        return float(made.free_energy(v)[0] + made.log_partition())

    assert golden().free_energy(v)[0] == pytest.approx(-1.4372491847, abs=1e-10)
    assert golden().log_partition() == pytest.approx(3.5662554800, abs=1e-10)
    assert surprise(GOLDEN) == pytest.approx(2.1290062953, abs=1e-10)
    found = {}
    for name, value in GOLDEN.items():
        slope = np.zeros_like(value)
        for at in np.ndindex(value.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = {k: w.copy() for k, w in GOLDEN.items()}
                moved[name][at] += step
                ends.append(surprise(moved))
            slope[at] = (ends[0] - ends[1]) / 2e-5
        found[name] = slope
    np.testing.assert_allclose(
        found["rbm.weight"],
        [
            [-0.0876468956, -0.1587784795], [0.2763170329, 0.1862982007],
            [-0.3433655789, -0.3489525941],
        ],
        atol=1e-9,
    )  # fmt: skip
    np.testing.assert_allclose(
        found["rbm.visible_bias"], [-0.2960965434, 0.4870011467, -0.6673739172], atol=1e-9
    )
    np.testing.assert_allclose(found["rbm.hidden_bias"], [0.0561373933, -0.0543250275], atol=1e-9)


class Given(layers.Layer):
    """A machine whose hidden units are given, not drawn."""

    def call(self, v, h):
        parts = (
            self.parameter("weight", (3, 2)), self.parameter("visible_bias", (3,)),
            self.parameter("hidden_bias", (2,)),
        )  # fmt: skip
        seen = steep.ops.stop_gradient(rbm.visible_given(h, parts, False))
        there, away = (rbm.free_energy(x, rbm.logits(x, parts), parts, False) for x in (v, seen))
        self.add_loss(there - away)
        return seen


def test_one_step_of_contrastive_divergence_is_golden():
    """B2: the gradient of the difference of free energies is minus the direction by hand."""
    inputs = [steep.Input(3), steep.Input(2)]
    net = steep.Model(inputs, Given("rbm")(*inputs))
    trainer = steep.Trainer(net, None, "sgd", precision="float64")
    trainer._run.settings.build(((3,), (2,)))
    net.load_state_dict(GOLDEN)
    v, h = np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, 0.0]])
    _, found = trainer.gradients([v, h], None)
    seen = net.predict([v, h])
    np.testing.assert_allclose(seen, [[0.7058648028, 0.5352215687, 0.2977859390]], atol=1e-10)
    machine = golden()
    np.testing.assert_allclose(machine.transform(v), [[0.5029583053, 0.4841402513]], atol=1e-10)
    np.testing.assert_allclose(machine.transform(seen), [[0.5652582507, 0.4251634061]], atol=1e-10)
    np.testing.assert_allclose(
        -found["rbm.weight"],
        [
            [0.1039624016, 0.1840323675], [-0.3025384077, -0.2275566252],
            [0.3346323463, 0.3575325672],
        ],
        atol=1e-10,
    )  # fmt: skip
    np.testing.assert_allclose(-found["rbm.visible_bias"], (v - seen)[0], atol=1e-12)


def test_a_step_moves_by_what_was_drawn():
    """CD-1 by hand in float64, of hidden units that are 0 or 1 for certain."""
    made = golden()
    sure = {**GOLDEN, "rbm.hidden_bias": np.array([40.0, -40.0])}
    made.net.load_state_dict(sure)
    v = X[:8, :3].astype(float)
    made.trainer.step(v, None)
    seen = 1 / (1 + np.exp(-(sure["rbm.weight"][:, 0] + sure["rbm.visible_bias"])))
    direction = (v - seen).mean(axis=0)
    found = made.net.state_dict()
    np.testing.assert_allclose(
        found["rbm.visible_bias"], sure["rbm.visible_bias"] + direction, atol=1e-12
    )
    np.testing.assert_allclose(
        found["rbm.weight"][:, 0], sure["rbm.weight"][:, 0] + direction, atol=1e-12
    )


class Counting(layers.Layer):
    """Rows that are one more after every step."""

    def call(self, x):
        states = self.parameter("states", (15,), init=np.arange(15.0), decay=False, trained=False)
        w = self.parameter("w", (3,), init=1.0)
        seen = steep.network.emit("kept_rows", x, states, width=3)
        steep.network.emit("keep_rows", seen + 1.0, states)
        self.add_loss(seen * w)
        return x * w


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_rows_are_kept_from_step_to_step(parts):
    net = steep.Sequential(Counting("k"))
    trainer = steep.Trainer(net, None, optimizers.SGD(0.0))
    rows = np.ones((11, 3), np.float32)
    trainer.fit(
        rows, None, epochs=2, batch_size=4 // parts, accumulate=parts, shuffle=False,
        progress=False,
    )  # fmt: skip
    kept = net.state_dict()["k.states"].reshape(5, 3) - np.arange(15.0).reshape(5, 3)
    # Of three batches of an epoch the last has three rows; the fifth row was in none.
    np.testing.assert_array_equal(kept[:, 0], [6, 6, 6, 4, 0])
    before = net.state_dict()["k.states"].tobytes()
    net.predict(rows)
    trainer.evaluate(rows, None)
    assert net.state_dict()["k.states"].tobytes() == before


@pytest.mark.parametrize(
    "options",
    [{}, {"k": 3}, {"persistent": True, "chains": 7}, {"visible": "gaussian", "lr": 0.01}],
)
def test_same_bytes_for_any_number_of_threads(options):
    found = []
    for threads in (1, 2, 3, 8):
        with steep.threads(threads):
            made = steep.RBM(5, seed=2, **options)
            history = made.fit(X, epochs=3, batch_size=8, progress=False)
        found.append((state(made), history.steps["loss"]))
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("persistent", [False, True])
def test_it_goes_on_from_its_checkpoint(persistent, tmp_path):
    class Stop:
        every = 11

        def on_step_end(self, trainer, step, logs):
            trainer.save(tmp_path / "rbm")
            return "stop"

    ramp = schedules.Linear(0.5, 0.9, 20)
    whole, cut, again = (
        steep.RBM(5, persistent=persistent, momentum=ramp, seed=4) for _ in range(3)
    )
    whole.fit(X, epochs=4, batch_size=8, progress=False)
    cut.fit(X, epochs=4, batch_size=8, progress=False, callbacks=Stop())
    again.load(tmp_path / "rbm")
    again.fit(X, epochs=4, batch_size=8, progress=False)
    assert state(again) == state(whole)


def test_the_last_good_chains_come_back():
    """Weights that are not finite any more take chains with them; steps before are run again."""

    def made():
        rate = schedules.Piecewise([20], [0.1, 3e38])
        return steep.RBM(5, persistent=True, momentum=0.9, lr=rate, chains=8, seed=2)

    broken, short = made(), made()
    with pytest.raises(steep.NonFiniteError):
        broken.fit(X, epochs=5, batch_size=8, progress=False)
    reached = broken.trainer.steps
    assert 20 <= reached <= 22

    class Stop:
        every = 1

        def on_step_end(self, trainer, step, logs):
            return "stop" if trainer.steps == reached else None

    short.fit(X, epochs=5, batch_size=8, progress=False, callbacks=Stop())
    assert state(broken) == state(short)


@pytest.mark.parametrize("persistent", [False, True])
def test_data_become_likelier(persistent):
    """The exact likelihood of bars, which pixels alone do not tell."""
    random = np.random.default_rng(0)
    kind = random.integers(0, 2, 300)
    bars = np.stack([kind, kind, 1 - kind, 1 - kind], axis=1).astype(np.float32)
    made = steep.RBM(3, persistent=persistent, seed=0, lr=0.02 if persistent else 0.2)
    made.fit(bars, epochs=1, progress=False)
    first = -made.free_energy(bars).mean() - made.log_partition()
    made.fit(bars, epochs=200, progress=False)
    likely = -made.free_energy(bars).mean() - made.log_partition()
    assert first < -2.5
    assert likely > -1.2  # log 2 at best
    drawn = made.sample(200, 50, seed=1) > 0.5
    assert np.mean((drawn[:, 0] == drawn[:, 1]) & (drawn[:, 2] != drawn[:, 0])) > 0.8
    assert made.pseudo_likelihood(bars).mean() > -1.0
    assert np.abs(made.reconstruct(bars) - bars).mean() < 0.2


def test_gaussian_units_follow_their_means():
    random = np.random.default_rng(1)
    real = (random.standard_normal((200, 6)) + np.arange(6)).astype(np.float32)
    made = steep.RBM(4, "gaussian", lr=1e-3, seed=0)
    made.fit(real, epochs=5, progress=False)
    assert np.abs(made.sample(50, 20).mean(axis=0) - np.arange(6)).max() < 0.6
    with pytest.raises(ValueError, match="flips bits"):
        made.pseudo_likelihood(real)
    w, a, b = made._parts()
    grid = [np.array([(k >> j) & 1 for j in range(4)]) for k in range(16)]
    total = [h @ b + 0.5 * ((h @ w.T + a) ** 2 - a**2).sum() for h in grid]
    exact = np.logaddexp.reduce(total) + 3 * np.log(2 * np.pi)
    assert made.log_partition() == pytest.approx(exact, rel=1e-12)


def test_a_belief_network_begins_where_its_machines_ended():
    made = steep.DBN([9, 6, 4], seed=1).fit(X, epochs=2, progress=False)
    net = made.network(3)
    assert net.output_shapes == ((3,),)
    np.testing.assert_allclose(made.network().predict(X), made.transform(X), atol=1e-6)
    trainer = steep.Trainer(net, "cross_entropy", "adam", seed=0)
    trainer.fit(X, np.arange(60) % 3, epochs=1, progress=False)
    assert made.transform(X.reshape(60, 3, 3)).shape == (60, 4)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: steep.RBM(0), ValueError, "RBM: hidden must be at least 1"),
        (lambda: steep.RBM(2, "binary"), ValueError, "visible"),
        (lambda: steep.RBM(2, k=0), ValueError, "k must be at least 1"),
        (lambda: steep.RBM(2, momentum=1.0), ValueError, "momentum"),
        (lambda: steep.RBM(2, l2=-1.0), ValueError, "l2"),
        (lambda: steep.RBM(2, persistent=1), TypeError, "True or False"),
        (lambda: steep.RBM(2).fit(2 * X), ValueError, "Bernoulli units take 0 to 1"),
        (lambda: steep.RBM(2).fit(X[0]), ValueError, "expects samples"),
        (lambda: steep.RBM(2).transform(X), RuntimeError, "call fit first"),
        (lambda: steep.RBM(2).sample(3), RuntimeError, "call fit first"),
        (lambda: steep.RBM(26).log_partition(), ValueError, "at most 2\\^25"),
        (lambda: steep.DBN([4]), TypeError, "sizes of the data and of layers"),
        (lambda: steep.DBN([4, 0]), ValueError, "sizes must be at least 1"),
        (lambda: steep.DBN([8, 3]).fit(X), ValueError, "samples of 8 numbers"),
        (lambda: steep.DBN([9, 3]).network(2), RuntimeError, "call fit first"),
    ],
)
def test_refusals(act, error, message):
    with pytest.raises(error, match=message):
        act()
