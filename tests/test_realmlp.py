"""RealMLP: its network, settings and first weights, and `steep train --model realmlp`."""

import json

import numpy as np
import pytest
import steep
from steep import callbacks, cli, data, lab, layers, models, schedules
from tables import write

SPANS = {"numbers": [(0, 2), (4, 5)], "categories": [(5, 16)]}  # 2 and 3 pass as they are


def built(**more):
    net = models.realmlp(16, 3, (12, 12), **{**SPANS, **more})
    return net.build((16,), seed=1)


def rows(n=300):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 16)).astype(np.float32)
    X[:, 5:] = np.eye(11)[rng.integers(0, 11, n)]
    return X, ((X[:, 0] * X[:, 1] > 0) + (X[:, 4] > 1)).astype(np.int64)


def test_it_is_the_formula_of_the_paper():
    net, (X, _) = built(), rows(7)
    w = {name: value.astype(np.float64) for name, value in net.state_dict().items()}
    numbers = X[:, [0, 1, 4]].astype(np.float64)
    turns = numbers[:, :, None] * w["embedding.frequency"].reshape(3, 16)
    waves = np.cos(2 * np.pi * turns + w["embedding.phase"].reshape(3, 16))
    made = np.einsum("snw,wnu->snu", waves, w["embedding.weight"].reshape(16, 3, 3))
    made = made.reshape(7, 9) + w["embedding.bias"]
    table = X[:, 5:] @ w["category0.weight"]
    h = np.concatenate([made, numbers, table, X[:, 2:4]], axis=1) * w["feature_scale.gain"]
    for k, name in enumerate(("dense", "dense_1")):
        z = h @ w[f"{name}.weight"] / np.sqrt(h.shape[1]) + w[f"{name}.bias"]
        selu = 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z))
        alpha = w["parametric_activation" + f"_{k}" * (k > 0) + ".alpha"]
        h = z + alpha * (selu - z)
    wanted = h @ w["dense_2.weight"] / np.sqrt(12) + w["dense_2.bias"]
    np.testing.assert_allclose(net.predict(X), wanted, rtol=2e-4, atol=2e-5)


def test_first_weights_have_outputs_of_deviation_one_and_kinks_among_the_samples():
    net, (X, _) = built(), rows()
    before = net.state_dict()["embedding.weight"].copy()
    names = lab.unit_outputs(net, X, names="dense*", seed=3)
    assert names == ["dense.weight", "dense_1.weight", "dense_2.weight"]
    np.testing.assert_array_equal(net.state_dict()["embedding.weight"], before)
    first = steep.Sequential(*net.layers[:3]).build((16,))
    first.load_state_dict({n: v for n, v in net.state_dict().items() if n in first.state_dict()})
    z = first.predict(X).astype(np.float64)
    np.testing.assert_allclose(z.std(axis=0), 1.0, rtol=1e-4)
    above = (z > 0).mean(axis=0)
    assert ((above > 0) & (above < 1)).all()
    with pytest.raises(ValueError, match="no matrix is called 'wrong'"):
        lab.unit_outputs(net, X, names="wrong")


def test_groups_have_rates_and_decays_of_their_own():
    net = built()
    made = models.realmlp_settings(net, 10, classes=True)
    trainer = steep.Trainer(net, **made)
    assigned = trainer._run.settings.assigned
    found = dict(zip(net.state_dict(), assigned.members, strict=True))

    def rate(name, t):
        lr = assigned.groups[found[name]].optimizer.lr
        return lr(t)

    top = 10 * (2**1.5 - 1) / 15  # where the second wave is highest
    assert rate("dense.weight", top) == pytest.approx(0.04)
    assert rate("feature_scale.gain", top) == pytest.approx(0.24)
    tenth = ("dense.bias", "parametric_activation.alpha", "embedding.weight", "embedding.bias")
    assert [rate(name, top) for name in tenth] == pytest.approx([0.004] * 4)
    decay = assigned.groups[found["dense.weight"]].optimizer.weight_decay
    assert [decay(t) for t in (0, 4.9, 7.5, 10)] == pytest.approx([0.02, 0.02, 0.01, 0])
    assert assigned.groups[found["dense.bias"]].optimizer.weight_decay == 0


def test_a_network_of_categories_alone_has_no_embedding_of_numbers():
    net = models.realmlp(11, 2, (8,), categories=[(0, 11)]).build((11,))
    steep.Trainer(net, **models.realmlp_settings(net, 3))
    assert not any("embedding" in name for name in net.state_dict())


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"numbers": [(0, 6)]}, "spans overlap"),
        ({"categories": [(5, 17)]}, "must lie in 0 to 16"),
        ({"numbers": [(2, 2)]}, "must lie in 0 to 16"),
        ({"activation": "mihs"}, "mish"),
    ],
)
def test_wrong_spans_are_refused(wrong, what):
    with pytest.raises(ValueError, match=what):
        built(**wrong)


def test_it_learns_and_a_checkpoint_goes_on_to_the_same_bytes(tmp_path):
    X, y = rows()
    dropout = schedules.Linear(0.5, 0.0, 30)

    def trainer():
        net = built(dropout=dropout)
        lab.unit_outputs(net, X, names="dense*")
        return steep.Trainer(net, **models.realmlp_settings(net, 30), seed=0)

    whole = trainer()
    whole.fit(X, y, epochs=30, batch_size=64, progress=False)
    assert whole.evaluate(X, y)["accuracy"] > 0.9
    half = trainer()
    half.fit(X, y, epochs=11, batch_size=64, progress=False)
    half.save(tmp_path / "half")
    again = steep.Trainer.load(tmp_path / "half")
    again.fit(X, y, epochs=19, batch_size=64, progress=False)
    for a, b in zip(whole.net.state_dict().values(), again.net.state_dict().values(), strict=True):
        assert a.tobytes() == b.tobytes()


# -- dropout by schedule -----------------------------------------------------------------------


def test_a_schedule_that_is_constant_drops_what_the_number_drops():
    X, y = rows(64)

    def trained(rate):
        net = steep.Sequential(layers.Dense(32, "tanh"), layers.Dropout(rate), layers.Dense(3))
        made = steep.Trainer(net, "cross_entropy", "sgd", seed=4)
        made.fit(X, y, epochs=3, batch_size=16, progress=False)
        return [value.tobytes() for value in net.state_dict().values()]

    assert trained(0.3) == trained(schedules.Constant(0.3))
    assert trained(0.3) != trained(schedules.Linear(0.3, 0.0, 12))
    assert trained(0.0) == trained(schedules.Constant(0.0))


def test_a_rate_outside_of_its_range_is_refused_before_its_step():
    X, y = rows(64)
    net = steep.Sequential(layers.Dropout(schedules.Linear(0.5, 1.5, 4)), layers.Dense(3))
    trainer = steep.Trainer(net, "cross_entropy", "sgd")
    with pytest.raises(ValueError, match=r"the rate of a dropout must be in \[0, 1\], but"):
        trainer.fit(X, y, epochs=3, batch_size=16, progress=False)
    with pytest.raises(ValueError, match='take scale_at="train"'):
        layers.Dropout(schedules.Constant(0.5), scale_at="test")


def test_of_equal_epochs_the_last_one_may_be_the_best():
    for ties, best in (("first", 1), ("last", 3)):
        stopping = callbacks.EarlyStopping("accuracy", 9, restore_best=False, ties=ties)
        for epoch, value in enumerate((0.1, 0.5, 0.4, 0.5, 0.2)):
            stopping.on_epoch_end(None, epoch, {"accuracy": value})
        assert stopping.best_epoch == best
    with pytest.raises(ValueError, match="min_delta=0"):
        callbacks.EarlyStopping(min_delta=0.1, ties="last")


# -- tables ------------------------------------------------------------------------------------


def test_robust_scales_are_median_and_quartiles():
    values = [1.0, 2.0, 3.0, 4.0, 1000.0]
    table = data.Table.learn({"a": values, "b": [0.0] * 4 + [6.0]}, scale="robust", squash=True)
    z = (np.array(values) - 3) / 2
    X = table.encode({"a": values, "b": [0.0] * 4 + [6.0]})
    np.testing.assert_allclose(X[:, 0], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6)
    assert X[4, 1] == pytest.approx(2 / np.sqrt(1 + 4 / 9))  # half the way between the ends
    assert "median 3, quartiles 2 apart, tails squashed" in str(table)
    with pytest.raises(ValueError, match="robust"):
        data.Table.learn({"a": values}, scale="robst")


def test_spans_tell_what_the_features_are():
    table = data.Table.learn(
        {"a": [1.0, None, 3.5, 2.0], "b": ["x", "y", "x", "y"], "c": [1.0, 0.5, 2.0, 7.0]}
    )
    assert table.spans == (
        ("number", 0, 1), ("flag", 1, 2), ("category", 2, 4), ("number", 4, 5),
    )  # fmt: skip


@pytest.mark.parametrize("target", ["kind", "price"])
def test_the_command_trains_predicts_and_evaluates(tmp_path, monkeypatch, capsys, target):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = ["a,b,town,price,kind"]
    for k in range(200):
        a, b = rng.normal(size=2)
        town = f"town{rng.integers(12)}"
        lines.append(f"{a:.3f},{b:.3f},{town},{3 * a + b * b:.3f},{'no' if a > b else 'yes'}")
        if k == 7:
            lines.append(f",{b:.3f},{town},1.0,no")
    write(tmp_path / "t.csv", "\n".join(lines) + "\n")
    other = "price" if target == "kind" else "kind"
    words = ["train", "t.csv", "--target", target, "--drop", other, "--out", "run", "--json"]
    assert cli.main([*words, "--model", "realmlp", "--epochs", "40"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["test"]["accuracy" if target == "kind" else "r2"] > 0.8
    assert cli.main(["evaluate", "run", "t.csv", "--json"]) == 0
    capsys.readouterr()
    assert cli.main(["predict", "run", "t.csv", "-o", "out.csv"]) == 0
    if target == "price":
        got = np.genfromtxt("out.csv", skip_header=1)
        assert got.max() <= found_most(tmp_path)
    assert "category0.weight" in steep.Trainer.load("run/trainer.safetensors").net.state_dict()
    words = ["train", "--out", "run", "--resume", "--epochs", "50"]
    assert cli.main(words) == 2
    assert "end with its epochs" in capsys.readouterr().err


def found_most(folder):
    return json.loads((folder / "run/table.json").read_text())["target"]["most"]


def test_the_command_refuses_what_it_does_not_have(tmp_path, capsys):
    write(tmp_path / "t.csv", "a,k\n" + "".join(f"{k % 7}.5,{'xy'[k % 2]}\n" for k in range(30)))
    words = ["train", str(tmp_path / "t.csv"), "--target", "k", "--model", "realmlp"]
    assert cli.main([*words, "--schedule", "cosine", "--optimizer", "sgd"]) == 2
    assert "leave out --optimizer, --schedule" in capsys.readouterr().err
