"""State dicts of PyTorch in networks that were built here, and back: the same numbers."""

import numpy as np
import pytest
import steep
from steep import convert, layers

torch = pytest.importorskip("torch")
nn = torch.nn


def same(module, net, X, limit=2e-6):
    """Load a module's weights, compare outputs, and give them back to an empty twin."""
    module.eval()
    convert.from_torch(module.state_dict(), net)
    given = torch.from_numpy(X)
    with torch.no_grad():
        want = module(given).numpy()
    got = net.predict(X)
    np.testing.assert_allclose(got, want.reshape(got.shape), atol=limit * np.abs(want).max())
    back = convert.to_torch(net, module.state_dict())
    assert back.keys() == module.state_dict().keys()
    for name, value in module.state_dict().items():
        assert torch.equal(back[name], value), name


def test_dense_and_norms():
    module = nn.Sequential(
        nn.Linear(5, 8), nn.LayerNorm(8), nn.PReLU(8), nn.BatchNorm1d(8), nn.Linear(8, 3)
    )
    net = steep.Sequential(
        layers.Dense(8), layers.LayerNorm(), layers.PReLU(), layers.BatchNorm(), layers.Dense(3)
    )
    net.build(5)
    same(module, net, np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32))


def test_images():
    class Turned(nn.Sequential):
        def forward(self, x):
            return super().forward(x.permute(0, 3, 1, 2))

    module = Turned(
        nn.Conv2d(3, 6, 3, padding=1), nn.GroupNorm(2, 6), nn.Flatten(), nn.Linear(150, 4)
    )
    net = steep.Sequential(
        layers.Conv2D(6, 3), layers.GroupNorm(2), layers.Flatten(), layers.Dense(4)
    )
    net.build((5, 5, 3))
    same(module, net, np.random.default_rng(0).standard_normal((2, 5, 5, 3)).astype(np.float32))


@pytest.mark.parametrize("first", [True, False])
def test_a_transformer(first):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(11, 12)
            block = nn.TransformerEncoderLayer(
                12, 3, 24, 0.0, "gelu", batch_first=True, norm_first=first
            )
            self.encoder = nn.TransformerEncoder(
                block, 2, norm=nn.LayerNorm(12), enable_nested_tensor=False
            )
            self.head = nn.Linear(12, 11)

        def forward(self, x):
            return self.head(self.encoder(self.embed(x)))

    blocks = [layers.TransformerBlock(3, 2, norm_first=first) for _ in range(2)]
    net = steep.Sequential(layers.Embedding(11, 12), *blocks, layers.LayerNorm(), layers.Dense(11))
    net.build(7)
    same(Tokens(), net, np.random.default_rng(0).integers(0, 11, (3, 7)), 1e-5)


@pytest.mark.parametrize("context", [False, True])
def test_attention(context):
    module = nn.MultiheadAttention(8, 2, batch_first=True)
    x, c = steep.Input((5, 8)), steep.Input((4, 8))
    attention = layers.MultiHeadAttention(2)
    net = steep.Model([x, c], attention(x, c)) if context else steep.Model(x, attention(x))
    net.build()
    convert.from_torch(module.state_dict(), net)
    random = np.random.default_rng(0)
    X, C = (random.standard_normal((3, n, 8)).astype(np.float32) for n in (5, 4))
    source = torch.from_numpy(C if context else X)
    want = module(torch.from_numpy(X), source, source)[0].detach().numpy()
    np.testing.assert_allclose(net.predict([X, C] if context else X), want, atol=2e-6)
    back = convert.to_torch(net, module.state_dict())
    assert all(torch.equal(back[name], value) for name, value in module.state_dict().items())


def test_what_does_not_match_is_refused():
    net = steep.Sequential(layers.Dense(3), layers.Dense(2))
    net.build(4)
    two = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    more = nn.Sequential(*two, nn.Linear(2, 1))
    with pytest.raises(ValueError, match=r"no layers for 2\.weight, 2\.bias"):
        convert.from_torch(more.state_dict(), net)
    with pytest.raises(ValueError, match="expects one of weight, bias, got nothing"):
        convert.from_torch(two[0].state_dict(), net)
    with pytest.raises(ValueError, match="shape"):
        convert.from_torch(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 5)).state_dict(), net)


class Last(nn.Module):
    """A recurrent module's outputs, without its states."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x):
        return self.rnn(x)[0]


CELLS = {
    "LSTM": (nn.LSTM, layers.LSTM, {}),
    "GRU": (nn.GRU, layers.GRU, {}),
    "RNN": (nn.RNN, layers.SimpleRNN, {}),
    "RNN of ReLU": (
        lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k),
        layers.SimpleRNN,
        {"activation": "relu"},
    ),
}


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("name", CELLS)
def test_recurrent_layers(name, depth, both, biased):
    theirs, ours, more = CELLS[name]
    torch.manual_seed(depth)
    rnn = theirs(4, 5, depth, batch_first=True, bidirectional=both, bias=biased)
    width = 10 if both else 5
    module = nn.Sequential(nn.Linear(3, 4), Last(rnn), nn.LayerNorm(width), nn.Linear(width, 2))
    stack = []
    for _ in range(depth):
        layer = ours(5, return_sequences=True, use_bias=biased, **more)
        stack.append(layers.Bidirectional(layer) if both else layer)
    net = steep.Sequential(layers.Dense(4), *stack, layers.LayerNorm(), layers.Dense(2)).build(
        (7, 3)
    )
    X = np.random.default_rng(0).standard_normal((6, 7, 3)).astype(np.float32)
    with torch.no_grad():
        want = module(torch.from_numpy(X)).numpy()
    convert.from_torch(module.state_dict(), net)
    np.testing.assert_allclose(net.predict(X), want, atol=5e-6)
    back = convert.to_torch(net, module.state_dict())
    assert back.keys() == module.state_dict().keys()
    summed = "GRU" not in name  # two biases there, one here
    for key, value in module.state_dict().items():
        assert back[key].shape == value.shape
        if "bias_" not in key or not summed:
            assert torch.equal(back[key], value), key
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.load_state_dict(back)
        np.testing.assert_allclose(module(torch.from_numpy(X)).numpy(), want, atol=5e-6)


def test_a_stateful_layer_keeps_its_rows_to_itself():
    rnn = nn.LSTM(3, 4, batch_first=True)
    net = steep.Sequential(layers.LSTM(4, return_sequences=True, stateful=2)).build((5, 3))
    X = np.random.default_rng(1).standard_normal((2, 5, 3)).astype(np.float32)
    convert.from_torch(rnn.state_dict(), net)
    want = rnn(torch.from_numpy(X))[0].detach().numpy()
    np.testing.assert_allclose(net.predict(X), want, atol=2e-6)


def test_recurrent_layers_that_pytorch_has_not():
    gru = nn.GRU(3, 4)
    before = steep.Sequential(layers.GRU(4, reset_after=False)).build((5, 3))
    with pytest.raises(ValueError, match="but reset_after=True"):
        convert.from_torch(gru.state_dict(), before)
    back = layers.Bidirectional(layers.GRU(4, reverse=True))
    with pytest.raises(ValueError, match="goes back first"):
        convert.from_torch(gru.state_dict(), steep.Sequential(back).build((5, 3)))
    one = steep.Sequential(layers.GRU(4)).build((5, 3))
    with pytest.raises(ValueError, match="no layers for weight_ih_l1"):
        convert.from_torch(nn.GRU(3, 4, 2).state_dict(), one)
    with pytest.raises(ValueError, match=r"expects one of weight_ih_l0, .*, got weight"):
        convert.from_torch(nn.Linear(3, 4).state_dict(), one)
    with pytest.raises(ValueError, match="shape"):
        convert.from_torch(nn.LSTM(3, 4).state_dict(), one)
