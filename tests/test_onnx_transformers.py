"""What `from_onnx` reads of PyTorch's attention, in which samples share an axis with heads or time.

Shapes that mix samples are refused. Attention as people write it is in `test_onnx_sequences`.
"""

import logging

import numpy as np
import pytest
import steep
from runtimes import apart, run

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
from test_onnx_import import model_of, read, reference  # noqa: E402, F401 - a fixture

nn = torch.nn
node = onnx.helper.make_node
random = np.random.default_rng(5)
STEPS, WIDTH, HEADS = 6, 16, 4
LIMIT = 1e-5
pytestmark = pytest.mark.filterwarnings("ignore")  # of exporters


def causal(steps):
    return nn.Transformer.generate_square_subsequent_mask(steps)


class Attending(nn.Module):
    """Self-attention and a head; `across` has queries of their own, `first` the batch first."""

    def __init__(self, *, first=True, masked=False, weights=False, across=False, **about):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=first, **about)
        self.ask = nn.Linear(WIDTH, WIDTH) if across else nn.Identity()
        self.head = nn.Linear(WIDTH, 3)
        self.first, self.masked, self.weights = first, masked, weights
        self.width = about.get("vdim", WIDTH)

    def forward(self, x):
        x = x if self.first else x.transpose(0, 1)
        mask = causal(STEPS) if self.masked else None
        values = x if self.width == WIDTH else x[..., : self.width]
        y, _ = self.attention(self.ask(x), x, values, need_weights=self.weights, attn_mask=mask)
        return self.head(y.mean(1 if self.first else 0))


class Blocks(nn.Module):
    """An encoder of blocks, or of one where time comes first, and a head."""

    def __init__(self, count=1, *, first=True, masked=False, **about):
        super().__init__()
        about = {"batch_first": first, "dropout": 0.0, **about}
        one = nn.TransformerEncoderLayer(WIDTH, HEADS, 24, **about)
        self.body = nn.TransformerEncoder(one, count, enable_nested_tensor=False)
        self.head, self.first, self.masked = nn.Linear(WIDTH, 3), first, masked

    def forward(self, x):
        mask = causal(STEPS) if self.masked else None
        x = x if self.first else x.transpose(0, 1)
        y = self.body(x, mask=mask, is_causal=self.masked)
        return self.head(y.mean(1 if self.first else 0))


class Decoded(nn.Module):
    """A block that looks at itself, causally, and at something else."""

    def __init__(self):
        super().__init__()
        about = {"batch_first": True, "dropout": 0.0}
        self.block = nn.TransformerDecoderLayer(WIDTH, HEADS, 24, **about)
        self.there, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, x):
        y = self.block(x, self.there(x), tgt_mask=causal(STEPS), tgt_is_causal=True)
        return self.head(y.mean(1))


class Flattened(nn.Module):
    """Samples and steps in one axis between dense layers, as many write them."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(WIDTH, 8), nn.Linear(8, 3)

    def forward(self, x):
        y = torch.tanh(self.one(x.reshape(-1, WIDTH)))
        return self.other(y).reshape(-1, STEPS, 3).mean(1)


MODULES = {
    "attention": Attending,
    "weights asked for": lambda: Attending(weights=True),
    "time first": lambda: Attending(first=False),
    "time first, weights": lambda: Attending(first=False, weights=True),
    "causal": lambda: Attending(masked=True),
    "causal, weights": lambda: Attending(masked=True, weights=True),
    "causal, time first": lambda: Attending(masked=True, first=False),
    "no bias": lambda: Attending(bias=False),
    "keys of their own": lambda: Attending(add_bias_kv=True),
    "across": lambda: Attending(across=True),
    "narrow values": lambda: Attending(vdim=8, kdim=WIDTH),
    "block": Blocks,
    "blocks": lambda: Blocks(2),
    "blocks, norm first": lambda: Blocks(2, norm_first=True),
    "block of GELU": lambda: Blocks(activation="gelu"),
    "causal block": lambda: Blocks(masked=True),
    "block, time first": lambda: Blocks(first=False),
    "decoder": Decoded,
    "flattened": Flattened,
}


NEW = ("attention", "time first, weights", "causal", "keys of their own", "across", "blocks",
       "decoder")  # fmt: skip
WAYS = [*((name, "old") for name in MODULES), *((name, "new") for name in NEW)]


def module_of(name):
    """Return a module none of whose weights are equal, as those of fresh biases and norms are."""
    torch.manual_seed(3)
    module = MODULES[name]().eval()
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.3)
    return module


def exported(module, x, path, way):
    """Write a module by one of PyTorch's exporters; `fixed`: for just so many samples."""
    if way == "new":
        pytest.importorskip("onnxscript")
        logging.disable()  # of each of its steps, which pytest would keep
        shapes = ({0: torch.export.Dim("n", min=2, max=999)},)
        about = {"dynamic_shapes": shapes, "verbose": False, "external_data": False}
        torch.onnx.export(module, (x,), path, dynamo=True, **about)
        logging.disable(logging.NOTSET)
    else:
        about = {} if way == "fixed" else {"dynamic_axes": {"x": {0: "n"}}}
        about = {"input_names": ["x"], "opset_version": 17, "dynamo": False, **about}
        torch.onnx.export(module, x, path, **about)


def numbers(weights):
    """Return all numbers of some weights, sorted: parts of one are told apart by nobody."""
    return np.sort(np.concatenate([np.asarray(w).reshape(-1) for w in weights]))


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_module_is_read_and_trains_as_it_would(name, way, tmp_path):
    module, path = module_of(name), tmp_path / "net.onnx"
    X = random.normal(size=(5, STEPS, WIDTH)).astype(np.float32)
    y = random.integers(0, 3, 5)
    exported(module, torch.from_numpy(X[:3]), path, way)
    net = steep.from_onnx(path)
    try:
        (wanted,) = run(path.read_bytes(), X)
    except ImportError:
        wanted = module(torch.from_numpy(X)).detach().numpy()
    assert apart(net.predict(X), wanted) <= LIMIT
    weights = [w.detach().numpy() for w in module.parameters()]
    assert numbers(net.state_dict().values()).tobytes() == numbers(weights).tobytes()
    kinds = [getattr(t._source[0], "kind", "") for t in net._order]
    assert ("attention" in kinds) == (name != "flattened")
    assert "softmax" not in kinds

    trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.SGD(0.1, 0.9))
    optimizer = torch.optim.SGD(module.parameters(), 0.1, 0.9)
    for _ in range(3):
        trainer.step(X, y)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(torch.from_numpy(X)), torch.from_numpy(y)).backward()
        optimizer.step()
    assert apart(net.predict(X), module(torch.from_numpy(X)).detach().numpy()) <= 10 * LIMIT


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", ["attention", "time first, weights", "blocks", "flattened"])
def test_a_file_of_so_many_samples_is_one_of_any(name, count, tmp_path):
    """Shapes are numbers in it: which of them has the samples is found by what they make."""
    module, path = module_of(name), tmp_path / "net.onnx"
    X = random.normal(size=(4, STEPS, WIDTH)).astype(np.float32)
    exported(module, torch.from_numpy(X[:count]), path, "fixed")
    wanted = module(torch.from_numpy(X)).detach().numpy()
    assert apart(steep.from_onnx(path).predict(X), wanted) <= LIMIT


# -- shapes in which samples lie with others ------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_reshapes_turns_and_back(seed, read):  # noqa: F811
    """Axes of random sizes beside the batch, joined with it, turned, multiplied, taken apart."""
    draw = np.random.default_rng(seed)
    a, b, c, d = (int(draw.integers(1, 5)) for _ in range(4))
    joined = [[-1, b, c * d], [-1, c, d], [-1, d]][draw.integers(3)]
    if draw.random() < 0.5 and len(joined) == 3:  # as PyTorch has heads: behind time
        nodes = [node("Transpose", ["x"], ["t"], perm=[1, 0, 2, 3]),
                 node("Reshape", ["t", "joined"], ["j"]),
                 node("Transpose", ["j"], ["k"], perm=[1, 0, 2])]  # fmt: skip
        joined, back, turn = [a, -1, d], [-1, a, b, c, d], [0, 1, 2, 3, 4]
        back, turn = [-1, b, c, a, d], [0, 3, 1, 2, 4]
    else:
        nodes = [node("Reshape", ["x", "joined"], ["k"])]
        back, turn = [-1, a, b, c, d], [0, 1, 2, 3, 4]
    nodes += [
        node("Mul", ["k", "two"], ["m"]),
        node("Add", ["m", "row"], ["r"]),
        node("Softmax", ["r"], ["s"], axis=-1),
        node("Reshape", ["s", "back"], ["u"]),
        node("Transpose", ["u"], ["y"], perm=turn),
    ]
    whole = {"joined": np.array(joined), "back": np.array(back)}
    row = random.normal(size=joined[-1]).astype(np.float32)
    weights = {**whole, "two": np.array(2.0, np.float32), "row": row}
    model = model_of(nodes, (a, b, c * d), ["y"], weights)
    X = random.normal(size=(3, a, b, c * d)).astype(np.float32)
    wanted = reference(model, X)[0]
    assert apart(read(model).predict(X).reshape(wanted.shape), wanted) <= 1e-6


BAD = {
    "another": ([node("Reshape", ["x", "s"], ["y"], "odd")], {"s": [-1, 5]}, "stay apart"),
    "left so": ([node("Reshape", ["x", "s"], ["y"])], {"s": [-1, 3]}, "samples in one axis with"),
    "summed": (
        [node("Reshape", ["x", "s"], ["j"]), node("ReduceSum", ["j", "k"], ["y"], "odd")],
        {"s": [-1, 3], "k": [1]},
        r"its samples lie along axis 0 of \[4 \* batch, 3\], in one with others",
    ),
    "softened": (
        [node("Reshape", ["x", "s"], ["j"]), node("Softmax", ["j"], ["y"], "odd", axis=0)],
        {"s": [-1, 3]},
        "works along axis 0 of",
    ),
    "norms": (
        [node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
         node("LayerNormalization", ["t", "g"], ["y"], "odd", axis=1)],
        {"g": [1.0, 2.0, 3.0]},
        "works along axis 1, where steep has the first",
    ),
    "of each": (
        [node("Reshape", ["x", "s"], ["j"]), node("Add", ["j", "g"], ["y"], "odd")],
        {"s": [-1, 3], "g": [[1.0, 2.0, 3.0]] * 4},
        r"has a constant of shape \(4, 3\) and samples along axis 0",
    ),
    "unlike": (
        [node("Reshape", ["x", "s"], ["j"]), node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
         node("MatMul", ["j", "t"], ["y"], "odd")],
        {"s": [-1, 3]},
        "along other axes of each",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_samples_that_would_meet(what, read):  # noqa: F811
    nodes, given, said = BAD[what]
    weights = {
        name: np.array(value, np.float32 if name == "g" else np.int64)
        for name, value in given.items()
    }
    with pytest.raises(ValueError, match=said):
        read(model_of(nodes, (4, 3), ["y"], weights))


def test_the_shape_of_scores_makes_their_mask(read):  # noqa: F811
    """Asked for while they are not made yet, so that attention is found all the same."""
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["x", "t"], ["s"]),
        node("Shape", ["s"], ["size"], start=1),
        node("Expand", ["low", "size"], ["hidden"]),
        node("Trilu", ["hidden", "one"], ["mask"], upper=1),
        node("Add", ["s", "mask"], ["m"]),
        node("Softmax", ["m"], ["p"], axis=-1),
        node("MatMul", ["p", "x"], ["y"]),
    ]
    weights = {"low": np.full((1, 1), -np.finfo(np.float32).max), "one": np.array(1)}
    model = model_of(nodes, (4, 3), ["y"], weights)
    net, X = read(model), random.normal(size=(5, 4, 3)).astype(np.float32)
    assert apart(net.predict(X), reference(model, X)[0]) <= LIMIT
    assert "attention" in [getattr(t._source[0], "kind", "") for t in net._order]
