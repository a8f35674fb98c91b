"""Law 3: same seed, same bytes, whatever the number of threads and however runs are cut."""

import os

import cases
import engine
import numpy as np
import pytest
import steep
from steep import _core, layers
from steep.training import knobs, loop

EPOCHS = 20  # of 5 batches, or 3: a hundred steps, the last batch of each epoch a short one


def train(case, threads, epochs=EPOCHS, **changes):
    """Return everything a training leaves: weights, slots, losses, as bytes."""
    X, y = case.data()
    with steep.threads(threads):
        trainer = case.trainer(**changes)
        trainer.fit(X, y, epochs=epochs, batch_size=case.batch, progress=False)
    return trace(trainer)


def trace(trainer):
    session = trainer._run.session()
    left = {name: value.tobytes() for name, value in trainer.net.state_dict().items()}
    for slot, values in session.copy_out()[1].items():
        left |= {(slot, name): value.tobytes() for name, value in values.items()}
    left["losses"] = np.array(trainer.history.steps["loss"]).tobytes()
    for name, values in trainer.history.history.items():
        if name != "seconds":
            left["history", name] = np.array(values).tobytes()
    return left


@pytest.mark.parametrize("name", cases.NETWORKS)
def test_threads_change_no_bit(name):
    case = cases.NETWORKS[name]
    epochs = -(-100 // -(-case.samples // case.batch))
    alone = train(case, 1, epochs)
    for threads in (2, 3, 8):
        assert train(case, threads, epochs) == alone, f"{threads} threads"


def test_several_threads_really_run():
    """A test of the tests: the networks above are large enough for 8 threads to be called."""
    for case in cases.NETWORKS.values():
        train(case, 1, 1)
        with steep.threads(1):
            before = len(os.listdir("/proc/self/task"))
        train(case, 8, 1)
        assert len(os.listdir("/proc/self/task")) >= max(before, 8)


@pytest.mark.parametrize("rule", cases.RULES)
def test_threads_change_no_bit_of_any_rule(rule):
    case = cases.Case(cases.NETWORKS["plain"].body, 150, 10, samples=300, rule=rule)
    alone = train(case, 1, 8)
    assert train(case, 2, 8) == alone
    assert train(case, 3, 8) == alone


def test_other_seeds_give_other_bytes():
    case = cases.NETWORKS["dropout"]
    X, y = case.data()
    left = []
    for seed in (0, 1):
        trainer = case.trainer(seed=seed)
        trainer.net.build(case.inputs, seed=9)  # the same weights: only order and masks differ
        trainer.fit(X, y, epochs=2, batch_size=case.batch, progress=False)
        left.append(trace(trainer))
    assert left[0] != left[1]


@pytest.mark.parametrize("name", ["plain", "clipped", "dropout", "look_ahead", "scaled_look_ahead"])
def test_cuts_change_no_bit(name, monkeypatch):
    """A native call of a single step at a time, and tables of few rows, give the same bytes."""
    case = cases.NETWORKS[name]
    whole = train(case, 2, 4)
    monkeypatch.setattr(loop, "BUDGET", 0.0)
    monkeypatch.setattr(knobs, "ROWS", 7)
    assert train(case, 2, 4) == whole


@pytest.mark.parametrize("rule", cases.RULES)
def test_no_budget_runs_one_step_a_call(rule):
    optimizer = cases.RULES[rule].optimizer
    knobs = engine.table(optimizer, 30)
    random = np.random.default_rng(1)
    X, y = random.standard_normal((250, 20)).astype(np.float32), random.integers(0, 3, 250)
    left = []
    for budget in (1e9, 0.0):
        net = engine.dense(20, 33, 3, seed=2)
        session = engine.session(net, "cross_entropy", rule=optimizer.rule, seed=4)
        session.set_data([X], y, None, 25, True)
        if budget == 0.0:
            assert session.run(knobs[:10], 0, budget) == 1
            net = engine.dense(20, 33, 3, seed=2)
            session = engine.session(net, "cross_entropy", rule=optimizer.rule, seed=4)
            session.set_data([X], y, None, 25, True)
        done, losses = engine.train(session, knobs, 10, budget=budget)
        assert done == 30
        left.append((engine.weights(net), losses.tobytes()))
    assert left[0] == left[1]


@pytest.mark.parametrize("precision", cases.PRECISIONS)
@pytest.mark.parametrize("rule", ["nesterov", "rmsprop_nesterov"])
def test_a_call_ends_on_weights_that_lead_back_to_the_very_point(rule, precision):
    """Where w + look*v and point - look*v are ties, looking back once is not enough.

    In units u of the last place of 1: w steps from 1 + 3m-1 by v = -(2m-1) to 1 + m, m odd, and the
    point 1 + m - (2m-1)/2 is a tie that rounds to 1. Back from there, 1 + m - 1/2 would round to
    the even 1 + m-1, whose point is below 1.
    """
    u = np.finfo(precision).eps
    m = 2 * np.arange(660).reshape(20, 33) + 1
    names = _core.rules()[rule]["knobs"]
    knobs = engine.no_limits(np.zeros((3, engine.COMMON + len(names))))
    for name, value in {"look": 0.5, "look_next": 0.5, "mu": 1, "rate_out": 1, "eps_in": 1}.items():
        if name in names:  # v stays as it is: there is no rate_in
            knobs[:, engine.COMMON + names.index(name)] = value
    left = []
    for budget in (1e9, 0.0):
        net = engine.dense(20, 33, 3, seed=2, precision=precision)
        session = engine.session(net, rule=rule)
        net.set("w0", (1 + (3 * m - 1) * u).astype(precision))
        slots = {
            slot: {name: np.zeros(shape, precision) for name, shape in net.parameters()}
            for slot in session.slots
        }
        slots["v"]["w0"] = (-(2 * m - 1) * u).astype(precision)
        session.assign_slots(slots)
        session.set_data([np.ones((40, 20))], np.ones((40, 3)), None, 10, False)
        engine.train(session, knobs[:1], 4)
        assert np.array_equal(net.get("w0"), 1 + m * u)
        session.begin_epoch(next=True)
        losses = engine.train(session, knobs, 4, budget=budget)[1]
        left.append((engine.weights(net), losses.tobytes()))
    assert left[0] == left[1]


@pytest.mark.parametrize("name", ["plain", "dropout", "scaled_look_ahead"])
def test_fit_again_is_fit_longer(name):
    case = cases.NETWORKS[name]
    X, y = case.data()
    trainer = case.trainer()
    for epochs in (1, 2, 1):
        trainer.fit(X, y, epochs=epochs, batch_size=case.batch, progress=False)
    assert trace(trainer) == train(case, 1, 4)


def test_gradients_and_predictions_do_not_depend_on_threads(threads):
    case = cases.NETWORKS["tree"]
    X, y = case.data()
    found = {}
    for count in (1, threads):
        with steep.threads(count):
            trainer = case.trainer()
            loss, gradients = trainer.gradients(X, y)
            outputs = trainer.net.predict(X, batch_size=250)
            measured = trainer.evaluate(X, y)
        found[count] = (
            loss, {k: g.tobytes() for k, g in gradients.items()}, outputs.tobytes(), measured
        )  # fmt: skip
    assert found[1] == found[threads]


@pytest.mark.parametrize("batch_size", [1, 7, 64, 600])
def test_predictions_do_not_depend_on_the_batch(batch_size):
    case = cases.NETWORKS["tree"]
    X, _ = case.data()
    net = case.net().build(case.inputs, seed=1)
    assert net.predict(X, batch_size=batch_size).tobytes() == net.predict(X).tobytes()


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_a_gradient_far_beyond_its_limit_is_clipped_alike_by_all_threads(threads):
    """Its factor is too small for one multiplication; nobody may touch what others still read."""
    X = np.random.default_rng(0).integers(0, 7, (35, 128)).astype(np.float32)
    y = np.random.default_rng(1).random((35, 65)).astype(np.float32)

    def trained(count):
        net = steep.Sequential(layers.Dense(65, "exp")).build(128)
        weights = net.state_dict()
        drawn = 0.45 * np.random.default_rng(2).standard_normal(weights["dense.weight"].shape)
        net.load_state_dict(weights | {"dense.weight": drawn.astype(np.float32)})
        trainer = steep.Trainer(net, "binary_cross_entropy", "sgd", clip_norm=0.05)
        with steep.threads(count):
            trainer.fit(X, y, batch_size=64, progress=False)
        assert trainer.history.steps["loss"][0] > 1e12
        return net.state_dict()["dense.weight"].tobytes()

    assert {trained(threads) for _ in range(5)} == {trained(1)}
