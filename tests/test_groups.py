"""Groups of parameters: who moves what, against PyTorch's groups, and what is refused."""

import numpy as np
import pytest
import steep
from steep import optimizers, schedules
from steep.layers import BatchNorm, Dense
from steep.optimizers import SGD, Adam, AdamW, Muon, RMSProp

RANDOM = np.random.default_rng(5)
X, Y = RANDOM.standard_normal((60, 7)), RANDOM.standard_normal((60, 3))


def net():
    return steep.Sequential(Dense(9, "tanh", name="body"), Dense(3, name="head"), input_shape=(7,))


def trainer(optimizer=None, **more):
    return steep.Trainer(net(), "mse", optimizer, precision="float64", seed=3, **more)


def bytes_of(made):
    return {name: value.tobytes() for name, value in made.net.state_dict().items()}


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("batch_size", [60, 16])
def test_groups_are_those_of_pytorch(kind, batch_size):
    torch = pytest.importorskip("torch")
    ours = {
        "sgd": SGD, "momentum": lambda lr: SGD(lr, 0.9, like="torch"),
        "adam": Adam, "adamw": lambda lr: AdamW(lr, weight_decay=0.1),
        "rmsprop": lambda lr: RMSProp(lr, rho=0.99),
    }[kind]  # fmt: skip
    l2 = {} if kind == "adamw" else {"l2": 0.1}
    made = trainer(
        groups={"head": {"optimizer": ours(0.02), **l2}, "*": ours(0.005)}, decay_bias=True
    )
    made._run.settings.build((X.shape[1:],))
    twin = torch.nn.Sequential(torch.nn.Linear(7, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3))
    twin.double()
    state = made.net.state_dict()
    for layer, name in ((twin[0], "body"), (twin[2], "head")):
        layer.weight.data = torch.from_numpy(state[f"{name}.weight"].T.copy())
        layer.bias.data = torch.from_numpy(state[f"{name}.bias"].copy())
    decay = 0.1 if kind == "adamw" else 0.0
    theirs = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.005),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.005, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, lr=0.005),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.005, weight_decay=decay),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.005),
    }[kind]([
        {"params": list(twin[2].parameters()), "lr": 0.02, "weight_decay": 0.1},
        {"params": list(twin[0].parameters())},
    ])  # fmt: skip
    for _ in range(5):
        for first in range(0, 60, batch_size):
            rows = slice(first, first + batch_size)
            theirs.zero_grad()
            torch.nn.functional.mse_loss(
                twin(torch.from_numpy(X[rows])), torch.from_numpy(Y[rows])
            ).backward()
            theirs.step()
    made.fit(X, Y, epochs=5, batch_size=batch_size, shuffle=False, progress=False)
    state = made.net.state_dict()
    for layer, name in ((twin[0], "body"), (twin[2], "head")):
        np.testing.assert_allclose(state[f"{name}.weight"], layer.weight.detach().T, rtol=1e-9)
        np.testing.assert_allclose(state[f"{name}.bias"], layer.bias.detach(), rtol=1e-9)


@pytest.mark.parametrize("optimizer", [SGD(0.0), Adam(0.0), AdamW(0.0), SGD(0.0, 0.9, True)])
def test_a_group_of_rate_0_keeps_its_bytes(optimizer):
    made = trainer(Adam(0.01), groups={"body": optimizer})
    made._run.settings.build((X.shape[1:],))
    before = bytes_of(made)
    made.fit(X, Y, epochs=3, progress=False)
    after = bytes_of(made)
    assert {name for name in after if after[name] != before[name]} == {"head.weight", "head.bias"}


def test_a_group_of_the_same_settings_changes_no_byte():
    plain, grouped = trainer(Adam(0.01)), trainer(Adam(0.01), groups={"body": {}, "head": {}})
    for made in (plain, grouped):
        made.fit(X, Y, epochs=3, progress=False)
    assert bytes_of(plain) == bytes_of(grouped)


def test_the_first_pattern_that_matches_decides():
    made = trainer(
        SGD(0.1), groups={"*.bias": {"lr": 0.2}, "head*": Adam(0.3), "?ody.weight": {"lr": 0.4}}
    )
    made._run.settings.build((X.shape[1:],))
    assigned = made._run.settings.assigned
    rates = [assigned.groups[k].optimizer.lr for k in assigned.members]
    assert dict(zip(made._run.settings.shapes(), rates, strict=True)) == {
        "body.weight": 0.4, "body.bias": 0.2, "head.weight": 0.3, "head.bias": 0.2,
    }  # fmt: skip


def test_groups_follow_what_is_assigned_to_the_trainer():
    made = trainer(Adam(0.1), groups={"head": {"lr_factor": 0.5, "l2": 0.3}})
    made.fit(X, Y, progress=False)
    made.lr = 0.01
    made.beta1 = 0.5
    assigned = made._run.settings.assigned
    assert [g.optimizer.lr for g in assigned.groups] == [0.005, 0.01]
    assert {g.optimizer.beta1 for g in assigned.groups} == {0.5}
    made.groups = {"head": {"lr": 0.0}}
    before = bytes_of(made)
    made.fit(X, Y, progress=False)
    assert before["head.weight"] == bytes_of(made)["head.weight"]
    with pytest.raises(ValueError, match=r"updates by the rule .* 4 steps|whose state it cannot"):
        made.groups = {"head": SGD(0.1)}
    assert made.groups == {"head": {"lr": 0.0}}


def test_layer_decay_lowers_the_rates_from_the_last_layer_to_the_first():
    made = trainer(Adam(0.1))
    with pytest.raises(ValueError, match="not built yet"):
        optimizers.layer_decay(made.net, 0.5)
    made.net.build((7,))
    assert optimizers.layer_decay(made.net, 0.5) == {
        "body": {"lr_factor": 0.5}, "head": {"lr_factor": 1.0},
    }  # fmt: skip
    made.groups = optimizers.layer_decay(made.net, 0.5)
    assert [g.optimizer.lr for g in made._run.settings.assigned.groups] == [0.05, 0.1]
    made.lr = schedules.Linear(0.2, 0.4, 10)  # a schedule is multiplied, too
    rates = [g.optimizer.value("lr", 5) for g in made._run.settings.assigned.groups]
    assert rates == pytest.approx([0.15, 0.3])
    inner = steep.Sequential(Dense(4, name="a"), Dense(4, name="b"), name="inner")
    deep = steep.Sequential(inner, Dense(2, name="c"), input_shape=(3,))
    deep.build((3,))
    assert list(optimizers.layer_decay(deep, 0.5)) == ["inner", "c"]
    assert list(optimizers.layer_decay(deep, 0.5, depth=2)) == ["inner.a", "inner.b", "c"]


def test_a_plateau_lowers_the_rates_of_all_groups():
    def fit(*more, **groups):
        made = trainer(*more, **groups)
        watch = steep.callbacks.ReduceOnPlateau("loss", 0.5, 1, min_delta=10.0, min_lr=0.003)
        made.fit(X, Y, epochs=3, callbacks=[watch], progress=False)
        return [group.optimizer.lr for group in made._run.settings.assigned.groups]

    own = {"head": Adam(0.02), "*.bias": {"lr": 0.01}, "body": {"lr_factor": 0.1}}
    assert fit(Adam(0.08), groups=own) == pytest.approx([0.005, 0.003, 0.002])
    assert fit(groups={"head": Adam(0.02), "*": SGD(0.04)}) == pytest.approx([0.005, 0.01])
    assert fit(
        groups={"head": {"optimizer": Adam(schedules.Constant(9.0)), "lr": 1}, "*": SGD(0.04)}
    ) == [0.25, 0.01]
    inner = fit(Muon(0.08, rest=Adam(0.1)), groups={"head": {"rest": Adam(0.02)}})
    assert inner == pytest.approx([0.005, 0.02, 0.025])
    assert fit(groups={"*": Muon(0.08, rest=Adam(0.1))}) == pytest.approx([0.02, 0.025])
    with pytest.raises(ValueError, match="learning rate follows Constant"):
        fit(Adam(0.1), groups={"head": {"lr": schedules.Constant(0.1)}})


def test_rates_are_those_of_groups_where_they_have_all_parameters():
    made = trainer(groups={"head": Adam(0.02), "*": SGD(0.04)})
    made.fit(X, Y, progress=False)
    assert made.history.history["lr"] == [0.04]
    assert not hasattr(made, "lr")
    with pytest.raises(AttributeError, match="groups"):
        made.lr = 0.1
    with pytest.raises(AttributeError, match="optimizer"):
        made.optimizer = Adam(0.1)


def test_slots_are_those_of_the_group_alone():
    made = trainer(SGD(0.1, 0.9), groups={"head": Adam(0.1)})
    made.fit(X, Y, progress=False)
    slots = {slot: set(found) for slot, found in made._run.session().copy_out()[1].items()}
    head, body = {"head.weight", "head.bias"}, {"body.weight", "body.bias"}
    assert slots == {"m": head, "r": head, "v": body}


def test_checkpoints_and_pickles_keep_groups(tmp_path):
    import pickle

    groups = {"head": {"optimizer": Adam(0.1), "clip_parameter": 0.1}, "*": RMSProp(0.01)}
    made = trainer(groups=groups)
    made.fit(X, Y, batch_size=20, progress=False)
    made.save(tmp_path / "c")
    twins = [steep.Trainer.load(tmp_path / "c"), pickle.loads(pickle.dumps(made))]
    made.fit(X, Y, batch_size=20, progress=False)
    for twin in twins:
        twin.fit(X, Y, batch_size=20, progress=False)
        assert bytes_of(twin) == bytes_of(made)


def test_clip_parameter_shortens_each_gradient_by_itself():
    made = trainer(SGD(1.0), clip_parameter=0.01)
    made._run.settings.build((X.shape[1:],))
    before, (_, gradients) = made.net.state_dict(), made.gradients(X, Y)
    made.step(X, Y)
    after = made.net.state_dict()
    for name, g in gradients.items():
        length = np.linalg.norm(g)
        wanted = before[name] - g * min(1.0, 0.01 / length)
        np.testing.assert_allclose(after[name], wanted, rtol=1e-12, atol=1e-15)
    assert any(np.linalg.norm(g) > 0.01 for g in gradients.values())


@pytest.mark.parametrize(
    ("groups", "error", "words"),
    [
        ({"haed": Adam(0.1)}, ValueError, "no parameter is called 'haed'; there are body.weight"),
        ({"head": {"rate": 0.1}}, ValueError, "lr"),
        ({"head": {"lr": -1.0}}, ValueError, "lr"),
        ({"head": {"l2": -1.0}}, ValueError, "l2"),
        ({"head": {"clip_value": 0.0}}, ValueError, "clip_value"),
        ({"head": 3}, TypeError, "optimizer"),
        ({3: Adam(0.1)}, TypeError, "pattern"),
        ([("head", Adam(0.1))], TypeError, "dict"),
        ({"head": {"momentum": 0.5}}, ValueError, "momentum"),
    ],
)
def test_what_is_no_group_is_refused_before_the_first_step(groups, error, words):
    with pytest.raises(error, match=words):
        trainer(Adam(0.1), groups=groups).fit(X, Y, progress=False)


def test_every_parameter_needs_somebody():
    with pytest.raises(ValueError, match=r"nothing moves body.weight, body.bias; add a pattern"):
        trainer(groups={"head": Adam(0.1)}).fit(X, Y, progress=False)
    with pytest.raises(TypeError, match="needs an optimizer"):
        trainer()
    with pytest.raises(TypeError, match="needs an optimizer"):
        trainer(groups={"head": {"lr": 0.1}})


def test_batch_norm_is_in_groups_too():
    made = steep.Trainer(
        steep.Sequential(Dense(4), BatchNorm(), Dense(1)), "mse", Adam(0.1),
        groups={"batch_norm": SGD(0.0, 0.9)},
    )  # fmt: skip
    made.fit(X, Y[:, :1], progress=False)
    state = made.net.state_dict()
    assert (state["batch_norm.weight"] == 1).all() and (state["batch_norm.running_var"] != 1).any()
