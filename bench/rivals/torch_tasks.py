"""PyTorch's side of the cases of more than one loss, or of noise or a graph: eager and compiled."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from rivals import UnsupportedError
from rivals.torch_best import best
from rivals.torch_gpt import GPT


def prepare(case, variant, bench):
    """Return the fastest of fused and foreach Adam; or a compiled loss with the fused one."""
    problems = {"two_heads": TwoHeads, "vae_mnist": VAE, "gcn_cora": GCN, "gpt_tiny": GPT,
                "lstm_rows": Series, "gru_long": Series, "char_lstm": Characters}  # fmt: skip
    if case.name == "dcgan28":
        if variant not in ("torch", "torch-channels-last"):
            raise UnsupportedError(f"no {variant} variant of {case.name}")
        return best([(how, lambda how=how: dcgan(case, variant, how, bench)) for how in HOW])
    if variant not in ("torch", "torch-compile"):
        raise UnsupportedError(f"no {variant} variant of {case.name}")
    hows = HOW if variant == "torch" else ("fused",)
    kinds = ["sparse features", "dense features"] if case.name == "gcn_cora" else [""]

    def option(how, kind):
        def make():
            return step(
                case, problems[case.name](*bench.task_data(case), kind), how, variant, bench
            )

        return f"{how} Adam {kind}".strip(), make

    return best([option(how, kind) for how in hows for kind in kinds])


HOW = ("fused", "foreach")


def step(case, problem, how, variant, bench):
    """Prepare a training step of one network with one loss of its batch."""
    update = torch.optim.Adam(problem.parameters(), case.lr, **{how: True})
    batches = problem.batches(case.batch)
    loss = problem.loss
    if variant == "torch-compile":
        loss = torch.compile(problem.loss, dynamic=False)

    def one(batch):
        update.zero_grad(set_to_none=True)
        loss(*batch).backward()
        update.step()

    for i in range(bench.CHECK_STEPS):
        one(batches[i % len(batches)])
    problem.eval()
    with torch.no_grad():
        check = problem.loss(*batches[0]).item()
    problem.train()

    def run():
        for _ in range(case.epochs):
            for batch in batches:
                one(batch)

    return bench.Work(run, case.batches * case.epochs, check=check)


def linear(weights, at):
    """Return the layer of the weights (in, out), (out,) at this place."""
    w, b = weights[2 * at], weights[2 * at + 1]
    made = nn.Linear(*w.shape)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(w).t())
        made.bias.copy_(torch.from_numpy(b))
    return made


class TwoHeads(nn.Module):
    """Two hidden layers, classes and values."""

    def __init__(self, arrays, weights, _):
        super().__init__()
        self.body = nn.Sequential(linear(weights, 0), nn.ReLU(), linear(weights, 1), nn.ReLU())
        self.label, self.box = linear(weights, 2), linear(weights, 3)
        self.arrays = [torch.from_numpy(arrays[name]) for name in ("x", "label", "box")]

    def batches(self, size):
        """Return (x, label, box) of each batch."""
        return list(zip(*(a.split(size) for a in self.arrays), strict=True))

    def loss(self, x, label, box):
        """Return cross entropy and twice the Huber loss."""
        h = self.body(x)
        return F.cross_entropy(self.label(h), label) + 2 * F.huber_loss(self.box(h), box)


class VAE(nn.Module):
    """Encoder and decoder of one hidden layer each; means and log variances in one product."""

    def __init__(self, arrays, weights, _):
        super().__init__()
        self.layers = nn.ModuleList(linear(weights, i) for i in range(4))
        self.x = torch.from_numpy(arrays["x"])

    def batches(self, size):
        """Return (x,) of each batch."""
        return [(x,) for x in self.x.split(size)]

    def loss(self, x):
        """Return minus the bound."""
        into, code, out, back = self.layers
        mean, log_variance = code(F.relu(into(x))).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        pixels = F.binary_cross_entropy_with_logits(back(F.relu(out(z))), x, reduction="sum")
        spread = 1 + log_variance - mean * mean - log_variance.exp()
        return (pixels - 0.5 * spread.sum()) / len(x)


class Stepped(nn.Module):
    """What goes through sequences step by step: samples, a head, weights that steep began with."""

    def begin(self, arrays, head, given):
        """Take samples, the weights of the head, and what other parameters begin with."""
        with torch.no_grad():
            for parameter, value in given:
                parameter.copy_(value)
        self.head = linear([weight.numpy() for weight in head], 0)
        self.arrays = [torch.from_numpy(arrays[name]) for name in ("x", "y")]

    def batches(self, size):
        """Return (x, y) of each batch."""
        return list(zip(*(a.split(size) for a in self.arrays), strict=True))


class Series(Stepped):
    """An LSTM, which oneDNN has in one call, or a GRU, and a layer on its last h."""

    def __init__(self, arrays, weights, _):
        super().__init__()
        w, u, bias, *second, head, last = (torch.from_numpy(a) for a in weights)
        made = nn.GRU if second else nn.LSTM
        self.cell = made(w.shape[0], u.shape[0], batch_first=True)
        values = (w.t(), u.t(), bias, second[0] if second else torch.zeros_like(bias))
        self.begin(arrays, (head, last), zip(self.cell.parameters(), values, strict=True))

    def loss(self, x, y):
        """Return cross entropy, or the mean squared error of one value."""
        z = self.head(self.cell(x)[0][:, -1])
        return F.mse_loss(z, y) if z.shape[1] == 1 else F.cross_entropy(z, y)


class Characters(Stepped):
    """A table of tokens, an LSTM, and a layer on each h."""

    def __init__(self, arrays, weights, _):
        super().__init__()
        table, w, u, bias, head, last = (torch.from_numpy(a) for a in weights)
        self.table = nn.Embedding(*table.shape)
        self.cell = nn.LSTM(w.shape[0], u.shape[0], batch_first=True)
        values = (table, w.t(), u.t(), bias, torch.zeros_like(bias))
        places = (self.table.weight, *self.cell.parameters())
        self.begin(arrays, (head, last), zip(places, values, strict=True))

    def loss(self, x, y):
        """Return the mean over all positions."""
        z = self.head(self.cell(self.table(x))[0])
        return F.cross_entropy(z.flatten(0, 1), y.flatten())


class GCN(nn.Module):
    """Two layers over a graph in compressed rows."""

    def __init__(self, arrays, weights, kind):
        super().__init__()
        self.w = nn.ParameterList(nn.Parameter(torch.from_numpy(w.copy())) for w in weights)
        x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
        self.x, self.sparse = (x.to_sparse_csr(), True) if "sparse" in kind else (x, False)
        self.a = adjacency(arrays["edges"], len(y))
        self.known = torch.nonzero(y >= 0)[:, 0]
        self.y = y[self.known]

    def batches(self, _):
        """Return the one batch, which is the graph."""
        return [()]

    def loss(self):
        """Return the mean over the nodes that have a label."""
        w1, b1, w2, b2 = self.w
        xw = torch.sparse.mm(self.x, w1) if self.sparse else self.x @ w1
        h = F.dropout(F.relu(torch.sparse.mm(self.a, xw) + b1), 0.5, self.training)
        z = torch.sparse.mm(self.a, h @ w2) + b2
        return F.cross_entropy(z[self.known], self.y)


def adjacency(edges, nodes):
    """Return D^-1/2 (A + I) D^-1/2 of edges that are listed once, in compressed rows."""
    i = np.concatenate([edges.T, edges.T[::-1], np.arange(nodes)[None].repeat(2, 0)], axis=1)
    degree = np.bincount(i[0], minlength=nodes)
    value = (1 / np.sqrt(degree[i[0]] * degree[i[1]])).astype(np.float32)
    full = torch.sparse_coo_tensor(torch.from_numpy(i), torch.from_numpy(value), (nodes, nodes))
    return full.coalesce().to_sparse_csr()


def dcgan(case, variant, how, bench):
    """Prepare a discriminator's step and a generator's; fakes are made once for both."""
    up, down = nn.ConvTranspose2d, nn.Conv2d
    g = nn.Sequential(
        nn.Linear(100, 7 * 7 * 128, bias=False), nn.Unflatten(1, (128, 7, 7)),
        nn.BatchNorm2d(128), nn.ReLU(), up(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64),
        nn.ReLU(), up(64, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    d = nn.Sequential(
        down(1, 64, 4, 2, 1), nn.LeakyReLU(0.2), down(64, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(128 * 49, 1),
    )  # fmt: skip
    if variant == "torch-channels-last":
        g, d = (net.to(memory_format=torch.channels_last) for net in (g, d))
    of_g, of_d = (
        torch.optim.Adam(net.parameters(), case.lr, betas=(0.5, 0.999), **{how: True})
        for net in (g, d)
    )
    x = torch.from_numpy(bench.task_data(case)[0]["x"]).permute(0, 3, 1, 2).contiguous()
    one, nothing = torch.ones(case.batch, 1), torch.zeros(case.batch, 1)
    cost = F.binary_cross_entropy_with_logits

    def both(real):
        fake = g(torch.randn(case.batch, 100))
        of_d.zero_grad(set_to_none=True)
        (cost(d(real), one) + cost(d(fake.detach()), nothing)).backward()
        of_d.step()
        d.requires_grad_(False)
        of_g.zero_grad(set_to_none=True)
        cost(d(fake), one).backward()
        of_g.step()
        d.requires_grad_(True)

    def run():
        for real in x.split(case.batch):
            both(real)

    return bench.Work(run, case.batches)
