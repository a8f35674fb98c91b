"""What `to_onnx` writes is what `predict` computes: every op, activation, layer and network.

Random networks with all layers are a law, `laws/exchange.py`.
"""

import sys

import cases
import cases_layers
import numpy as np
import pytest
import steep
from runtimes import apart, as_list, run, written
from steep import layers, models
from steep.exporting.activations import ACTIVATIONS
from steep.exporting.rows import ROWS
from test_zoo import TRAINED

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

LIMIT = 1e-5
random = np.random.default_rng(0)


def stirred(net, seed=0):
    """Give a network weights with nothing left at 0 or 1, running statistics included."""
    draw = np.random.default_rng(seed)
    state = net.state_dict()
    for name, value in state.items():
        if name.endswith("running_var"):
            state[name] = draw.uniform(0.5, 2.0, value.shape)
        elif value.ndim == 1:
            state[name] = value + draw.normal(0.0, 0.1, value.shape)
    net.load_state_dict(state)
    return net


def check(net, X, limit=LIMIT):
    """Return the model, having compared its outputs with predictions."""
    model = written(net)
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    for found, wanted in zip(run(model, X), as_list(net.predict(X)), strict=True):
        assert found.shape == wanted.shape
        assert apart(found, wanted) <= limit
    return onnx.load_from_string(model)


@pytest.mark.parametrize("name", cases.ACTIVATIONS)
def test_activation(name):
    row = cases.ACTIVATIONS[name]
    x = np.linspace(row.low, min(row.high, 30), 801, dtype=np.float32).reshape(-1, 1)
    alpha = row.alpha if name in steep.ops.ALPHAS else None
    check(steep.Sequential(layers.Activation(name, alpha)).build(1), x)


@pytest.mark.parametrize("name", ["silu", "gelu_tanh"])
def test_gates_keep_their_digits_below_zero(name):
    """What a gate leaves of -16 is 1e-7 of it, and swiglu multiplies that by anything."""
    x = np.linspace(-16, -1, 801, dtype=np.float32)
    z = x.astype(float)
    z = z if name == "silu" else np.sqrt(2 / np.pi) * 2 * z * (1 + 0.044715 * z * z)
    wanted = x / (1 + np.exp(-z))
    net = steep.Sequential(layers.Activation(name)).build(1)
    (found,) = run(written(net), x[:, None])
    seen = np.abs(wanted) > 1e-30
    np.testing.assert_allclose(found[seen, 0], wanted[seen], rtol=2e-5)


@pytest.mark.parametrize("name", cases_layers.LAYERS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_layer(name, precision):
    net = stirred(
        steep.Sequential(layers.Dense(6, "tanh"), *cases_layers.LAYERS[name]()).build(4, seed=1)
    )
    X = random.normal(size=(5, 4))
    if precision == "float64":
        steep.Trainer(net, "mse", "sgd", precision="float64").step(X, 0 * net.predict(X))
        model = onnx.load_from_string(written(net))
        found = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
        for key, value in net.state_dict().items():
            if not key.endswith(".u"):  # which a product by W/sigma does not need
                np.testing.assert_array_equal(np.sort(found[key].ravel()), np.sort(value.ravel()))
        return
    check(net, X.astype(np.float32))


@pytest.mark.parametrize("name", cases_layers.TOKENS)
def test_layer_of_tokens(name):
    net = stirred(steep.Sequential(*cases_layers.TOKENS[name]()).build(3, seed=1))
    model = check(net, random.integers(0, 9, (5, 3)))
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT64


def test_tokens_beside_numbers_stay_numbers():
    """An input is of whole numbers where embeddings alone read it, through parts of it."""
    x, ids = steep.Input(5), steep.Input((2, 3))
    table = layers.Embedding(9, 4)
    mixed = table(steep.ops.slice(x, 0, 2))
    split = [table(steep.ops.reshape(part, (3,))) for part in steep.ops.split(ids, 2, 0)]
    net = steep.Model([x, ids], [mixed, steep.ops.slice(x, 2, 5), *split]).build(seed=1)
    X = np.concatenate([random.integers(0, 9, (4, 2)), random.normal(size=(4, 3))], axis=1)
    model = check(net, [X.astype(np.float32), random.integers(0, 9, (4, 2, 3))])
    kinds = [given.type.tensor_type.elem_type for given in model.graph.input]
    assert kinds == [onnx.TensorProto.FLOAT, onnx.TensorProto.INT64]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("context", [None, 8])
@pytest.mark.parametrize("count", [0, 1, 6])
def test_attention_with_lengths_and_a_context(causal, masked, context, count):
    layer = layers.MultiHeadAttention(2, 3, causal=causal)
    X = [random.normal(size=(count, 5, 4))]
    if context:
        X.append(random.normal(size=(count, context, 6)))
    if masked:
        X.append(1 + np.arange(count)[:, None] % (context or 5))
    inputs = [steep.Input(x.shape[1:]) for x in X]
    net = steep.Model(inputs, layer(*inputs)).build(seed=1)
    X = [x.astype(np.float32) for x in X]
    check(stirred(net), X if len(X) > 1 else X[0])


def test_attention_of_three_tensors():
    q, k, v, n = (steep.Input(shape) for shape in ((3, 4), (7, 4), (7, 4), ()))
    seen = [steep.ops.attention(q, k, v, 4, causal=True, lengths=n), steep.ops.attention(q, k, v)]
    X = [random.normal(size=(5, *x.shape)).astype(np.float32) for x in (q, k, v)]
    check(steep.Model([q, k, v, n], seen).build(), [*X, np.array([[1], [7], [2], [3], [6]])])


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("places", [(), (2,), (2, 3)])
def test_products_of_two_tensors(turned, places):
    sizes = (5, 4) if turned[0] else (4, 5), (6, 5) if turned[1] else (5, 6)
    shapes = [(*places, *size) for size in sizes]
    a, b = (steep.Input(shape) for shape in shapes)
    X = [random.normal(size=(3, *shape)).astype(np.float32) for shape in shapes]
    check(steep.Model([a, b], steep.ops.batch_matmul(a, b, *turned)).build(), X)


ZOO = {
    **{name: (make, shape) for name, (make, shape, _) in TRAINED.items()},
    "mlp": (lambda: models.mlp([30, 10], 3), (7,)),
    "unet": (lambda: models.unet(2, 4, batch_norm=True), (16, 20, 1)),
    "vae, encoder": (lambda: models.vae((6, 4), 3, (9,))[0], (6, 4)),
    "vae, decoder": (lambda: models.vae((6, 4), 3, (9,))[1], (3,)),
    "dcgan, generator": (lambda: models.dcgan((8, 16, 3), 5, 4, 2)[0], (5,)),
    "dcgan, discriminator": (lambda: models.dcgan((8, 16, 3), 5, 4, 2)[1], (8, 16, 3)),
    "vit": (lambda: models.vit(5, 4, 2, 2, 16), (12, 8, 3)),
    "gcn": (lambda: models.gcn(cases_layers.RING, 3, 5), (9, 4)),
}


@pytest.mark.parametrize("name", ZOO)
def test_network_of_the_zoo(name):
    make, shape = ZOO[name]
    check(stirred(make().build(shape, seed=0)), random.normal(size=(2, *shape)).astype(np.float32))


@pytest.mark.parametrize("tied", [True, False])
def test_transformer_of_tokens(tied):
    net = models.gpt(2, 2, 16, 12, 23, tied=tied).build(12, seed=0)
    check(stirred(net), random.integers(0, 23, (3, 12)))


def test_weights_are_exact_and_keep_their_names():
    net = steep.Sequential(
        layers.Conv2D(4, 3, name="conv"), layers.BatchNorm(name="norm"), layers.Flatten(),
        layers.Dense(3, name="fc"),
    )  # fmt: skip
    net.build((5, 6, 2), seed=3)
    model = onnx.load_from_string(written(net))
    found = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    state = net.state_dict()
    assert set(found) == set(state)
    assert np.array_equal(found["conv.weight"], state["conv.weight"].transpose(3, 2, 0, 1))
    for name in set(state) - {"conv.weight"}:
        assert np.array_equal(found[name], state[name])
    assert {v.domain: v.version for v in model.opset_import} == {"": 18}
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert (dims[0].dim_param, [d.dim_value for d in dims[1:]]) == ("batch", [5, 6, 2])


@pytest.mark.parametrize("count", [0, 1, 7])
def test_any_number_of_samples(count):
    net = steep.Sequential(layers.Conv1D(3, 3), layers.Flatten(), layers.Dense(2)).build((6, 2))
    X = random.normal(size=(count, 6, 2)).astype(np.float32)
    (found,) = run(written(net), X)
    assert found.shape == (count, 2)
    assert apart(found, net.predict(X)) <= LIMIT


def test_neighbours_share_transposes():
    """A stack of convolutions turns its input round and what is flattened back, nothing between."""
    body = [layers.Residual(layers.Conv2D(4, 3), layers.BatchNorm(), layers.ReLU()) for _ in "abc"]
    net = steep.Sequential(*body, layers.MaxPool2D(2), layers.Flatten()).build((6, 6, 4))
    kinds = [node.op_type for node in onnx.load_from_string(written(net)).graph.node]
    assert kinds.count("Transpose") == 2


def test_several_inputs_and_named_outputs():
    a, b = steep.Input(3), steep.Input((2, 3))
    shared = layers.Dense(3, "tanh", name="shared")
    total = shared(a) + steep.ops.mean(shared(b), 0)
    net = steep.Model([a, b], {"sum": total, "head": layers.Dense(2)(total)}).build(seed=1)
    X = [random.normal(size=(4, *shape)).astype(np.float32) for shape in ((3,), (2, 3))]
    model = check(net, X)
    assert [o.name for o in model.graph.output] == ["sum", "head"]
    assert [w.name for w in model.graph.initializer].count("shared.weight") == 1


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_before", "tanh", "relu"])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
def test_recurrent_layers_with_lengths_and_states(cell, sequences, reverse):
    given = {"return_sequences": sequences, "return_state": True, "reverse": reverse}
    if cell == "lstm":
        layer = layers.LSTM(5, **given, hold=True)
    elif cell.startswith("gru"):
        layer = layers.GRU(5, **given, reset_after=cell == "gru")
    else:
        layer = layers.SimpleRNN(5, cell, **given, hold=True)
    x, lengths = steep.Input((7, 3)), steep.Input(())
    start = [steep.Input((5,)) for _ in range(layer.memory)]
    net = steep.Model([x, lengths, *start], list(layer(x, lengths, *start))).build(seed=2)
    X = [random.normal(size=(6, 7, 3)), np.array([[7], [1], [3], [7], [2], [6]])]
    X += [random.normal(size=(6, 5)) for _ in start]
    check(stirred(net), [a.astype(np.float32) for a in X])


def test_an_output_that_is_an_input():
    x = steep.Input(4)
    net = steep.Model(x, [x, x * 2.0]).build()
    check(net, random.normal(size=(3, 4)).astype(np.float32))


@pytest.mark.parametrize("sample", [False, True])
def test_draws_are_means_or_draw_there_too(sample):
    x = steep.Input(50)
    drawn = [
        steep.ops.normal_like(x, sample), steep.ops.uniform_like(x, 2.0, 4.0, sample),
        steep.ops.bernoulli(steep.ops.activation(x, "sigmoid"), sample),
        steep.ops.reparameterize(x, x, sample),
    ]  # fmt: skip
    net = steep.Model(x, drawn).build()
    X = random.normal(size=(40, 50)).astype(np.float32)
    if not sample:
        check(net, X)
        return
    normal, uniform, bits, _ = run(written(net), X)
    assert abs(normal.mean()) < 0.1
    assert abs(normal.std() - 1.0) < 0.1
    assert 2.0 <= uniform.min() < 2.1
    assert 3.9 < uniform.max() <= 4.0
    assert set(np.unique(bits)) == {0.0, 1.0}


def test_what_has_no_form_is_refused_with_all_its_places(tmp_path, monkeypatch):
    net = steep.Sequential(layers.Dense(3, "relu", name="a"), layers.Dense(2, name="b")).build(2)
    monkeypatch.delitem(ROWS, "matmul")
    with pytest.raises(ValueError, match=r"to_onnx: cannot write matmul of 'a' .*; matmul of 'b'"):
        net.to_onnx(tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_an_activation_without_a_row_is_refused(tmp_path, monkeypatch):
    monkeypatch.delitem(ACTIVATIONS, "tanh")
    body = layers.Dense(4, "tanh", name="a"), layers.GLU("tanh", name="b")
    with pytest.raises(ValueError, match=r"cannot write tanh of 'a' .*; tanh of 'b'"):
        steep.Sequential(*body).build(2).to_onnx(tmp_path / "net.onnx")


def test_a_network_that_is_not_known_yet(tmp_path):
    with pytest.raises(RuntimeError, match="input shape is not known yet"):
        steep.Sequential(layers.Dense(2)).to_onnx(tmp_path / "net.onnx")


def test_without_onnx_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'steep\[onnx\]'"):
        steep.Sequential(layers.Dense(2)).build(3).to_onnx(tmp_path / "net.onnx")


def test_a_part_writes_its_own_weights():
    part = steep.Sequential(layers.Dense(4, "tanh", name="a"), layers.Dense(3, name="b"))
    whole = steep.Sequential(layers.Dense(2), part, layers.Dense(1)).build(5, seed=2)
    check(part, random.normal(size=(6, 2)).astype(np.float32))
    check(whole, random.normal(size=(6, 5)).astype(np.float32))
