"""A loss or gradient that is not finite stops training; the last good weights stay."""

import cases
import engine
import numpy as np
import pytest
import steep
from steep import NonFiniteError, layers, ops, optimizers
from stopping import StopAt, StopError


def weights(trainer):
    return {name: value.tobytes() for name, value in trainer.net.state_dict().items()}


def dense(seed=0):
    return steep.Sequential(layers.Dense(20, "relu"), layers.Dense(3)).build(8, seed=seed)


def data(samples=200, seed=0):
    random = np.random.default_rng(seed)
    X = random.standard_normal((samples, 8)).astype(np.float32)
    return X, random.integers(0, 3, samples)


def fit_until(trainer, X, y, step, **options):
    """Return the weights after `step` updates of the same fit."""
    if step:
        with pytest.raises(StopError):
            trainer.fit(X, y, progress=False, callbacks=[StopAt(step)], **options)
    return weights(trainer)


def faulty(make, X, y, **options):
    """Fit until it fails; return the error, the weights, and those of a run one step shorter."""
    trainer = make()
    with pytest.raises(NonFiniteError) as caught:
        trainer.fit(X, y, progress=False, **options)
    assert trainer.steps == caught.value.step - 1
    assert len(trainer.history.steps["loss"]) == trainer.steps
    assert np.isfinite(trainer.history.steps["loss"]).all()
    assert all(np.isfinite(w).all() for w in trainer.net.state_dict().values())
    return caught.value, weights(trainer), fit_until(make(), X, y, trainer.steps, **options)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("clip_norm", [None, 1e30])
@pytest.mark.parametrize("rule", cases.RULES)
def test_a_rate_far_too_large(rule, clip_norm, threads):
    """Weights explode within some steps; whichever value breaks first, the step before it stays."""
    given = cases.RULES[rule].optimizer
    changes = isinstance(given.lr, steep.schedules.Schedule)
    lr = steep.schedules.Exponential(1e20, 0.01) if changes else 1e20
    unbounded = {"step_max": 1e30} if "step_max" in given.ranges else {}
    optimizer = type(given)(**{**vars(given), "lr": lr, **unbounded})
    X, y = data()

    def make():
        return steep.Trainer(dense(), "mse", optimizer, clip_norm=clip_norm, seed=2)

    targets = np.eye(3, dtype=np.float32)[y]
    with steep.threads(threads):
        error, left, before = faulty(make, X, targets, epochs=20, batch_size=16)
    assert left == before
    assert error.what in ("loss", "gradient")
    assert f"step {error.step} (epoch {error.epoch})" in str(error)
    assert error.epoch == (error.step - 1) // 13 + 1


def test_the_layer_that_broke_is_named():
    """The first weights are fine, the product of the second layer is beyond float32."""
    wide = layers.Dense(2, init=np.linspace(2e38, 3e38, 8).reshape(4, 2), name="wide")
    first = layers.Dense(4, init=np.linspace(1, 2, 12).reshape(3, 4))
    net = steep.Sequential(first, wide, layers.Dense(2)).build(3)
    trainer = steep.Trainer(net, "mse", "sgd")
    with pytest.raises(NonFiniteError, match=r'step 1 .epoch 1.: the loss.*Dense "wide"') as caught:
        trainer.fit(np.ones((5, 3)), np.ones((5, 2)), progress=False)
    assert caught.value.what == "loss"


class Root(layers.Layer):
    """sqrt(p * x), whose slope at x = 0 is infinite although its value is 0."""

    def call(self, x):
        return ops.activation(x * self.parameter("p", x.shape, init=1.0), "sqrt")


@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0}, {"clip_value": 1.0}])
@pytest.mark.parametrize("rule", ["sgd", "nesterov", "adam", "rmsprop_nesterov"])
def test_a_gradient_breaks_while_the_loss_is_finite(rule, options):
    """One sample of 200 is 0; the parameter is named."""
    X = np.random.default_rng(0).uniform(0.5, 2, (200, 4)).astype(np.float32)
    X[117] = 0
    y = np.ones_like(X)

    def make():
        net = steep.Sequential(Root(name="root")).build(4)
        return steep.Trainer(net, "mse", cases.RULES[rule].optimizer, seed=5, **options)

    error, left, before = faulty(make, X, y, epochs=2, batch_size=10)
    assert error.what == "gradient"
    assert error.where == "root.p"
    assert left == before
    assert 1 < error.step <= 20, "the case must break in the middle of the first epoch"


@pytest.mark.parametrize("threads", [1, 2])
def test_deep_in_a_long_run(threads):
    """After more than 4096 steps and many native calls, by a rate that jumps at step 6000."""
    X, y = data(1600)
    targets = np.eye(3, dtype=np.float32)[y]
    rate = steep.schedules.Piecewise([0, 6000], [1e-3, 1e38])

    def make():
        return steep.Trainer(dense(), "mse", optimizers.SGD(rate, 0.5), seed=2)

    with steep.threads(threads):
        error, left, before = faulty(make, X, targets, epochs=20, batch_size=4)
    assert 6000 < error.step < 6010
    assert left == before


def test_a_fault_far_from_the_last_snapshot_is_found_back_to():
    """Native calls of one step each: what is run again is cut in the same places."""
    X, y = data(400)
    knobs = engine.no_limits(np.zeros((5000, engine.COMMON + 1)))
    knobs[:, engine.COMMON] = 0.01
    knobs[4500:, engine.COMMON] = 1e38
    ends = []
    for budget, count in ((1e9, 5000), (0.0, 5000), (1e9, 4500)):
        net = engine.dense(8, 20, 3, seed=1)
        session = engine.session(net, rule="sgd", seed=3)
        session.set_data([X], np.eye(3, dtype=np.float32)[y], None, 4, True)
        done, _ = engine.train(session, knobs[:count], 100, budget=budget)
        ends.append((done, session.fault, engine.weights(net)))
    assert ends[0][1] is not None
    assert ends[0][1]["what"] == ends[1][1]["what"]
    assert ends[0][0] == ends[1][0]
    assert ends[0][2] == ends[1][2]
    # the first step at the large rate may be finite; without it the weights are those before
    net = engine.dense(8, 20, 3, seed=1)
    session = engine.session(net, rule="sgd", seed=3)
    session.set_data([X], np.eye(3, dtype=np.float32)[y], None, 4, True)
    engine.train(session, knobs[: ends[0][0]], 100)
    assert engine.weights(net) == ends[0][2]


@pytest.mark.parametrize("clip_norm", [None, 1e37])
@pytest.mark.parametrize("batch_size", [16, 200])
def test_the_update_itself_overflows(batch_size, clip_norm):
    """Loss and gradient are finite, lr*g is not; batch descent and clipping look before too."""
    X, y = data()
    targets = 100 * np.eye(3, dtype=np.float32)[y]

    def make():
        rate = steep.schedules.Piecewise([0, 3], [1e-3, 3e38])
        return steep.Trainer(dense(), "mse", optimizers.SGD(rate), clip_norm=clip_norm, seed=1)

    error, left, before = faulty(make, X, targets, epochs=5, batch_size=batch_size)
    assert error.step == 4
    assert (error.what, error.direction) == ("update", "update")
    assert error.where in dense().state_dict()
    assert left == before


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_weights_a_callback_set_are_not_lost(momentum):
    """What is run again after a fault must begin where the callback left the weights."""
    X, y = data()
    targets = 100 * np.eye(3, dtype=np.float32)[y]
    rate = steep.schedules.Piecewise([0, 30], [1e-3, 3e38])

    class Halve:
        def on_epoch_end(self, trainer):
            state = trainer.net.state_dict()
            trainer.net.load_state_dict({name: w / 2 for name, w in state.items()})

    ends = []
    for stop in (None, 30):
        optimizer = optimizers.SGD(rate, momentum, nesterov=momentum > 0)
        trainer = steep.Trainer(dense(), "mse", optimizer, seed=1)
        called = [Halve()] if stop is None else [Halve(), StopAt(stop)]
        with pytest.raises(NonFiniteError if stop is None else StopError):
            trainer.fit(X, targets, epochs=9, batch_size=16, progress=False, callbacks=called)
        ends.append((trainer.steps, weights(trainer)))
    assert ends[0][0] == 30
    assert ends[0] == ends[1]


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("rule", ["sgd", "nesterov", "rmsprop_nesterov", "scheduled"])
def test_weights_set_before_a_fault_stay_to_the_bit(rule, what):
    """The way to a look-ahead point far from them, and back, must not round them."""
    X = np.random.default_rng(0).uniform(0.5, 2, (200, 4)).astype(np.float32)
    y = np.ones_like(X)
    net = steep.Sequential(Root(name="root")).build(4)
    trainer = steep.Trainer(net, "mse", cases.RULES[rule].optimizer, seed=5)
    trainer.fit(X, y, epochs=1, batch_size=10, progress=False)
    net.load_state_dict({name: w / 3e4 for name, w in net.state_dict().items()})
    before = weights(trainer)
    X[:] = 0 if what == "gradient" else 3e38
    y *= 3e38
    with pytest.raises(NonFiniteError) as caught:
        trainer.fit(X, y if what == "loss" else np.ones_like(y), batch_size=10, progress=False)
    assert caught.value.what == what
    assert weights(trainer) == before


def test_an_update_too_large_at_the_end_of_an_epoch():
    """Its loss shows in the first batch of the next epoch; the place in the training goes back."""
    X, y = data()
    targets = 100 * np.eye(3, dtype=np.float32)[y]

    def make():
        rate = steep.schedules.Piecewise([0, 12, 13], [1e-3, 1e25, 1e-3])
        return steep.Trainer(dense(), "mse", optimizers.SGD(rate), seed=1)

    error, left, before = faulty(make, X, targets, epochs=5, batch_size=16)
    assert (error.step, error.epoch) == (13, 1)
    assert left == before


def test_step_stops_before_the_bad_update():
    X, y = data()
    trainer = steep.Trainer(dense(), "mse", optimizers.SGD(1e20))
    targets = np.eye(3, dtype=np.float32)[y]
    before = None
    with pytest.raises(NonFiniteError):
        for _ in range(20):
            before = weights(trainer)
            trainer.step(X, targets)
    assert weights(trainer) == before


def test_the_network_is_usable_after_a_fault():
    X, y = data()
    targets = 100 * np.eye(3, dtype=np.float32)[y]
    net = dense()
    trainer = steep.Trainer(net, "mse", optimizers.SGD([1e-3] * 20 + [3e38] * 1000))
    with pytest.raises(NonFiniteError):
        trainer.fit(X, targets, epochs=50, batch_size=16, progress=False)
    assert trainer.steps == 20
    assert np.isfinite(net.predict(X)).all()
    again = steep.Trainer(net, "cross_entropy", "adam")
    history = again.fit(X, y, epochs=2, batch_size=16, progress=False)
    assert np.isfinite(history.history["loss"]).all()
