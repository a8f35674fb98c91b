"""Whole numbers in and an embedding's table: golden numbers, in place, refusals, sparse steps."""

import cases_rules
import numpy as np
import pytest
import steep
from feature_pulls import pulled, sines
from steep import layers, optimizers

IDS = np.array([[1, 4, 1], [0, 1, 2]])
KINDS = ("uint8", "uint16", "int32", "int64", "float32", "float64")


def embedded(vocabulary=5, units=3, **options):
    return steep.Sequential(layers.Embedding(vocabulary, units, **options))


def test_golden_embedding():
    net = embedded(init=sines(1, 5, 3))
    net.build(3)
    y, found = pulled(net, IDS, np.sin(np.arange(18)).reshape(2, 3, 3))
    np.testing.assert_allclose(y[0, 1], [0.2100835184, 0.4953036778, 0.3251439201], atol=1e-9)
    want = [
        [0.4121184852, -0.5440211109, -0.9999902066], [-0.8159884162, 1.9186246204, 2.8892630291],
        [0.6502878402, -0.2879033167, -0.9613974919], [0, 0, 0],
        [0.1411200081, -0.7568024953, -0.9589242747],
    ]  # fmt: skip
    np.testing.assert_allclose(found["embedding.weight"], want, atol=1e-9)


@pytest.mark.parametrize(
    ("sparse", "want"),
    [(False, [0.700000003, 0.7811984802, 0.9361186412]),
     (True, [0.700000003, 0.9000000010, 0.9361186412])],
)  # fmt: skip
def test_golden_rows_that_a_batch_has_not(sparse, want):
    net = embedded(3, 1, init=np.ones((3, 1)), sparse=sparse)
    trainer = steep.Trainer(net, "mse", optimizers.Adam(0.1), precision="float64")
    net.build(2)
    for ids in ([0, 1], [0, 0], [0, 2]):
        # The gradient of every row that is there is 1: of the mean of (y - t)^2 over two numbers.
        X = np.array([ids])
        share = 0.5 if ids == [0, 0] else 1.0
        y = net.predict(X).astype(np.float64)
        trainer.step(X, y - share)
    np.testing.assert_allclose(net.state_dict()["embedding.weight"][:, 0], want, atol=2e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_every_dtype_and_stride_are_the_same(kind):
    net = embedded(200, 20)
    net.build(7, seed=1)
    text = np.random.default_rng(0).integers(0, 200, 60).astype(kind)
    windows = np.lib.stride_tricks.sliding_window_view(text, 7)
    table = net.state_dict()["embedding.weight"]
    for X in (windows, windows[::-2], np.asfortranarray(windows)):
        np.testing.assert_array_equal(net.predict(X), table[X.astype(int)])


def test_windows_are_read_where_they_lie():
    """A copy of a hundred million windows would not fit anywhere."""
    text = np.broadcast_to(np.uint8(1), (10**8,))
    windows = np.lib.stride_tricks.as_strided(text, (10**8 - 4096, 4096), (0, 0))
    net = steep.Sequential(layers.Embedding(3, 1), layers.Flatten(), layers.Dense(1))
    net.build(4096)
    assert net.predict(windows[:2]).shape == (2, 1)
    assert steep.checks.arrays.readable(windows, samples=True) is windows


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("units", [3, 40])
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_bytes_do_not_depend_on_threads(threads, units, rule):
    random = np.random.default_rng(0)
    X, y = random.integers(0, 300, (90, 11)), random.standard_normal((90, 2))

    def trained(count):
        net = steep.Sequential(layers.Embedding(300, units), layers.Flatten(), layers.Dense(2))
        with steep.threads(count):
            steep.Trainer(net, "mse", rule).fit(X, y, epochs=2, batch_size=32, progress=False)
        return net.state_dict()

    first, second = trained(1), trained(threads)
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


@pytest.mark.parametrize("name", cases_rules.RULES)
@pytest.mark.parametrize("units", [2, 40])
def test_rules_that_leave_rows_alone_give_the_bytes_of_the_dense_step(name, units):
    """Clipping by a norm that nothing reaches takes the other path, through all rows."""
    X = np.random.default_rng(0).integers(0, 9, (6, 4)) * 31
    y, rule = np.zeros((6, 1)), cases_rules.RULES[name].optimizer

    def trained(**options):
        net = steep.Sequential(layers.Embedding(280, units), layers.Flatten(), layers.Dense(1))
        steep.Trainer(net, "mse", rule, **options).fit(X, y, epochs=3, batch_size=3, progress=False)
        return net.state_dict()

    assert {k: v.tobytes() for k, v in trained().items()} == {
        k: v.tobytes() for k, v in trained(clip_norm=1e30).items()
    }


@pytest.mark.parametrize("rule", ["momentum", "adamw", "nadam", "lion"])
def test_the_row_of_padding_stays_0(rule):
    X = np.random.default_rng(0).integers(0, 6, (20, 5))
    net = steep.Sequential(layers.Embedding(6, 4, padding=2), layers.Flatten(), layers.Dense(1))
    trainer = steep.Trainer(net, "mse", rule, l2=0.1)
    trainer.fit(X, X.sum(1, keepdims=True), epochs=3, batch_size=7, progress=False)
    weight = net.state_dict()["embedding.weight"]
    assert not weight[2].any()
    assert np.abs(weight).sum(1).astype(bool).sum() == 5


def test_lazy_rows_stay_with_their_decay():
    net = steep.Sequential(layers.Embedding(9, 3, sparse=True), layers.Flatten(), layers.Dense(1))
    net.build(2)
    before = net.state_dict()["embedding.weight"]
    trainer = steep.Trainer(net, "mse", "adamw")
    trainer.fit(np.full((8, 2), 4), np.ones((8, 1)), epochs=4, progress=False)
    after = net.state_dict()["embedding.weight"]
    moved = (before != after).any(1)
    assert moved.tolist() == [k == 4 for k in range(9)]
    with pytest.raises(ValueError, match=r"all rows of embedding\.weight move together"):
        steep.Trainer(embedded(9, 3, sparse=True), "mse", "lamb").fit(
            np.zeros((2, 2), int), np.zeros((2, 2, 3)), progress=False
        )


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (
            np.array([[0, 1], [2, 70]]),
            r"X: token 70 at row 1, position 1: Embedding .* has 65 rows",
        ),
        (np.array([[0, -1]]), r"token -1 at row 0, position 1: .* so tokens are 0 to 64"),
        (np.array([[0, 1.5]]), r"token 1.5 at row 0, position 1: it must be a whole number"),
        (np.array([[2**40, 1]]), r"token 1099511627776 at row 0, position 0"),
    ],
)
def test_what_is_no_token_is_refused_before_the_first_step(X, said):
    net = steep.Sequential(
        layers.Embedding(65, 4, name="tokens"), layers.Flatten(), layers.Dense(1)
    )
    trainer = steep.Trainer(net, "mse", "adam")
    with pytest.raises(ValueError, match=said):
        trainer.fit(X, np.zeros((len(X), 1)), progress=False)
    assert trainer.steps == 0
    with pytest.raises(ValueError, match=said):
        net.predict(X)
    with pytest.raises(ValueError, match=said):
        trainer.gradients(X, np.zeros((len(X), 1)))


def test_a_part_of_an_input_may_be_tokens():
    class Mixed(layers.Layer):
        def __init__(self):
            super().__init__()
            self.tokens = layers.Embedding(5, 3)

        def call(self, x):
            rows = self.tokens(steep.ops.slice(x, 0, 2, axis=0))
            return steep.ops.concat([steep.ops.flatten(rows), steep.ops.slice(x, 2, 4, axis=0)])

    net = steep.Sequential(Mixed())
    net.build(4)
    assert net.predict(np.array([[4, 0, 8.5, -3]])).shape == (1, 8)
    with pytest.raises(ValueError, match="token 5 at row 0, position 1"):
        net.predict(np.array([[4, 5, 8.5, -3]]))


def test_tokens_that_are_computed_are_refused():
    net = steep.Sequential(layers.Dense(3), layers.Embedding(5, 2))
    net.build(2)
    with pytest.raises(ValueError, match="a token must come from an input of the network"):
        net.predict(np.zeros((1, 2)))


def test_arguments_are_refused():
    for wrong in ({"vocabulary": 0}, {"units": 0}, {"padding": 5}, {"padding": -1}):
        with pytest.raises(ValueError, match="Embedding"):
            layers.Embedding(**{"vocabulary": 5, "units": 2, **wrong})
    with pytest.raises(ValueError, match="at most 16777216 rows"):
        embedded(2**24 + 1, 1).build(1)


def test_golden_sinusoids():
    net = steep.Sequential(layers.SinusoidalPositions())
    net.build((3, 4))
    want = [
        [0, 1, 0, 1], [0.8414709848, 0.5403023059, 0.0099998333, 0.9999500004],
        [0.9092974268, -0.4161468365, 0.0199986667, 0.9998000067],
    ]  # fmt: skip
    np.testing.assert_allclose(net.predict(np.zeros((1, 3, 4)))[0], want, atol=1e-7)
