"""Trainings that stay in one block of the GPU: the same bytes as by graphs, and as on the CPU.

Skipped where there is neither a GPU nor its emulation.
"""

import cases
import cases_rules
import devices
import numpy as np
import pytest
import steep
from devices import left, same, told
from emulation import EMULATED, counted, emulating
from steep import layers, optimizers

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
RULES = {name: row.optimizer for name, row in cases_rules.RULES.items() if not row.whole}
ONE_PASS = [name for name in RULES if not name.startswith("adafactor")]


def chain(*widths, f="relu"):
    """Return dense layers of these widths, the last one without an activation."""
    return steep.Sequential(*(layers.Dense(n, f) for n in widths[:-1]), layers.Dense(widths[-1]))


def samples(count=70, inputs=30, outputs=5, draw=cases.labels):
    random = np.random.default_rng(0)
    X = random.standard_normal((count, inputs)).astype(np.float32)
    return X, draw(random, count, outputs)


def steps_by(trainer):
    return trainer._run.session().steps_by()


def trained(device, make, X, y, *, loss="cross_entropy", rule="sgd", epochs=2, batch=32, **options):
    fit = {k: options.pop(k) for k in ("sample_weight", "shuffle", "accumulate") if k in options}
    trainer = steep.Trainer(make(), loss, rule, device=device, seed=3, **options)
    history = trainer.fit(X, y, epochs=epochs, batch_size=batch, progress=False, **fit)
    return trainer, left(trainer, history)


@pytest.fixture
def both(monkeypatch):
    """Return a function that trains in one block, by graphs and on the CPU, and compares."""

    def compare(make, X, y, **options):
        trainer, found = trained("cuda", make, X, y, **options)
        assert steps_by(trainer) == "one block"
        same(found, trained("cpu", make, X, y, **options)[1], "cpu")
        with monkeypatch.context() as patch:
            patch.setenv("STEEP_RESIDENT", "off")
            trainer, graphs = trained("cuda", make, X, y, **options)
        assert steps_by(trainer) == "graphs: STEEP_RESIDENT=off"
        same(found, graphs, "graphs")

    return compare


# ---- What stays, byte by byte ----


@pytest.mark.parametrize("name", ONE_PASS)
def test_every_rule(both, name):
    both(lambda: chain(17, 5), *samples(), rule=RULES[name])


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam", "schedule_free_adam"])
@pytest.mark.parametrize(
    "options",
    [
        {"l1": 1e-3, "l2": 1e-2, "clip_value": 0.05},
        {"clip_norm": 0.1, "l2": 1e-3, "average": "ema"},
        {"average": steep.averages.Lookahead(every=3)},
    ],
    ids=["penalties", "clipped", "pulled"],
)
def test_penalties_limits_and_averages(both, name, options):
    both(lambda: chain(33, 5), *samples(), rule=RULES[name], **options)


@pytest.mark.parametrize("name", cases.LOSSES)
@pytest.mark.parametrize("outputs", [1, 2, 5, 16, 17, 33])
def test_every_loss(both, name, outputs):
    row = cases.LOSSES[name]
    if outputs == 1 and not row.by_column:
        pytest.skip("one class")
    both(lambda: chain(9, outputs), *samples(40, 7, outputs, row.draw), loss=row.loss)


@pytest.mark.parametrize("f", cases.ACTIVATIONS)
def test_every_activation(both, f):
    """By itself, and where products can apply it, of narrow and of wide weights."""
    X, y = samples(40, 9)
    alone = lambda: steep.Sequential(  # noqa: E731
        layers.Dense(31, "softplus"), layers.Activation(f), layers.Dense(5)
    )
    both(alone, X, y, rule=optimizers.SGD(1e-4))
    if cases.ACTIVATIONS[f].everywhere:
        both(lambda: chain(31, 3, 5, f=f), X / 8, y, rule=optimizers.SGD(1e-4))


@pytest.mark.parametrize("inputs", [1, 7, 31, 32, 33])
@pytest.mark.parametrize("widths", [(5,), (1, 5), (32, 5), (31, 33, 5), (7, 64, 2, 5)], ids=str)
def test_every_size(both, inputs, widths):
    both(lambda: chain(*widths), *samples(45, inputs), rule="adam")


@pytest.mark.parametrize("batch", [1, 7, 32, 100, 300])
def test_batches_and_their_tails(both, batch):
    X, y = samples(350 if batch > 7 else 40)
    both(lambda: chain(12, 5), X, y, rule="adam", batch=batch)


def test_dropout_and_a_sum_of_branches(both):
    def make():
        inner = steep.Sequential(layers.Dropout(0.3), layers.Dense(24, "tanh"))
        return steep.Sequential(layers.Dense(24, "relu"), layers.Residual(inner), layers.Dense(5))

    both(make, *samples(), rule="adam")


@pytest.mark.parametrize("kind", ["uint8", "float64", "int64"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_data_of_every_kind(both, kind, shuffle):
    X, y = samples()
    X = (X * 40 + 128).clip(0, 255).astype(kind)
    weights = np.random.default_rng(1).random(len(y))
    body = lambda: steep.Sequential(  # noqa: E731
        layers.Rescale(1 / 128, -1), layers.Dense(12, "relu"), layers.Dense(5)
    )
    both(body, X, y, shuffle=shuffle)
    both(body, X, y, shuffle=shuffle, sample_weight=weights, reduction="weighted_mean")


def test_schedules_bounds_and_frozen_weights(both):
    def make():
        made = chain(20, 12, 5).build((30,), seed=2)
        made.freeze("*1.weight")
        return made

    rate = steep.schedules.Cosine(0.1, 6)
    both(make, *samples(), rule=optimizers.SGD(rate, 0.9))
    bounded = lambda: steep.Sequential(  # noqa: E731
        layers.Dense(9, "relu", constraint=steep.constraints.Clip(0.1)), layers.Dense(5)
    )
    both(bounded, *samples(), rule=optimizers.SGD(0.3, 0.9, nesterov=True), average="ema")


WIDTHS = (1, 2, 4, 5, 7, 16, 17, 31, 32, 33, 48)


@pytest.mark.parametrize("seed", range(30))
def test_random_chains(both, seed):
    random = np.random.default_rng(seed)
    choose = lambda *of: of[random.integers(len(of))]  # noqa: E731
    row = cases.LOSSES[choose(*cases.LOSSES)]
    tame = [f for f, of in cases.ACTIVATIONS.items() if of.tame]
    body = [(choose(*WIDTHS), choose(*tame), choose(0, 0, 0.3)) for _ in range(choose(0, 1, 2, 3))]
    outputs = choose(*WIDTHS[1 - row.by_column :])

    def make():
        made = []
        for n, f, rate in body:
            made += [layers.Dense(n, f), layers.Dropout(rate)] if rate else [layers.Dense(n, f)]
        return steep.Sequential(*made, layers.Dense(outputs))

    options = {
        "clip_norm": choose(None, 0.2), "clip_value": choose(None, 0.1), "l2": choose(0, 1e-3),
        "average": choose(None, "ema"),
    }  # fmt: skip
    options = {name: value for name, value in options.items() if value}
    X, y = samples(choose(33, 90), choose(*WIDTHS), outputs, row.draw)
    both(make, X, y, loss=row.loss, rule=RULES[choose(*ONE_PASS)], batch=choose(5, 20, 32),
         shuffle=choose(True, False), **options)  # fmt: skip


# ---- Faults, resumes, order ----


@pytest.mark.parametrize(
    ("rate", "clip"), [(1e25, None), (1e25, 1.0), (1e38, None)], ids=["loss", "clipped", "update"]
)
def test_faults_find_back_to_the_last_good_weights(rate, clip):
    X, y = samples(150)
    found = []
    for device in ("cpu", "cuda"):
        rule = optimizers.SGD(lambda step: rate if step == 12 else 0.01)
        trainer = steep.Trainer(
            chain(8, 5, f="square"), "cross_entropy", rule, clip_norm=clip, device=device
        )
        with pytest.raises(steep.NonFiniteError) as error:
            trainer.fit(X, y, epochs=9, batch_size=32, progress=False)
        found.append((told(error.value), trainer.steps, left(trainer, trainer.history)[:2]))
    assert steps_by(trainer) == "one block"
    assert found[0][:2] == found[1][:2]
    same(found[1][2], found[0][2])


def test_a_resume_goes_on(tmp_path):
    X, y = samples()
    rule = optimizers.SGD(0.05, 0.9, nesterov=True)
    whole = trained("cpu", lambda: chain(12, 5), X, y, epochs=4, rule=rule)[1]
    begun, _ = trained("cuda", lambda: chain(12, 5), X, y, epochs=1, rule=rule)
    begun.fit(X, y, epochs=1, batch_size=32, progress=False)
    begun.save(tmp_path / "half")
    gone_on = steep.Trainer.load(tmp_path / "half", device="cuda")
    gone_on.fit(X, y, epochs=2, batch_size=32, progress=False)
    assert steps_by(gone_on) == "one block"
    same(left(gone_on, gone_on.history)[:2], whole[:2])


@emulated
def test_no_order_of_threads_and_no_multiprocessors_matter():
    X, y = samples()
    make = lambda: steep.Sequential(  # noqa: E731
        layers.Dense(20, "gelu"), layers.Dropout(0.2), layers.Dense(3, "tanh"), layers.Dense(5)
    )
    options = {"rule": "adam", "clip_norm": 0.1, "average": "ema"}
    found = [trained("cpu", make, X, y, **options)[1]]
    for order in (0, 1, 7):
        for sms in (1, 5):
            with emulating(order=order, sms=sms):
                found.append(trained("cuda", make, X, y, **options)[1])
    for other in found[1:]:
        same(other, found[0])


@emulated
def test_a_call_is_one_launch_of_a_block(monkeypatch):
    monkeypatch.setattr("steep.training.loop.BUDGET", 1e3)  # however slow this machine is
    X, y = samples(320)
    trainer = steep.Trainer(chain(12, 5), "cross_entropy", "adam", device="cuda")
    trainer.fit(X, y, epochs=1, batch_size=32, progress=False)
    before = counted("launches"), counted("graph_launches")
    trainer.fit(X, y, epochs=1, batch_size=32, progress=False)
    assert counted("launches") - before[0] <= 3
    assert counted("graph_launches") == before[1]


# ---- What does not ----


def why_graphs(make=lambda: chain(12, 5), **options):
    trainer, _ = trained("cuda", make, *samples(), epochs=1, **options)
    said = steps_by(trainer)
    assert said.startswith("graphs: ")
    return said.removeprefix("graphs: ")


def test_what_goes_by_graphs_says_why():
    assert "batch_moments" in why_graphs(lambda: steep.Sequential(
        layers.Dense(8), layers.BatchNorm(), layers.Dense(5)))  # fmt: skip
    assert why_graphs(precision="tf32") == "products are not exact"
    assert why_graphs(accumulate=2) == "a step in parts"
    assert "two passes" in why_graphs(rule="lamb")
    bound = steep.constraints.MaxNorm(1)
    assert "bounds for columns" in why_graphs(
        lambda: steep.Sequential(layers.Dense(5, constraint=bound))
    )


def test_a_wrong_setting_is_refused(monkeypatch):
    monkeypatch.setenv("STEEP_RESIDENT", "maybe")
    with pytest.raises(ValueError, match="STEEP_RESIDENT must be on or off"):
        trained("cuda", lambda: chain(5), *samples())


@emulated
def test_just_below_and_just_above_what_a_block_has(both):
    X, y = samples()
    make = lambda: chain(12, 5)  # noqa: E731
    with emulating(shared=4096):  # as little as would be enough
        said = why_graphs(make)
    need = int(said.split("take ")[1].split(" bytes")[0])
    with emulating(shared=need - 1):
        assert f"a block has {need - 1}" in why_graphs(make)
    with emulating(shared=need):
        both(make, X, y)


@emulated
def test_a_block_that_is_refused_its_memory_leaves_the_weights():
    X, y = samples(200)
    trainer, _ = trained("cuda", lambda: chain(40, 5), X, y, batch=100)
    assert steps_by(trainer) == "one block"
    before = trainer.net.state_dict()
    with emulating(shared=48 << 10), pytest.raises(RuntimeError, match="shared memory"):
        trainer.fit(X, y, epochs=1, batch_size=100, progress=False)
    same(trainer.net.state_dict(), before)
    trainer.fit(X, y, epochs=1, batch_size=100, progress=False)
