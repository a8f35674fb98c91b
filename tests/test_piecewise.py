"""`PiecewiseEmbedding` and `data.quantile_edges`: numbers along the bins in which samples lie."""

import numpy as np
import pytest
import steep
from steep import data, layers


def built(layer, numbers):
    return steep.Sequential(layer).build((numbers,), seed=1)


def test_it_is_the_formula():
    edges = np.array([[-1, 0, 0, 2], [0, 0.5, 1, 1], [3, 3, 3, 3.0]])
    net = built(layers.PiecewiseEmbedding(2, 3, edges, name="e"), 3)
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32) * 2
    w = net.state_dict()
    weight, bias = w["e.weight"].reshape(3, 3, 2), w["e.bias"].reshape(3, 2)  # bin, number, unit
    wanted = np.empty((50, 3, 2))
    for s, i in np.ndindex(50, 3):
        wanted[s, i] = bias[i]
        for j in range(3):
            low, high = edges[i, j], edges[i, j + 1]
            if high > low:
                way = min(max((X[s, i] - low) / (high - low), 0.0), 1.0)
                wanted[s, i] += (2 * way - 1) * weight[j, i]
    got = net.predict(X)
    np.testing.assert_allclose(got[:, :6], wanted.reshape(50, 6), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(got[:, 6:], X)


def test_edges_stay_while_the_rest_is_trained_and_are_saved(tmp_path):
    X = np.random.default_rng(1).normal(size=(400, 1)).astype(np.float32)
    y = np.sign(np.sin(6 * X[:, 0]))  # jumps, as a plain product of so few units has none
    edges = data.quantile_edges(X, 24)
    net = steep.Sequential(layers.PiecewiseEmbedding(4, 24, edges, name="e"), layers.Dense(1))
    net.build((1,), seed=0)
    before = {name: value.copy() for name, value in net.state_dict().items()}
    trainer = steep.Trainer(net, "mse", steep.optimizers.AdamW(0.02, weight_decay=0.1), seed=0)
    history = trainer.fit(X, y, epochs=60, batch_size=32, progress=False)
    after = net.state_dict()
    for name in ("e.rise", "e.start"):
        np.testing.assert_array_equal(after[name], before[name])
    assert not np.array_equal(after["e.weight"], before["e.weight"])
    assert history.history["loss"][-1] < 0.3 * np.mean((y - y.mean()) ** 2)
    net.save_weights(tmp_path / "w.safetensors")
    other = built(layers.PiecewiseEmbedding(4, 24, name="e"), 1)  # other edges, to be replaced
    other = steep.Sequential(*other.layers, layers.Dense(1)).build((1,))
    other.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(other.predict(X), net.predict(X))


def test_bins_hold_as_many_samples_each():
    X = np.random.default_rng(2).lognormal(size=(3200, 2))
    edges = data.quantile_edges(X, 16)
    assert edges.shape == (2, 17)
    for column, row in zip(X.T, edges, strict=True):
        counts = np.histogram(column, row)[0]
        assert counts.sum() == 3200
        assert (abs(counts - 200) <= 2).all()


def test_many_zeros_leave_bins_for_the_others():
    X = np.random.default_rng(3).lognormal(size=(4000, 1))
    X[:3600] = 0.0
    row = data.quantile_edges(X, 11)[0]
    assert row[0] == 0.0
    assert row[1] == X[3600:].min()
    assert (abs(np.histogram(X[3600:], row[1:])[0] - 40) <= 1).all()


def test_few_values_have_an_edge_each_and_no_more():
    X = np.array([[0, 7, 1], [1, 7, 1 + 1e-9], [4, 7, 3], [1, 7, 2]], float)
    wanted = [[0, 1, 4, 4, 4], [7, 7, 7, 7, 7], [1, 2, 3, 3, 3]]
    np.testing.assert_array_equal(data.quantile_edges(X, 4), wanted)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((0, 2)), "samples, features"),
        (np.zeros(3), "samples, features"),
        ([[1.0], [np.nan]], "quantile_edges: X"),
    ],
)
def test_what_has_no_quantiles_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        data.quantile_edges(X)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 1]], r"shape \(n, 3\)"),
        ([[0, 1, 0.5]], "number 0 do not ascend"),
        ([[0, 1, np.inf]], "edges"),
    ],
)
def test_edges_that_are_none_are_refused(edges, message):
    with pytest.raises(ValueError, match=message):
        layers.PiecewiseEmbedding(2, 2, edges)


def test_a_vector_of_another_length_or_an_image_is_refused():
    layer = layers.PiecewiseEmbedding(2, 2, [[0, 1, 2]])
    with pytest.raises(ValueError, match="edges of 1 numbers, got 4"):
        built(layer, 4)
    with pytest.raises(ValueError, match="expects a vector"):
        steep.Sequential(layers.PiecewiseEmbedding()).build((4, 2))
