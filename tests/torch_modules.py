"""Random modules of PyTorch from a seed, for tests of what steep makes of them."""

import random

import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS = (
    nn.ReLU, nn.Tanh, nn.SiLU, nn.GELU, nn.ELU, nn.Sigmoid, nn.Hardswish, nn.Mish, nn.LeakyReLU,
    nn.Softplus, nn.SELU, nn.CELU, nn.ReLU6, nn.Softsign, nn.LogSigmoid, nn.Hardsigmoid, nn.PReLU,
    nn.Tanhshrink, nn.Identity,
)  # fmt: skip
MODES = ("zeros", "zeros", "zeros", "reflect", "replicate", "circular")
PADS = (nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d)
LARGEST = 2000  # numbers of a sample


class Residual(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + self.body(x)


class Branches(nn.Module):
    def __init__(self, *bodies):
        super().__init__()
        self.bodies = nn.ModuleList(bodies)

    def forward(self, x):
        return torch.cat([body(x) for body in self.bodies], 1)


class Twice(nn.Module):
    """One module is used at two places."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(torch.tanh(self.body(x)))


class Squeezed(nn.Module):
    """Channels are weighed by their means, and by weights and a buffer of their own."""

    def __init__(self, channels):
        super().__init__()
        self.weigh = nn.Conv2d(channels, channels, 1)
        self.gain, self.rate = nn.Parameter(torch.randn(channels)), nn.Parameter(torch.randn(1))
        self.register_buffer("mean", torch.rand(channels, 1, 1))

    def forward(self, x):
        means = F.adaptive_avg_pool2d(x - self.mean, 1)
        return (x * torch.sigmoid(self.weigh(means)) + self.gain[:, None, None]) * self.rate


class Moved(nn.Module):
    """Numbers change places."""

    def forward(self, x):
        n, c, h, w = x.shape
        a, b = torch.roll(x, (1, -1), (2, 3)), torch.flip(x, [3])
        return torch.stack([a, b], 2).view(n, 2 * c, h, w)


class Tokens(nn.Module):
    """Pixels are samples of a dense layer, and images again."""

    def __init__(self, channels):
        super().__init__()
        self.norm, self.dense = nn.LayerNorm(channels), nn.Linear(channels, channels)

    def forward(self, x):
        flat = x.flatten(2).transpose(1, 2)
        flat = flat + self.dense(self.norm(flat))
        return flat.transpose(1, 2).unflatten(2, x.shape[2:])


def _norm(draw, c):
    groups = draw.choice([g for g in (1, 2, 3, c) if c % g == 0])
    affine = draw.random() < 0.7
    return draw.choice([
        nn.BatchNorm2d(c, 1e-3, draw.choice([0.1, 0.3]), affine),
        nn.GroupNorm(groups, c, affine=affine),
        nn.InstanceNorm2d(c, affine=affine),
    ])  # fmt: skip


def _filters(draw, c):
    groups = draw.choice([g for g in (1, 1, 2, c) if c % g == 0])
    stride, size = draw.choice([1, 1, 2]), (draw.randint(1, 3), draw.randint(1, 3))
    if draw.random() < 0.3:
        about = (stride, draw.randint(0, 1), draw.randint(0, stride - 1), groups)
        return nn.ConvTranspose2d(c, groups * draw.randint(1, 3), size, *about)
    padding = draw.choice([0, 1, (1, 2), "same" if stride == 1 else 1])
    about = (stride, padding, draw.choice([1, 1, 2]), groups, draw.random() < 0.7)
    return nn.Conv2d(c, groups * draw.randint(1, 3), size, *about, draw.choice(MODES))


def _of_images(draw, c):
    kind = draw.randrange(15)
    if kind < 5:
        return _filters(draw, c)
    act = draw.choice(ACTIVATIONS)
    return (
        lambda: _norm(draw, c),
        act,
        lambda: nn.MaxPool2d(draw.randint(1, 3), draw.choice([None, 1, 2]), ceil_mode=True),
        lambda: nn.AvgPool2d(2, draw.choice([None, 1, 3]), draw.choice([0, 1])),
        lambda: Residual(nn.Sequential(_norm(draw, c), act(), nn.Conv2d(c, c, 3, padding=1))),
        lambda: Branches(nn.Conv2d(c, 2, 1), nn.Conv2d(c, 1, 3, padding=1), nn.Identity()),
        lambda: draw.choice([Squeezed(c), Twice(nn.Conv2d(c, c, 3, padding=1)), Tokens(c)]),
        lambda: draw.choice([Moved(), nn.ChannelShuffle(c), nn.PReLU(c), nn.Softmax2d()]),
        lambda: nn.Upsample(scale_factor=2, mode=draw.choice(["nearest", "bilinear"])),
        lambda: draw.choice(PADS)((1, 0, 1, 2)),
    )[kind - 5]()


def _of_series(draw, c):
    groups = draw.choice([1, c])
    act = draw.choice(ACTIVATIONS)
    about = (1, draw.randint(0, 1), draw.randint(1, 2), groups, True, draw.choice(MODES))
    return draw.choice([
        nn.Conv1d(c, groups * draw.randint(1, 3), draw.randint(1, 3), *about),
        nn.ConvTranspose1d(c, 2, 3, 2, 1, 1), nn.BatchNorm1d(c, affine=draw.random() < 0.5),
        nn.MaxPool1d(2), nn.AdaptiveAvgPool1d(3), nn.Upsample(scale_factor=2, mode="linear"),
        nn.ReplicationPad1d((1, 2)), nn.ConstantPad1d(1, 0.5), act(),
    ])  # fmt: skip


def _of_vectors(draw, c):
    act = draw.choice(ACTIVATIONS)
    return draw.choice([
        nn.Linear(c, draw.randint(1, 8), bias=draw.random() < 0.8), nn.LayerNorm(c), act(),
        nn.BatchNorm1d(c, affine=draw.random() < 0.5), nn.RMSNorm(c, 1e-5), nn.Softmin(1),
        Residual(nn.Sequential(nn.Linear(c, c), act())), Twice(nn.Linear(c, c)),
    ])  # fmt: skip


def module(seed):
    """Return a module in evaluation mode, without trivial weights, and the shape of a sample."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    of, axes = draw.choice([(_of_images, 3), (_of_images, 3), (_of_series, 2), (_of_vectors, 1)])
    shape = (draw.randint(1, 4), *(draw.randint(5, 8) for _ in range(axes - 1)))
    parts, now = [], shape
    for _ in range(draw.randint(1, 5)):
        part = of(draw, now[0])
        try:
            with torch.no_grad():
                after = part.eval()(torch.zeros(2, *now)).shape[1:]
        except RuntimeError:  # a window beyond what is left
            continue
        if after.numel() <= LARGEST:
            parts, now = [*parts, part], tuple(after)
    pooled = axes == 3 and draw.random() < 0.5
    head = [nn.AdaptiveAvgPool2d((2, 1))] if pooled else []
    size = 2 * now[0] if pooled else torch.Size(now).numel()
    made = nn.Sequential(*parts, *head, nn.Flatten(), nn.Linear(size, 3))
    return stirred(made), shape


def stirred(made):
    """Return a module with nothing left at 0 or 1, running statistics included."""
    with torch.no_grad():
        for name, value in (*made.named_parameters(), *made.named_buffers()):
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0)
            elif value.dim() == 1 and value.is_floating_point():
                value.add_(0.1 * torch.randn_like(value))
    return made.eval()
