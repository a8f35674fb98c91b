"""What `from_onnx` reads: what steep wrote, bit for bit; node tests; what is refused.

Mutated files are in `fuzz`, random networks a law, `laws/exchange.py`.
"""

import pickle
import sys

import cases
import cases_layers
import numpy as np
import pytest
import steep
from runtimes import apart, as_list, exported_by_torch, read_back, trains_alike, written
from steep import layers
from steep.importing.folding import FOLDS
from steep.importing.onnx_rows import ROWS
from test_onnx_export import LIMIT, ZOO, stirred

onnx = pytest.importorskip("onnx")
import onnx_nodes  # noqa: E402 - the package must be there

random = np.random.default_rng(1)
helper = onnx.helper


def compare(net, X, limit=LIMIT):
    back = read_back(net)
    for found, wanted in zip(as_list(back.predict(X)), as_list(net.predict(X)), strict=True):
        assert found.shape == wanted.shape
        assert apart(found, wanted) <= limit
    left = back.state_dict()
    for name, value in net.state_dict().items():
        if name.endswith(".u"):  # of a product by W/sigma, which is written as it is
            continue
        if name in left and not name.startswith("group_norm."):
            assert value.tobytes() == left[name].tobytes(), name
        else:  # of a layer that is read as another one; channels lie by their place in a group
            there = {np.sort(w, None).tobytes() for w in left.values()}
            assert np.sort(value, None).tobytes() in there, name
    return back


@pytest.mark.parametrize("name", cases.ACTIVATIONS)
def test_activation(name):
    row = cases.ACTIVATIONS[name]
    x = np.linspace(row.low, min(row.high, 30), 201, dtype=np.float32).reshape(-1, 1)
    alpha = row.alpha if name in steep.ops.ALPHAS else None
    compare(steep.Sequential(layers.Activation(name, alpha)).build(1), x)


@pytest.mark.parametrize("name", cases_layers.LAYERS)
def test_layer(name):
    net = stirred(
        steep.Sequential(layers.Dense(6, "tanh"), *cases_layers.LAYERS[name]()).build(4, seed=1)
    )
    compare(net, random.normal(size=(5, 4)).astype(np.float32))


@pytest.mark.parametrize("name", cases_layers.TOKENS)
def test_layer_of_tokens(name):
    net = stirred(steep.Sequential(*cases_layers.TOKENS[name]()).build(3, seed=1))
    back = compare(net, random.integers(0, 9, (5, 3)))
    with pytest.raises(ValueError, match="token 99 at row 0"):
        back.predict(np.full((1, 3), 99))


def test_tokens_beside_numbers():
    x = steep.Input(5)
    tokens = layers.Embedding(9, 4)(steep.ops.slice(x, 0, 2))
    net = steep.Model(x, [tokens, steep.ops.slice(x, 2, 5)]).build(seed=1)
    X = np.concatenate([random.integers(0, 9, (4, 2)), random.normal(size=(4, 3))], axis=1)
    compare(net, X.astype(np.float32))


def test_tokens_of_parts_of_an_input():
    ids, table = steep.Input((2, 4)), layers.Embedding(9, 4)
    parts = [table(steep.ops.reshape(part, (4,))) for part in steep.ops.split(ids, 2, 0)]
    net = steep.Model(ids, layers.LayerNorm()(parts[0] + parts[1])).build(seed=1)
    back = compare(stirred(net), random.integers(0, 9, (5, 2, 4)))
    assert back.num_parameters == net.num_parameters  # the table is there once


@pytest.mark.parametrize("vocabulary", [4, 9])
def test_a_table_that_makes_logits_stays_tied(vocabulary):
    table = layers.Embedding(vocabulary, 4)
    body = table, layers.LayerNorm(), layers.TiedDense(table, vocabulary)
    net = steep.Sequential(*body).build(3, seed=1)
    back = compare(stirred(net), random.integers(0, 4, (5, 3)))
    assert back.num_parameters == net.num_parameters


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("units", [4, 5])
def test_tied_weights_of_rows_stay_tied(use_bias, units):
    """A square weight and its transpose have one name and one shape."""
    first = layers.Dense(units, use_bias=use_bias)
    net = steep.Sequential(first, layers.Tanh(), layers.TiedDense(first, 4, use_bias=use_bias))
    back = compare(stirred(net.build((3, 4), seed=1)), random.normal(size=(5, 3, 4)))
    assert back.num_parameters == net.num_parameters


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [helper.make_node("Gather", ["x", "k"], ["y"], axis=1)],
        [helper.make_node("Identity", ["x"], ["y"])],
    ],
)
def test_whole_numbers_that_are_computed_with(read, nodes):
    model = model_of(nodes, (4,), ["y"], {"k": np.array([1, 2])})
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    with pytest.raises(ValueError, match="has whole numbers"):
        read(model)


@pytest.mark.parametrize("name", ZOO)
def test_network_of_the_zoo(name):
    make, shape = ZOO[name]
    net = stirred(make().build(shape, seed=0))
    back = compare(net, random.normal(size=(2, *shape)).astype(np.float32))
    assert back.input_shapes == (shape,)
    if name != "gcn":  # whose matrix is a frozen weight there
        assert back.num_parameters == net.num_parameters


def test_what_was_read_trains_as_the_original():
    """Three steps from the same weights: the same network, in all that its gradients show."""
    net = steep.Sequential(
        layers.Conv2D(4, 3, activation="relu", name="c"),
        layers.BatchNorm(unbiased=False, name="n"),
        layers.MaxPool2D(2), layers.Flatten(), layers.Dense(3, name="d"),
    ).build((6, 6, 2), seed=2)  # fmt: skip
    back = read_back(net)
    X, y = random.normal(size=(8, 6, 6, 2)).astype(np.float32), np.arange(8) % 3
    trains_alike(net, back, X, y)


def test_what_was_read_is_saved_and_copied(tmp_path):
    body = layers.SpectralNorm(layers.Dense(4))
    net = read_back(steep.Sequential(layers.Dense(5), body, layers.PReLU()).build(3, seed=1))
    X, y = random.normal(size=(9, 3)).astype(np.float32), np.zeros((9, 4), np.float32)
    trainer = steep.Trainer(net, "mse", "adam")
    trainer.fit(X, y, epochs=1, progress=False)
    trainer.save(tmp_path / "run")
    again = steep.Trainer.load(tmp_path / "run").net
    for other in (again, pickle.loads(pickle.dumps(net))):
        assert list(other.state_dict()) == list(net.state_dict())
        np.testing.assert_array_equal(other.predict(X), net.predict(X))


def test_tied_weights_stay_tied():
    encoder = layers.Dense(3, "tanh", name="enc")
    net = steep.Sequential(encoder, layers.TiedDense(encoder, 5, name="dec")).build(5, seed=1)
    back = compare(net, random.normal(size=(4, 5)).astype(np.float32))
    assert list(back.state_dict()) == list(net.state_dict())


def test_node_tests_of_the_standard():
    """None of what is read is wrong; docs/onnx.md has the counts of what is refused."""
    known = {*ROWS, *FOLDS, "Shape"}
    found = {case.name: onnx_nodes.outcome(case) for case in onnx_nodes.cases(known)}
    assert not {k: why for k, (what, why) in found.items() if what == onnx_nodes.FAILED}
    assert sum(what == onnx_nodes.PASSED for what, _ in found.values()) >= 625


# -- files of others -------------------------------------------------------------------------------


def model_of(nodes, shape, out, weights=(), opset=18):
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", 1, ["n", *shape])],
        [helper.make_tensor_value_info(name, 1, None) for name in out],
        [onnx.numpy_helper.from_array(value, name) for name, value in dict(weights).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


@pytest.fixture
def read(tmp_path):
    def read(model):
        path = tmp_path / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return steep.from_onnx(path)

    return read


def reference(model, X):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x": X})


def convolving():
    """A small network as PyTorch writes it: channels first, shapes computed by a chain."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "c.weight", "c.bias"], ["a"], "/c/Conv", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("MaxPool", ["b"], ["p"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        node("Shape", ["p"], ["s"]),
        node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n", "axes"], ["n1"]),
        node("Concat", ["n1", "minus"], ["shape"], axis=0),
        node("Reshape", ["p", "shape"], ["f"]),
        node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], "/fc/Gemm", transB=1),
    ]
    weights = {
        "c.weight": random.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "c.bias": random.normal(size=4).astype(np.float32),
        "fc.weight": random.normal(size=(2, 4 * 3 * 4)).astype(np.float32),
        "fc.bias": random.normal(size=2).astype(np.float32),
        "zero": np.array(0), "axes": np.array([0]), "minus": np.array([-1]),
    }  # fmt: skip
    return model_of(nodes, (3, 5, 7), ["y"], weights), weights


def test_channels_first_and_chains_of_shapes(read):
    """Images come in with channels last; the rows of the dense weight follow."""
    model, weights = convolving()
    net = read(model)
    assert net.input_shapes == ((5, 7, 3),)
    X = random.normal(size=(4, 3, 5, 7)).astype(np.float32)
    (wanted,) = reference(model, X)
    assert apart(net.predict(X.transpose(0, 2, 3, 1)), wanted) <= LIMIT
    assert list(net.state_dict()) == ["c.weight", "c.bias", "fc.weight", "fc.bias"]
    rows = weights["fc.weight"].reshape(2, 4, 3, 4).transpose(2, 3, 1, 0).reshape(48, 2)
    np.testing.assert_array_equal(net.state_dict()["fc.weight"], rows)


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("name", ["mlp", "lenet", "resnet", "depthwise", "unet"])
@pytest.mark.filterwarnings("ignore")
def test_what_pytorch_exports(name, folded, tmp_path):
    torch = pytest.importorskip("torch")
    from test_from_torch import MODULES, last, made

    make, shape = MODULES[name]
    module, path = made(make), tmp_path / "net.onnx"
    about = {"dynamo": False, "opset_version": 17, "do_constant_folding": folded}
    axes = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
    torch.onnx.export(module, torch.zeros(2, *shape), path, **about, **axes)
    X = random.normal(size=(3, *shape)).astype(np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(X)).numpy()
    net = steep.from_onnx(path)
    assert apart(net.predict(last(X)), last(wanted)) <= LIMIT
    if not folded:  # which makes one weight of a convolution and its normalisation
        assert set(net.state_dict()) <= set(module.state_dict())


def test_shuffled_channels_and_parts(read):
    """What moves numbers between channels is done by slices."""
    node = helper.make_node
    nodes = [
        node("Reshape", ["x", "groups"], ["g"]),
        node("Transpose", ["g"], ["t"], perm=[0, 2, 1, 3, 4]),
        node("Reshape", ["t", "back"], ["s"]),
        node("Split", ["s"], ["a", "b"], axis=1, num_outputs=2),
        node("Sub", ["b", "a"], ["d"]),
        node("Conv", ["d", "w"], ["y"], group=3),
    ]
    weights = {
        "groups": np.array([0, 2, 3, 4, 5]), "back": np.array([0, 6, 4, 5]),
        "w": random.normal(size=(6, 1, 1, 1)).astype(np.float32),
    }  # fmt: skip
    model = model_of(nodes, (6, 4, 5), ["y"], weights)
    X = random.normal(size=(2, 6, 4, 5)).astype(np.float32)
    (wanted,) = reference(model, X)
    found = read(model).predict(X.transpose(0, 2, 3, 1))
    assert apart(found, wanted.transpose(0, 2, 3, 1)) <= LIMIT


RESIZED = [
    {"mode": "bilinear", "align_corners": False},
    {"mode": "bilinear", "align_corners": True},
    {"mode": "bicubic", "align_corners": False},
    {"mode": "bicubic", "align_corners": True},
    {"mode": "nearest"},
]


@pytest.mark.parametrize("about", RESIZED, ids=lambda about: "-".join(map(str, about.values())))
@pytest.mark.parametrize("size", [(5, 7), (10, 14), (3, 4), (13, 6)])
@pytest.mark.filterwarnings("ignore")
def test_resized_images_that_pytorch_exports(about, size, tmp_path):
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 2, 3, padding=1)

        def forward(self, x):
            return torch.nn.functional.interpolate(self.conv(x), size=size, **about)

    module, path = Module().eval(), tmp_path / "net.onnx"
    X = random.normal(size=(2, 3, 5, 7)).astype(np.float32)
    axes = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}, "dynamo": False}
    torch.onnx.export(module, torch.from_numpy(X), path, opset_version=17, **axes)
    with torch.no_grad():
        wanted = module(torch.from_numpy(X)).numpy()
    found = steep.from_onnx(path).predict(X.transpose(0, 2, 3, 1))
    assert apart(found, wanted.transpose(0, 2, 3, 1)) <= LIMIT


@pytest.mark.filterwarnings("ignore")
def test_a_token_that_pytorch_puts_before_all(tmp_path):
    """A weight that is joined to every sample trains as one."""
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.token = torch.nn.Parameter(torch.randn(1, 1, 4))
            self.fc = torch.nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1))

    module, path = Module().eval(), tmp_path / "net.onnx"
    X = random.normal(size=(2, 5, 4)).astype(np.float32)
    wanted = exported_by_torch(module, X, path)
    net = steep.from_onnx(path)
    assert apart(net.predict(X), wanted) <= LIMIT
    token = module.token.detach().numpy().ravel()
    (name,) = [k for k, v in net.state_dict().items() if np.array_equal(v.ravel(), token)]
    trainer = steep.Trainer(net, "mse", steep.optimizers.SGD(0.1))
    trainer.step(X, 0 * wanted)
    assert not np.array_equal(net.state_dict()[name].ravel(), token)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("axes", [1, 2])
def test_pools_with_gaps(kind, stride, axes, read):
    about = {"kernel_shape": [2] * axes, "dilations": [3] * axes, "strides": [stride] * axes}
    shape = (2, 9, 8)[: axes + 1]
    model = model_of([helper.make_node(kind, ["x"], ["y"], **about)], shape, ["y"], opset=19)
    X = random.normal(size=(3, *shape)).astype(np.float32)
    wanted = np.moveaxis(reference(model, X)[0], 1, -1)
    assert apart(read(model).predict(np.moveaxis(X, 1, -1)), wanted) <= LIMIT


def test_all_operators_that_are_missing_are_named_at_once(read):
    nodes = [
        helper.make_node("Tan", ["x"], ["a"], "first"),
        helper.make_node("Det", ["a"], ["b"], "second"),
        helper.make_node("Tan", ["b"], ["y"], "third"),
    ]
    with pytest.raises(ValueError, match=r"Det \(nodes second\); Tan \(nodes first, third\)"):
        read(model_of(nodes, (4, 2), ["y"]))


def test_all_nodes_that_do_not_fit_are_named_at_once(read):
    nodes = [
        helper.make_node("Softmax", ["x"], ["a"], "one", axis=0),
        helper.make_node("Pad", ["x", "p"], ["b"], "two", mode="reflect"),
        helper.make_node("Add", ["a", "b"], ["y"], "three"),
    ]
    weights = {"p": np.array([0, 4, 0, 1])}  # there are 3 numbers to mirror
    with pytest.raises(ValueError, match=r"'one' \(Softmax\): works along the batch.*'two' \(Pad"):
        read(model_of(nodes, (4,), ["y"], weights))


def _external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def _claims(model):
    model.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]


def _wide(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 20


def _unknown(model):
    model.graph.node[0].input[0] = "nobody"


def _infinite(model):
    weight = np.full((4, 3, 3, 3), np.inf, np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "c.weight"))


def _open(model):
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


BAD = {
    "external": (_external, "data are in another file, which is not read"),
    "claims": (_claims, "has not the bytes of"),
    "wide": (_wide, r"c.weight: its input wants shape \(3, 3, 1048576, 4\), it has \(3, 3, 3, 4\)"),
    "unknown": (_unknown, "reads 'nobody', which nothing before it gives"),
    "infinite": (_infinite, "c.weight: holds NaN or infinity"),
    "open": (_open, r"input 'x' has shape \(n, 3, height, 7\); sizes other than the batch"),
}


@pytest.mark.parametrize("what", BAD)
def test_files_that_claim_too_much(what, read, tmp_path):
    change, said = BAD[what]
    model, _ = convolving()
    change(model)
    with pytest.raises(ValueError, match=said) as refused:
        read(model)
    assert str(tmp_path / "model.onnx") in str(refused.value)


def test_other_files(read, tmp_path):
    with pytest.raises(ValueError, match=r"model.onnx: "):
        read(b"no model at all")
    with pytest.raises(FileNotFoundError):
        steep.from_onnx(tmp_path / "nothing.onnx")


def test_without_onnx_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'steep\[onnx\]'"):
        steep.from_onnx(tmp_path / "net.onnx")


def test_a_model_written_twice_is_the_same():
    net = steep.Sequential(layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(2)).build((4, 4, 2))
    assert written(net) == written(net)
    assert written(read_back(net)) == written(read_back(net))
