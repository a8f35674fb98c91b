"""`from_torch` of random modules and of single functions: forward, three steps, state dicts.

In double precision on both sides: what differs is another function, not another rounding.
"""

import numpy as np
import pytest
import steep
from runtimes import apart

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402 - the package must be there
from torch import nn  # noqa: E402
from torch_modules import Squeezed, module, stirred  # noqa: E402

STEPS_OFF = 1e-7  # of float64 steps: PyTorch sums in another order


def fitting(x, net):
    """Return images with channels last, as the network has them; what has none as it is."""
    turned = np.moveaxis(x, 1, -1)
    return turned if x.ndim > 2 and net.input_shapes[0] == turned.shape[1:] else x


def trains_as(made, net, x, *, limit=STEPS_OFF):
    """Expect losses of three steps, and the state dict behind them, to be those of PyTorch."""
    y, X = np.arange(len(x)) % 3, fitting(x, net).astype(np.float64)
    made = made.double().train()
    theirs = torch.optim.SGD(made.parameters(), 0.02, momentum=0.9)
    rule = steep.optimizers.SGD(0.02, 0.9, like="torch")
    trainer = steep.Trainer(net, "cross_entropy", rule, precision="float64")
    for _ in range(3):
        theirs.zero_grad()
        loss = F.cross_entropy(made(torch.from_numpy(x).double()), torch.from_numpy(y))
        loss.backward()
        theirs.step()
        assert trainer.step(X, y) == pytest.approx(loss.item(), rel=limit, abs=limit)
    found = net.to_torch()
    for key, value in made.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert apart(found[key].double().numpy()[None], value.numpy()[None]) <= 1e-5, key


def alike(made, shape, seed=0):
    """Expect a network of the same numbers and the same state dict; return it, and samples."""
    x = np.random.default_rng(seed).normal(size=(5, *shape)).astype(np.float32)
    net = steep.from_torch(made, example=shape)
    with torch.no_grad():
        wanted = made(torch.from_numpy(x)).numpy()
    assert apart(net.predict(fitting(x, net)), wanted) <= 1e-5
    state = net.to_torch()
    made.load_state_dict(state, strict=True)
    assert all(torch.equal(state[key], value) for key, value in made.state_dict().items())
    net.load_state_dict(made.state_dict())
    assert apart(net.predict(fitting(x, net)), wanted) <= 1e-5
    return net, x


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # of PyTorch, with even windows
@pytest.mark.parametrize("seed", range(80))
def test_random_module(seed):
    made, shape = module(seed)
    net, x = alike(made, shape, seed)
    trains_as(made, net, x)


class Of(nn.Module):
    """A function behind a convolution of four channels, or a dense layer."""

    def __init__(self, f, first=None):
        super().__init__()
        self.f, self.first = f, first or nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.f(self.first(x))


FUNCTIONS = {
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (4, 3)),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, (5, 1)),
    "channel_shuffle": lambda x: F.channel_shuffle(x, 2) * torch.arange(4.0).view(4, 1, 1),
    "expand": lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 6, 8) - x,
    "expand_as": lambda x: x.mean((2, 3), keepdim=True).expand_as(x) - x,
    "flip": lambda x: x.flip(2, -1),
    "interpolate": lambda x: F.interpolate(x, size=(9, 11), mode="bilinear", align_corners=True),
    "interpolate half": lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear"),
    "interpolate again": lambda x: F.interpolate(
        x, scale_factor=1.4, mode="bilinear", recompute_scale_factor=True
    ),
    "max": lambda x: x.max(1)[0] + x.min(dim=1).values,
    "max of two": lambda x: torch.max(x, 0.5 * x) + torch.min(x, 0.5 * x),
    "narrow": lambda x: x.narrow(2, 1, 3),
    "pad": lambda x: F.pad(x, (1, 2, 3, 0), mode="reflect"),
    "parts": lambda x: x[:, [2, 0, 1], :, ::2],
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "roll": lambda x: x.roll((1, -2), (1, 3)),
    "select": lambda x: x.select(2, 1),
    "softmin": lambda x: F.softmin(x, 1),
    "stack": lambda x: torch.stack([x, x * 2], -1).flatten(3),
    "threshold": lambda x: F.threshold(x, 0.1, 0.0),
    "waves": lambda x: torch.sin(x) + torch.cos(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    made = nn.Sequential(Of(FUNCTIONS[name]), nn.Flatten(), nn.LazyLinear(3))
    with torch.no_grad():
        made(torch.zeros(2, 4, 6, 8))
    net, x = alike(stirred(made), (4, 6, 8))
    trains_as(made, net, x)


class Multiplied(nn.Module):
    def __init__(self):
        super().__init__()
        self.w, self.gain = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(1, 3, 1))

    def forward(self, x):
        return x @ self.w * self.gain.view(3)


@pytest.mark.parametrize("name", ["product", "buffer", "frozen", "frozen norm"])
def test_what_is_trained_is_what_pytorch_trains(name):
    """Buffers and weights without a gradient stay; normalisation goes by batches all the same."""
    made, shape = {
        "product": (nn.Sequential(Multiplied()), (4,)),
        "buffer": (nn.Sequential(Squeezed(4), nn.Flatten(), nn.Linear(48, 3)), (4, 3, 4)),
        "frozen": (nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), (4,)),
        "frozen norm": (nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)), (4,)),
    }[name]
    if name.startswith("frozen"):
        made[0].requires_grad_(False)
    net, x = alike(stirred(made), shape)
    trains_as(made, net, x)


def test_tokens():
    made = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 3)).eval()
    net = steep.from_torch(made, example=(3,))
    ids = np.random.default_rng(0).integers(0, 9, (5, 3))
    with torch.no_grad():
        assert apart(net.predict(ids), made(torch.from_numpy(ids)).numpy()) <= 1e-5
    made.load_state_dict(net.to_torch(), strict=True)


class Drops(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x, self.training)


@pytest.mark.parametrize(
    ("f", "apart_by"),
    [
        (lambda x, training: F.dropout(x, 0.5, training=training), "each"),
        (lambda x, training: F.dropout(x, 0.5, training=False), "none"),
        (lambda x, training: F.dropout2d(x, 0.5, training=training), "channel"),
        (lambda x, training: torch.feature_dropout(x, 0.5, True), "channel"),
        (lambda x, training: torch.feature_dropout(x, 0.5, training), "none"),  # which takes bools
    ],
)
def test_what_drops_while_training_does_so(f, apart_by):
    """A gradient at the input of a sum is 0 where an element, or its channel, was dropped."""
    made = nn.Sequential(Drops(f), nn.Flatten(), nn.Linear(4 * 30, 1)).eval()
    net = steep.from_torch(made, example=(4, 5, 6))
    X = fitting(np.ones((1, 4, 5, 6), np.float32), net)
    trainer = steep.Trainer(net, "mse", steep.optimizers.SGD(1.0))
    before = net.to_torch()["2.weight"].numpy().reshape(4, 30)
    trainer.step(X, np.full((1, 1), 1e3))
    moved = net.to_torch()["2.weight"].numpy().reshape(4, 30) != before
    kept = moved.mean(axis=1)
    if apart_by == "none":
        assert moved.all()
    elif apart_by == "channel":
        assert set(kept) <= {0.0, 1.0}
    else:
        assert (kept > 0.1).all() and (kept < 0.9).all()


class Used(nn.Module):
    """One weight in two ways."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4))

    def forward(self, x):
        return x * self.w + self.w


@pytest.mark.parametrize(
    ("made", "shape", "said"),
    [
        (Used(), (4,), "uses the weight w in two ways, as scale.w and shift.w"),
        (nn.Softmax(), (4, 6), "works along the batch"),
        (nn.Softplus(1, 2), (4,), "is x itself from 2 on"),
        (nn.Threshold(0.1, -1.0), (4,), "has -1.0 up to 0.1"),
        (nn.Sequential(nn.Linear(4, 4), nn.Embedding(3, 4, padding_idx=0)), (4,), "padding_idx"),
        (nn.Sequential(nn.MaxPool2d(2, return_indices=True)), (4, 6, 8), "places of the largest"),
        (Of(lambda x: x.max(1)[1]), (4, 6, 8), "places of the largest"),
        (Of(lambda x: F.interpolate(x, scale_factor=2, mode="bicubic")), (4, 6, 8), "mode 'bicub"),
        (Of(lambda x: x @ x.transpose(2, 3)), (4, 6, 8), "multiplies tensors by each other"),
    ],
)  # fmt: skip
def test_what_is_refused(made, shape, said):
    with pytest.raises(ValueError, match=said):
        steep.from_torch(made, example=shape)


def test_a_norm_of_which_half_is_trained_is_refused():
    made = nn.Sequential(nn.BatchNorm1d(4))
    made[0].bias.requires_grad_(False)
    with pytest.raises(ValueError, match="trains one of weight and bias"):
        steep.from_torch(made, example=(4,))


def test_images_come_in_with_channels_last_whatever_that_moves():
    """A pool of all pixels, met first, leaves nothing that tells where channels are."""
    made = nn.Sequential(
        nn.AdaptiveMaxPool2d(1), nn.Conv2d(6, 2, 1), nn.ConvTranspose2d(2, 1, 2, 2)
    )
    assert steep.from_torch(made.eval(), example=(6, 5, 8)).input_shapes == ((5, 8, 6),)
