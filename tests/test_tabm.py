"""`models.tabm`: many members in one network, each its own, together one prediction."""

import numpy as np
import pytest
import steep
from steep import models
from steep.commands import recipe, tabular

K, F, U, C = 5, 4, 6, 3


def built(dropout=0.0, **more):
    net = models.tabm(F, (U, U), C, members=K, dropout=dropout, **more)
    net.build((F,), seed=3)
    return net


def member(state, k, x):
    """Return the logits of one member, from its slices of the weights."""
    names = list(state)
    scales = [n for n in names if n.startswith("conv1d")]
    dense = [n for n in names if n.startswith("dense")]
    h = x * state[scales[0]].reshape(K, x.shape[1])[k]
    pairs = zip(scales[1:5:2], scales[2:6:2], strict=True)
    for weight, (scale, shift) in zip(dense, pairs, strict=True):
        h = h @ state[weight]
        size = h.shape[1]
        h = np.maximum(h * state[scale].reshape(K, size)[k] + state[shift].reshape(K, size)[k], 0)
    last, bias = state[scales[5]], state[scales[6]]
    return h @ last.reshape(U, K, C)[:, k] + bias.reshape(K, C)[k]


def test_each_member_is_a_dense_network_of_its_own():
    net = built()
    X = np.random.default_rng(0).normal(size=(7, F)).astype(np.float32)
    out = net.predict(X)
    assert out.shape == (7, K, C)
    state = {name: value.astype(np.float64) for name, value in net.state_dict().items()}
    for k in range(K):
        np.testing.assert_allclose(out[:, k], member(state, k, X), rtol=2e-5, atol=1e-6)
    assert net.num_parameters == K * F + F * U + 2 * K * U + U * U + 2 * K * U + K * (U * C + C)


def test_numbers_are_embedded_once_for_all_members():
    net = built(numbers=[(0, 1), (2, 4)])
    X = np.random.default_rng(0).normal(size=(7, F)).astype(np.float32)
    out = net.predict(X)
    state = {name: value.astype(np.float64) for name, value in net.state_dict().items()}
    numbers = X[:, [0, 2, 3]].astype(np.float64)
    edges = np.linspace(-3, 3, 33)
    way = np.clip((numbers[..., None] - edges[:-1]) / (edges[1] - edges[0]), 0, 1)
    weight = state["pieces.weight"].reshape(32, 3, 4).swapaxes(0, 1)  # of each number
    pieces = np.einsum("nij,ijk->nik", 2 * way - 1, weight) + state["pieces.bias"].reshape(3, 4)
    turns = 2 * np.pi * numbers[..., None] * state["waves.frequency"].reshape(3, -1)
    waves = np.cos(turns + state["waves.phase"].reshape(3, -1))
    weight = state["waves.weight"].reshape(16, 3, 3).swapaxes(0, 1)
    waves = np.einsum("nij,ijk->nik", waves, weight) + state["waves.bias"].reshape(3, 3)
    made = (pieces.reshape(7, -1), numbers, waves.reshape(7, -1), X[:, 1:2])
    x = np.concatenate(made, axis=1)
    for k in range(K):
        np.testing.assert_allclose(out[:, k], member(state, k, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("numbers", [[(0, 5)], [(2, 2)], [(0, 2), (1, 3)]])
def test_spans_that_do_not_fit_are_refused(numbers):
    with pytest.raises(ValueError, match="tabm: "):
        models.tabm(F, (U,), C, numbers=numbers)


def test_the_command_embeds_the_numbers_of_a_table_unless_they_are_many():
    def names(features):
        (net,) = tabular.build(
            "tabm", (features,), 2, dropout=0.0, units=(4,), members=2, epochs=1, table=None
        )
        return set(net.build((features,)).state_dict())

    assert "pieces.rise" in names(tabular.EMBEDDED_NUMBERS)
    assert "pieces.rise" not in names(tabular.EMBEDDED_NUMBERS + 1)


@pytest.mark.parametrize(("samples", "batch"), [(900, 32), (3000, 64), (9000, 128), (60_000, 128)])
def test_epochs_of_a_table_follow_the_batch_that_is_taken(samples, batch):
    found = recipe.complete(recipe.Recipe("t.csv", target="y"), samples, 10)
    assert (found.model, found.batch_size) == ("tabm", batch)
    assert found.epochs == min(200, round(recipe.UPDATES * batch / samples))
    assert recipe.complete(recipe.Recipe("t.csv", target="y", epochs=3), samples).epochs == 3
    smaller = recipe.complete(recipe.Recipe("t.csv", target="y", batch_size=16), samples)
    assert smaller.epochs == max(5, min(200, round(recipe.UPDATES * 16 / samples)))


def epochs_borne(losses, classes=True):
    """Return when a training of these validation losses stops, and its best epoch."""
    stopping = tabular.Stopping(classes)
    net = built()
    trainer = steep.Trainer(net, "cross_entropy", "adam", seed=0)
    for epoch, loss in enumerate(losses):
        if stopping.on_epoch_end(trainer, epoch, {"val_loss": loss}) == "stop":
            return epoch + 1, stopping.best_epoch + 1
    return len(losses), stopping.best_epoch + 1


@pytest.mark.parametrize(("best", "borne"), [(1, 6), (4, 7), (24, 12), (56, 20), (100, 20)])
def test_the_later_the_best_epoch_came_the_longer_an_ensemble_waits(best, borne):
    falling = [2.0 - 0.01 * k for k in range(best)]
    assert epochs_borne(falling + [3.0] * 50) == (best + borne, best)


def test_a_change_that_nobody_would_see_is_no_reason_to_go_on():
    solved = [0.5, 9e-5, *[8e-5 * 0.9**k for k in range(50)]]
    assert epochs_borne(solved) == (8, 2)
    assert epochs_borne(solved, classes=False)[1] > 2


def test_patience_that_is_given_is_taken_as_it_is():
    given = recipe.complete(recipe.Recipe("t.csv", target="y", patience=3), 900, 10)
    assert given.patience == 3
    assert recipe.complete(recipe.Recipe("t.csv", target="y"), 900, 10).patience is None
    assert recipe.complete(recipe.Recipe("t.csv", target="y", model="mlp"), 900, 10).patience == 10


def test_the_bins_of_a_command_are_those_of_its_training_rows():
    X = np.random.default_rng(0).lognormal(size=(500, F)).astype(np.float32)
    given = {"dropout": 0.0, "units": (4,), "members": 2, "epochs": 1, "table": None}
    (net,) = tabular.build("tabm", (F,), 2, **given, X=X)
    rise = net.build((F,)).state_dict()["pieces.rise"].reshape(F, -1)
    np.testing.assert_allclose(rise, 2 / np.diff(steep.data.quantile_edges(X)), rtol=1e-6)


def test_members_learn_by_themselves_and_differ():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, F)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    net = built(dropout=0.1)
    trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.AdamW(5e-3), seed=0)
    trainer.fit(*tabular.repeated((X, y), K), epochs=60, batch_size=32, progress=False)
    p = tabular.together(net.predict(X), True)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert (p.argmax(axis=1) == y).mean() > 0.9
    alone = net.predict(X).argmax(axis=2)
    assert len({alone[:, k].tobytes() for k in range(K)}) == K


def test_values_are_the_mean_of_the_members():
    z = np.arange(12.0).reshape(2, 3, 2)
    assert tabular.together(z[:, :, :1], False).tolist() == [2.0, 8.0]
    assert tabular.together(z[:, 0, :1], False).tolist() == [0.0, 6.0]


@pytest.mark.parametrize("wrong", [{"members": 0}, {"members": 1.5}, {"dropout": 1.0}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises((TypeError, ValueError)):
        models.tabm(F, (U,), C, **wrong)


def test_a_saved_trainer_comes_back(tmp_path):
    net = built()
    trainer = steep.Trainer(net, "cross_entropy", "adam", seed=0)
    X = np.ones((8, F), np.float32)
    trainer.fit(*tabular.repeated((X, np.arange(8) % C), K), epochs=1, progress=False)
    trainer.save(tmp_path / "t.safetensors")
    again = steep.Trainer.load(tmp_path / "t.safetensors").net
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
