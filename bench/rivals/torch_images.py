"""PyTorch's side of the cases over images: NCHW and channels_last, eager and compiled."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch._inductor import config as inductor

from rivals.torch_best import best

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}
POOLS = {"max": nn.MaxPool2d, "mean": nn.AvgPool2d}


def prepare(case, variant, bench):
    """Return the prepared work of one case."""
    make = step if isinstance(case, bench.ImageStep) else convolution
    return make(case, variant, bench)


def layout(variant):
    """Return the memory format of a variant."""
    return torch.channels_last if variant.endswith("channels-last") else torch.contiguous_format


class Residual(nn.Module):
    """Two convolutions and an identity shortcut; new channels of the shortcut are zero."""

    def __init__(self, body, stride, more):
        super().__init__()
        self.body, self.stride, self.more = body, stride, more

    def forward(self, x):
        """Return relu(body(x) + shortcut(x))."""
        y = self.body(x)
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.more:
            x = F.pad(x, (0, 0, 0, 0, 0, self.more))
        return F.relu(y + x)


def build(layers, shape, weights, bench):
    """Return the modules of these layers, taking weights from an iterator, and the shape after.

    `shape` is (channels, height, width).
    """
    made = []
    for layer in layers:
        parts = modules(layer, shape, weights, bench)
        with torch.no_grad():
            shape = nn.Sequential(*parts).eval()(torch.zeros(1, *shape)).shape[1:]
        made += parts
    return made, shape


def modules(layer, shape, weights, bench):
    """Return the modules of one layer."""
    if isinstance(layer, bench.Residual):
        body, after = build(bench.branch(layer), shape, weights, bench)
        return [Residual(nn.Sequential(*body), layer.stride, after[0] - shape[0])]
    if isinstance(layer, bench.Pool2D):
        return [POOLS[layer.kind](layer.size)]
    if isinstance(layer, bench.Conv2D):
        parts = conv(layer, shape[0], weights)
    elif isinstance(layer, bench.Dense):
        parts = dense(layer, shape, weights)
    else:
        return [nn.AdaptiveAvgPool2d(1)]
    return [*parts, ACTIVATIONS[layer.activation]()] if layer.activation else parts


def conv(layer, channels, weights):
    """Return a convolution, and the normalisation in place of its bias."""
    one = nn.Conv2d(
        channels, layer.filters, layer.kernel, layer.stride, layer.padding, bias=not layer.norm
    )
    fill(one.weight, next(weights).transpose(3, 2, 0, 1))
    if not layer.norm:
        fill(one.bias, next(weights))
        return [one]
    norm = nn.BatchNorm2d(layer.filters)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        fill(tensor, next(weights))
    return [one, norm]


def dense(layer, shape, weights):
    """Return a dense layer, which reads images as (C, H, W) where the weights have (H, W, C)."""
    weight, bias = next(weights), next(weights)
    parts = []
    if len(shape) == 3:
        channels, high, wide = shape
        weight = weight.reshape(high, wide, channels, -1).transpose(2, 0, 1, 3)
        weight = weight.reshape(channels * high * wide, -1)
        parts = [nn.Flatten()]
    one = nn.Linear(*weight.shape)
    fill(one.weight, weight.T)
    fill(one.bias, bias)
    return [*parts, one]


def fill(tensor, array):
    """Copy an array into a tensor."""
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(array))


def batches(case, data, variant):
    """Return the batches as (images, labels) in the layout of the variant."""
    x = torch.from_numpy(data[0]).permute(0, 3, 1, 2).contiguous(memory_format=layout(variant))
    y = torch.from_numpy(data[1])
    return list(zip(x.split(case.batch), y.split(case.batch), strict=True))


class Problem:
    """Network, optimizer and loss of a step case."""

    def __init__(self, case, variant, weights, bench, **how):
        height, width, channels = case.shape
        modules, _ = build(case.net, (channels, height, width), iter(weights), bench)
        self.net = nn.Sequential(*modules).to(memory_format=layout(variant)).train()
        self.rate = bench.IMAGE_LEARNING_RATE
        self.update = torch.optim.SGD(self.net.parameters(), self.rate, momentum=0.9, **how)
        self.loss = self.plain_loss

    def plain_loss(self, x, y):
        """Return the mean cross entropy of a batch."""
        return F.cross_entropy(self.net(x), y)

    def step(self, x, y):
        """Do one training step."""
        self.update.zero_grad(set_to_none=True)
        self.loss(x, y).backward()
        self.update.step()


def work(case, problem, step, data, bench):
    """Check the loss after the common first steps, then return what is timed."""
    few = min(bench.CHECK_STEPS, case.batches)
    for _ in range(bench.CHECK_STEPS // few):
        for x, y in data[:few]:
            step(x, y)
    problem.net.eval()
    with torch.no_grad():
        check = problem.plain_loss(*data[0]).item()
    problem.net.train()

    def run():
        for _ in range(case.epochs):
            for x, y in data:
                step(x, y)

    return bench.Work(run, case.batches * case.epochs, check=check)


def step(case, variant, bench):
    """Prepare a training step in the fastest way there is."""
    data = bench.image_data(case)
    ready = batches(case, data, variant)

    def eager(**how):
        problem = Problem(case, variant, data[2], bench, **how)
        return work(case, problem, problem.step, ready, bench)

    def compile_loss(wrap):
        problem = Problem(case, variant, data[2], bench, fused=True)
        with inductor.patch(cpp_wrapper=wrap):
            problem.loss = torch.compile(problem.plain_loss, fullgraph=True, dynamic=False)
            return work(case, problem, problem.step, ready, bench)

    def compile_whole(wrap):
        problem = Problem(case, variant, data[2], bench)
        with inductor.patch(cpp_wrapper=wrap):
            return work(case, problem, whole(problem), ready, bench)

    if "compile" not in variant:
        how = ("foreach", "fused")
        return best([(f"{name} SGD", partial(eager, **{name: True})) for name in how])
    options = [("compiled loss, fused SGD", partial(compile_loss, False))]
    if case.flops < 1e9:  # more would be lost in the noise
        options.append(("compiled loss, fused SGD, C++ wrapper", partial(compile_loss, True)))
    plain = Problem(case, variant, data[2], bench).net
    if not any(isinstance(module, nn.BatchNorm2d) for module in plain.modules()):
        options += [
            ("one compiled graph, SGD by hand", partial(compile_whole, False)),
            ("one compiled graph, SGD by hand, C++ wrapper", partial(compile_whole, True)),
        ]
    return best(options)


def whole(problem):
    """Compile forward, backward and SGD into one graph; torch.func gives the gradients."""
    names = [name for name, _ in problem.net.named_parameters()]
    weights = [p.detach() for p in problem.net.parameters()]
    speeds = [torch.zeros_like(p) for p in weights]

    def loss(weights, x, y):
        named = dict(zip(names, weights, strict=True))
        return F.cross_entropy(torch.func.functional_call(problem.net, named, (x,)), y)

    def step(x, y):
        gradients = torch.func.grad(loss)(weights, x, y)
        for w, g, v in zip(weights, gradients, speeds, strict=True):
            v.mul_(0.9).add_(g)
            w.sub_(problem.rate * v)

    return torch.no_grad()(torch.compile(step, fullgraph=True, dynamic=False))


def convolution(case, variant, bench):
    """Prepare one pass alone; PyTorch allocates the result of each call."""
    x, w, dy = (torch.from_numpy(array) for array in bench.convolution_data(case))
    x, dy = (t.permute(0, 3, 1, 2).contiguous(memory_format=layout(variant)) for t in (x, dy))
    w = w.permute(3, 2, 0, 1).contiguous(memory_format=layout(variant))
    both = [case.stride] * 2, [case.padding] * 2, [1, 1]
    mask = [case.direction == "backward_data", case.direction == "backward_weights", False]

    def forward():
        return F.conv2d(x, w, None, *both, case.groups)

    def backward():
        results = torch.ops.aten.convolution_backward(
            dy, x, w, None, *both, False, [0, 0], case.groups, mask
        )
        return results[mask.index(True)]

    more = [
        size - (out - 1) * case.stride + 2 * case.padding - kernel
        for size, out, kernel in zip(case.size, case.y[1:3], case.kernel, strict=True)
    ]

    def transposed():
        return F.conv_transpose2d(dy, w, None, *both[:2], more, case.groups)

    call = {"forward": forward, "transposed": transposed}.get(case.direction, backward)

    def prepare(wrap):
        with inductor.patch(cpp_wrapper=wrap):
            one = torch.compile(call, fullgraph=True, dynamic=False)
            check = one().double().square().mean().item()
        return bench.Work(one, check=check)

    if "compile" in variant:
        options = [("compiled", False), ("compiled, C++ wrapper", True)]
        return best([(note, partial(prepare, wrap)) for note, wrap in options])
    return bench.Work(call, check=call().double().square().mean().item())
