"""Second derivatives of draws, tables, attention, recurrent layers, graphs: the CPU's bytes.

Dense networks, losses, and what the methods do: test_cuda_second_order.
"""

import devices
import numpy as np
import pytest
import steep
from devices import net, same
from emulation import EMULATED, emulating
from steep import _core, layers, models, ops
from steep.network import emit
from test_cuda_attention import SHAPES, Heads, cross_attention
from test_cuda_products import both as products
from test_cuda_recurrent import CELLS, cells, counted_data, keeping, stack, with_lengths
from test_cuda_second_order import both, data, fitted, moved, trainer, values
from test_cuda_steps import graph
from test_cuda_tables import Products, tokens

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
methods = pytest.mark.parametrize("method", ["newton", "squares"])


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def by_squares(X, columns=5, **options):
    """Expect the same bytes of both devices of a short training."""
    samples = len(X[0] if isinstance(X, list) else X)
    return moved(both(X, values(samples, columns), 2, loss="mse", **options))


# ---- Gates and draws ----


@pytest.mark.parametrize("kind", _core.activations())
def test_every_gate(kind):
    """Of what is positive, which a root and a logarithm want."""
    square = (layers.Dense(6, "tanh"), layers.Rescale(0.5, 1.5))
    by_squares(data(50, 6)[0], made=lambda: net(*square, layers.GLU(kind)))


class Twice(layers.Layer):
    """Gradients that are added to others, of the same gates and of the same slopes."""

    def call(self, x):
        return ops.rrelu(x, 0.1, 0.3) * x + ops.concat([ops.glu(x), ops.glu(x, "tanh")])


@pytest.mark.parametrize("units", [2, 4, 18, 66])
def test_gradients_that_are_added(units):
    by_squares(data(40, 6)[0], made=lambda: net(layers.Dense(units), Twice()))


class Drawn(layers.Layer):
    def call(self, x):
        chance = ops.activation(x, "sigmoid")
        noise = ops.uniform_like(x, -0.5, 0.7, sample=True) + ops.normal_like(x)
        return ops.reparameterize(x, chance) * ops.bernoulli(chance, sample=True) + noise * x


@methods
@pytest.mark.parametrize("units", [1, 2, 5, 16, 33])
def test_draws(method, units):
    made = lambda: net(layers.Dense(units, "tanh"), Drawn())  # noqa: E731
    by_squares(data(40, 6)[0], made=made, method=method)


class OneMask(layers.Layer):
    def call(self, x):
        return emit("step_dropout", x, rate=0.3) + emit("step_dropout", x, rate=0.6)


@methods
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (9, 4), (7, 33)])
def test_one_mask_for_all_positions_of_a_sample(shape, method):
    body = (layers.FeatureScale(), layers.Tanh(), OneMask(), layers.Flatten())
    by_squares(numbers(37, *shape), made=lambda: net(*body), method=method)


class Chain(layers.Layer):
    """Rows go on from step to step."""

    def __init__(self, restarts):
        super().__init__()
        self.restarts = restarts

    def call(self, x):
        n = x.shape[-1]
        states = self.parameter("states", (30 * n,), "normal", decay=False, trained=False)
        before = emit("kept_rows", x, states, width=n, restarts=self.restarts)
        emit("keep_rows", ops.activation(x + before, "tanh"), states)
        return x * before + x


@methods
@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("samples", [20, 30, 41])
def test_rows_that_a_step_leaves_to_the_next(samples, restarts, method):
    """Fewer, as many and more than there are states."""
    made = lambda: net(layers.Dense(3, "tanh"), Chain(restarts))  # noqa: E731
    both(data(samples, 6)[0], values(samples), 4, made=made, method=method, loss="mse")


# ---- Tables, products of two tensors ----


def body(vocabulary, units, **options):
    return lambda: net(
        layers.Embedding(vocabulary, units, **options), layers.PositionEmbedding(),
        layers.Tanh(), layers.Flatten(),
    )  # fmt: skip


@pytest.mark.parametrize("vocabulary", [1, 2, 31, 257])
@pytest.mark.parametrize("units", [1, 3, 4, 5, 33, 70])
def test_every_size_of_a_table(vocabulary, units):
    """Stored as W^T and in panels."""
    by_squares(tokens(21, 3, vocabulary), made=body(vocabulary, units))


@methods
@pytest.mark.parametrize("length", [1, 2, 65])
def test_ids_of_one_stretch_and_of_many(length, method):
    by_squares(tokens(13, length, 9), made=body(9, 2, padding=0), method=method)


def test_a_table_that_is_read_twice():
    def made():
        table, x = layers.Embedding(9, 3, padding=0), steep.Input((4,))
        same_rows = layers.Flatten()(ops.multiply(table(x), layers.Tanh()(table(x))))
        return steep.Model(x, layers.Dense(5)(same_rows))

    by_squares(tokens(30, 4, 9), made=made)


@pytest.mark.parametrize(
    ("places", "n", "k", "m"),
    [((), 1, 1, 1), ((), 5, 7, 3), ((2,), 6, 13, 10), ((3, 2), 4, 20, 3), ((), 34, 5, 1)],
)
def test_products_of_two_tensors(places, n, k, m):
    X = [numbers(13, *places, *of, seed=n) for of in ((n, k), (k, m))]

    def made():
        a, b = (steep.Input(x.shape[1:]) for x in X)
        x = Products()(layers.FeatureScale()(a), layers.FeatureScale()(b))
        return steep.Model([a, b], layers.Dense(5)(layers.Tanh()(x)))

    by_squares(X, made=made)


# ---- Attention ----


def self_attention(heads, size, **options):
    return lambda: net(
        layers.Dense(6), layers.MultiHeadAttention(heads, size, **options), layers.Flatten()
    )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", [1, 3, 16, 20])
def test_every_size_of_heads(size, causal):
    by_squares(numbers(7, 5, 2), made=self_attention(2, size, causal=causal))


def test_a_matrix_through_attention():
    made = self_attention(1, 2, use_bias=False, dropout=0.1)
    by_squares(numbers(30, 3, 2), made=made, method="squares")


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 65])
def test_every_length(length, causal):
    by_squares(numbers(3, length, 2), made=self_attention(2, 3, causal=causal))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("causal", [False, True])
def test_other_keys_and_lengths(shape, causal):
    inner = lambda: layers.MultiHeadAttention(2, 4, causal=causal, dropout=0.2)  # noqa: E731
    made, X, _ = cross_attention(inner, *shape, 5)
    by_squares(X, 2, made=made)


@pytest.mark.parametrize("form", ["three", "same keys and values", "added"])
@pytest.mark.parametrize("shape", [(5, 9), (33, 40)])
def test_forms(form, shape):
    made, X, _ = cross_attention(lambda: Heads(form, causal=True, dropout=0.3), *shape, 5)
    by_squares(X, 2, made=made)


class Mean(layers.Layer):
    def call(self, x):
        return ops.mean(x, axis=0)


def test_more_heads_than_there_is_room_for():
    """Probabilities of some heads at a time."""
    body = (layers.Dense(2), layers.MultiHeadAttention(1, 2), Mean(), layers.Dense(3))
    by_squares(numbers(9, 900, 1), made=lambda: net(*body))


# ---- Recurrent layers ----

OPTIONS = {
    "plain": {}, "dropped": {"recurrent_dropout": 0.3, "dropout": 0.2},
    "reverse": {"reverse": True}, "no bias": {"use_bias": False},
}  # fmt: skip


@cells
@pytest.mark.parametrize("units", [1, 4, 5, 33, 70])
@pytest.mark.parametrize("options", OPTIONS)
def test_every_cell(cell, units, options):
    """Two layers; of few gates W and U are stored as W^T."""
    by_squares(numbers(9, 4, 3), made=stack(cell, units, **OPTIONS[options]))


@cells
def test_a_matrix_through_time(cell):
    by_squares(numbers(30, 4, 2), made=stack(cell, 2), method="squares")


@pytest.mark.parametrize("steps", [1, 2, 300])
def test_any_number_of_steps(steps):
    for cell in CELLS:
        by_squares(numbers(5, steps, 2), made=stack(cell, 3))


@cells
@pytest.mark.parametrize(
    "options", [{}, {"hold": True, "states": True}, {"recurrent_dropout": 0.4, "states": True}]
)
def test_lengths_and_states(cell, options):
    by_squares(counted_data(20)[0], made=with_lengths(cell, 5, **options))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_go_on_from_step_to_step(cell):
    by_squares(counted_data(20)[0], made=lambda: keeping(cell, 5))


# ---- Constant sparse matrices, singular values ----


@pytest.mark.parametrize("channels", [1, 3, 4, 33, 70])
def test_products_by_sparse_matrices(channels):
    body = (
        layers.GraphConv(channels, graph(20), activation="tanh"), layers.GraphConv(2, graph(20)),
        layers.Flatten(),
    )  # fmt: skip
    by_squares(numbers(7, 20, 4), made=lambda: net(*body))


@methods
@pytest.mark.parametrize("hidden", [3, 40])
def test_constant_features(hidden, method):
    """W narrow and in panels; the factors of the nodes, dropped, have gradients of their own."""
    hidden = 2 if (method, hidden) == ("squares", 40) else hidden
    random = np.random.default_rng(3)
    features = steep.data.Sparse(random.random((40, 9)) * (random.random((40, 9)) < 0.3))
    made = lambda: models.gcn(graph(40), 3, hidden, features=features)  # noqa: E731
    X, y = np.ones((2, 40, 1)), random.standard_normal((2, 40, 3)).astype(np.float32)
    moved(both(X, y, 2, made=made, method=method, loss="mse"))


@methods
@pytest.mark.parametrize("units", [1, 3, 12, 40])
def test_weights_by_their_largest_singular_value(units, method):
    units = min(units, 12) if method == "squares" else units
    made = lambda: net(  # noqa: E731
        layers.SpectralNorm(layers.Dense(units), iterations=2), layers.Tanh(),
        layers.SpectralNorm(layers.Dense(2, use_bias=False)),
    )  # fmt: skip
    by_squares(data(40, 6)[0], made=made, method=method)


def test_positions_by_a_singular_value():
    body = (layers.SpectralNorm(layers.Dense(7)), layers.Tanh(), layers.Flatten())
    by_squares(numbers(20, 4, 3), made=lambda: net(*body))


# ---- Products by themselves ----

IMAGES = (layers.SpectralNorm(layers.Conv2D(5, 3)), layers.Tanh(), layers.Flatten())
ALONE = {
    "gates": (numbers(11, 6), lambda: net(layers.Dense(4), Twice())),
    "draws": (numbers(11, 6), lambda: net(layers.Dense(4), Drawn())),
    "rows that go on": (numbers(11, 6), lambda: net(layers.Dense(4), Chain(False))),
    "tables": (tokens(11, 5, 9), body(9, 4, padding=2)),
    "attention": cross_attention(lambda: Heads("three", True, 0.3), 5, 40, 7)[1::-1],
    "lstm": (numbers(11, 5, 3), stack("lstm", 4, recurrent_dropout=0.2)),
    "gru": (counted_data(11)[0], with_lengths("gru", 4, states=True)),
    "graphs": (numbers(7, 20, 4), lambda: net(layers.GraphConv(3, graph(20)), layers.Flatten())),
    "images by a singular value": (numbers(5, 6, 5, 3), lambda: net(*IMAGES)),
}


@pytest.mark.parametrize("name", ALONE)
def test_products_by_themselves(name):
    X, made = ALONE[name]
    samples = len(X[0] if isinstance(X, list) else X)
    products(X, values(samples, 2 if name == "attention" else 5), made)


# ---- What only the emulation can show ----


def everything():
    return net(
        layers.Embedding(30, 6), layers.PositionEmbedding(),
        layers.TransformerBlock(2, 2, dropout=0.1), layers.Dense(8), layers.GLU(),
        layers.GRU(3, return_sequences=True), layers.LSTM(4, recurrent_dropout=0.2),
        layers.RReLU(),
    )  # fmt: skip


@emulated
@pytest.mark.parametrize(
    "settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 1}, {"sms": 132}]
)
def test_no_result_depends_on_who_computes_it(settings):
    X, y = tokens(20, 7, 30), values(20)
    options = {"made": everything, "loss": "mse"}
    wanted = fitted(trainer("cuda", **options), X, y, 1)
    same(wanted, fitted(trainer("cpu", **options), X, y, 1))
    with emulating(**settings):
        same(fitted(trainer("cuda", **options), X, y, 1), wanted, str(settings))
