"""What `from_onnx` reads of sequences: recurrent operators, attention, products of two tensors.

Node tests of the standard are in `test_onnx_import`, random networks a law, `laws/exchange.py`.
"""

import numpy as np
import pytest
import steep
from runtimes import apart, exported_by_torch, trains_alike
from steep import layers, models
from test_onnx_export import stirred

onnx = pytest.importorskip("onnx")
from test_onnx_import import compare, model_of, read, reference  # noqa: E402, F401 - a fixture

LIMIT = 1e-6
random = np.random.default_rng(3)
node = onnx.helper.make_node
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def same(net, X):
    """Hold a network against what is read of its file: weights, names, predictions."""
    back = compare(net, X, LIMIT)
    assert sorted(back.state_dict()) == sorted(net.state_dict())
    assert back.num_parameters == net.num_parameters
    return back


def kinds(net):
    return [getattr(t._source[0], "kind", type(t._source[0]).__name__) for t in net._order]


def ops_of(net):
    """Return what stands in a network, each with its kind."""
    found = [t._source[0] for t in net._order]
    for layer in found:
        layer.kind = getattr(layer, "kind", type(layer).__name__)
    return found


def cell_of(kind, **about):
    if kind == "lstm":
        return layers.LSTM(**about)
    if kind.startswith("gru"):
        return layers.GRU(**about, reset_after=kind == "gru")
    return layers.SimpleRNN(activation=kind, **about)


# -- what steep wrote ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lstm", "gru", "gru_before", "tanh", "relu"])
@pytest.mark.parametrize("seed", range(6))
def test_recurrent_layers_of_any_size_come_back(kind, seed):
    draw = np.random.default_rng(seed)
    steps, features, units = (int(draw.integers(1, 9)) for _ in range(3))
    flags = ("return_sequences", "return_state", "reverse", "hold", "use_bias")
    about = {name: bool(draw.integers(2)) for name in flags}
    layer = cell_of(kind, units=units + 1, **about)  # a state of one unit is taken for lengths
    inputs, X = [steep.Input((steps, features))], [draw.normal(size=(5, steps, features))]
    if draw.integers(2):
        inputs.append(steep.Input(()))
        X.append(draw.integers(1, steps + 1, (5, 1)))
    if draw.integers(2):
        inputs += [steep.Input((units + 1,)) for _ in range(layer.memory)]
        X += [draw.normal(size=(5, units + 1)) for _ in range(layer.memory)]
    y = layer(*inputs)
    net = stirred(steep.Model(inputs, list(y) if isinstance(y, tuple) else y).build(seed=seed))
    X = [x.astype(np.float32) for x in X]
    back = same(net, X if len(X) > 1 else X[0])
    (made,) = [t._source[0] for t in back._order if hasattr(t._source[0], "hold")]
    assert type(made) is type(layer)
    if about["hold"] and about["return_sequences"] and len(X) > 1 and X[1].shape == (5, 1):
        assert made.hold


@pytest.mark.parametrize("merge", ["concat", "add", "multiply", "average"])
@pytest.mark.parametrize("sequences", [True, False])
def test_both_ways_come_back(merge, sequences):
    layer = layers.Bidirectional(layers.GRU(4, return_sequences=sequences), merge=merge)
    same(stirred(steep.Sequential(layer).build((5, 3), seed=1)), np.ones((2, 5, 3), np.float32))


def test_a_layer_that_stands_twice_is_one():
    shared, x = layers.LSTM(3, return_sequences=True), steep.Input((4, 3))
    net = steep.Model(x, shared(shared(x))).build(seed=1)
    same(stirred(net), random.normal(size=(2, 4, 3)).astype(np.float32))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("context", [None, 8])
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_attention_comes_back_as_attention(causal, masked, context, heads):
    layer = layers.MultiHeadAttention(heads, 1 + heads, causal=causal)
    X = [random.normal(size=(4, 5, 6))]
    X += [random.normal(size=(4, context, 7))] if context else []
    X += [1 + np.arange(4)[:, None] % (context or 5)] if masked else []
    inputs = [steep.Input(x.shape[1:]) for x in X]
    net = stirred(steep.Model(inputs, layer(*inputs)).build(seed=1))
    X = [x.astype(np.float32) for x in X]
    back = same(net, X if len(X) > 1 else X[0])
    assert kinds(back).count("masked_attention" if masked else "attention") == 1
    assert not {"slice", "affine", "softmax", "batch_matmul"} & {*kinds(back)}


@pytest.mark.parametrize("tied", [True, False])
def test_a_transformer_of_tokens_comes_back(tied):
    net = stirred(models.gpt(2, 2, 16, 12, 23, tied=tied).build(12, seed=0))
    back = same(net, random.integers(0, 23, (3, 12)))
    assert kinds(back).count("attention") == 2


def test_what_was_read_trains_as_the_original():
    body = layers.LSTM(6, return_sequences=True), layers.TransformerBlock(2, 2), layers.GRU(3)
    net = steep.Sequential(*body).build((5, 4), seed=2)
    X, y = random.normal(size=(8, 5, 4)).astype(np.float32), np.arange(8) % 3
    back = same(net, X)
    trains_alike(net, back, X, y)


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("places", [(), (2,), (2, 3)])
def test_products_of_two_tensors_come_back(turned, places):
    sizes = (5, 4) if turned[0] else (4, 5), (6, 5) if turned[1] else (5, 6)
    shapes = [(*places, *size) for size in sizes]
    a, b = (steep.Input(shape) for shape in shapes)
    net = steep.Model([a, b], steep.ops.batch_matmul(a, b, *turned)).build()
    back = compare(net, [random.normal(size=(3, *shape)).astype(np.float32) for shape in shapes])
    assert kinds(back) == ["batch_matmul"]


# -- what others write -----------------------------------------------------------------------------


def weights_of(op, ways, features, units, bias):
    sizes = {"w": features, "r": units, "b": None}
    rows = GATES[op] * units
    found = {
        name: random.normal(size=(ways, rows, n) if n else (ways, 2 * rows)).astype(np.float32)
        for name, n in sizes.items()
    }
    return found if bias else {name: found[name] for name in "wr"}


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_operators_of_random_sizes(op, direction, before, seed, read):  # noqa: F811
    """Against ONNX's own reference; time first, with an input (steps, batch, features)."""
    draw = np.random.default_rng(seed)
    steps, count, features, units = (int(draw.integers(1, 7)) for _ in range(4))
    ways = 1 + (direction == "bidirectional")
    weights = weights_of(op, ways, features, units, bool(draw.integers(2)))
    about = {"hidden_size": units, "direction": direction}
    if op == "GRU":
        about["linear_before_reset"] = before
    outs = ["y", "yh", "yc"][: 3 if op == "LSTM" else 2]
    nodes = [node(op, ["x", *weights], outs, "cell", **about)]
    model = model_of(nodes, (count, features), outs, weights)
    for k, size in enumerate((steps, 0, features)):
        dim = model.graph.input[0].type.tensor_type.shape.dim[k]
        dim.dim_value = size
        if not size:
            dim.Clear()
            dim.dim_param = "n"
    X = draw.normal(size=(steps, count, features)).astype(np.float32)
    wanted = onnxruntime_of(model, X)
    net = read(model)
    assert net.input_shapes == ((steps, features),)
    found = net.predict(X.transpose(1, 0, 2))
    for got, want, batch in zip(found.values(), wanted, (2, 1, 1), strict=False):
        assert apart(got, np.moveaxis(want, batch, 0)) <= LIMIT


def onnxruntime_of(model, X):
    from runtimes import run

    pytest.importorskip("onnxruntime")
    model.ir_version = 8
    return run(model.SerializeToString(), X)


class _Torch:
    """What is exported: all outputs, the last states, or outputs through a layer behind."""

    def __new__(cls, torch, rnn, what):
        class Module(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = rnn
                self.head = torch.nn.Linear(rnn.hidden_size * (1 + rnn.bidirectional), 2)

            def forward(self, x):
                y, h = self.rnn(x)
                last = h[0] if isinstance(h, tuple) else h
                return {"y": y, "h": last, "head": self.head(y)}[what]

        return Module().eval()


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.filterwarnings("ignore")
def test_recurrent_modules_that_pytorch_exports(kind, first, both, count, tmp_path):
    torch = pytest.importorskip("torch")
    rnn = getattr(torch.nn, kind)(3, 5, count, batch_first=first, bidirectional=both)
    X, batch, path = random.normal(size=(4, 7, 3)).astype(np.float32), 1 - first, tmp_path / "net"
    for what in ("y", "h", "head"):
        module = _Torch(torch, rnn, what)
        axes = {"input_names": ["x"], "dynamic_axes": {"x": {batch: "n"}}, "dynamo": False}
        torch.onnx.export(module, torch.from_numpy(X), path, opset_version=17, **axes)
        with torch.no_grad():
            wanted = module(torch.from_numpy(X)).numpy()
        found = steep.from_onnx(path).predict(np.moveaxis(X, batch, 0))
        assert apart(found, np.moveaxis(wanted, 1 if what == "h" else batch, 0)) <= LIMIT


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_attention_that_pytorch_exports(causal, fused, tmp_path):
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = torch.nn.Linear(8, 24), torch.nn.Linear(8, 8)

        def forward(self, x):
            n, steps, width = x.shape
            q, k, v = (
                part.view(n, steps, 2, 4).transpose(1, 2) for part in self.qkv(x).split(width, 2)
            )
            if fused:
                attend = torch.nn.functional.scaled_dot_product_attention
                y = attend(q, k, v, is_causal=causal)
            else:
                scores = (q @ k.transpose(-2, -1)) * 0.5
                if causal:
                    hidden = torch.tril(torch.ones(steps, steps)) == 0
                    scores = scores.masked_fill(hidden, float("-inf"))
                y = torch.softmax(scores, -1) @ v
            return self.out(y.transpose(1, 2).reshape(n, steps, width))

    module, path = Module().eval(), tmp_path / "net.onnx"
    X = random.normal(size=(3, 5, 8)).astype(np.float32)
    wanted = exported_by_torch(module, X, path)
    net = steep.from_onnx(path)
    assert apart(net.predict(X), wanted) <= LIMIT
    assert kinds(net).count("attention") == 1


def test_any_mask_of_constants_is_a_softmax_of_what_is_left(read):  # noqa: F811
    """Attention of steep has causal masks and lengths; others are products and a softmax."""
    seen = random.random((4, 4)) < 0.5
    seen[np.arange(4), np.arange(4)] = True
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["x", "t"], ["s"]),
        node("Where", ["seen", "s", "low"], ["m"]),
        node("Softmax", ["m"], ["p"], axis=-1),
        node("MatMul", ["p", "x"], ["y"]),
    ]
    weights = {"seen": seen, "low": np.array(-np.inf, np.float32)}
    model = model_of(nodes, (4, 3), ["y"], weights)
    X = random.normal(size=(5, 4, 3)).astype(np.float32)
    assert apart(read(model).predict(X), reference(model, X)[0]) <= LIMIT


@pytest.mark.parametrize("causal", [True, False])
def test_probabilities_are_dropped_while_training(causal, read):  # noqa: F811
    mask = np.tri(4) if causal else np.tri(4)[::-1, ::-1]
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["x", "t"], ["s"]),
        node("Where", ["seen", "s", "low"], ["m"]),
        node("Softmax", ["m"], ["p"], axis=-1),
        node("Dropout", ["p", "rate"], ["d"]),
        node("MatMul", ["d", "x"], ["y"]),
    ]
    low, rate = (np.array(number, np.float32) for number in (-np.inf, 0.25))
    weights = {"seen": mask > 0, "low": low, "rate": rate}
    model = model_of(nodes, (4, 3), ["y"], weights)
    net, X = read(model), random.normal(size=(5, 4, 3)).astype(np.float32)
    assert apart(net.predict(X), reference(model, X)[0]) <= LIMIT
    rates = [layer.attributes.get("rate") for layer in ops_of(net) if layer.kind == "attention"]
    rates += [layer.rate for layer in ops_of(net) if layer.kind == "Dropout"]
    assert rates == [0.25]


# -- what is refused -------------------------------------------------------------------------------


BAD = {
    "clip": ({"clip": 1.0}, {}, "clips its gates or couples them"),
    "functions": ({"activations": ["Sigmoid", "Tanh", "Relu"]}, {}, "has activations .*Relu"),
    "direction": ({"direction": "up"}, {}, "has direction 'up'"),
    "units": ({"hidden_size": 9}, {}, r"has weights of shapes .* for 1 x 9 units"),
    "peepholes": ({}, {"p": np.ones((1, 6), np.float32)}, "has peepholes"),
}


@pytest.mark.parametrize("what", BAD)
def test_cells_that_steep_does_not_have(what, read):  # noqa: F811
    about, more, said = BAD[what]
    given = weights_of("LSTM", 1, 3, 2, True)
    inputs = ["x", "w", "r", "b", *(["", "", "", "p"] if more else [])]
    nodes = [node("LSTM", inputs, ["y"], "cell", **{"hidden_size": 2, **about})]
    model = model_of(nodes, (4, 3), ["y"], {**given, **more})
    with pytest.raises(ValueError, match=rf"'cell' \(LSTM\): {said}"):
        read(model)


def test_samples_along_another_axis_stay_apart(read):  # noqa: F811
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("ReduceMean", ["t"], ["y"], "mean", axes=[1]),
    ]
    with pytest.raises(ValueError, match=r"'mean' .*works along the batch"):
        read(model_of(nodes, (4, 3), ["y"], opset=13))


def test_masks_that_hide_everything(read):  # noqa: F811
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["x", "t"], ["s"]),
        node("Add", ["s", "m"], ["a"], "mask"),
        node("Softmax", ["a"], ["y"], axis=-1),
    ]
    mask = np.where(np.eye(4, k=1) > 0, 0, -np.inf).astype(np.float32)
    with pytest.raises(ValueError, match=r"'mask' \(Add\): hides all keys of a query"):
        read(model_of(nodes, (4, 3), ["y"], {"m": mask}))
