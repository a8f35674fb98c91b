"""Networks of tokens that keep keys and values, or states: the bytes of whole passes."""

import numpy as np
import pytest
import steep
from steep import generation, layers, models, ops
from steep.network.carried import carried
from steep.network.stepped import stepped


class Gate(layers.Layer):
    """Arithmetic of a layer of one's own."""

    def call(self, x):
        y = ops.activation(x, "sigmoid") * x - x
        return y * self.parameter("g", x.shape[-1:], 1.5) + self.parameter("b", x.shape[-1:], 0.5)


class Twice(layers.Layer):
    """A layer that begins with the states another one ended with: no order of time."""

    def __init__(self, units):
        super().__init__("twice")
        self.first = layers.GRU(units, return_state=True, name="first")
        self.second = layers.GRU(units, return_sequences=True, name="second")

    def call(self, x):
        return self.second(x, self.first(x)[1])


def network(*parts, context, vocabulary=7, units=12):
    first = layers.Embedding(vocabulary, units, init="normal")
    return steep.Sequential(first, *parts, layers.Dense(vocabulary), input_shape=context)


def twice(block):
    return network(block, layers.RMSNorm(), block, layers.Softmax(), context=6)


NETWORKS = {
    "gpt": lambda: models.gpt(2, 4, 32, 37, 11),
    "untied, with dropout": lambda: models.gpt(1, 2, 24, 20, 5, tied=False, dropout=0.2),
    "one block of 65": lambda: models.gpt(1, 1, 16, 65, 4),
    "norms behind": lambda: network(
        layers.PositionEmbedding(),
        layers.TransformerBlock(3, norm_first=False, causal=True, activation="relu"),
        context=9,
    ),
    "no positions, no norms, narrow heads": lambda: network(
        layers.MultiHeadAttention(2, 5, causal=True, use_bias=False), Gate(), context=33
    ),
    "twice the same layer": lambda: twice(layers.TransformerBlock(2, causal=True)),
    "two values of a token": lambda: network(
        layers.TransformerBlock(2, causal=True), context=2, vocabulary=3
    ),
}


def drawn(net, seed=0):
    """Give every weight, biases and gains too, numbers that matter."""
    net.build(seed=seed)
    random = np.random.default_rng(seed)
    state = net.state_dict()
    net.load_state_dict({k: v + 0.3 * random.standard_normal(v.shape) for k, v in state.items()})
    return net


def whole(net, tokens):
    context = net.input_shapes[0][0]
    row = np.zeros((1, context), np.int64)
    row[0, : len(tokens)] = tokens
    return net.predict(row)[0, len(tokens) - 1]


@pytest.mark.parametrize("name", NETWORKS)
def test_steps_give_the_bytes_of_whole_passes(name, threads):
    net = drawn(NETWORKS[name]())
    context, size = net.input_shapes[0][0], net.output_shapes[0][1]
    made, tokens = stepped(net), np.random.default_rng(1).integers(0, size, context)
    for start in {1, context // 2, context - 1}:
        np.testing.assert_array_equal(made.begin(tokens[:start]), whole(net, tokens[:start]))
        for n in range(start, context):
            got = made.then(int(tokens[n]))
            np.testing.assert_array_equal(got, whole(net, tokens[: n + 1]))


def test_steps_in_float64():
    net = drawn(models.gpt(1, 2, 16, 8, 5))
    X = np.zeros((4, 8), np.int64)
    steep.Trainer(net, "cross_entropy", "sgd", precision="float64").fit(X, X, progress=False)
    made = stepped(net)
    got = made.begin(np.array([1, 2]))
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, whole(net, [1, 2]))
    np.testing.assert_array_equal(made.then(4), whole(net, [1, 2, 4]))


OTHERS = {
    "not causal": lambda: network(layers.TransformerBlock(2), context=6),
    "recurrent and attention": lambda: network(
        layers.LSTM(8, return_sequences=True), layers.TransformerBlock(2, causal=True), context=6
    ),
    "both ways": lambda: network(
        layers.Bidirectional(layers.GRU(8, return_sequences=True)), context=6
    ),
    "recurrent behind positions": lambda: network(
        layers.PositionEmbedding(), layers.GRU(8, return_sequences=True), context=6
    ),
    "a state read once more": lambda: network(Twice(4), context=6),
    "over positions": lambda: network(
        layers.TransformerBlock(2, causal=True), layers.GroupNorm(2), context=6
    ),
    "waves": lambda: network(
        layers.SinusoidalPositions(), layers.TransformerBlock(2, causal=True), context=6
    ),
    "no attention": lambda: network(layers.LayerNorm(), context=6),
    "scaled when predicting": lambda: network(
        layers.Dropout(0.5, scale_at="test"),
        layers.TransformerBlock(2, causal=True),
        context=6,
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_does_not_go_by_steps_is_read_whole(name, monkeypatch):
    net = drawn(OTHERS[name]())
    assert stepped(net) is None
    assert carried(net) is None
    monkeypatch.setattr(generation, "_WORTH", 0)
    tokens = steep.generate(net, [1, 2], 6, seed=3)
    monkeypatch.setattr(generation, "_WORTH", np.inf)
    np.testing.assert_array_equal(steep.generate(net, [1, 2], 6, seed=3), tokens)


@pytest.mark.parametrize("prompt", [1, 5, 19, 20, 30])
@pytest.mark.parametrize(
    ("length", "stride"), [(1, 1), (2, 1), (14, 1), (40, 1), (40, 7), (50, 20)]
)
def test_what_is_generated_does_not_depend_on_what_is_kept(prompt, length, stride, monkeypatch):
    net = drawn(NETWORKS["untied, with dropout"]())
    given = np.random.default_rng(prompt).integers(0, 5, prompt)
    made = []
    for worth in (0, np.inf):
        monkeypatch.setattr(generation, "_WORTH", worth)
        made.append(steep.generate(net, given, length, 1.3, top_k=4, seed=7, stride=stride))
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("stride", [1, 3, 8])
def test_a_full_context_forgets_the_oldest_tokens(stride):
    """Of a network whose logits are a function of what it reads, told by whole passes."""
    net = drawn(models.gpt(1, 2, 16, 8, 5))
    tokens = steep.generate(net, [1, 2, 3], 30, 0.0, stride=stride)
    first = 0
    for n in range(3, 33):
        if n - first > 8:
            first += stride
        assert tokens[n] == whole(net, tokens[first:n]).argmax()


RECURRENT = {
    "lstm": lambda: models.char_lstm(7, 20, 2, 9, embedding=5, dropout=0.1),
    "stateful": lambda: models.char_lstm(7, 20, 2, 9, stateful=4),
    "gru, simple": lambda: network(
        layers.GRU(33, return_sequences=True, reset_after=False, dropout=0.1),
        layers.LayerNorm(),
        layers.SimpleRNN(17, "relu", return_sequences=True, stateful=True),
        context=9,
    ),
    "no table": lambda: network(
        layers.GRU(8, return_sequences=True, return_state=False), context=2
    ),
}


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_states_that_are_kept_give_the_bytes_of_whole_passes(name, precision, threads):
    net = drawn(RECURRENT[name]())
    if precision == "float64":
        steep.Trainer(net, "cross_entropy", "sgd", precision=precision).fit(
            *np.zeros((2, 4, net.input_shapes[0][0]), int), shuffle=False, progress=False
        )
    context, size = net.input_shapes[0][0], net.output_shapes[0][1]
    made, tokens = carried(net), np.random.default_rng(1).integers(0, size, context)
    for start in {1, context // 2, context}:
        np.testing.assert_array_equal(made.begin(tokens[:start]), whole(net, tokens[:start]))
        for n in range(start, context):
            got = made.then(int(tokens[n]))
            assert got.dtype == precision
            np.testing.assert_array_equal(got, whole(net, tokens[: n + 1]))


@pytest.mark.parametrize("name", RECURRENT)
def test_states_go_on_past_the_context(name):
    """As those of the same network of a longer one, for prompts that are longer, too."""
    net = drawn(RECURRENT[name]())
    long = RECURRENT[name]().layers
    long = steep.Sequential(*long, input_shape=40).build()
    long.load_state_dict(net.state_dict())
    for prompt in ([1], [1, 0, 2] * 7):
        tokens = steep.generate(net, prompt, 12, 0.0)
        for n in range(len(prompt), len(tokens)):
            assert tokens[n] == whole(long, tokens[:n]).argmax()


def test_a_long_continuation_of_a_large_model_goes_by_steps(monkeypatch):
    calls = []
    monkeypatch.setattr(generation, "stepped", calls.append)
    steep.generate(models.gpt(1, 1, 16, 32, 5).build(), [1], 40)
    assert not calls
    net = models.gpt().build()
    steep.generate(net, [1], 3)
    assert not calls
    steep.generate(net, [1], 60)
    assert calls == [net]
