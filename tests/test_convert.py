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
