"""Each layer in PyTorch: a function of the twin, its description, what comes in and its name."""

import numpy as np
import torch
from described import SPACE, Call, code
from laws import twin_images as images
from laws.twin_functions import DEFAULTS, join
from shapes import ACTIVATIONS as BY_CLASS
from steep import schedules

F = torch.nn.functional


def dense(twin, node, x, key):
    weight = twin.weight(node, key)
    bias = twin.take(key, "bias") if node.get("use_bias", True) else 0.0
    x = x / x.shape[-1] ** 0.5 if node.get("ntk") else x
    y = x @ twin.divided(weight, key) + bias
    given = node.get("activation", node.args[1] if len(node.args) > 1 else None)
    return twin.activate(given, y, key)


def graph_conv(twin, node, x, key):
    graph = torch.from_numpy(made(node.args[1]).dense())
    features, weight = node.get("features"), twin.weight(node, key)
    y = x @ weight if features is None else x * (torch.from_numpy(made(features).dense()) @ weight)
    bias = twin.take(key, "bias") if node.get("use_bias", True) else 0.0
    return twin.activate(node.get("activation", node.args[2]), graph @ y + bias, key)


def made(given):
    """Return what a described value is."""
    return eval(code(given), dict(SPACE))


def gate(twin, node, x, key):
    inside = torch.tanh(x @ twin.take(key, "inside"))
    weight = twin.take(key, "gate")
    return inside * torch.sigmoid(x @ weight + twin.take(key, "bias"))


def diamond(twin, node, x, key):
    left, right = (
        x @ twin.take((*key, k), "weight") + twin.take((*key, k), "bias") for k in range(2)
    )
    return torch.tanh(left) * right + right


def size(twin, node, x, key):
    """What it adds to the loss is noted: of each sample the sum of elements."""
    twin.added.append(node.args[0] * (0.5 * x * x).reshape(len(x), -1).sum(1))
    return x


def rung(twin, node, x, key):
    y = torch.tanh(x) * twin.take(key, "gain")
    y = y + twin.take(key, "shift")
    return (1 - y) * x - 0.5 * y + x / 3.0


def shift(twin, node, x, key):
    return node.args[0] - x if node.get("turned", False) else x + node.args[0]


def tied(twin, node, x, key):
    """The weight is that of a layer that stands elsewhere, and was met before."""
    y = x @ twin.take((node.args[0].name,), "weight").T
    if node.get("use_bias", True):
        y = y + twin.take(key, "bias")
    return twin.activate(node.get("activation"), y, key)


class Reversed(torch.autograd.Function):
    """x, whose gradient comes back times -scale."""

    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, dy):
        return -ctx.scale * dy, None


def gradient_reversal(twin, node, x, key):
    scale = (*node.args, 1.0)[0]
    if isinstance(scale, Call):
        scale = getattr(schedules, scale.kind)(*scale.args)(twin.step)
    return Reversed.apply(x, scale)


def recurrent(twin, node, x, key, *, steps=None, back=None):
    """Step by step; the first `steps` of a sample, where that is told."""
    reverse = node.get("reverse", False) if back is None else back
    w, u = twin.take(key, "weight"), twin.take(key, "recurrent")
    after = node.kind == "GRU" and node.get("reset_after", True)
    bias, second = (
        twin.take(key, word) if node.get("use_bias", True) and there else torch.zeros(w.shape[1])
        for word, there in (("bias", True), ("recurrent_bias", after))
    )
    count, units = min(steps or x.shape[1], x.shape[1]), u.shape[0]
    h = c = torch.zeros(len(x), units, dtype=x.dtype)
    found = {}
    for t in reversed(range(count)) if reverse else range(count):
        a = x[:, t] @ w + bias
        if node.kind == "LSTM":
            i, f, g, o = (a + h @ u).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        elif node.kind == "GRU":
            of_h = h @ u[:, : 2 * units] + second[: 2 * units]
            r, z = torch.sigmoid(a[:, : 2 * units] + of_h).chunk(2, 1)
            last = u[:, 2 * units :]
            n = r * (h @ last + second[2 * units :]) if after else (r * h) @ last
            n = torch.tanh(a[:, 2 * units :] + n)
            h = (1 - z) * n + z * h
        else:
            a = a + h @ u
            if node.get("activation") == "relu":
                twin.look(a, (0.0,))
            h = torch.relu(a) if node.get("activation") == "relu" else torch.tanh(a)
        found[t] = h
    if not node.get("return_sequences"):
        return h
    rest = h if node.get("hold") else torch.zeros_like(h)
    return torch.stack([found.get(t, rest) for t in range(x.shape[1])], dim=1)


def counted(twin, node, x, key):
    return recurrent(twin, node.args[0], x, (*key, 0), steps=node.args[1])


def ragged(twin, node, x, key):
    """Samples of each length as a batch of them all has it."""
    inner, steps = node.args[0], x.shape[1]
    lengths = 1 + (x[:, : steps - 1, 0] > 0.3).sum(1)
    way = bidirectional if inner.kind == "Bidirectional" else recurrent
    found = 0.0
    for count in sorted(set(lengths.tolist())):
        y = way(twin, inner, x, (*key, 0), steps=count)
        there = (lengths == count).reshape(-1, *[1] * (y.dim() - 1))
        found = torch.where(there, y, found)
    return found


def time_distributed(twin, node, x, key):
    steps = [twin.chain(node.args, x[:, t], key) for t in range(x.shape[1])]
    return torch.stack(steps, dim=1)


def bidirectional(twin, node, x, key, steps=None):
    inner, merge = node.args[0], node.get("merge", "concat")
    first = inner.get("reverse", False)
    a = recurrent(twin, inner, x, (*key, 0), steps=steps, back=first)
    other = node.get("backward") or inner
    b = recurrent(twin, other, x, (*key, 1), steps=steps, back=not first)
    if merge == "concat":
        return torch.cat([a, b], dim=-1)
    return a * b if merge == "multiply" else a + b if merge == "add" else (a + b) / 2


def batch_norm(twin, node, x, key):
    weight, bias = twin.take(key, "weight"), twin.take(key, "bias")
    mean, var = twin.take(key, "running_mean"), twin.take(key, "running_var")
    stands = any(twin.named(key, f"running_{what}") in twin.frozen for what in ("mean", "var"))
    if not twin.training or stands:
        return (x - mean) / torch.sqrt(var + node.get("eps", 1e-5)) * weight + bias
    parts = x.split(node.get("virtual_batch", len(x)))
    return torch.cat([normalized(twin, node, part, mean, var) for part in parts]) * weight + bias


def normalized(twin, node, x, mean, var):
    """Return samples that are normalised together; running averages follow them."""
    axes = tuple(range(x.dim() - 1))
    m = x.mean(axes)
    v = ((x - m) ** 2).mean(axes)
    # Of equal values, what is divided by sqrt(eps) is rounding, and so are gradients before it.
    twin.unclear |= bool((v.sqrt() <= twin.close * m.abs()).any())
    # What equals the mean comes to 0, a kink of what may follow, or to a rounding of it.
    twin.unclear |= bool((((x - m).abs() <= twin.close * m.abs()) & (m != 0)).any())
    momentum, count = node.get("momentum", 0.9), x.numel() // x.shape[-1]
    lost = count / max(1, count - 1) if node.get("unbiased", True) else 1.0
    if twin.follows:
        with torch.no_grad():
            mean.copy_(momentum * mean + (1 - momentum) * m)
            var.copy_(momentum * var + (1 - momentum) * v * lost)
    return (x - m) / torch.sqrt(v + node.get("eps", 1e-5))


def normalize(twin, node, x, key):
    mean, std = (torch.tensor(part, dtype=x.dtype) for part in node.args)
    return (x - mean) / std


def spectral_norm(twin, node, x, key):
    twin._spectral.append((node, key))
    return twin.node(node.args[0], x, (*key, 0))


def _normal(twin, node, x, axes, eps):
    """Return x normalised over some axes of its own."""
    eps = node.get("eps", eps)
    m = x.mean(axes, keepdim=True)
    v = x.var(axes, correction=0, keepdim=True)
    # Of equal values, what is divided by sqrt(eps) is rounding, and so are gradients before it.
    twin.unclear |= bool((v.sqrt() <= twin.close * m.abs()).any())
    return (x - m) / torch.sqrt(v + eps)


def layer_norm(twin, node, x, key):
    y = _normal(twin, node, x, -1, 1e-5) * twin.take(key, "weight")
    return y + twin.take(key, "bias") if node.get("use_bias", True) else y


def rms_norm(twin, node, x, key):
    mean = (x * x).mean(-1, keepdim=True)
    return x / torch.sqrt(mean + node.get("eps", 1e-6)) * twin.take(key, "weight")


def group_norm(twin, node, x, key):
    groups = node.args[0] if node.args else x.shape[-1]
    parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    y = _normal(twin, node, parts, (1, 3), 1e-5).reshape(x.shape)
    return y * twin.take(key, "weight") + twin.take(key, "bias")


def attention(twin, node, x, key, prefix=""):
    """Attention to x itself; the law leaves out cases that drop something."""
    heads, biased = node.args[0], node.get("use_bias", True)

    def product(name, x):
        y = x @ twin.take(key, f"{prefix}{name}.weight")
        return y + twin.take(key, f"{prefix}{name}.bias") if biased else y

    parts = product("qkv", x).chunk(3, -1)
    q, k, v = (torch.stack(part.chunk(heads, -1), 1) for part in parts)
    s = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if node.get("causal"):
        s = s.masked_fill(~torch.tril(torch.ones(s.shape[-2:], dtype=torch.bool)), -torch.inf)
    y = torch.softmax(s, -1) @ v
    return product("out", torch.cat([*y.unbind(1)], -1))


def transformer(twin, node, x, key):
    first = node.get("norm_first", True)

    def norm(x, k):
        y = _normal(twin, node, x, -1, 1e-5) * twin.take(key, f"norm{k}.weight")
        return y + twin.take(key, f"norm{k}.bias")

    def attend(x):
        return attention(twin, node, x, key, "attention.")

    def transform(x):
        y = x @ twin.take(key, "up.weight") + twin.take(key, "up.bias")
        y = twin.activate(node.get("activation", "gelu"), y, key)
        return y @ twin.take(key, "down.weight") + twin.take(key, "down.bias")

    for k, half in ((1, attend), (2, transform)):
        x = x + half(norm(x, k)) if first else norm(x + half(x), k)
    return x


def embedding(twin, node, x, key):
    weight, ids = twin.take(key, "weight"), x.round().long()
    padding = node.get("padding")
    if padding is None:
        return weight[ids]
    return torch.where((ids == padding)[..., None], weight[ids].detach(), weight[ids])


def sinusoids(twin, node, x, key):
    t, i = np.arange(x.shape[1])[:, None], np.arange(x.shape[2])
    angles = t / 10000.0 ** (i // 2 * 2 / x.shape[2])
    return x + torch.tensor(np.where(i % 2 == 0, np.sin(angles), np.cos(angles)))


def class_token(twin, node, x, key):
    return torch.cat([twin.take(key, "token").expand(len(x), 1, -1), x], 1)


def rescale(twin, node, x, key):
    return node.args[0] * x + node.args[1]


def residual(twin, node, x, key):
    y = twin.chain(node.args, x, key)
    short = node.get("shortcut")
    past = x if short is None else twin.node(short, x, (*key, "shortcut"))
    return twin.activate(node.get("activation"), y + past, key)


def branches(twin, node, x, key):
    ways = [twin.node(way, x, (*key, k)) for k, way in enumerate(node.args)]
    return join(node.get("join", "concat"), ways)


def dropout(twin, node, x, key):
    if twin.training or node.get("scale_at") != "test":
        return x  # the law leaves out cases that drop something
    return x * (1 - node.args[0])


def alpha_dropout(twin, node, x, key):
    return x  # likewise


def prelu(twin, node, x, key):
    twin.look(x, (0.0,))
    return torch.where(x > 0, x, twin.take(key, "slope") * x)


def parametric_activation(twin, node, x, key):
    y = twin.function(node.args[0], x, DEFAULTS.get(node.args[0], 0.0))
    return x + (y - x) * twin.take(key, "alpha")


def feature_scale(twin, node, x, key):
    return x * twin.take(key, "gain")


def periodic_embedding(twin, node, x, key):
    n, waves = x.shape[1], node.get("waves", 16)
    w, b = (twin.take(key, word).reshape(n, waves) for word in ("frequency", "phase"))
    turns = torch.cos(2 * torch.pi * x[:, :, None] * w + b)
    # Of a grouped convolution: (1, waves, n*units), the columns of each number side by side.
    weight, bias = twin.take(key, "weight")[0], twin.take(key, "bias")
    y = torch.einsum("snw,wnu->snu", turns, weight.reshape(waves, n, -1)).flatten(1) + bias
    y = twin.activate(node.get("activation"), y, key)
    return torch.cat([y, x], 1) if node.get("passes", True) else y


def piecewise_embedding(twin, node, x, key):
    n, bins = x.shape[1], node.get("bins", 32)
    rise, start = (twin.take(key, word).reshape(n, bins) for word in ("rise", "start"))
    way = twin.activate("hard_tanh", x[:, :, None] * rise + start, key)
    weight, bias = twin.take(key, "weight")[0], twin.take(key, "bias")
    y = torch.einsum("snb,bnu->snu", way, weight.reshape(bins, n, -1)).flatten(1) + bias
    return torch.cat([y, x], 1) if node.get("passes", True) else y


def rrelu(twin, node, x, key):
    twin.look(x, (0.0,))
    return torch.where(x > 0, x, sum(node.args) / 2 * x)


def maxout(twin, node, x, key):
    return twin.largest(x.unflatten(-1, (-1, node.args[0])))


def activation(twin, node, x, key):
    name = node.args[0]
    alpha = node.get("alpha")
    return twin.function(name, x, DEFAULTS.get(name, 0.0) if alpha is None else alpha)


def _named(name):
    return lambda twin, node, x, key: twin.function(name, x, (*node.args, DEFAULTS.get(name, 0))[0])


LAYERS = {
    "ParametricActivation": parametric_activation,
    "FeatureScale": feature_scale,
    "PeriodicEmbedding": periodic_embedding,
    "PiecewiseEmbedding": piecewise_embedding,
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU"), recurrent),
    "Counted": counted,
    "Ragged": ragged,
    "Bidirectional": bidirectional,
    "TimeDistributed": time_distributed,
    "Dense": dense,
    "GraphConv": graph_conv,
    "Gate": gate,
    "diamond": diamond,
    "Rung": rung,
    "Shift": shift,
    "Size": size,
    "Conv2D": images.conv,
    "MaxPool2D": images.max_pool,
    "AvgPool2D": images.avg_pool,
    "GlobalAvgPool2D": images.global_pool,
    "GlobalMaxPool2D": images.largest_pixel,
    "Conv1D": images.conv1d,
    "MaxPool1D": images.max_pool1d,
    "AvgPool1D": images.avg_pool1d,
    "GlobalAvgPool1D": images.mean_step,
    "GlobalMaxPool1D": images.largest_step,
    "BatchNorm": batch_norm,
    "LocalResponseNorm": images.lrn,
    "LayerNorm": layer_norm,
    "RMSNorm": rms_norm,
    "GroupNorm": group_norm,
    "InstanceNorm": group_norm,
    "MultiHeadAttention": attention,
    "TransformerBlock": transformer,
    "Embedding": embedding,
    "PositionEmbedding": lambda twin, node, x, key: x + twin.take(key, "weight"),
    "SinusoidalPositions": sinusoids,
    "ClassToken": class_token,
    "Position": lambda twin, node, x, key: x[:, node.args[0]],
    "PatchEmbedding": images.patches,
    "UpSample2D": images.upsample,
    "ZeroPad2D": images.zero_pad,
    "Normalize": normalize,
    "Rescale": rescale,
    "SpectralNorm": spectral_norm,
    "Residual": residual,
    "Branches": branches,
    "Dropout": dropout,
    "AlphaDropout": alpha_dropout,
    "PReLU": prelu,
    "RReLU": rrelu,
    "GLU": lambda twin, node, x, key: twin.gated((*node.args, "sigmoid")[0], x),
    "SwiGLU": lambda twin, node, x, key: twin.gated("silu", x),
    "GEGLU": lambda twin, node, x, key: twin.gated("gelu", x),
    "ReGLU": lambda twin, node, x, key: twin.gated("relu", x),
    "Maxout": maxout,
    "Conv2DTranspose": images.conv_transpose,
    "TiedDense": tied,
    "RepeatVector": lambda twin, node, x, key: x[:, None].expand(-1, node.args[0], -1),
    "GaussianNoise": lambda twin, node, x, key: x,  # likewise
    "Reparameterize": lambda twin, node, x, key: x[..., : x.shape[-1] // 2],  # likewise
    "GradientReversal": gradient_reversal,
    "Activation": activation,
    "Softmax": lambda twin, node, x, key: torch.softmax(x, -1),
    "Flatten": lambda twin, node, x, key: x.flatten(1),
    "Reshape": lambda twin, node, x, key: x.reshape(len(x), *node.args[0]),
    "Sequential": lambda twin, node, x, key: twin.chain(node.args, x, key),
    **{kind: _named(name) for kind, name in BY_CLASS.items()},
}
