"""ONNX files and changes to them: of bytes, and of fields, so that much of a file stays right."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import steep
from steep import layers

from . import mutate

OPERATORS = (
    "Conv", "Gemm", "MatMul", "Reshape", "Transpose", "Concat", "Split", "Slice", "Gather", "Tile",
    "Expand", "Resize", "Pad", "Squeeze", "Unsqueeze", "ReduceMean", "ReduceMax", "Softmax", "Add",
    "Mul", "Clip", "Shape", "ConstantOfShape", "Range", "Identity", "MaxPool", "AveragePool", "LRN",
    "DepthToSpace", "LayerNormalization", "GroupNormalization", "If", "Sin", "", "LSTM", "GRU",
    "RNN", "Attention", "Where", "Less", "Scaler", "Normalizer", "LinearRegressor",
    "LinearClassifier",
)  # fmt: skip
INTS = (0, 1, -1, 2, 3, 7, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63))


def nets():
    """Return small networks that have most operators."""
    x = steep.Input((4, 6, 3))
    y = layers.Conv2D(4, 3, stride=2, activation="gelu")(x)
    y = steep.ops.concat([y, layers.MaxPool2D(2)(x)])
    parts = steep.ops.split(layers.UpSample2D(2)(y), 2, 0)
    made = layers.Dense(3)(layers.Flatten()(layers.GLU("silu")(layers.Conv2D(4, 1)(parts[1]))))
    whole = steep.Model(x, [made, steep.ops.mean(y, (0, 1))])
    images = steep.Sequential(
        layers.Conv2D(4, 3), layers.BatchNorm(), layers.Residual(layers.PReLU(), layers.ReLU()),
        layers.Conv2DTranspose(2, 3, 2), layers.ZeroPad2D(1), layers.LocalResponseNorm(),
        layers.AvgPool2D(3, padding="same"), layers.Flatten(), layers.Dense(2),
    )  # fmt: skip
    rows = steep.Sequential(
        layers.Reshape((5, 4)), layers.Conv1D(6, 3, padding="causal"), layers.Dense(8),
        layers.Maxout(2), layers.Softmax(), layers.GlobalMaxPool1D(), layers.Dense(2, "mish"),
    )  # fmt: skip
    return whole.build(), images.build((4, 4, 2)), rows.build(20), *sequences()


def sequences():
    """Return small networks of recurrent layers and attention, with lengths and states."""
    x, lengths, state = steep.Input((5, 3)), steep.Input(()), steep.Input((4,))
    y = layers.GRU(4, return_sequences=True, hold=True)(x, lengths, state)
    cells = layers.LSTM(3, return_sequences=True, return_state=True, reverse=True)
    attention = layers.MultiHeadAttention(2, causal=True)(y, lengths)
    counted = steep.Model([x, lengths, state], [attention, *cells(y, lengths)])
    both = steep.Sequential(
        layers.Bidirectional(layers.SimpleRNN(3, "relu", return_sequences=True)),
        layers.TransformerBlock(2, 1, causal=True), layers.ClassToken(), layers.LSTM(2),
    )  # fmt: skip
    return counted.build(), both.build((4, 2))


@functools.cache
def goods():
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for net in nets():
            net.to_onnx(Path(folder) / "net.onnx")
            found.append((Path(folder) / "net.onnx").read_bytes())
    return [*found, pipeline()]


def pipeline():
    """Return a file of what others write: scaled columns, classes, mirrored ends, open sizes."""
    from onnx import helper, numpy_helper

    node, ml = helper.make_node, {"domain": "ai.onnx.ml"}
    nodes = [
        node("Scaler", ["x"], ["a"], offset=[1.0, 2.0, 0.0], scale=[0.5, 2.0, 1.0], **ml),
        node("Normalizer", ["a"], ["b"], norm="L2", **ml),
        node("LinearClassifier", ["b"], ["label", "c"], coefficients=[0.5] * 6,
             intercepts=[0.0, 1.0], classlabels_ints=[0, 1], post_transform="SOFTMAX", **ml),
        node("LinearRegressor", ["b"], ["d"], coefficients=[0.5] * 6, targets=2, **ml),
        node("Pad", ["image", "pads"], ["e"], mode="reflect"),
        node("Slice", ["e", "last", "first", "axis", "back"], ["f"]),
        node("Shape", ["x"], ["n"]),
        node("ReduceMean", ["f", "axes"], ["g"], keepdims=0),
    ]  # fmt: skip
    given = {"pads": [0, 0, 1, 2, 0, 0, 1, 0], "last": [-1], "first": [-9], "axis": [3],
             "back": [-1], "axes": [2, 3]}  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "pipeline",
        [helper.make_tensor_value_info("x", 1, ["n", 3]),
         helper.make_tensor_value_info("image", 1, ["n", 1, "height", 4])],
        [helper.make_tensor_value_info(name, 1, None) for name in ("c", "d", "g")],
        [numpy_helper.from_array(np.array(value), name) for name, value in given.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def mutated(rng, data, others):
    """Return a file with bytes or some of its fields changed."""
    if rng.random() < 0.3:
        return mutate.raw(rng, data, others)
    import onnx

    model = onnx.load_from_string(data)
    for _ in range(int(rng.integers(1, 4))):
        mutate.of(rng, (_node, _node, _attribute, _weight, _ends, _order, _model))(rng, model)
    return model.SerializeToString()


def _names(model):
    graph = model.graph
    return ["", "nobody", *(w.name for w in graph.initializer), *(
        name for node in graph.node for name in node.output
    )]  # fmt: skip


def _node(rng, model):
    node = mutate.of(rng, model.graph.node)
    kind = int(rng.integers(4))
    if kind == 0:
        node.op_type = mutate.of(rng, OPERATORS)
    elif kind == 1 and node.input:
        node.input[int(rng.integers(len(node.input)))] = mutate.of(rng, _names(model))
    elif kind == 2:
        node.input.append(mutate.of(rng, _names(model)))
    elif node.input:
        node.input.pop()


def _attribute(rng, model):
    found = [a for node in model.graph.node for a in node.attribute]
    if not found:
        return
    a = mutate.of(rng, found)
    if len(a.ints) and rng.random() < 0.8:
        a.ints[int(rng.integers(len(a.ints)))] = mutate.of(rng, INTS)
    elif rng.random() < 0.3:
        a.name = mutate.of(rng, ("axis", "perm", "pads", "group", "blocksize", "num_outputs", "x"))
    elif a.HasField("t"):
        _tensor(rng, a.t)
    else:
        a.i, a.f = mutate.of(rng, INTS), mutate.of(rng, (0.0, -1.0, 1e30, np.inf, np.nan))


def _weight(rng, model):
    if len(model.graph.initializer):
        _tensor(rng, mutate.of(rng, model.graph.initializer))


def _tensor(rng, tensor):
    kind = int(rng.integers(6))
    if kind == 0 and len(tensor.dims):
        tensor.dims[int(rng.integers(len(tensor.dims)))] = mutate.of(rng, INTS)
    elif kind == 1:
        tensor.dims[:] = list(tensor.dims)[::-1]
    elif kind == 2:
        tensor.data_type = int(rng.integers(24))
    elif kind == 3 and tensor.data_type in (6, 7) and tensor.raw_data:
        numbers = np.frombuffer(tensor.raw_data, np.int64 if tensor.data_type == 7 else np.int32)
        changed = numbers.copy()
        low = np.iinfo(changed.dtype)
        wanted = int(np.clip(mutate.of(rng, INTS), low.min, low.max))
        changed[int(rng.integers(len(changed)))] = wanted
        tensor.raw_data = changed.tobytes()
    elif kind == 4:
        tensor.data_location = 1
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", mutate.of(rng, ("/etc/passwd", "../x", "model.onnx"))
    elif tensor.raw_data:
        tensor.raw_data = mutate.raw(rng, tensor.raw_data)


def _ends(rng, model):
    entry = mutate.of(rng, [*model.graph.input, *model.graph.output])
    dims = entry.type.tensor_type.shape.dim
    kind = int(rng.integers(4))
    if kind == 0 and len(dims):
        mutate.of(rng, dims).dim_value = mutate.of(rng, INTS)
    elif kind == 1:
        dims.add().dim_value = mutate.of(rng, INTS)
    elif kind == 2:
        entry.name = mutate.of(rng, _names(model))
    elif len(dims):
        dims.pop()


def _order(rng, model):
    nodes = list(model.graph.node)
    k, j = (int(n) for n in rng.integers(len(nodes), size=2))
    if rng.random() < 0.5:
        nodes[k], nodes[j] = nodes[j], nodes[k]
    else:
        nodes[k:k] = [nodes[j]] * int(rng.integers(1, 40))
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _model(rng, model):
    if rng.random() < 0.5 and len(model.opset_import):
        model.opset_import[0].version = mutate.of(rng, (0, 7, 11, 13, 18, 21, 99, 1 << 40))
    else:
        model.opset_import[0].domain = mutate.of(rng, ("", "ai.onnx", "com.microsoft"))


def read(folder, rng):
    about = {}
    if rng.random() < 0.3:
        about["shapes"] = mutate.of(
            rng, ((3,), {"image": (1, 5, 4)}, {"image": (1, (1 << 31) - 1, 4)})
        )
    if rng.random() < 0.2:
        about["outputs"] = mutate.of(rng, (("c",), ("d", "g"), ("output",), ("nobody",)))
    return steep.from_onnx(folder / "file", **about)


def check(net, folder, rng):
    """What was read predicts or says why not; it trains and is written again."""
    values = net.state_dict().values()
    assert all(np.isfinite(v).all() for v in values), "weights not finite"
    sizes = [np.prod(shape, dtype=float) for shape in (*net.input_shapes, *net.output_shapes)]
    if max(sizes) > 4096 or net.multiply_adds > 1e6:
        return
    assert len(net.summary()) > 0
    X = [np.ones((2, *shape), np.float32) for shape in net.input_shapes]
    net.predict(X if len(X) > 1 else X[0])
