"""Attention and the Transformer's block: golden numbers, parity with PyTorch over random sizes."""

import warnings

import numpy as np
import pytest
import steep
from feature_pulls import pulled, sines
from steep import layers

LIMIT = {"float32": 1e-5, "float64": 1e-9}  # of the largest number; some hundred roundings
WEIGHTS = {
    "attention.qkv.weight": sines(1, 4, 12), "attention.qkv.bias": sines(2, 12),
    "attention.out.weight": sines(3, 4, 4), "attention.out.bias": sines(4, 4),
}  # fmt: skip
GOLDEN = {
    "plain": (
        [[-0.3545605570, -0.5189685213, -0.2062392204, 0.2961054686],
         [-0.3444262956, -0.6538103191, -0.3620841504, 0.2625405164],
         [-0.5141948761, -0.6106133802, -0.1456367586, 0.4532376272]],
        [0.0436319504, -0.0440111649, -0.1179099419, -0.1549863775],
    ),
    "causal": (
        [[-0.2166694406, -0.4884837829, -0.3111883879, 0.1522121758],
         [-0.3564884648, -0.6183708308, -0.3117259067, 0.2815183784],
         [-0.5141948761, -0.6106133802, -0.1456367586, 0.4532376272]],
        [0.1274284731, 0.0169357442, -0.0988458835, -0.1837587244],
    ),
    "lengths": (
        [[-0.4034904575, -0.4022783202, -0.0312133505, 0.3685490297],
         [-0.3564884648, -0.6183708308, -0.3117259067, 0.2815183784],
         [-0.4723371604, -0.5124012566, -0.0813660004, 0.4244767812]],
        [0.0628127559, -0.0194190169, -0.0955863845, -0.1419028810],
    ),
}  # fmt: skip


def network(inner, shape, *others, context=False):
    """Return a model of a layer behind positions of zeros: their gradients are its inputs'."""
    inputs = [steep.Input(shape), *map(steep.Input, others)]
    tensors = list(inputs)
    tensors[0] = layers.PositionEmbedding(init=np.zeros(shape), name="x")(inputs[0])
    if context:
        start = np.zeros(others[0])
        tensors[1] = layers.PositionEmbedding(init=start, name="context")(inputs[1])
    model = steep.Model(inputs if others else inputs[0], inner(*tensors))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the units of a table begin equal
        model.build()
    return model


def close(a, b, precision):
    b = b.detach().numpy() if hasattr(b, "detach") else np.asarray(b)
    np.testing.assert_allclose(a, b, rtol=0, atol=LIMIT[precision] * max(1.0, np.abs(b).max()))


@pytest.mark.parametrize("kind", GOLDEN)
def test_golden_attention(kind):
    given = layers.MultiHeadAttention(2, causal=kind == "causal", name="attention")
    more = [(1,)] if kind == "lengths" else []
    net = network(given, (3, 4), *more)
    net.load_state_dict(WEIGHTS, strict=False)
    x = sines(0, 1, 3, 4, scale=1.0)
    X = [x, np.array([[2]])] if more else x
    want, dx = GOLDEN[kind]
    y = net.predict(X)
    np.testing.assert_allclose(y[0], want, atol=3e-7)  # of float32
    y, found = pulled(net, X, np.asarray(want)[None])  # the gradient of sum y^2/2
    np.testing.assert_allclose(y[0], want, atol=1e-7)  # of weights that were float32
    np.testing.assert_allclose(found["x.weight"][0], dx, atol=1e-6)
    if kind == "plain":
        first = [-0.0560589093, 0.0119543478, -0.0136674407, -0.0079229347, 0.2827833354]
        np.testing.assert_allclose(found["attention.qkv.weight"][0, :5], first, atol=1e-6)
    assert np.abs(found["attention.qkv.bias"][4:8]).max() < 1e-15  # softmax ignores shifts


def torch_attention(state, heads, torch, width):
    """Return PyTorch's layer with the weights of steep's."""
    made = torch.nn.MultiheadAttention(width, heads, batch_first=True, dtype=torch.float64)
    tensor = lambda name: torch.tensor(state[name].astype(np.float64))  # noqa: E731
    with torch.no_grad():
        if "attention.qkv.weight" in state:
            made.in_proj_weight.copy_(tensor("attention.qkv.weight").T)
            made.in_proj_bias.copy_(tensor("attention.qkv.bias"))
        else:
            both = [tensor("attention.q.weight"), tensor("attention.kv.weight")]
            made.in_proj_weight.copy_(torch.cat(both, 1).T)
            made.in_proj_bias.copy_(
                torch.cat([tensor("attention.q.bias"), tensor("attention.kv.bias")])
            )
        made.out_proj.weight.copy_(tensor("attention.out.weight").T)
        made.out_proj.bias.copy_(tensor("attention.out.bias"))
    return made


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(16))
def test_parity_with_torch(seed, precision):
    """Forward and every gradient; queries and keys of random lengths, with masks of both kinds."""
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(seed)
    heads = int(random.integers(1, 6))
    width = heads * int(random.integers(1, 40))
    queries, keys, samples = int(random.integers(1, 80)), int(random.integers(1, 80)), 3
    context, causal, masked = seed % 2 == 1, seed % 4 >= 2, seed % 3 == 0
    keys = keys if context else queries
    inner = layers.MultiHeadAttention(heads, causal=causal, name="attention")
    others = [(keys, width)] * context + [(1,)] * masked
    net = network(inner, (queries, width), *others, context=context)
    X = [random.standard_normal((samples, queries, width)).astype(np.float32)]
    X += [random.standard_normal((samples, keys, width)).astype(np.float32)] * context
    lengths = random.integers(1, keys + 1, (samples, 1))
    X += [lengths] * masked
    r = random.standard_normal((samples, queries, width))
    y, found = pulled(net, X if len(X) > 1 else X[0], r, precision)
    twin = torch_attention(net.state_dict(), heads, torch, width)
    leaves = [torch.tensor(x.astype(np.float64), requires_grad=True) for x in X[: 1 + context]]
    forbidden = {}
    if masked:
        forbidden["key_padding_mask"] = torch.tensor(np.arange(keys) >= lengths)
    if causal:
        forbidden["attn_mask"] = ~torch.tril(torch.ones(queries, keys, dtype=torch.bool))
    source = leaves[-1]
    want = twin(leaves[0], source, source, need_weights=False, **forbidden)[0]
    (want * torch.tensor(r)).sum().backward()
    close(y, want, precision)
    close(found["x.weight"], leaves[0].grad.sum(0), precision)
    if context:
        close(found["context.weight"], leaves[1].grad.sum(0), precision)
    own = twin.in_proj_weight.grad.T, twin.in_proj_bias.grad
    mine = [
        np.concatenate([v for k, v in found.items() if k.endswith(f"{part}.{word}")], -1)
        for part, word in (("v", "weight"), ("v", "bias"))
    ]
    if context:
        mine = [
            np.concatenate([found[f"attention.{part}.{word}"] for part in ("q", "kv")], -1)
            for word in ("weight", "bias")
        ]
    for a, b in zip(mine, own, strict=True):
        close(a, b, precision)
    close(found["attention.out.weight"], twin.out_proj.weight.grad.T, precision)
    close(found["attention.out.bias"], twin.out_proj.bias.grad, precision)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(8))
def test_parity_of_a_block_with_torch(seed, precision):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(seed)
    heads = int(random.integers(1, 5))
    width, length = heads * int(random.integers(1, 20)), int(random.integers(1, 40))
    first, activation = bool(seed % 2), ("gelu", "relu")[seed // 2 % 2]
    block = layers.TransformerBlock(
        heads, mlp=2, norm_first=first, activation=activation, causal=seed >= 4, name="block"
    )
    net = network(block, (length, width))
    state = net.state_dict()
    for name in state:  # norms begin as the identity
        if "norm" in name:
            state[name] = random.uniform(0.5, 1.5, state[name].shape).astype(np.float32)
    net.load_state_dict(state)
    X = random.standard_normal((2, length, width)).astype(np.float32)
    r = random.standard_normal(X.shape)
    y, found = pulled(net, X, r, precision)
    twin = torch.nn.TransformerEncoderLayer(
        width, heads, 2 * width, 0.0, activation, batch_first=True, norm_first=first,
        dtype=torch.float64,
    )  # fmt: skip
    names = {
        "self_attn.in_proj_": "attention.qkv.", "self_attn.out_proj.": "attention.out.",
        "linear1.": "up.", "linear2.": "down.", "norm1.": "norm1.", "norm2.": "norm2.",
    }  # fmt: skip
    with torch.no_grad():
        for name, value in twin.named_parameters():
            here = next(name.replace(a, f"block.{b}") for a, b in names.items() if a in name)
            value.copy_(torch.tensor(state[here].astype(np.float64).T))
    x = torch.tensor(X.astype(np.float64), requires_grad=True)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(length, dtype=torch.float64)
    want = twin(x, src_mask=mask if seed >= 4 else None)
    (want * torch.tensor(r)).sum().backward()
    close(y, want, precision)
    close(found["x.weight"], x.grad.sum(0), precision)
    for name, value in twin.named_parameters():
        here = next(name.replace(a, f"block.{b}") for a, b in names.items() if a in name)
        close(found[here], value.grad.T if value.dim() == 2 else value.grad, precision)


def test_dropout_on_probabilities_is_inverted_and_its_own_gradient():
    """Where all values are equal, an output is the share that was kept: 1 in the mean."""
    heads, length = 4, 64
    inner = layers.MultiHeadAttention(heads, dropout=0.25, name="attention")
    net = network(inner, (length, 8))
    state = {k: np.zeros_like(v) for k, v in net.state_dict().items()}
    state["attention.qkv.bias"][16:] = 1.0
    state["attention.out.weight"] = np.eye(8)
    net.load_state_dict(state)
    X = np.zeros((16, length, 8))
    np.testing.assert_allclose(net.predict(X), 1.0, atol=1e-6)
    trainer = steep.Trainer(net, "mse", "sgd", precision="float64")
    pull = np.full(X.shape, -X.size / 2)
    # d sum(y)/db_v is the sum of the shares; the loss's own gradient beside it is small.
    found = trainer.gradients(X, pull * 1e6)[1]["attention.qkv.bias"][16:] / 1e6
    np.testing.assert_allclose(found / (16 * length), 1.0, atol=0.02)
    assert np.ptp(found[::2]) > 0  # heads have masks of their own


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_bytes_do_not_depend_on_threads_and_nothing_is_allocated(threads):
    X = np.random.default_rng(0).integers(0, 11, (50, 9))

    def trained(count):
        block = layers.TransformerBlock(2, causal=True, dropout=0.2)
        net = steep.Sequential(layers.Embedding(11, 12), layers.PositionEmbedding(), block,
                               layers.LayerNorm(), layers.Dense(11))  # fmt: skip
        with steep.threads(count):
            trainer = steep.Trainer(net, "cross_entropy", "adam")
            trainer.fit(X, X, epochs=2, batch_size=16, progress=False)
        return net.state_dict()

    first, second = trained(1), trained(threads)
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r'MultiHeadAttention "attention": 3 heads do not divide'):
        network(layers.MultiHeadAttention(3, name="attention"), (5, 8))
    with pytest.raises(ValueError, match=r"expects \(positions, width\), got \(8,\)"):
        steep.Sequential(layers.TransformerBlock(2)).build(8)
    net = network(layers.MultiHeadAttention(2, name="attention"), (5, 8), (1,))
    x = np.zeros((2, 5, 8))
    for wrong, said in ((0, "length 0 at row 1"), (6, "length 6 at row 1"), (1.5, "length 1.5")):
        with pytest.raises(ValueError, match=said):
            net.predict([x, np.array([[1], [wrong]])])


def test_class_token_and_patches():
    net = steep.Sequential(layers.PatchEmbedding((2, 3), 7), layers.ClassToken(name="first"))
    net.build((4, 6, 2))
    state = net.state_dict()
    assert state["first.token"].shape == (7,)
    assert state["patch_embedding.weight"].shape == (2, 3, 2, 7)
    x = np.random.default_rng(0).random((3, 4, 6, 2)).astype(np.float32)
    y = net.predict(x)
    assert y.shape == (3, 5, 7)
    np.testing.assert_array_equal(y[:, 0], np.tile(state["first.token"], (3, 1)))
    patches = x.reshape(3, 2, 2, 2, 3, 2).swapaxes(2, 3).reshape(3, 4, 12)
    want = patches @ state["patch_embedding.weight"].reshape(12, 7)
    np.testing.assert_allclose(y[:, 1:], want + state["patch_embedding.bias"], atol=1e-5)
    with pytest.raises(ValueError, match="do not fill an image"):
        steep.Sequential(layers.PatchEmbedding(3, 7)).build((4, 6))
