"""What a step may be besides one batch and one gradient: parts, the point uphill, some rows."""

import numpy as np
import pytest
import steep
from steep.layers import BatchNorm, Dense, Dropout
from steep.optimizers import LARS, SGD, Adafactor, Adam, AdamW, Adan, AMSGrad, Muon, NAdam

RANDOM = np.random.default_rng(4)
X, Y = RANDOM.standard_normal((57, 6)), RANDOM.standard_normal((57, 3))


def trainer(optimizer, *more, precision="float64", **options):
    net = steep.Sequential(Dense(9, "tanh"), *more, Dense(3), input_shape=(6,))
    return steep.Trainer(net, "mse", optimizer, precision=precision, seed=2, **options)


def fitted(made, **options):
    made.fit(X, Y, epochs=3, progress=False, **options)
    return made


def near(found, wanted):
    for name, value in wanted.net.state_dict().items():
        np.testing.assert_allclose(
            found.net.state_dict()[name], value, rtol=1e-10, atol=1e-12, err_msg=name
        )


@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, 0.9, True), Adam(0.01)])
@pytest.mark.parametrize("more", [{}, {"clip_norm": 0.1}, {"clip_parameter": 0.05}, {"l2": 0.1}])
def test_accumulated_batches_are_one_batch(optimizer, more):
    parts = fitted(trainer(optimizer, **more), batch_size=8, accumulate=3)
    whole = fitted(trainer(optimizer, **more), batch_size=24)
    near(parts, whole)
    assert parts.steps == whole.steps == 9
    np.testing.assert_allclose(parts.history.steps["loss"], whole.history.steps["loss"], rtol=1e-12)


def test_dropout_draws_the_same_masks_in_parts():
    parts = fitted(trainer(Adam(0.01), Dropout(0.5)), batch_size=5, accumulate=4)
    near(parts, fitted(trainer(Adam(0.01), Dropout(0.5)), batch_size=20))


def test_weights_of_samples_count_in_all_parts():
    weights = RANDOM.integers(0, 3, 57).astype(float)
    for reduction in ("mean", "sum", "weighted_mean"):
        parts, whole = (trainer(SGD(0.01), reduction=reduction) for _ in range(2))
        fitted(parts, batch_size=4, accumulate=5, sample_weight=weights)
        near(parts, fitted(whole, batch_size=20, sample_weight=weights))


def test_batch_norm_sees_each_part_by_itself():
    made = trainer(SGD(0.0), BatchNorm())
    made.fit(X[:24], Y[:24], batch_size=8, accumulate=3, shuffle=False, progress=False)
    one = trainer(SGD(0.0), BatchNorm())
    for first in (0, 8, 16):
        one.step(X[first : first + 8], Y[first : first + 8])
    near(made, one)


def test_memory_is_that_of_a_part():
    made = steep.Trainer(
        steep.Sequential(Dense(512, "relu"), Dense(512, "relu"), Dense(3)), "mse", SGD(0.01)
    )
    big = RANDOM.standard_normal((2048, 6)), RANDOM.standard_normal((2048, 3))
    made.fit(*big, batch_size=32, accumulate=64, progress=False)
    assert made._run.session().memory()["arena"] < made.memory(2048)["arena"] / 8


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "2"])
def test_accumulate_is_a_count(bad):
    with pytest.raises((TypeError, ValueError), match="accumulate"):
        trainer(SGD(0.1)).fit(X, Y, accumulate=bad, progress=False)


@pytest.mark.parametrize("adaptive", [False, True])
def test_sharpness_takes_the_gradient_uphill(adaptive):
    made = trainer(SGD(0.1), sam=0.3, sam_adaptive=adaptive)
    made._run.settings.build(((6,),))
    before, (loss, g) = made.net.state_dict(), made.gradients(X, Y)
    scaled = {n: before[n] * g[n] if adaptive else g[n] for n in g}
    length = np.sqrt(sum((v**2).sum() for v in scaled.values()))
    uphill = {
        n: before[n] + 0.3 / length * (before[n] ** 2 * g[n] if adaptive else g[n]) for n in g
    }
    made.net.load_state_dict(uphill)
    there = made.gradients(X, Y)[1]
    made.net.load_state_dict(before)
    assert made.step(X, Y) == pytest.approx(
        loss, rel=1e-12
    )  # that of the weights, not of the point
    for name, value in made.net.state_dict().items():
        np.testing.assert_allclose(value, before[name] - 0.1 * there[name], rtol=1e-11, atol=1e-14)


def test_without_sharpness_no_byte_changes():
    plain, none = fitted(trainer(Adam(0.01))), fitted(trainer(Adam(0.01), sam=0.0))
    for name, value in plain.net.state_dict().items():
        assert value.tobytes() == none.net.state_dict()[name].tobytes()


def test_sharpness_may_be_a_schedule_and_be_assigned():
    made = trainer(SGD(0.1), sam=steep.schedules.Piecewise([0, 3], [0.0, 0.2]))
    half = trainer(SGD(0.1))
    for k in range(5):
        half.sam = 0.2 if k >= 3 else 0.0
        made.step(X, Y)
        half.step(X, Y)
    near(made, half)
    with pytest.raises(ValueError, match="sam"):
        made.sam = -0.1


def test_statistics_follow_the_weights_not_the_point_uphill():
    made, plain = (trainer(SGD(0.0), BatchNorm(), sam=sam) for sam in (0.5, 0.0))
    near(fitted(made), fitted(plain))


@pytest.mark.parametrize("optimizer", [Adam, AMSGrad, NAdam, AdamW])
@pytest.mark.parametrize("outputs", [1, 3, 4, 5, 33, 70])
def test_rows_without_a_gradient_are_left_alone(optimizer, outputs):
    """A row of the first layer has none where its feature is 0 in all samples of a batch."""
    features, rows = 90, 4
    net = steep.Sequential(Dense(outputs), input_shape=(features,))
    made = steep.Trainer(net, "mse", optimizer(0.01, sparse=True), precision="float64")
    made._run.settings.build(((features,),))
    touched = np.zeros(features, bool)
    for _ in range(3):
        x = np.zeros((rows, features))
        here = RANDOM.choice(features, 5, replace=False)
        x[:, here] = RANDOM.standard_normal((rows, 5))
        before, slots = net.state_dict()["dense.weight"], made._run.session().copy_out()[1]
        made.step(x, RANDOM.standard_normal((rows, outputs)))
        moved = (net.state_dict()["dense.weight"] != before).any(axis=1)
        assert set(np.flatnonzero(moved)) == set(here)
        touched[here] = True
        for slot, values in made._run.session().copy_out()[1].items():
            same = (values["dense.weight"] == slots[slot]["dense.weight"]).all(axis=1)
            assert same[~np.isin(np.arange(features), here)].all()
    assert touched.sum() > 5


def test_sparse_rows_step_as_sparse_adam_of_pytorch():
    torch = pytest.importorskip("torch")
    table = RANDOM.standard_normal((30, 6))
    net = steep.Sequential(Dense(6), input_shape=(30,))
    made = steep.Trainer(
        net, "mse", Adam(0.05, like="keras", sparse=True), groups={"*.bias": SGD(0.0)},
        precision="float64", reduction="sum",
    )  # fmt: skip
    made._run.settings.build(((30,),))
    net.load_state_dict({"dense.weight": table, "dense.bias": np.zeros(6)})
    twin = torch.nn.Embedding(30, 6, sparse=True).double()
    twin.weight.data = torch.from_numpy(table.copy())
    theirs = torch.optim.SparseAdam(twin.parameters(), lr=0.05)
    for _ in range(20):
        rows, goal = RANDOM.choice(30, 7), RANDOM.standard_normal((7, 6))
        made.step(np.eye(30)[rows], goal)
        theirs.zero_grad()
        ((twin(torch.from_numpy(rows)) - torch.from_numpy(goal)) ** 2).mean(1).sum().backward()
        theirs.step()
    found = net.state_dict()["dense.weight"]
    np.testing.assert_allclose(found, twin.weight.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_where_every_row_has_a_gradient_sparse_changes_no_byte():
    dense, sparse = fitted(trainer(Adam(0.01))), fitted(trainer(Adam(0.01, sparse=True)))
    for name, value in dense.net.state_dict().items():
        assert value.tobytes() == sparse.net.state_dict()[name].tobytes()


def test_a_rule_that_becomes_sparse_is_another_one():
    made = trainer(Adam(0.01))
    made.gradients(X, Y)  # there is a session
    made.optimizer = Adam(0.01, sparse=True)
    made.step(X, Y)
    assert made._run.settings.assigned.made_with["sparse"] == [True]
    with pytest.raises(ValueError, match="whose state it cannot use"):
        made.optimizer = Adam(0.01)


def test_what_cannot_be_sparse_says_so():
    with pytest.raises(ValueError, match="leave out sparse"):
        Adan(sparse=True)
    with pytest.raises(ValueError, match="leave out sparse"):
        steep.optimizers.LAMB(sparse=True)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": Adam(0.01), "clip_norm": 0.1},
        {"optimizer": Adam(0.01), "clip_parameter": 0.05, "l2": 0.01},
        {"optimizer": LARS(0.1)},
        {"optimizer": Adafactor(0.01)},
        {"optimizer": Adafactor(0.01, factored=False)},
        {"optimizer": Muon(0.01, rest=Adam(0.01))},
    ],
)
def test_gradients_beyond_the_caches_are_the_same(options):
    # Beside a layer of 36 MB whose gradient is 0, kept gradients are written past the caches.
    random = np.random.default_rng(8)
    x, y = random.standard_normal((5, 40), np.float32), random.standard_normal((5, 7), np.float32)
    kept = []
    for width, threads in ((3000, 1), (3000, 2), (3000, 3), (8, 1)):
        small, big = steep.Input((40,)), steep.Input((width,))
        hidden = Dense(50, "tanh", name="hidden")(small)
        outputs = {
            "y": Dense(7, name="out")(hidden),
            "other": Dense(width, use_bias=False, name="big")(big),
        }
        net = steep.Model([small, big], outputs)
        groups = {"big*": SGD(0.1)}
        made = steep.Trainer(net, {"y": "mse", "other": "mse"}, groups=groups, seed=1, **options)
        nothing = np.zeros((5, width), np.float32)
        with steep.threads(threads):
            for _ in range(3):
                made.step([x, nothing], {"y": y, "other": nothing})
        state = net.state_dict()
        kept.append([value for name, value in state.items() if not name.startswith("big")])
    for other in kept[1:]:
        for one, again in zip(kept[0], other, strict=True):
            np.testing.assert_array_equal(one, again)
