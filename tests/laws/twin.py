"""Described networks in PyTorch, float64, and their losses. No update rule is here."""

import re

import cases
import numpy as np
import reference
import torch
from described import SPACE, Call, Fork, Meet, Use, code
from shapes import ACTIVATIONS as BY_CLASS
from shapes import along, around, both, image, sequence, spread, window
from steep import schedules

F = torch.nn.functional


def elu(x, alpha):
    """PyTorch's own forms take 1 from e^x: near 0 their digits are gone."""
    return torch.where(x > 0, x, alpha * torch.expm1(torch.clamp(x, max=0.0)))


# Those that PyTorch has; others are taken from the reference.
ACTIVATIONS = {
    "linear": lambda x, a: x,
    "relu": lambda x, a: torch.relu(x),
    "leaky_relu": F.leaky_relu,
    "elu": elu,
    "sigmoid": lambda x, a: torch.sigmoid(x),
    "tanh": lambda x, a: torch.tanh(x),
    "gelu": lambda x, a: F.gelu(x),
    # PyTorch's own form adds 1 to a tanh: far below 0 nothing is left of its gradient.
    "gelu_tanh": lambda x, a: x * torch.sigmoid(reference.gelu_u(x)),
    "silu": lambda x, a: F.silu(x),
    "mish": lambda x, a: F.mish(x),
    "selu": lambda x, a: reference.SELU_S * elu(x, reference.SELU_A),
    "celu": lambda x, a: a * elu(x / a, 1.0),
    "relu6": lambda x, a: F.relu6(x),
    "hard_sigmoid": lambda x, a: F.relu6(x + 3) / 6,  # F.hardsigmoid has float32's sixth in f'
    "hard_swish": lambda x, a: F.hardswish(x),
    "hard_tanh": lambda x, a: F.hardtanh(x),
    "log_sigmoid": lambda x, a: F.logsigmoid(x),
    "softsign": lambda x, a: F.softsign(x),
    "soft_shrink": F.softshrink,
    "hard_shrink": F.hardshrink,
    "exp": lambda x, a: torch.exp(x),
    "log": lambda x, a: torch.log(x),
    "square": lambda x, a: x * x,
    "abs": lambda x, a: torch.abs(x),
    "softplus": lambda x, a: F.softplus(x, threshold=1e9),
    "sqrt": lambda x, a: torch.sqrt(x),
    "sin": lambda x, a: torch.sin(x),
    "cos": lambda x, a: torch.cos(x),
}
LOSSES = {
    "mse": lambda z, y, loss: F.mse_loss(z, y, reduction="none"),
    "mae": lambda z, y, loss: F.l1_loss(z, y, reduction="none"),
    "huber": lambda z, y, loss: F.huber_loss(z, y, reduction="none", delta=loss.delta),
    "cross_entropy": lambda z, y, loss: F.cross_entropy(
        z, y, reduction="none", label_smoothing=loss.label_smoothing
    ),
    "binary_cross_entropy": lambda z, y, loss: F.binary_cross_entropy_with_logits(
        z, y, reduction="none"
    ),
}
BENT = {"softsign"}  # whose slope bends at 0, where PyTorch takes the middle
ALIASES = {"swish": "silu", "hard_silu": "hard_swish", "logistic": "sigmoid"}
GATES = {"glu": "sigmoid", "swiglu": "silu", "geglu": "gelu", "reglu": "relu"}
DEFAULTS = {"leaky_relu": 0.01, "elu": 1.0, "celu": 1.0, "soft_shrink": 0.5, "hard_shrink": 0.5}

STAYS = re.compile(r"running_|\.(u|rise|start)$")  # what no gradient moves


class Twin:
    """A described network with weights by name, in the order in which steep defines them."""

    follows = True  # running statistics, what they see

    def __init__(self, case, state, close):
        self.case, self.close = case, close  # nearer to a kink than `close` is not clear
        self.leaves = {
            name: torch.tensor(np.asarray(value, np.float64)) for name, value in state.items()
        }
        frozen = case.frozen and case.build is not None
        self.frozen = set([*state][:-1:3]) if frozen else set()
        self.trained = [n for n in state if not STAYS.search(n) and n not in self.frozen]
        for name in self.trained:
            self.leaves[name].requires_grad_(True)
        self._names, self._where = iter(state), {}
        self.bounds = {}  # constraints by weight
        self._spectral = []  # layers whose one inside has its weight divided
        self.added = []  # losses of samples that layers add
        self.training = True
        self.step = 0  # which schedules go by
        self.once = False  # whether a function in it has a first derivative only
        self.bent = False  # whether it has no second derivative where it is evaluated
        self.unclear = (
            False  # whether rounding decides: a value near a kink, equal values normalised
        )

    def run(self, inputs):
        """Return the outputs for a list of inputs, (N, ...)."""
        self._second = inputs[1] if len(inputs) > 1 else None
        return self.chain(self.case.body, inputs[0], ())

    def divided(self, weight, outer):
        """Return a weight divided by its largest singular value, where the layer around says so."""
        node, key = self._spectral.pop() if self._spectral else (None, None)
        if node is None:
            return weight
        assert key == outer[:-1]
        matrix = weight.reshape(-1, weight.shape[-1])
        with torch.no_grad():
            u = self.take(key, "u")
            now = u.clone()
            for _ in range(node.get("iterations", 1)):
                v = F.normalize(matrix @ now, dim=0)
                now = F.normalize(matrix.T @ v, dim=0)
            if self.training and self.follows and self._where[key, "u"] not in self.frozen:
                u.copy_(now)
        return weight / (v @ matrix @ now)

    def take(self, key, word):
        """Return a weight of the layer at a place; its name is found when it is met first."""
        if (key, word) not in self._where:
            name = next(self._names)
            assert name.endswith(f".{word}"), f"{name} comes where a {word} was expected"
            self._where[key, word] = name
        return self.leaves[self._where[key, word]]

    def weight(self, node, key):
        """Return the weight of a layer that may have a constraint, and note that."""
        found = self.take(key, "weight")
        self.bounds[self._where[key, "weight"]] = node.get("constraint")
        return found

    def named(self, key, word):
        """Return the name of a weight that was met."""
        return self._where[key, word]

    def chain(self, nodes, x, key):
        for k, node in enumerate(nodes):
            x = self.node(node, x, (*key, k))
        return x

    def node(self, node, x, key):
        if isinstance(node, Use):
            return self.node(dict(self.case.shared)[node.name], x, (node.name,))
        if isinstance(node, Fork):
            return join(node.op, [self.chain(w, x, (*key, k)) for k, w in enumerate(node.ways)])
        if isinstance(node, Meet):
            return join(node.op, [x, self.chain(node.way, self._second, (*key, "way"))])
        return LAYERS[node.kind](self, node, x, key)

    def activate(self, given, x, key=()):
        """Apply what stands as `activation=`, a name or a layer."""
        if given is None:
            return x
        if given in GATES:
            return self.gated(GATES[given], x)
        if not isinstance(given, str):
            return LAYERS[given.kind](self, given, x, (*key, "activation"))
        return self.function(given, x, DEFAULTS.get(given, 0.0))

    def gated(self, name, x):
        a, b = x.chunk(2, -1)
        return a * self.function(name, b, DEFAULTS.get(name, 0.0))

    def function(self, name, x, alpha):
        name = ALIASES.get(name, name)
        if name == "softmax":
            return torch.softmax(x, -1)
        self.look(x, cases.ACTIVATIONS[name].kinks(alpha))
        self.once |= name not in ACTIVATIONS
        self.bent |= name in BENT and bool((x.detach() == 0).any())
        return apply(name, x, alpha)

    def look(self, x, kinks):
        """Note whether a value is near to a kink; on it is clear."""
        for place in kinks:
            near = (x.detach() - place).abs()
            self.unclear |= bool(((near > 0) & (near < self.close)).any())

    def largest(self, parts):
        """Note whether the two largest along the last axis are as good as equal, and return one.

        Rounding says then who gets dy.
        """
        if parts.shape[-1] > 1:
            first, second = parts.detach().topk(2, dim=-1).values.unbind(-1)
            self.unclear |= bool(((first - second < self.close) & (first != 0)).any())
        return parts.max(-1).values


class Reference(torch.autograd.Function):
    """What a function of NumPy gives for x: values, and their derivative by their own part of x."""

    @staticmethod
    def forward(ctx, x, f):
        value, slope = (torch.from_numpy(np.asarray(a)) for a in f(x.detach().double().numpy()))
        ctx.save_for_backward(slope.to(x.dtype))
        return value.to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        (slope,) = ctx.saved_tensors
        return dy.reshape(dy.shape + (1,) * (slope.dim() - dy.dim())) * slope, None


def apply(name, x, alpha):
    if name in ACTIVATIONS:
        return ACTIVATIONS[name](x, alpha)
    f, slope = reference.ACTIVATIONS[name]
    return Reference.apply(x, lambda x: (f(x, alpha), slope(x, alpha)))


def join(op, parts):
    total = parts[0]
    if op == "concat":
        return torch.cat(parts, -1)
    for part in parts[1:]:
        total = {"add": torch.add, "subtract": torch.sub, "multiply": torch.mul}[op](total, part)
    return total


def as_image(x):
    return x.reshape(len(x), *image(tuple(x.shape[1:])))


def nchw(x):
    return as_image(x).permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def padded(x, zeros, value=0.0):
    top, bottom, left, right = zeros
    return F.pad(x, (left, right, top, bottom), value=value)


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


def conv(twin, node, x, key):
    x = as_image(x)
    _, stride, dilation, zeros = window(node, tuple(x.shape[1:]))
    weight = twin.weight(node, key)
    bias = twin.take(key, "bias") if node.get("use_bias", True) else None
    weight = twin.divided(weight, key).permute(3, 2, 0, 1).contiguous()
    groups = node.get("groups", 1)
    y = F.conv2d(padded(nchw(x), zeros).contiguous(), weight, bias, stride, 0, dilation, groups)
    return twin.activate(node.get("activation"), nhwc(y), key)


def conv_transpose(twin, node, x, key):
    """PyTorch's, with what is cut off and added, of each side its own, done around it."""
    x = as_image(x)
    _, stride, dilation, cut, more, size = spread(node, tuple(x.shape[1:]))
    weight = twin.weight(node, key).permute(3, 2, 0, 1).contiguous()
    groups = node.get("groups", 1)
    y = F.conv_transpose2d(
        nchw(x).contiguous(), weight, None, stride, 0, 0, groups, dilation=dilation
    )
    y = nhwc(F.pad(y, (0, more[1], 0, more[0])))
    y = y[:, cut[0] : cut[0] + size[0], cut[2] : cut[2] + size[1]]
    if node.get("use_bias", True):
        y = y + twin.take(key, "bias")
    return twin.activate(node.get("activation"), y, key)


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


def max_pool(twin, node, x, key):
    x = as_image(x)
    size, stride, _, zeros = window(node, tuple(x.shape[1:]))
    wide = padded(nchw(x), zeros, -torch.inf)
    twin.largest(
        wide.detach().unfold(2, size[0], stride[0]).unfold(3, size[1], stride[1]).flatten(4)
    )
    return nhwc(F.max_pool2d(wide, size, stride))


def avg_pool(twin, node, x, key):
    x = as_image(x)
    size, stride, _, zeros = window(node, tuple(x.shape[1:]))
    ones = padded(
        torch.ones(1, 1, *x.shape[1:3], dtype=x.dtype), zeros, float(node.get("count_padding", 0))
    )
    sums, counts = (
        F.avg_pool2d(part, size, stride, divisor_override=1)
        for part in (padded(nchw(x), zeros), ones)
    )
    return nhwc(sums / counts)


def global_pool(twin, node, x, key):
    return as_image(x).mean((1, 2))


def largest_pixel(twin, node, x, key):
    return twin.largest(as_image(x).flatten(1, 2).transpose(1, 2))


def channels_first(x):
    return x.reshape(len(x), *sequence(tuple(x.shape[1:]))).transpose(1, 2)


def conv1d(twin, node, x, key):
    x = channels_first(x)
    _, stride, dilation, zeros = along(node, x.shape[2])
    weight = twin.take(key, "weight").permute(2, 1, 0).contiguous()
    bias = twin.take(key, "bias") if node.get("use_bias", True) else None
    y = F.conv1d(F.pad(x, zeros), weight, bias, stride, 0, dilation, node.get("groups", 1))
    return twin.activate(node.get("activation"), y.transpose(1, 2), key)


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


def max_pool1d(twin, node, x, key):
    x = channels_first(x)
    size, stride, _, zeros = along(node, x.shape[2])
    wide = F.pad(x, zeros, value=-torch.inf)
    twin.largest(wide.detach().unfold(2, size, stride))
    return F.max_pool1d(wide, size, stride).transpose(1, 2)


def avg_pool1d(twin, node, x, key):
    x = channels_first(x)
    size, stride, _, zeros = along(node, x.shape[2])
    ones = F.pad(
        torch.ones(1, 1, x.shape[2], dtype=x.dtype),
        zeros,
        value=float(node.get("count_padding", 0)),
    )
    sums, counts = (F.avg_pool1d(part, size, stride) for part in (F.pad(x, zeros), ones))
    return (sums / counts).transpose(1, 2)


def mean_step(twin, node, x, key):
    return channels_first(x).mean(2)


def largest_step(twin, node, x, key):
    return twin.largest(channels_first(x))


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


def lrn(twin, node, x, key):
    x = as_image(x)
    half = node.args[0] // 2
    squares = F.pad(x * x, (half, half))
    sums = squares.unfold(3, 2 * half + 1, 1).sum(-1)
    alpha, beta = node.get("alpha", 1e-4), node.get("beta", 0.75)
    return x / (node.get("bias", 2.0) + alpha * sums) ** beta


def upsample(twin, node, x, key):
    rows, columns = both(node.args[0])
    return as_image(x).repeat_interleave(rows, 1).repeat_interleave(columns, 2)


def zero_pad(twin, node, x, key):
    top, bottom, left, right = around(node.args[0], (0, 0), (1, 1), (1, 1), (1, 1))
    before, behind = both(node.get("channels", 0))
    return F.pad(as_image(x), (before, behind, left, right, top, bottom))


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


def patches(twin, node, x, key):
    x, size = as_image(x), both(node.args[0])
    n, height, width, channels = x.shape
    rows, columns = height // size[0], width // size[1]
    parts = x.reshape(n, rows, size[0], columns, size[1], channels).transpose(2, 3)
    weight = twin.take(key, "weight").reshape(-1, node.args[1])
    return parts.reshape(n, rows * columns, -1) @ weight + twin.take(key, "bias")


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
    "Conv2D": conv,
    "MaxPool2D": max_pool,
    "AvgPool2D": avg_pool,
    "GlobalAvgPool2D": global_pool,
    "GlobalMaxPool2D": largest_pixel,
    "Conv1D": conv1d,
    "MaxPool1D": max_pool1d,
    "AvgPool1D": avg_pool1d,
    "GlobalAvgPool1D": mean_step,
    "GlobalMaxPool1D": largest_step,
    "BatchNorm": batch_norm,
    "LocalResponseNorm": lrn,
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
    "PatchEmbedding": patches,
    "UpSample2D": upsample,
    "ZeroPad2D": zero_pad,
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
    "Conv2DTranspose": conv_transpose,
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


def positions(loss, z, y):
    labelled = y.dtype == torch.int64
    rows = F.cross_entropy(
        z.movedim(-1, 1), y.reshape(z.shape[:-1]) if labelled else y.movedim(-1, 1),
        reduction="none", label_smoothing=loss.label_smoothing,
        ignore_index=-100 if loss.ignore is None else loss.ignore,
    )  # fmt: skip
    return rows.reshape(len(z), -1)


def loss_rows(loss, z, y):
    """Return the loss of each sample; `loss` is steep's description, for its name and number.

    Of cross entropy at positions that of each, (N, positions), 0 where a label is ignored.
    """
    if loss.by_position and z.dim() > 2:
        return positions(loss, z, y)
    z = z.reshape(len(z), -1)
    y = y.reshape(z.shape) if y.numel() == z.numel() else y
    if loss.name in LOSSES:
        return LOSSES[loss.name](z, y, loss).reshape(len(z), -1).mean(1)
    y = reference.one_hot(y.numpy(), z.shape[1]) if y.dtype == torch.int64 else y.double().numpy()
    return Reference.apply(z, lambda z: reference.LOSSES[loss.name](z, y, loss.option))
