"""PyTorch's side of the cases: eager, foreach and fused optimizers, and torch.compile."""

from unittest import mock

import torch
import torch.nn.functional as F
from torch._inductor import config as inductor

from rivals import UnsupportedError, torch_images, torch_tasks
from rivals.torch_best import best

VERSION = torch.__version__

# Rules PyTorch has a fused CPU optimizer for.
FUSED = {"sgd", "momentum", "nesterov", "adagrad", "adam", "adamw", "amsgrad"}
BETAS = (0.9, 0.999)


def prepare(case, variant, threads, bench):
    """Return the prepared work of one case, or raise UnsupportedError."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if isinstance(case, bench.ImageStep | bench.Convolution):
        return torch_images.prepare(case, variant, bench)
    if isinstance(case, bench.Task):
        return torch_tasks.prepare(case, variant, bench)
    if isinstance(case, bench.Step):
        return step(case, variant, bench)
    if isinstance(case, bench.Gemm):
        return gemm(case, bench)
    if isinstance(case, bench.NewtonSchulz):
        return newton_schulz(case, variant, bench)
    return rule(case, variant, bench)


def optimizer(name, parameters, lr, **how):
    """Return the PyTorch optimizer that carries a rule of ours."""
    o = torch.optim
    make = {
        "sgd": lambda: o.SGD(parameters, lr, **how),
        "momentum": lambda: o.SGD(parameters, lr, momentum=0.9, **how),
        "nesterov": lambda: o.SGD(parameters, lr, momentum=0.9, nesterov=True, **how),
        "adagrad": lambda: o.Adagrad(parameters, lr, **how),
        "rmsprop": lambda: o.RMSprop(parameters, lr, alpha=0.9, **how),
        "adam": lambda: o.Adam(parameters, lr, **how),
        "adamw": lambda: o.AdamW(parameters, lr, **how),
        "amsgrad": lambda: o.Adam(parameters, lr, amsgrad=True, **how),
        "adamax": lambda: o.Adamax(parameters, lr, **how),
        "nadam": lambda: o.NAdam(parameters, lr, **how),
        "adadelta": lambda: o.Adadelta(parameters, 1.0, rho=0.95, eps=1e-6, **how),
        "radam": lambda: o.RAdam(parameters, lr, **how),
        "rprop": lambda: o.Rprop(parameters, lr, **how),
        "asgd": lambda: o.ASGD(parameters, lr, **how),
        "adafactor": lambda: o.Adafactor(parameters, weight_decay=0.0, **how),
    }
    if name not in make:
        raise UnsupportedError(f"PyTorch has no {name}")
    return make[name]()


HOW = {
    "torch": {},  # PyTorch's own choice, a loop over the tensors on CPU
    "torch-foreach": {"foreach": True},
    "torch-fused": {"fused": True},
}


class Problem:
    """Network, loss and data of a step case; batches are views of one tensor."""

    def __init__(self, case, bench):
        x, y, weights = bench.step_data(case)
        self.case = case
        layers = []
        for i, (w, b) in enumerate(weights):
            dense = torch.nn.Linear(*w.shape)
            with torch.no_grad():
                dense.weight.copy_(torch.from_numpy(w).t())
                dense.bias.copy_(torch.from_numpy(b))
            layers += [dense] if i == len(weights) - 1 else [dense, torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*layers)
        self.batches = list(
            zip(
                torch.from_numpy(x).split(case.batch),
                torch.from_numpy(y).split(case.batch),
                strict=True,
            )
        )

    def loss(self, x, y):
        """Return the mean cross entropy of a batch."""
        return F.cross_entropy(self.net(x), y)

    def work(self, step, bench, note=""):
        """Check the loss after the common first steps, then return what is timed."""
        for x, y in self.batches[: bench.CHECK_STEPS]:
            step(x, y)
        with torch.no_grad():
            check = self.loss(*self.batches[0]).item()

        def run():
            for _ in range(self.case.epochs):
                for x, y in self.batches:
                    step(x, y)

        return bench.Work(run, self.case.batches * self.case.epochs, check=check, note=note)


def eager(case, variant, bench):
    """Prepare an eager training step."""
    problem = Problem(case, bench)
    update = optimizer("adam", problem.net.parameters(), bench.LEARNING_RATE, **HOW[variant])

    def step(x, y):
        update.zero_grad(set_to_none=True)
        problem.loss(x, y).backward()
        update.step()

    return problem.work(step, bench)


def step(case, variant, bench):
    """Prepare a training step."""
    if case.rule == "muon":
        return muon(case, variant, bench)
    if variant == "torch-compile":
        options = STEP_OPTIONS if case.small or case.flops < 1e8 else STEP_OPTIONS[:2]
        return best([(note, lambda make=make: make(case, bench)) for note, make in options])
    return eager(case, variant, bench)


def muon(case, variant, bench):
    """Prepare an eager step with PyTorch's Muon, the faster of float32 and its own bfloat16."""
    if variant != "torch":
        raise UnsupportedError(f"PyTorch has no {variant} Muon")

    def made(bfloat16):
        problem = Problem(case, bench)
        layers = [layer for layer in problem.net if isinstance(layer, torch.nn.Linear)]
        hidden = [layer.weight for layer in layers[:-1]]
        rest = [layers[-1].weight, *(layer.bias for layer in layers)]
        update = torch.optim.Muon(hidden, lr=bench.LEARNING_RATE, weight_decay=0.0)
        adam = optimizer("adam", rest, bench.LEARNING_RATE)

        def step(x, y):
            problem.net.zero_grad(set_to_none=True)
            problem.loss(x, y).backward()
            with mock.patch.object(torch.Tensor, "bfloat16", bfloat16):
                update.step()
            adam.step()

        return problem.work(step, bench)

    own = torch.Tensor.bfloat16
    return best(
        [("float32", lambda: made(torch.Tensor.clone)), ("its bfloat16", lambda: made(own))]
    )


def compile_loss(case, bench):
    """Compile forward and loss; the fused optimizer stays outside."""
    problem = Problem(case, bench)
    update = optimizer("adam", problem.net.parameters(), bench.LEARNING_RATE, fused=True)
    loss = torch.compile(problem.loss, fullgraph=True, dynamic=False)

    def step(x, y):
        update.zero_grad(set_to_none=True)
        loss(x, y).backward()
        update.step()

    return problem.work(step, bench)


def compile_whole(case, bench, wrap=False):
    """Compile forward, backward and Adam into one graph; torch.func gives the gradients."""
    problem = Problem(case, bench)
    names = [name for name, _ in problem.net.named_parameters()]
    weights = [p.detach() for p in problem.net.parameters()]
    first = [torch.zeros_like(p) for p in weights]
    second = [torch.zeros_like(p) for p in weights]
    count = torch.zeros(())

    def loss(weights, x, y):
        named = dict(zip(names, weights, strict=True))
        return F.cross_entropy(torch.func.functional_call(problem.net, named, (x,)), y)

    def step(x, y):
        gradients = torch.func.grad(loss)(weights, x, y)
        count.add_(1)
        root = torch.sqrt(1 - BETAS[1] ** count)
        rate = bench.LEARNING_RATE / (1 - BETAS[0] ** count)
        for w, g, m, v in zip(weights, gradients, first, second, strict=True):
            m.lerp_(g, 1 - BETAS[0])
            v.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
            w.sub_(rate * m / (v.sqrt() / root + 1e-8))

    with inductor.patch(cpp_wrapper=wrap):
        compiled = torch.no_grad()(torch.compile(step, fullgraph=True, dynamic=False))
        return problem.work(compiled, bench)


STEP_OPTIONS = (
    ("compiled loss, fused Adam", compile_loss),
    ("one compiled graph, Adam by hand", compile_whole),
    (
        "one compiled graph, Adam by hand, C++ wrapper",
        lambda case, bench: compile_whole(case, bench, wrap=True),
    ),
)


def gemm(case, bench):
    """Prepare torch.mm into a given output; a transposed operand is a view."""
    a, b, c = (torch.from_numpy(array) for array in bench.gemm_data(case))
    left = a.t() if case.layout[0] == "t" else a
    right = b.t() if case.layout[1] == "t" else b
    torch.mm(left, right, out=c)
    return bench.Work(lambda: torch.mm(left, right, out=c), check=c.double().square().mean().item())


def orthogonal(u):
    """Return what `torch.optim.Muon` makes of a matrix, in float32 in place of its bfloat16."""
    x = u.T if u.size(0) > u.size(1) else u
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(5):
        square = x @ x.T
        step = torch.addmm(square, square, square, beta=-4.775, alpha=2.0315)
        x = torch.addmm(x, step, x, beta=3.4445)
    return x.T if u.size(0) > u.size(1) else x


def orthogonal_batch(u):
    """Return the same of many matrices (count, rows, columns) at once, as its author does it."""
    x = u.mT if u.size(1) > u.size(2) else u
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        step = torch.baddbmm(square, square, square, beta=-4.775, alpha=2.0315)
        x = torch.baddbmm(x, step, x, beta=3.4445)
    return x.mT if u.size(1) > u.size(2) else x


def newton_schulz(case, variant, bench):
    """Prepare the faster of one matrix after the other and all of them at once."""
    matrices = [torch.from_numpy(array) for array in bench.matrix_data(case)]
    stacked = torch.stack(matrices)
    wrap = torch.compile if variant == "torch-compile" else lambda f: f

    def work(call):
        check = torch.stack([x.double().square().mean() for x in call()]).mean().item()
        return bench.Work(call, check=check)

    def one_by_one():
        one = wrap(orthogonal)
        return work(lambda: [one(u) for u in matrices])

    def batched():
        many = wrap(orthogonal_batch)
        return work(lambda: many(stacked))

    return best([("one by one", one_by_one), ("all at once", batched)])


def rule_problem(case, bench, **how):
    """Return an optimizer over one flat tensor, whose gradient is set."""
    w, g = (torch.from_numpy(array) for array in bench.rule_data(case))
    parameter = torch.nn.Parameter(w)
    parameter.grad = g
    return optimizer(case.rule, [parameter], bench.LEARNING_RATE, **how)


def rule(case, variant, bench):
    """Prepare one optimizer step."""
    if variant == "torch-compile":
        return best(
            [
                (note, lambda wrap=wrap: compiled_rule(case, bench, wrap))
                for note, wrap in RULE_OPTIONS[: 2 if case.small else 1]
            ]
        )
    if variant == "torch-fused" and case.rule not in FUSED:
        raise UnsupportedError(f"PyTorch has no fused {case.rule} on CPU")
    return bench.Work(rule_problem(case, bench, **HOW[variant]).step)


RULE_OPTIONS = (("compiled step", False), ("compiled step, C++ wrapper", True))


def compiled_rule(case, bench, wrap):
    """Prepare one compiled optimizer step."""
    update = rule_problem(case, bench)
    with inductor.patch(cpp_wrapper=wrap):
        step = torch.compile(update.step)
        for _ in range(3):
            step()
    return bench.Work(step)
